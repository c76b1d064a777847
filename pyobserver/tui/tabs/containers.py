"""The table of the large containers, by the path that leads to them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from ...analysis.containers import ContainerRow, container_rows, sort_containers
from ...analysis.findings import Screen
from ...analysis.format import count, growth_count
from ...analysis.growth import Mode
from ...model.places import NO_CONTAINERS, ContainerRecord
from ...model.snapshot import Snapshot
from ..view import View
from ..widgets import Cell, Column
from ..words import changed
from .ordered import ListedTable

_MARK = Column("mark", "", 1, sortable=False)
_PATH = Column(
    "path",
    "Container",
    24,
    flex=3,
    cut="start",
    help="Where it is: from a module, by the class of an instance, or among the variables of a task. ▲: it grows.",
)
_TYPE = Column("type", "Type", 11, priority=7, help="What kind of container it is.")
_ITEMS = Column("items", "Items", 10, "right", help="How many items it has; of all together where there are several.")
_GROWTH = Column("growth", "+/min", 9, "right", help="Items more each minute, over the window (+ and -).")
_CONTAINERS = Column("containers", "Alike", 6, "right", priority=5, help="How many containers there are at this path.")
_LARGEST = Column("largest", "Largest", 9, "right", priority=4, help="Items in the largest of them.")
_SINCE = Column("marked", "Δ Items", 9, "right", help="Items more than at the baseline.")

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_MARK, _PATH, _TYPE, _ITEMS, _GROWTH, _CONTAINERS, _LARGEST),
    "growth": (_MARK, _PATH, _TYPE, _GROWTH, _ITEMS, _CONTAINERS),
    "baseline": (_MARK, _PATH, _TYPE, _SINCE, _ITEMS, _CONTAINERS),
}


def _growing(row: ContainerRow, text: str) -> Cell:
    return (text, "grow") if row.growing and text.startswith("+") else text


_CELLS: dict[str, Callable[[ContainerRow], Cell]] = {
    "mark": lambda row: ("▲", "grow") if row.growing else "",
    "path": lambda row: row.path,
    "type": lambda row: row.type,
    "items": lambda row: count(row.items),
    "growth": lambda row: _growing(row, growth_count(row.growth)),
    "containers": lambda row: count(row.containers) if row.containers > 1 else "",
    "largest": lambda row: count(row.largest) if row.containers > 1 else "",
    "marked": lambda row: _growing(row, changed(row.marked)),
}


class ContainerTable(ListedTable[ContainerRow]):
    """The containers that were found."""

    by_mode = COLUMNS
    found_on: ClassVar[Screen] = "containers"
    replaced: ClassVar[dict[Mode, dict[str, str]]] = {
        "value": {"marked": "items"},
        "growth": {"marked": "growth", "largest": "items"},
        "baseline": {"growth": "marked", "largest": "items"},
    }
    texts: ClassVar[Sequence[str]] = ("path", "type")
    row_cells = _CELLS

    def __init__(self) -> None:
        super().__init__(sort="items", id="containers", loading_text="looking through the heap for large containers")
        self._found: tuple[ContainerRecord, float, list[ContainerRow]] = (NO_CONTAINERS, 0.0, [])

    def key_of(self, row: ContainerRow) -> Hashable:
        return row.key

    def present(self, snapshot: Snapshot, view: View, text: str) -> None:
        """Show the containers that have `text` in path or type."""
        self.follow(view.mode)
        every = self._every(snapshot, view.window)
        self.in_all = len(every)
        self.list_rows(sort_containers(every, self.sort.column, self.sort.descending, text), text)

    def _every(self, snapshot: Snapshot, window: float) -> list[ContainerRow]:
        """The rows, made anew when there is a new reading."""
        record, before, rows = self._found
        if snapshot.containers is not record or window != before:
            rows = container_rows(snapshot, window)
            self._found = (snapshot.containers, window, rows)
        return rows

    def select_path(self, path: str) -> bool:
        """Put the cursor on the first container at a path; False when there is none."""
        found = next((row for row in self.lines.rows if row.path == path), None)
        return found is not None and self.select(found.key)
