"""One scan: a walk, the estimates of what is too large for it, and the search for cycles, all within one slice."""

from pyobserver.agent.retention.cycles import Trial
from pyobserver.agent.retention.glance import owns_no_cycle
from pyobserver.agent.retention.parts import Part, parts_of
from pyobserver.agent.retention.sampling import ENOUGH, Sampler
from pyobserver.agent.retention.walk import OWNED, Walk
from pyobserver.protocol.schema import AT_LEAST, EXACT, SAMPLED

LIMIT = 20000  # objects that one scan looks at in full, at most (2.5 MB for the time of the scan)
FIRST = 0.45  # of the time: for the walk, before estimates are made
ROUNDS = 3  # of looking into large containers which turn out to hold large containers
OF_SIZES = 0.03  # share of an estimate by which sizes are off: an int takes four bytes more than it says, and such
GOOD_ENOUGH = 0.01  # error of an estimate that needs no more elements


class Scan:
    """A scan of one root, or of several together; `run` it once.

    Afterwards: `walk`, with everything that is owned and was looked at; `parts`, estimates of the rest; `reached`
    (the walk was ended), `complete` (the search for cycles saw everything), `cyclic` (bytes that this has found).
    """

    parts = ()
    reached = complete = True
    cyclic = 0
    _sampler = None

    def __init__(self, walker, border, roots, deadline):
        self._walker = walker
        self._clock = walker.clock
        self._border = border
        self.nobodys = border.nobodys
        self._deadline = deadline
        self.walk = Walk(roots)

    @property
    def sampler(self):
        """What weighs entries for this scan; most scans need none."""
        if self._sampler is None:
            self._walker.kinds.containers.begin_scan()
            self._sampler = Sampler(self._walker, self._border, self.walk.counts)
        return self._sampler

    def run(self):
        """Look at as much as the time allows."""
        walk = self.walk
        now = self._clock()
        left = self._deadline - now
        self._border.seconds = left * 0.9
        reached = self._walker.exhaust(walk, self.nobodys, now + left * FIRST, LIMIT)
        if walk.large or not reached:
            self._settle(reached)
        elif owns_no_cycle(walk, self._walker.kinds, self._border):
            return
        if self.reached:
            stop = self._within(0.5 if self.parts else 0.9)
            self._border.seconds = stop - self._clock()
            trial = Trial(self._walker, walk, self._border, stop, self, self.parts)
            before = self.walk.bytes
            trial.run()
            self.cyclic = self.walk.bytes - before
            self.complete = trial.complete
            if walk.large:
                self._settle(True)
        elif self._border.admit(list(walk.pending), walk.pending)[0]:
            self.complete = False
        self._refine(self._within(0.85))

    def own(self, i):
        """Take a pending object as owned after all, with what it alone owns; return the bytes this adds."""
        walk = self.walk
        before = self.bytes()
        walk.counts[i] = OWNED
        walk.stack.append(walk.pending.pop(i))
        reached = self._walker.exhaust(walk, self.nobodys, self._within(0.5), LIMIT)
        if walk.large or not reached:
            self._settle(reached)
        return self.bytes() - before

    def bytes(self):
        """Return the bytes counted and estimated."""
        return self.walk.bytes + sum([part.bytes() for part in self.parts])

    def objects(self):
        """Return the number of objects counted and estimated."""
        estimated = [part.objects * part.scale() + (part.container is not None) for part in self.parts]
        return self.walk.objects + int(sum(estimated))

    def error(self):
        """Return half the width of the 95 % interval of `bytes`.

        It is what chance does to an estimate, and by what sizes are off themselves: the more of the two where many
        entries are much alike.
        """
        estimated = sum([part.bytes() for part in self.parts])
        return sum([part.error() ** 2 for part in self.parts]) ** 0.5 + OF_SIZES * estimated

    def accuracy(self):
        """Return one of the accuracies of the protocol."""
        if not self.complete or self.walk.skipped:
            return AT_LEAST
        if not self.parts:
            return EXACT
        total = self.bytes()
        matter = [part for part in self.parts if part.total and (not part.seen or part.bytes() * 100 > total)]
        return SAMPLED if all(part.is_estimate() for part in matter) else AT_LEAST

    def _within(self, share):
        """Return when so large a share of the time that is left will be over."""
        now = self._clock()
        return now + (self._deadline - now) * share

    def _settle(self, reached):
        """Walk through what was set aside, or not reached, if there is time for it, else estimate it."""
        walk = self.walk
        for _ in range(ROUNDS):
            chosen = self._choose(parts_of(walk, reached))
            if not chosen:
                return
            before = walk.bytes, walk.objects
            walk.expand = set(walk.expand)
            for part in chosen:
                if part.container is None:
                    walk.stack += part.entries
                else:
                    walk.expand.add(id(part.container))
                    walk.stack.append(part.container)
            reached = self._walker.exhaust(walk, self.nobodys, self._within(0.7), LIMIT)
            if not reached:  # it took longer than it seemed: the estimates have to do
                walk.bytes, walk.objects = before
                walk.large, walk.stack = [], []
                self._leave(chosen)
                return
        rest = parts_of(walk, True)
        self._weigh(rest)
        self._leave(rest)

    def _choose(self, parts):
        """Return those that can be walked through in half the time that is left; the others are estimated."""
        self._weigh(parts)
        seconds = (self._deadline - self._clock()) * 0.5
        objects = LIMIT * 0.9 - self.walk.objects
        chosen = []
        for part in sorted(parts, key=Part.cost):
            seconds -= part.cost()
            objects -= part.objects * part.scale()
            if part.seen and not part.cut and seconds >= 0 and objects >= 0:
                chosen.append(part)
            else:
                self._leave([part])
        return chosen

    def _weigh(self, parts):
        """Weigh some entries of each part, so that each gets its share of the time."""
        stop = self._within(0.4)
        leaf = self._walker.kinds.sizes.leaf
        self.sampler.targets = {i for i, o in self.walk.pending.items() if id(type(o)) not in leaf}
        for done, part in enumerate(parts):
            now = self._clock()
            self.sampler.weigh(part, now + (stop - now) / (len(parts) - done))

    def _leave(self, parts):
        """Let these be estimates."""
        self.parts = [*self.parts, *parts]
        if any(part.unreached for part in parts):
            self.reached = False

    def _refine(self, stop):
        """Weigh more entries where it helps most."""
        while self.parts and self._clock() < stop:
            part = max(self.parts, key=Part.error)
            before = part.seen
            if before >= ENOUGH or not part.total or part.error() <= GOOD_ENOUGH * self.bytes():
                return
            self.sampler.weigh(part, stop)
            if part.seen == before:
                return
