"""Whether a series rises, told from its floors: the statistics of the verdict.

The least value of each block is what is left after every collection, without asking the collector. On these floors the
slope is the median of those of all pairs (Theil and Sen), and whether it is more than chance says the test of Mann and
Kendall, with its variance corrected for ties. Readings of one second depend on each other, which the test does not
allow for; floors of longer blocks hardly do. No single test tells a leak from a cache that still fills, hence levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..model.history import Curve
from .format import duration

Numbers = NDArray[np.float64]
CurveSince = Callable[[float], Curve]  # the part of a series since a Unix time

GROWING_SECONDS = 20 * 60.0  # what growth is told from, at most
LEAK_SECONDS = 45 * 60.0  # of steady growth: from then on it is called a leak
SHORTEST_SECONDS = 10.0  # of history, below which nothing is told
BLOCK_SECONDS = 60.0  # of a floor; shorter ones as long as there is less than the whole window
LEAST_BLOCKS = 6
USUAL_BLOCKS = 12
LIMIT_SECONDS = 3 * 60.0  # what the time to the limit is told from
LIMIT_BLOCK_SECONDS = 10.0
GROWING_Z, LEAK_Z = 3.3, 4.0  # standard deviations of the test's statistic
_OF_PERFECT = 0.85  # of few floors nearly all pairs must rise: z cannot become as large as it should
_ONE_STEP = 0.6  # of the whole change in one step: then it is a step, and no growth; two steps may be some
_ONE_STEP_OF_LEAK = 0.3
_STILL = 0.3  # of the whole slope that the last third must have: else it has come to its end
_STILL_OF_FEW = 0.5
_CEILING_BLOCK_SECONDS = 180.0
_USUAL_HIGH = 0.9  # of the floors of the first two thirds, above which a leak has its last ones


@dataclass(frozen=True)
class Amounts:
    """What a change must be at least to be worth a word: so much in a minute, so much in the whole window, each with
    the shares of the mean. What lies between is in proportion."""

    minute: float
    window: float
    share_of_minute: float = 0.005
    share_of_window: float = 0.02

    def least(self, seconds: float, mean: float) -> float:
        """Return the least change over a time that counts."""
        part = min(1.0, max(0.0, (seconds - 60.0) / (GROWING_SECONDS - 60.0)))
        absolute = self.minute + part * (self.window - self.minute)
        share = self.share_of_minute + part * (self.share_of_window - self.share_of_minute)
        return max(absolute, share * abs(mean))

    def at_least(self, change: float) -> Amounts:
        """Return the same, with a least change over any time."""
        return replace(self, minute=max(self.minute, change), window=max(self.window, change))


BYTES = Amounts(2_000_000, 8_000_000)
RETAINED = Amounts(250_000, 2_000_000, 0.003, 0.02)
ROWS = Amounts(2.5, 10.0, 0.003, 0.02)  # three steps, of which the median loses a part


@dataclass(frozen=True)
class Trend:
    """What is told of one series. `slope` is per minute, with the band of 80 % of all pairs' slopes; `seconds` is how
    much of it was looked at.

    `is_leak` is only said of what `grows`. `reason` says why it is not more: a leak, or growing.
    """

    grows: bool
    is_leak: bool
    slope: float
    slope_low: float
    slope_high: float
    z: float
    seconds: float
    reason: str = ""


def floors(times: Numbers, lows: Numbers, block: float, end: float) -> tuple[Numbers, Numbers]:
    """Return (middles of the blocks, least values in them), blocks of so many seconds counted back from `end`.

    A block without a reading is left out, and so is a first one that is less than half there.
    """
    if not len(times):
        return np.empty(0), np.empty(0)
    number = np.floor((end - times) / block + 1e-9).astype(np.int64)
    number = np.maximum(number, 0)
    reach = (end - float(times[0])) / block - int(number[0])  # how much of the first block there is
    wanted = number < number[0] if reach < 0.5 else np.ones(len(number), bool)
    number, lows = number[wanted], lows[wanted]
    if not len(number):
        return np.empty(0), np.empty(0)
    starts = np.flatnonzero(np.diff(number, prepend=number[0] + 1))
    return end - (number[starts] + 0.5) * block, np.minimum.reduceat(lows, starts)


def theil_sen(times: Numbers, values: Numbers) -> tuple[float, float, float]:
    """Return the median, and the first and the last tenth, of the slopes of all pairs, per second; two points at least.

    Sen, Estimates of the regression coefficient based on Kendall's tau, 1968.
    """
    first, second = np.triu_indices(len(values), 1)
    slopes = (values[second] - values[first]) / (times[second] - times[first])
    low, middle, high = np.quantile(slopes, (0.1, 0.5, 0.9))
    return float(middle), float(low), float(high)


def mann_kendall(values: Numbers) -> float:
    """Return how many standard deviations the number of rising pairs lies above that of a series without a trend.

    Ties take from the variance what they cannot tell (Kendall, Rank correlation methods, 1975). 0 when all are equal.
    """
    n = len(values)
    first, second = np.triu_indices(n, 1)
    score = float(np.sign(values[second] - values[first]).sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    return (score - math.copysign(1.0, score)) / math.sqrt(variance) if variance > 0 and score else 0.0


def seconds_until(value: float, limit: float, slope: float) -> float | None:
    """Return when `value` is at `limit`, with a slope per minute; None when it does not come there in ten years."""
    if slope <= 0:
        return None
    seconds = max(0.0, limit - value) / slope * 60.0
    return seconds if seconds < 10 * 365 * 86400 else None


def trend(
    curve: CurveSince, now: float, since: float, amounts: Amounts, leak_seconds: float = LEAK_SECONDS
) -> Trend | None:
    """Return what can be told at `now` of a series that counts from `since` on; None when it is too early.

    `leak_seconds` is how long it must have grown steadily to be called a leak.
    """
    recent = _part(curve, max(since, now - GROWING_SECONDS), now)
    if len(recent) < LEAST_BLOCKS:
        return None
    known = now - float(recent.times[0])
    if known < SHORTEST_SECONDS:
        return None
    block = _block(recent, known)
    times, values = floors(recent.times, recent.low, block, now)
    if len(values) < LEAST_BLOCKS:
        return None
    found = _growing(times, values, known, amounts)
    return _leak(curve, now, since, amounts, leak_seconds, found) if found.grows else found


def _part(curve: CurveSince, begin: float, end: float) -> Curve:
    """The part of a series between two times: what comes after is not known yet, also where it is (in a replay)."""
    found = curve(begin)
    wanted = (found.times >= begin - 1.0) & (found.times <= end)
    if wanted.all():
        return found
    return Curve(found.times[wanted], found.low[wanted], found.mean[wanted], found.high[wanted])


def _block(part: Curve, seconds: float) -> float:
    """How long a block is to be: a minute; less of a short time, as long as there are readings in each."""
    apart = float(np.median(np.diff(part.times)))
    return max(apart, min(BLOCK_SECONDS, max(seconds / USUAL_BLOCKS, 2.0)))


def _growing(times: Numbers, values: Numbers, seconds: float, amounts: Amounts) -> Trend:
    change = float(values[-1] - values[0])
    span = float(times[-1] - times[0])
    still = Trend(False, False, 60.0 * change / span, 0.0, 0.0, 0.0, seconds, "it does not grow")
    if change <= 0:
        return still
    slope, low, high = theil_sen(times, values)
    z = mann_kendall(values)
    found = Trend(True, False, 60.0 * slope, 60.0 * low, 60.0 * high, z, seconds)
    why = ""
    if slope * span < amounts.least(seconds, float(values.mean())):
        why = "too little"
    elif z < min(GROWING_Z, _OF_PERFECT * _perfect(len(values))):
        why = "it rises and falls"
    elif float(np.diff(values).max()) > _ONE_STEP * change:
        why = "it was one step"
    elif not _still_rises(times, values, slope):
        why = "it has come to its end"
    return found if not why else replace(found, grows=False, reason=why)


def _perfect(n: int) -> float:
    """The statistic of a series of `n` that always rises."""
    return (n * (n - 1) / 2 - 1) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)


def _thirds(times: Numbers, values: Numbers) -> list[tuple[Numbers, Numbers]]:
    cut = len(values) // 3
    return [(times[i : i + cut], values[i : i + cut]) for i in (0, cut, 2 * cut)]


def _still_rises(times: Numbers, values: Numbers, slope: float) -> bool:
    """Whether the last third rises on the whole: of few floors by their sum, which is less easily misled."""
    cut = max(2, len(values) // 3)
    last = values[-cut:]
    if cut < 6:
        before = values[-2 * cut : -cut]
        return float(last.mean() - before.mean()) >= _STILL_OF_FEW * slope * float(times[-1] - times[-1 - cut])
    return theil_sen(times[-cut:], last)[0] >= _STILL * slope


def _leak(curve: CurveSince, now: float, since: float, amounts: Amounts, needed: float, found: Trend) -> Trend:
    """The same, as a leak where it has been steady for long enough; else with the reason why it is not called that."""
    part = _part(curve, max(since, now - needed), now)
    known = now - float(part.times[0]) if len(part) else 0.0
    if known < needed - BLOCK_SECONDS:
        return _with(found, f"a leak takes {duration(needed)} of steady growth, and {duration(known)} are known")
    times, values = floors(part.times, part.low, BLOCK_SECONDS, now)
    if len(values) < 3 * LEAST_BLOCKS:
        return _with(found, "there are too few readings")
    if values[-1] <= values[0]:
        return _with(found, "it has been as high before")
    slope, low, high = theil_sen(times, values)
    z = mann_kendall(values)
    why = _not_a_leak(curve, now, since, times, values, slope, z, amounts)
    if why:
        return _with(found, why)
    return Trend(True, True, 60.0 * slope, 60.0 * low, 60.0 * high, z, known)


def _not_a_leak(
    curve: CurveSince,
    now: float,
    since: float,
    times: Numbers,
    values: Numbers,
    slope: float,
    z: float,
    amounts: Amounts,
) -> str:
    """Why growth over the whole window is no leak, or "": it is straight, no step, and higher than ever before."""
    seconds = float(times[-1] - times[0])
    change = float(values[-1] - values[0])
    said = duration(round(seconds / 60.0) * 60.0)
    if z <= LEAK_Z or slope * seconds <= amounts.least(seconds, float(values.mean())):
        return f"over {said} it rises and falls more than it grows"
    slopes = [theil_sen(*third)[0] for third in _thirds(times, values)]
    if slopes[2] < 0.7 * slope:
        return "it slows down: something may be filling up"
    if min(slopes) < 0.5 * slope:
        return f"it has not grown steadily for {said}"
    if float(np.diff(values).max()) > _ONE_STEP_OF_LEAK * change:
        return "most of it was one step"
    usual = float(np.quantile(values[: 2 * len(values) // 3], _USUAL_HIGH))
    if float(values[-5:].min()) <= usual:
        return "it has been nearly as high before"
    before = now - seconds * 2 / 3
    earlier = _part(curve, since, before)
    _, ceilings = floors(earlier.times, earlier.low, _CEILING_BLOCK_SECONDS, before)
    if len(ceilings) and float(values[-5:].min()) <= float(ceilings.max()):
        return "it has been as high before"
    return ""


def _with(found: Trend, reason: str) -> Trend:
    return replace(found, reason=reason)


def seconds_to_limit(
    curve: CurveSince, now: float, since: float, used: float, limit: float, found: Trend | None
) -> float | None:
    """Return when the limit is reached, if the last three minutes go on, or the trend that was `found`, whichever says
    it is sooner; None when neither leads there.

    Steps of ten seconds are too short to speak of a leak; they are what there is when memory is full in minutes.
    """
    slopes = [_slope_of_late(curve, now, since)]
    if found is not None and found.grows:
        slopes.append(found.slope)
    return seconds_until(used, limit, max(slopes))


def _slope_of_late(curve: CurveSince, now: float, since: float) -> float:
    """How much a minute the last three minutes bring, where that is more than chance and no single step; else 0."""
    part = _part(curve, max(since, now - LIMIT_SECONDS), now)
    if len(part) < LEAST_BLOCKS or now - float(part.times[0]) < SHORTEST_SECONDS:
        return 0.0
    block = max(float(np.median(np.diff(part.times))), min(LIMIT_BLOCK_SECONDS, (now - float(part.times[0])) / 8))
    times, values = floors(part.times, part.low, block, now)
    if len(values) < LEAST_BLOCKS or values[-1] <= values[0]:
        return 0.0
    if mann_kendall(values) < min(GROWING_Z, _OF_PERFECT * _perfect(len(values))):
        return 0.0
    if float(np.diff(values).max()) > _ONE_STEP * float(values[-1] - values[0]):
        return 0.0
    return 60.0 * theil_sen(times, values)[0]
