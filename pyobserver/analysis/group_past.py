"""How a group or a supervisor has become what it is: its count and its bytes over time, as far as we have seen it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.forest_sums import CHILDREN, MEMORY, numbered
from ..model.groups import group_name
from ..model.snapshot import Snapshot
from .group_facts import Scope, sums_now

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Past:
    """Two quantities at ascending Unix times: how many, of a supervisor its children, and the bytes of all of it."""

    times: Array
    counts: Array
    bytes_times: Array
    bytes: Array


def past(snapshot: Snapshot, scope: Scope, window: float) -> Past:
    """Return what is known of the last `window` seconds.

    Of nodes and alike children it is known while they are among the widest of the tree, and now.
    """
    since = snapshot.taken_at - window
    if scope.tree_key is None:
        return _of_group(snapshot, scope, since)
    ids, groups = numbered([scope.tree_key])
    points = []
    for sums in snapshot.marks:
        line = int(sums.find(ids, groups)[0]) if since <= sums.time < snapshot.taken_at else -1
        if line >= 0:
            points.append((sums.time, sums.table[line, CHILDREN], sums.table[line, MEMORY]))
    now = sums_now(snapshot, scope)
    if now is not None:
        points.append((snapshot.taken_at, now[CHILDREN], now[MEMORY]))
    table = np.array(points, np.float64).reshape(-1, 3)
    return Past(table[:, 0], table[:, 1], table[:, 0], table[:, 2])


def _of_group(snapshot: Snapshot, scope: Scope, since: float) -> Past:
    if scope.key is None:
        return Past(*(np.empty(0) for _ in range(4)))
    counts = snapshot.history.curve(group_name(scope.key, "count"), since)
    sizes = snapshot.history.curve(group_name(scope.key, "bytes"), since)
    return Past(counts.times, counts.mean, sizes.times, sizes.mean)
