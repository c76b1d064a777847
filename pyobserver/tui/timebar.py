"""The line of a replay: which moment is shown, in how long a time, and where the findings are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.message import Message

from ..analysis.format import duration
from .bar import Line, styled
from .widgets.text import width_of

LEAST_BAR = 8  # columns


@dataclass(frozen=True)
class Mark:
    """Something that was found at a time. `level` is that of a finding: "growing", "limit", or what else there is."""

    time: float
    level: str
    text: str


@dataclass(frozen=True)
class Position:
    """Where a replay is: the time that is shown with its words, the first and the last time, and how it plays."""

    now: float
    clock: str
    begin: float
    end: float
    is_playing: bool
    speed: float
    marks: tuple[Mark, ...] = ()


class TimeBar(Line):
    """Shows a position. A click on the bar asks for another time."""

    DEFAULT_CSS = "TimeBar { background: $panel; }"

    class Chosen(Message):
        """The bar was clicked; `time` is what lies there."""

        def __init__(self, time: float) -> None:
            super().__init__()
            self.time = time

    def __init__(self) -> None:
        super().__init__()
        self._bar = (0, 0)  # its first column, and how many

    def show(self, position: Position) -> None:
        """Show where it is."""
        self.change(position)

    def render(self) -> Content:
        if not isinstance(self._shown, Position):
            return Content("")
        shown = self._shown
        sign = "▶" if shown.is_playing else "‖"
        speed = f" ×{shown.speed:g}" if shown.speed != 1 else ""
        left = f" {sign} {shown.clock}{speed} "
        right = f" {duration(shown.now - shown.begin)} of {duration(shown.end - shown.begin)} "
        if shown.end <= shown.begin:
            right = " a single moment; only the charts have a past "
        if shown.marks:
            right += f"· {len(shown.marks)} marked "
        width = self.size.width - width_of(left) - width_of(right)
        if width < LEAST_BAR:
            self._bar = (0, 0)
            return Content("").join([styled(left, "bold"), styled(right, "quiet")])
        self._bar = (width_of(left), width)
        return Content("").join([styled(left, "bold"), *self._cells(shown, width), styled(right, "quiet")])

    def _cells(self, shown: Position, width: int) -> list[Content]:
        at = _column(shown, shown.now, width)
        levels = {_column(shown, mark.time, width): mark.level for mark in shown.marks}
        cells = []
        for column in range(width):
            if column == at:
                cells.append(styled("●", "bold"))
            elif column in levels:
                cells.append(styled("▲", "limit" if levels[column] == "limit" else "grow"))
            else:
                cells.append(styled("━" if column < at else "─", "" if column < at else "dim"))
        return cells

    def on_click(self, event: events.Click) -> None:
        first, width = self._bar
        if isinstance(self._shown, Position) and first <= event.x < first + width:
            share = (event.x - first) / max(1, width - 1)
            self.post_message(self.Chosen(self._shown.begin + share * (self._shown.end - self._shown.begin)))


def _column(shown: Position, at: float, width: int) -> int:
    length = shown.end - shown.begin
    share = (at - shown.begin) / length if length > 0 else 1.0
    return min(width - 1, max(0, round(share * (width - 1))))


def following(marks: Sequence[Mark], now: float, direction: int) -> Mark | None:
    """Return the next mark after a time, or the last one before it; None without one."""
    if direction > 0:
        return min((mark for mark in marks if mark.time > now), key=lambda mark: mark.time, default=None)
    return max((mark for mark in marks if mark.time < now), key=lambda mark: mark.time, default=None)
