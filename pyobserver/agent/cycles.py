"""Trial deletion around one walk: what only cycles keep alive belongs to the walk as well.

What the walk left pending is expanded on trial, and what that leads to, as far as a bound. Whatever then has references
that were not counted is held from outside, and so is everything that it leads to. The rest is owned.

Never expanded are types, modules, builtins, rows of their own, and what is known as shared. Containers and objects with
very many references (a future that thousands wait for) take part without being expanded: what they refer to then seems
to be held from outside, so that the answer is a lower bound, and told to be one.
"""

from _collections import _count_elements  # type: ignore[import-not-found]  # typeshed has no stub
from _operator import ne, sub
from itertools import compress, repeat
from sys import getrefcount

from pyobserver.agent.kinds import EVERYBODYS
from pyobserver.agent.walk import IN_VALUES, LARGE, OWNED

FAN = 1000  # references from which on an object is not expanded on trial
BOUND = 8000  # objects that take part in one trial, at most
CHECK = 24  # objects between two looks at the clock


class Trial:
    """One trial; `run` it once. It is `complete` when every object it met was looked into."""

    def __init__(self, walker, walk, border, stop, bound=BOUND):
        self._clock = walker.clock
        self._kinds = walker.kinds
        self._walk = walk
        self._border = border
        self._stop = stop
        self._bound = bound
        self._never = walker.kinds.barrier.union(EVERYBODYS)
        self._members = {}
        self._counts = {}  # references from members, and from the walk; the walk's own counts stay as they are
        self._closed = set()  # members that were not expanded
        self.complete = True

    def run(self):
        """Count for the walk what cycles own; large containers among it are set aside."""
        walk, leaf = self._walk, self._kinds.sizes.leaf
        found = walk.pending
        candidates = self._candidates(found)
        if all(id(type(found[i])) in leaf for i in candidates):
            return
        first = candidates
        begun = self._clock()
        halfway = begun + (self._stop - begun) * 0.55
        while candidates:
            found = self._expand(candidates, found, halfway)
            candidates = self._candidates(found)
        found = None
        if self._closed:
            self.complete = False
        owned = self._divide()
        self._border.learn(self._members.keys() - owned, self.complete)
        self._take(owned)
        for i in first:
            if i not in owned and i in self._members:
                walk.pending[i] = self._members[i]

    def _candidates(self, found):
        """Return the ids of those in `found` which may take part, those most likely to be owned if all are too many."""
        fresh, refused = self._border.admit(found.keys() - self._members.keys())
        if refused:
            self.complete = False
        counts, never = self._walk.counts, self._never
        candidates = [i for i in fresh if counts.get(i, 0) >= 0 and id(type(found[i])) not in never]
        room = self._bound - len(self._members)
        if len(candidates) > room:
            self.complete = False
            candidates.sort(key=lambda i: getrefcount(found[i]) - counts.get(i, 0))
            del candidates[room:]
        return candidates

    def _expand(self, candidates, source, until):
        """Make the candidates members, and return what they refer to, a dict by id."""
        members, counts, known, closed = self._members, self._counts, self._walk.counts, self._closed
        lengths, edges_of = self._kinds.containers.lengths, self._kinds.edges.of
        found = {}
        left = CHECK
        is_late = False
        for i in candidates:
            o = members[i] = source.pop(i)
            counts[i] = counts.get(i, 0) + known.get(i, 0)
            left -= 1
            if left < 0:
                left = CHECK
                is_late = is_late or self._clock() >= until
            length = lengths.get(id(type(o)))
            if is_late or (length is not None and length(o) > FAN):
                closed.add(i)
                continue
            refs = edges_of(o)
            if len(refs) > FAN:
                closed.add(i)
                continue
            ids = list(map(id, refs))
            _count_elements(counts, ids)
            found.update(zip(ids, refs))  # noqa: B905 (3.10 and later)
            left -= len(refs) >> 3
        return {} if is_late else found

    def _divide(self):
        """Return the ids of members that are not held from outside; empty, and not complete, when time ran out.

        What a member which was not expanded refers to needs no visit: these references were not counted.
        """
        members, counts, edges_of = self._members, self._counts, self._kinds.edges.of
        ids = list(members)
        held = map(sub, map(getrefcount, members.values()), repeat(IN_VALUES))
        front = list(compress(ids, map(ne, held, map(counts.__getitem__, ids))))
        owned = set(ids)
        owned.difference_update(front)
        left = CHECK
        while front and owned:
            hit = set()
            for i in front:
                if i in self._closed:
                    continue
                left -= 1
                if left < 0:
                    left = CHECK
                    if self._clock() >= self._stop:
                        self.complete = False
                        return set()
                hit.update(map(id, edges_of(members[i])))
            hit &= owned
            owned -= hit
            front = list(hit)
        return owned

    def _take(self, owned):
        """Count what is owned for the walk, and its references."""
        walk, kinds = self._walk, self._kinds
        counts, pending, lengths = walk.counts, walk.pending, kinds.containers.lengths
        for i in owned:
            counts[i] = OWNED
        for i in owned:
            o = self._members[i]
            length = lengths.get(id(type(o)))
            if i in self._closed and length is not None and length(o) > LARGE:
                walk.large.append(o)
                continue
            walk.bytes += kinds.size_of(o)
            walk.objects += 1
            if i in self._closed:
                walk.skipped = True
                continue
            for r in kinds.edges.of(o):
                j = id(r)
                c = counts[j] = counts.get(j, 0) + 1
                if c > 0:
                    pending[j] = r
