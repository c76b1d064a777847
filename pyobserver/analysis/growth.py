"""Growth: the change per minute over a window, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..model.forest_sums import CHILDREN, ENDED, MEASURED, MEMORY, Sums, evenly, numbered
from ..model.groups import Ints
from ..model.history import Curve

Mode = Literal["value", "growth", "baseline"]  # what numeric columns show

SHORTEST_WINDOW = 8.0  # seconds of history below which no growth is told
STEADY_SHARE = 0.005  # growth below this share of the value per minute counts as none
NOTICED_BYTES = 64_000.0  # bytes per minute below which growth is not worth a mark
NOTICED_COUNT = 0.5  # children per minute
CLEARLY = 3.0  # times the scatter


def slope_per_minute(times: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    """Return the slope of the least-squares line, per minute; None below eight seconds or three points.

    Two readings make a line through anything.
    """
    if len(times) < 3 or times[-1] - times[0] < SHORTEST_WINDOW:
        return None
    centred = times - times.mean()
    return float((centred * (values - values.mean())).sum() / (centred * centred).sum() * 60.0)


def per_minute(curve: Curve) -> float | None:
    """Return the growth of a series over the part given, per minute; None when that part is too short to tell."""
    return slope_per_minute(curve.times, curve.mean)


def in_steps(curve: Curve) -> tuple[float, float]:
    """Return what a series that is read in steps may grow by, per minute, and for how many seconds it stood still at
    most. All of its change may belong to the time without that, as the next step may be due; 0 where it has not risen.
    """
    if len(curve) < 2:
        return 0.0, 0.0
    seconds = float(curve.times[-1] - curve.times[0])
    changes = curve.times[np.flatnonzero(np.diff(curve.mean)) + 1]
    still = float(np.diff(np.concatenate((curve.times[:1], changes, curve.times[-1:]))).max())
    change = max(0.0, float(curve.mean[-1] - curve.mean[0]))
    return change / max(seconds - still, float(np.diff(curve.times).min())) * 60.0, still


def is_growing(value: float | None, slope: float | None, least: float = 0.0) -> bool:
    """Whether `slope` per minute is worth a mark beside `value`: more than noise, more than `least` per minute."""
    if value is None or slope is None:
        return False
    return slope > max(least, STEADY_SHARE * abs(value))


def goes_on(times: NDArray[np.float64], lows: NDArray[np.float64]) -> bool:
    """Whether growth has not come to its end: the floor still rises from each third of the time to the next.

    A program that warms up, or that comes back to the same floor after every peak, has a slope too. The last step must
    be a fifth of all at least; of a steady rise it is half. Where it is the shorter one, as cells of an agent alone are
    longer than those of an observer, two fifths of its share of the time do, and a tenth at least.
    """
    if len(times) < 3:
        return False
    edges = times[0] + (times[-1] - times[0]) * np.array([1, 2]) / 3
    ends = np.searchsorted(times, edges, side="right")
    before = times[ends[0] - 1]
    if ends[0] == ends[1] and before - times[0] >= edges[0] - before:
        ends[0] -= 1  # none begins in the second third, as cells of ten seconds are few: the one at its edge is in it
    starts = (0, *ends)
    thirds = np.split(lows, ends)
    if any(not len(third) for third in thirds):
        return False
    first, middle, last = (float(third.min()) for third in thirds)
    begun, then, now = (float(times[start + third.argmin()]) for start, third in zip(starts, thirds, strict=True))
    least = min(0.2, max(0.1, 0.4 * (now - then) / (now - begun)))
    return last > middle >= first and last - middle >= least * (last - first)


def grows(curve: Curve, value: float | None, least: float = 0.0) -> bool:
    """Whether a series is worth a mark beside `value`: its slope is, and it goes on."""
    return is_growing(value, per_minute(curve), least) and goes_on(curve.times, curve.low)


def seconds_to_limit(value: float | None, slope: float | None, limit: float | None) -> float | None:
    """Return when `value` reaches `limit` at this slope; None when it does not, or not within ten years."""
    if value is None or slope is None or limit is None or slope <= 0 or limit <= value:
        return None
    seconds = (limit - value) / slope * 60.0
    return seconds if seconds < 10 * 365 * 86400 else None


def stands_out(times: NDArray[np.float64], values: NDArray[np.float64], slope: float) -> bool:
    """Whether what a slope per minute adds up to is more than what the values scatter around it.

    What comes and goes by the hundred has a slope at any time, and its floor may rise by chance.
    """
    line = values.mean() + slope / 60.0 * (times - times.mean())
    return bool(slope / 60.0 * (times[-1] - times[0]) > CLEARLY * (values - line).std())


class TreeGrowth:
    """Growth of the sums under the nodes and folds of the tree, from what they were within a window.

    Told of all that is in the newest of them at once, and only once as long as none is newer.
    """

    def __init__(self, marks: Sequence[Sums], since: float) -> None:
        self._marks = evenly(marks, since)
        self._times = np.array([each.time for each in self._marks])
        self._newest = self._marks[-1] if self._marks else None
        ids, groups = self._newest.named if self._newest is not None else (_NO_IDS, _NO_IDS)
        self._values = np.full((len(self._marks), len(ids), MEASURED), np.nan)
        for number, each in enumerate(self._marks):
            line = each.find(ids, groups)
            there = line >= 0
            self._values[number, there] = each.table[line[there], :MEASURED]
        self._values[:, :, ENDED][self._values[:, :, ENDED] < 0] = np.nan
        self._slopes = _slopes(self._times, self._values)

    def again(self, marks: Sequence[Sums], since: float) -> TreeGrowth:
        """Return the growth as of these: the same as before when they are."""
        chosen = evenly(marks, since)
        same = len(chosen) == len(self._marks) and all(a is b for a, b in zip(chosen, self._marks, strict=True))
        return self if same else TreeGrowth(marks, since)

    def of(self, key: Hashable) -> tuple[float | None, ...]:
        """Return the growth per minute of each quantity of a node id or fold key; None for what is new."""
        slopes = self.table(*numbered([key]))[0]
        return tuple(None if math.isnan(each) else each for each in slopes.tolist())

    def table(self, ids: Ints, groups: Ints) -> NDArray[np.float64]:
        """Return the growth of keys, a line for each and a column for each quantity; NaN for what is not known."""
        found = np.full((len(ids), MEASURED), np.nan)
        if self._newest is not None:
            line = self._newest.find(ids, groups)
            found[line >= 0] = self._slopes[line[line >= 0]]
        return found

    def growing(self) -> tuple[Ints, Ints]:
        """Return the keys whose bytes or children grow noticeably, as ids and groups."""
        if self._newest is None:
            return _NO_IDS, _NO_IDS
        values, slopes = self._newest.table.astype(np.float64), self._slopes
        in_bytes = slopes[:, MEMORY] > np.maximum(NOTICED_BYTES, STEADY_SHARE * np.abs(values[:, MEMORY]))
        in_children = slopes[:, CHILDREN] > np.maximum(NOTICED_COUNT, STEADY_SHARE * 4.0 * np.abs(values[:, CHILDREN]))
        chosen = [
            line
            for line in np.flatnonzero(in_bytes | in_children).tolist()
            if (in_bytes[line] and self._goes_on(line, MEMORY)) or (in_children[line] and self._goes_on(line, CHILDREN))
        ]
        ids, groups = self._newest.named
        return ids[chosen], groups[chosen]

    def _goes_on(self, line: int, quantity: int) -> bool:
        known = ~np.isnan(self._values[:, line, quantity])
        times, values = self._times[known], self._values[known, line, quantity]
        return stands_out(times, values, float(self._slopes[line, quantity])) and goes_on(times, values)


_NO_IDS: Ints = np.empty(0, np.int64)


def _slopes(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least-squares slope per minute along the first axis, as `slope_per_minute` has it; NaN is not looked at."""
    known = ~np.isnan(values)
    count = known.sum(0)
    weights = known.astype(np.float64)
    at = times[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = (at - (weights * at).sum(0) / count) * weights
        slopes = (centred * np.where(known, values, 0.0)).sum(0) / (centred * centred).sum(0) * 60.0
    if not len(times):
        return np.full(values.shape[1:], np.nan)
    latest = np.where(known, at, -np.inf).max(0)
    first = np.where(known, at, np.inf).min(0)
    return np.where((count >= 3) & (latest - first >= SHORTEST_WINDOW), slopes, np.nan)
