"""What a chart shows: series over time, as they are handed to the widget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["bytes", "count", "percent"]
Array = NDArray[np.float64]

WAITING = "waiting for data"
SLOTS = 7  # colours; more lines than this cannot be told apart in one chart anyway


@dataclass(frozen=True, eq=False)
class ChartSeries:
    """One line: `xs` in Unix time, ascending, and as many `ys`, with NaN where nothing is known.

    `color` is a slot from 0 to 6, so that a series keeps its colour whatever else is shown. Of areas one that
    `fills_in` is drawn where no other is known.
    """

    name: str
    label: str
    color: int
    xs: Array
    ys: Array
    fills_in: bool = False


@dataclass(frozen=True, eq=False)
class ChartView:
    """Everything a chart needs: `window` is the first and the last moment shown, in Unix time.

    With the unit "percent", values are shares from 0 to 1. `limit` is a value and where it comes from (`"cgroup"`).
    `empty` stands in the place of lines when there are none, and says whether to wait (`WAITING`) or why there will be
    none (`"not available: ..."`). `timezone` is that of the labels; None is the machine's own.
    """

    series: tuple[ChartSeries, ...]
    window: tuple[float, float]
    unit: Unit = "bytes"
    limit: tuple[float, str] | None = None
    title: str = ""
    empty: str = WAITING
    timezone: tzinfo | None = None
    from_zero: bool = True
    areas: bool = False  # the series add up, the first one at the bottom
