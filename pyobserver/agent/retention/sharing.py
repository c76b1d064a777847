"""What is known to be held from elsewhere, so that the search for cycles does not look through it again.

The first task that is measured pays for looking through the program's ring of singletons; the next ones stop at it. Ids
are used again, by objects of the same shape more often than not, so each comes with something to recognise the object
by. Sharing can end too, so it is forgotten after a while; until then it may hide a cycle, never add anything.
"""

import sys
from _weakref import ref
from gc import get_referents
from sys import getrefcount

from pyobserver.agent.attributes import module_dict

FORGET_AFTER = 20.0  # seconds
MOST = 20000  # ids; with weak references, 3 MB
MORE = 1.5  # times the seconds that were not enough, for another attempt
WORTHWHILE = 8  # references, ours included: what has fewer is met from few tasks, and would take room for nothing
FEW = 8  # things by which an object is recognised that can have no weak reference

_SINGLETONS = (None, True, False, ..., NotImplemented, (), "", b"", *range(-5, 257))


def _of_the_interpreter():
    """Return the ids of singletons, of modules and of their namespaces."""
    found = set(map(id, _SINGLETONS))
    modules = sys.modules
    if type(modules) is dict:
        for module in list(modules.values()):
            try:
                found.add(id(module_dict(module)))
            except TypeError:  # something else was put there
                continue
            found.add(id(module))
    return found


class Shared:
    """What was learned. `always`: ids of modules and singletons, which no walk counts. `nobodys`: these, and what was
    seen to be none of a batch's own, for its other walks.

    A doubt is what one walk found to be held from elsewhere while it could not look at everything. It is settled when
    a walk from another root arrives there, and looked at again by one from the same root that has more time.
    """

    def __init__(self, clock, kinds):
        self._clock = clock
        self._kinds = kinds
        self.always = set()
        self.nobodys = set()
        self.rejected = set()  # what was looked up in this batch, and is known to be shared
        self._of_batch = []  # what is only for this batch in `nobodys`
        self._outside = {}  # id -> identity
        self._doubts = {}  # id -> (id of the root, seconds it had, identity)
        self._since = 0.0
        self.forget()

    def begin_slice(self):
        """Forget what was learned if it is old, or too much."""
        if len(self._outside) + len(self._doubts) > MOST or self._clock() - self._since > FORGET_AFTER:
            self.forget()

    def forget(self):
        """Forget what was learned, and look at `sys.modules` anew (0.04 ms)."""
        self._since = self._clock()
        self.always = _of_the_interpreter()
        self.nobodys = set(self.always)
        self.rejected = set()
        self._of_batch = []
        self._outside = {}
        self._doubts = {}

    def begin_batch(self):
        """Forget what the last batch of walks has seen."""
        self.nobodys.difference_update(self._of_batch)
        self.rejected.clear()
        self._of_batch = []

    def see(self, pending):
        """Note the ids that the walk from a task left `pending`: the task holds them, so no other one owns them alone,
        as long as nothing runs."""
        self.nobodys.update(pending)
        self._of_batch += pending

    def learn(self, root, seconds, outside, complete):
        """Note what a walk from `root`, which had so many `seconds`, found held from elsewhere, objects by id; in doubt
        if it was not `complete`."""
        known, doubts, leaf = self._outside, self._doubts, self._kinds.sizes.leaf
        if len(known) + len(doubts) > MOST:
            return
        for i, o in outside.items():
            if id(type(o)) in leaf:
                continue
            if not complete:
                doubts[i] = (root, seconds, self._identity(o))
            elif getrefcount(o) >= WORTHWHILE:
                known[i] = self._identity(o)

    def admit(self, ids, found, root, seconds, nobodys):
        """Return (those of the `ids` that a walk from `root` may look through, whether one is in doubt); their objects
        are in `found`, by id."""
        known, doubts = self._outside, self._doubts
        admitted = []
        refused = False
        for i in ids:
            if i in nobodys:
                continue
            if i in known:
                if self._is_same(found[i], known[i]):
                    continue
                del known[i]
            elif i in doubts:
                first, had, identity = doubts[i]
                if first == root and seconds < MORE * had:
                    refused = True
                    continue
                del doubts[i]
                if first != root and self._is_same(found[i], identity):  # reached from two roots: neither owns it
                    known[i] = identity
                    continue
            admitted.append(i)
        return admitted, refused

    def _identity(self, o):
        """Return by what `o` will be recognised: a weak reference if it can have one, else some of what it holds."""
        try:
            return ref(o)
        except TypeError:
            return self._traits(o)

    def _is_same(self, o, identity):
        return identity() is o if type(identity) is ref else identity == self._traits(o)

    def _traits(self, o):
        t = id(type(o))
        length = self._kinds.containers.lengths.get(t)
        if length is None or length(o) <= FEW:
            return (t, *map(id, get_referents(o)[:FEW]))
        return (t, length(o), *map(id, self._kinds.containers.first(o)))


class Border:
    """Where the search for cycles ends, for a walk from one root which has so many `seconds` for it.

    Ids in `nobodys` are not even counted, those in `rejected` need not be asked for again.
    """

    def __init__(self, shared, root, is_of_batch=False):
        self._shared = shared
        self._root = root
        self.nobodys = shared.nobodys if is_of_batch else shared.always
        self.rejected = shared.rejected if is_of_batch else set()
        self.seconds = 0.0

    def admit(self, ids, found):
        """As `Shared.admit`."""
        return self._shared.admit(ids, found, self._root, self.seconds, self.nobodys)

    def learn(self, outside, complete):
        """As `Shared.learn`."""
        self._shared.learn(self._root, self.seconds, outside, complete)


class BorderOfGroup:
    """For several roots together: what no single task owns may be owned by them, so only modules are shared."""

    def __init__(self, shared):
        self.seconds = 0.0
        self.nobodys = shared.always
        self.rejected = set()

    def admit(self, ids, found):
        """Return (those of the `ids` that may be looked through, False)."""
        return [i for i in ids if i not in self.nobodys], False

    def learn(self, outside, complete):
        """Nothing is learned: it would be wrong for another group."""


class BorderOfSample:
    """For an element out of a container of a larger walk: what that walk knows is not looked through, nor again what
    another element led to. None of this is known of anything else."""

    def __init__(self, border, known):
        self.nobodys = border.nobodys
        self._border = border
        self._known = known
        self._met = set()

    def admit(self, ids, found):
        """Return (those of the `ids` that may be looked through, False)."""
        known, met = self._known, self._met
        return self._border.admit([i for i in ids if i not in known and i not in met], found)[0], False

    def learn(self, outside, complete):
        """Remember it for the other elements."""
        self._met.update(outside)
