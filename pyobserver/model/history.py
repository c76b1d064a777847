"""Series over time, bounded: 1 s for 10 min, 10 s for 2 h, 60 s for 24 h, with minimum, mean and maximum per cell."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .past import Cells, within

Tiers = tuple[tuple[float, int], ...]  # (seconds of a cell, cells)
TIERS: Tiers = ((1.0, 600), (10.0, 720), (60.0, 1440))
COARSE: Tiers = ((2.0, 300), (60.0, 720))  # for series of which there are many: groups


@dataclass(frozen=True)
class Curve:
    """A part of a series: the cells' beginnings (Unix seconds, ascending) and values."""

    times: NDArray[np.float64]
    low: NDArray[np.float64]
    mean: NDArray[np.float64]
    high: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)


NO_CURVE = Curve(np.empty(0), np.empty(0), np.empty(0), np.empty(0))


class _Tier:
    """A ring of cells (beginning, minimum, sum, maximum, readings), grown on demand up to its bound."""

    def __init__(self, seconds: float, bound: int) -> None:
        self.seconds = seconds
        self.bound = bound
        self.count = 0  # cells ever begun
        self.has_lost = False  # older ones than those that were filled in
        self._cells = np.empty((min(bound, 16), 5))

    def add(self, time: float, value: float) -> None:
        start = math.floor(time / self.seconds) * self.seconds
        if self.count:
            newest = self._cells[(self.count - 1) % self.bound]
            if newest[0] >= start:
                newest[1] = min(newest[1], value)
                newest[2] += value
                newest[3] = max(newest[3], value)
                newest[4] += 1
                return
        if self.count == len(self._cells) < self.bound:
            bigger = np.empty((min(self.bound, 2 * self.count), 5))
            bigger[: self.count] = self._cells
            self._cells = bigger
        self._cells[self.count % self.bound] = (start, value, value, value, 1)
        self.count += 1

    def cells(self) -> NDArray[np.float64]:
        if self.count <= self.bound:
            return self._cells[: self.count].copy()
        return np.roll(self._cells, -(self.count % self.bound), axis=0)

    def since(self, time: float) -> NDArray[np.float64]:
        """The cells that do not end before a time."""
        back = 0
        while back < min(self.count, self.bound):
            if self._cells[(self.count - 1 - back) % self.bound][0] + self.seconds <= time:
                break
            back += 1
        begin, end = (self.count - back) % self.bound, (self.count - 1) % self.bound + 1
        if not back:
            return self._cells[:0]
        return (
            self._cells[begin:end].copy() if begin < end else np.concatenate((self._cells[begin:], self._cells[:end]))
        )

    def reaches(self, since: float) -> bool:
        """Whether nothing before its first cell is missing from `since` on."""
        is_full = self.count > self.bound
        if not is_full and not self.has_lost:
            return True
        return self.count > 0 and bool(self._cells[self.count % self.bound if is_full else 0][0] <= since)

    def fill(self, past: Cells, is_last: bool) -> None:
        """Take in what an agent has read where nothing was read here, as far back as this tier is meant to reach.

        The last one takes all that it has room for.
        """
        own = self.cells()
        newest = max(float(past[-1, 0]), float(own[-1, 0]) if len(own) else 0.0)
        since = min([newest - self.seconds * self.bound, *own[:1, 0].tolist()])
        recent = past if is_last else past[past[:, 0] + past[:, 1] > since]
        after = np.searchsorted(own[:, 0], recent[:, 0] - self.seconds, side="right")
        before = np.searchsorted(own[:, 0], recent[:, 0] + recent[:, 1], side="left")
        found = within(recent[after == before], self.seconds)
        found = found[~np.isin(found[:, 0], own[:, 0])]
        table = np.concatenate([own, found])
        table = table[np.argsort(table[:, 0], kind="stable")]
        self.has_lost |= len(recent) < len(past) or self.count > self.bound or len(table) > self.bound
        if len(found):
            self._cells = table[-self.bound :]
            self.count = len(self._cells)


class Series:
    """One quantity over time. Adding costs constant time; memory is bounded by the tiers."""

    def __init__(self, tiers: Tiers = TIERS) -> None:
        self._tiers = [_Tier(seconds, cells) for seconds, cells in tiers]
        self.widths = tuple(seconds for seconds, _ in tiers)  # seconds of the cells of each tier, the finest first
        self.last: tuple[float, float] | None = None
        self.peak = -math.inf
        self.version = 0  # that of the history when it got its last reading

    def add(self, time: float, value: float) -> None:
        """Add one reading. One that comes out of order goes into the newest cell; what is not finite is none."""
        if not math.isfinite(value):
            return
        for tier in self._tiers:
            tier.add(time, value)
        self.last = (time, value)
        self.peak = max(self.peak, value)

    def fill(self, past: Cells) -> None:
        """Take in what an agent has read before, or between: what was read here stays as it is."""
        for tier in self._tiers:
            tier.fill(past, tier is self._tiers[-1])
        if self.last is None:
            self.last = (float(past[-1, 0] + past[-1, 1]), float(past[-1, 3]))
        self.peak = max(self.peak, float(past[:, 4].max()))

    def cells(self, seconds: float, since: float) -> NDArray[np.float64]:
        """Return the cells of one tier that do not end before `since`: beginning, least, sum, greatest, readings."""
        return next(tier for tier in self._tiers if tier.seconds == seconds).since(since)

    def curve(self, since: float) -> Curve:
        """Return the finest cells that reach back to `since`, or as far back as anything does."""
        tier = next((t for t in self._tiers if t.reaches(since)), self._tiers[-1])
        table = tier.cells()
        table = table[table[:, 0] + tier.seconds > since]
        return Curve(table[:, 0], table[:, 1], table[:, 2] / table[:, 4], table[:, 3])


class History:
    """Series by name, safe to read while another thread adds.

    At most `limit` series: the one that has not been added to for longest makes room.
    """

    def __init__(self, limit: int = 400) -> None:
        self._series: dict[str, Series] = {}
        self._limit = limit
        self._lock = threading.Lock()
        self._version = 0  # counts the readings of all series

    def add(self, name: str, time: float, value: float | None, tiers: Tiers = TIERS) -> None:
        """Add one reading to the series `name`; None is not a reading. `tiers` matter for the first one only."""
        if value is None:
            return
        with self._lock:
            series = self._last_of(name, tiers)
            series.add(time, value)
            self._version = series.version = self._version + 1

    def fill(self, name: str, past: Cells, tiers: Tiers = TIERS) -> None:
        """Complete the series `name` by what was read before, or where nothing was read here."""
        if len(past):
            with self._lock:
                series = self._last_of(name, tiers)
                series.fill(past)
                self._version = series.version = self._version + 1

    def _last_of(self, name: str, tiers: Tiers) -> Series:
        """Return a series and put it to the end: the order is that of the last reading."""
        series = self._series.pop(name, None)
        if series is None:
            series = Series(tiers)
            while len(self._series) >= self._limit:
                del self._series[next(iter(self._series))]
        self._series[name] = series
        return series

    def curve(self, name: str, since: float) -> Curve:
        """Return the part of the series `name` since then; empty when there is none."""
        with self._lock:
            series = self._series.get(name)
            return series.curve(since) if series else NO_CURVE

    def peak(self, name: str) -> float | None:
        """Return the largest reading ever added to the series `name`."""
        with self._lock:
            series = self._series.get(name)
            return series.peak if series and series.last else None

    def last(self, name: str) -> tuple[float, float] | None:
        """Return time and value of the last reading of the series `name`."""
        with self._lock:
            series = self._series.get(name)
            return series.last if series else None

    def news(self, version: int) -> tuple[int, list[str]]:
        """Return the version of now, and the series that have got readings since an earlier one."""
        with self._lock:
            names = []
            for name, series in reversed(self._series.items()):
                if series.version <= version:
                    break
                names.append(name)
            return self._version, names

    def names(self) -> list[str]:
        """Return the names of all series."""
        with self._lock:
            return list(self._series)

    def widths_of(self, name: str) -> tuple[float, ...]:
        """Return the seconds of the cells of each tier of a series, the finest first; as usual where there is none."""
        with self._lock:
            series = self._series.get(name)
            return series.widths if series is not None else tuple(seconds for seconds, _ in TIERS)

    def cells(self, name: str, seconds: float, since: float) -> NDArray[np.float64] | None:
        """Return the cells of one tier of a series: beginning, least, sum, greatest and number of readings of each."""
        with self._lock:
            series = self._series.get(name)
            return series.cells(seconds, since) if series is not None and seconds in series.widths else None
