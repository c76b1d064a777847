"""Paints series that add up as areas on top of each other, told apart by their patterns where there are no colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .chart_engine import Run, Trace, known
from .chart_view import Array

PATTERNS = "█░▓░▒·"  # by slot of colour: what is freed but kept is always light
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


def stacked(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper edges of the areas; a series that is not known is as high as nothing, columns without any are NaN."""
    edges: NDArray[np.float64] = np.cumsum(np.nan_to_num(means, nan=0.0), axis=0)
    edges[:, np.isnan(means).all(axis=0)] = np.nan
    return edges


def paint(edges: NDArray[np.float64], slots: Sequence[int], height: int, y: tuple[float, float]) -> list[list[Run]]:
    """`height` lines of cells, each with the pattern of the area in its middle; the upper edge is true to an eighth.

    `slots` are the numbers of the patterns of the series, from below.
    """
    count, columns = edges.shape
    if not count:
        return [[(" " * columns, None)] for _ in range(height)]
    with np.errstate(invalid="ignore"):
        rows = np.clip((edges - y[0]) / (y[1] - y[0]), 0.0, 1.0) * height  # in cells from below
    lines = []
    for row in range(height):
        bottom = height - 1 - row
        owner = np.full(columns, -1)
        filled = np.zeros(columns)
        for number in range(count - 1, -1, -1):
            with np.errstate(invalid="ignore"):
                owner = np.where(rows[number] > bottom + 0.5, number, owner)
        with np.errstate(invalid="ignore"):
            filled = np.nan_to_num(np.clip(rows[-1] - bottom, 0.0, 1.0))
        lines.append(_runs(owner, filled, _at(rows, bottom), slots))
    return lines


def _at(rows: NDArray[np.float64], bottom: int) -> NDArray[np.int64]:
    """The series that is at the lower end of a line of cells, for its last eighths."""
    with np.errstate(invalid="ignore"):
        above: NDArray[np.int64] = np.argmax(rows > bottom, axis=0)
    return above


def _runs(owner: Array, filled: Array, lowest: NDArray[np.int64], slots: Sequence[int]) -> list[Run]:
    """One line of cells, equal neighbours together."""
    runs: list[Run] = []
    for number, part, low in zip(owner.tolist(), filled.tolist(), lowest.tolist(), strict=True):
        eighths = round(part * 8)
        if eighths == 0:
            text, series = " ", None
        elif eighths < 8:
            text, series = TOPS[eighths], int(low if number < 0 else number)
        else:
            text, series = PATTERNS[slots[int(number)] % len(PATTERNS)], int(number)
        if runs and runs[-1][1] == series:
            runs[-1] = (runs[-1][0] + text, series)
        else:
            runs.append((text, series))
    return runs
