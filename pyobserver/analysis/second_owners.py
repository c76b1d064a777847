"""What has several owners: it hangs under one of them, and is told at the others."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.snapshot import Snapshot

MANY = 5_000  # rows with several owners: so many are sorted by owner now and then only
SECONDS = 5.0
AT_ONCE = 64  # of what one owner has elsewhere

Owned = list[tuple[int, str]]  # (id, edge)


class SecondOwners:
    """Who has a row beside what it hangs under, and what somebody has that hangs elsewhere."""

    def __init__(self, snapshot: Snapshot, before: SecondOwners | None = None) -> None:
        self._snapshot = snapshot
        self._owned: Mapping[int, Owned] | None = None
        self._sorted_at = snapshot.taken_at
        if before is not None and before._owned is not None:
            is_same = before._snapshot.other_owners is snapshot.other_owners
            is_young = 0.0 <= snapshot.taken_at - before._sorted_at < SECONDS
            if is_same or (is_young and len(snapshot.other_owners) > MANY):
                self._owned, self._sorted_at = before._owned, before._sorted_at

    def of(self, row_id: int) -> Owned:
        """Who has a row, too: (id, edge) of each that is in the tree."""
        owners = self._snapshot.other_owners.get(row_id, ())
        return [(owner, edge) for owner, edge in owners if self._is_there(owner)]

    def owned_by(self, owner: int) -> tuple[Owned, Mapping[str, int]]:
        """What a row or node has that hangs under something else: the first of it, and how many in all by edge."""
        if self._owned is None:
            by_owner: dict[int, Owned] = {}
            for number, owners in self._snapshot.other_owners.items():
                for each, edge in owners:
                    by_owner.setdefault(each, []).append((number, edge))
            self._owned, self._sorted_at = by_owner, self._snapshot.taken_at
        found: Owned = []
        in_all: dict[str, int] = {}
        for number, edge in self._owned.get(owner, ()):
            in_all[edge] = in_all.get(edge, 0) + 1
            if len(found) < AT_ONCE and self._is_there(number):
                found.append((number, edge))
        return found, in_all

    def has_several(self, number: int) -> bool:
        """Whether there is anything to tell about it."""
        return bool(self.of(number) or self.owned_by(number)[0])

    def _is_there(self, number: int) -> bool:
        return self._snapshot.forest.position(number) is not None
