"""All asyncio tasks of the process: which there are, and whether they have moved.

Where asyncio keeps them: `_all_tasks` up to 3.11, `_scheduled_tasks` and `_eager_tasks` in 3.12 and 3.13, and since
3.14 lists per thread that only `all_tasks(loop)` reads; tasks written in Python are still in `_scheduled_tasks` then.
"""

import sys
from _weakref import ref

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import attribute
from pyobserver.agent.describe import Describer
from pyobserver.agent.loops import Loops
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

_KNOWN_AT_ONCE = 500  # weak references looked at between two looks at the clock
_UNMOVED_AT_ONCE = 30
_ENUMERATE_SECONDS = 0.5
_SWEEP_SECONDS = 1.0


class TaskProbe:
    """Keeps the rows of tasks true. `complete` once all tasks that were there have been met.

    `on_new` and `on_moved` get a row and its task, within the slice; `on_ended` gets a row.
    """

    def __init__(self, agent, loop_hint):
        self.complete = False
        self.describer = Describer(agent.table, agent.clock)
        self.loops = Loops(agent, loop_hint)
        self.on_new = []
        self.on_moved = []
        self.on_ended = []
        self._agent = agent
        self._table = agent.table
        self._by_reference = {}  # id of the weak reference -> row; the row keeps the reference, and so the id
        self._by_address = {}
        self.kinds = set()  # ids of the types of tasks that the scanner knows
        self._enumerate_job = Job("tasks", _ENUMERATE_SECONDS, self._enumerate)
        self._sweep_job = Job("states", _SWEEP_SECONDS, self._sweep)

    def jobs(self):
        """What is done again and again."""
        return [self._enumerate_job, self._sweep_job]

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._by_address, self._by_reference]

    def close(self):
        """Let go of files."""
        self.describer.close()

    def row_of(self, task):
        """Return the row of a task, None if it has none."""
        row = self._by_address.get(id(task))
        return row if row is not None and row.ref() is task else None

    def row_at(self, address):
        """Return the row of the task with this id, None if it has none."""
        return self._by_address.get(address)

    def references(self):
        """Weak references to all tasks."""
        return [row.ref for row in self._by_reference.values()]

    def rows(self):
        """All rows of tasks."""
        return self._by_reference.values()

    # -- which there are ----------------------------------------------------------------------------------------------

    def _enumerate(self, now):
        for source in self._sources():
            references = source()
            for start in range(0, len(references), _KNOWN_AT_ONCE):
                for reference in references[start : start + _KNOWN_AT_ONCE]:
                    if id(reference) not in self._by_reference:
                        self._meet(reference)
                        if now.over():
                            now = yield
                if now.over():
                    now = yield
        if not self.complete:
            self.complete = True
            self._sweep_job.hurry()

    def _sources(self):
        """Functions that return lists of weak references to tasks."""
        module = sys.modules.get("asyncio.tasks")
        if module is None:
            return
        names = module.__dict__
        for name in ("_all_tasks", "_scheduled_tasks"):
            held = attribute(names.get(name), "data") if name in names else None
            if type(held) is set:
                yield lambda held=held: list(held)
        if type(names.get("_eager_tasks")) is set:
            yield lambda: list(map(ref, names["_eager_tasks"]))
        if sys.version_info >= (3, 14):
            self.loops.look_for()
            for loop in self.loops.references():
                yield lambda loop=loop: _tasks_of(names.get("all_tasks"), loop)

    def _meet(self, reference):
        task = reference()
        if task is None:
            return
        types = known()
        if not types.is_task(task):
            return
        row = self.row_of(task)
        if row is not None:  # known by another weak reference
            return
        row = self._table.add_row(schema.KIND_TASK)
        if row is None:
            return
        row.ref = reference
        row.address = id(task)
        row.created = self._agent.wall()
        if not self.complete:
            row.flags |= schema.FLAG_AGE_IS_MINIMUM
        self._by_reference[id(reference)] = row
        self._by_address[row.address] = row
        if id(type(task)) not in self.kinds:
            self.kinds.add(id(type(task)))
            self._agent.scanner.add_barrier(type(task))
        coroutine = types.coroutine(task)
        row.function = self._table.texts.intern(self.describer.function(coroutine))
        row.name = self.describer.name(task)
        row.loop = self.loops.node_of(types.loop(task))
        row.parent, row.edge = row.loop, schema.EDGE_RUNS
        self._look(row, task, types)
        for tell in self.on_new:
            tell(row, task)

    def _end(self, row):
        del self._by_reference[id(row.ref)]
        if self._by_address.get(row.address) is row:
            del self._by_address[row.address]
        self._table.remove(row.id)
        for tell in self.on_ended:
            tell(row)

    # -- whether they have moved --------------------------------------------------------------------------------------

    def _sweep(self, now):
        rows = list(self._by_reference.values())
        unmoved = 0
        for row in rows:
            task = row.ref()
            if task is None:
                self._end(row)
            elif row.state == schema.STATE_DONE_HELD or not self._check(row, task):
                unmoved += 1
                if unmoved % _UNMOVED_AT_ONCE:
                    continue
            if now.over():
                task = None
                now = yield
        self.loops.sweep()

    def _check(self, row, task):
        """Look whether a task has run since; return whether it has."""
        types = known()
        waiter = types.awaited(task)
        row.checks += 1
        if waiter is not None and row.key is not None and row.key() is waiter:
            self._note_activity(row)
            return False
        row.moves += 1
        self._note_activity(row)
        self._look(row, task, types)
        for tell in self.on_moved:
            tell(row, task)
        return True

    def _note_activity(self, row):
        if row.checks >= 64:
            row.checks, row.moves = row.checks // 2, row.moves // 2
        share = row.moves / row.checks
        if not abs(share - row.activity) < 0.02:  # also when it was not a number
            row.activity = share
            self._table.touch(row)

    def _look(self, row, task, types):
        """Write down what a task does now."""
        waiter = types.awaited(task)
        coroutine = types.coroutine(task)
        row.key = None if waiter is None else ref(waiter)
        changed = self.describer.describe(row, coroutine, waiter)
        if not types.is_pending(task):
            state = schema.STATE_DONE_HELD
        elif waiter is not None:
            state = schema.STATE_WAITING
        elif self.describer.is_running(coroutine):
            state = schema.STATE_RUNNING
        else:
            state = schema.STATE_READY
        if changed or state != row.state:
            row.state = state
            self._table.touch(row)


def _tasks_of(all_tasks, loop):
    """Weak references to all tasks of a loop; the strong ones that asyncio returns end at once."""
    found = loop()
    if found is None or all_tasks is None:
        return []
    tasks = all_tasks(found)
    references = list(map(ref, tasks))
    tasks.clear()
    return references
