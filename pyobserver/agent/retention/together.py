"""What many roots retain together, found one after another: what only they share counts too, and counts once.

A scan of one root leaves pending what others refer to as well, with the number of references it has seen. These are
added up over all roots, by id. When they are as many as the object has, all of them come from the group: it is owned by
it, and expanded there and then, in the slice of the last root that refers to it. What it leaves pending is added up in
turn. So nothing of the target is held between the slices, and it does not matter in which order the roots come.

That is true as long as no root has run meanwhile: one that has is taken out again, and scanned anew. What only cycles
through shared objects keep alive is searched for at the end, from some roots; it may hide something, never add it.
"""

from sys import getrefcount

from pyobserver.agent.attributes import IS_CLASS, Function, code_of, flags_of
from pyobserver.agent.retention.cycles import Trial
from pyobserver.agent.retention.kinds import EVERYBODYS
from pyobserver.agent.retention.scan import Scan
from pyobserver.agent.retention.sharing import Border, BorderOfGroup
from pyobserver.agent.retention.walk import IN_ITEM, OWNED, Walk
from pyobserver.protocol.schema import AT_LEAST, EXACT, UNAVAILABLE

MOST_OBJECTS = 8000  # different ones that roots refer to (about 200 B each; 1 ms to go through)
MOST_IN_CYCLES = 2500  # of them, for a search for cycles within a slice
MOST_PAIRS = 200000  # of a root and an object it refers to (16 B each)
MOST_NODES = 3000  # objects gone through in search of cycles
_CODE = (id(Function), id(type(code_of(lambda: None))))
_PICKED = 40  # entries of a large container that are looked at
EVERYWHERE = 1 << 28  # references from which on an object is immortal, and nobody's


class Common:
    """An object that roots refer to and that none of them owns alone.

    `count`: references from the group; `missing`: how many more it had when last seen; `members`: roots that refer to
    it themselves, `last` the number of the last of them. `refs`: its references when it was found to be owned by the
    group, 0 before; `bytes` it added then.
    """

    __slots__ = ("bytes", "count", "kind", "last", "members", "missing", "refs")

    def __init__(self, kind):
        self.kind = kind  # id of its type, so that another object at the same address is told from it
        self.count = self.members = self.refs = self.bytes = self.missing = 0
        self.last = -1


class Look:
    """What one scan has found; nothing of it counts before `Together.note`. It holds no object of the target."""

    __slots__ = ("accuracy", "bytes", "cyclic", "error", "extra", "is_bound", "kinds", "missing", "owned", "pairs")

    def __init__(self):
        self.bytes = self.error = 0
        self.cyclic = 0  # bytes that only cycles keep alive, and the root alone
        self.accuracy = UNAVAILABLE
        self.pairs = {}  # id -> references from what the root owns alone
        self.extra = {}  # id -> references from what the group owns
        self.kinds = {}  # id -> id of the type
        self.missing = {}  # id -> references that were not seen in this scan
        self.owned = []  # (id, references, bytes, what may be wrong with these): owned by the group from now on
        self.is_bound = False  # not all references may have been seen


class Together:
    """One pass over a group. A root is `scan`ned within a slice, and what that has found is `note`d with a number."""

    def __init__(self, walker, shared):
        self.objects = {}  # id -> Common
        self.pairs = 0
        self.is_bound = False
        self.doubtful = 0  # bytes counted for the group that may not be its own any more
        self.error = 0.0
        self.everybodys = set()  # ids of what no group owns and everything hangs on: event loops
        self.members = set()  # ids of roots that the walk of another one would go through
        self._walker = walker
        self._kinds = walker.kinds
        self._shared = shared
        self._always = self._nobodys = shared.always

    # -- one root after another ---------------------------------------------------------------------------------------

    def scan(self, root, deadline, frames=None):
        """Return a Look at `root`, or at its `frames` in its place; its accuracy is UNAVAILABLE when it cannot be
        measured.
        """
        look = Look()
        try:
            if frames is not None:
                self._kinds.look_into_frames(frames)
            scan = self.scan_of(root, deadline, frames)
            look.bytes, look.error, look.accuracy = int(scan.bytes()), scan.error(), scan.accuracy()
            look.cyclic = scan.cyclic
            walk = scan.walk
            look.pairs = {i: walk.counts[i] for i in walk.pending if self._can_be_owned(walk, i)}
            self._own(scan, look)
            look.pairs = {i: c for i, c in look.pairs.items() if i in look.kinds or i in walk.pending}
            look.is_bound = scan.accuracy() == AT_LEAST or _hides(scan)
            self._leave(walk, look)
        except Exception:  # a type in C whose size cannot be asked for, or no memory
            look.accuracy = UNAVAILABLE
        finally:
            self._kinds.edges.frames = {}
        return look

    def scan_of(self, root, deadline, frames=None):
        """Return a finished Scan that counted every reference of a root, or of its frames in its place."""
        scan = Scan(self._walker, self.border(root), [root] if frames is None else frames, deadline)
        scan.walk.goes_on = True
        scan.run()
        return scan

    def border(self, root):
        """Return the Border of a walk from this root, which goes through no member."""
        border = Border(self._shared, id(root))
        border.nobodys = self.nobodys()
        return border

    def nobodys(self):
        """Return the ids of what no walk counts: what is nobody's, and the members, each a root of its own."""
        if self._always is not self._shared.always:
            self._always = self._nobodys = self._shared.always
        if self.members and self._nobodys is self._always:
            self._nobodys = self._always | self.members
        return self._nobodys

    def _can_be_owned(self, walk, i):
        t = id(type(walk.pending[i]))
        if t in EVERYBODYS or t in self._kinds.barrier or i in self.nobodys() or walk.counts[i] <= 0:
            return False
        return not _is_class(walk.pending[i]) and getrefcount(walk.pending[i]) < EVERYWHERE

    def _own(self, scan, look):
        """Expand what the references of all roots so far, this one included, make the group's."""
        walk = scan.walk
        while True:
            found = [i for i in walk.pending if self._is_owned(walk, i) and self._can_be_owned(walk, i)]
            if not found:
                return
            for i in found:
                if i in walk.pending:
                    references = walk.counts[i] + self._past(walk, i)
                    look.kinds[i] = id(type(walk.pending[i]))
                    before = scan.error()
                    size = scan.own(i)
                    look.owned.append((i, references, int(size), max(0.0, scan.error() - before)))

    def _is_owned(self, walk, i):
        return getrefcount(walk.pending[i]) - IN_ITEM == walk.counts[i] + self._past(walk, i)

    def _past(self, walk, i):
        """Return the references to a pending object that were noted before, 0 if that was another object."""
        common = self.objects.get(i)
        if common is None or common.refs or common.kind != id(type(walk.pending[i])):
            return 0
        return common.count

    def _leave(self, walk, look):
        """Tell what is left pending."""
        for i in walk.pending:
            if i in look.pairs or self._can_be_owned(walk, i):
                look.kinds[i] = id(type(walk.pending[i]))
                look.missing[i] = getrefcount(walk.pending[i]) - IN_ITEM - walk.counts[i] - self._past(walk, i)
                more = walk.counts[i] - look.pairs.get(i, 0)
                if more > 0:
                    look.extra[i] = more

    def note(self, number, look):
        """Count what was found; return what `take_back` needs, a tuple."""
        self.is_bound = self.is_bound or look.is_bound
        for i, references, size, error in look.owned:
            common = self._common(i, look)
            if common is not None:
                common.bytes += size
                common.refs = references
                common.count = references - look.pairs.get(i, 0)
                self.error = (self.error**2 + error**2) ** 0.5
        for i, references in look.extra.items():
            common = self._common(i, look)
            if common is not None:
                common.count += references
                common.last = max(common.last, number)
        noted = []
        for i, references in look.pairs.items():
            common = self._common(i, look)
            if common is not None:
                common.count += references
                common.members += 1
                common.last = number
                noted += (common, references)
        self.pairs += len(noted) // 2
        return tuple(noted)

    def take_back(self, noted):
        """Undo `note` for a root that has run or ended since."""
        for at in range(0, len(noted), 2):
            noted[at].count -= noted[at + 1]
            noted[at].members -= 1
        self.pairs -= len(noted) // 2

    def _common(self, i, look):
        common = self.objects.get(i)
        if common is None or common.kind != look.kinds[i]:
            if common is not None and common.refs:
                self.doubtful += common.bytes
            if len(self.objects) >= MOST_OBJECTS or self.pairs >= MOST_PAIRS:
                self.is_bound = True
                return None
            common = self.objects[i] = Common(look.kinds[i])
        common.missing = look.missing.get(i, 0)
        return common

    # -- what comes out -----------------------------------------------------------------------------------------------

    def common_bytes(self):
        """Return (bytes that only the roots share, how many of these may be somebody else's by now)."""
        owned = [common for common in self.objects.values() if common.refs]
        doubtful = sum([common.bytes for common in owned if common.count != common.refs])
        return sum([common.bytes for common in owned]), doubtful + self.doubtful

    def owned(self):
        """Return (id, Common) of what only the roots share, largest first."""
        found = [(i, common) for i, common in self.objects.items() if common.refs and common.members > 0]
        return sorted(found, key=lambda entry: -entry[1].bytes)

    def shared(self):
        """Return (id, Common) of what others hold too, code aside; what most roots refer to first."""
        found = [
            (i, common)
            for i, common in self.objects.items()
            if not common.refs and common.members > 0 and common.kind not in _CODE and i not in self.everybodys
        ]
        return sorted(found, key=lambda entry: -entry[1].members)

    # -- cycles -------------------------------------------------------------------------------------------------------

    def suspects(self):
        """Return numbers of roots from which `close_cycles` may find more, those most likely to first.

        None when there are too many objects to search through.
        """
        if len(self.objects) > MOST_IN_CYCLES:
            return None
        found = sorted([(common.missing, common.last) for common in self._suspected().values()])
        return list(dict.fromkeys([number for _, number in found]))

    def _suspected(self):
        """What others refer to as well, and refers to others: a cycle may be what keeps it."""
        leaf = self._kinds.sizes.leaf
        return {
            i: common
            for i, common in self.objects.items()
            if not common.refs
            and common.count > 0
            and common.last >= 0
            and common.kind not in leaf
            and i not in self.everybodys
        }

    def close_cycles(self, roots, cyclic, deadline):
        """Return a Look with what only cycles keep alive among what these `roots`, noted before, leave pending.

        `cyclic` are the bytes that their scans have found so: where they are not found again, a root is left out, as
        they would be counted twice.

        Its `is_bound` tells that not all was reached from them: there may be more.
        """
        look = Look()
        try:
            walk = self._merged(roots, cyclic, deadline)
            before = dict(walk.counts)
            border = _BorderOfPass(self._shared, self.nobodys(), self.everybodys)
            trial = _TrialOfGroup(self._walker, walk, border, deadline)
            trial.run()
            self._take_cycles(walk, look, before, trial.members())
            look.is_bound = (
                walk.skipped or not trial.complete or not self._suspected().keys() <= border.outside.union(look.kinds)
            )
            look.accuracy = AT_LEAST if look.is_bound else EXACT
        except Exception:  # as in `scan`
            look.accuracy = UNAVAILABLE
        return look

    def _merged(self, roots, cyclic, deadline):
        """Return a Walk which stands for all that was noted, with what is pending of these roots at hand."""
        walk = Walk(())
        walk.goes_on = True
        for left, root, size in zip(range(len(roots) + 1, 1, -1), roots, cyclic):  # noqa: B905 (3.10 and later)
            now = self._walker.clock()
            one, found = self._walk(root, now + (deadline - now) * 0.7 / left, size > 0)
            if one.skipped or found != size:
                walk.skipped = True
                continue
            walk.roots.update(one.roots)
            for i, count in one.counts.items():
                walk.counts[i] = OWNED if count < 0 else walk.counts.get(i, 0) + count
            walk.pending.update(one.pending)
            one = None
        self._expand_owned(walk, deadline)
        for i, common in self.objects.items():
            if common.refs:
                walk.counts[i] = OWNED
            elif walk.counts.get(i, 0) >= 0 and not (i in walk.pending and self._is_other(walk, i, common)):
                walk.counts[i] = common.count
        for i in [i for i in walk.pending if walk.counts.get(i, 0) < 0]:
            del walk.pending[i]
        walk.bytes = 0
        return walk

    def _walk(self, root, stop, has_cycles):
        """Return a Walk through what one root owns alone, without what is in its large containers, and how many bytes
        of it only cycles keep alive, which are looked for where there were any."""
        walk = Walk((root,))
        walk.goes_on = True
        reached = self._walker.exhaust(walk, self.nobodys(), stop, MOST_NODES)
        before = walk.bytes
        if reached and has_cycles:
            border = self.border(root)
            border.seconds = stop - self._walker.clock()
            Trial(self._walker, walk, border, stop).run()
        del walk.stack[:], walk.large[:]
        walk.skipped = not reached
        return walk, walk.bytes - before

    def _expand_owned(self, walk, deadline):
        """Let the walk come to what is pending behind what the group owns."""
        while True:
            found = [i for i in walk.pending if i in self.objects and self.objects[i].refs]
            if not found:
                return
            for i in found:
                walk.counts[i] = OWNED
                walk.stack.append(walk.pending.pop(i))
            if not self._walker.exhaust(walk, self.nobodys(), deadline, MOST_NODES) or walk.large:
                walk.skipped = True
                del walk.stack[:], walk.large[:]
                return

    def _is_other(self, walk, i, common):
        return common.kind != id(type(walk.pending[i]))

    def _take_cycles(self, walk, look, before, members):
        size = int(walk.bytes)
        for i, count in walk.counts.items():
            past = before.get(i, 0)
            if count < 0 <= past:
                common = self.objects.get(i)
                look.kinds[i] = id(type(members[i]))
                look.owned.append((i, max(1, common.count if common is not None else 1), size, 0.0))
                size = 0
            elif count > past >= 0 and i in walk.pending and self._can_be_owned(walk, i):
                look.kinds[i] = id(type(walk.pending[i]))
                look.extra[i] = count - past


def _is_class(o):
    """Return whether an object is a class, whatever its metaclass: a plain one's type is among `EVERYBODYS`."""
    return flags_of(type(o)) & IS_CLASS


def _hides(scan):
    """Return whether a scan may have left out references to what it left pending."""
    return not scan.reached or any(part.links() for part in scan.parts)


class _TrialOfGroup(Trial):
    """A large container that holds nothing but tasks, or texts and numbers, leads nowhere: it may stay closed."""

    def _close(self, o, can_be_weighed):
        if can_be_weighed and self._leads_nowhere(o):
            self._closed.add(id(o))
        else:
            Trial._close(self, o, can_be_weighed)

    def members(self):
        """Return the objects that took part, by id."""
        return self._members

    def _leads_nowhere(self, o):
        kinds = self._kinds
        for each in kinds.containers.pick(o, _PICKED).objects:
            t = id(type(each))
            if t not in kinds.barrier and t not in kinds.sizes.leaf and t not in EVERYBODYS:
                return False
        return True


class _BorderOfPass(BorderOfGroup):
    """For several roots together; `outside`: what was found to be held by others."""

    def __init__(self, shared, nobodys, everybodys):
        BorderOfGroup.__init__(self, shared)
        self.nobodys = nobodys
        self._everybodys = everybodys
        self.outside = set()

    def admit(self, ids, found):
        """Return (those of the `ids` that may be looked through, False)."""
        own = [i for i in ids if i not in self._everybodys and not _is_class(found[i])]
        return BorderOfGroup.admit(self, own, found)

    def learn(self, outside, complete):
        """Remember what was looked at."""
        self.outside.update(outside)
