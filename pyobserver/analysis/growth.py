"""Growth: the change per minute over a window, and what follows from it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..model.forest import ForestMark
from ..model.history import Curve

Mode = Literal["value", "growth", "baseline"]  # what numeric columns show

SHORTEST_WINDOW = 8.0  # seconds of history below which no growth is told
STEADY_SHARE = 0.005  # growth below this share of the value per minute counts as none
NOTICED_BYTES = 64_000.0  # bytes per minute below which growth is not worth a mark
NOTICED_COUNT = 0.5  # children per minute


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


def is_growing(value: float | None, slope: float | None, least: float = 0.0) -> bool:
    """Whether `slope` per minute is worth a mark beside `value`: more than noise, more than `least` per minute."""
    if value is None or slope is None:
        return False
    return slope > max(least, STEADY_SHARE * abs(value))


def goes_on(times: NDArray[np.float64], lows: NDArray[np.float64]) -> bool:
    """Whether growth has not come to its end: the floor still rises from each third of the time to the next.

    A program that warms up, or that comes back to the same floor after every peak, has a slope too. The last step must
    be a fifth of all at least; of a steady rise it is half.
    """
    if len(times) < 3:
        return False
    edges = times[0] + (times[-1] - times[0]) * np.array([1, 2]) / 3
    thirds = np.split(lows, np.searchsorted(times, edges, side="right"))
    if any(not len(third) for third in thirds):
        return False
    first, middle, last = (float(third.min()) for third in thirds)
    return last > middle >= first and last - middle >= 0.2 * (last - first)


def grows(curve: Curve, value: float | None, least: float = 0.0) -> bool:
    """Whether a series is worth a mark beside `value`: its slope is, and it goes on."""
    return is_growing(value, per_minute(curve), least) and goes_on(curve.times, curve.low)


def seconds_to_limit(value: float | None, slope: float | None, limit: float | None) -> float | None:
    """Return when `value` reaches `limit` at this slope; None when it does not, or not within ten years."""
    if value is None or slope is None or limit is None or slope <= 0 or limit <= value:
        return None
    seconds = (limit - value) / slope * 60.0
    return seconds if seconds < 10 * 365 * 86400 else None


class TreeGrowth:
    """Growth of children and bytes under the nodes and folds of the tree, from the marks within a window."""

    def __init__(self, marks: Iterable[ForestMark], since: float) -> None:
        self._marks = [mark for mark in marks if mark.time >= since]

    def of(self, key: Hashable) -> tuple[float | None, float | None]:
        """Return (children, bytes) per minute of a node id or fold key; None for what is new."""
        table = self._table(key)
        if len(table) < 3:
            return None, None
        return slope_per_minute(table[:, 0], table[:, 1]), slope_per_minute(table[:, 0], table[:, 2])

    def _table(self, key: Hashable) -> NDArray[np.float64]:
        points = [(mark.time, *mark.sums[key]) for mark in self._marks if key in mark.sums]
        return np.array(points, np.float64).reshape(-1, 3)

    def growing(self) -> set[Hashable]:
        """Return the keys whose bytes or children grow noticeably."""
        if not self._marks:
            return set()
        found = set()
        for key, (children, size) in self._marks[-1].sums.items():
            before = self._marks[0].sums.get(key)
            if before == (children, size):
                continue  # most of the tree, most of the time: not worth fitting a line
            by_children, by_bytes = self.of(key)
            in_bytes = is_growing(size, by_bytes, NOTICED_BYTES)
            in_children = is_growing(4.0 * children, by_children, NOTICED_COUNT)
            if not in_bytes and not in_children:
                continue
            table = self._table(key)
            if (in_bytes and goes_on(table[:, 0], table[:, 2])) or (in_children and goes_on(table[:, 0], table[:, 1])):
                found.add(key)
        return found
