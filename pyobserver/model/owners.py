"""Who owns a row beside its parent, and which node a child process hangs under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from .forest import Node

Owners = tuple[tuple[int, str], ...]  # (id of a row or node, the edge's kind)

MAX_ROWS_WITH_OTHERS = 300_000
NO_OWNERS: Mapping[int, Owners] = MappingProxyType({})


class OtherOwners:
    """The owners of rows but their parents, by row. `view` gives out what does not change any more."""

    def __init__(self) -> None:
        self._known: dict[int, Owners] = {}
        self._view: Mapping[int, Owners] | None = NO_OWNERS

    def put(self, rows: Iterable[int], found: Mapping[int, Owners]) -> None:
        """Rows are told whole: those that are not in `found` have no other owners."""
        if not self._known and not found:
            return
        for row in rows:
            owners = found.get(row)
            if owners is None:
                changed = self._known.pop(row, None) is not None
            else:
                changed = self._known.get(row) != owners
                if changed and (row in self._known or len(self._known) < MAX_ROWS_WITH_OTHERS):
                    self._known[row] = owners
            if changed:
                self._view = None

    def remove(self, rows: Iterable[int]) -> None:
        """Rows that are not there any more."""
        self.put(rows, {})

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._view = NO_OWNERS

    def view(self) -> Mapping[int, Owners]:
        """Return all that is known now."""
        if self._view is None:
            self._view = MappingProxyType(dict(self._known))
        return self._view


def parents_of_children(nodes: Iterable[Node]) -> dict[int, int]:
    """Return the id of the node that each child process hangs under, by its pid, where one is known."""
    return {pid: node.id for node in nodes if not node.ended for pid in node.pids}
