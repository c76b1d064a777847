"""What each asyncio task does, and whether it has moved: looked at again and again, many at once.

A task has moved when it does not await what it did at the last look. Among tasks that wait, a look costs 0.1 us.
"""

from _operator import is_
from _weakref import ref
from itertools import repeat

from pyobserver.agent import collector
from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import weakly
from pyobserver.agent.kinds.activity import MOST, note_share
from pyobserver.agent.kinds.unretrieved import Unretrieved
from pyobserver.agent.row import KEPT_IN_LISTS, MET, Row
from pyobserver.agent.schedule import Job
from pyobserver.agent.sparing import Sparing
from pyobserver.protocol import schema

_AT_ONCE = 256  # rows that are looked at between two looks at the clock
_SECONDS = 1.0
_DUTY_FIRST, _DUTY = 1.0, 0.006  # for the first round the pauses between slices are what limits it
_ALL_TASKS = bytes([schema.KIND_TASK]) * _AT_ONCE


class _Unknown:
    """What no task awaits."""


_UNKNOWN = _Unknown()
_ANYTHING = ref(_UNKNOWN)  # the key of a task of which it is not known what it awaits


class TaskStates:
    """Keeps true what the rows of tasks say of what they do. `probe` is the TaskProbe, which knows the tasks.

    `on_moved` gets a row and its task, within the slice.
    """

    def __init__(self, agent, probe):
        self.on_moved = []
        self._agent = agent
        self._table = agent.table
        self._probe = probe
        self._is_measured_soon = agent.self_check == "ok"
        self._sparing = Sparing(agent, probe, self) if KEPT_IN_LISTS else None
        self._unretrieved = Unretrieved(agent)
        probe.on_ended.append(self._unretrieved.forget)
        self.job = Job("states", _SECONDS, self._sweep, duty=_DUTY, goes_on=True, rests=True)

    def drop(self):
        """Let go of what takes room."""
        if self._sparing is not None:
            self._sparing.drop()

    def begin(self, position, task, at_once):
        """A task has got its row: it is looked at `at_once`, or when it is measured for the first time."""
        if at_once or not self._is_measured_soon:
            self.look_again(position, task)
        else:
            self._table.keys[position] = _ANYTHING

    def _sweep(self, now):
        while not self._probe.complete:
            now = yield
        self.job.duty = _DUTY_FIRST if self._table.looks == 0 else self._agent.upkeep(_DUTY)
        self._table.looks += 1 + self.job.left_out
        if self._sparing is not None:
            self._sparing.begin(now)
        start = 0
        while start < self._table.end_position:
            end = min(start + _AT_ONCE, self._table.end_position)
            if not self._is_still(start, end):
                for position in range(start, end):
                    self._check(position)
                    if now.over():
                        now = yield from self._next_slice()
            if now.over():
                now = yield from self._next_slice()
            start = end
        if self._sparing is not None:
            self._sparing.end()
        self._probe.loops.sweep()

    def _next_slice(self):
        now = yield
        if self._sparing is not None:
            self._sparing.begin_slice(now)
        return now

    def _is_still(self, start, end):
        """Whether nothing needs to be done for the rows from `start` to `end`: all are tasks that have not moved.

        It asks nothing of one row after another, but of all at once: among tasks that wait, 0.1 us for each.
        """
        table = self._table
        columns = table.columns
        is_spared = KEPT_IN_LISTS and any(columns.waiter[start:end].tobytes())
        if self._is_measured_soon and columns.kind[start] == schema.KIND_TASK and not columns.marks[start] & MET:
            return not is_spared  # they will be looked at when they are measured for the first time
        if columns.kind[start:end].tobytes() != _ALL_TASKS[: end - start] or any(columns.moves[start:end].tobytes()):
            return False
        tasks = [reference() for reference in table.refs[start:end]]
        try:
            waiters = list(map(known().waiter_of, tasks))
        except TypeError:  # one has ended, or is not written in C
            return False
        if True in map(is_, waiters, repeat(None)):
            return False
        if is_spared:
            return self._sparing.are_still(start, end, waiters)
        if False in map(is_, waiters, [key() for key in table.keys[start:end]]):
            return False
        if self._sparing is not None:
            self._sparing.spare(start, end, waiters)
        return True

    def _check(self, position):
        """Look whether a task has run since."""
        table = self._table
        if table.columns.kind[position] != schema.KIND_TASK:
            return
        task = table.refs[position]()
        row = Row(table, position)
        if task is None:
            self._probe.end(row)
            return
        types = known()
        if not row.is_marked(MET) and self._is_measured_soon:
            return
        waiter = types.awaited(task)
        if waiter is None:
            if row.state == schema.STATE_DONE_HELD:
                self._unretrieved.look(row, types.is_unretrieved(task))
                return
        elif KEPT_IN_LISTS and table.columns.waiter[position]:
            if self._sparing.is_still(row, task, waiter):
                return
        elif row.key() is waiter:
            self.note_activity(row)
            if self._sparing is not None and not row.moves:
                self._sparing.spare(position, position + 1, [waiter])
            return
        if row.is_marked(MET):
            row.moves += 1
            self.note_activity(row)
        self.look_again(position, task)
        for tell in self.on_moved:
            tell(row, task)

    def note_activity(self, row):
        """A task has been looked at, as all others have: their looks are counted together."""
        looks = self._table.looks - row.since
        note_share(self._table, row, looks)
        if looks >= MOST:  # what was long ago counts half
            row.moves >>= 1
            row.since = self._table.looks - (looks >> 1)

    def look_again(self, position, task, is_spared=False):
        """Write down what a task does now; if it `is_spared`, it awaits what it did, and gets no reference to that."""
        table, columns, types = self._table, self._table.columns, known()
        waiter = types.awaited(task)
        coroutine = types.coroutine(task)
        if not is_spared:
            table.keys[position] = _ANYTHING if waiter is None else weakly(waiter, _ANYTHING)
        if self._sparing is not None:
            self._sparing.note_look(position, is_spared)
        was_pending = waiter is None and types.is_pending(task)  # one that awaits something is
        where, waiting, queued = self._probe.describer.described(coroutine, waiter)
        if types.awaited(task) is not waiter or (was_pending and not types.is_pending(task)):
            collector.bury([task, waiter, coroutine])  # it has run meanwhile: these may be the last references
        state = self._state(task, coroutine, waiter, types)
        columns.marks[position] |= MET
        before = columns.where[position], columns.waiting[position], columns.state[position]
        if queued != table.rare["queue"].get(position, -1):
            Row(table, position).queue = queued
        elif (where, waiting, state) == before:
            return
        columns.where[position], columns.waiting[position], columns.state[position] = where, waiting, state
        table.touch_at(position)

    def _state(self, task, coroutine, waiter, types):
        if waiter is not None and type(task) is types.c_task:  # it lets go of that with its next step
            return schema.STATE_WAITING
        if not types.is_pending(task):
            return schema.STATE_DONE_HELD
        if waiter is not None:
            return schema.STATE_WAITING
        return schema.STATE_RUNNING if self._probe.describer.is_running(coroutine) else schema.STATE_READY
