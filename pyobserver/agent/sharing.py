"""What is known to be shared, so that no walk follows it again: it makes the search for cycles affordable.

The first task that is measured pays for looking through the program's ring of singletons; the next ones stop at it.
Ids are used again, and sharing can end, so what was learned is forgotten after a while. Until then a stale id makes a
value smaller, never larger.
"""

import sys

from pyobserver.agent.attributes import module_dict

FORGET_AFTER = 20.0  # seconds
MOST = 50000  # ids

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
    found.add(id(globals()))  # of the agent, whose modules the target does not know
    return found


class Shared:
    """The ids of what is shared for certain, and doubts: what one walk found to be held from elsewhere while it could
    not look at everything. A doubt is settled when a walk from another root arrives there."""

    def __init__(self, clock):
        self._clock = clock
        self.ids = set()
        self.always = set()
        self._doubts = {}  # id -> id of the root
        self._since = 0.0
        self.forget()

    def begin_slice(self):
        """Forget what was learned if it is old, or too much."""
        if len(self.ids) + len(self._doubts) > MOST or self._clock() - self._since > FORGET_AFTER:
            self.forget()

    def forget(self):
        """Forget what was learned, and look at `sys.modules` anew (0.04 ms)."""
        self._since = self._clock()
        self.always = _of_the_interpreter()
        self.ids = set(self.always)
        self._doubts = {}

    def learn(self, root, outside, complete):
        """Note what a walk from `root` found to be held from elsewhere; doubtful if it was not `complete`."""
        if complete:
            self.ids |= outside
        else:
            for i in outside:
                self._doubts.setdefault(i, root)

    def admit(self, ids, root):
        """Return (those of `ids` which a walk from `root` may look through, whether one was refused in doubt)."""
        fresh = ids - self.ids
        doubts = self._doubts
        if not doubts:
            return fresh, False
        refused = False
        for i in [i for i in fresh if i in doubts]:
            fresh.discard(i)
            if doubts[i] == root:
                refused = True
            else:  # reached from two roots: neither owns it
                del doubts[i]
                self.ids.add(i)
        return fresh, refused


class Border:
    """Where the search for cycles ends, for a walk from one root. The walk counts nothing that is in `ids`."""

    def __init__(self, shared, root):
        self.ids = shared.ids
        self._shared = shared
        self._root = root

    def admit(self, ids):
        """As `Shared.admit`."""
        return self._shared.admit(ids, self._root)

    def learn(self, outside, complete):
        """As `Shared.learn`."""
        self._shared.learn(self._root, outside, complete)


class BorderOfGroup:
    """For several roots together: what no single task owns may be owned by them, so only modules are shared."""

    def __init__(self, shared):
        self.ids = shared.always

    def admit(self, ids):
        """Return (those of `ids` which may be looked through, False)."""
        return ids - self.ids, False

    def learn(self, outside, complete):
        """Nothing is learned: it would be wrong for another group."""


class BorderOfSample:
    """For an element out of a container of a larger walk: what that walk knows is not looked through, nor again what
    another element led to. None of this is known of anything else."""

    def __init__(self, shared, known):
        self._shared = shared
        self._known = known
        self._met = set()

    def admit(self, ids):
        """Return (those of `ids` which may be looked through, False)."""
        fresh, _ = self._shared.admit(ids - self._met, 0)
        known = self._known
        return {i for i in fresh if i not in known}, False

    def learn(self, outside, complete):
        """Remember it for the other elements."""
        self._met |= outside
