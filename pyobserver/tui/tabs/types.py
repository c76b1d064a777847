"""The table of the types: live small objects of one type in one line."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from ...analysis.findings import Screen
from ...analysis.format import UNKNOWN, bytes_text, count, growth_bytes, growth_count, percent
from ...analysis.growth import Mode
from ...analysis.heap import NORMAL_95, TypeRow, sort_types, type_rows
from ...model.census import NO_CENSUS, HeapRecord
from ...model.snapshot import Snapshot
from ..view import View
from ..widgets import Cell, Column
from .ordered import ListedTable

NO_CHANGE = "≈0"  # within the error of the sample

_MARK = Column("mark", "", 1, sortable=False)
_NAME = Column(
    "name",
    "Type",
    24,
    flex=3,
    cut="start",
    help="Module and qualified name. ▲ before it: there are more and more of them, beyond the error of the sample.",
)
_COUNT = Column("count", "Count", 10, "right", help="How many live ones there are. ~ estimated from a sample.")
_ERROR = Column(
    "error",
    "±",
    6,
    "right",
    sortable=False,
    priority=6,
    help="The error of the count: it is that close in 95 of 100 samples.",
)
_BYTES = Column(
    "bytes",
    "Bytes",
    8,
    "right",
    help="Bytes of their blocks in the small-object allocator: not what they keep in blocks above 512 bytes.",
)
_COUNT_GROWTH = Column(
    "count_growth",
    "+/min",
    8,
    "right",
    help="How many more there are each minute, over the window (+ and -). ≈0: less than the sample could tell.",
)
_BYTES_GROWTH = Column("bytes_growth", "+/min", 9, "right", help="Bytes more each minute, over the window (+ and -).")
_GROWTH_ERROR = Column(
    "growth_error", "± B/min", 8, "right", sortable=False, priority=6, help="The error of the bytes each minute."
)
_SHARE = Column(
    "share", "Share", 5, "right", priority=7, help="Of all bytes that the small-object allocator has in use."
)
_MEAN = Column("mean", "Mean", 7, "right", sortable=False, priority=4, help="Bytes of one of them, in the mean.")
_SINCE_COUNT = Column("marked_count", "Δ Count", 9, "right", help="How many more there are than at the baseline.")
_SINCE_BYTES = Column("marked_bytes", "Δ Bytes", 9, "right", help="Bytes more than at the baseline.")

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_MARK, _NAME, _COUNT, _ERROR, _COUNT_GROWTH, _BYTES, _BYTES_GROWTH, _SHARE, _MEAN),
    "growth": (_MARK, _NAME, _COUNT_GROWTH, _BYTES_GROWTH, _GROWTH_ERROR, _BYTES, _SHARE),
    "baseline": (_MARK, _NAME, _SINCE_COUNT, _SINCE_BYTES, _BYTES, _SHARE),
}
SORT_IN_MODE: dict[Mode, dict[str, str]] = {
    "value": {"marked_count": "count", "marked_bytes": "bytes"},
    "growth": {"count": "count_growth", "marked_count": "count_growth", "marked_bytes": "bytes_growth"},
    "baseline": {"count": "marked_count", "count_growth": "marked_count", "bytes_growth": "marked_bytes"},
}


def estimated(row: TypeRow, text: str) -> str:
    """Return a number with a sign where it comes from a sample."""
    return "~" + text if row.count_error else text


def error_text(value: float, error: float) -> str:
    """Return the error of an estimate as a share of it, on both sides, in which it is 95 of 100 times."""
    if not error:
        return "exact"
    share = NORMAL_95 * error / value if value else 1.0
    return ">100 %" if share > 1 else percent(share, 1 if share < 0.0995 else 0)


def exactly(row: TypeRow) -> str:
    """Return a row's numbers with their errors, as a sentence."""
    parts = [count(row.count) + _plus_minus(row.count_error, count)]
    if row.count_growth is not None:
        error = row.count_growth_error or 0.0
        parts.append(f"{growth_count(row.count_growth)}/min{_plus_minus(error, _of_growth)}")
    if row.bytes_growth is not None:
        parts.append(f"{growth_bytes(row.bytes_growth)}/min{_plus_minus(row.bytes_growth_error or 0.0, bytes_text)}")
    return f"{row.name}: " + ", ".join(parts)


def _of_growth(error: float) -> str:
    return f"{error:,.1f}" if error < 99.95 else count(error)


def _plus_minus(error: float, text: Callable[[float], str]) -> str:
    return f" ± {text(NORMAL_95 * error)}" if error else ""


def _changed(row: TypeRow, value: float | None, text: str, is_certain: bool) -> Cell:
    if value is None:
        return UNKNOWN
    if not is_certain:
        return (NO_CHANGE if row.count_error else text, "dim")
    return (text, "grow") if row.growing and value > 0 else text


_CELLS: dict[str, Callable[[TypeRow], Cell]] = {
    "mark": lambda row: ("▲", "grow") if row.growing else "",
    "name": lambda row: row.name,
    "count": lambda row: estimated(row, count(row.count)),
    "error": lambda row: error_text(row.count, row.count_error),
    "bytes": lambda row: estimated(row, bytes_text(row.bytes)),
    "count_growth": lambda row: _changed(
        row, row.count_growth, growth_count(row.count_growth), row.count_growth_is_certain
    ),
    "bytes_growth": lambda row: _changed(row, row.bytes_growth, growth_bytes(row.bytes_growth), row.growth_is_certain),
    "growth_error": lambda row: bytes_text(
        None if row.bytes_growth_error is None else NORMAL_95 * row.bytes_growth_error
    ),
    "share": lambda row: percent(row.share),
    "mean": lambda row: bytes_text(row.bytes / row.count if row.count else None),
    "marked_count": lambda row: _changed(row, row.marked_count, growth_count(row.marked_count), row.marked_is_certain),
    "marked_bytes": lambda row: _changed(row, row.marked_bytes, growth_bytes(row.marked_bytes), row.marked_is_certain),
}


class TypeTable(ListedTable[TypeRow]):
    """All types."""

    by_mode = COLUMNS
    found_on: ClassVar[Screen] = "types"
    replaced = SORT_IN_MODE
    texts: ClassVar[Sequence[str]] = ("name",)
    row_cells = _CELLS

    def __init__(self) -> None:
        super().__init__(sort="bytes", id="types", loading_text="counting the objects")
        self._counted: tuple[HeapRecord, float, list[TypeRow]] = (NO_CENSUS, 0.0, [])

    def key_of(self, row: TypeRow) -> Hashable:
        return row.name

    def style_of(self, row: TypeRow) -> str:
        """What is no type, and types of which none is left, are dim."""
        return "" if row.is_type and row.count else "dim"

    def present(self, snapshot: Snapshot, view: View, text: str) -> None:
        """Show the types that have `text` in their name."""
        self.follow(view.mode)
        every = self._every(snapshot, view.window)
        self.in_all = len(every)
        self.list_rows(sort_types(every, self.sort.column, self.sort.descending, text), text)

    def _every(self, snapshot: Snapshot, window: float) -> list[TypeRow]:
        """The rows, made anew when there is a new census."""
        record, before, rows = self._counted
        if snapshot.heap is not record or window != before:
            rows = type_rows(snapshot, window)
            self._counted = (snapshot.heap, window, rows)
        return rows
