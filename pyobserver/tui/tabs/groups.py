"""The table of the groups: rows of one kind and function in one line."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from ...analysis.findings import Finding, Screen
from ...analysis.format import bytes_text, count, duration, growth_bytes, growth_count
from ...analysis.groups import GroupRow, group_rows, sort_groups
from ...analysis.growth import Mode
from ...model.snapshot import Snapshot
from ...protocol import schema
from ..view import View
from ..widgets import Cell, Column
from ..words import NO_FUNCTION, NOT_AVAILABLE, changed, group_kind, waiting_at
from .ordered import ListedTable

TEXT_COLUMNS = ("function", "where")

_MARK = Column("mark", "", 1, sortable=False)
_FUNCTION = Column(
    "function",
    "Function",
    22,
    flex=3,
    cut="start",
    help="What they run: module and qualified name. ▲ before it: they grow. Behind it: what is no task, and tasks that "
    "are done while somebody still holds them.",
)
_COUNT = Column(
    "count",
    "Count",
    7,
    "right",
    help="How many there are now. ~ estimated, as not all were met; ≥ at least: from Python 3.14 on, asyncio does not "
    "list tasks that are done, and only those are known that were met before.",
)
_COUNT_GROWTH = Column(
    "count_growth", "+/min", 6, "right", help="How many more there are each minute, over the window (+ and -)."
)
_MEMORY = Column(
    "memory",
    "Memory",
    8,
    "right",
    help="Bytes that would be freed if they all went away. ~ estimated, as not all have been measured.",
)
_GROWTH = Column("growth", "+/min", 8, "right", help="Bytes more each minute, over the window (+ and -).")
_MEAN = Column("mean", "Mean", 7, "right", priority=6, help="What one of them retains on average.")
_AGE = Column("age", "Oldest", 11, "right", priority=4, help="The age of the oldest; ≥ when it was there before us.")
_ENDED = Column(
    "ended", "Ended", 6, "right", priority=5, help="How many have been seen to end: 0 beside a growing count is a leak."
)
_WHERE = Column(
    "where", "Where most wait", 16, flex=1, priority=3, help="In which line most of them wait, and on what."
)
_SINCE_COUNT = Column("marked_count", "Δ Count", 7, "right", help="How many more there are than at the baseline.")
_SINCE_BYTES = Column("marked_bytes", "Δ Memory", 8, "right", help="Bytes more than at the baseline.")
_REST = (_MEAN, _AGE, _ENDED, _WHERE)

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_MARK, _FUNCTION, _COUNT, _COUNT_GROWTH, _MEMORY, _GROWTH, *_REST),
    "growth": (_MARK, _FUNCTION, _COUNT_GROWTH, _GROWTH, *_REST),
    "baseline": (_MARK, _FUNCTION, _SINCE_COUNT, _SINCE_BYTES, *_REST),
}
SORT_IN_MODE: dict[Mode, dict[str, str]] = {  # what a column becomes when the mode replaces it
    "value": {"marked_count": "count", "marked_bytes": "memory"},
    "growth": {
        "count": "count_growth",
        "memory": "growth",
        "marked_count": "count_growth",
        "marked_bytes": "growth",
    },
    "baseline": {
        "count": "marked_count",
        "memory": "marked_bytes",
        "count_growth": "marked_count",
        "growth": "marked_bytes",
    },
}


def _growing(row: GroupRow, text: str) -> Cell:
    return (text, "grow") if row.growing and text.startswith("+") else text


def _memory(row: GroupRow) -> Cell:
    if row.bytes is None:
        return (NOT_AVAILABLE, "dim")
    return ("~" if row.measured_share < 1 else "") + bytes_text(row.bytes)


def _function(row: GroupRow) -> str:
    """The name with what is unusual about it behind it, as that end of a long one is kept."""
    parts = [row.function or NO_FUNCTION]
    if row.kind_index != schema.KIND_TASK:
        parts.append(group_kind(row.kind))
    if row.held:
        parts.append("done, held")
    return " · ".join(parts)


_CELLS: dict[str, Callable[[GroupRow], Cell]] = {
    "mark": lambda row: ("▲", "grow") if row.growing else "",
    "function": _function,
    "count": lambda row: row.count_sign + count(row.count),
    "count_growth": lambda row: _growing(row, growth_count(row.count_growth)),
    "memory": _memory,
    "growth": lambda row: _growing(row, growth_bytes(row.bytes_growth)),
    "mean": lambda row: bytes_text(row.mean),
    "age": lambda row: ("≥" if row.oldest_is_minimum else "") + duration(row.oldest_age),
    "ended": lambda row: count(row.ended),
    "where": lambda row: waiting_at(row.waiting, row.where),
    "marked_count": lambda row: _growing(row, changed(row.marked_count)),
    "marked_bytes": lambda row: _growing(row, growth_bytes(row.marked_bytes)),
}


class GroupTable(ListedTable[GroupRow]):
    """All groups."""

    by_mode = COLUMNS
    found_on: ClassVar[Screen] = "groups"
    replaced = SORT_IN_MODE
    texts: ClassVar[Sequence[str]] = TEXT_COLUMNS
    row_cells = _CELLS

    def __init__(self) -> None:
        super().__init__(sort="memory", id="groups", loading_text="waiting for the first tasks")
        self.held = 0  # rows that are done, but still held by somebody

    def mark(self, cells: dict[str, Cell], found: Finding) -> None:
        super().mark(cells, found)
        cells["function"] = f"{cells['function']} · {found.level}"

    def key_of(self, row: GroupRow) -> Hashable:
        return row.key

    def style_of(self, row: GroupRow) -> str:
        """Groups without members are dim."""
        return "" if row.count else "dim"

    def present(self, snapshot: Snapshot, view: View, text: str) -> None:
        """Show the groups that have `text` in them."""
        self.follow(view.mode)
        every = group_rows(snapshot, view.window)
        self.in_all = len(every)
        self.held = sum(row.count for row in every if row.held)
        self.list_rows(sort_groups(every, self.sort.column, self.sort.descending, text), text)
