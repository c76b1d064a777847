"""Sparklines have exactly the width that was asked for, and show the shape of any series."""

from __future__ import annotations

import math
import random

import pytest

from pyobserver.tui.widgets import sparkline


@pytest.mark.parametrize(
    ("values", "width", "text"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([7, 0], 2, "█▁"),
        ([5, 5, 5], 3, "▄▄▄"),
        ([0, 0, 0], 3, "▄▄▄"),
        ([1_000_000, 1_000_500, 1_000_100], 3, "▄▄▄"),
        ([5], 4, "   ▄"),
        ([], 3, "   "),
        ([1, None, math.nan, 2], 4, "▁  █"),
        ([None, None], 2, "  "),
        ([1, 3, 5, 7], 2, "▁█"),
        ([1, math.inf, 2], 3, "▁ █"),
        ([-1e308, 1e308], 2, "▁█"),
        ([1, 2], 0, ""),
    ],
)
def test_shapes(values: list[float | None], width: int, text: str) -> None:
    """Gaps stay gaps, a flat series is a flat line, and the newest value is at the right."""
    assert sparkline(values, width) == text


def test_any_series_gets_its_width() -> None:
    """Whatever is in a series, the table's column does not move."""
    chance = random.Random(1)
    odd = [None, math.nan, math.inf, -math.inf, 0.0, 1e308, -1e308, 5e-324, 3.0]
    for _ in range(500):
        values = [
            chance.choice(odd) if chance.random() < 0.5 else chance.gauss(0, 1e6) for _ in range(chance.randrange(60))
        ]
        width = chance.randrange(30)
        assert len(sparkline(values, width)) == width
