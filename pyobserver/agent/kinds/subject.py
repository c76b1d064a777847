"""How the things behind the rows of one kind are looked into: what they run, whether now, and what they retain."""

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import weakly


class Subject:
    """Those that are themselves a coroutine or a generator; other kinds say what is different with them.

    `is_counted`: they count among what has to be measured before a picture is complete, and a lower bound is tried
    again. Otherwise they are measured when there is time, as one that cannot be measured would be waited for.
    `is_seen_in_full`: what they retain is more than a lower bound. `is_apart`: what another one retains never counts
    them, as the scanner knows their type.
    """

    is_counted = True
    is_seen_in_full = True
    is_apart = True
    tells_moves = True  # `has_moved` is right; else nothing tells whether one has run, and it says that each has
    has_chain = True  # it runs coroutines that await each other
    why_not = ""  # none of those that go on can be measured, in a sentence
    note = ""  # what the memory of such a row means, where that does not go without saying

    def __init__(self, agent):
        self._agent = agent

    def coroutine(self, thing):
        """Return the coroutine or generator that it runs, None if there is none."""
        return thing

    def frames(self, thing):
        """Return the chain of those that call each other, outermost first, as [qualified name, file, line or None]."""
        return self._agent.tasks.describer.frames(self.coroutine(thing)) if self.has_chain else []

    def made(self, thing):
        """Return "file:line function" of where it was made, "" where it does not know that itself."""
        return ""

    def maker(self, thing):
        """Return the row of what has made it, None where it does not know that itself."""
        return

    def is_executing(self, thing):
        """Return whether it is being executed now, so that not all it refers to can be seen."""
        return self._agent.tasks.describer.is_running(self.coroutine(thing))

    def scan(self, thing, deadline):
        """Return the `Measure` of what it retains."""
        return self._agent.scanner.scan(thing, deadline)

    def scan_of_batch(self, thing, deadline):
        """As `scan`, in a batch of the scanner's."""
        return self.scan(thing, deadline)

    def judge(self, measure):
        """Set the accuracy of a `Measure` to less, where what it retains cannot be seen in full."""

    def breakdown(self, thing, deadline, preview=None):
        """Return the `Breakdown` of what it retains; `preview` shows values."""
        return self._agent.scanner.breakdown(thing, deadline, preview)

    # -- in a group ---------------------------------------------------------------------------------------------------

    def stack(self, thing):
        """Return the frames that are scanned in its place, for one slice; None where it is scanned itself."""
        return

    def look(self, together, thing, deadline):
        """Return the `Look` of a `Together` at one of a group."""
        return together.scan(thing, deadline)

    def standing(self, thing):
        """Return what tells later that it has not run since, None where nothing does; nothing of the target is held."""
        return

    def has_moved(self, thing, standing):
        """Return whether it may have run since it had this `standing`, None when it has ended."""
        return True


class TaskSubject(Subject):
    """asyncio's tasks."""

    def coroutine(self, thing):
        """Return the coroutine of a task."""
        return known().coroutine(thing)

    def is_executing(self, thing):
        """Return whether a task is being executed now; it has let go of what it has awaited then."""
        types = known()
        if type(thing) is types.c_task and types.awaited(thing) is not None:
            return False
        return Subject.is_executing(self, thing)

    def scan_of_batch(self, thing, deadline):
        """Return the `Measure` of what it retains."""
        return self._agent.scanner.scan_of_batch(thing, deadline)

    def standing(self, thing):
        """Return a weak reference to what a task awaits."""
        waiter = known().awaited(thing)
        return None if waiter is None else weakly(waiter)

    def has_moved(self, thing, standing):
        """Return whether a task awaits something else by now."""
        types = known()
        if not types.is_pending(thing):
            return None if standing is not None else False
        return standing is None or standing() is not types.awaited(thing)
