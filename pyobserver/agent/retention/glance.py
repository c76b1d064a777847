"""A glance at what a walk left pending: most often it shows that no cycle is the walk's own, for a few microseconds.

It is the trial of `cycles`, without its provisions for what is large, unknown or in doubt: what is pending, and all
that it leads to, is looked into, and whatever has references that were not counted is held from outside, with what it
leads to. A task that waits for a future leads to three objects so. When nothing is left, a trial would find nothing.
"""

from _operator import sub
from itertools import repeat
from sys import getrefcount

from pyobserver.agent.retention.kinds import EVERYBODYS
from pyobserver.agent.retention.walk import IN_VALUES

MOST = 24  # objects; a trial is begun when there are more
FEW = 16  # references of one of them


def owns_no_cycle(walk, kinds, border, nobodys):
    """Return True when it is certain that a trial would find nothing, False when it takes one to know.

    Ids in `nobodys` are those that the walk did not count.
    """
    pending, counts = walk.pending, walk.counts
    leaf, barrier = kinds.sizes.leaf, kinds.barrier
    fresh = []
    for i in pending:
        t = id(type(pending[i]))  # no name for the object: that would be a reference more
        if t not in leaf and t not in EVERYBODYS and t not in barrier and counts[i] >= 0:
            fresh.append(i)
    if not fresh:
        return True
    admitted, refused = border.admit(fresh, pending)
    if refused or len(admitted) > MOST:
        return False
    members = {i: pending[i] for i in admitted}
    edges = _edges(members, counts, kinds, border, nobodys)
    if edges is None:
        return False
    seen = {}
    for ids in edges.values():
        for i in ids:
            seen[i] = seen.get(i, 0) + 1
    owned = set(members)
    front = []
    for i, held in zip(members, map(sub, map(getrefcount, members.values()), repeat(IN_VALUES))):  # noqa: B905
        if held - (i in pending) != seen.get(i, 0) + counts.get(i, 0):
            owned.discard(i)
            front.append(i)
    while front and owned:
        for i in edges[front.pop()]:
            if i in owned:
                owned.discard(i)
                front.append(i)
    if owned:
        return False
    border.learn(members, True)
    return True


def _edges(members, counts, kinds, border, nobodys):
    """Add to `members` all that they lead to; return the ids of what each refers to, None when that is too much."""
    leaf, barrier, known, lengths = kinds.sizes.leaf, kinds.barrier, kinds.sizes.known, kinds.containers.lengths
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
        refs = kinds.edges.of(o)
        if len(refs) > FEW:
            return None
        ids = edges[i] = []
        for r in refs:
            j = id(r)
            if j in nobodys:
                continue
            t = id(type(r))
            if t in leaf or t in EVERYBODYS or t in barrier or counts.get(j, 0) < 0:
                continue
            ids.append(j)
            if j in members:
                continue
            admitted, refused = border.admit((j,), {j: r})
            if refused or len(members) >= MOST:
                return None
            if admitted:
                members[j] = r
                todo.append(j)
    return edges
