"""How much memory a task retains: the bytes that would be freed if it went away, measured inside the target.

All of one measurement lies within one slice: while nothing else runs, reference counts are a consistent picture, and no
reference held here can become the last one. Nothing of the target is held when a call has returned.
"""

import sys

from pyobserver.agent.greenlet_types import HAS_FRAMES
from pyobserver.agent.retention.breakdown import Breakdown, breakdown
from pyobserver.agent.retention.kinds import Kinds
from pyobserver.agent.retention.naming import Naming
from pyobserver.agent.retention.scan import Scan
from pyobserver.agent.retention.selfcheck import self_check
from pyobserver.agent.retention.sharing import Border, BorderOfGroup, Shared
from pyobserver.agent.retention.together import Together
from pyobserver.agent.retention.walk import Walker
from pyobserver.protocol.schema import EXACT, UNAVAILABLE

_LEARN_SECONDS = 5.0


class Measure:
    """What was measured: bytes, the number of objects, an accuracy of the protocol, and the 95 % error in bytes."""

    __slots__ = ("accuracy", "bytes", "error", "objects")

    def __init__(self, bytes, objects, accuracy, error=0):
        self.bytes = bytes
        self.objects = objects
        self.accuracy = accuracy
        self.error = error


class Scanner:
    """Measures one root after another; `clock` is like `time.perf_counter`.

    A root is a task, a coroutine, a generator, or any object. What refers to the root does not matter, only what it
    refers to. A task that is executing cannot be measured: its locals are not all visible. All calls belong into a
    slice, which `begin_slice` begins, after a real sleep and shorter than the switch interval.
    """

    def __init__(self, clock):
        self._kinds = Kinds()
        self._walker = Walker(clock, self._kinds)
        self._shared = Shared(clock, self._kinds)
        self._clock = clock
        self._batch = set()  # ids of its tasks
        self._learns_at = 0.0

    def add_barrier(self, tp):
        """Do not walk through instances of `tp` and of its subclasses: each is a row of its own."""
        self._kinds.add_barrier(tp)

    def name_by(self, slots):
        """Have local variables named by a `Slots`; before, none has a name."""
        self._walker.slots = slots

    def learn_libraries(self):
        """Look what the target has loaded of asyncio, uvloop and numpy; imports nothing."""
        if type(sys.modules) is dict:
            self._kinds.learn_libraries(sys.modules)

    def begin_slice(self):
        """Forget what may not be true any more: the classes seen, and after a while what is shared."""
        self.begin_batch()
        self._kinds.begin_slice()
        self._shared.begin_slice()
        if self._clock() >= self._learns_at:  # the program may have loaded more meanwhile
            self._learns_at = self._clock() + _LEARN_SECONDS
            self.learn_libraries()

    def scan(self, root, deadline):
        """Return the `Measure` of what `root` retains, found before the clock shows `deadline`."""
        return self._measured(Border(self._shared, id(root)), [root], deadline)

    def begin_batch(self):
        """Begin with scans between which nothing else can run: the interpreter lock is not let go of until the last."""
        self._shared.begin_batch()
        self._batch.clear()

    def scan_of_batch(self, task, deadline):
        """As `scan`. What other tasks of the batch hold is not looked at again: it is not this one's."""
        if id(type(task)) not in self._kinds.barrier:  # it may belong to another
            return self.scan(task, deadline)
        if id(task) in self._batch:
            self.begin_batch()
        self._batch.add(id(task))
        scan = Scan(self._walker, Border(self._shared, id(task), True), [task], deadline)
        measure = _run(scan)
        self._shared.see(scan.walk.pending)
        return measure

    def scan_together(self, roots, deadline):
        """Return the `Measure` of what would be freed if all `roots` went away."""
        return self._measured(BorderOfGroup(self._shared), list(roots), deadline)

    def scan_stack(self, greenlet, frames, deadline):
        """Return the `Measure` of what a suspended greenlet's functions retain by their variables, with these frames.

        Nothing that it refers to itself is shown to the collector, up to 3.14.
        """
        self._kinds.look_into_frames(frames)
        try:
            found = self._measured(BorderOfGroup(self._shared), frames, deadline)
        finally:
            self._kinds.edges.frames = {}
        found.bytes += self.bytes_beside(greenlet, frames)
        return found

    def bytes_beside(self, greenlet, frames):
        """Return by how many bytes a suspended greenlet takes more than what its frames are found to retain."""
        size_of = self._kinds.size_of
        kept = sum(map(size_of, frames)) if HAS_FRAMES else 0  # a code keeps one frame for its next call
        return size_of(greenlet) - kept

    def together(self):
        """Return a `Together`, which finds what many roots retain together over as many slices as it takes."""
        return Together(self._walker, self._shared)

    def naming(self, together):
        """Return a `Naming` of what a `Together` has found."""
        return Naming(together, self._walker)

    def breakdown(self, root, deadline, preview=None):
        """Return the `breakdown.Breakdown` of what `root` retains; it needs 2 ms, and names less if it has less."""
        now = self._clock()
        left = deadline - now
        scan = Scan(self._walker, Border(self._shared, id(root)), [root], now + left * 0.4)
        measure = _run(scan)
        if measure.accuracy == UNAVAILABLE:
            return Breakdown([], [], measure)
        return breakdown(self._walker, scan, [root], measure, now + left * 0.7, deadline, preview)

    def self_check(self):
        """Return "ok", or a sentence that says why no memory can be shown on this interpreter."""
        return self_check(self, self._clock)

    def _measured(self, border, roots, deadline):
        return _run(Scan(self._walker, border, roots, deadline))


def _run(scan):
    try:
        scan.run()
    except Exception:  # a type in C whose size cannot be asked for, or no memory
        return Measure(0, 0, UNAVAILABLE)
    walk = scan.walk
    if scan.complete and not scan.parts and not walk.skipped:  # what the next line says, but it is asked very often
        return Measure(walk.bytes, walk.objects, EXACT)
    return Measure(int(scan.bytes()), scan.objects(), scan.accuracy(), int(scan.error()))
