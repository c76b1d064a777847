"""A census of the small objects of a process from outside, by type: it costs the process nothing.

Pools of the small-object allocator are copied, the free blocks in the copy are found by the pool's own list, and what
is left is asked for its type. Objects above 512 bytes, the tables of dicts, the items of lists and large texts are in
the heap of C and are not seen here, nor are the pools of sub-interpreters with an allocator of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.census import UNIDENTIFIED, Census, PoolCounts, census_of
from .mappings import Mapping, PageTable
from .object_types import DEBUG_WORDS, HEADERS, ObjectTypes, is_count, is_debug, is_pointer
from .pymalloc import CLASSES, POOL_HEADER, SIZES, ArenaReader, ArenaTable, sampling_shift
from .remote import Addresses, RemoteMemory, Torn

SAMPLE_BYTES = 24 << 20  # as much is read, or up to twice as much
_BATCH_BYTES = 8 << 20  # that are copied at once
_HEADER_WORDS = POOL_HEADER.itemsize // 8


@dataclass
class _Blocks:
    """Blocks in use, each with what may be its type, by the words in front of the object; `block` tells them apart."""

    block: NDArray[np.int64]
    type: Addresses
    header: NDArray[np.int64]


class CensusTaker:
    """Takes one census after the other of the same process, from the same pools."""

    def __init__(
        self,
        memory: RemoteMemory,
        clock: Callable[[], float] = time.time,
        sample_bytes: int = SAMPLE_BYTES,
        salt: int = 0,
    ) -> None:
        """`salt` chooses which of the samples of this size is read."""
        self._memory = memory
        self._clock = clock
        self._sample_bytes = sample_bytes
        self._salt = salt
        self._shift = 0
        self._types = ObjectTypes(memory)

    def take(self, reader: ArenaReader, mappings: list[Mapping], pages: PageTable | None = None) -> Census:
        """Take a census. Raises `Torn` when the process changed its arenas meanwhile: try again.

        With `pages`, pools that are swapped out are left alone.
        """
        began = time.thread_time()
        taken_at = self._clock()
        table = reader.table()
        self._shift = sampling_shift(self._shift, table.pool_count, self._sample_bytes // table.pool_size)
        pools = table.pools(self._shift, self._salt)
        if pages is not None:
            pools = pools[pages.present_each(pools)]
        scan = _Scan(table.pool_size, len(pools))
        step = _BATCH_BYTES // table.pool_size
        for at in range(0, len(pools), step):
            scan.add(pools[at : at + step], self._memory.read_each(pools[at : at + step], table.pool_size))
        if not scan.readable.any():
            raise Torn("no pool could be read")
        types = self._types_of(scan, mappings)
        return self._census(scan, pools, types, table, taken_at, began)

    def _types_of(self, scan: _Scan, mappings: list[Mapping]) -> NDArray[np.int64]:
        """The type of each block in use, by the order of `scan.blocks`."""
        found = np.full(len(scan.blocks), UNIDENTIFIED, np.int64)
        candidates = scan.candidates()
        addresses, where = np.unique(candidates.type, return_inverse=True)
        resolved = self._types.resolve(addresses, mappings)
        places, headers = resolved.places[where], resolved.headers[where]
        good = (places >= 0) & (headers == candidates.header)
        for header in reversed(HEADERS):  # what is in an object may look like another: a tuple of one class
            chosen = good & (candidates.header == header)
            found[np.searchsorted(scan.blocks, candidates.block[chosen])] = places[chosen]
        return found

    def _census(
        self,
        scan: _Scan,
        pools: Addresses,
        types: NDArray[np.int64],
        table: ArenaTable,
        taken_at: float,
        began: float,
    ) -> Census:
        names = len(self._types.names)
        keys, counts = np.unique(scan.blocks // scan.blocks_per_pool * names + types, return_counts=True)
        pool, kind = keys // names, keys % names
        kept = np.flatnonzero(scan.readable)
        renumbered = np.cumsum(scan.readable) - 1
        return census_of(
            PoolCounts(
                pool_size=table.pool_size,
                shift=self._shift,
                first=table.first,
                carved=table.carved,
                pools=pools[kept],
                block_sizes=scan.block_sizes[kept],
                pool=renumbered[pool].astype(np.int32),
                type=kind.astype(np.int32),
                count=counts.astype(np.int32),
                salt=self._salt,
            ),
            names=tuple(self._types.names),
            taken_at=taken_at,
            bytes_read=len(pools) * table.pool_size,
            cost_seconds=time.thread_time() - began,
        )


class _Scan:
    """The blocks in use of the pools that are added to it."""

    def __init__(self, pool_size: int, pools: int) -> None:
        self.pool_size = pool_size
        self.blocks_per_pool = pool_size // int(SIZES[0])
        self.readable = np.zeros(pools, np.bool_)
        self.block_sizes = np.zeros(pools, np.int64)
        self._pools = 0
        self._blocks: list[NDArray[np.int64]] = []
        self._candidates: list[_Blocks] = []
        self._sorted: NDArray[np.int64] | None = None

    @property
    def blocks(self) -> NDArray[np.int64]:
        """The numbers of all blocks in use, ascending: that of the pool times `blocks_per_pool`, and that in it."""
        if self._sorted is None:
            self._sorted = np.sort(np.concatenate(self._blocks))
        return self._sorted

    def candidates(self) -> _Blocks:
        """What may be types, of all pools."""
        parts = self._candidates
        return _Blocks(
            np.concatenate([part.block for part in parts]),
            np.concatenate([part.type for part in parts]),
            np.concatenate([part.header for part in parts]),
        )

    def add(self, pools: Addresses, content: NDArray[np.uint8]) -> None:
        """Take in some pools, given their bytes; those in which nothing fits together are left out."""
        headers = content[:, : POOL_HEADER.itemsize].copy().view(POOL_HEADER).reshape(-1)
        words = content.view(np.uint64)
        first = self._pools
        self._pools += len(pools)
        classes = headers["size_class"].astype(np.int64)
        in_class = classes < CLASSES
        sizes = SIZES[np.where(in_class, classes, 0)]
        room = (self.pool_size - POOL_HEADER.itemsize) // sizes
        empty = headers["count"] == 0
        carved = (headers["next_offset"].astype(np.int64) - POOL_HEADER.itemsize) // sizes
        carved = np.clip(np.minimum(carved, room), 0, None)
        readable = in_class & (headers["count"] <= room) & ~empty
        free = _free_blocks(pools, words, headers["free_block"], sizes, readable)
        self.block_sizes[first : first + len(pools)] = np.where(readable, sizes, 0)
        for number in np.unique(classes[readable]).tolist():
            chosen = np.flatnonzero(readable & (classes == number))
            self._add_class(first, chosen, words, carved[chosen], free[chosen], int(SIZES[number]))
        self.readable[first : first + len(pools)] = readable | (empty & (in_class | (classes == 0xFFFF)))

    def _add_class(
        self,
        first: int,
        chosen: NDArray[np.int64],
        words: Addresses,
        carved: NDArray[np.int64],
        free: NDArray[np.bool_],
        size: int,
    ) -> None:
        """Take in pools of one size of blocks."""
        room = (self.pool_size - POOL_HEADER.itemsize) // size
        numbers = np.arange(room)
        used = (numbers < carved[:, None]) & ~free[:, :room]
        blocks = words[chosen, _HEADER_WORDS : _HEADER_WORDS + room * size // 8].reshape(len(chosen), room, size // 8)
        found = (first + chosen)[:, None] * self.blocks_per_pool + numbers
        self._blocks.append(found[used])
        is_hooked = size >= 32 and np.count_nonzero(is_debug(blocks[..., 1]) & used) * 2 > np.count_nonzero(used)
        for header in HEADERS:
            at = header + (DEBUG_WORDS if is_hooked else 0)
            if at + 2 > size // 8:
                break
            likely = used & is_count(blocks[..., at]) & is_pointer(blocks[..., at + 1])
            block = found[likely]
            self._candidates.append(_Blocks(block, blocks[..., at + 1][likely], np.full(len(block), header)))


def _free_blocks(
    pools: Addresses, words: Addresses, heads: Addresses, sizes: NDArray[np.int64], readable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which blocks of each pool are free, by the list that begins at its head.

    A list that leads astray was changed meanwhile: its pool is no longer `readable`.
    """
    size = words.shape[1] * 8
    free = np.zeros((len(pools), size // int(SIZES[0])), np.bool_)
    active = np.flatnonzero(readable & (heads != 0))
    at = heads[active]
    for _ in range(free.shape[1]):
        offset = at - pools[active]  # wraps around for what lies before the pool, so that it is too large, too
        place = offset.astype(np.int64) - POOL_HEADER.itemsize
        astray = (offset >= np.uint64(size)) | (place < 0) | (place % sizes[active] != 0)
        if astray.any():
            readable[active[astray]] = False
            active, offset, place = active[~astray], offset[~astray], place[~astray]
        if not len(active):
            break
        free[active, place // sizes[active]] = True
        at = words[active, (offset // np.uint64(8)).astype(np.int64)]
        going_on = at != 0
        active, at = active[going_on], at[going_on]
    readable[active] = False  # goes round in a circle
    return free
