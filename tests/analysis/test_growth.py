"""Growth: a line through what was read, per minute; too little to tell is told as that."""

from __future__ import annotations

import math
import random
from collections.abc import Hashable

import numpy as np
import pytest

from pyobserver.analysis.growth import (
    NOTICED_BYTES,
    SHORTEST_WINDOW,
    TreeGrowth,
    goes_on,
    in_steps,
    is_growing,
    per_minute,
    seconds_to_limit,
    slope_per_minute,
)
from pyobserver.model.forest_sums import CHILDREN, MEMORY, Sums
from pyobserver.model.history import NO_CURVE, Curve, Series
from tests.model import made

NOW = 1_700_000_000.0


@pytest.mark.parametrize("slope", [0.0, 3.0, -250.5, 21_000_000.0])
def test_a_straight_line_is_found_exactly(slope: float) -> None:
    """Whatever the spacing of the readings and however large Unix time is."""
    times = NOW + np.array([0.0, 1.0, 2.5, 20.0, 21.0, 60.0])
    found = slope_per_minute(times, 5e9 + (times - NOW) * slope / 60)
    assert found == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_averaged(seed: int) -> None:
    """A minute of readings with noise of a tenth of the growth still tells it to a few percent."""
    r = random.Random(seed)
    series = Series()
    for second in range(120):
        series.add(NOW + second, 1e9 + second * 1e6 / 60 + r.gauss(0, 1e5))
    assert per_minute(series.curve(NOW)) == pytest.approx(1e6, rel=0.2)


def test_too_little_to_tell() -> None:
    """No reading, one, two, or a few within seconds: not known, never zero."""
    assert per_minute(NO_CURVE) is None
    for count in range(1, int(SHORTEST_WINDOW)):
        series = Series()
        for second in range(count):
            series.add(NOW + second, float(second))
        assert per_minute(series.curve(NOW - 60)) is None
    assert slope_per_minute(np.array([NOW, NOW + 100]), np.array([0.0, 5.0])) is None
    assert slope_per_minute(np.array([NOW, NOW + 50, NOW + 100]), np.array([0.0, 5.0, 10.0])) == pytest.approx(6.0)


def test_what_is_worth_a_mark() -> None:
    """More than noise for its size and more than the least; what is not known does not grow."""
    assert is_growing(1e9, 6e6) and not is_growing(1e9, 4e6)
    assert is_growing(0, 1.0) and not is_growing(0, 0.0) and not is_growing(1e9, -1e9)
    assert is_growing(1000, NOTICED_BYTES + 1, NOTICED_BYTES) and not is_growing(1000, 500, NOTICED_BYTES)
    assert not is_growing(None, 1e9) and not is_growing(1e9, None)


def test_time_to_the_limit() -> None:
    """Seconds at this rate; none when it never comes, is past, or is too far to be said."""
    assert seconds_to_limit(100, 60, 160) == 60.0
    for value, slope, limit in ((None, 1, 2), (1, None, 2), (1, 1, None), (1, 0, 2), (1, -1, 2), (2, 1, 2), (3, 1, 2)):
        assert seconds_to_limit(value, slope, limit) is None
    assert seconds_to_limit(0, 1e-9, 1e12) is None
    assert not math.isinf(seconds_to_limit(0, 1e-3, 1.0) or 0)


def marks(*sums: dict[Hashable, tuple[int, int]], step: float = 5.0) -> list[Sums]:
    return [made.sums(NOW + i * step, each) for i, each in enumerate(sums)]


def of(growth: TreeGrowth, key: Hashable) -> tuple[float | None, float | None]:
    """Children and bytes per minute."""
    found = growth.of(key)
    return found[CHILDREN], found[MEMORY]


def growing(growth: TreeGrowth) -> list[int]:
    return growth.growing()[0].tolist()


def test_growth_under_a_node() -> None:
    """Children and bytes each have their line; what is new or gone has none."""
    kept = marks(*({1: (10 + i, 1000 * i), 2: (1, 5), **({3: (1, 1)} if i > 3 else {})} for i in range(6)))
    growth = TreeGrowth(kept, NOW)
    assert of(growth, 1) == (pytest.approx(12.0), pytest.approx(12_000.0))
    assert of(growth, 2) == (0.0, 0.0)
    assert of(growth, 3) == (None, None) and of(growth, "nothing") == (None, None)
    assert growth.again(kept, NOW) is growth and growth.again(kept[:-1], NOW) is not growth


def test_only_the_window_counts() -> None:
    """Marks before it are not looked at; too few within it tell nothing."""
    kept = marks(*({1: (0, 10**9 if i < 5 else 0)} for i in range(10)))
    assert of(TreeGrowth(kept, NOW + 25), 1) == (0.0, 0.0)
    assert of(TreeGrowth(kept, NOW + 41), 1) == (None, None)
    assert growing(TreeGrowth(kept, NOW + 1000)) == [] == growing(TreeGrowth([], NOW))


def test_what_grows_noticeably() -> None:
    """By bytes, or by children of a node however small they are; what stands, breathes or shrinks does not."""
    kept = marks(
        *(
            {
                1: (5, 10**6 + 10**5 * i),
                2: (10 + i, 0),
                3: (5, 10**9),
                4: (5, 10**9 + 1000 * (i % 2)),
                5: (50 - i, 10**9 - 10**7 * i),
                6: (5, 100 * i),
            }
            for i in range(8)
        )
    )
    assert growing(TreeGrowth(kept, NOW)) == [1, 2]


def test_what_comes_and_goes_does_not_grow() -> None:
    """Hundreds that are there at one moment and not at the next are not marked when their floor rises by chance."""
    r = random.Random(5)
    marked = 0
    for _ in range(40):
        busy = {i: (r.randrange(10, 250), 0) for i in range(20)}
        kept = marks(*({key: (r.randrange(10, 250), 0) for key in busy} | {99: (10 + i, 0)} for i in range(20)))
        found = growing(TreeGrowth(kept, NOW))
        assert 99 in found
        marked += len(found) - 1
    assert marked <= 2, "of 800"


def test_growth_goes_on_only_while_the_floor_rises() -> None:
    """A warm-up, a saw that comes back to its floor, and a plateau have a slope, but do not go on."""
    times = np.arange(60.0)
    assert goes_on(times, times)
    assert goes_on(times, times + 30 * (times % 7 == 0)), "peaks on a rising floor"
    assert not goes_on(times, np.minimum(times, 20.0)), "a warm-up that has ended"
    assert not goes_on(times, 10 + times % 20), "a saw"
    assert not goes_on(times, -times) and not goes_on(times[:2], times[:2])
    assert not goes_on(np.array([0.0, 1.0, 60.0]), np.array([1.0, 2.0, 3.0])), "nothing in the second third"
    cells = np.array([0.0, 10.0, 22.0, 24.0, 26.0, 28.0, 30.0])  # of an agent alone, and then of an observer
    assert goes_on(cells, cells), "a cell that lasts for the second third"
    assert not goes_on(cells, np.minimum(cells, 10.0)) and not goes_on(cells, np.maximum(cells, 22.0))
    cells = np.array([22.9, 32.9, 40.9, 46.9, 48.9, 50.9, 52.9, 54.9, 56.9, 58.9, 60.9])
    assert goes_on(cells, cells), "the second third begins late"
    assert not goes_on(cells, np.minimum(cells, 41.0)), "and nothing behind it rises"


def test_what_is_read_in_steps() -> None:
    """A step may be due: the change is that of the time without the longest rest. What falls has not grown."""

    def of(values: list[float]) -> tuple[float, float]:
        column = np.array(values, float)
        return in_steps(Curve(np.arange(len(values), dtype=float), column, column, column))

    assert of([0, 1, 2, 3, 4]) == (4 / 3 * 60, 1.0)
    assert of([0, 0, 0, 3, 3, 3, 6, 6, 6]) == (6 / 5 * 60, 3.0)
    assert of([0, 0, 0, 0, 5]) == (5 / 1 * 60, 4.0)
    assert of([5, 5, 5, 4]) == (0.0, 3.0)
    assert of([5, 5, 5]) == (0.0, 2.0)
    assert of([7]) == of([]) == (0.0, 0.0)
