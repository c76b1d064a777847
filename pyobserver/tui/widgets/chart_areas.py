"""Paints series that add up as areas on top of each other, told apart by their patterns where there are no colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .chart_engine import Run, Trace, known
from .chart_view import Array

PATTERNS = "█░▓░▒·╱"  # by slot of colour: what is freed but kept is always light
TOPS = " ▁▂▃▄▅▆▇"


def column_means(traces: Sequence[Trace], columns: int, x: tuple[float, float]) -> NDArray[np.float64]:
    """The mean of each series in each column, shape (series, columns); NaN before its first and after its last value.

    Where a column had no reading it has what was read last: the areas must add up in every column. Of a series that
    was not known at a moment when others were, nothing is drawn there.
    """
    means = np.full((len(traces), columns), np.nan)
    for row, trace in zip(means, traces, strict=True):
        inside = known(trace, x)
        finite = np.isfinite(inside.ys)
        if not finite.any():
            continue
        column = ((inside.xs[finite] - x[0]) * (columns / (x[1] - x[0]))).astype(int).clip(0, columns - 1)
        counts = np.bincount(column, minlength=columns)
        sums = np.bincount(column, weights=inside.ys[finite], minlength=columns)
        read = np.flatnonzero(counts)
        row[read] = sums[read] / counts[read]
        before = np.searchsorted(read, np.arange(columns), side="right") - 1
        there = (before >= 0) & (np.arange(columns) <= read[-1] + 1)
        row[there] = row[read[before[there]]]
    return means


def filled_in(means: NDArray[np.float64], fills_in: Sequence[bool]) -> NDArray[np.float64]:
    """The means with those series that fill in left out of all columns in which another one is known."""
    fills = np.array(fills_in, bool)
    others = means[~fills]
    means[np.ix_(fills, ~np.isnan(others).all(axis=0))] = np.nan
    return means


def stacked(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper edges of the areas; a series that is not known is as high as nothing, columns without any are NaN."""
    edges: NDArray[np.float64] = np.cumsum(np.nan_to_num(means, nan=0.0), axis=0)
    edges[:, np.isnan(means).all(axis=0)] = np.nan
    return edges


def paint(edges: NDArray[np.float64], slots: Sequence[int], height: int, y: tuple[float, float]) -> list[list[Run]]:
    """`height` lines of cells, each with the pattern of the area that takes most of it; the upper edge is true to an
    eighth.

    Of areas thinner than a cell one takes another's place in every column when it is the middle of the cell that
    counts: all of them rise, and the edge shows a colour after the other, as if they came and went.
    `slots` are the numbers of the patterns of the series, from below.
    """
    count, columns = edges.shape
    if not count:
        return [[(" " * columns, None)] for _ in range(height)]
    with np.errstate(invalid="ignore"):
        rows = np.clip((edges - y[0]) / (y[1] - y[0]), 0.0, 1.0) * height  # in cells from below
    lines = []
    for row in range(height):
        inside = np.clip(np.nan_to_num(rows) - (height - 1 - row), 0.0, 1.0)
        parts = np.diff(inside, axis=0, prepend=0.0).round(6)
        owner = count - 1 - parts[::-1].argmax(axis=0)  # of equal ones the uppermost
        lines.append(_runs(owner, inside[-1], slots))
    return lines


def _runs(owner: NDArray[np.int64], filled: Array, slots: Sequence[int]) -> list[Run]:
    """One line of cells, equal neighbours together."""
    runs: list[Run] = []
    for number, part in zip(owner.tolist(), filled.tolist(), strict=True):
        eighths = round(part * 8)
        if eighths == 0:
            text, series = " ", None
        elif eighths < 8:
            text, series = TOPS[eighths], number
        else:
            text, series = PATTERNS[slots[number] % len(PATTERNS)], number
        if runs and runs[-1][1] == series:
            runs[-1] = (runs[-1][0] + text, series)
        else:
            runs.append((text, series))
    return runs
