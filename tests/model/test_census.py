"""Estimates from a sample of pools are as good as their errors say, for what is rare, too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pyobserver.model.census import PoolCounts, census_of

POOLS = 2000
ROUNDS = 60
WITHIN = 1.96  # standard errors: 95 of 100
Numbers = NDArray[np.int64]
Fill = Callable[[np.random.Generator, int], Numbers]

FILLS: dict[str, Fill] = {  # how many objects of a type there are in each pool that has some
    "one": lambda random, pools: np.ones(pools, np.int64),
    "as many everywhere": lambda random, pools: np.full(pools, 40),
    "few in most": lambda random, pools: random.geometric(0.2, pools),
    "anything": lambda random, pools: random.integers(1, 100, pools),
}


def sample(random: np.random.Generator, filled: list[tuple[Numbers, Numbers]], read: int) -> PoolCounts:
    """What a census meets in `read` of the pools, of types of which each is in some pools, with so many in each."""
    chosen = np.sort(random.choice(POOLS, read, replace=False))
    pool, kind, count = [], [], []
    for number, (where, objects) in enumerate(filled):
        met = np.isin(where, chosen)
        pool.append(np.searchsorted(chosen, where[met]))
        kind.append(np.full(met.sum(), number))
        count.append(objects[met])
    return PoolCounts(
        pool_size=16384,
        shift=3,
        first=np.array([0], np.uint64),
        carved=np.array([POOLS]),
        pools=chosen.astype(np.uint64) * np.uint64(16384),
        block_sizes=np.full(read, 64),
        pool=np.concatenate(pool).astype(np.int32),
        type=np.concatenate(kind).astype(np.int32),
        count=np.concatenate(count).astype(np.int32),
    )


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_many_rare_types_are_within_their_errors(fill: str, share: float) -> None:
    """Of types in one to twelve pools of two thousand, 95 of 100 of those that were met."""
    random = np.random.default_rng(7)
    within = []
    for _ in range(ROUNDS):
        sizes = np.repeat(np.arange(1, 13), 10)
        filled = [(random.choice(POOLS, size, replace=False), FILLS[fill](random, size)) for size in sizes]
        counts = sample(random, filled, round(share * POOLS))
        names = tuple(str(i) for i in range(len(filled)))
        census = census_of(counts, names=names, taken_at=0.0, bytes_read=0, cost_seconds=0.0)
        truth = np.array([objects.sum() for _, objects in filled])
        met = census.count > 0
        assert (census.count_error[met] > 0).all()
        within += (np.abs(census.count - truth) <= WITHIN * census.count_error)[met].tolist()
    assert len(within) > 500
    assert np.mean(within) >= 0.95


def test_what_is_in_many_pools_keeps_its_usual_error() -> None:
    """The widening is for what is rare: of a type in half of all pools the error is that of its spread."""
    random = np.random.default_rng(7)
    where = random.choice(POOLS, POOLS // 2, replace=False)
    counts = sample(random, [(where, np.full(len(where), 40))], 1000)
    census = census_of(counts, names=("often",), taken_at=0.0, bytes_read=0, cost_seconds=0.0)
    in_pool = np.bincount(counts.pool, counts.count, 1000)
    usual = POOLS * in_pool.std(ddof=1) / np.sqrt(1000) * np.sqrt(0.5)
    assert census.count_error[0] == pytest.approx(usual, rel=0.08)


def test_what_was_read_whole_has_no_error() -> None:
    """Nothing is estimated, and nothing widened."""
    random = np.random.default_rng(7)
    counts = sample(random, [(np.arange(3), np.ones(3, np.int64))], POOLS)
    census = census_of(counts, names=("rare",), taken_at=0.0, bytes_read=0, cost_seconds=0.0)
    assert (census.count[0], census.count_error[0], census.bytes_error[0]) == (3, 0, 0)
