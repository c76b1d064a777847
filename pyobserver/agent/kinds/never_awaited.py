"""Coroutines that were made, are kept, and have not begun to run: each a row under what holds it.

The walk for holders meets them, as it looks into everything that the program can reach. The coroutine of a task that
has not had its turn is not met, as the walk does not look into tasks. Who keeps one only for a moment is not meant:
it gets a row when it has not begun some seconds after it was met.
"""

from _weakref import ref

from pyobserver.agent.kinds.created import Beginnings, may_be_created
from pyobserver.agent.kinds.subject import Subject
from pyobserver.agent.runs import Coroutine
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

MAX_COROUTINES = 5000  # rows, and as many that may become one
_SECONDS = 1.0
_PATIENCE_SECONDS = 2.0
_AT_ONCE = 20


class NeverAwaitedSubject(Subject):
    """Coroutines that have not begun."""

    is_apart = False
    note = "it has not begun to run: what is freed with it are its arguments, as far as nobody else has them"

    def has_moved(self, thing, standing):
        """Return None when it has begun: it is another's then. (One closed before it began may keep all it had.)"""
        return False if may_be_created(thing) else None


class NeverAwaitedProbe:
    """Keeps the rows of coroutines that have not begun true."""

    def __init__(self, agent):
        self.subject = NeverAwaitedSubject(agent)
        self._agent = agent
        self._table = agent.table
        self._beginnings = Beginnings(agent.tasks.describer.memory)
        self._met = {}  # id of a coroutine -> (weak reference, its Holding, when it was met)
        self._rows = {}  # id of a coroutine -> id of its row
        self._has_told = False

    def jobs(self):
        """What is done again and again: nothing where it cannot be told whether a coroutine has begun."""
        return [Job("never awaited", _SECONDS, self._look, rests=True)] if self._beginnings.can_tell() else []

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._met, self._rows]

    def meet(self, thing, place):
        """Told by the walk of a coroutine or generator; `place()` returns the `Holding` of where it is."""
        if type(thing) is not Coroutine or not may_be_created(thing):
            return
        row = self._table.rows.get(self._rows.get(id(thing), 0))
        if row is not None and row.ref() is thing:
            self._agent.ownership.hold(row, place())
        elif len(self._rows) + len(self._met) < MAX_COROUTINES:
            known = self._met.get(id(thing))
            since = known[2] if known is not None and known[0]() is thing else self._agent.clock()
            self._met[id(thing)] = (ref(thing), place(), since)
        elif not self._has_told:
            self._has_told = True
            self._agent.problem("of the coroutines never awaited, only %d are listed" % MAX_COROUTINES)

    def _look(self, now):
        if (self._rows or self._met) and now.left() < 0.5 * now.seconds:
            now = yield
        for count, (address, number) in enumerate(list(self._rows.items())):
            row = self._table.rows.get(number)
            if row is None or not self._beginnings.is_created(row.ref):
                self._end(address, row)
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        for count, (address, (reference, holding, since)) in enumerate(list(self._met.items())):
            if not self._beginnings.is_created(reference):
                del self._met[address]
            elif self._agent.clock() - since >= _PATIENCE_SECONDS:
                del self._met[address]
                self._add(reference, holding)
            if count % _AT_ONCE == 0 and now.over():
                now = yield

    def _add(self, reference, holding):
        coroutine = reference()
        row = self._table.add_row(schema.KIND_NEVER_AWAITED) if coroutine is not None else None
        if row is None:
            return
        describer = self._agent.tasks.describer
        row.ref = reference
        row.created = self._agent.wall() - _PATIENCE_SECONDS
        row.flags = schema.FLAG_AGE_IS_MINIMUM | schema.FLAG_LINE_IS_DEF
        row.state = schema.STATE_WAITING
        row.waiting = self._table.texts.intern("its first await")
        row.function = self._table.texts.intern(describer.function(coroutine))
        row.where = self._table.texts.intern(describer.definition(coroutine))
        self._rows[id(coroutine)] = row.id
        self._agent.ownership.hold(row, holding)
        self._agent.measure.add(row)

    def _end(self, address, row):
        del self._rows[address]
        if row is not None:
            self._agent.measure.forget(row)
            self._table.remove(row.id)
