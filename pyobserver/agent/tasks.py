"""All asyncio tasks of the process: which there are. What each does is looked at in `states`.

Where asyncio keeps them: `_all_tasks` up to 3.11, `_scheduled_tasks` and `_eager_tasks` in 3.12 and 3.13, and since
3.14 lists per thread (`task_lists`); tasks written in Python are still in `_scheduled_tasks` then.
"""

import sys
from _weakref import ref
from itertools import islice

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import attribute
from pyobserver.agent.columns import Places
from pyobserver.agent.describe import Describer
from pyobserver.agent.loops import Loops
from pyobserver.agent.met import Met
from pyobserver.agent.newborn import Newborn
from pyobserver.agent.row import KEPT_IN_LISTS, Row
from pyobserver.agent.rows import MAX_ROWS
from pyobserver.agent.schedule import WHOLE, Job
from pyobserver.agent.states import TaskStates
from pyobserver.agent.task_lists import TaskLists, all_of
from pyobserver.protocol import schema

_SKIPPED = 4096  # rows that are none of tasks are passed over so many at once: 0.2 us
_AT_ONCE = 256  # weak references that are looked at between two looks at the clock
_PASSED = 20000  # of them are passed over in one call: 0.4 ms
_TRIES = 4  # to do so in steps
_ENUMERATE_SECONDS = 0.5
_DUTY_FIRST = 1.0  # until all are known, the pauses between slices are what limits it
_DUTY_LISTS = 0.003
_DUTY_CALL = 0.001  # of what cannot be done in parts: 4 ms among 100,000 tasks, so each 4 s
_CALL_SECONDS = 60.0  # until it is called although nothing is missing
_FEW_LISTED = 1000  # tasks that are listed in a small part of a slice
_MOST_NOTED = 20000  # listed tasks up to which it is noted which have been met: 10 bytes each, and few are asked about
_AT_FIRST = 2000  # tasks that are described when they are met; more have that done in the next look at all


def past(held, at, now):
    """Go past so many of a set, in steps; return (an iterator over the rest, the slice).

    Where it changes meanwhile, again and again, they are passed at once: 5 ms for 250,000.
    """
    for _ in range(_TRIES):
        references = iter(held)
        try:
            for passed in range(0, at, _PASSED):
                step = min(_PASSED, at - passed)
                next(islice(references, step - 1, step), None)
                if now.over():
                    now = yield
            return references, now
        except RuntimeError:
            continue
    return islice(iter(held), at, None), now


class TaskProbe:
    """Keeps the rows of tasks true. `complete` once all tasks that were there have been met.

    `on_new` gets a row and its task, within the slice; `on_ended` gets a row. `states` knows what the tasks do.
    """

    def __init__(self, agent, loop_hint):
        self.complete = False
        self.count = 0
        self.describer = Describer(agent.table, agent.clock)
        self.loops = Loops(agent, loop_hint)
        self.on_new = []
        self.on_ended = []
        self._agent = agent
        self._table = agent.table
        self._table.namer = self.describer.name
        self._places = Places(self._address_at)
        self._met = Met(agent.table)
        self._listed = {}  # by source, how many it had when it was last gone through
        self._most = MAX_ROWS  # of the listed that are looked at in turn at once
        self._notes = True  # in `_met`, what has been met
        self._is_aged = False  # there may be rows of tasks that ended while hardly anybody looked
        self._lists = TaskLists(agent.clock, agent.cpu)
        self._newborn = Newborn()
        self._calls = {}  # what only a call tells -> when it may be called again: the lists, or a loop by its id
        self.kinds = set()  # ids of the types of tasks that the scanner knows
        self._enumerate_job = Job("tasks", _ENUMERATE_SECONDS, self._enumerate, _DUTY_FIRST, goes_on=True, rests=True)
        self.states = TaskStates(agent, self)

    def jobs(self):
        """What is done again and again."""
        return [self._enumerate_job, self.states.job]

    def drop(self):
        """Let go of what takes room."""
        self._places.drop()
        self._met.drop()
        self.states.drop()

    def close(self):
        """Let go of files."""
        self.describer.close()

    @property
    def bytes(self):
        """How much memory it takes, without what the table has."""
        return self._places.bytes + self._met.bytes

    def total(self):
        """Return how many tasks there are: those that are known, and those that there is no room for."""
        is_part = not self.complete or self._table.is_full()
        return max(self.count, sum(self._listed.values())) if is_part else self.count

    def begin_anew(self):
        """Look at all tasks before the picture counts as complete again: for a while hardly anybody has looked."""
        self.complete = False
        self._is_aged = True
        self._enumerate_job.hurry()
        self._calls.clear()

    def listed(self):
        """Return how many tasks asyncio lists; where only a call tells, as it was at the last one."""
        for name, held in self._sets():
            self._listed[name] = len(held)
        return sum(self._listed.values())

    def row_of(self, task):
        """Return the row of a task, None if it has none."""
        return self.row_at(id(task))

    def row_met(self, task):
        """Return the row of a task that runs; one that has come since the last look gets its row now, if it can."""
        row = self.row_of(task)
        if row is None and self.complete:
            self._meet(ref(task))
            row = self.row_of(task)
        return row

    def row_at(self, address):
        """Return the row of the task with this id, None if it has none."""
        position = self._places.find(address)
        return Row(self._table, position) if position >= 0 else None

    def positions(self):
        """Yield the positions of all tasks; of those that come meanwhile some may be missed."""
        table = self._table
        position = 0
        while position < table.end_position:
            if table.columns.kind[position] == schema.KIND_TASK:
                yield position
                position += 1
            else:  # there may be 250,000 free ones after a crowd, and nobody looks at the clock here
                end = min(position + _SKIPPED, table.end_position)
                found = table.columns.kind[position:end].tobytes().find(schema.KIND_TASK)
                position = end if found < 0 else position + found

    def rows(self):
        """Yield the rows of all tasks, as `positions`."""
        for position in self.positions():
            yield Row(self._table, position)

    def references(self):
        """Yield weak references to all tasks."""
        for position in self.positions():
            yield self._table.refs[position]

    def _address_at(self, position):
        """Return the id of the task at a position, None if it has ended."""
        reference = self._table.refs[position]
        task = reference() if reference is not None else None
        return None if task is None else id(task)

    # -- which there are ----------------------------------------------------------------------------------------------

    def _enumerate(self, now):
        share = self._agent.upkeep(_DUTY_LISTS)
        self._enumerate_job.duty = share if self.complete else _DUTY_FIRST  # its own: to meet them all costs more
        is_aged, self._is_aged = self._is_aged, False
        for name, held in self._sets():
            self._listed[name] = len(held)
            self._expect()
            references = iter(held)
            at = 0
            while True:
                try:
                    some = list(islice(references, _AT_ONCE))
                except RuntimeError:  # it has changed: what has moved to another place of it is met the next time
                    references, now = yield from past(held, at, now)
                    continue
                if not some or self._table.is_full():
                    break
                for reference in self._met.new_in(name, at, some):
                    self._meet(reference)
                    if now.over():
                        now = yield
                self._met.keep(name, at, some)
                at += len(some)
                if now.over():
                    some = None
                    now = yield
            self._listed[name] = len(held)
            self._met.keep_until(name, 0 if self._table.is_full() else at)
        now = yield from self._meet_all(self._eager(), now)
        if KEPT_IN_LISTS:
            now = yield from self._meet_listed(now)
        if is_aged:
            for position in self.positions():
                if self._table.refs[position]() is None:
                    self.end(Row(self._table, position))
                if now.over():
                    now = yield
        if not self.complete and not self._is_aged:
            self.complete = True
            self._places.expect(0)  # a table that is made anew after a crowd is as small as it can be
            self.states.job.hurry()

    def _expect(self):
        """Make room at once for all tasks that are listed, as long as they are met for the first time."""
        if not self.complete:
            count = min(MAX_ROWS, sum(self._listed.values()))
            self._places.expect(count)
            if self._notes:
                self._met.expect(count)

    def _sets(self):
        """Yield (name, a set of weak references to tasks)."""
        module = sys.modules.get("asyncio.tasks")
        if module is None:
            return
        names = module.__dict__
        for name in ("_all_tasks", "_scheduled_tasks"):
            held = attribute(names.get(name), "data") if name in names else None
            if type(held) is set:
                yield name, held

    def _eager(self):
        """Return references to the tasks that run for the first time, at once; in 3.12 and 3.13 they are kept here."""
        module = sys.modules.get("asyncio.tasks")
        found = module.__dict__.get("_eager_tasks") if module is not None else None
        return list(map(ref, found)) if type(found) is set else []

    def _meet_listed(self, now):
        """Meet the tasks that the interpreter keeps in lists; return the slice. Where these cannot be opened, a call
        for each loop returns all of its own."""
        self.loops.look_for()
        lists, calls = self._lists, self._calls
        if lists.is_ready():
            if self.complete and lists.length > _FEW_LISTED and now.clock() < calls.get("all", 0.0):
                references = self._newborn.found(self.kinds)
                if references is not None:
                    now = yield from self._meet_all(references, now)
                    self._listed["lists"] += self.count - sum(self._listed.values())
                    return now
            if now.clock() < calls.get("lists", 0.0):
                return now
            now, seconds, is_done = yield from self._meet_in_parts(now)
            calls["lists"] = now.clock() + seconds / _DUTY_CALL
            calls["all"] = now.clock() + _CALL_SECONDS
            if is_done:
                return now
        self._listed.pop("lists", None)
        self._notes = True
        for loop in self.loops.references():
            if now.clock() >= calls.get(id(loop), 0.0):
                now = yield WHOLE
                references = all_of(loop)
                self._listed[id(loop)] = len(references)
                calls[id(loop)] = now.clock() + (now.clock() - now.begun) / _DUTY_CALL
                now = yield from self._meet_all(references, now)
        return now

    def _meet_in_parts(self, now):
        """Meet the next part of the listed, and what has come last; return (slice, seconds to pause for, it worked).

        When all are known then, what comes later is among the newborn for as long as these can be told.
        All parts are looked at in turn when it is seen that some are missing, or when new ones may be elsewhere than at
        the end: each thread has its own list.
        """
        lists = self._lists
        if lists.is_through or not self.complete:
            lists.begin()
        seconds = 0.0
        while True:
            if lists.length > _FEW_LISTED or not self.complete:
                now = yield WHOLE
            self._newborn.begin()
            begun = self._agent.cpu()
            row_of, most = (self.row_of, self._most) if self.complete else (None, MAX_ROWS)
            references = lists.take(now, row_of, most) if lists.is_ready() else None
            self._notes = references is None or lists.length <= _MOST_NOTED
            if references is None:
                return now, seconds, False
            seconds = self._agent.cpu() - begun + (seconds if self.complete else 0.0)  # those that are new do not wait
            self._listed = {name: count for name, count in self._listed.items() if type(name) is str}
            self._listed["lists"] = lists.length
            self._expect()
            now = yield from self._meet_all(references, now)
            are_missing = lists.is_behind or lists.length > self.count or len(self.loops.references()) > 1
            self._most = MAX_ROWS if are_missing else _AT_ONCE
            if lists.is_through or (self.complete and not are_missing) or self._table.is_full():
                if sum(self._listed.values()) != self.count:
                    self._newborn.forget()
                return now, seconds, True

    def _meet_all(self, references, now):
        """Meet those of a list of references that are not known yet; it gets empty. Return the slice."""
        while references:
            if now.over():
                now = yield
            some = references[-_AT_ONCE:]
            del references[-_AT_ONCE:]
            for reference in self._met.new(some) if self._notes else some:
                self._meet(reference)
                if now.over():
                    now = yield
        return now

    def _meet(self, reference):
        task = reference()
        if task is None:
            return
        types = known()
        kind = id(type(task))
        if kind not in self.kinds:
            if not types.is_task(task):
                return
            self.kinds.add(kind)
            self._agent.scanner.add_barrier(type(task))
        position = self._places.find(id(task))
        if position >= 0:
            if self._notes and self._table.refs[position] is reference:
                self._met.note(reference, position)
            return
        row = self._table.add_row(schema.KIND_TASK)
        if row is None:
            return
        self.count += 1
        position = row.position
        self._table.refs[position] = reference
        self._places.put(id(task), position)
        if self._notes:
            self._met.note(reference, position)
        columns = self._table.columns
        columns.created[position] = self._table.seconds(self._agent.wall())
        if not self.complete:
            columns.flags[position] = schema.FLAG_AGE_IS_MINIMUM
        columns.function[position] = self.describer.function_text(types.coroutine(task))
        row.loop = loop = self.loops.node_of(types.loop(task))
        columns.parent[position] = loop
        self.states.begin(position, task, self.complete or self.count < _AT_FIRST)
        for tell in self.on_new:
            tell(row, task)

    def end(self, row):
        """The task of this row has ended: nobody needs the row any more."""
        for tell in self.on_ended:
            tell(row)
        self.count -= 1
        self._table.remove(row.id)
