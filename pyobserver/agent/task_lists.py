"""The tasks that CPython 3.14 and later keep in lists of the interpreter and its threads, closed to Python code.

Only `asyncio.all_tasks` leads to them. It makes a list of all, asks each whether it is done and of which loop it is,
and makes a set of them: 9 ms among 100,000 that nothing can interrupt, and a subclass of `Task` answers itself.

So it is not let come so far. The first in its list are the tasks that run eagerly, and for the time of the call a thing
of ours is among them. When it is asked whether it is done, the list is complete: it takes some of it and raises, which
ends the call, after 4 ms among 100,000. Where another thread comes in between and asks it, it says that it is done, and
counts for nothing. (Modules/_asynciomodule.c of 3.14 and 3.15. A copy of that module would have such a set of its own,
but takes the running loop from the thread that collects it.)

Of these 4 ms nothing can be spared: it is the time that the memory takes to bring two lines of each task, and one of
them again when the list goes away. The list cannot be kept for longer, as it holds the tasks. So no more is done with
it than to make weak references to thousands, 0.1 us each; which of them are new is looked at afterwards.
"""

import sys
from _weakref import ref
from gc import get_objects, get_threshold
from itertools import islice

from pyobserver.agent import collector
from pyobserver.agent.attributes import namespace_of
from pyobserver.agent.facts import is_free_threaded
from pyobserver.agent.row import KEPT_IN_LISTS
from pyobserver.agent.rows import MAX_ROWS

_IS_KNOWN_TO_WORK = KEPT_IN_LISTS and sys.version_info < (3, 16)
_AT_ONCE = 512  # references that are made between two looks at the clock
_STEP, _MOST_LAST = 256, 2048  # of those that came last are taken in one call, by how many more, and at most
_SHARE = 0.08  # of the time that the list takes, for taking some of it, where a slice has not that much
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
    more have come at the end than were taken.
    """

    def __init__(self, clock, cpu):
        self.length = 0
        self.is_through = self.is_behind = False
        self._clock = clock
        self._cpu = cpu
        self._first = _First(cpu)
        self._failures = 0
        self._dear_until = 0.0
        self._at = 0  # the next to be taken: nothing but removals moves those behind to the front

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

    def take(self, now, row_of=None, most=MAX_ROWS):
        """Return references to the tasks of the next part of the lists, `most` or a few more, known or not; None when
        it did not work.

        With `row_of(task)`, None for one that is not known, also to what is last in the lists, where new ones are
        added, from one on that is known: before it there are no others, most likely.
        """
        first, found = self._first, []
        begun = self._cpu()

        def some(tasks):
            entered = self._cpu()
            stop = entered + max(now.left(), _SHARE * (entered - begun))
            last = () if row_of is None else self._take_last(tasks, row_of)
            self._take_next(tasks, found, stop, most)
            found.extend(last)

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

    def _take_last(self, tasks, row_of):
        end = start = len(tasks)
        is_found = False
        while start and not is_found and end - start < _MOST_LAST:
            start = max(0, start - _STEP)
            is_found = row_of(tasks[start]) is not None
        self.is_behind = start > 0 and not is_found
        return self._references(tasks, start, end)

    def _take_next(self, tasks, found, stop, most):
        before, self.length = self.length, len(tasks) - 1
        at = max(0, self._at - max(0, before - self.length))
        while at <= self.length and len(found) < most:
            found += self._references(tasks, at, at + _AT_ONCE)
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
