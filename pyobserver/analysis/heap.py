"""Live objects by type: the rows of the table, and which of them grow beyond the error of the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.census import OTHER_TYPES, UNIDENTIFIED, Census, Numbers, PoolCounts
from ..model.snapshot import Snapshot
from .growth import NOTICED_BYTES, NOTICED_COUNT, SHORTEST_WINDOW, is_growing

SIGNIFICANT = 3.0  # standard errors beyond which a change is no accident of the sample
NORMAL_95 = 1.96  # standard errors on both sides within which 95 of 100 estimates are
LEAST_IN_STRATUM = 5  # pools from which a part of the heap is told by itself
LATER_SHARE = 0.2  # of the change that must fall into the second half of the window: else it has come to its end


@dataclass(frozen=True)
class Change:
    """By how much the columns of a census have changed since another one, with standard errors."""

    seconds: float
    count: Numbers
    count_error: Numbers
    bytes: Numbers
    bytes_error: Numbers


@dataclass(frozen=True)
class TypeRow:
    """One type. Errors are standard errors; growth is per minute, None before there are two censuses.

    `growth_is_certain` says whether a change is beyond the error of the sample; `growing` whether it is also worth a
    mark, and goes on: few objects more each minute are worth one, too, as much may hang on each.
    """

    name: str
    is_type: bool  # else it stands for blocks that are no objects, or for all types for which there was no place
    count: float
    count_error: float
    bytes: float
    bytes_error: float
    share: float | None  # of what the small-object allocator has in use
    count_growth: float | None
    count_growth_error: float | None
    bytes_growth: float | None
    bytes_growth_error: float | None
    marked_count: float | None  # change since the baseline
    marked_bytes: float | None
    marked_is_certain: bool
    growing: bool

    @property
    def growth_is_certain(self) -> bool:
        """Whether the growth in bytes is more than the sample can make up."""
        return _beyond(self.bytes_growth, self.bytes_growth_error)

    @property
    def count_growth_is_certain(self) -> bool:
        """Whether the growth in number is more than the sample can make up."""
        return _beyond(self.count_growth, self.count_growth_error)


def _beyond(value: float | None, error: float | None) -> bool:
    return value is not None and error is not None and value != 0 and abs(value) > SIGNIFICANT * error


def change(now: Census, before: Census) -> Change:
    """Return what has changed between two censuses of the same process, told from the pools that both looked at.

    Pools that were handed out meanwhile, and those that were given back, are parts of the heap of their own: how many
    they are is known exactly, so that a heap that grows by new pools is told with little error.
    """
    a, b = before.counts, now.counts
    shift = max(a.shift, b.shift)
    pools, in_a, in_b = _common(a, b, shift)
    types = len(now.names)
    entries = [_entries(each, pools, types, sign) for each, sign in ((b, 1), (a, -1))]
    keys, where = np.unique(np.concatenate([key for key, _, _ in entries]), return_inverse=True)
    counts = np.bincount(where, np.concatenate([count for _, count, _ in entries]), len(keys))
    sizes = np.bincount(where, np.concatenate([size for _, _, size in entries]), len(keys))
    stratum = np.where(in_a & in_b, 0, np.where(in_b, 1, 2))
    populations = _populations(a, b)
    found = np.bincount(stratum, minlength=3)
    if any(there and met < min(LEAST_IN_STRATUM, there) for there, met in zip(populations, found, strict=True)):
        stratum, populations, found = np.zeros_like(stratum), [sum(populations), 0, 0], np.array([len(pools), 0, 0])
    of_entry, kind = stratum[keys // types], keys % types
    totals = []
    for values, in_pools in ((counts, entries[0][1]), (sizes, entries[0][2])):
        total, variance = (
            np.zeros(types),
            _of_few_pools(entries[0][0] % types, in_pools, types, len(pools), populations),
        )
        for number, population in enumerate(populations):
            chosen = of_entry == number
            one, spread = _stratum(kind[chosen], values[chosen], types, int(found[number]), population)
            total, variance = total + one, variance + spread
        totals += [total, np.sqrt(variance)]
    return Change(now.taken_at - before.taken_at, *totals)


def _of_few_pools(
    kinds: NDArray[np.int64], values: Numbers, types: int, met: int, populations: Sequence[int]
) -> Numbers:
    """The variance by type of having missed two pools that are like those where the type was met."""
    population = sum(populations)
    if not met or met >= population:
        return np.zeros(types)
    one = np.bincount(kinds, values, types) / np.maximum(np.bincount(kinds, minlength=types), 1)
    found: Numbers = 2 * (one * population / met) ** 2 * (1 - met / population)
    return found


def _stratum(
    kinds: NDArray[np.int64], values: Numbers, types: int, met: int, population: int
) -> tuple[Numbers, Numbers]:
    """The change in one part of the heap by type, and its variance, from `met` of `population` pools."""
    if not met or not population:
        return np.zeros(types), np.zeros(types)
    sums = np.bincount(kinds, values, types)
    squares = np.bincount(kinds, values * values, types)
    if met >= population or met < 2:
        return sums * population / met, np.zeros(types)
    spread = np.maximum(squares - sums * sums / met, 0.0) / (met - 1)
    return sums * population / met, population**2 * spread / met * (1 - met / population)


def _common(
    a: PoolCounts, b: PoolCounts, shift: int
) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.bool_]]:
    """The pools that can be compared, ascending, and whether each could be chosen from in `a`, and in `b`.

    One that could be chosen in both must have been read in both.
    """
    pools = np.union1d(a.of_shift(shift), b.of_shift(shift))
    in_a, in_b = a.offers(pools), b.offers(pools)
    complete = (~in_a | np.isin(pools, a.pools)) & (~in_b | np.isin(pools, b.pools))
    return pools[complete], in_a[complete], in_b[complete]


def _entries(
    counts: PoolCounts, pools: NDArray[np.uint64], types: int, sign: int
) -> tuple[NDArray[np.int64], Numbers, Numbers]:
    """The entries of those pools, as keys of pool and type, with the blocks and the bytes of each, with a sign."""
    place = np.searchsorted(pools, counts.pools)
    there = place < len(pools)
    there[there] = pools[place[there]] == counts.pools[there]
    chosen = there[counts.pool]
    pool, count = counts.pool[chosen], counts.count[chosen].astype(np.float64) * sign
    keys = place[pool].astype(np.int64) * types + counts.type[chosen]
    return keys, count, count * counts.block_sizes[pool]


def _populations(a: PoolCounts, b: PoolCounts) -> list[int]:
    """How many pools could be chosen from in both, in `b` only, in `a` only."""
    _, at_a, at_b = np.intersect1d(a.first, b.first, assume_unique=True, return_indices=True)
    both = int(np.minimum(a.carved[at_a], b.carved[at_b]).sum())
    return [both, int(b.carved.sum()) - both, int(a.carved.sum()) - both]


# -- rows ------------------------------------------------------------------------------------------------------------


def type_rows(snapshot: Snapshot, window: float) -> list[TypeRow]:
    """Return a row for each type of the newest census that has been met. `window` is in seconds back from it."""
    record = snapshot.heap
    now = record.newest
    if now is None:
        return []
    since = max(now.taken_at - window, snapshot.growing_since(window))
    grown = _grown(now, record.begin(since), record.begin((since + now.taken_at) / 2))
    marked = change(now, record.baseline) if record.baseline is not None and record.baseline is not now else None
    before = record.baseline.count if record.baseline is not None else np.empty(0)
    rows = []
    for i, name in enumerate(now.names):
        was_there = i < len(before) and before[i] > 0
        if now.count[i] > 0 or (was_there and marked is not None):
            rows.append(_row(now, i, name, grown, marked, record.baseline is now))
    return rows


@dataclass(frozen=True)
class _Grown:
    minutes: float
    whole: Change
    later: Change | None  # in the second part of the time


def _grown(now: Census, first: Census | None, middle: Census | None) -> _Grown | None:
    if first is None or now.taken_at - first.taken_at < SHORTEST_WINDOW:
        return None
    later = change(now, middle) if middle is not None and middle is not first else None
    return _Grown((now.taken_at - first.taken_at) / 60, change(now, first), later)


def _row(now: Census, i: int, name: str, grown: _Grown | None, marked: Change | None, is_baseline: bool) -> TypeRow:
    size = float(now.bytes[i])
    is_type = i not in (UNIDENTIFIED, OTHER_TYPES)
    numbers: list[float | None] = [None] * 4
    growing = False
    if grown is not None:
        columns = (grown.whole.count, grown.whole.count_error, grown.whole.bytes, grown.whole.bytes_error)
        numbers = [float(column[i]) / grown.minutes for column in columns]
        goes_on = grown.later is None or float(grown.later.bytes[i]) >= LATER_SHARE * float(grown.whole.bytes[i])
        in_bytes = _beyond(numbers[2], numbers[3]) and is_growing(size, numbers[2], NOTICED_BYTES)
        in_count = _beyond(numbers[0], numbers[1]) and is_growing(float(now.count[i]), numbers[0], NOTICED_COUNT)
        growing = is_type and goes_on and (in_bytes or in_count)
    marked_count = float(marked.count[i]) if marked is not None else 0.0 if is_baseline else None
    marked_bytes = float(marked.bytes[i]) if marked is not None else 0.0 if is_baseline else None
    return TypeRow(
        name=name,
        is_type=is_type,
        count=float(now.count[i]),
        count_error=float(now.count_error[i]),
        bytes=size,
        bytes_error=float(now.bytes_error[i]),
        share=size / now.in_use if now.in_use else None,
        count_growth=numbers[0],
        count_growth_error=numbers[1],
        bytes_growth=numbers[2],
        bytes_growth_error=numbers[3],
        marked_count=marked_count,
        marked_bytes=marked_bytes,
        marked_is_certain=marked is not None and _beyond(marked_bytes, float(marked.bytes_error[i])),
        growing=growing,
    )


_KEYS = {
    "count": lambda row: row.count,
    "bytes": lambda row: row.bytes,
    "share": lambda row: row.bytes,
    "count_growth": lambda row: row.count_growth,
    "bytes_growth": lambda row: row.bytes_growth,
    "marked_count": lambda row: row.marked_count,
    "marked_bytes": lambda row: row.marked_bytes,
}


def sort_types(rows: Sequence[TypeRow], column: str, descending: bool, text: str = "") -> list[TypeRow]:
    """Return the rows that have `text` in their name, in any case, in the order of a column; by name for any other.

    Equal ones are in the order of their names; what is not known comes last either way.
    """
    text = text.strip().casefold()
    found = sorted((row for row in rows if text in row.name.casefold()), key=lambda row: row.name)
    key = _KEYS.get(column)
    if key is None:
        return found[::-1] if descending else found
    known = [row for row in found if key(row) is not None]
    known.sort(key=lambda row: key(row) or 0.0, reverse=descending)
    return known + [row for row in found if key(row) is None]
