"""Tasks of a crowd that have been parked for a while: an id tells what they await, where a reference took 80 bytes.

Whether it is still the same future is told by its age (`youth`). Where that cannot be told, as the collector has made
all that was young old meanwhile, such a look counts for nothing, and the task is described again; with a reference, if
that happens too often.
"""

from _operator import is_
from itertools import repeat

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.row import UNSURE
from pyobserver.agent.youth import Youth

_CROWD = 4096  # tasks from which on the agent's memory counts
_MOST_DOUBTS = 3000  # tasks that are described again in one sweep
_NOT_UNSURE = bytes([mark for mark in range(256) if not mark & UNSURE])


class Sparing:
    """What a sweep over all tasks asks, between `begin` and `end`. `states` is the TaskStates whose sweep it is.

    `probe` knows how many tasks there are.
    """

    def __init__(self, agent, probe, states):
        self._table = agent.table
        self._probe = probe
        self._states = states
        self._youth = Youth(agent.cpu, lambda: known().c_future)
        self._slice = None
        self._doubts = 0  # tasks in this sweep that have been described again
        self._behind = 0  # position from which on the next ones are

    def begin(self, now):
        """A sweep begins, in the slice `now`."""
        self._doubts = 0
        self._slice = now
        if self._probe.count >= _CROWD or self._table.spared:
            self._youth.begin()

    def begin_slice(self, now):
        """It goes on in this slice."""
        self._slice = now
        self._youth.begin_slice()

    def end(self):
        """All tasks have been looked at."""
        self._youth.end()
        if self._doubts < _MOST_DOUBTS:
            self._behind = 0

    def drop(self):
        """Let go of everything."""
        self._youth.drop()
        self._slice = self._probe = self._states = None

    def spare(self, start, end, waiters):
        """Keep no references to what the tasks from `start` to `end` await: they have not moved since the last look."""
        if not self._youth.is_calm or self._probe.count < _CROWD or not _are_futures(waiters):
            return
        table, addresses = self._table, self._table.columns.waiter
        for position, waiter in enumerate(waiters, start):
            table.spared += not addresses[position]
            addresses[position] = id(waiter)
        table.keys[start:end] = [None] * (end - start)

    def note_look(self, position, is_spared):
        """What this task does is being looked at; unless it `is_spared`, there is a reference to what it awaits."""
        columns = self._table.columns
        if not is_spared:
            self._table.spared -= columns.waiter[position] != 0
            columns.waiter[position] = 0
        columns.marks[position] &= ~UNSURE
        self._youth.begin_slice()  # to describe a task may let others run

    def are_still(self, start, end, waiters):
        """Whether nothing needs to be done for these tasks, of which some are spared: none is seen to have moved."""
        table, columns = self._table, self._table.columns
        addresses = columns.waiter[start:end].tolist()
        if list(map(id, waiters)) != addresses:
            for waiter, address, key in zip(waiters, addresses, table.keys[start:end]):  # noqa: B905 (3.10 and later)
                if (id(waiter) != address) if address else key() is not waiter:
                    return False
        if not _are_futures(waiters):
            return False
        if self._takes_doubts(end - 1) and columns.marks[start:end].tobytes().translate(None, _NOT_UNSURE):
            return False
        if not self._is_sure():
            for position, address in enumerate(addresses, start):
                if address:
                    self._doubt(position)
        elif not self._youth.are_old(addresses):
            return False
        elif 0 in addresses:
            self.spare(start, end, waiters)
        return True

    def is_still(self, row, task, waiter):
        """Whether a task that is spared is not seen to have moved. All that follows from that has been done then."""
        columns, position = self._table.columns, row.position
        if id(waiter) != columns.waiter[position] or type(waiter) is not known().c_future:
            return False
        if not columns.marks[position] & UNSURE and self._is_sure() and self._youth.are_old((id(waiter),)):
            self._states.note_activity(row)
            return True
        self._doubt(position)
        if self._takes_doubts(position):
            self._doubts += 1
            self._behind = position + 1
            before = row.where, row.waiting, row.state
            self._states.look_again(position, task, not self._youth.is_lost)
            if (row.where, row.waiting, row.state) != before:
                for tell in self._states.on_moved:
                    tell(row, task)
        return True

    def _is_sure(self):
        return self._youth.is_sure() and not self._slice.torn()

    def _takes_doubts(self, position):
        return self._doubts < _MOST_DOUBTS and position >= self._behind

    def _doubt(self, position):
        """A task may have moved since the last look, which counts for nothing then: neither as a look nor as a move."""
        self._table.columns.since[position] += 1
        self._table.columns.marks[position] |= UNSURE


def _are_futures(waiters):
    return False not in map(is_, map(type, waiters), repeat(known().c_future))
