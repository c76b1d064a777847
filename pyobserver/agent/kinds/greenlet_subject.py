"""How a greenlet is looked into: its stack, where it was made, and what it retains as far as that can be seen."""

from pyobserver.agent.greenlet_types import known
from pyobserver.agent.kinds.greenlet_stacks import spawner_of
from pyobserver.agent.kinds.subject import Subject
from pyobserver.agent.retention.breakdown import Breakdown
from pyobserver.agent.retention.scanner import Measure
from pyobserver.protocol import schema

_WHICH = (
    "greenlets are found from modules, threads, stacks and each other, or while they are young: there may be more that"
    " only the event loop's C code refers to"
)

_NOT_SEEN = "what a suspended one retains cannot be seen on this version of Python or of greenlet"


class GreenletSubject(Subject):
    """Greenlets: what those which are suspended retain is seen in part, as what lies on their stacks is not."""

    is_counted = False
    is_seen_in_full = False
    tells_moves = False  # it may come back to where it was, in the same frames
    has_chain = False

    def __init__(self, agent, probe):
        Subject.__init__(self, agent)
        self._probe = probe

    @property
    def why_not(self):
        """Why those that are suspended cannot be measured."""
        greenlets = known()
        return "" if greenlets is None or greenlets.has_variables else _NOT_SEEN

    @property
    def note(self):
        """Which greenlets are shown, and what is not counted."""
        greenlets = known()
        found = [_WHICH]
        if greenlets.has_variables:
            found.append("counts what its functions' variables alone hold, not what lies on their stack, nor C's")
        else:
            found.append(_NOT_SEEN)
        if not greenlets.has_chain:
            found.append("of its stack only the innermost function can be seen here")
        return "; ".join(found)

    def coroutine(self, thing):
        """Return None: it runs functions."""
        return

    def frames(self, thing):
        """Return the stack, outermost first, as [qualified name, file, line]."""
        greenlets = known()
        if self.is_executing(thing) or not greenlets.is_active(thing):
            return []
        return self._probe.stacks.chain(greenlets.frames(thing))

    def made(self, thing):
        """Return where it was made."""
        return self._probe.stacks.made(thing)

    def maker(self, thing):
        """Return the row of the greenlet in which it was made."""
        spawner = spawner_of(thing)
        return None if spawner is None else self._probe.row_at(id(spawner))

    def is_executing(self, thing):
        """Return whether it runs now, in whatever thread."""
        return self._probe.is_running(thing)

    def scan(self, thing, deadline):
        """Return the `Measure` of what can be seen of what it retains."""
        greenlets = known()
        if not greenlets.is_active(thing):
            return self._agent.scanner.scan(thing, deadline)
        if not greenlets.has_variables:
            return Measure(0, 0, schema.UNAVAILABLE)
        found = self._agent.scanner.scan_stack(thing, greenlets.frames(thing), deadline)
        found.bytes += greenlets.saved(thing)
        return found

    def stack(self, thing):
        """Return the frames of one that is suspended."""
        greenlets = known()
        return greenlets.frames(thing) if greenlets.is_active(thing) else None

    def look(self, together, thing, deadline):
        """Return the `Look` of a `Together` at what can be seen of what it retains."""
        frames = self.stack(thing)
        found = together.scan(thing, deadline, frames)
        if frames is not None:
            found.bytes += self._agent.scanner.bytes_beside(thing, frames) + known().saved(thing)
        return found

    def judge(self, measure):
        """Say of what was counted that it is at least so much; an estimate has its error."""
        if measure.accuracy == schema.EXACT:
            measure.accuracy = schema.AT_LEAST

    def breakdown(self, thing, deadline, preview=None):
        """Return a `Breakdown` with nothing but the sum of one that is suspended: it has no single root."""
        if known().is_active(thing):
            found = Breakdown([], [], self.scan(thing, deadline))
        else:
            found = self._agent.scanner.breakdown(thing, deadline, preview)
        self.judge(found.measure)
        return found
