"""Estimates for what is too large to be looked at in full: some entries are weighed, and speak for all.

An entry belongs to its container if nothing else refers to it, except what it owns itself. It is weighed by a walk of
its own, and what is large inside it is sampled again, with fewer entries. The error is the 95 % interval of the mean.
"""

from sys import getrefcount, getsizeof

from pyobserver.agent.retention.cycles import Trial
from pyobserver.agent.retention.parts import LINKS, parts_of
from pyobserver.agent.retention.sharing import BorderOfSample
from pyobserver.agent.retention.walk import IN_LOOP, OWNED, Walk

NUMBERS = (40, 10, 4)  # entries of one part, by how deep it lies
LIMITS = (400, 120, 40)  # objects that one entry is followed to, by how deep it lies
TRIAL_BOUND = 300
ENOUGH = 400  # entries of one part
NOTICEABLE = 128  # bytes from which on it matters that something else refers to a string


class Sampler:
    """Weighs entries for one scan. What the scan's own walk has counted is not followed again; references to what that
    left pending, `targets`, are told to the part."""

    def __init__(self, walker, border, counts):
        self._walker = walker
        self._clock = walker.clock
        self._kinds = walker.kinds
        self._nobodys = border.nobodys
        self._border = BorderOfSample(border, counts)
        self.targets = set()

    def weigh(self, part, stop, number=None, depth=0):
        """Weigh some more entries of a part, until `stop` at the latest."""
        number = number or NUMBERS[depth]
        if part.container is not None:
            part.own = self._kinds.size_of(part.container)
            part.total = self._kinds.containers.lengths[id(type(part.container))](part.container)
        begun = self._clock()
        if begun >= stop:
            return
        if part.container is None:
            self._weigh_owned(part, stop, number, depth)
        else:
            self._weigh_entries(part, stop, number, depth)
        part.seconds += self._clock() - begun

    def extra(self, picked):
        """Return how many references there are to each of the objects beside those of their container."""
        held, width = picked.held, len(picked.held)
        found = []
        for o in picked.objects:
            found.append(getrefcount(o) - IN_LOOP - held[len(found) % width])
        return found

    def owned(self, picked):
        """Return for each of the objects whether nothing but their container refers to it."""
        nobodys, barrier = self._nobodys, self._kinds.barrier
        found = self.extra(picked)
        for i, o in enumerate(picked.objects):
            found[i] = found[i] == 0 and id(o) not in nobodys and id(type(o)) not in barrier
        return found

    def _weigh_owned(self, part, stop, number, depth):
        chance = self._kinds.containers.chance
        for at in {chance(part.total) for _ in range(number)}:
            links = {}
            before = part.tally()
            size = self._weigh_one(part, part.entries[at], 0, stop, depth, links)
            if self._clock() >= stop and part.seen:
                part.restore(before)  # it may not have been weighed to its end
                break
            part.add(size, True, links)

    def _weigh_entries(self, part, stop, number, depth):
        picked = self._kinds.containers.pick(part.container, number)
        part.total = picked.total
        part.unseen = picked.unseen
        objects, width = picked.objects, len(picked.held)
        barrier, targets = self._kinds.barrier, self.targets
        extra = self.extra(picked)
        for at in range(0, len(objects), width):
            size = 0
            links = {}
            before = part.tally()
            for i in range(at, at + width):
                if id(objects[i]) in targets:
                    links[id(objects[i])] = links.get(id(objects[i]), 0) + 1
                elif id(type(objects[i])) not in barrier:
                    size += self._weigh_one(part, objects[i], extra[i], stop, depth, links)
            if self._clock() >= stop and part.seen:
                part.restore(before)
                break
            part.add(size, at < picked.near * width, links)

    def _weigh_one(self, part, o, extra, stop, depth, links):
        """Return the bytes of an object and of what it owns; 0 if it has more of the `extra` references than it has
        itself: then it belongs to more than the container."""
        if id(type(o)) in self._kinds.sizes.leaf:
            size = getsizeof(o)
            if extra > 0:
                part.loose += size >= NOTICEABLE
                return 0
            part.objects += 1
            return size
        if id(o) in self._nobodys:
            return 0
        walk = Walk((o,))
        finished = self._walker.exhaust(walk, self._nobodys, stop, LIMITS[depth])
        if finished:
            Trial(self._walker, walk, self._border, stop, bound=TRIAL_BOUND).run()
        self._note_links(walk, links)
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
                self._note_all(inner, links)
            part.cut += not inner.seen
        return size

    def _note_links(self, walk, links):
        for i in walk.pending:
            if i in self.targets and len(links) < LINKS:
                links[i] = links.get(i, 0) + walk.counts[i]

    def _note_all(self, inner, links):
        """What entries of something large inside an entry lead back to; -1 is never the same for all entries."""
        for i, number in inner.links().items():
            links[i] = -1 if number < 0 else links.get(i, 0) + number
