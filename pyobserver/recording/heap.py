"""A census, and a reading of the large containers, as bytes and back.

A census (`packed`): its plain fields by name, `shift`, `salt` and `pool_size` of its counts among them; arrays: count,
count_error, bytes, bytes_error (f8), then those of the counts: first, carved, pools, block_sizes, pool, type, count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..model.census import Census, PoolCounts
from ..model.places import Containers, PlacesAnswer
from .errors import Damaged
from .packing import packed, unpacked
from .values import plain, read

_PLAIN: dict[str, Any] = {
    "taken_at": float,
    "names": tuple[str, ...],
    "pools_read": int,
    "pools_offered": int,
    "objects_read": int,
    "bytes_read": int,
    "cost_seconds": float,
    "in_use": float,
    "in_use_error": float,
}
_NUMBERS = ("count", "count_error", "bytes", "bytes_error")
_COUNTS: dict[str, type] = {
    "first": np.uint64,
    "carved": np.int64,
    "pools": np.uint64,
    "block_sizes": np.int64,
    "pool": np.int32,
    "type": np.int32,
    "count": np.int32,
}
_COUNT_NUMBERS = ("pool_size", "shift", "salt")


def packed_census(census: Census) -> bytes:
    """Return a census as bytes."""
    head = {name: plain(getattr(census, name)) for name in _PLAIN}
    head["counts"] = {name: int(getattr(census.counts, name)) for name in _COUNT_NUMBERS}
    arrays: list[Any] = [getattr(census, name).astype(np.float64) for name in _NUMBERS]
    arrays += [getattr(census.counts, name).astype(kind) for name, kind in _COUNTS.items()]
    return packed(head, arrays)


def unpacked_census(content: object) -> Census:
    """Return the census. Raises Damaged."""
    head, arrays = unpacked(content)
    if type(head) is not dict or len(arrays) != len(_NUMBERS) + len(_COUNTS):
        raise Damaged("a census that is none")
    values = {name: read(kind, head.get(name)) for name, kind in _PLAIN.items()}
    said = head.get("counts")
    if type(said) is not dict:
        raise Damaged("a census without counts")
    whole = {name: read(int, said.get(name)) for name in _COUNT_NUMBERS}
    numbers: dict[str, Any] = {name: array.astype(np.float64) for name, array in zip(_NUMBERS, arrays, strict=False)}
    columns: dict[str, Any] = {
        name: array.astype(kind) for (name, kind), array in zip(_COUNTS.items(), arrays[len(_NUMBERS) :], strict=True)
    }
    _check(len(values["names"]), numbers, columns, whole)
    return Census(**values, **numbers, counts=PoolCounts(**columns, **whole))


def _check(types: int, numbers: dict[str, Any], columns: dict[str, Any], whole: dict[str, int]) -> None:
    """Every place that one array names must be there in the others."""
    if any(len(array) != types or not np.isfinite(array).all() for array in numbers.values()) or types < 2:
        raise Damaged("a census with other numbers than types")
    if not (0 < whole["pool_size"] <= 1 << 30 and 0 <= whole["shift"] < 64 and 0 <= whole["salt"] < 1 << 62):
        raise Damaged("a census of pools that cannot be")
    pool, kind, count = columns["pool"], columns["type"], columns["count"]
    pools, first = columns["pools"], columns["first"]
    fits = (
        len(columns["block_sizes"]) == len(pools)
        and len(columns["carved"]) == len(first)
        and len(pool) == len(kind) == len(count)
        and (not len(pool) or (pool.min() >= 0 and pool.max() < len(pools) and kind.min() >= 0 and kind.max() < types))
        and bool((np.diff(pools.astype(np.float64)) >= 0).all() and (np.diff(first.astype(np.float64)) >= 0).all())
    )
    if not fits or (len(columns["carved"]) and not 0 <= columns["carved"].min() <= columns["carved"].max() < 1 << 40):
        raise Damaged("a census whose counts do not fit together")


def packed_containers(found: Containers) -> bytes:
    """Return a reading of the large containers as bytes."""
    return packed({"taken_at": found.taken_at, "answer": plain(found.answer)})


def unpacked_containers(content: object) -> Containers:
    """Return the reading. Raises Damaged."""
    head, _ = unpacked(content)
    if type(head) is not dict:
        raise Damaged("containers that are none")
    answer = read(PlacesAnswer, head.get("answer"))
    items = {(each.path, each.type): each.items for each in answer.containers}
    return Containers(read(float, head.get("taken_at")), answer, items)
