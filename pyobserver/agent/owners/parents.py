"""Who owns a task, told by its done callbacks: whoever waits for a task has left one there.

Only what is known is opened: wakeups of tasks, methods of task groups, and the callbacks of asyncio's own functions,
known by the module whose globals they run in. Sources: `asyncio/tasks.py`, `taskgroups.py` and `_asynciomodule.c` of
CPython 3.8 to 3.15, and anyio 4.
"""

import sys
from _collections import deque as Deque
from _functools import partial as Partial  # type: ignore[import-not-found]
from gc import get_referents
from sys import getrefcount

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import (
    HEAP_TYPE,
    Cell,
    Function,
    attribute,
    cell_contents,
    closure,
    code_of,
    flags_of,
    globals_of,
    inherits,
    short_name,
)

MAX_OBJECTS = 60  # looked at for one task
MAX_OWNERS = 5  # that are told of one task
MAX_GETTERS = 20  # of those that wait for a queue
MAX_AWAITED = 200  # futures that one task waits for
MAX_OWN = 60  # objects of a task that are searched for references to itself
RELEASING = ("discard", "remove", "pop")


class _Bound:
    def method(self):
        pass


Builtin = type(len)
Method = type(_Bound().method)
_self_of_builtin = Builtin.__dict__["__self__"].__get__
_name_of_builtin = Builtin.__dict__["__name__"].__get__
_self_of_method = Method.__dict__["__self__"].__get__
_function_of_method = Method.__dict__["__func__"].__get__
_function_of_partial = Partial.__dict__["func"].__get__
_args_of_partial = Partial.__dict__["args"].__get__


class Owner:
    """Who owns a task.

    kind    "awaits": `obj` is the task that waits for it;
            "task_group": `obj` is an asyncio or anyio TaskGroup, `via` the task that runs it, or None;
            "gather": `obj` is the future that gather() returned, `via` the task that waits for that, or None;
            "holder": `obj` is the container that lets the task go when it is done.
    """

    __slots__ = ("kind", "obj", "via")

    def __init__(self, kind, obj, via=None):
        self.kind = kind
        self.obj = obj
        self.via = via


class _Search:
    """One search from the done callbacks of a task up to who waits for it, breadth first and bounded."""

    def __init__(self, task):
        self.task = task
        self.types = known()
        self._groups = []
        self._waiting = []  # those that were found by waiting
        self._holders = []
        self._queue = Deque()
        self._seen = set()

    def run(self, callbacks):
        self._add_callbacks(callbacks, None)
        steps = 0
        while self._queue and steps < MAX_OBJECTS:
            steps += 1
            thing, gathering = self._queue.popleft()
            if id(thing) not in self._seen:
                self._seen.add(id(thing))
                self._look(thing, gathering)
        return (self._groups + self._waiting + self._holders)[:MAX_OWNERS]

    def _add(self, owners, kind, obj, via=None):
        """Note an owner that is not known; return it, or the known one."""
        for each in owners:
            if each.obj is obj:
                return each
        made = Owner(kind, obj, via)
        if len(owners) < MAX_OWNERS:
            owners.append(made)
        return made

    def _add_callbacks(self, callbacks, gathering):
        if type(callbacks) is list:
            for entry in callbacks[:MAX_OBJECTS]:
                thing = entry[0] if type(entry) is tuple and entry else entry
                self._queue.append((thing, gathering))

    def _look(self, thing, gathering):
        kind = type(thing)
        if kind is Builtin:
            self._look_at_builtin(_self_of_builtin(thing), _name_of_builtin(thing), gathering)
        elif kind is Method:
            self._look_at_method(_self_of_method(thing), _function_of_method(thing), gathering)
        elif kind is Function:
            self._look_at_function(thing, gathering)
        elif kind is Partial:
            self._add_futures(_args_of_partial(thing), gathering)
            self._queue.append((_function_of_partial(thing), gathering))
        elif _is_wakeup(kind):
            self._found(thing.__self__, gathering)  # a static C type: this runs no code
        elif self.types.is_task(thing):
            pass  # it is not waited for by what waits for another task
        elif self.types.is_future(thing):
            if kind is self.types.gathering and gathering is None:
                gathering = thing
                self._add(self._waiting, "gather", thing)
            self._add_callbacks(self.types.callbacks(thing), gathering)

    def _found(self, task, gathering):
        """`task` waits for what has been followed to here."""
        if task is self.task or not self.types.is_task(task):
            return
        if gathering is None:
            self._add(self._waiting, "awaits", task)
            return
        found = self._add(self._waiting, "gather", gathering)
        if found.via is None:
            found.via = task

    def _look_at_builtin(self, bound, name, gathering):
        kind = type(bound)
        if self.types.is_task(bound):
            self._found(bound, gathering)
        elif name in RELEASING and _holds(kind):
            self._add(self._holders, "holder", bound)

    def _look_at_method(self, bound, function, gathering):
        types = self.types
        if type(function) is not Function:
            return
        home = globals_of(function)
        if home is types.groups and types.group is not None and inherits(type(bound), types.group):
            parent = attribute(bound, "_parent_task")
            self._add(self._groups, "task_group", bound, parent if types.is_task(parent) else None)
        elif home is types.tasks:
            if types.is_task(bound):  # the wakeup of a task that is written in Python
                self._found(bound, gathering)
            else:  # as_completed() from 3.13 on
                self._add_queue(attribute(bound, "_done"), gathering)

    def _look_at_function(self, function, gathering):
        free = closure(function)
        home = globals_of(function)
        if home is self.types.tasks:
            if "outer" in free:  # gather() and shield(); what else is there are the siblings
                self._add_futures((free["outer"],), gathering)
            elif "waiter" in free:  # wait(), wait_for()
                self._add_futures((free["waiter"],), gathering)
            elif "done" in free:  # as_completed() up to 3.12
                self._add_queue(free["done"], gathering)
        elif self.types.anyio is not None and home is self.types.anyio:
            self._look_at_anyio(free.get("self"))
        else:
            self._add_futures(free.values(), gathering)

    def _look_at_anyio(self, group):
        known_group = self.types.anyio.get("TaskGroup")
        if known_group is None or type(group) is not known_group:
            return
        scope = attribute(group, "cancel_scope")
        parent = attribute(scope, "_host_task")
        self._add(self._groups, "task_group", group, parent if self.types.is_task(parent) else None)

    def _add_futures(self, things, gathering):
        """Follow futures: what waits for one that a callback of the task will set, waits for the task."""
        for thing in list(things)[:MAX_OBJECTS]:
            if self.types.is_future(thing):
                self._queue.append((thing, gathering))

    def _add_queue(self, queue, gathering):
        """Follow those who wait for an asyncio.Queue."""
        if self.types.queue is None or type(queue) is not self.types.queue:
            return
        getters = attribute(queue, "_getters")
        if type(getters) is Deque:
            self._add_futures([getters[n] for n in range(min(len(getters), MAX_GETTERS))], gathering)


def _holds(kind):
    return inherits(kind, set) or inherits(kind, dict) or inherits(kind, list) or inherits(kind, Deque)


def _is_wakeup(kind):
    """Return whether `kind` is the C type that wakes a task up to 3.11; later it is a builtin method."""
    return not flags_of(kind) & HEAP_TYPE and short_name(kind) == "TaskWakeupMethWrapper"


def owners_of(task, callbacks):
    """Return up to `MAX_OWNERS` different `Owner`s of a task, as far as its done callbacks tell.

    `callbacks` is its `_callbacks`, read through the C descriptor: a list of (callback, context), or None. Task groups
    come before those that await, and these before containers; of each, the first that has come to own it is the first.
    The work is bounded by 60 objects, 2 to 80 us.
    """
    return _Search(task).run(callbacks) if callbacks else []


def owner_of(task, callbacks):
    """Return the first of `owners_of`, or None."""
    found = owners_of(task, callbacks)
    return found[0] if found else None


def _references(task, callbacks):
    return getrefcount(task)


def _calibrate():
    """Return what `getrefcount` says in a function of an object that only its caller's local variable holds."""
    task = object()
    return _references(task, None)


def _calibrate_inside():
    """Return what it says in the loop of `_by_itself` of an object that one other refers to."""
    owner = [object()]
    inside = get_referents(owner)
    while inside:
        each = inside.pop()
        count = getrefcount(each)
    return count


async def _coroutine():
    pass


def _type_of_coroutine():
    made = _coroutine()
    made.close()
    return type(made)


BASE = _calibrate()
ALONE = _calibrate_inside()
Coroutine = _type_of_coroutine()
_is_running = Coroutine.__dict__["cr_running"].__get__


def is_unowned(task, callbacks):
    """Return whether nobody holds a task but the loop, the future that it waits for, and itself.

    The caller must hold the task in one local variable, and nowhere else. None: it cannot be told, as the task is
    executing or has ended, or as this interpreter's reference counts cannot be read.
    """
    held = getrefcount(task) - BASE
    types = known()
    if not _counts_are_exact() or not types.is_task(task) or not types.is_pending(task):
        return None
    coroutine = types.coroutine(task)
    if type(coroutine) is not Coroutine or _is_running(coroutine):
        return None
    held -= 1  # the wakeup among the callbacks of what it waits for, or the step in the loop's queue
    if held > 0:
        held -= _by_awaited(types, task, _awaited_by_task(types, task))
    if held > 0:
        held -= _by_itself(types, task, coroutine, callbacks)
    return None if held < 0 else held == 0


def _counts_are_exact():
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is None or enabled()


def _awaited_by_task(types, task):
    """Return the futures that a task waits for: one, and what is behind it if that is gather()'s or shield()'s."""
    awaited = types.awaited(task)
    if awaited is None or not types.is_future(awaited):
        return ()
    if type(awaited) is types.gathering:
        children = attribute(awaited, "_children")
        return (awaited, *children[:MAX_AWAITED]) if type(children) is list else (awaited,)
    found = [awaited]
    for entry in types.callbacks(awaited) or ():
        thing = entry[0] if type(entry) is tuple and entry else entry
        if type(thing) is Function and globals_of(thing) is types.tasks:
            inner = closure(thing).get("inner")
            if inner is not None and types.is_future(inner):
                found.append(inner)
        if len(found) == MAX_AWAITED:
            break
    return found


def _by_awaited(types, task, awaited):
    """Return how many references futures have to the task that waits for them; none before 3.14.

    `fut_awaited_by` of each, and in the callbacks of gather() and shield() a default and a variable `cur_task`.
    """
    references = 0
    seen = set()
    for future in awaited:
        for each in get_referents(future):
            if each is task or (type(each) is set and types.is_pending(future)):
                references += 1  # the only set that a pending future has: of several tasks
        for entry in (types.callbacks(future) or ())[:MAX_AWAITED]:
            thing = entry[0] if type(entry) is tuple and entry else entry
            if type(thing) is Function and globals_of(thing) is types.tasks and id(thing) not in seen:
                seen.add(id(thing))
                references += _in_function(thing, task, seen)
    return references


def _in_function(function, task, seen):
    """Return how often `task` is among a function's defaults and the cells, not yet in `seen`, of its variables."""
    references = 0
    for part in get_referents(function):
        if type(part) is tuple:
            for each in part:
                if each is task:
                    references += 1
                elif type(each) is Cell and id(each) not in seen:
                    seen.add(id(each))
                    references += cell_contents(each) is task
    return references


def _some(members):
    return list(members)[:MAX_AWAITED] if type(members) is set else ()


def _by_itself(types, task, coroutine, callbacks):
    """Return how many references to a task are its own: in its done callbacks, and in what only its coroutine holds."""
    references = 0
    found = [entry[0] for entry in callbacks or () if type(entry) is tuple and entry]
    found.append(coroutine)
    seen = set(map(id, found))
    while found and len(seen) < MAX_OWN:
        inside = get_referents(found.pop())
        while inside:
            each = inside.pop()
            count = getrefcount(each)
            if each is task:
                references += 1
            elif id(each) not in seen and not types.is_future(each):
                seen.add(id(each))
                if count == ALONE:
                    found.append(each)
                elif type(each) is types.timeout:
                    references += attribute(each, "_task") is task
                elif type(each) is types.group and attribute(each, "_parent_task") is task:
                    members = attribute(each, "_tasks")
                    references += 1 + _by_awaited(types, task, _some(members))
    return references


def is_main(callbacks):
    """Whether these are the callbacks of a task that `run_until_complete` waits for, as `asyncio.run` does."""
    for entry in callbacks[:4]:
        callback = entry[0] if type(entry) is tuple and entry else entry
        if type(callback) is Function and code_of(callback).co_name == "_run_until_complete_cb":
            return True
    return False
