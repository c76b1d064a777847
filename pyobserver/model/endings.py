"""How many have been seen to end under each supervisor, and of what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from .groups import GroupKey, Ints, group_number

MOST_ENDINGS = 100_000  # pairs of a supervisor and a group
NO_GROUP = -1  # of what is no row: a task group that has ended, a gather


@dataclass(frozen=True)
class Endings:
    """Counts by pair: what has ended under `parents` (ids) and belonged to `groups` (numbers, `NO_GROUP` for nodes).

    Tasks that were done and held before they went away are counted with the others of their function. Without
    `is_complete` there were too many pairs, and nothing is known.
    """

    parents: Ints
    groups: Ints
    counts: Ints
    is_complete: bool = True

    def under(self, parent: int, group: GroupKey | None = None) -> int | None:
        """How many have ended under a supervisor, or of a group under it; None when that is not counted any more."""
        if not self.is_complete:
            return None
        chosen = self.parents == parent
        if group is not None:
            chosen &= self.groups == group_number((*group[:2], False))
        return int(self.counts[chosen].sum())


_NONE: Ints = np.empty(0, np.int64)
NO_ENDINGS = Endings(_NONE, _NONE, _NONE)


class EndingCounts:
    """Counts what ends. Whoever owns it says when a supervisor is forgotten, as its counts are then."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[int, int]] = {}  # by parent and group
        self._pairs = 0
        self._view: Endings | None = NO_ENDINGS

    def add(self, parent: int, group: int = NO_GROUP) -> None:
        """One has ended under a supervisor."""
        if self._pairs > MOST_ENDINGS:
            return
        known = self._counts.setdefault(parent, {})
        self._pairs += group not in known
        known[group] = known.get(group, 0) + 1
        self._view = None

    def forget(self, parents: Collection[int]) -> None:
        """These are not there any more."""
        if self._pairs > MOST_ENDINGS:
            return
        for parent in self._counts.keys() & set(parents):
            self._pairs -= len(self._counts.pop(parent))
            self._view = None

    def clear(self) -> None:
        """Forget all, as after the agent was replaced."""
        self._counts.clear()
        self._pairs = 0
        self._view = NO_ENDINGS

    def view(self) -> Endings:
        """The counts as they are now."""
        if self._view is None:
            rows = [(parent, group, n) for parent, by_group in self._counts.items() for group, n in by_group.items()]
            table = np.array(rows, np.int64).reshape(-1, 3)
            self._view = Endings(table[:, 0], table[:, 1], table[:, 2], self._pairs <= MOST_ENDINGS)
        return self._view
