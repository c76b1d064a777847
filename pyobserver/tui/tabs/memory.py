"""The tab of the memory: is it growing, what is growing, how long is there left."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget

from ...analysis.allocators import AllocatorRow, allocator_rows, chart_lines, memory_outlook
from ...analysis.format import bytes_text, growth_bytes, percent
from ...analysis.growth import Mode
from ...analysis.verdict import Verdict
from ...model.store import Phase, Snapshot
from ..bar import Line, styled
from ..view import Tab, View, copied
from ..widgets import Cell, Column, VirtualTable, sparkline
from ..widgets.chart import Chart
from ..widgets.chart_view import WAITING, ChartSeries, ChartView
from ..widgets.text import shorten, width_of

TREND_WIDTH = 8

_LABEL = Column(
    "label", "Allocator", 24, flex=1, sortable=False, help="Where memory comes from. ▲ marks what grows noticeably."
)
_GROWTH = Column(
    "growth", "Growth/min", 10, "right", sortable=False, help="Bytes more each minute, over the window of the chart."
)
_MARKED = Column(
    "marked", "Δ baseline", 10, "right", sortable=False, help="Bytes more than at the baseline (b sets it)."
)
_IN_USE = Column(
    "in_use", "In use", 9, "right", sortable=False, help="Bytes that the program has asked for and not freed."
)
_HELD = Column(
    "held",
    "Held",
    9,
    "right",
    sortable=False,
    help="Resident bytes that the allocator holds; what is freed may stay here.",
)
_UTIL = Column("utilisation", "Util", 6, "right", sortable=False, priority=5, help="In use as a part of what is held.")
_PEAK = Column("peak", "Peak", 9, "right", sortable=False, priority=4, help="The most that was held while we looked.")
_SHARE = Column("share", "Share", 6, "right", sortable=False, priority=6, help="Its part of the resident memory.")
_TREND = Column(
    "trend",
    "Trend",
    TREND_WIDTH,
    sortable=False,
    priority=3,
    help="Its shape over the window of the chart; ▄▄▄ is steady.",
)

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_LABEL, _IN_USE, _HELD, _UTIL, _PEAK, _GROWTH, _SHARE, _TREND),
    "growth": (_LABEL, _HELD, _GROWTH, _SHARE, _TREND),
    "baseline": (_LABEL, _HELD, _MARKED, _SHARE, _TREND),
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
        """The total stands out; an allocator that holds nothing is dim."""
        row = self.rows[line]
        return "bold" if row.name == "total" else "dim" if not row.held and not row.in_use else ""

    def cells(self, line: int) -> list[Cell]:
        """One cell for each column."""
        row = self.rows[line]
        change: Cell = growth_bytes(row.growth)
        trend: Cell = sparkline(row.trend, TREND_WIDTH)
        if row.growing:
            change, trend = (growth_bytes(row.growth), "grow"), (sparkline(row.trend, TREND_WIDTH), "grow")
        cells: dict[str, Cell] = {
            "label": ("▲ " if row.growing else "  ") + row.label,
            "in_use": bytes_text(row.in_use),
            "held": bytes_text(row.held),
            "utilisation": percent(row.utilisation),
            "peak": bytes_text(row.peak),
            "growth": change,
            "marked": growth_bytes(row.marked),
            "share": percent(row.share),
            "trend": trend,
        }
        return [cells[column.key] for column in self._columns]


class Sentence(Line):
    """A word that says what kind of line it is, and a sentence that may take two lines."""

    def show(self, word: str, text: str, style: str = "") -> None:
        """Show a sentence."""
        self.change((word, text, style))

    def render(self) -> Content:
        if not isinstance(self._shown, tuple):
            return Content("")
        word, text, style = self._shown
        lead = f" {word}  "
        width = self.size.width - width_of(lead)
        lines = _broken(text, width, self.size.height)
        rest = ("\n" + " " * len(lead)).join(lines) if lines else ""
        return Content("").join([styled(lead, style or "bold"), Content(rest)])


def _broken(text: str, width: int, height: int) -> list[str]:
    """The text in at most `height` lines of `width` cells, broken between words; the last one is cut."""
    lines: list[str] = []
    words = shorten(text, 4000).split(" ")
    while words and len(lines) < max(1, height):
        line = words.pop(0)
        while words and width_of(line) + 1 + width_of(words[0]) <= width:
            line += " " + words.pop(0)
        lines.append(line)
    if words:
        lines[-1] += " " + " ".join(words)
    return [shorten(line, width) for line in lines]


class MemoryTab(Tab):
    """The chart over time, the table under it, and the verdict."""

    title = "Memory Allocators"
    short_title = "Memory"
    period = 1.0
    explanation: ClassVar[str] = (
        "Where the memory is and how it goes. The chart has the total (RSS), what Python holds and has in use, the C "
        "heap and everything else, and the limit when it comes near; + and - change its window, over which growth is "
        "told, too."
    )
    DEFAULT_CSS = """
    MemoryTab {
        & > Chart { height: 1fr; min-height: 5; }
        & > #reason { height: 1; color: $foreground 60%; }
        & > #verdict { height: 2; }
        & > VirtualTable { height: auto; max-height: 12; min-height: 4; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="memory")
        self._rows: list[AllocatorRow] = []
        self._lines = AllocatorLines((), COLUMNS["value"])
        self._mode: Mode = "value"

    def compose(self) -> ComposeResult:
        yield Chart(id="chart")
        yield VirtualTable(COLUMNS["value"], id="allocators", loading_text="reading the memory")
        yield Sentence(id="reason")
        yield Sentence(id="verdict")

    def main_widget(self) -> Widget:
        return self.query_one(VirtualTable)

    def present(self, snapshot: Snapshot, view: View) -> None:
        table = self.query_one(VirtualTable)
        if view.mode != self._mode:
            self._mode = view.mode
            table.set_columns(COLUMNS[view.mode])
        self._rows = allocator_rows(snapshot, view.window)
        self._lines = AllocatorLines(self._rows, COLUMNS[view.mode])
        if self._rows or snapshot.status.phase is Phase.EXITED:
            table.empty_text = "the memory could not be read"
            table.show(self._lines)
            table.styles.height = len(self._rows) + 1
        self.query_one(Chart).show(chart_view(snapshot, view))
        self._explain()

    def judge(self, verdict: Verdict) -> None:
        """Show the sentence of the verdict, which is made at longer intervals."""
        style = {"growing": "grow", "limit": "limit"}.get(verdict.level, "bold")
        mark = "⚠ " if verdict.level else ""
        self.query_one("#verdict", Sentence).show(f"{mark}Verdict", verdict.text, style)

    def on_virtual_table_cursor_moved(self, event: VirtualTable.CursorMoved) -> None:
        event.stop()
        self._explain()

    def _explain(self) -> None:
        """Say why something in the selected line is not known."""
        line = self._lines.find(self.query_one(VirtualTable).cursor_key)
        row = None if line is None else self._rows[line]
        if row is not None and row.reason:
            self.query_one("#reason", Sentence).show("·", f"{row.label}: {row.reason}", "dim")
        else:
            self.query_one("#reason", Sentence).show("", "")

    def help_columns(self) -> Sequence[Column]:
        return COLUMNS[self._mode]

    def row_text(self) -> str:
        line = self._lines.find(self.query_one(VirtualTable).cursor_key)
        return "" if line is None else copied(COLUMNS[self._mode], self._lines.cells(line))


def chart_view(snapshot: Snapshot, view: View) -> ChartView:
    """Return what the chart shows: the part of the history that ends with this snapshot, and the limit."""
    end = snapshot.taken_at
    series = []
    for color, line in enumerate(chart_lines(snapshot, view.window)):
        seen = line.curve.times <= end
        if seen.any():
            series.append(ChartSeries(line.name, line.label, color, line.curve.times[seen], line.curve.mean[seen]))
    outlook = memory_outlook(snapshot, view.window)
    limit = None
    if outlook.limit is not None:
        limit = (float(outlook.limit), outlook.limit_source.split(" ")[0])
    return ChartView(
        series=tuple(series),
        window=(end - view.window, end),
        limit=limit,
        empty=WAITING
        if snapshot.status.phase is not Phase.EXITED
        else "not available: it has ended before it was read",
        timezone=view.tz,
    )
