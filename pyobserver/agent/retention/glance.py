"""A glance at what a walk left pending: most often it shows that no cycle is the walk's own, for a few microseconds.

It is the trial of `cycles`, without its provisions for what is large, unknown or in doubt: what is pending, and all
that it leads to, is looked into, and whatever has references that were not counted is held from outside, with what it
leads to. A task that waits for a future leads to three objects so. When nothing is left, a trial would find nothing.
"""

from gc import get_referents
from sys import getrefcount

from pyobserver.agent.retention.kinds import EVERYBODYS
from pyobserver.agent.retention.sharing import WORTHWHILE
from pyobserver.agent.retention.walk import IN_VALUES

MOST = 24  # objects; a trial is begun when there are more
FEW = 16  # references of one of them


def owns_no_cycle(walk, kinds, border):
    """Return True when it is certain that a trial would find nothing, False when it takes one to know."""
    pending, counts, rejected = walk.pending, walk.counts, border.rejected
    leaf, barrier = kinds.sizes.leaf, kinds.barrier
    fresh = []
    for i in pending:
        t = id(type(pending[i]))  # no name for the object: that would be a reference more
        if t not in leaf and t not in EVERYBODYS and t not in barrier and i not in rejected and counts[i] >= 0:
            fresh.append(i)
    if not fresh:
        return True
    admitted, refused = border.admit(fresh, pending)
    if refused or len(admitted) > MOST:
        return False
    members = {i: pending[i] for i in admitted}
    edges = _edges(members, counts, kinds, border)
    if edges is None:
        return False
    seen = {}
    for ids in edges.values():
        for i in ids:
            seen[i] = seen.get(i, 0) + 1
    front = []
    references = list(map(getrefcount, members.values()))
    for i, held in zip(members, references):  # noqa: B905 (3.10 and later)
        if held - IN_VALUES - (i in pending) != seen.get(i, 0) + counts.get(i, 0):
            front.append(i)
    owned = set(members).difference(front)
    while front and owned:
        for i in edges[front.pop()]:
            if i in owned:
                owned.discard(i)
                front.append(i)
    if owned:
        return False
    if references and max(references) >= WORTHWHILE - IN_VALUES:
        border.learn(members, True)
    return True


def _edges(members, counts, kinds, border):
    """Add to `members` all that they lead to; return the ids of what each refers to, None when that is too much."""
    leaf, barrier, known, lengths = kinds.sizes.leaf, kinds.barrier, kinds.sizes.known, kinds.containers.lengths
    special, nobodys, rejected = kinds.edges.special, border.nobodys, border.rejected
    edges = {}
    todo = list(members)
    for i in todo:
        o = members[i]
        t = id(type(o))
        if t not in known:
            kinds.learn(o)
            if t in barrier:
                return None
        if t in lengths and lengths[t](o) > FEW:
            return None
        refs = get_referents(o)
        if t in special:
            special[t](o, refs)
        if len(refs) > FEW:
            return None
        ids = edges[i] = []
        for r in refs:
            j = id(r)
            if j in nobodys or j in rejected:
                continue
            t = id(type(r))
            if t in leaf or t in EVERYBODYS or t in barrier or counts.get(j, 0) < 0:
                continue
            if j not in members:
                admitted, refused = border.admit((j,), {j: r})
                if refused or len(members) >= MOST:
                    return None
                if not admitted:
                    rejected.add(j)
                    continue
                members[j] = r
                todo.append(j)
            ids.append(j)
    return edges
