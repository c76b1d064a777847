"""The tab of the memory: is it growing, what is growing, how long is there left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget

from ...analysis.allocators import AllocatorRow, chart_areas, chart_lines, memory_outlook
from ...analysis.findings import NO_VERDICT, Verdict
from ...analysis.format import bytes_text
from ...model.snapshot import Phase, Snapshot
from ..bar import LEVEL_STYLES, Line, styled
from ..view import Tab, View
from ..widgets import Column, VirtualTable
from ..widgets.chart import Chart
from ..widgets.chart_view import WAITING, ChartSeries, ChartView
from ..widgets.text import broken, width_of
from .allocators import TOTAL, AllocatorTable, about

LEAST_CHART, LEAST_TABLE = 5, 4  # lines
LEAST_SHOWN = 60.0  # seconds that the chart is wide at least


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
        lines = broken(text, width, self.size.height)
        rest = ("\n" + " " * width_of(lead)).join(lines)
        return Content("").join([styled(lead, style or "bold"), Content(rest)])


class MemoryTab(Tab):
    """The chart over time, the table under it, and the verdict."""

    title = "Memory Allocators"
    short_title = "Memory"
    period = 1.0
    explanation: ClassVar[str] = (
        "Where the memory is and how it goes. Is it my objects (Python objects, and the C heap for large ones), a "
        "native library (other native memory, large blocks), or memory that was freed but kept? The chart has areas "
        "that add up to the resident memory, or lines (a), and the limit when it comes near; of the time before we "
        "came an agent that was there has kept the whole, but not its parts, as nobody read them; + and - change its "
        "window, over which growth is told, too. The verdict says what grows and what does it: t shows who holds them. "
        "With --allow-actions c collects garbage, e gives freed memory back, and l traces allocations for some "
        "seconds; each says first what that costs the program."
    )
    DEFAULT_CSS = """
    MemoryTab {
        & > Chart { height: 1fr; min-height: 5; }  /* LEAST_CHART */
        & > #reason { height: 1; color: $foreground 60%; }
        & > #verdict { height: 2; }
        & > VirtualTable { height: auto; max-height: 16; min-height: 4; }  /* LEAST_TABLE */
    }
    """

    def __init__(self) -> None:
        super().__init__(id="memory")
        self._table = AllocatorTable()
        self._shown: tuple[Snapshot, View] | None = None
        self._verdict = NO_VERDICT
        self._filter = ""

    def compose(self) -> ComposeResult:
        yield Chart(id="chart")
        yield self._table
        yield Sentence(id="reason")
        yield Sentence(id="verdict")

    def main_widget(self) -> Widget:
        return self._table

    # -- showing -----------------------------------------------------------------------------------------------------

    def present(self, snapshot: Snapshot, view: View) -> None:
        self._shown = (snapshot, view)
        self._show_rows()
        self.query_one(Chart).show(chart_view(snapshot, view))

    def on_resize(self) -> None:
        self._show_rows()

    def select(self, name: object) -> bool:
        """Put the cursor on an allocator; False when there is none of that name."""
        return isinstance(name, str) and self._table.select(name)

    def _show_rows(self) -> None:
        if self._shown is None:
            return
        snapshot, view = self._shown
        if snapshot.memory is not None or snapshot.process is not None or snapshot.status.phase is Phase.EXITED:
            self._table.empty_text = (
                f"no allocator has “{self._filter}” in it; Esc shows all"
                if self._filter and snapshot.memory is not None
                else "the memory could not be read"
            )
            self._table.present(snapshot, view, self._filter)
            room = max(LEAST_TABLE, self.size.height - LEAST_CHART - 3)  # the sentences take three lines
            self._table.styles.height = min(room, max(len(self._table.lines), 1) + 1)
        self._explain()

    def judge(self, verdict: Verdict) -> None:
        self._verdict = verdict
        worst = verdict.of_memory or verdict.worst
        style = LEVEL_STYLES[worst.level] if worst is not None else "bold"
        mark = "⚠ " if worst is not None else ""
        self.query_one("#verdict", Sentence).show(f"{mark}Verdict", verdict.text, style)

    def _explain(self) -> None:
        """Say what the selected line is, or why something in it is not known."""
        row = self._table.selected()
        said = "" if row is None else (row.in_use is None and row.reason) or about(row)
        sentence = self.query_one("#reason", Sentence)
        said = said and f"{self._unnamed(row)}{said}{_kept(row)}{self._own(row)}"
        sentence.show("" if row is None else row.label, said, "dim")

    def _own(self, row: AllocatorRow | None) -> str:
        """How much of the total is its own: of workers that were forked, most is not."""
        memory = self._shown[0].memory if self._shown is not None else None
        if row is None or row.name != TOTAL or memory is None or memory.uss is None:
            return ""
        return f" · {bytes_text(memory.uss)} its own (USS), {bytes_text(memory.pss)} with its share of the rest (PSS)"

    def _unnamed(self, row: AllocatorRow | None) -> str:
        """How much of the native memory has no name: what the program or a library has mapped, nobody knows why."""
        memory = self._shown[0].memory if self._shown is not None else None
        if row is None or row.name != "native_other" or memory is None or not memory.unnamed:
            return ""
        return f"{bytes_text(memory.unnamed)} without a name · "

    # -- what the user does ------------------------------------------------------------------------------------------

    def on_virtual_table_cursor_moved(self) -> None:
        self._explain()

    def on_virtual_table_row_activated(self, event: VirtualTable.RowActivated) -> None:
        event.stop()
        if event.key != TOTAL:
            self.post_message(self.AllocatorWanted(str(event.key)))
        else:
            found = self._verdict.of_memory
            self.post_message(self.GroupWanted(found.group if found is not None else None))

    def on_virtual_table_sort_requested(self, event: VirtualTable.SortRequested) -> None:
        event.stop()
        self.sort_by(event.column_key)

    def jump(self) -> str:
        number = self._holder
        if number is None:
            return "the verdict names nothing that could be shown in the tree"
        self.post_message(self.PlaceWanted(number))
        return ""

    @property
    def _holder(self) -> int | None:
        """The node that the verdict names as what holds the tasks."""
        found = self._verdict.of_memory
        return found.holder_id if found is not None else None

    def hints(self) -> Mapping[str, str]:
        hints = {"filter": "", "sort": "", "reverse": "", "mode": "", "areas": ""}
        if self._table.cursor_key is not None:
            hints["open"] = "tasks" if self._table.cursor_key == TOTAL else "what it holds"
        if self._holder is not None:
            hints["jump"] = "holder"
        return {**hints, "back": "show all"} if self._filter else hints

    def sort_choices(self) -> Sequence[tuple[str, str]]:
        return self._table.choices()

    def sort_by(self, column: str) -> None:
        self._table.sort_by(column)
        self._show_rows()

    @property
    def sorted_by(self) -> str:
        return self._table.sort.column

    def reverse(self) -> None:
        self._table.reverse()
        self._show_rows()

    def filter_by(self, text: str) -> None:
        self._filter = text
        self._show_rows()

    @property
    def filter_text(self) -> str:
        return self._filter

    def help_rows(self) -> Sequence[tuple[str, str]]:
        return [(row.label, f"{about(row)[0].upper()}{about(row)[1:]}.") for row in self._table.lines.rows]

    def help_columns(self) -> Sequence[tuple[Column, bool]]:
        return self._table.explained()

    def row_text(self) -> str:
        return self._table.row_text()


def _kept(row: AllocatorRow | None) -> str:
    """How much of what is held is free, where that is worth a word."""
    if row is None or row.in_use is None or row.held is None or row.in_use >= row.held:
        return ""
    return f" · {bytes_text(row.held - row.in_use)} freed, but kept"


def chart_view(snapshot: Snapshot, view: View) -> ChartView:
    """Return what the chart shows: the part of the history that ends with this snapshot, and the limit.

    As long as less is known than the window is wide, the chart begins with what is known: of ten minutes with one line
    of a few cells nobody sees whether memory grows.
    """
    end = snapshot.taken_at
    series = []
    lines = chart_areas(snapshot, view.window) if view.areas else chart_lines(snapshot, view.window)
    for color, line in enumerate(lines):
        seen = line.curve.times <= end
        if seen.any():
            xs, ys = line.curve.times[seen], line.curve.mean[seen]
            series.append(ChartSeries(line.name, line.label, color, xs, ys, fills_in=view.areas and line.name == "rss"))
    first = min((float(each.xs[0]) for each in series), default=end)
    outlook = memory_outlook(snapshot, view.window)
    limit = None
    if outlook.limit is not None:
        limit = (float(outlook.limit), outlook.limit_source.split(" ")[0])
    return ChartView(
        series=tuple(series),
        window=(min(max(end - view.window, first), end - LEAST_SHOWN), end),
        limit=limit,
        empty=WAITING
        if snapshot.status.phase is not Phase.EXITED
        else "not available: it has ended before it was read",
        timezone=view.tz,
        areas=view.areas,
    )
