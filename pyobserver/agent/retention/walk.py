"""Counting references: what belongs to an object is found where all its references are seen to come from there.

One walk starts at its roots, which it owns. Each object it owns is expanded, and each reference found is counted: when
as many were counted as the object has, all come from what is owned, so it is owned too. The rest stays pending. What
only cycles keep alive is found afterwards, in `cycles`.

How many references the walk itself adds differs between versions (3.14 counts none for a local it borrows), so it is
found out by the very expressions that are used. All of this holds while nothing else runs: a walk is one slice.
"""

from gc import get_referents
from sys import getrefcount, getsizeof

from pyobserver.agent.retention.slots import Slots

OWNED = -1 << 40  # in place of a count: however many edges too many are seen, it is not owned a second time
LARGE = 400  # elements from which on a container is set aside
LARGE_BYTES = 8 * LARGE  # no container with so many is smaller
CHECK = 96  # references looked at between two looks at the clock (about 50 us)


def _of_the_loop():
    found = 0
    for r in get_referents([object()]):
        found = getrefcount(r)
    return found


def _of_values():
    pending = {0: object()}
    return next(map(getrefcount, pending.values()))


def _of_an_item():
    pending = {0: object()}
    found = 0
    for i in pending:
        found = getrefcount(pending[i])
    return found


IN_LOOP, IN_VALUES, IN_ITEM = _of_the_loop(), _of_values(), _of_an_item()


class Walk:
    """How far one walk has come. Everything in here lives no longer than the call it is made in.

    `counts`: references seen, by id; `OWNED` for what is owned. `pending`: seen, but referenced from elsewhere too.
    `stack`: owned, not yet expanded. `large`: owned containers set aside, neither counted nor expanded. `expand`: ids
    of those that are not to be set aside again, a set if there are some. `skipped`: something owned was counted, but
    cannot be looked into. `goes_on`: more is added to it after the search for cycles, which has to leave all references
    counted.
    """

    __slots__ = ("bytes", "counts", "expand", "goes_on", "large", "objects", "pending", "roots", "skipped", "stack")

    def __init__(self, roots):
        self.bytes = self.objects = 0
        self.stack = list(roots)
        self.roots = set(map(id, self.stack))
        self.counts = dict.fromkeys(self.roots, OWNED)
        self.pending = {}
        self.large = []
        self.expand = ()
        self.skipped = self.goes_on = False


class Walker:
    """Walks, with what is known of the types; `slots` names the variables it comes through."""

    def __init__(self, clock, kinds):
        self.clock = clock
        self.kinds = kinds
        self.slots = Slots(-1)

    def exhaust(self, walk, shared, stop, limit):
        """Expand until nothing more is owned; return False if `stop` or `limit` objects came before.

        Ids in `shared` are never counted: what everybody has.
        """
        while True:
            if not self._expand(walk, shared, stop, limit):
                return False
            again = self._second_look(walk)
            if not again:
                return True
            for i in again:
                walk.counts[i] = OWNED
                walk.stack.append(walk.pending.pop(i))

    def _expand(self, walk, shared, stop, limit):
        """Empty the stack. The inner loop is where the time goes: about 1 us per object."""
        kinds = self.kinds
        plain, leaf, inline, most = kinds.sizes.plain, kinds.sizes.leaf, kinds.sizes.inline, kinds.sizes.most
        special, lengths, barrier = kinds.edges.special, kinds.containers.lengths, kinds.barrier
        counts, pending, stack = walk.counts, walk.pending, walk.stack
        get, pop, push, count, in_loop, only = counts.get, stack.pop, stack.append, getrefcount, IN_LOOP, IN_LOOP + 1
        left = CHECK
        while stack:
            if left < 0:
                if walk.objects >= limit or self.clock() >= stop:
                    return False
                left = CHECK
            o = pop()
            t = id(type(o))
            if t in plain:
                size = getsizeof(o)
                if size >= LARGE_BYTES and t in lengths:
                    refs = self._look_into(walk, o, t, size)
                    if refs is None:
                        continue
                else:
                    refs = get_referents(o)
                    if t in special:
                        special[t](o, refs)
            elif t in inline:
                refs = get_referents(o)
                if len(refs) > most[t]:
                    kinds.sizes.learn(type(o), len(refs))
                size = getsizeof(o) + inline[t]
            else:
                size, refs = self._unusual(walk, o, t)
                if refs is None:
                    continue
            objects = 1
            for r in refs:
                i = id(r)
                if i in shared:
                    continue
                c = get(i)
                if c is None:
                    if count(r) != only or (t := id(type(r))) in barrier:
                        counts[i] = 1
                        pending[i] = r
                        continue
                else:
                    c = counts[i] = c + 1
                    if count(r) - in_loop != c + (i in pending) or (t := id(type(r))) in barrier:
                        if c > 0:
                            pending[i] = r
                        continue
                    pending.pop(i, None)
                counts[i] = OWNED
                if t in leaf:
                    size += getsizeof(r)
                    objects += 1
                else:
                    push(r)
            left -= len(refs) + 2
            walk.bytes += size
            walk.objects += objects
        return True

    def _look_into(self, walk, o, t, size):
        """Return what a container of many bytes refers to, or None if it was set aside."""
        containers = self.kinds.containers
        if containers.is_nearly_empty(o, size):
            walk.skipped = True
            return []
        if containers.lengths[t](o) > LARGE and id(o) not in walk.expand:
            walk.large.append(o)
            return None
        return self.kinds.edges.of(o)

    def _unusual(self, walk, o, t):
        """Return (bytes, referents) of an object whose type is not plain; referents None: it is not counted now."""
        sizes = self.kinds.sizes
        if t not in sizes.unusual:
            self.kinds.learn(o)
            if t in self.kinds.barrier and id(o) not in walk.roots:
                walk.pending[id(o)] = o
            else:
                walk.stack.append(o)
            return 0, None
        function, extra = sizes.unusual[t]
        size = function(o) + extra
        if t in self.kinds.containers.lengths and size >= LARGE_BYTES:
            return size, self._look_into(walk, o, t, size)
        return size, self.kinds.edges.of(o)

    def _second_look(self, walk):
        """Return the ids of pending objects which are owned after all.

        An object that one parent lists twice showed a reference too many at the first. Of a timer the loop's heap has
        one more, and drops it when the sleep is cancelled.
        """
        pending, counts = walk.pending, walk.counts
        barrier, lenient = self.kinds.barrier, self.kinds.lenient
        again, timers = [], []
        for i in pending:
            missing = getrefcount(pending[i]) - IN_ITEM - counts[i]
            if missing <= 0:
                if id(type(pending[i])) not in barrier:
                    again.append(i)
            elif missing == 1 and id(type(pending[i])) in lenient:
                timers.append(i)
        if again:
            return again
        walk.roots.update(timers)
        return timers
