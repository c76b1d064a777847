"""The widget that shows a chart: it asks for a picture when there is something new to see, and paints the last one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from .chart_engine import ChartEngine, PlotextEngine
from .chart_picture import Picture, compose_chart
from .chart_view import SLOTS, WAITING, ChartView

LEAST_PAUSE = 0.5  # seconds between two drawings of one chart
ROLES = ("axis", "limit", "title", "text", *(f"s{slot + 1}" for slot in range(SLOTS)))

# One thread for all charts of the process: plotext has one figure, which two threads would draw into at once. Drawing
# takes 20 ms and more, in which the keys would wait if it were done in the loop.
_DRAWING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="chart")


def _picture(view: ChartView, width: int, height: int, engine: ChartEngine) -> Picture:
    """The chart, or the reason why there is none: whatever goes wrong in a foreign library, the dashboard goes on."""
    try:
        return compose_chart(view, width, height, engine)
    except Exception as error:
        why = f"not available: drawing it failed ({type(error).__name__}: {error})"
        return compose_chart(replace(view, series=(), empty=why), width, height, engine)


class Chart(Widget):
    """Lines over time with a legend, a scale of its own and, when there is one, the limit.

    `show()` may be called as often as there is news: at most two drawings a second are made, always of the newest view,
    and none while the widget is hidden or has no size. Until the next one is ready the last one stays.
    """

    ALLOW_MAXIMIZE = True
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"chart--{role}" for role in ROLES}
    # The colours of the lines can be told apart by those who do not see red and green apart, and on light and dark.
    DEFAULT_CSS = """
    Chart {
        width: 1fr; height: 1fr;
        & > .chart--axis { color: $foreground 55%; }
        & > .chart--text { color: $foreground 65%; }
        & > .chart--title { text-style: bold; }
        & > .chart--limit { color: $text-error; }
        & > .chart--s1 { color: #3d97e0; }
        & > .chart--s2 { color: #e08f00; }
        & > .chart--s3 { color: #17a078; }
        & > .chart--s4 { color: #cc6699; }
        & > .chart--s5 { color: #8e7cc3; }
        & > .chart--s6 { color: #a08c00; }
        & > .chart--s7 { color: $foreground 45%; }
    }
    """

    def __init__(
        self,
        *,
        engine: ChartEngine | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._engine: ChartEngine = engine if engine is not None else PlotextEngine()
        self._clock = clock
        self._sleep = sleep
        self._view: ChartView | None = None
        self._version = 0
        self._picture: Picture | None = None
        self._picture_of: tuple[int, Size] | None = None
        self._drawn_at = float("-inf")
        self._is_drawing = False
        self._strips: dict[int, Strip] = {}
        self._role_styles: dict[str, Style] = {}

    @property
    def view(self) -> ChartView | None:
        """What was given last."""
        return self._view

    def show(self, view: ChartView) -> None:
        """Takes a new view; it is drawn when the widget is visible, and not before half a second after the last one."""
        self._view = view
        self._version += 1
        self._draw_soon()

    def _wanted(self) -> tuple[int, Size] | None:
        """The version and size to be drawn, or None when there is nothing to draw or nobody to see it."""
        if self._view is None or not self.size or not self.is_on_screen:
            return None
        wanted = (self._version, self.size)
        return None if wanted == self._picture_of else wanted

    def _draw_soon(self) -> None:
        if not self._is_drawing and self.is_attached and self._wanted() is not None:
            self._is_drawing = True
            self.run_worker(self._draw(), group="chart", name="chart")

    async def _draw(self) -> None:
        """Draws until the newest view is shown; what came meanwhile and was replaced is never drawn."""
        try:
            while (wanted := self._wanted()) is not None:
                pause = self._drawn_at + LEAST_PAUSE - self._clock()
                if pause > 0 and self._picture_of is not None and self._picture_of[1] == wanted[1]:
                    await self._sleep(pause)
                    continue
                assert self._view is not None
                picture = await asyncio.get_running_loop().run_in_executor(
                    _DRAWING, _picture, self._view, *wanted[1], self._engine
                )
                self._drawn_at = self._clock()
                self._picture, self._picture_of = picture, wanted
                self._strips.clear()
                self.refresh()
        finally:
            self._is_drawing = False

    def _on_resize(self, event: events.Resize) -> None:
        self._draw_soon()

    def _on_show(self, event: events.Show) -> None:
        self._draw_soon()

    def notify_style_update(self) -> None:
        self._strips.clear()
        self._role_styles.clear()
        super().notify_style_update()

    def _style(self, role: str) -> Style:
        if not role:
            return self.rich_style
        style = self._role_styles.get(role)
        if style is None:
            style = self._role_styles[role] = self.get_component_rich_style(f"chart--{role}")
        return style

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._picture is None:
            text = "  " + WAITING if y == (self.size.height - 1) // 2 else ""
            return Strip([Segment(text, self._style("text"))]).adjust_cell_length(width, self.rich_style)
        strip = self._strips.get(y)
        if strip is None:
            pieces = self._picture.lines[y] if y < self._picture.height else ()
            strip = Strip([Segment(text, self._style(role)) for text, role in pieces if text])
            self._strips[y] = strip
        return strip.adjust_cell_length(width, self.rich_style)
