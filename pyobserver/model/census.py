"""A census of the small objects of a process, by type: estimates from a sample of pools, with their errors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

UNIDENTIFIED, OTHER_TYPES = 0, 1  # places in the columns of every census that are no type
MARKS = 24  # earlier censuses that are kept to tell growth

Numbers = NDArray[np.float64]
_NORMAL_95 = 1.96
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing, Knuth volume 3, 6.4


def in_sample(numbers: NDArray[np.uint64], shift: int, salt: int = 0) -> NDArray[np.bool_]:
    """Return which pools, numbered by address divided by size, are in a sample of one in 2**shift.

    Those of a larger shift are among those of a smaller one. `salt` chooses among samples of one size.
    """
    if not shift:
        return np.ones(len(numbers), np.bool_)
    found: NDArray[np.bool_] = (numbers + np.uint64(salt)) * _MIX < np.uint64(1 << 64 - shift)
    return found


@dataclass(frozen=True)
class PoolCounts:
    """What a census has met in each pool that it read: what the next one compares with.

    A pool is in the sample by its address alone, so that two censuses look at the same ones. `first` and `carved` say
    which pools there were to choose from: the address of the first one of each arena, ascending, and how many follow.
    An entry says how many blocks of a type are in a pool.
    """

    pool_size: int
    shift: int  # one pool in 2**shift is in the sample
    first: NDArray[np.uint64]
    carved: NDArray[np.int64]
    pools: NDArray[np.uint64]  # ascending; those of the sample that could be read
    block_sizes: NDArray[np.int64]  # of each of them, in bytes
    pool: NDArray[np.int32]  # of each entry: a place in `pools`
    type: NDArray[np.int32]  # of each entry: a place in the columns of the census
    count: NDArray[np.int32]  # of each entry
    salt: int = 0  # which of the samples of this size it is

    def of_shift(self, shift: int) -> NDArray[np.uint64]:
        """Return the pools that are also in the sample of a larger shift."""
        return self.pools[in_sample(self.pools // np.uint64(self.pool_size), shift, self.salt)]

    def offers(self, pools: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which pools there were to choose from."""
        if not len(self.first):
            return np.zeros(len(pools), np.bool_)
        arena = np.searchsorted(self.first, pools, side="right") - 1
        place = ((pools - self.first[arena]) // np.uint64(self.pool_size)).astype(np.int64)
        found: NDArray[np.bool_] = (arena >= 0) & (place < self.carved[arena])
        return found


@dataclass(frozen=True)
class ArrayData:
    """Bytes that malloc has given to arrays of numpy for their data, with standard errors of sampling."""

    in_heap: float
    in_heap_error: float
    mapped: float  # in blocks that malloc has mapped one by one
    mapped_error: float


@dataclass(frozen=True)
class Census:
    """Live small objects by type, at one moment.

    A type has its place in all columns of this census and of every later one of the same process. The first place is
    that of blocks that are no objects or could not be told (tables of dictionaries, items of lists, structures of C),
    the second that of all types for which there was no place. Sizes are those of blocks, so that all of them together
    are what the small-object allocator has in use. The errors are standard errors of sampling; 0 when every pool was
    read.
    """

    taken_at: float  # Unix time
    names: tuple[str, ...]
    count: Numbers
    count_error: Numbers
    bytes: Numbers
    bytes_error: Numbers
    counts: PoolCounts
    pools_read: int
    pools_offered: int  # that were ever handed out
    objects_read: int
    bytes_read: int
    cost_seconds: float  # of a processor, here; the process paid nothing
    in_use: float
    in_use_error: float
    arrays: ArrayData | None = None  # what numpy's arrays have elsewhere; None where there are none, or it is not told

    @property
    def sampled_share(self) -> float:
        """Which part of the pools was read."""
        return min(1.0, self.pools_read / self.pools_offered) if self.pools_offered else 0.0


def census_of(
    counts: PoolCounts,
    *,
    names: tuple[str, ...],
    taken_at: float,
    bytes_read: int,
    cost_seconds: float,
    arrays: ArrayData | None = None,
) -> Census:
    """Return the estimates for the whole heap from what was met in the pools that were read.

    They are scaled by the pools that were ever handed out, in use or not: how many are in use changes by the time that
    they are read, and a busy heap would be told with a bias.
    """
    types = len(names)
    number: Numbers = counts.count.astype(np.float64)
    size: Numbers = number * counts.block_sizes[counts.pool]
    in_pool = np.bincount(counts.pool, size, len(counts.pools)).astype(np.float64)
    seen, offered = len(counts.pools), int(counts.carved.sum())
    count, count_error = _estimate(counts.type, number, types, seen, offered)
    total, total_error = _estimate(counts.type, size, types, seen, offered)
    in_use, in_use_error = _estimate(np.zeros(seen, np.int32), in_pool, 1, seen, offered)
    return Census(
        taken_at=taken_at,
        names=names,
        count=count,
        count_error=count_error,
        bytes=total,
        bytes_error=total_error,
        counts=counts,
        pools_read=seen,
        pools_offered=offered,
        objects_read=int(number[counts.type != UNIDENTIFIED].sum()),
        bytes_read=bytes_read,
        cost_seconds=cost_seconds,
        in_use=float(in_use[0]),
        in_use_error=float(in_use_error[0]),
        arrays=arrays,
    )


def arrays_of(
    counts: PoolCounts, pool: NDArray[np.int64], size: NDArray[np.int64], is_mapped: NDArray[np.bool_]
) -> ArrayData:
    """Return the estimate for all arrays from those that were met, by the places of their pools."""
    seen, offered = len(counts.pools), int(counts.carved.sum())
    found = []
    for where in (~is_mapped, is_mapped):
        in_pool: Numbers = np.bincount(pool[where], size[where], seen).astype(np.float64)
        met = np.flatnonzero(in_pool)
        total, error = _estimate(np.zeros(len(met), np.int32), in_pool[met], 1, seen, offered)
        found += [float(total[0]), float(error[0])]
    return ArrayData(*found)


def _estimate(
    kinds: NDArray[np.int32], values: Numbers, length: int, read: int, offered: int
) -> tuple[Numbers, Numbers]:
    """Sums by kind over all pools, and their standard errors, from values of `read` of them, one a kind and pool.

    What is in few pools may be in some more, or some less, than the sample makes believe, and these may be as full as
    the fullest that was met: two more of that kind are part of the error. The spread of a small number of pools is not
    that of a normal distribution: it is widened to the upper bound of 95 % for as many events of Poisson's (Wilson and
    Hilferty, The distribution of chi-square, 1931), where unequal pools count as the number of equal ones with the same
    spread (Kish, Survey Sampling, 1965, 8.2).
    """
    sums = np.bincount(kinds, values, length).astype(np.float64)
    if read < 2 or read >= offered:
        return sums, np.zeros(length)
    squares = np.bincount(kinds, values * values, length)
    spread = np.maximum(squares - sums * sums / read, 0.0) / (read - 1)
    fullest = np.zeros(length)
    np.maximum.at(fullest, kinds, values)
    events = np.maximum(1.0, sums * sums / np.maximum(squares, 1e-300))
    errors: Numbers = offered * np.sqrt(spread / read + 2 * (fullest / read) ** 2) * math.sqrt(1 - read / offered)
    return sums * (offered / read), errors * (_most_events(events) - events) / (_NORMAL_95 * np.sqrt(events))


def _most_events(events: Numbers) -> Numbers:
    """The number of events that is exceeded by 2.5 of 100 where so many are expected at most."""
    next_one = events + 1
    most: Numbers = next_one * (1 - 1 / (9 * next_one) + _NORMAL_95 / (3 * np.sqrt(next_one))) ** 3
    return most


@dataclass(frozen=True)
class HeapRecord:
    """What is known about the objects: the newest census, earlier ones, oldest first, and why there is none.

    `earlier` gets sparser the older it is.
    """

    newest: Census | None = None
    earlier: tuple[Census, ...] = ()
    baseline: Census | None = None
    problem: str = ""

    def with_census(self, census: Census) -> HeapRecord:
        """Return the record with a newer census."""
        kept = self.earlier if self.newest is None else (*self.earlier, self.newest)
        return HeapRecord(census, thinned(kept, census.taken_at), self.baseline)

    def marked(self) -> HeapRecord:
        """Return the record with the newest census as the baseline."""
        return replace(self, baseline=self.newest)

    def begin(self, since: float) -> Census | None:
        """Return the first earlier census since then: what growth since then is told from."""
        return next((census for census in self.earlier if census.taken_at >= since), None)


NO_CENSUS = HeapRecord()


def thinned(censuses: Iterable[Census], now: float, most: int = MARKS) -> tuple[Census, ...]:
    """Return at most so many of the censuses, oldest first: close together of late, and ever farther apart before."""
    kept = list(censuses)
    while len(kept) > most:
        ages = [now - census.taken_at for census in kept]
        ratios = [ages[i - 1] / max(ages[i + 1], 1.0) for i in range(1, len(kept) - 1)]
        del kept[1 + int(np.argmin(ratios))]
    return tuple(kept)
