"""Axes have round ticks in one unit, and their ends lie on ticks."""

from __future__ import annotations

import itertools
import math
import random
from datetime import UTC, timedelta, timezone

import pytest

from pyobserver.tui.widgets.chart_axes import time_axis, value_axis
from pyobserver.tui.widgets.chart_view import Unit


@pytest.mark.parametrize(
    ("low", "high", "unit", "ticks", "labels"),
    [
        (0, 3.31e9, "bytes", 4, ["0 GB", "1 GB", "2 GB", "3 GB", "4 GB"]),
        (0, 2.2e9, "bytes", 5, ["0.0 GB", "0.5 GB", "1.0 GB", "1.5 GB", "2.0 GB", "2.5 GB"]),
        (0, 999e6, "bytes", 2, ["0.0 GB", "0.5 GB", "1.0 GB"]),
        (0, 53e3, "bytes", 3, ["0 kB", "20 kB", "40 kB", "60 kB"]),
        (0, 0, "bytes", 3, ["0 B", "500 B"]),
        (0, 412, "count", 4, ["0", "200", "400", "600"]),
        (0, 0.3, "count", 4, ["0", "1"]),
        (0, 2_500_000, "count", 3, ["0 M", "1 M", "2 M", "3 M"]),
        (0, 0.98, "percent", 2, ["0 %", "50 %", "100 %"]),
        (-5e6, 12e6, "bytes", 4, ["-5 MB", "0 MB", "5 MB", "10 MB", "15 MB"]),
        (2.80e9, 2.81e9, "bytes", 2, ["2.800 GB", "2.805 GB", "2.810 GB"]),
    ],
)
def test_labels(low: float, high: float, unit: Unit, ticks: int, labels: list[str]) -> None:
    """All in the unit of the largest, with as many decimals as tell neighbours apart."""
    assert [tick.label for tick in value_axis(low, high, unit, ticks).ticks] == labels


def test_an_axis_holds_its_values_and_its_ticks_differ() -> None:
    """For any range, down to a single value and up to an exabyte."""
    chance = random.Random(4)
    units: list[Unit] = ["bytes", "count", "percent"]
    for _ in range(2000):
        low, high = sorted(chance.choice([-1, 1, 1]) * 10 ** chance.uniform(-3, 18) for _ in range(2))
        if chance.random() < 0.3:
            low = 0 if chance.random() < 0.5 else high
            low, high = min(low, high), max(low, high)
        axis = value_axis(low, high, chance.choice(units), chance.randrange(10))
        slack = (axis.high - axis.low) * 1e-6
        assert axis.low - slack <= low <= high <= axis.high + slack
        assert axis.high > axis.low
        assert 2 <= len(axis.ticks) <= 25
        values = [tick.value for tick in axis.ticks]
        assert all(a < b for a, b in itertools.pairwise(values))


def test_a_growing_series_moves_the_scale_by_steps() -> None:
    """A hundred readings, a few scales."""
    assert len({value_axis(0, 1e9 + n * 1e7, "bytes", 5).high for n in range(100)}) <= 4


@pytest.mark.parametrize(
    ("seconds", "ticks", "hours", "labels"),
    [
        (60, 6, 0, ["22:13:20", "22:13:30", "22:13:40", "22:13:50", "22:14:00", "22:14:10", "22:14:20"]),
        (600, 3, 0, ["22:15", "22:20"]),
        (3600, 4, 0, ["22:15", "22:30", "22:45", "23:00"]),
        (3600, 4, 5.75, ["04:00", "04:15", "04:30", "04:45"]),
        (86400, 4, 0, ["00:00", "06:00", "12:00", "18:00"]),
        (10 * 86400, 3, 0, ["11-15", "11-19", "11-23"]),
    ],
)
def test_moments_are_round_in_the_time_zone(seconds: float, ticks: int, hours: float, labels: list[str]) -> None:
    """Seconds are shown only where ticks need them, days where the window has several."""
    first = 1_700_000_000.0  # 22:13:20 UTC
    axis = time_axis(first, first + seconds, ticks, timezone(timedelta(hours=hours)))
    assert [tick.label for tick in axis.ticks] == labels
    assert all(axis.low <= tick.value <= axis.high for tick in axis.ticks)


@pytest.mark.parametrize(
    ("first", "last"), [(1e18, 1e18 + 1e6), (-1e15, 0), (math.nan, 1), (5, 5), (5, 4), (0, math.inf), (-math.inf, 0)]
)
def test_impossible_moments_have_no_ticks(first: float, last: float) -> None:
    """A clock that is far off must not end the screen."""
    assert time_axis(first, last, 5, UTC).ticks == ()
