"""The table of the allocators: what each has in use and holds, how it grows, and what part of the whole it is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from ...analysis.allocators import AllocatorRow, table_rows
from ...analysis.format import bytes_text, growth_bytes, percent
from ...analysis.growth import Mode
from ...model.snapshot import Snapshot
from ..view import SortState, View
from ..widgets import Cell, Column, sparkline
from .ordered import OrderedTable

TREND_WIDTH = 8
TOTAL = "total"
ABOUT = {
    "python": "objects of up to 512 bytes, from Python's own allocator: your program's, for the most part",
    "c_heap": "malloc: objects above 512 bytes, tables of lists and dictionaries, what extension modules take",
    "large_blocks": "blocks of 128 kB and more that malloc takes one by one from the system: arrays, big bytes objects",
    "native_other": "memory that is neither Python's nor malloc's: a native library with an allocator of its own",
    "stacks": "what the threads have touched of their stacks",
    "files": "program code, libraries and mapped files; shared with other processes for the most part",
    "shared": "memory that other processes have, too",
    TOTAL: "resident memory, with the kernel's own peak",
}

INNER = {
    "arrow": "pyarrow's memory pool, as it counts itself; what it holds beyond is room, and what it has not given back",
    "sqlite": "what SQLite has in use, by its own counter: its databases in memory, its cache of pages, its statements",
    "cuda": "memory of the GPU, of which no part is in the process: what tensors have, of what PyTorch keeps",
    "numpy": "the data of numpy's arrays, as the last count of objects has met them (the tab of the heap has it made)",
    "gpu": "memory of the GPU that its driver gives to this process: that of CUDA itself and all libraries included",
    "jemalloc": "the malloc of this program, in the place of glibc's",
    "tcmalloc": "the malloc of this program, in the place of glibc's",
    "mimalloc": "mimalloc, an allocator that libraries bring along",
}


def about(row: AllocatorRow) -> str:
    """What an allocator is; of one of a library also whose memory it is part of."""
    said = ABOUT.get(row.name) or INNER.get(row.name.split(" ")[0].split(":")[0], "an allocator of a library")
    part = f"; part of “{_LABELS[row.within]}”" if row.within in _LABELS else ""
    most = ", at most: what the program maps for itself is in it" if row.held_is_most else ""
    split = f"; {bytes_text(row.split)} of what is kept lie between tensors, for such as fit there" if row.split else ""
    return f"{said}{part}{most}{split}"


_LABELS = {"python": "Python objects", "c_heap": "C heap", "large_blocks": "Large blocks"}
_LABELS["native_other"] = "Other native memory"

_LABEL = Column("label", "Allocator", 24, flex=1, help="Where memory comes from. ▲ marks what grows noticeably.")
_GROWTH = Column("growth", "Growth/min", 10, "right", help="Bytes more each minute, over the window of the chart.")
_MARKED = Column("marked", "Δ baseline", 10, "right", help="Bytes more than at the baseline (b sets it).")
_IN_USE = Column("in_use", "In use", 9, "right", help="Bytes that the program has asked for and not freed.")
_HELD = Column(
    "held",
    "Held",
    9,
    "right",
    help="Resident bytes that the allocator holds; what is freed may stay here.",
)
_KEPT = Column(
    "kept",
    "Kept",
    9,
    "right",
    priority=7,
    help="Freed by the program, but kept by the allocator: room for what comes, or fragmentation.",
)
_UTIL = Column("utilisation", "Util", 6, "right", priority=5, help="In use as a part of what is held.")
_PEAK = Column("peak", "Peak", 9, "right", priority=4, help="The most that was held while we looked.")
_SHARE = Column("share", "Share", 6, "right", priority=6, help="Its part of the resident memory.")
_TREND = Column(
    "trend",
    "Trend",
    TREND_WIDTH,
    sortable=False,
    priority=3,
    help="Its shape over the window of the chart; ▄▄▄ is steady.",
)

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_LABEL, _IN_USE, _HELD, _KEPT, _UTIL, _PEAK, _GROWTH, _SHARE, _TREND),
    "growth": (_LABEL, _HELD, _GROWTH, _SHARE, _TREND),
    "baseline": (_LABEL, _HELD, _MARKED, _SHARE, _TREND),
}


SORT_IN_MODE: dict[Mode, dict[str, str]] = {  # what a column becomes when the mode leaves it out
    "value": {"marked": "growth"},
    "growth": {"in_use": "held", "kept": "held", "utilisation": "held", "peak": "held", "marked": "growth"},
    "baseline": {"in_use": "held", "kept": "held", "utilisation": "held", "peak": "held", "growth": "marked"},
}


class AllocatorLines:
    """The rows for the table."""

    def __init__(self, rows: Sequence[AllocatorRow], columns: Sequence[Column]) -> None:
        self.rows = rows
        self._columns = columns

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, line: int) -> Hashable:
        """The allocator's name."""
        return self.rows[line].name

    def find(self, key: Hashable) -> int | None:
        """The line of an allocator."""
        return next((i for i, row in enumerate(self.rows) if row.name == key), None)

    def style(self, line: int) -> str:
        """The total stands out; an allocator that holds nothing is dim, and so is one that is part of another."""
        row = self.rows[line]
        return "bold" if row.name == TOTAL else "dim" if row.within or (not row.held and not row.in_use) else ""

    def cells(self, line: int) -> list[Cell]:
        """One cell for each column."""
        row = self.rows[line]
        change: Cell = growth_bytes(row.growth)
        trend: Cell = sparkline(row.trend, TREND_WIDTH)
        if row.growing:
            change, trend = (growth_bytes(row.growth), "grow"), (sparkline(row.trend, TREND_WIDTH), "grow")
        cells: dict[str, Cell] = {
            "label": ("▲ " if row.growing else "  ") + ("└ " if row.within else "") + row.label,
            "in_use": ("~" if row.in_use_error else "") + bytes_text(row.in_use),
            "held": ("≤ " if row.held_is_most else "") + bytes_text(row.held),
            "kept": bytes_text(row.kept),
            "utilisation": percent(row.utilisation),
            "peak": bytes_text(row.peak),
            "growth": change,
            "marked": growth_bytes(row.marked),
            "share": percent(row.share),
            "trend": trend,
        }
        return [cells[column.key] for column in self._columns]


_SORTS: dict[str, Callable[[AllocatorRow], float | str | None]] = {
    "label": lambda row: row.label.casefold(),
    "in_use": lambda row: row.in_use,
    "held": lambda row: row.held,
    "kept": lambda row: row.kept,
    "utilisation": lambda row: row.utilisation,
    "peak": lambda row: row.peak,
    "growth": lambda row: row.growth,
    "marked": lambda row: row.marked,
    "share": lambda row: row.share,
}


def ordered(rows: Sequence[AllocatorRow], sort: SortState, text: str) -> list[AllocatorRow]:
    """Return the rows that have `text` in their label; the total stays at the end, what is not known before it.

    What is part of another allocator stays behind that, and what is part of none behind the total.
    """
    wanted = text.strip().casefold()
    parts = _sorted([row for row in rows if row.name != TOTAL and row.within is None], sort)
    found: list[AllocatorRow] = []
    for row in parts:
        inner = _sorted([each for each in rows if each.within == row.name], sort)
        is_it = wanted in row.label.casefold()
        inner = [each for each in inner if is_it or wanted in each.label.casefold()]
        found += [row, *inner] if is_it or inner else []
    outer = _sorted([row for row in rows if row.within == "" and wanted in row.label.casefold()], sort)
    return [*found, *(row for row in rows if row.name == TOTAL and not wanted), *outer]


def _sorted(parts: list[AllocatorRow], sort: SortState) -> list[AllocatorRow]:
    value = _SORTS.get(sort.column)
    if value is not None:
        known = [row for row in parts if value(row) is not None]
        known.sort(key=lambda row: value(row), reverse=sort.descending)  # type: ignore[arg-type,return-value]
        parts = known + [row for row in parts if value(row) is None]
    elif not sort.descending:
        parts = parts[::-1]
    return parts


class AllocatorTable(OrderedTable):
    """The allocators in the order in which they are read, or by a column."""

    by_mode = COLUMNS
    replaced = SORT_IN_MODE
    texts: ClassVar[Sequence[str]] = ("label",)

    def __init__(self) -> None:
        super().__init__(sort="", id="allocators", loading_text="reading the memory")
        self.lines = AllocatorLines((), self.columns)

    def present(self, snapshot: Snapshot, view: View, text: str) -> None:
        """Show the allocators that have `text` in their label."""
        self.follow(view.mode)
        rows = ordered(table_rows(snapshot, view.window), self.sort, text)
        self.lines = AllocatorLines(rows, self.columns)
        self.put(self.lines)

    def selected(self) -> AllocatorRow | None:
        """The allocator under the cursor."""
        line = self.lines.find(self.cursor_key)
        return None if line is None else self.lines.rows[line]
