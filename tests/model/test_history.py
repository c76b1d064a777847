"""Histories: what they tell is what a list of all readings would tell, and they are bounded."""

from __future__ import annotations

import math
import random
import threading
import tracemalloc

import numpy as np
import pytest

from pyobserver.model.history import COARSE, TIERS, Curve, History, Series, Tiers

SMALL: Tiers = ((1.0, 5), (4.0, 6), (20.0, 4))


class Reference:
    """All readings, each in the cell that it belongs to; nothing is ever dropped until it is asked."""

    def __init__(self, tiers: Tiers) -> None:
        self.tiers = tiers
        self.cells: list[list[tuple[float, list[float]]]] = [[] for _ in tiers]

    def add(self, time: float, value: float) -> None:
        for (seconds, _), cells in zip(self.tiers, self.cells, strict=True):
            start = math.floor(time / seconds) * seconds
            if cells and cells[-1][0] >= start:
                cells[-1][1].append(value)
            else:
                cells.append((start, [value]))

    def curve(self, since: float) -> list[tuple[float, float, float, float]]:
        for (seconds, bound), cells in zip(self.tiers, self.cells, strict=True):
            kept = cells[-bound:]
            if len(cells) <= bound or kept[0][0] <= since or cells is self.cells[-1]:
                chosen = [(start, values) for start, values in kept if start + seconds > since]
                return [(start, min(v), math.fsum(v) / len(v), max(v)) for start, v in chosen]
        raise AssertionError


def rows(curve: Curve) -> list[tuple[float, float, float, float]]:
    return list(zip(curve.times.tolist(), curve.low.tolist(), curve.mean.tolist(), curve.high.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tiers", [SMALL, COARSE], ids=["small", "coarse"])
def test_as_a_list_of_all_readings(seed: int, tiers: Tiers) -> None:
    """Random gaps, bursts and steps back: every question gets the answer of the reference."""
    r = random.Random(seed)
    series, reference = Series(tiers), Reference(tiers)
    now = 1_700_000_000.0 + r.random()
    for i in range(400):
        now += r.choice([0.0, 0.1, 0.9, 1.0, 1.0, 3.0, 17.0, -0.5, -2.0, 90.0 if i % 50 == 0 else 1.0])
        value = r.choice([r.uniform(-5, 5), 1e12, 0.0])
        series.add(now, value)
        reference.add(now, value)
        if i % 7 == 0:
            since = now - r.choice([0.0, 1.0, 4.5, 30.0, 200.0, 1e5])
            got, expected = rows(series.curve(since)), reference.curve(since)
            assert len(got) == len(expected)
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-3) if expected else None
    assert series.last == (now, value)


def test_the_tiers_of_the_design() -> None:
    """Ten minutes by the second, two hours by ten seconds, a day by the minute; further back there is nothing."""
    series = Series()
    begin = 1_699_999_980.0
    for second in range(0, 26 * 3600, 1):
        series.add(begin + second, float(second))
    end = begin + 26 * 3600
    for window, step in ((600, 1.0), (7200, 10.0), (86_400, 60.0), (10 * 86_400, 60.0)):
        curve = series.curve(end - window)
        assert set(np.diff(curve.times).tolist()) == {step}
        assert (curve.low <= curve.mean).all() and (curve.mean <= curve.high).all()
        assert curve.times[0] == end - min(window, 86_400)
        assert curve.high[-1] == 26 * 3600 - 1


def test_memory_is_bounded() -> None:
    """A series that has been added to for a week holds what one of a day holds: a hundred and ten kilobytes."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        series = Series()
        for i in range(30_000):
            series.add(1_700_000_000.0 + 20.0 * i, float(i))
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < sum(cells for _, cells in TIERS) * 5 * 8 + 10_000
    assert len(series.curve(0.0)) == TIERS[-1][1]


def test_what_is_not_a_number_is_no_reading() -> None:
    """NaN, infinities and None leave no trace; a series of them alone is empty."""
    history = History()
    for value in (math.nan, math.inf, -math.inf, None):
        history.add("a", 1.0, value)
    assert len(history.curve("a", 0.0)) == 0
    assert history.peak("a") is None and history.last("a") is None
    history.add("a", 2.0, 5.0)
    history.add("a", 3.0, math.nan)
    assert history.last("a") == (2.0, 5.0) and history.peak("a") == 5.0


def test_the_peak_outlives_its_cell() -> None:
    """The largest reading is remembered after it has left every tier."""
    series = Series(SMALL)
    series.add(0.0, 1e9)
    for i in range(1000):
        series.add(float(i), 1.0)
    assert series.peak == 1e9 and series.curve(0.0).high.max() == 1.0


def test_what_nobody_knows() -> None:
    """A series that does not exist is an empty curve, not an error and not a zero."""
    history = History()
    assert len(history.curve("nothing", 0.0)) == 0
    assert history.peak("nothing") is None and history.last("nothing") is None


def test_too_many_series_push_out_the_one_not_added_to_for_longest() -> None:
    """The bound holds, and what is alive stays."""
    history = History(limit=10)
    for i in range(100):
        history.add("rss", float(i), 1.0)
        history.add(f"group-{i}", float(i), 1.0)
    assert len(history.curve("rss", 0.0)) == 100
    assert [i for i in range(100) if history.last(f"group-{i}")] == list(range(91, 100))


def test_reading_while_another_thread_adds() -> None:
    """A curve is whole whenever it is taken: beginnings ascend and every mean lies between its extremes."""
    history = History()
    done = threading.Event()

    def add() -> None:
        for i in range(20_000):
            history.add("a", 1000.0 + i / 3, float(i % 17))
        done.set()

    thread = threading.Thread(target=add)
    thread.start()
    looked = 0
    while not done.is_set() or not looked:
        curve = history.curve("a", 0.0)
        looked += 1
        assert (np.diff(curve.times) > 0).all()
        assert ((curve.low <= curve.mean) & (curve.mean <= curve.high)).all()
    thread.join()


def test_a_curve_that_was_given_out_does_not_change() -> None:
    """Later readings go into the history, not into what a screen holds."""
    history = History()
    history.add("a", 1.0, 1.0)
    curve = history.curve("a", 0.0)
    history.add("a", 1.0, 9.0)
    assert curve.high.tolist() == [1.0]


def test_news_since_a_version() -> None:
    """Which series have got readings, and their cells of any width."""
    history = History()
    history.add("a", 10.0, 1.0)
    history.add("b", 10.5, 2.0, COARSE)
    version, names = history.news(0)
    assert sorted(names) == ["a", "b"]
    assert history.news(version) == (version, [])
    history.add("a", 11.0, 5.0)
    history.add("a", 11.5, 3.0)
    assert history.news(version)[1] == ["a"]
    assert history.names() == ["b", "a"]
    assert history.widths_of("b") == tuple(seconds for seconds, _ in COARSE)
    cells = history.cells("a", 1.0, 11.0)
    assert cells is not None and cells.tolist() == [[11.0, 3.0, 8.0, 5.0, 2.0]]
    coarse = history.cells("a", 10.0, 0.0)
    assert coarse is not None and coarse.tolist() == [[10.0, 1.0, 9.0, 5.0, 3.0]]
    assert history.cells("b", 1.0, 0.0) is None and history.cells("c", 1.0, 0.0) is None


@pytest.mark.parametrize("since", [-1.0, 0.0, 3.0, 7.9, 100.0])
def test_cells_of_a_tier_that_has_gone_round(since: float) -> None:
    """They are those that do not end before a time, in their order."""
    series = Series(SMALL)
    for second in range(13):
        series.add(float(second), float(second))
    assert series.cells(1.0, since)[:, 0].tolist() == [float(n) for n in range(8, 13) if n + 1 > since]
