"""Asynchronous generators that are suspended while no task works with them, each a row: what nobody has closed.

A loop has all that were begun in it in `_asyncgens`, trio in `Runner.asyncgens`. One that a task stands in, or has
among the variables of its coroutines, is the task's, which counts it. What a coroutine that is being executed refers to
cannot be seen, so that a generator gets a row only when at every task, now or before, it was seen to be elsewhere.
"""

from _weakref import ref
from gc import get_referents
from itertools import chain, islice

from pyobserver.agent.attributes import Function, attribute, code_of
from pyobserver.agent.kinds.created import HAS_FRAMES
from pyobserver.agent.kinds.subject import Subject
from pyobserver.agent.kinds.trio import runners, variables
from pyobserver.agent.lines import kind_of
from pyobserver.agent.runs import AsyncGenerator
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

MAX_GENERATORS = 5000
_SECONDS = 2.0
_AT_ONCE = 20
_has_a_state = "ag_suspended" in AsyncGenerator.__dict__  # 3.12 and later


class GeneratorSubject(Subject):
    """Asynchronous generators."""

    is_apart = False
    tells_moves = False  # a step may end where it has begun
    note = "a task counts it, too, if it is that task's alone by way of something among its variables"


class GeneratorProbe:
    """Keeps the rows of asynchronous generators that nobody works with true."""

    def __init__(self, agent):
        self.subject = GeneratorSubject(agent)
        self._agent = agent
        self._table = agent.table
        self._describer = agent.tasks.describer
        self._rows = {}  # id of a generator -> id of its row
        self._suspects = {}  # id of a generator -> ids of the rows of tasks that may have it: they were being executed
        self._places = {}  # id of a generator -> (weak reference, the Holding that a walk has found)

    def jobs(self):
        """What is done again and again."""
        return [Job("async generators", _SECONDS, self._look, rests=True)]

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._rows, self._suspects, self._places]

    def meet(self, thing, place):
        """Told by the walk of a coroutine or generator; `place()` returns the `Holding` of where it is."""
        if type(thing) is AsyncGenerator and len(self._places) < MAX_GENERATORS:
            holding = place()
            self._places[id(thing)] = (ref(thing), holding)
            row = self._table.rows.get(self._rows.get(id(thing), 0))
            if row is not None and row.ref() is thing:
                self._agent.ownership.hold(row, holding)

    def _look(self, now):
        idle = {}  # id of a generator -> (weak reference, node of its loop)
        for number, node in enumerate(self._loops()):
            start = 0
            while len(idle) < MAX_GENERATORS:
                looked = self._add_idle(idle, number, node, start)
                start += looked
                if now.over():
                    now = yield
                if looked < _AT_ONCE:
                    break
        executing = set()
        if idle:
            for count, row in enumerate(chain(self._agent.tasks.rows(), self._agent.trio.rows())):
                self._leave_out(idle, row, executing)
                if count % _AT_ONCE == 0 and now.over():
                    now = yield
            for count, (reference, _node) in enumerate(list(idle.values())):
                _leave_out_of(idle, reference())
                if count % _AT_ONCE == 0 and now.over():
                    now = yield
        now = yield from self._forget(idle, now)
        for count, (address, (reference, node)) in enumerate(idle.items()):
            self._judge(address, reference, node, executing)
            if count % _AT_ONCE == 0 and now.over():
                now = yield

    def _loops(self):
        """Return the nodes of all loops, asyncio's and then trio's, in the order of `_generators_of`."""
        loops = self._agent.tasks.loops
        nodes = [loops.node_of(reference()) for reference in loops.references()]
        return nodes + [self._agent.trio.node_of(runner) for runner in runners()]

    def _generators_of(self, number):
        """Return the set of weak references to the generators of one loop; None when there is no such loop any more."""
        references = self._agent.tasks.loops.references()
        if number < len(references):
            loop = references[number]()
            held = attribute(loop, "_asyncgens") if loop is not None else None
        else:
            of_trio = runners()
            if number - len(references) >= len(of_trio):
                return None
            held = attribute(attribute(of_trio[number - len(references)], "asyncgens"), "alive")
        found = attribute(held, "data") if held is not None else None
        return found if type(found) is set else None

    def _add_idle(self, idle, number, node, start):
        """Look at some generators of a loop, from the one at `start` on; return how many these were."""
        references = list(islice(self._generators_of(number) or (), start, start + _AT_ONCE))
        for reference in references:
            generator = reference() if type(reference) is ref else None
            if type(generator) is AsyncGenerator and is_idle(generator):
                idle[id(generator)] = (ref(generator), node)
        return len(references)

    def _leave_out(self, idle, row, executing):
        """Leave out those that are among the variables of a task, or note that these cannot be seen."""
        task = row.ref()
        if task is None:
            return
        coroutine = self._agent.subjects[row.kind].coroutine(task)
        if self._describer.is_running(coroutine):
            executing.add(row.id)
        for link in self._describer.chain(coroutine)[0]:
            _leave_out_of(idle, link)

    def _forget(self, idle, now):
        """End the rows of those that are not idle any more; return the slice."""
        for count, (address, number) in enumerate(list(self._rows.items())):
            if count % _AT_ONCE == 0 and now.over():
                now = yield
            row = self._table.rows.get(number)
            if row is None or address not in idle or row.ref() is not idle[address][0]():
                del self._rows[address]
                if row is not None:
                    self._agent.measure.forget(row)
                    self._table.remove(number)
        for known in (self._suspects, self._places):
            for address in [each for each in known if each not in idle]:
                del known[address]
        return now

    def _judge(self, address, reference, node, executing):
        """Add a row for one that no task can have."""
        suspects = self._suspects.get(address)
        suspects = self._suspects[address] = set(executing) if suspects is None else suspects & executing
        if suspects or address in self._rows:
            return
        generator = reference()
        if generator is None or not is_idle(generator):  # any more: to look at all tasks may have taken long
            return
        row = self._table.add_row(schema.KIND_ASYNC_GENERATOR)
        if row is None:
            return
        row.ref = reference
        row.created = self._agent.wall()
        row.flags = schema.FLAG_AGE_IS_MINIMUM
        row.state = schema.STATE_WAITING
        row.function = self._table.texts.intern(self._describer.function(generator))
        row.where = self._describer.where(generator)
        row.waiting = self._table.texts.intern("its consumer")
        row.loop = row.parent = node
        row.edge = schema.EDGE_HOLDS
        self._rows[address] = row.id
        place, holding = self._places.get(address, (None, None))
        if holding is not None and place() is generator:
            self._agent.ownership.hold(row, holding)
        self._agent.measure.add(row)


def is_idle(generator):
    """Return whether a generator that was begun is suspended, and not within a step that somebody waits for."""
    kind = kind_of(generator)
    if kind.is_running(generator) or kind.awaited(generator) is not None:
        return False
    if _has_a_state:
        return bool(_suspended(generator))
    if HAS_FRAMES:
        return kind.frame(generator) is not None
    code = kind.code(generator)  # the frame of one that has ended leads to nothing
    return any(type(each) is Function and code_of(each) is code for each in get_referents(generator))


_suspended = AsyncGenerator.__dict__["ag_suspended"].__get__ if _has_a_state else None


def _leave_out_of(idle, link):
    """Leave out those that a coroutine or generator refers to by its variables."""
    if link is None or kind_of(link) is None:
        return
    for each in variables(link):
        if type(each) is AsyncGenerator:
            idle.pop(id(each), None)
