"""Numbers become short text of a stable width, and what is unknown never becomes a zero."""

from __future__ import annotations

import math

import pytest

from pyobserver.analysis import format as fmt


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999, "999 B"),
        (999.6, "1.00 kB"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (53_000, "53.0 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (7_020_000, "7.02 MB"),
        (2_890_000_000, "2.89 GB"),
        (4e12, "4.00 TB"),
        (9e20, "900 EB"),
        (1e30, ">999 EB"),
        (-7_020_000, "-7.02 MB"),
        (-0.2, "0 B"),
        (None, "·"),
        (math.nan, "·"),
        (math.inf, "·"),
    ],
)
def test_bytes_have_three_digits(n: float | None, text: str) -> None:
    """Sizes are decimal, change their unit where three digits end, and are unknown when they are not finite."""
    assert fmt.bytes_text(n) == text


def test_bytes_never_take_more_than_seven_cells() -> None:
    """A column of sizes has one width, whatever is in it."""
    for digits in range(21):
        for factor in (1, 9.994, 9.996, 5.5, 9.9999):
            assert len(fmt.bytes_text(factor * 10.0**digits)) <= 7


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (21_700_000, "+21.7 MB"),
        (-512, "-512 B"),
        (0, "0"),
        (0.3, "0"),
        (-0.3, "0"),
        (None, "·"),
        (math.nan, "·"),
    ],
)
def test_growth_of_bytes_carries_its_sign(n: float | None, text: str) -> None:
    """What does not move is a bare zero, so that the eye finds what does."""
    assert fmt.growth_bytes(n) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [(3.1, "+3.1"), (-12, "-12.0"), (0.04, "0"), (-0.04, "0"), (99.96, "+100"), (12_345, "+12,345"), (None, "·")],
)
def test_growth_of_counts_carries_its_sign(n: float | None, text: str) -> None:
    """Small rates keep a decimal, as three a minute and three and a half differ."""
    assert fmt.growth_count(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (0.04, "0 s"),
        (0.45, "0.4 s"),
        (0.9999, "0.9 s"),
        (12.9, "12 s"),
        (59.99, "59 s"),
        (60, "1 min"),
        (312, "5 min 12 s"),
        (32 * 60 + 40, "32 min"),
        (3600, "1 h"),
        (2 * 3600 + 5 * 60, "2 h 5 min"),
        (23 * 3600 + 3599, "23 h"),
        (86400, "1 d"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
        (120 * 86400 + 3600, "120 d"),
        (800 * 86400, "2 y"),
        (1e15, ">999 y"),
        (None, "·"),
        (math.nan, "·"),
    ],
)
def test_durations_have_two_units_and_are_never_rounded_up(seconds: float | None, text: str) -> None:
    """An age says no more than has passed."""
    assert fmt.duration(seconds) == text
    assert len(text) <= 10


def test_shares_and_counts() -> None:
    """Shares are given from 0 to 1; thousands are separated."""
    assert fmt.percent(0.98) == "98 %"
    assert fmt.percent(0.006, 1) == "0.6 %"
    assert fmt.percent(None) == fmt.percent(math.nan) == "·"
    assert fmt.count(1234) == "1,234"
    assert fmt.count(None) == "·"
