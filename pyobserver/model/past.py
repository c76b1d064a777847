"""What was before us, as an agent has kept it, and how it comes into the cells of a history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]  # rows of (beginning, seconds, low, mean, high), the oldest first; they do not overlap


@dataclass(frozen=True)
class PastSeries:
    """One series: cells whose beginnings are ages, in seconds; of a group, when `group` is its kind, function, held."""

    series: str
    group: tuple[int, str, bool] | None
    cells: Cells

    def at(self, now: float) -> Cells:
        """Return the cells with Unix times for ages; the newest ends now at the latest."""
        found = self.cells.copy()
        ages = found[:, 0]
        found[:, 1] = np.minimum(found[:, 1], ages)
        found[:, 0] = now - ages
        return found


def within(cells: Cells, seconds: float) -> NDArray[np.float64]:
    """Return rows of (beginning, low, sum, high, readings) for a tier whose cells have this length.

    Shorter cells are put together. A longer one stays one, and lies where its middle is: as each of the tier's is shown
    at its beginning, the line through them has no step.
    """
    is_short = cells[:, 1] < seconds
    long = cells[~is_short]
    middles = np.round((long[:, 0] + (long[:, 1] - seconds) / 2) / seconds) * seconds
    table = np.column_stack([middles, long[:, 2], long[:, 3], long[:, 4], np.ones(len(long))])
    short = cells[is_short]
    if len(short):
        starts, which = np.unique(np.floor(short[:, 0] / seconds) * seconds, return_inverse=True)
        lows, highs = np.full(len(starts), np.inf), np.full(len(starts), -np.inf)
        np.minimum.at(lows, which, short[:, 2])
        np.maximum.at(highs, which, short[:, 4])
        weights = np.maximum(short[:, 1], 1e-3)
        means = np.bincount(which, short[:, 3] * weights) / np.bincount(which, weights)
        joined = np.column_stack([starts, lows, means.clip(lows, highs), highs, np.ones(len(starts))])
        table = np.concatenate([table, joined])
    table = table[np.argsort(table[:, 0], kind="stable")]
    is_first = np.diff(table[:, 0], prepend=-np.inf) > 0
    return np.asarray(table[is_first], np.float64)
