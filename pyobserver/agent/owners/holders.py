"""Which containers keep the tasks alive: one walk over the heap from the modules, in slices, for all tasks at once.

Depth first, so that the stack is the path and no map of parents is needed. An object with one owner can be met only
once: just those with more are marked. Between slices the walk holds the containers on its stack, at most `MAX_DEPTH`,
and never a list of what an object refers to.
"""

import sys
from _weakref import ref
from gc import is_tracked
from sys import getrefcount

from pyobserver.agent import asyncio_types
from pyobserver.agent.attributes import (
    HAVE_GC,
    HEAP_TYPE,
    closure_of,
    flags_of,
    namespace_of,
)
from pyobserver.agent.owners.found import Found, Holding
from pyobserver.agent.owners.holder_kinds import (
    ATTRIBUTES,
    CLASS,
    FUNCTION,
    ITEMS,
    KEYS,
    LEAF,
    MODULE,
    OBJECT,
    SUBCLASS,
    TASK,
    VALUES,
    VARIABLES,
    Kinds,
    container_base,
)
from pyobserver.agent.owners.holder_paths import NOWHERE, RANK, Paths
from pyobserver.agent.owners.marks import SHARDS, Marks
from pyobserver.agent.owners.modules import Modules
from pyobserver.agent.owners.postponed import DEFERRED, Postponed
from pyobserver.agent.owners.route import route_to
from pyobserver.agent.owners.stack import LISTED, Stack
from pyobserver.agent.retention.slots import Slots
from pyobserver.agent.runs import GENERATORS, Frame

DEFER_DEPTH = 8  # from here on, instances are walked from later, each as a root of its own
MAX_DEPTH = 12
LARGE = 5000  # items; what is so large comes last, as what holds tasks is small as a rule
MAX_ELEMENTS = 10000  # of a container whose attributes are asked for too
TRIES = 4  # for a container that changes while it is walked through
STRIDE = 64  # references between two looks at the clock


def _calibrate():
    """Return what `getrefcount` says in the loop of `Walk._look` of an object that has one owner."""
    count = 0
    for each in [object()]:
        count = getrefcount(each)
    enabled = getattr(sys, "_is_gil_enabled", None)
    return count if enabled is None or enabled() else -1  # -1: counts cannot be read, so that all are marked


ONE_OWNER = _calibrate()
ONE_IN_LIST = ONE_OWNER + 1 if ONE_OWNER > 0 else ONE_OWNER
_END = object()
LATER = object()


class Walk(Stack):
    """One walk: `run` it until it has been through, `restart` it for another.

    `wanted(id(object))` returns the number of a task that is looked for, or 0; it is asked about objects whose type is
    in `types`, a set of `id(type)`. Numbers are small, as there is a place for each up to the largest. `clock()` and
    the deadlines of `run` are on the same clock. `tasks()` yields weak references to the tasks whose variables are
    searched last, None when it has nothing yet, or LATER to have the walk pause. What was found is in `found`, from
    number to `Holding`: a container of the application before an attribute, before the same of a library, before
    variables; the shortest path, and the first met.

    `meet(thing, place)` is told of every coroutine and generator that is no task's, and of every object that stands for
    a process, where it is met first; `place()` returns the Holding of that. `coroutine_of(task)` returns what a task
    runs, and `name_of(task)` by which name its variables are called, None for by their function. `slots` tells the
    names of variables. `greenlets()` returns the `Greenlets` that are looked for, too, None for none, and what `wanted`
    does not know of the types that are looked for is told `admit(object)`, which returns its number, or 0.
    """

    least_put_off = LARGE

    def __init__(
        self,
        wanted,
        clock,
        tasks=None,
        meet=None,
        coroutine_of=None,
        name_of=None,
        slots=None,
        greenlets=None,
        admit=None,
    ):
        self.wanted = wanted
        self._greenlets = greenlets
        self._admit = admit
        self._slots = slots or Slots(-1)
        self._name_of = name_of
        self._meet = meet
        self._coroutine_of = coroutine_of or asyncio_types.coroutine_of
        self.types = set()
        self._clock = clock
        self._tasks = tasks
        self._marks = Marks()
        self._clear()
        self.restart()

    def restart(self):
        """Forget everything and begin anew."""
        self.let_go()
        self.found = Found()
        self.is_through = False
        self._marks.restart()
        self._too_deep = self._restless = 0
        self._clear()
        self._postponed = Postponed(self._marks)
        self._known_greenlets = None if self._greenlets is None else self._greenlets()
        self.sees_all = type(self).sees_all or self._known_greenlets is not None  # those that run are not tracked
        self._decisions = Kinds(self.types, self._known_greenlets)
        self._variables = None  # of which tasks, when their turn has come
        self._is_searched = False
        self.pauses = False  # between the modules and the variables of tasks, at the wish of `tasks()`
        self._paths = Paths(self._owners, self._kinds, self._shape, self._slots)
        self._modules = Modules(self._paths.is_application)

    @property
    def incomplete(self):
        """What was left out so far, in words, or None: the tasks in it may seem to be held by nobody."""
        reasons = []
        if self._marks.refused:
            beyond = (self._marks.refused, self._marks.count)
            reasons.append("%d objects with several owners beyond the first %d" % beyond)
        if self._too_deep:
            reasons.append("%d places nested deeper than %d" % (self._too_deep, MAX_DEPTH))
        if self._restless:
            reasons.append("%d containers that kept changing" % self._restless)
        return ", ".join(reasons) or None

    def run(self, deadline):
        """Go on until `clock()` is past `deadline`. Return whether the walk has been through."""
        if self.is_through:
            return True
        self.pauses = False
        self._decisions.begin_slice()
        self.let_go()
        self._resume()
        try:
            while True:  # at least once: to come back to where it was may have taken all the time
                if self._iterators:
                    self._look()
                elif not self._begin_root():
                    self.is_through = True
                    return True
                elif self.pauses:
                    return False
                if self._clock() >= deadline:
                    break
        finally:
            self._pause()
        return False

    # Roots

    def _begin_root(self):
        """Put what to walk from next on the stack, or come closer to that. Return False when there is no more."""
        postponed = self._postponed
        if self._marks.drop_some():
            pass
        elif not self._modules.is_sorted():
            self._modules.sort_some()
        elif postponed.deferred:
            reference, self.inside, kind = postponed.deferred.pop()
            thing = reference()
            if thing is not None:
                self._push(thing, kind)
        elif self._begin_module():
            pass
        elif postponed.large:
            self._begin_large(postponed.large.pop(0))
        elif self._variables is None:
            postponed.add_threads()
            self._variables = iter(() if self._tasks is None else self._tasks())
        elif not self._is_searched:
            reference = next(self._variables, _END)
            if reference is LATER:
                self.pauses = True
                return True
            if reference is _END:
                self._is_searched = True
            elif reference is not None:
                self._begin_task(reference())
        elif self._marks.retire():
            self._shapes = {}
        else:
            return False
        return True

    def _begin_module(self):
        name = self._modules.next()
        namespace = None if name is None else namespace_of(name)
        if namespace is not None:
            self._paths.module = name
            self._push(namespace, MODULE)
        return name is not None

    def _begin_large(self, route):
        """Look into a large container, as if the walk had just come to it."""
        found = route.stack()
        self._paths.module = route.module
        try:
            for owner, kind in found:
                self._push(ref(owner) if kind is VARIABLES else owner, kind)
                if owner is not found[-1][0]:
                    self._iterators[-1] = iter(())
            if found and found[-1][1] is VALUES and _has_keys(found[-1][0]):
                self._push(found[-1][0], KEYS)
        except TypeError:  # something else is there now
            found = []
        self._restless += not found

    def _begin_task(self, task):
        greenlets = self._known_greenlets
        if task is not None and greenlets is not None and greenlets.is_greenlet(task):
            self.inside = self._paths.task_id = id(task)
            self._paths.word, self._paths.task = "greenlet", self._name_of(task)
            self._push(ref(task), VARIABLES)
            return
        self._paths.word = "task"
        coroutine = None if task is None else self._coroutine_of(task)
        if id(type(coroutine)) in GENERATORS:
            self.inside = self._paths.task_id = id(task)
            self._paths.task = None if self._name_of is None else self._name_of(task)
            self._push(coroutine, OBJECT)

    # What is met

    def _look(self):
        """Look at up to `STRIDE` references."""
        left = STRIDE
        iterators, kinds, seen = self._iterators, self._kinds, self._marks.shards
        decided, decide = self._decisions.known.get, self._decisions.of_type
        while left > 0 and iterators:
            one = ONE_IN_LIST if kinds[-1] in LISTED else ONE_OWNER
            try:
                for each in iterators[-1]:
                    left -= 1
                    kind = decided(id(type(each))) or decide(type(each))
                    if kind is not LEAF:
                        if kind is TASK:
                            left -= self._found(each)
                        else:
                            shared = getrefcount(each) > one
                            if not (shared and id(each) in seen[(id(each) >> 4) & (SHARDS - 1)]):
                                if self._enter(each, kind, shared):
                                    break
                    if left <= 0:
                        return
                else:
                    self._pop()
            except RuntimeError:  # it changed size; what is raised inside is caught there
                self._again()

    def _again(self):
        """Walk the container on top from its beginning once more, or give it up."""
        level = len(self._owners) - 1
        tries = self._tries[level] = self._tries.get(level, 0) + 1
        if tries < TRIES:
            self._iterators[-1] = self._iterator(self._owners[-1], self._kinds[-1])
        else:
            self._restless += 1
            self._pop()

    def _enter(self, thing, kind, shared):
        """Look into an object that was met, now or later. Return whether it is on top of the stack."""
        if kind is OBJECT and self._meet is not None and id(type(thing)) in self._decisions.met:
            self._meet(thing, lambda: self._holding(*self._paths.place_of(thing)[:4]))
        if kind is FUNCTION:
            if closure_of(thing) is None:
                return False
        elif kind is VALUES:
            if not is_tracked(thing) or id(thing) in self._modules.namespaces:
                return False
        elif kind is CLASS:
            if not flags_of(thing) & HEAP_TYPE:
                return False
        elif (type(thing) is tuple and not is_tracked(thing)) or (
            type(thing) is Frame and id(type(self._owners[-1])) not in GENERATORS
        ):
            return False
        depth = len(self._owners)
        if depth >= DEFER_DEPTH and kind in DEFERRED and self._postponed.defer(thing, kind, shared, self.inside):
            return False
        if depth >= MAX_DEPTH:
            self._too_deep += 1
            return False
        if shared and not self._marks.add(id(thing)):
            return False
        if (kind is VALUES or kind is ITEMS) and len(thing) > self.least_put_off and self._variables is None:
            if self._postponed.put_off([*self._owners, thing], [*self._kinds, kind], self._paths.module):
                return False
        if kind is SUBCLASS:
            self._push_container(thing)
        else:
            self._push(thing, kind)
            if kind is VALUES and _has_keys(thing):
                self._push(thing, KEYS)
        return True

    def _push_container(self, thing):
        """Look into an instance of a subclass of a container: at its items first, and then at its attributes."""
        base = container_base(type(thing))
        if flags_of(type(thing)) & HEAP_TYPE and base.__len__(thing) <= MAX_ELEMENTS:
            self._push(thing, ATTRIBUTES)
        self._push(thing, VALUES if base is dict else ITEMS)
        if base is dict and _has_keys(thing):
            self._push(thing, KEYS)

    def _holding(self, path, kind, length, key):
        """Return the Holding of what was met on top of the stack."""
        task = self.inside if self._paths.is_of_task(path) else 0
        level = self._paths.container_level() if length is not None else None
        route = None
        if level is not None:
            route = route_to(self._owners[: level + 1], self._kinds[: level + 1], self._paths.module)
        return Holding(path, kind, length, key, task, route)

    def _found(self, task):
        """Note where a task was met, if it is looked for and that is a better place than the one known.

        Return what that cost, in references looked at: to find an attribute's name is work.
        """
        number, cost = id(task), 0
        row = self.wanted(number)
        if not row and self._admit is not None:
            row = self._admit(task)
            cost = STRIDE if row else cost
        if not row or number == self.inside:
            return cost
        path, kind, length, key, score = self._paths.place_of(task)
        if score < NOWHERE * RANK and self.found.is_wanted(row, score):
            self.found.put(row, score, key, path) or self.found.add(row, score, self._holding(path, kind, length, key))
        return max(cost, STRIDE // 2 if length is None else 1)


def _has_keys(mapping):
    """Return whether the keys of a dict may be, or hold, tasks: told by the first."""
    for key in dict.keys(mapping):
        return bool(flags_of(type(key)) & HAVE_GC)
    return False
