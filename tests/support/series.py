"""Made-up memory over time, in MB, a reading a second: what leaks, and what only looks like it.

The classes are those of the measurements by which the statistics of the verdict were chosen: each has a random level,
rate and noise (readings that depend on each other, as those of a process do).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyobserver.model.history import TIERS, Series, Tiers

Numbers = NDArray[np.float64]
Random = np.random.Generator
SECONDS = 4 * 3600
MB = 1_000_000.0


def noise(random: Random, spread: float = 2.0, seconds: int = SECONDS, memory: float = 0.9) -> Numbers:
    """Readings around 0, each of which remembers the one before."""
    pushes = random.normal(0, spread * np.sqrt(1 - memory * memory), seconds)
    found = np.empty(seconds)
    last = 0.0
    for i, push in enumerate(pushes.tolist()):
        last = found[i] = memory * last + push
    return found


def sawtooth(random: Random, t: Numbers, height: float, period: float) -> Numbers:
    """What is allocated, and collected in the end, again and again."""
    return np.asarray(height * ((t + random.uniform(0, period)) % period) / period)


Make = Callable[[Random, Numbers], Numbers]
HARMLESS: dict[str, Make] = {
    "flat": lambda r, t: noise(r, r.uniform(0.5, 6), len(t)),
    "sawtooth": lambda r, t: sawtooth(r, t, r.uniform(30, 300), r.uniform(20, 240)) + noise(r, 2, len(t)),
    "slow sawtooth": lambda r, t: sawtooth(r, t, r.uniform(30, 300), r.uniform(400, 1500)) + noise(r, 2, len(t)),
    "warm-up": lambda r, t: r.uniform(100, 900) * (1 - np.exp(-t / r.uniform(120, 1200))) + noise(r, 4, len(t)),
    "daily wave": lambda r, t: (
        r.uniform(20, 120) * np.sin(2 * np.pi * t / r.uniform(3000, 20000) + r.uniform(0, 6.3)) + noise(r, 4, len(t))
    ),
    "filling cache": lambda r, t: np.minimum(r.uniform(0.05, 0.5) * t, r.uniform(100, 900)) + noise(r, 3, len(t)),
    "steps": lambda r, t: (
        sum((r.uniform(20, 150) * (t > r.uniform(0, len(t))) for _ in range(3)), np.zeros(len(t))) + noise(r, 3, len(t))
    ),
    "random walk": lambda r, t: np.cumsum(r.normal(0, 0.15, len(t))) + noise(r, 2, len(t)),
}
LEAKING: dict[str, Callable[[Random, Numbers, Numbers], Numbers]] = {  # with seconds since it began to leak
    "7 MB/s": lambda r, t, s: 7.0 * s + noise(r, 4, len(t)),
    "0.5 MB/s in a sawtooth": lambda r, t, s: 0.5 * s + sawtooth(r, t, 150, 90) + noise(r, 3, len(t)),
    "0.05 MB/s": lambda r, t, s: 0.05 * s + noise(r, 3, len(t)),
    "0.05 MB/s in a sawtooth": lambda r, t, s: 0.05 * s + sawtooth(r, t, 150, 90) + noise(r, 3, len(t)),
    "0.02 MB/s in a daily wave": lambda r, t, s: (
        0.02 * s + 30 * np.sin(2 * np.pi * t / 9000 + r.uniform(0, 6.3)) + noise(r, 3, len(t))
    ),
    "6 MB every 2 min": lambda r, t, s: 6 * np.floor(s / 120) + noise(r, 3, len(t)),
}
FAST = ("7 MB/s", "0.5 MB/s in a sawtooth")


@dataclass(frozen=True)
class Memory:
    """One made-up series in bytes. `onset` is the second at which it begins to leak, None if it never does."""

    kind: str
    values: Numbers
    onset: float | None


def memory(kind: str, random: Random, seconds: int = SECONDS) -> Memory:
    """Return a series of a class."""
    t = np.arange(seconds, dtype=float)
    level = random.uniform(150, 1500)
    if kind in HARMLESS:
        return Memory(kind, (level + HARMLESS[kind](random, t)) * MB, None)
    onset = random.uniform(1200, 3600)
    return Memory(kind, (level + LEAKING[kind](random, t, np.clip(t - onset, 0, None))) * MB, onset)


class Played:
    """A series that becomes known second by second, as the store keeps it."""

    BEGIN = 1_700_000_000.0

    def __init__(self, values: Numbers, tiers: Tiers = TIERS) -> None:
        self._values = values
        self._at = 0
        self.series = Series(tiers)

    def until(self, second: int) -> float:
        """Let it go on up to this second, and return what time it is then."""
        for i in range(self._at, second):
            self.series.add(self.BEGIN + i, float(self._values[i]))
        self._at = max(self._at, second)
        return self.BEGIN + second - 1
