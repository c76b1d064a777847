"""Trial deletion around one walk: what only cycles keep alive belongs to the walk as well.

What the walk left pending is expanded on trial, and what that leads to, as far as a bound. Whatever then has references
that were not counted is held from outside, and so is everything that it leads to. The rest is owned.

Never expanded are types, modules, builtins, rows of their own, and what is known as shared. Large containers take part
without being expanded: some of their elements are weighed. Where each of those refers equally often to a member, as in
a list of messages which all know their session, the references of all elements are counted with it: the sum agrees with
the number that exists, or the member seems to be held from outside. As that may be for an element that was not weighed,
the answer is a lower bound then, and told to be one. So it is with objects that have very many references and are no
containers: these are left closed.
"""

from _collections import _count_elements
from _operator import add, ne, sub
from itertools import compress, repeat
from sys import getrefcount, getsizeof

from pyobserver.agent.retention.kinds import EVERYBODYS
from pyobserver.agent.retention.parts import Part
from pyobserver.agent.retention.walk import IN_VALUES, LARGE, OWNED

FAN = 1000  # references from which on an object is not expanded on trial
BOUND = 8000  # objects that take part in one trial, at most
LEAVES = 4  # times as many that refer to nothing
MOST_PARTS = 6  # large containers of which elements are weighed
CHECK = 24  # objects between two looks at the clock


class Trial:
    """One trial; `run` it once. It is `complete` when every object it met was looked into.

    `parts` are the large containers that the walk owns and that were only weighed. `samples.sampler` weighs others;
    without it every large container is left closed.
    """

    def __init__(self, walker, walk, border, stop, samples=None, parts=(), bound=BOUND):
        self._clock = walker.clock
        self._kinds = walker.kinds
        self._walk = walk
        self._border = border
        self._stop = stop
        self._until = stop  # for expanding
        self._samples = samples
        self._owned_parts = parts
        self._bound = bound
        self._members = {}
        self._leaves = {}  # what refers to nothing: looked at in the end, when all references to it have been counted
        self._edges = {}  # id of an expanded member -> ids of what it refers to
        self._counts = {}  # references from members; the walk's own counts stay as they are
        self._closed = set()  # members that were not expanded
        self._parts = {}  # of these, large containers that were weighed: id -> Part
        self.complete = True

    def run(self):
        """Count for the walk what cycles own; large containers among it are set aside."""
        walk = self._walk
        found = walk.pending
        candidates = self._candidates(found)
        first = [*candidates, *self._leaves]
        if not candidates:
            self._give_back(first, ())
            return
        begun = self._clock()
        self._until = begun + (self._stop - begun) * 0.55
        while candidates:
            found = self._expand(candidates, found)
            candidates = self._candidates(found)
        found = None
        for part in self._owned_parts:
            self._count_links(part)
        for part in self._parts.values():
            self._count_links(part)
        owned = self._divide()
        if not owned.issuperset(self._parts):  # held from outside, or by entries that were not among those weighed
            self.complete = False
        self._border.learn({i: o for i, o in self._members.items() if i not in owned}, self.complete)
        self._take(owned)
        self._give_back(first, owned)

    def _give_back(self, first, owned):
        """What was pending before, and is not owned, is so again."""
        pending = self._walk.pending
        for i in first:
            if i not in owned:
                thing = self._members.get(i)
                thing = self._leaves.get(i) if thing is None else thing
                if thing is not None:
                    pending[i] = thing

    def _candidates(self, found):
        """Return the ids of those in `found` which may take part, those most likely to be owned if all are too many."""
        members, counts, leaves = self._members, self._walk.counts, self._leaves
        barrier, leaf = self._kinds.barrier, self._kinds.sizes.leaf
        fresh = []
        for i in set(found).difference(members):
            t = id(type(found[i]))
            if t in leaf:
                if counts.get(i, 0) >= 0 and i not in leaves:
                    leaves[i] = found.pop(i)
            elif t not in EVERYBODYS and t not in barrier and counts.get(i, 0) >= 0:
                fresh.append(i)
        if len(leaves) > LEAVES * self._bound:
            self.complete = False
            return []
        candidates, refused = self._border.admit(fresh, found)
        if refused:
            self.complete = False
        room = self._bound - len(members)
        if len(candidates) > room:
            self.complete = False
            candidates.sort(key=lambda i: getrefcount(found[i]) - counts.get(i, 0))
            del candidates[room:]
        return candidates

    def _expand(self, candidates, source):
        """Make the candidates members, and return what they refer to, a dict by id."""
        members, kinds = self._members, self._kinds
        known, leaf, lengths, edges_of = kinds.sizes.known, kinds.sizes.leaf, kinds.containers.lengths, kinds.edges.of
        for i in candidates:
            members[i] = source.pop(i)
        found = []
        ids = []  # of what is found, filled below
        left = CHECK
        is_late = False
        for i in candidates:
            o = members[i]
            t = id(type(o))
            if t in leaf:
                continue
            if t not in known:
                kinds.learn(o)
                if t in kinds.barrier:  # a subclass of those: not owned, and not followed
                    self._counts[i] = OWNED
                    self._closed.add(i)
                    continue
            if is_late or (t in lengths and lengths[t](o) > LARGE):
                self._close(o, t in lengths and not is_late)
                continue
            refs = edges_of(o)
            if len(refs) > FAN:
                self._close(o, False)
                continue
            begin = len(found)
            found += refs
            self._edges[i] = (ids, begin, len(found))
            left -= 1 + (len(refs) >> 3)
            if left < 0:
                left = CHECK
                is_late = self._clock() >= self._until
        ids += map(id, found)
        _count_elements(self._counts, ids)
        return {} if is_late else dict(zip(ids, found))  # noqa: B905 (3.10 and later)

    def _close(self, o, can_be_weighed):
        """Note a member that is not expanded; a container has some entries weighed."""
        self._closed.add(id(o))
        if not can_be_weighed or self._samples is None or len(self._parts) >= MOST_PARTS:
            self.complete = False
            return
        targets = {i for i in self._walk.pending if self._walk.counts.get(i, 0) > 0}
        targets.update(self._members)
        self._samples.sampler.targets = targets
        part = self._parts[id(o)] = Part(o)
        now = self._clock()
        self._samples.sampler.weigh(part, now + (self._until - now) / 3)
        part.container = None  # this reference would be counted

    def _count_links(self, part):
        """Count what the entries of a large container refer to among the members."""
        if not part.seen:
            self.complete = False
        for i, number in part.links().items():
            if i not in self._members:
                continue
            if number < 0:
                self.complete = False
            else:
                self._counts[i] = self._counts.get(i, 0) + number

    def _divide(self):
        """Return the ids of members that are not held from outside; empty, and not complete, when time ran out.

        What a closed member refers to needs no visit, as far as these references were not counted.
        """
        members = self._members
        outside = set(self._held_from_outside(self._leaves))
        for i in [i for i in self._leaves if i not in outside]:
            members[i] = self._leaves.pop(i)
        front = self._held_from_outside(members)
        owned = set(members)
        owned.difference_update(front)
        left = CHECK
        while front and owned:
            hit = set()
            for i in front:
                hit.update(self._edges_of(i))
                left -= 1
                if left < 0:
                    left = CHECK
                    if self._clock() >= self._stop:
                        self.complete = False
                        return set()
            hit &= owned
            owned -= hit
            front = list(hit)
        return owned

    def _held_from_outside(self, objects):
        """Return the ids of those that have references which were not counted."""
        ids = list(objects)
        held = map(sub, map(getrefcount, objects.values()), repeat(IN_VALUES))
        counted = map(add, map(self._counts.get, ids, repeat(0)), map(self._walk.counts.get, ids, repeat(0)))
        return list(compress(ids, map(ne, held, counted)))

    def _edges_of(self, i):
        if i in self._edges:
            ids, begin, end = self._edges[i]
            return ids[begin:end]
        return self._parts[i].links() if i in self._parts else ()

    def _take(self, owned):
        """Count what is owned for the walk."""
        walk, kinds, closed = self._walk, self._kinds, self._closed
        counts, lengths, plain = walk.counts, kinds.containers.lengths, kinds.sizes.plain
        for i in owned:
            o = self._members[i]
            t = id(type(o))
            counts[i] = OWNED
            if i in closed and t in lengths and lengths[t](o) > LARGE:
                walk.large.append(o)
                continue
            walk.bytes += getsizeof(o) if t in plain else kinds.size_of(o)
            walk.objects += 1
            walk.skipped = walk.skipped or i in closed
        for i in owned:
            for j in self._edges_of(i) if i in self._edges else ():
                if j in walk.roots:
                    counts[j] += 1
        if walk.large or walk.goes_on:
            self._count_edges(owned)

    def _count_edges(self, owned):
        """Count the references of what is owned, for a walk that goes on."""
        counts, pending = self._walk.counts, self._walk.pending
        for i in owned:
            if i in self._edges:
                for r in self._kinds.edges.of(self._members[i]):
                    if id(r) not in self._walk.roots:  # these were counted
                        c = counts[id(r)] = counts.get(id(r), 0) + 1
                        if c > 0:
                            pending[id(r)] = r
