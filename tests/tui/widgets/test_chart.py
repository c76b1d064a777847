"""The chart draws the newest view when somebody can see it, and says in words what there is when there are no lines."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC

import numpy as np
import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.widgets import TabbedContent, TabPane

from pyobserver.tui.widgets import Chart, ChartSeries, ChartView
from pyobserver.tui.widgets.chart_engine import PlotextEngine, Run, Trace
from pyobserver.tui.widgets.chart_picture import compose_chart
from pyobserver.tui.widgets.chart_view import Unit

from .stage import lines, stage

START = 1_700_000_000.0
X = (START, START + 600)


def series(label: str, color: int, ys: Sequence[float] | np.ndarray) -> ChartSeries:
    values = np.asarray(ys, dtype=float)
    return ChartSeries(label, label, color, np.linspace(*X, values.size) if values.size else np.empty(0), values)


def view(
    *drawn: ChartSeries, limit: tuple[float, str] | None = None, unit: Unit = "bytes", title: str = "", empty: str = "-"
) -> ChartView:
    return ChartView(drawn, X, unit, limit, title, empty, UTC)


TOTAL = series("total", 0, np.linspace(1e9, 3.31e9, 600))
PYTHON = series("Python objects", 1, np.linspace(0.5e9, 2.8e9, 600))


def picture(what: ChartView, width: int = 80, height: int = 14) -> list[str]:
    """The text of a chart, with the width of every line checked."""
    made = compose_chart(what, width, height, PlotextEngine())
    text = ["".join(part for part, _ in line) for line in made.lines]
    assert [cell_len(line) for line in text] == [width] * height
    assert "".join(text).isprintable()
    return text


class Counting:
    """An engine that counts its drawings, and can be held back."""

    def __init__(self) -> None:
        self.tops: list[float] = []
        self.threads: set[int] = set()
        self.go = threading.Event()
        self.go.set()

    def draw(
        self, traces: Sequence[Trace], width: int, height: int, x: tuple[float, float], y: tuple[float, float]
    ) -> list[list[Run]]:
        assert self.go.wait(60)
        self.threads.add(threading.get_ident())
        self.tops.append(float(traces[0].ys[-1]))
        return [[("#" * width, 0)] for _ in range(height)]


def test_the_legend_says_which_line_is_which_without_colours() -> None:
    """Each series has a number, in the legend with its last value and its change, and where its line ends."""
    text = picture(view(TOTAL, PYTHON, title="Memory"))
    assert text[0].startswith(" Memory   1━ total 3.31 GB +2.31 GB   2━ Python objects 2.80 GB +2.30 GB")
    ends = [line[-1] for line in text[1:]]
    assert ends.index("1") < ends.index("2")


def test_lines_that_end_together_have_their_numbers_below_one_another() -> None:
    """The larger one on top, none over another."""
    text = picture(view(*(series(f"s{n}", n, [1e6, 5e6 - n]) for n in range(4))))
    assert "".join(line[-1] for line in text).strip() == "1234"


def test_axes() -> None:
    """Bytes from zero in one unit, moments in the given time zone."""
    text = picture(view(TOTAL), height=12)
    assert [line[:5] for line in text if "GB┤" in line] == [" 4 GB", " 3 GB", " 2 GB", " 1 GB", " 0 GB"]
    assert text[-1].split() == ["22:14", "22:16", "22:18", "22:20", "22:22"]
    assert text[-2].strip().startswith("└")


def test_a_limit_within_reach_is_a_dashed_line() -> None:
    """The scale includes it, and the lines are drawn over it."""
    text = picture(view(TOTAL, limit=(4e9, "cgroup")))
    assert "┄┄ limit 4.00 GB (cgroup)" in text[0]
    assert "above the chart" not in text[0]
    dashed = [line for line in text[1:] if "┄┄┄┄" in line]
    assert len(dashed) == 1
    assert dashed[0].startswith(" 4 GB┤┄┄┄")


def test_a_limit_out_of_reach_is_told_in_words() -> None:
    """It would press the lines to the ground."""
    text = picture(view(TOTAL, limit=(64e9, "cgroup")))
    assert "limit 64.0 GB (cgroup), above the chart" in text[0]
    assert not any("┄" in line for line in text[1:])


@pytest.mark.parametrize(
    "drawn", [(), (series("a", 0, []),), (series("a", 0, [np.nan] * 9), series("b", 1, [np.inf, -np.inf]))]
)
def test_without_any_value_it_says_why(drawn: tuple[ChartSeries, ...]) -> None:
    """Waiting and never coming are two things, which the view tells apart."""
    for reason in ("waiting for data", "not available: /proc/4711 cannot be read"):
        assert any(line.strip() == reason for line in picture(view(*drawn, empty=reason)))


def test_a_series_without_values_stands_in_the_legend_as_unknown() -> None:
    """And one whose last value is unknown has no last value."""
    text = picture(view(TOTAL, series("jemalloc", 2, []), series("arrow", 3, [1e6, 2e6, np.nan])), width=100)
    assert "2━ jemalloc ·" in text[0]
    assert "3━ arrow · +1.00 MB" in text[0]


@pytest.mark.parametrize("unit", ["bytes", "count", "percent"])
def test_any_size_and_any_values_make_a_picture(unit: Unit) -> None:
    """Down to one cell, with hostile labels, single points, equal, negative and impossible values."""
    shapes = [[5.0], [0, 0], [-3, 4], [1e308, 1], [1e17, 2], [np.nan, 3, np.nan], [0.1, 0.2]]
    for width, height in ((120, 30), (80, 24), (40, 8), (20, 5), (12, 4), (9, 3), (5, 2), (2, 9), (1, 1)):
        for ys in shapes:
            one = series("日本語\x1b]0;x\x07" * 20, 7, ys)
            picture(view(one, TOTAL, unit=unit, limit=(4.0, "rlimit\x1b[2J"), title="\x9bT"), width, height)


def test_more_series_than_colours() -> None:
    """Colours repeat then, the numbers do not."""
    text = picture(view(*(series(f"series {n}", n, [n, n * 1e6]) for n in range(14))), width=100, height=30)
    assert "14━ series 13" in " ".join(text)


async def test_the_widget_shows_the_picture() -> None:
    """Waiting first, then the chart."""
    widget = Chart()
    async with stage(widget, size=(80, 14)) as (pilot, _):
        assert "waiting for data" in "".join(lines(widget))
        widget.show(view(TOTAL, PYTHON))
        await pilot.app.workers.wait_for_complete()
        assert lines(widget) == picture(view(TOTAL, PYTHON))


async def test_of_many_views_only_the_last_is_drawn() -> None:
    """However many come while one is being drawn; all in the one thread of the charts, none in the loop's."""
    engine = Counting()
    widget = Chart(engine=engine)
    async with stage(widget, size=(80, 14)) as (pilot, _):
        engine.go.clear()
        for top in range(50):
            widget.show(view(series("a", 0, [0, top])))
            await pilot.pause()
        engine.go.set()
        await pilot.app.workers.wait_for_complete()
        assert engine.tops == [0, 49]
        assert len(engine.threads) == 1
        assert threading.get_ident() not in engine.threads


async def test_at_most_two_drawings_a_second() -> None:
    """After a drawing it waits for the rest of half a second, and then draws what is newest by then."""
    now, slept = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            widget.show(view(series("a", 0, [0, 3])))
        now[0] += seconds

    engine = Counting()
    widget = Chart(engine=engine, clock=lambda: now[0], sleep=sleep)
    async with stage(widget, size=(80, 14)) as (pilot, _):
        widget.show(view(series("a", 0, [0, 1])))
        await pilot.app.workers.wait_for_complete()
        now[0] += 0.1
        widget.show(view(series("a", 0, [0, 2])))
        await pilot.app.workers.wait_for_complete()
        assert engine.tops == [1, 3]
        assert slept == [pytest.approx(0.4)]


async def test_a_hidden_chart_is_not_drawn() -> None:
    """Neither while its tab is not shown nor without a size; when it is shown, it has the newest view."""
    engine = Counting()
    widget = Chart(engine=engine)

    class Tabs(App[None]):
        def compose(self) -> ComposeResult:
            with TabbedContent():
                yield TabPane("one", id="one")
                with TabPane("two", id="two"):
                    yield widget

    app = Tabs()
    async with app.run_test(size=(60, 16)) as pilot:
        for top in range(5):
            widget.show(view(series("a", 0, [0, top])))
            await pilot.pause()
        await app.workers.wait_for_complete()
        assert engine.tops == []
        app.query_one(TabbedContent).active = "two"
        await pilot.pause()
        await app.workers.wait_for_complete()
        assert engine.tops == [4]
        assert "#" in lines(widget)[3]
        app.query_one(TabbedContent).active = "one"
        await pilot.pause()
        widget.show(view(series("a", 0, [0, 9])))
        await pilot.pause()
        await app.workers.wait_for_complete()
        assert engine.tops == [4]


async def test_another_size_is_drawn_at_once_and_another_theme_without_drawing() -> None:
    """The picture depends on the size, and its colours on the theme."""
    engine = Counting()
    widget = Chart(engine=engine)
    async with stage(widget, size=(60, 12)) as (pilot, _):
        widget.show(view(series("a", 0, [0, 1])))
        await pilot.app.workers.wait_for_complete()
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
        assert len(engine.tops) == 2
        assert "#" in lines(widget)[2]
        before = [segment.style for segment in widget.render_line(2)]
        pilot.app.theme = "textual-light"
        await pilot.pause()
        assert [segment.style for segment in widget.render_line(2)] != before
        assert len(engine.tops) == 2


async def test_a_drawing_that_fails_is_told_and_the_next_one_is_tried() -> None:
    """A mistake in a foreign library does not end the dashboard."""

    class Broken(Counting):
        def draw(self, traces: Sequence[Trace], *rest: object) -> list[list[Run]]:  # type: ignore[override]
            if traces[0].ys[-1] == 1:
                raise IndexError("list index out of range")
            return super().draw(traces, *rest)  # type: ignore[arg-type]

    widget = Chart(engine=Broken())
    async with stage(widget, size=(80, 12)) as (pilot, _):
        widget.show(view(series("a", 0, [0, 1])))
        await pilot.app.workers.wait_for_complete()
        assert "not available: drawing it failed (IndexError: list index out of range)" in "".join(lines(widget))
        widget.show(view(series("a", 0, [0, 2])))
        await pilot.app.workers.wait_for_complete()
        assert "#" in lines(widget)[3]
