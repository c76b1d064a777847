"""The tasks that CPython 3.14 and later keep in lists of the interpreter and its threads, closed to Python code.

Only `asyncio.all_tasks` leads to them. It makes a list of all, asks each whether it is done and of which loop it is,
and makes a set of them: 9 ms among 100,000 that nothing can interrupt, and a subclass of `Task` answers itself.

So it is not let come so far. The first in its list are the tasks that run eagerly, and for the time of the call a thing
of ours is among them. When it is asked whether it is done, the list is complete: it takes some of it and raises, which
ends the call, after 4 ms among 100,000. Where another thread comes in between and asks it, it says that it is done, and
counts for nothing. (Modules/_asynciomodule.c of 3.14 and 3.15. A copy of that module would have such a set of its own,
but takes the running loop from the thread that collects it.)
"""

import sys
from _weakref import ref
from gc import get_objects, get_threshold
from itertools import islice

from pyobserver.agent import collector
from pyobserver.agent.attributes import namespace_of
from pyobserver.agent.facts import is_free_threaded
from pyobserver.agent.row import KEPT_IN_LISTS

_IS_KNOWN_TO_WORK = KEPT_IN_LISTS and sys.version_info < (3, 16)
_AT_ONCE = 256  # references that are made between two looks at the clock
_MOST_LAST = 2048  # of those that came last are looked at in one call
_SHARE = 0.15  # of the time that the list takes, for taking some of it, where a slice has not that much
_NEAR = 64  # objects made after the list, at most, when its first is asked
_MOST_EAGER = 32  # tasks that may stand before ours
_DEAR = 0.001  # seconds: the list is not found quickly among what was made last
_DEAR_SECONDS = 60.0  # before it is tried again, then
_FAILURES = 3
_FUNCTIONS = ["_register_eager_task", "_unregister_eager_task", "all_tasks"]
_BUILTIN = type(len)


class _Enough(Exception):
    """Nothing more is to be asked."""


class _First:
    """What stands among the first of the list. `take(tasks)` gets the list and does not keep it."""

    def __init__(self, cpu):
        self.take = None
        self.is_found = False
        self.seconds = 0.0  # that the search for the list took
        self._cpu = cpu

    def done(self):
        """Asked when all tasks are in the list, which is among the objects that were made last."""
        if self.take is None:
            return True
        begun = self._cpu()
        young = get_objects(generation=0)
        for tasks in islice(reversed(young), _NEAR):
            if type(tasks) is list and self._is_among(tasks[:_MOST_EAGER]):
                self.seconds = self._cpu() - begun
                self.is_found = True
                self.take(tasks)
                break
        young = tasks = None
        raise _Enough

    def _is_among(self, tasks):
        for task in tasks:
            if task is self:
                return True
        return False


class TaskLists:
    """Takes new tasks from the lists, some at each call, by weak references; the strong ones end with the call.

    `clock` is like `time.perf_counter`, `cpu` like `time.thread_time`.

    `length` is how many there were at the last. `is_through` when a pass over all has come to its end, `is_behind` when
    more have come at the end than were looked at.
    """

    def __init__(self, clock, cpu):
        self.length = 0
        self.is_through = self.is_behind = False
        self._clock = clock
        self._cpu = cpu
        self._first = _First(cpu)
        self._failures = 0
        self._dear_until = 0.0
        self._at = 0  # the next to be looked at: nothing but removals moves those behind to the front

    def is_ready(self):
        """Whether `take` can be called now; not where the list would have to be looked for among very many objects."""
        if not _IS_KNOWN_TO_WORK or self._failures >= _FAILURES or self._clock() < self._dear_until:
            return False
        if is_free_threaded() or collector.is_off() or not get_threshold()[0]:  # all that was made since is young
            return False
        names = namespace_of("_asyncio")
        return names is not None and _FUNCTIONS == [name for name in _FUNCTIONS if type(names.get(name)) is _BUILTIN]

    def begin(self):
        """Begin another pass over all."""
        self._at = 0
        self.is_through = False

    def take(self, now, new, with_last=False):
        """Return references to tasks of the next part of the lists; `new` returns those of some that are not known.

        With `with_last` also to what has been added to the last of the lists since all were known. None when it did
        not work this time.
        """
        first, found = self._first, []
        begun = self._cpu()

        def some(tasks):
            entered = self._cpu()
            stop = entered + max(now.left(), _SHARE * (entered - begun))
            if with_last:
                self._take_last(tasks, found, new)
            self._take_next(tasks, found, new, stop)

        first.take, first.is_found = some, False
        names = namespace_of("_asyncio")
        try:
            names["_register_eager_task"](first)
            names["all_tasks"](first)
        except _Enough:
            pass
        finally:
            first.take = some = None
            names["_unregister_eager_task"](first)
        if not first.is_found:
            self._failures += 1
            return None
        self._failures = 0
        if first.seconds > max(_DEAR, 0.5 * (self._cpu() - begun)):
            self._dear_until = self._clock() + _DEAR_SECONDS
        return found

    def _take_last(self, tasks, found, new):
        """New ones are added at the end: before some that are all known there are no others, most likely."""
        for at in range(len(tasks), max(0, len(tasks) - _MOST_LAST), -_AT_ONCE):
            some = new(self._references(tasks, max(0, at - _AT_ONCE), at))
            found += some
            if not some:
                self.is_behind = False
                return
        self.is_behind = len(tasks) > _MOST_LAST

    def _take_next(self, tasks, found, new, stop):
        before, self.length = self.length, len(tasks) - 1
        at = max(0, self._at - max(0, before - self.length))
        while at <= self.length:
            found += new(self._references(tasks, at, at + _AT_ONCE))
            at += _AT_ONCE
            if self._cpu() >= stop:
                break
        self._at = at
        self.is_through = at > self.length

    def _references(self, tasks, start, end):
        some = tasks[start:end]
        if start < _MOST_EAGER:
            some = [task for task in some if task is not self._first]
        return list(map(ref, some))


def all_of(loop):
    """Return references to all tasks of a loop, by the call that cannot be interrupted; the strong ones end at once."""
    names, found = namespace_of("asyncio.tasks"), loop()
    if names is None or found is None or "all_tasks" not in names:
        return []
    tasks = names["all_tasks"](found)
    references = list(map(ref, tasks))
    tasks.clear()
    return references
