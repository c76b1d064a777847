"""Estimates for what is too large to be looked at in full: some elements are weighed, and speak for all.

An element belongs to its container if nothing else refers to it, except what it owns itself. It is weighed by a walk of
its own, and what is large inside it is sampled again, with fewer elements. The error is the 95 % interval of the mean.
"""

from sys import getrefcount, getsizeof

from pyobserver.agent.cycles import Trial
from pyobserver.agent.sharing import BorderOfSample
from pyobserver.agent.walk import IN_LOOP, OWNED, Walk

NUMBERS = (40, 10, 4)  # elements of one part, by how deep it lies
LIMITS = (400, 120, 40)  # objects that one element is followed to, by how deep it lies
TRIAL_BOUND = 300
ENOUGH = 400  # elements of one part
MOST_PARTS = 12  # containers in one element, or in one task, that are sampled one by one
NOTICEABLE = 128  # bytes from which on it matters that something else refers to a string


class Part:
    """One population: the entries of a container, or objects that are owned but were not expanded.

    `seen` entries were weighed. Of `loose` ones it cannot be said to whom they belong, `cut` ones were not weighed to
    their end; for both nothing, or too little, is counted.
    """

    __slots__ = (
        *("container", "cut", "entries", "far", "loose", "near", "objects", "own", "seconds", "seen", "squares"),
        *("sum", "total", "unseen"),
    )

    def __init__(self, container=None, entries=None):
        self.container = container
        self.entries = entries
        self.total = 0 if entries is None else len(entries)
        self.seen = self.sum = self.squares = self.objects = self.loose = self.cut = self.unseen = 0
        self.seconds = 0.0
        self.near = [0, 0]  # entries and bytes from the front of a dict
        self.far = [0, 0]
        self.own = 0  # bytes of the container itself

    def add(self, size, is_near):
        """Count one entry."""
        self.seen += 1
        self.sum += size
        self.squares += size * size
        end = self.near if is_near else self.far
        end[0] += 1
        end[1] += size

    def bytes(self):
        """Return the estimate for the container and all its entries."""
        return self.own + self.sum * self.scale()

    def scale(self):
        """Return for how many entries each that was seen stands."""
        return self.total / self.seen if self.seen else 0.0

    def cost(self):
        """Return about how many seconds it takes to walk through all: weighing one by one takes twice as long."""
        return self.seconds * self.scale() / 2

    def error(self):
        """Return half the width of the 95 % interval of `bytes`."""
        k = self.seen
        if k < 2:
            return self.sum * self.scale()
        variance = max(0.0, self.squares - self.sum * self.sum / k) / (k - 1)
        quantile = 1.96 + 2.5 / (k - 1)  # of Student's distribution, to 2 % from 8 entries on
        error = quantile * self.total * (variance / k * max(0.0, 1 - k / self.total)) ** 0.5
        if self.unseen and self.near[0] and self.far[0]:
            slope = abs(self.near[1] / self.near[0] - self.far[1] / self.far[0])
            error = max(error, slope * self.unseen / 2)
        return error

    def is_estimate(self):
        """Return whether this can be shown as an estimate, rather than as a lower bound."""
        return self.seen >= 8 and (self.loose + self.cut) * 20 <= self.seen


def parts_of(walk, finished):
    """Return what a walk set aside or did not reach as a list of `Part`, and take it out of the walk."""
    large, walk.large = walk.large, []
    if len(large) > MOST_PARTS:
        parts = [Part(entries=large)]
    else:
        parts = [Part(container) for container in large]
    if not finished and walk.stack:
        parts.append(Part(entries=walk.stack[:]))
        del walk.stack[:]
    return parts


class Sampler:
    """Weighs elements for one scan; what the scan's own walk has counted is not followed again."""

    def __init__(self, walker, shared, counts):
        self._walker = walker
        self._clock = walker.clock
        self._kinds = walker.kinds
        self._shared = shared
        self._border = BorderOfSample(shared, counts)

    def weigh(self, part, stop, number=None, depth=0):
        """Weigh some more entries of a part, until `stop` at the latest."""
        number = number or NUMBERS[depth]
        if part.container is not None:
            part.own = self._kinds.size_of(part.container)
        begun = self._clock()
        if begun >= stop:
            return
        if part.container is None:
            self._weigh_owned(part, stop, number, depth)
        else:
            self._weigh_entries(part, stop, number, depth)
        part.seconds += self._clock() - begun

    def _weigh_owned(self, part, stop, number, depth):
        chance = self._kinds.containers.chance
        for at in {chance(part.total) for _ in range(number)}:
            size = self._weigh_one(part, part.entries[at], 0, stop, depth)
            if self._clock() >= stop and part.seen:
                break
            part.add(size, True)

    def _weigh_entries(self, part, stop, number, depth):
        container = part.container
        picked = self._kinds.containers.pick(container, number)
        part.total = picked.total
        part.unseen = picked.unseen
        objects, width = picked.objects, picked.width
        extra = []
        for o in objects:
            extra.append(getrefcount(o) - IN_LOOP - 1)
        o = None
        for at in range(0, len(objects), width):
            size = 0
            for i in range(at, at + width):
                if id(type(objects[i])) not in self._kinds.barrier:
                    size += self._weigh_one(part, objects[i], extra[i], stop, depth)
            if self._clock() >= stop and part.seen:
                break
            part.add(size, at < picked.near * width)

    def _weigh_one(self, part, o, extra, stop, depth):
        """Return the bytes of an object and of what it owns; 0 if it has more of the `extra` references than it has
        itself: then it belongs to more than the container."""
        if id(type(o)) in self._kinds.sizes.leaf:
            size = getsizeof(o)
            if extra > 0:
                part.loose += size >= NOTICEABLE
                return 0
            part.objects += 1
            return size
        if id(o) in self._shared.always:
            return 0
        walk = Walk((o,))
        finished = self._walker.exhaust(walk, self._shared.always, stop, LIMITS[depth])
        if finished:
            Trial(self._walker, walk, self._border, stop, TRIAL_BOUND).run()
        if extra > walk.counts[id(o)] - OWNED:
            part.loose += 1
            return 0
        size = walk.bytes
        part.objects += walk.objects
        for inner in parts_of(walk, finished):
            if depth + 1 < len(NUMBERS):
                self.weigh(inner, stop, depth=depth + 1)
                size += inner.bytes()
                part.objects += inner.objects * inner.scale()
            part.cut += not inner.seen
        return size
