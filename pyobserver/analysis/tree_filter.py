"""What of the tree has a text in it, with what is above and below that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.snapshot import Snapshot
from .ordering import matches

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """Positions of the forest: `hits` have the text, `kept` are those with all that is above and below them."""

    hits: Mask
    kept: Mask

    @property
    def count(self) -> int:
        """How many have it."""
        return int(self.hits.sum())


def find(snapshot: Snapshot, text: str) -> Found:
    """Look for a text, in any case, in rows as the tables do, and in kind, label and detail of nodes."""
    forest, wanted = snapshot.forest, text.strip().casefold()
    hits = np.zeros(len(forest.ids), bool)
    rows = len(snapshot.tasks)
    hits[1 : rows + 1] = matches(snapshot.tasks, text)
    for position, node in enumerate(forest.nodes, rows + 1):
        hits[position] = wanted in f"{node.kind.replace('_', ' ')} {node.label} {node.detail}".casefold()
    above, below = hits.copy(), hits.copy()
    for _ in range(len(forest.ids)):  # once per level; parents form no circles, and if they did this would end
        more_above, more_below = above.copy(), below | below[forest.parents]
        more_above[forest.parents[above]] = True
        if (more_above == above).all() and (more_below == below).all():
            break
        above, below = more_above, more_below
    kept = above | below
    kept[0] |= kept.any()
    return Found(hits, np.asarray(kept, bool))
