"""The small-object allocator of CPython, read from outside: no symbols, no lock, no help from the process.

`struct arena_object` and `struct pool_header` are 48 bytes with the same layout from 3.8 to 3.15 on 64-bit builds
(Objects/obmalloc.c, from 3.12 Include/internal/pycore_obmalloc.h). A pool has 4 KiB up to 3.9 and 16 KiB from 3.10
on; an arena 256 KiB, 1 MiB, or 2 MiB with huge pages. Sub-interpreters with an allocator of their own (3.12 and later)
have arenas that are not found this way.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.census import in_sample
from .mappings import PAGE, Mapping, PageTable
from .remote import Addresses, RemoteMemory, Torn

_ARENA = np.dtype(
    [
        ("address", "<u8"),
        ("pool_address", "<u8"),  # the next pool that was never used
        ("free_pools", "<u4"),  # never used ones included
        ("total_pools", "<u4"),
        ("free_list", "<u8"),
        ("next", "<u8"),
        ("previous", "<u8"),
    ]
)
POOL_HEADER = np.dtype(
    [
        ("count", "<u4"),  # blocks in use
        ("padding", "<u4"),
        ("free_block", "<u8"),
        ("next", "<u8"),
        ("previous", "<u8"),
        ("arena_index", "<u4"),
        ("size_class", "<u4"),
        ("next_offset", "<u4"),
        ("max_next_offset", "<u4"),
    ]
)
CLASSES = 32  # of 16, 32, ... 512 bytes
SIZES = np.arange(1, CLASSES + 1, dtype=np.int64) * 16
UNUSED_CLASS = 0xFFFF  # of a pool that was carved but not used yet
_POOL_SIZES = (4096, 16384)
_ARENA_POOLS = (63, 64, 127, 128)  # one less where the arena does not start at a multiple of the pool size
_MOST_ARENAS = 1 << 24
_SAMPLE = 2048  # pool headers: fewer than twice this are read, all of them when there are no more
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class SizeClass:
    """Blocks of one size: how many are in use, and how many the pools of this size have room for."""

    size: int
    blocks: int
    capacity: int


@dataclass(frozen=True)
class Heap:
    """One reading. `in_use` and the size classes are estimates when only a sample of the pools was read."""

    in_use: int  # bytes in allocated blocks
    in_use_error: int  # 95 % sampling error of `in_use` in bytes; 0 when every pool was read
    blocks: int
    size_classes: tuple[SizeClass, ...]
    arenas: tuple[tuple[int, int], ...]  # (low, high) of each arena, sorted
    touched: int  # bytes of the arenas that were ever handed out, known exactly

    @property
    def arena_bytes(self) -> int:
        return sum(high - low for low, high in self.arenas)


@dataclass(frozen=True)
class Location:
    """Where a process keeps its arenas: the addresses of `arenas` and `maxarenas`, and the size of a pool."""

    table: int
    count: int
    pool_size: int


def locate(
    memory: RemoteMemory, regions: list[Mapping], heaps: list[Mapping], pages: PageTable | None = None
) -> Location | None:
    """Find the arena table by its structure in the static data of the interpreter.

    `maxarenas` stands before `arenas` up to 3.11 and after it from 3.12 on, so every pointer with a power of two
    beside it is a candidate; it is accepted when all its arenas make sense and their pools carry the index of their
    arena. Returns None when no region holds one: pymalloc is off, or has not been used yet.

    `heaps` are the mappings that the table itself can be in. With `pages`, only resident pages of the regions are read:
    one that the interpreter never wrote to holds no table, and reading would make it resident.
    """
    lows = np.array([heap.low for heap in heaps], dtype=np.uint64)
    highs = np.array([heap.high for heap in heaps], dtype=np.uint64)
    for region in regions:
        try:
            words = _words(memory, region, pages)
        except Torn:
            continue
        for index, neighbour in _candidates(words, lows, highs):
            size = _pool_size(memory, int(words[index]), int(words[neighbour]) & 0xFFFFFFFF)
            if size:
                return Location(region.low + 8 * index, region.low + 8 * neighbour, size)
    return None


def _words(memory: RemoteMemory, region: Mapping, pages: PageTable | None) -> Addresses:
    """The words of a region, those of pages that are not resident as 0."""
    if pages is None:
        return np.frombuffer(memory.read(region.low, region.size), dtype="<u8")
    present = np.flatnonzero(pages.present(region.low, region.high))
    words = np.zeros((region.size // PAGE, PAGE), dtype=np.uint8)
    words[present] = memory.read_each(np.uint64(region.low) + present.astype(np.uint64) * np.uint64(PAGE), PAGE)
    return words.reshape(-1).view("<u8")


def _candidates(words: Addresses, lows: Addresses, highs: Addresses) -> list[tuple[int, int]]:
    """Pairs of indexes: a word that could be `arenas`, and its neighbour that could be `maxarenas`."""
    if not len(lows):
        return []
    heap = np.searchsorted(lows, words, side="right") - 1
    pointer = (heap >= 0) & (words < highs[heap]) & (words & np.uint64(7) == 0)
    low = words & np.uint64(0xFFFFFFFF)
    count = (low >= 16) & (low <= _MOST_ARENAS) & (low & (low - np.uint64(1)) == 0)
    before = np.flatnonzero(pointer[1:] & count[:-1]) + 1
    after = np.flatnonzero(pointer[:-1] & count[1:])
    return [(int(i), int(i) - 1) for i in before] + [(int(i), int(i) + 1) for i in after]


def _pool_size(memory: RemoteMemory, table: int, count: int) -> int | None:
    """The pool size of a candidate, or None when it is not the arena table."""
    try:
        arenas = np.frombuffer(memory.read(table, _ARENA.itemsize * min(count, 4096)), dtype=_ARENA)
        used = np.flatnonzero(arenas["address"])
        if not len(used) or not _plausible(arenas[used]):
            return None
        for index in used[:64]:
            for size in _POOL_SIZES:
                if _pools_carry(memory, arenas[index], int(index), size):
                    return size
    except Torn:
        return None
    return None


def _plausible(arenas: NDArray[np.void]) -> bool:
    address, pools = arenas["address"], arenas["pool_address"]
    return bool(
        np.all(address & np.uint64(0xFFF) == 0)
        and np.isin(arenas["total_pools"], _ARENA_POOLS).all()
        and np.all(arenas["free_pools"] <= arenas["total_pools"])
        and np.all(pools >= address)
        and np.all(pools <= address + arenas["total_pools"].astype(np.uint64) * np.uint64(16384) + np.uint64(16384))
    )


def _pools_carry(memory: RemoteMemory, arena: np.void, index: int, size: int) -> bool:
    """Whether the arena was carved into pools of this size, all of which name it as their own.

    Every fourth header of 4 KiB pools also looks like one of 16 KiB pools, so the smaller size is asked first.
    """
    first = -(-int(arena["address"]) // size) * size
    end = int(arena["pool_address"])
    if end <= first or (end - first) % size or (end - first) // size > int(arena["total_pools"]):
        return False
    headers = _headers(memory, np.arange(first, end, size, dtype=np.uint64))
    classes = headers["size_class"]
    return bool(
        np.all(headers["arena_index"] == index)
        and np.all((classes < CLASSES) | (classes == UNUSED_CLASS))
        and np.all(headers["max_next_offset"] <= size)
    )


def _headers(memory: RemoteMemory, addresses: Addresses) -> NDArray[np.void]:
    headers: NDArray[np.void] = memory.read_each(addresses, POOL_HEADER.itemsize).view(POOL_HEADER).reshape(-1)
    return headers


@dataclass(frozen=True)
class ArenaTable:
    """All arenas at one moment, in order of address: where the first pool of each is, and how many were handed out."""

    first: Addresses
    carved: NDArray[np.int64]
    lows: Addresses
    used: int  # pools in use, known exactly
    arena_size: int
    pool_size: int
    touched: int

    @property
    def pool_count(self) -> int:
        """How many pools were ever handed out."""
        return int(self.carved.sum())

    def pools(self, shift: int, salt: int = 0) -> Addresses:
        """The addresses of one pool in 2**shift of all that were ever handed out, always the same ones for a salt."""
        size = np.uint64(self.pool_size)
        offsets = np.arange(self.pool_count) - np.repeat(np.cumsum(self.carved) - self.carved, self.carved)
        pools = np.repeat(self.first, self.carved) + offsets.astype(np.uint64) * size
        return pools[in_sample(pools // size, shift, salt)]


def sampling_shift(shift: int, pools: int, sample: int) -> int:
    """The shift with which from `sample` to twice as many pools are read; the one before, where that will do still."""
    while pools >> shift >= 2 * sample:
        shift += 1
    while shift and pools >> shift < sample // 2:
        shift -= 1
    return shift


class ArenaReader:
    """Reads the heap at a known place. Keeps its sample of pools from one reading to the next.

    A pool is in the sample when the hash of its address is below a bound, so that two readings look at the same
    pools and their difference is growth rather than luck; the bound halves when the heap has doubled.
    """

    def __init__(self, memory: RemoteMemory, location: Location, sample: int = _SAMPLE) -> None:
        self._memory = memory
        self._location = location
        self._sample = sample
        self._shift = 0  # one pool in 2**shift is read

    def read(self, pages: PageTable | None = None) -> Heap:
        """One reading. Raises `Torn` when the process changed its table meanwhile: try again.

        With `pages`, pools that are swapped out are left out of the sample: reading would bring them back into memory.
        """
        table = self.table()
        self._shift = sampling_shift(self._shift, table.pool_count, self._sample)
        pools = table.pools(self._shift)
        headers = _headers(self._memory, pools if pages is None else pools[pages.present_each(pools)])
        heap = _estimate(headers, table.used, table.pool_size)
        return Heap(
            in_use=heap.in_use,
            in_use_error=heap.error,
            blocks=sum(each.blocks for each in heap.size_classes),
            size_classes=heap.size_classes,
            arenas=tuple((low, low + table.arena_size) for low in table.lows.tolist()),
            touched=table.touched,
        )

    def table(self) -> ArenaTable:
        """The arenas of this moment. Raises `Torn` when the process changed its table meanwhile."""
        size = self._location.pool_size
        arenas = self._arenas()
        first = (arenas["address"] + np.uint64(size - 1)) & ~np.uint64(size - 1)
        carved = ((arenas["pool_address"] - first) // np.uint64(size)).astype(np.int64)
        if not (np.all(carved >= 0) and np.all(carved <= arenas["total_pools"])):
            raise Torn("an arena with more pools than it has room for")
        return ArenaTable(
            first=first,
            carved=carved,
            lows=arenas["address"],
            used=int(arenas["total_pools"].sum()) - int(arenas["free_pools"].sum()),
            arena_size=(64 if int(arenas["total_pools"].max()) <= 64 else 128) * size,
            pool_size=size,
            touched=int((arenas["pool_address"] - arenas["address"]).sum()),
        )

    def _arenas(self) -> NDArray[np.void]:
        place = self._location
        (table,) = struct.unpack("<Q", self._memory.read(place.table, 8))
        (count,) = struct.unpack("<I", self._memory.read(place.count, 4))
        if not 16 <= count <= _MOST_ARENAS:
            raise Torn("no arena table")
        arenas: NDArray[np.void] = np.frombuffer(self._memory.read(table, _ARENA.itemsize * count), dtype=_ARENA)
        arenas = arenas[arenas["address"] != 0]
        if not len(arenas) or not _plausible(arenas):
            raise Torn("arenas that do not fit together")
        return np.sort(arenas, order="address")


@dataclass(frozen=True)
class _Estimate:
    in_use: int
    error: int
    size_classes: tuple[SizeClass, ...]


def _estimate(headers: NDArray[np.void], used: int, pool_size: int) -> _Estimate:
    """The whole heap from a sample of pool headers, given how many pools are in use."""
    capacity = (pool_size - POOL_HEADER.itemsize) // SIZES
    headers = headers[(headers["count"] > 0) & (headers["size_class"] < CLASSES)]
    headers = headers[headers["count"] <= capacity[headers["size_class"]]]  # else torn while the pool changed its class
    classes = headers["size_class"].astype(np.int64)
    seen = len(headers)
    scale = used / seen if seen else 0.0
    in_pool = headers["count"] * SIZES[classes]
    error = 0.0
    if 1 < seen < used:
        error = _NORMAL_95 * float(in_pool.std(ddof=1)) * used * math.sqrt((1 - seen / used) / seen)
    blocks = np.bincount(classes, weights=headers["count"], minlength=CLASSES) * scale
    room = np.bincount(classes, minlength=CLASSES) * capacity * scale
    return _Estimate(
        in_use=round(float(in_pool.sum()) * scale),
        error=round(error),
        size_classes=tuple(
            SizeClass(int(SIZES[i]), round(float(blocks[i])), round(float(room[i])))
            for i in range(CLASSES)
            if blocks[i]
        ),
    )
