"""The statistics of the verdict: right on what is known by hand, and right often enough on what only looks like it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.analysis.trend import (
    BYTES,
    LEAK_SECONDS,
    ROWS,
    floors,
    mann_kendall,
    seconds_to_limit,
    seconds_until,
    theil_sen,
    trend,
)
from pyobserver.model.history import COARSE, Series
from tests.support.series import HARMLESS, LEAKING, MB, Memory, Played, memory

NEVER_LEAKS = ("flat", "sawtooth", "slow sawtooth", "steps")
SEED = 7


def array(*values: float) -> np.ndarray:
    return np.array(values, float)


def test_floors_are_the_least_of_each_block() -> None:
    """Counted back from the end, a block without readings left out, and a first one that is hardly there."""
    times, values = floors(array(0, 1, 2, 3, 4, 5, 30, 31), array(9, 5, 6, 3, 4, 8, 1, 2), 4.0, 32.0)
    assert values.tolist() == [3, 8, 1]
    assert (np.diff(times) > 0).all() and len(times) == len(values)
    times, values = floors(array(9, 10, 20, 30), array(1, 2, 3, 4), 10.0, 30.0)
    assert values.tolist() == [3, 4]
    assert len(floors(np.empty(0), np.empty(0), 10.0, 5.0)[0]) == 0


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=40), st.floats(1, 50))
def test_floors_lose_nothing_but_the_beginning(values: list[int], block: float) -> None:
    """Each floor is one of the readings, the least of the late ones is among them, and times ascend."""
    times = np.arange(len(values), dtype=float)
    middles, found = floors(times, np.array(values, float), block, float(len(values)))
    assert set(found.tolist()) <= set(map(float, values))
    assert (np.diff(middles) > 0).all()
    if block < len(values):
        blocks = [math.floor((len(values) - i) / block + 1e-9) for i in range(len(values))]
        assert found[-1] == min(value for value, number in zip(values, blocks, strict=True) if number == min(blocks))


def test_the_slope_is_the_median_of_all_pairs() -> None:
    """One reading that is far off does not change it; the band tells how sure it is."""
    assert theil_sen(array(0, 1, 2, 3), array(0, 2, 4, 6)) == (2.0, 2.0, 2.0)
    middle, low, high = theil_sen(array(0, 1, 2, 3, 4, 5, 6), array(0, 1, 2, 3, 4, 5, 100))
    assert middle == 1.0 and low == 1.0 and high > 10
    assert theil_sen(array(0, 60, 120), array(0, 1, 0))[0] == 0.0


def test_the_test_of_ranks() -> None:
    """As computed by hand: for n = 5 all rising, S = 10 and its variance 50/3; ties take from both."""
    assert mann_kendall(array(1, 2, 3, 4, 5)) == pytest.approx(9 / math.sqrt(50 / 3))
    assert mann_kendall(array(5, 4, 3, 2, 1)) == pytest.approx(-9 / math.sqrt(50 / 3))
    assert mann_kendall(array(3, 3, 3, 3)) == 0.0
    tied = (5 * 4 * 15 - 2 * 1 * 9) / 18  # one pair of ties among five
    assert mann_kendall(array(1, 2, 2, 4, 5)) == pytest.approx(8 / math.sqrt(tied))


@given(st.lists(st.integers(-100, 100), min_size=3, max_size=30))
def test_the_test_of_ranks_is_odd(values: list[int]) -> None:
    """Turned round, a series has the opposite trend."""
    assert mann_kendall(np.array(values, float)) == pytest.approx(-mann_kendall(np.array(values[::-1], float)))


def test_the_time_that_is_left() -> None:
    """None where it is not reached, or in ten years; 0 where it is passed already."""
    assert seconds_until(50, 100, 10) == 300.0
    assert seconds_until(50, 100, 0) is None and seconds_until(50, 100, -1) is None
    assert seconds_until(100, 100, 1) == 0.0 and seconds_until(0, 1e18, 1) is None


def kept(values: list[float], step: float = 1.0) -> tuple[Series, float]:
    series = Series()
    for i, value in enumerate(values):
        series.add(1e9 + i * step, value)
    return series, 1e9 + (len(values) - 1) * step


@pytest.mark.parametrize("seconds", [0, 1, 5, 9])
def test_too_early(seconds: int) -> None:
    """Before ten seconds are known, nothing is said."""
    series, now = kept([i * MB for i in range(seconds)])
    assert trend(series.curve, now, 0.0, BYTES) is None


def test_a_short_look_grows_and_says_why_it_is_no_leak() -> None:
    """A minute: growing, with its slope per minute, and how much more would be needed."""
    series, now = kept([100 * MB + i * MB for i in range(61)])
    found = trend(series.curve, now, 0.0, BYTES)
    assert found is not None and found.grows and not found.is_leak
    assert found.slope == pytest.approx(60 * MB, rel=0.01) and found.seconds == 60
    assert found.reason == "a leak takes 45 min of steady growth, and 1 min are known"


def test_what_counts_from_later_on_is_not_told_from_before() -> None:
    """What came before `since` is left out: while the first picture is made, everything grows."""
    series, now = kept([100 * MB + i * MB for i in range(60)] + [160 * MB] * 60)
    found = trend(series.curve, now, now - 55, BYTES)
    assert found is not None and not found.grows


def test_what_comes_after_is_not_known() -> None:
    """In a replay the history has more than the moment knows."""
    series, now = kept([100 * MB] * 60 + [100 * MB + i * 9 * MB for i in range(60)])
    found = trend(series.curve, now - 60, 0.0, BYTES)
    assert found is not None and not found.grows


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([100 * MB] * 60, "it does not grow"),
        ([100 * MB + i * 1000 for i in range(60)], "too little"),
        ([100 * MB + 90 * MB * (i > 30) + i * 50_000 for i in range(60)], "it was one step"),
        ([100 * MB + min(i, 30) * MB for i in range(60)], "it has come to its end"),
    ],
)
def test_what_is_no_growth(values: list[float], why: str) -> None:
    """Each with the reason."""
    series, now = kept(values)
    found = trend(series.curve, now, 0.0, BYTES)
    assert found is not None and (found.grows, found.reason) == (False, why)


def test_a_leak_takes_its_window() -> None:
    """45 minutes of steady growth; or less, where that is said to be enough."""
    series, now = kept([100 * MB + i * 0.5 * MB for i in range(0, 2700, 5)], 5.0)
    found = trend(series.curve, now, 0.0, BYTES)
    assert found is not None and found.is_leak and found.reason == ""
    soon = trend(series.curve, now - 1500, 0.0, BYTES, 1200.0)
    usual = trend(series.curve, now - 1500, 0.0, BYTES, LEAK_SECONDS)
    assert soon is not None and soon.is_leak and usual is not None and usual.grows and not usual.is_leak


def test_what_slows_down_is_no_leak() -> None:
    """A cache whose growth becomes less and less may be filling up: growing, with that reason."""
    series, now = kept([100 * MB + 900 * MB * (1 - math.exp(-i / 1500)) for i in range(0, 2800, 5)], 5.0)
    found = trend(series.curve, now, 0.0, BYTES)
    assert found is not None and found.grows and not found.is_leak and "it slows down" in found.reason


def test_what_was_as_high_before_is_no_leak() -> None:
    """The second day of a wave rises as steadily as a leak, but not above the first."""
    before = [900 * MB - i * 0.2 * MB for i in range(0, 3600, 5)]
    series, now = kept([*before, *(180 * MB + i * 0.2 * MB for i in range(0, 2700, 5))], 5.0)
    found = trend(series.curve, now, 0.0, BYTES)
    assert found is not None and found.grows and not found.is_leak and found.reason == "it has been as high before"


def test_few_rows_are_counted_exactly() -> None:
    """Three tasks more in a minute, one after the other, are growth; two that come and go are none."""
    series, now = kept([10.0 + i // 16 for i in range(62)])
    found = trend(series.curve, now, 0.0, ROWS)
    assert found is not None and found.grows
    series, now = kept([10.0 + (i // 10) % 3 for i in range(62)])
    found = trend(series.curve, now, 0.0, ROWS)
    assert found is not None and not found.grows


def test_a_number_that_wanders() -> None:
    """Requests that come and go, each for half a minute: beyond four standard deviations of their number there is
    growth hardly ever; without that there would be in one look of twenty or thirty."""
    random = np.random.default_rng(SEED)
    found = {0.0: 0, 4.0: 0}
    looks = 200
    for _ in range(looks):
        number, series = int(random.poisson(300)), Series(COARSE)
        for second in range(60):
            number += int(random.poisson(10)) - int(random.binomial(number, 1 / 30))
            series.add(1e9 + second, number)
        for times in found:
            told = trend(series.curve, 1e9 + 59, 0.0, ROWS.at_least(times * math.sqrt(number)))
            found[times] += told is not None and told.grows
    assert found[4.0] <= 0.01 * looks < 0.02 * looks <= found[0.0]


def test_full_in_minutes() -> None:
    """Told after a minute from steps of some seconds; not where it falls."""
    series, now = kept([100 * MB + i * MB for i in range(60)])
    left = seconds_to_limit(series.curve, now, 0.0, 159 * MB, 400 * MB, None)
    assert left is not None and left == pytest.approx(241, rel=0.02)
    series, now = kept([100 * MB - i * MB for i in range(60)])
    assert seconds_to_limit(series.curve, now, 0.0, 41 * MB, 400 * MB, None) is None


# -- how often it is right ---------------------------------------------------------------------------------------------


def said(series: Memory, begin: float) -> tuple[bool, bool]:
    """Whether growing, and whether a leak, is said at any time from `begin` on, judged every two minutes."""
    played = Played(series.values)
    grows = leaks = False
    for second in range(600, len(series.values), 120):
        now = played.until(second)
        if second >= begin:
            found = trend(played.series.curve, now, 0.0, BYTES)
            grows, leaks = grows or (found is not None and found.grows), leaks or (found is not None and found.is_leak)
    return grows, leaks


def test_leaks_are_found() -> None:
    """Of each class both levels, within 90 minutes after it has begun."""
    random = np.random.default_rng(SEED)
    for kind in LEAKING:
        series = memory(kind, random)
        assert series.onset is not None
        within = Memory(kind, series.values[: int(series.onset + 5400)], series.onset)
        assert said(within, series.onset) == (True, True), kind


def test_what_only_looks_like_a_leak() -> None:
    """Of the classes that come back to where they were, none is ever called a leak; of the others few."""
    random = np.random.default_rng(SEED)
    false = {kind: sum(said(memory(kind, random), 600)[1] for _ in range(2)) for kind in HARMLESS}
    assert not any(false[kind] for kind in NEVER_LEAKS), false
    assert sum(false.values()) <= 4, false
