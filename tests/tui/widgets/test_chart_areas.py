"""Areas add up in every column, and can be told apart without colours."""

from __future__ import annotations

import itertools
from datetime import UTC

import numpy as np
import pytest

from pyobserver.tui.widgets.chart_areas import PATTERNS, column_means, filled_in, paint, stacked
from pyobserver.tui.widgets.chart_engine import PlotextEngine, Trace
from pyobserver.tui.widgets.chart_picture import compose_chart
from pyobserver.tui.widgets.chart_view import SLOTS, ChartSeries, ChartView

X = (0.0, 100.0)
NAN = float("nan")


def trace(*points: tuple[float, float]) -> Trace:
    return Trace(np.array([x for x, _ in points]), np.array([y for _, y in points]))


def text(lines: list[list[tuple[str, int | None]]]) -> list[str]:
    return ["".join(part for part, _ in line) for line in lines]


def test_columns_have_means_and_keep_what_was_read_last() -> None:
    """Several readings in a column make a mean; a column without any has the one before it; nothing is invented."""
    means = column_means([trace((20, 2), (25, 4), (71, 9)), trace()], 10, X)
    expected = [NAN, NAN, 3, 3, 3, 3, 3, 9, 9, NAN]
    assert means[0].tolist() == pytest.approx(expected, nan_ok=True)
    assert np.isnan(means[1]).all()


def test_edges_add_up() -> None:
    """A series that is not known somewhere is as high as nothing there; where none is known, nothing is drawn."""
    edges = stacked(np.array([[1.0, 2.0, NAN], [3.0, NAN, NAN]]))
    assert edges[-1].tolist() == pytest.approx([4, 2, NAN], nan_ok=True)


def test_what_fills_in_is_only_where_nothing_else_is() -> None:
    """Nowhere are both drawn on top of each other, also where the one was read last just before the other."""
    means = filled_in(
        np.array([[NAN, NAN, 2.0, 2.0], [NAN, 1.0, NAN, 1.0], [3.0, 3.0, 3.0, NAN]]), [False, False, True]
    )
    assert means[2].tolist() == pytest.approx([3, NAN, NAN, NAN], nan_ok=True)
    assert stacked(means)[-1].tolist() == pytest.approx([3, 1, 2, 3])
    assert filled_in(np.array([[3.0, NAN]]), [True])[0].tolist() == pytest.approx([3, NAN], nan_ok=True)


def test_patterns_tell_the_areas_apart() -> None:
    """From below in their order, each cell with the pattern of what takes most of it, the top drawn to an eighth."""
    edges = stacked(np.array([[2.0, 2.0], [1.0, 1.0], [0.5, 0.75]]))
    lines = paint(edges, [0, 1, 2], 4, (0.0, 4.0))
    assert text(lines) == ["▄▆", "░░", "██", "██"]
    assert [run[1] for line in lines for run in line] == [2, 1, 0, 0]


def test_thin_areas_do_not_take_turns_at_the_edge() -> None:
    """In a low chart five of them are half a cell together: while all rise, a cell is not that of one after another."""
    base = np.linspace(0.05, 3.5, 60)
    edges = stacked(np.array([base, *(np.full(60, 0.1) for _ in range(5))]))
    lines = paint(edges, list(range(6)), 4, (0.0, 4.0))
    assert {series for line in lines for _, series in line} == {None, 0, 5}
    assert all(series in (None, 0) for line in lines for part, series in line if set(part) & set(PATTERNS))


def test_where_there_is_no_room_for_all_numbers_the_largest_areas_have_theirs() -> None:
    """Those that are too thin to be seen do not push out that which is nearly all."""
    xs = np.linspace(*X, 100)
    sizes = (3e9, 1e7, 2e8, 2e7, 9e7, 1e8)
    series = tuple(ChartSeries(f"s{n}", f"s{n}", n, xs, np.full(100, size)) for n, size in enumerate(sizes))
    view = ChartView(series, X, areas=True, timezone=UTC)
    lines = ["".join(part for part, _ in line) for line in compose_chart(view, 80, 7, PlotextEngine()).lines]
    marks = [line[-1] for line in lines if line[-1].isdigit()]
    assert "1" in marks and "2" not in marks


def test_no_two_patterns_are_alike_but_those_of_what_is_kept() -> None:
    """Both kinds of kept memory are light, and never lie next to each other."""
    assert len(PATTERNS) == SLOTS
    assert PATTERNS[1] == PATTERNS[3]
    assert all(one != other for one, other in itertools.pairwise(PATTERNS))


@pytest.mark.parametrize("size", [(118, 20), (80, 8), (40, 6), (12, 4), (3, 2), (1, 1)])
def test_every_size_is_filled_exactly(size: tuple[int, int]) -> None:
    """Areas with legend, axes and limit, in whatever room there is."""
    xs = np.linspace(*X, 500)
    series = tuple(ChartSeries(f"s{n}", f"series {n}", n, xs, xs * (n + 1) * 1e6) for n in range(6))
    made = compose_chart(
        ChartView(series, X, limit=(2.5e9, "cgroup"), areas=True, timezone=UTC), *size, PlotextEngine()
    )
    assert [sum(len(part) for part, _ in line) for line in made.lines] == [size[0]] * size[1]


def test_the_limit_and_the_numbers_of_the_areas() -> None:
    """The scale is that of all areas together; each has its number at the right where it ends."""
    xs = np.linspace(*X, 100)
    series = tuple(ChartSeries(name, name, n, xs, np.full(100, 1e9)) for n, name in enumerate("abc"))
    view = ChartView(series, X, limit=(4e9, "cgroup"), areas=True, timezone=UTC)
    lines = ["".join(part for part, _ in line) for line in compose_chart(view, 80, 16, PlotextEngine()).lines]
    assert "1█ a 1.00 GB" in lines[0]
    assert "┄┄┄┄" in next(line for line in lines if line.startswith(" 4 GB"))
    assert [line[-1] for line in lines if line[-1].isdigit()][:3] == ["3", "2", "1"]


def test_names_go_before_a_limit_that_is_far_away() -> None:
    """In 80 columns there is not room for both."""
    xs = np.linspace(*X, 100)
    names = ("Python objects", "Python, kept", "C heap", "C heap, kept", "Large blocks", "Everything else")
    names = (*names, "RSS, before we came")
    series = tuple(ChartSeries(name, name, n, xs, np.full(100, 1e8)) for n, name in enumerate(names))
    view = ChartView(series, X, limit=(25e9, "host"), areas=True, timezone=UTC)
    legend = ["".join(part for part, _ in line) for line in compose_chart(view, 80, 9, PlotextEngine()).lines][:2]
    assert all(name in " ".join(legend) for name in names) and "limit" not in " ".join(legend)


def test_gaps_and_wrong_values_are_no_areas() -> None:
    """What is not finite is not known, and an empty window has no picture."""
    for ys in ([NAN] * 5, [np.inf] * 5):
        series = ChartSeries("a", "a", 0, np.linspace(*X, 5), np.array(ys))
        made = compose_chart(ChartView((series,), X, areas=True, empty="why not"), 60, 9, PlotextEngine())
        assert any("why not" in part for line in made.lines for part, _ in line)
