"""All asyncio tasks of the process: which there are, and whether they have moved.

Where asyncio keeps them: `_all_tasks` up to 3.11, `_scheduled_tasks` and `_eager_tasks` in 3.12 and 3.13, and since
3.14 lists per thread that only `all_tasks(loop)` reads; tasks written in Python are still in `_scheduled_tasks` then.
"""

import sys
from _operator import is_
from _weakref import ref
from itertools import islice, repeat

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import attribute
from pyobserver.agent.columns import Places
from pyobserver.agent.describe import Describer
from pyobserver.agent.kinds.activity import MOST, note_share
from pyobserver.agent.kinds.unretrieved import Unretrieved
from pyobserver.agent.loops import Loops
from pyobserver.agent.row import MET, Row
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

_AT_ONCE = 256  # weak references, or rows, that are looked at between two looks at the clock
_ENUMERATE_SECONDS = 0.5
_SWEEP_SECONDS = 1.0
_DUTY_FIRST = 1.0  # until all are known, the pauses between slices are what limits it
_DUTY_LISTS, _DUTY_STATES = 0.004, 0.006
_DUTY_CALL = 0.0005  # of what cannot be done in parts: 8 ms among 100,000 tasks, so each 16 s
_AT_FIRST = 2000  # tasks that are described when they are met; more have that done in the next look at all
_ALL_TASKS = bytes([schema.KIND_TASK]) * _AT_ONCE


class _Unknown:
    """What no task awaits."""


_UNKNOWN = _Unknown()
_ANYTHING = ref(_UNKNOWN)  # the key of a task of which it is not known what it awaits


class TaskProbe:
    """Keeps the rows of tasks true. `complete` once all tasks that were there have been met.

    `on_new` and `on_moved` get a row and its task, within the slice; `on_ended` gets a row.
    """

    def __init__(self, agent, loop_hint):
        self.complete = False
        self.count = 0
        self.describer = Describer(agent.table, agent.clock)
        self.loops = Loops(agent, loop_hint)
        self.on_new = []
        self.on_moved = []
        self.on_ended = []
        self._agent = agent
        self._table = agent.table
        self._table.namer = self.describer.name
        self._places = Places(self._address_at)
        self._met = Met(agent.table)
        self._listed = {}  # by source, how many it had when it was last gone through
        self._is_aged = False  # there may be rows of tasks that ended while hardly anybody looked
        self._calls = {}  # id of a loop -> when it may be asked for its tasks again
        self._is_measured_soon = agent.self_check == "ok"
        self.kinds = set()  # ids of the types of tasks that the scanner knows
        self._enumerate_job = Job("tasks", _ENUMERATE_SECONDS, self._enumerate, duty=_DUTY_FIRST, goes_on=True)
        self._unretrieved = Unretrieved(agent)
        self.on_ended.append(self._unretrieved.forget)
        self._sweep_job = Job("states", _SWEEP_SECONDS, self._sweep, duty=_DUTY_STATES, goes_on=True)

    def jobs(self):
        """What is done again and again."""
        return [self._enumerate_job, self._sweep_job]

    def drop(self):
        """Let go of what takes room."""
        self._places.drop()
        self._met.drop()

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
                continue
            ahead = table.columns.kind[position : position + _AT_ONCE].tobytes().find(schema.KIND_TASK)
            position += ahead if ahead > 0 else _AT_ONCE  # there may be very many of another kind

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
        self._enumerate_job.duty = _DUTY_LISTS if self.complete else _DUTY_FIRST  # its own: to meet them all costs more
        is_aged, self._is_aged = self._is_aged, False
        for name, held in self._sets():
            self._listed[name] = len(held)
            references = iter(held)
            at = 0
            while True:
                try:
                    some = list(islice(references, _AT_ONCE))
                except RuntimeError:  # it has changed: what has moved to another place of it is met the next time
                    references = islice(iter(held), at, None)
                    continue
                if not some or self._table.is_full():
                    break
                at += len(some)
                for reference in self._met.new(some):
                    self._meet(reference)
                    if now.over():
                        now = yield
                if now.over():
                    some = None
                    now = yield
            self._listed[name] = len(held)
        for name, source in self._calls_due(now):
            references = source()
            self._listed[name] = len(references)
            self._calls[name] = now.clock() + (now.clock() - now.begun) / _DUTY_CALL
            while references:
                some = self._met.new(references[-_AT_ONCE:])
                del references[-_AT_ONCE:]
                for reference in some:
                    self._meet(reference)
                    if now.over():
                        now = yield
                if now.over():
                    some = None
                    now = yield
        if is_aged:
            for position in self.positions():
                if self._table.refs[position]() is None:
                    self._end(Row(self._table, position))
                if now.over():
                    now = yield
        if not self.complete and not self._is_aged:
            self.complete = True
            self._sweep_job.hurry()

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

    def _calls_due(self, now):
        """Yield (name, function that returns a list of weak references to tasks) for what is not kept in such sets."""
        module = sys.modules.get("asyncio.tasks")
        if module is None:
            return
        names = module.__dict__
        if type(names.get("_eager_tasks")) is set and names["_eager_tasks"]:
            yield "eager", lambda: list(map(ref, names["_eager_tasks"]))
        if sys.version_info >= (3, 14):
            self.loops.look_for()
            for loop in self.loops.references():
                if now.clock() >= self._calls.get(id(loop), 0.0):
                    yield id(loop), lambda loop=loop: _tasks_of(names.get("all_tasks"), loop)

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
            if self._table.refs[position] is reference:
                self._met.note(reference, position)
            return
        row = self._table.add_row(schema.KIND_TASK)
        if row is None:
            return
        self.count += 1
        position = row.position
        self._table.refs[position] = reference
        self._places.put(id(task), position)
        self._met.note(reference, position)
        columns = self._table.columns
        columns.created[position] = self._table.seconds(self._agent.wall())
        if not self.complete:
            columns.flags[position] = schema.FLAG_AGE_IS_MINIMUM
        columns.function[position] = self.describer.function_text(types.coroutine(task))
        row.loop = loop = self.loops.node_of(types.loop(task))
        columns.parent[position] = loop
        if self.complete or self.count < _AT_FIRST or not self._is_measured_soon:
            self._look(position, task, types)
        else:
            self._table.keys[position] = _ANYTHING
        for tell in self.on_new:
            tell(row, task)

    def _end(self, row):
        for tell in self.on_ended:
            tell(row)
        self.count -= 1
        self._table.remove(row.id)

    # -- whether they have moved --------------------------------------------------------------------------------------

    def _sweep(self, now):
        while not self.complete:
            now = yield
        self._sweep_job.duty = _DUTY_FIRST if self._table.looks == 0 else _DUTY_STATES
        self._table.looks += 1
        start = 0
        while start < self._table.end_position:
            end = min(start + _AT_ONCE, self._table.end_position)
            if not self._is_still(start, end):
                for position in range(start, end):
                    self._check(position)
                    if now.over():
                        now = yield
            if now.over():
                now = yield
            start = end
        self.loops.sweep()

    def _is_still(self, start, end):
        """Whether nothing needs to be done for the rows from `start` to `end`: all are tasks that have not moved.

        It asks nothing of one row after another, but of all at once: among tasks that wait, 0.1 us for each.
        """
        table = self._table
        columns = table.columns
        if self._is_measured_soon and columns.kind[start] == schema.KIND_TASK and not columns.marks[start] & MET:
            return True  # they will be looked at when they are measured for the first time
        if columns.kind[start:end].tobytes() != _ALL_TASKS[: end - start] or any(columns.moves[start:end].tobytes()):
            return False
        tasks = [reference() for reference in table.refs[start:end]]
        try:
            waiters = list(map(known().waiter_of, tasks))
        except TypeError:  # one has ended, or is not written in C
            return False
        keys = [key() for key in table.keys[start:end]]
        return False not in map(is_, waiters, keys) and True not in map(is_, waiters, repeat(None))

    def _check(self, position):
        """Look whether a task has run since."""
        table = self._table
        if table.columns.kind[position] != schema.KIND_TASK:
            return
        task = table.refs[position]()
        row = Row(table, position)
        if task is None:
            self._end(row)
            return
        types = known()
        if not row.is_marked(MET) and self._is_measured_soon:
            return
        waiter = types.awaited(task)
        if waiter is None:
            if row.state == schema.STATE_DONE_HELD:
                self._unretrieved.look(row, types.is_unretrieved(task))
                return
        elif row.key() is waiter:
            self._note_activity(row)
            return
        if row.is_marked(MET):
            row.moves += 1
            self._note_activity(row)
        self._look(position, task, types)
        for tell in self.on_moved:
            tell(row, task)

    def look(self, position, task):
        """Write down what a task does, if that has not been done: it is in the processor's cache now."""
        if not self._table.columns.marks[position] & MET:
            self._look(position, task, known())

    def _note_activity(self, row):
        """A task has been looked at, as all others have: their looks are counted together."""
        looks = self._table.looks - row.since
        note_share(self._table, row, looks)
        if looks >= MOST:  # what was long ago counts half
            row.moves >>= 1
            row.since = self._table.looks - (looks >> 1)

    def _look(self, position, task, types):
        """Write down what a task does now."""
        table, columns = self._table, self._table.columns
        waiter = types.awaited(task)
        coroutine = types.coroutine(task)
        table.keys[position] = _ANYTHING if waiter is None else ref(waiter)
        where, waiting, queued = self.describer.described(coroutine, waiter)
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
        return schema.STATE_RUNNING if self.describer.is_running(coroutine) else schema.STATE_READY


class Met:
    """Which weak references have been met: answered for most of them at once, in 0.1 us.

    A place keeps the position of the last one that came there, and others that share it are asked about in full. Places
    come in parts, which take memory when they are needed: a megabyte at once would take milliseconds.
    """

    PART = 4096  # places
    _UNUSED = memoryview(bytes(4 * PART)).cast("i")

    def __init__(self, table):
        self._table = table
        self._make(1)

    def _make(self, parts):
        self._mask = parts - 1
        self._parts = [self._UNUSED] * parts

    @property
    def bytes(self):
        """How much memory it takes."""
        return sum([part.nbytes for part in self._parts if part is not self._UNUSED])

    def new(self, references):
        """Return those of the references that may not have been met."""
        refs, parts, mask = self._table.refs, self._parts, self._mask
        if not refs:
            return references
        return [each for each in references if refs[parts[id(each) >> 16 & mask][id(each) >> 4 & 4095]] is not each]

    def note(self, reference, position):
        """This reference has been met, and its row is at this position."""
        if self._table.count > self.PART * len(self._parts):
            self._make(4 * len(self._parts))
        place = id(reference) >> 16 & self._mask
        if self._parts[place] is self._UNUSED:
            self._parts[place] = memoryview(bytearray(4 * self.PART)).cast("i")
        self._parts[place][id(reference) >> 4 & 4095] = position

    def drop(self):
        """Let go of it."""
        self._make(1)


def _tasks_of(all_tasks, loop):
    """Weak references to all tasks of a loop; the strong ones that asyncio returns end at once."""
    found = loop()
    if found is None or all_tasks is None:
        return []
    tasks = all_tasks(found)
    references = list(map(ref, tasks))
    tasks.clear()
    return references
