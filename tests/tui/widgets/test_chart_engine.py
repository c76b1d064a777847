"""Whatever a series holds, the engine draws it, quickly, into exactly the canvas it was given."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from rich.cells import cell_len

from pyobserver.tui.widgets.chart_engine import PlotextEngine, Run, Trace, known, stretches, thinned

ENGINE = PlotextEngine()
X = (1_700_000_000.0, 1_700_000_600.0)


def trace(ys: list[float] | np.ndarray, xs: np.ndarray | None = None) -> Trace:
    """Values spread over the window."""
    values = np.asarray(ys, dtype=float)
    return Trace(np.linspace(*X, values.size) if xs is None else xs, values)


def text(canvas: list[list[Run]]) -> list[str]:
    return ["".join(part for part, _ in line) for line in canvas]


def drawn(*traces: Trace, width: int = 40, height: int = 8, y: tuple[float, float] = (0.0, 100.0)) -> list[list[Run]]:
    """A canvas, of which every line is checked to have its width."""
    canvas = ENGINE.draw(traces, width, height, X, y)
    assert [cell_len(line) for line in text(canvas)] == [width] * height
    assert set("".join(text(canvas))) <= {" ", *map(chr, range(0x2800, 0x2900))}
    return canvas


def columns(canvas: list[list[Run]], series: int) -> set[int]:
    """The columns in which something of a series is drawn."""
    found = set()
    for line in canvas:
        at = 0
        for part, number in line:
            if number == series:
                found |= {at + n for n, character in enumerate(part) if character != " "}
            at += len(part)
    return found


def test_a_line_goes_from_its_first_value_to_its_last() -> None:
    """From the lower left to the upper right, in every column."""
    canvas = drawn(trace([0, 100]))
    assert text(canvas)[-1].startswith("⣀")
    assert text(canvas)[0].endswith(("⠉", "⠊", "⠁", "⠔", "⠒"))
    assert columns(canvas, 0) == set(range(40))


def test_series_are_told_apart() -> None:
    """Each run of characters belongs to one series."""
    canvas = drawn(trace([10, 10]), trace([90, 90]), Trace(np.empty(0), np.empty(0)), trace([50, 50]))
    for series, row in ((0, 7), (1, 0), (3, 3)):
        assert {number for _, number in canvas[row]} == {series}


def test_a_gap_stays_a_gap() -> None:
    """No line is drawn over a stretch in which nothing is known."""
    ys = np.full(600, 50.0)
    ys[200:400] = np.nan
    missing = set(range(40)) - columns(drawn(trace(ys)), 0)
    assert len(missing) in (12, 13, 14)
    assert min(missing) in (13, 14)


def test_no_spike_is_lost() -> None:
    """One reading among a hundred thousand still reaches the upper edge."""
    ys = np.full(100_000, 10.0)
    ys[61_234] = 100
    canvas = drawn(trace(ys))
    assert text(canvas)[0].strip() != ""
    assert 24 in columns(canvas, 0)


ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e308, -1e308, 1e18, 1e19, -5.0, 42.0, 100.0]


def test_nothing_that_a_series_may_hold_breaks_it() -> None:
    """Any mixture of unknown, infinite and huge values, in any order in time, at any size of the canvas."""
    chance = np.random.default_rng(7)
    for _ in range(150):
        many = int(chance.choice([0, 1, 2, 3, 50, 400]))
        ys = chance.choice(ODD, many) if chance.random() < 0.7 else chance.normal(50, 20, many)
        xs = chance.uniform(X[0] - 100, X[1] + 100, many)
        if chance.random() < 0.5:
            xs = np.sort(xs)
        if many and chance.random() < 0.3:
            xs[chance.integers(many)] = chance.choice([np.nan, np.inf, -np.inf])
        size = int(chance.integers(1, 50)), int(chance.integers(1, 12))
        drawn(Trace(xs, np.asarray(ys, dtype=float)), trace([1, 2]), width=size[0], height=size[1])


@pytest.mark.parametrize("ys", [[], [math.nan], [math.nan] * 500, [math.inf, -math.inf]])
def test_a_series_without_values_draws_nothing_and_spoils_nothing(ys: list[float]) -> None:
    """What is drawn after it looks as if it had not been there."""
    before = drawn(trace([0, 50, 100]))
    assert "".join(text(drawn(trace(ys)))).strip() == ""
    assert drawn(trace([0, 50, 100])) == before


def test_one_point_is_a_dot() -> None:
    """A series of one value is not invisible."""
    assert len(columns(drawn(trace([50])), 0)) == 1


def test_values_far_outside_cost_no_time() -> None:
    """plotext needs 21 s for a line ten thousand times beyond its limits; clamped, it is a line along the edge."""
    begun = time.process_time()
    canvas = drawn(trace([0, 1e17, 0, -1e17, 50] * 100), width=120, height=30)
    assert time.process_time() - begun < 5
    assert columns(canvas, 0)


def test_thinning_keeps_extremes_gaps_and_time() -> None:
    """Two points a column at most, in the order of time, each value one that was there."""
    ys = np.sin(np.arange(10_000)) * 50 + 50
    ys[3000:3500] = np.nan
    whole = trace(ys)
    thin = thinned(whole, 50, X)
    assert thin.xs.size == 100
    assert bool(np.all(np.diff(thin.xs) >= 0))
    assert set(thin.ys[np.isfinite(thin.ys)]) <= set(ys)
    assert np.nanmax(thin.ys) == np.nanmax(ys)
    assert np.nanmin(thin.ys) == np.nanmin(ys)
    assert len(stretches(thin)) == 2


def test_uneven_readings_do_not_become_gaps() -> None:
    """A column without a reading is joined by its neighbours; only an unknown value is a gap."""
    xs = np.concatenate([np.linspace(X[0], X[0] + 10, 500), np.linspace(X[0] + 500, X[1], 5)])
    assert len(stretches(thinned(known(Trace(xs, np.ones(505)), X), 40, X))) == 1


def test_known_orders_cuts_and_drops() -> None:
    """Points outside of the window or without a time are left out, values that are none become gaps."""
    xs = np.array([X[0] + 5, X[0] - 1, np.nan, X[0] + 1, X[1] + 1, X[0] + 3])
    ys = np.array([1.0, 2.0, 3.0, np.inf, 5.0, 6.0, 7.0])
    result = known(Trace(xs, ys), X)
    assert (result.xs - X[0]).tolist() == [1, 3, 5]
    assert np.isnan(result.ys[0])
    assert result.ys[1:].tolist() == [6, 1]
