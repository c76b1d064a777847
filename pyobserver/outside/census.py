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

from ..model.census import UNIDENTIFIED, Census, PoolCounts, arrays_of, census_of
from .arrays import TYPE, WORDS, ArrayBlocks, array_blocks
from .mappings import Mapping, PageTable
from .object_types import DEBUG_WORDS, HEADERS, ObjectTypes, is_count, is_debug, is_pointer
from .pymalloc import CLASSES, POOL_HEADER, SIZES, UNUSED_CLASS, ArenaReader, ArenaTable, sampling_shift
from .remote import Addresses, RemoteMemory, Torn

SAMPLE_BYTES = 64 << 20  # as much is read, or up to twice as much
_BATCH_BYTES = 8 << 20  # that are copied at once
_HEADER_WORDS = POOL_HEADER.itemsize // 8


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

    def take(
        self, reader: ArenaReader, mappings: list[Mapping], pages: PageTable | None = None, glibc: bool = True
    ) -> Census:
        """Take a census. Raises `Torn` when the process changed its arenas meanwhile: try again.

        With `pages`, pools that are swapped out are left alone. What numpy's arrays have is told where malloc is that
        of `glibc`.
        """
        began = time.thread_time()
        taken_at = self._clock()
        table = reader.table()
        self._shift = sampling_shift(self._shift, table.pool_count, self._sample_bytes // table.pool_size)
        pools = table.pools(self._shift, self._salt)
        if pages is not None:
            pools = pools[pages.present_each(pools)]
        found: list[_Counted] = []
        arrays: list[tuple[int, ArrayBlocks]] = []
        step = _BATCH_BYTES // table.pool_size
        for at in range(0, len(pools), step):
            part = pools[at : at + step]
            batch = _Batch(part, self._memory.read_each(part, table.pool_size))
            found.append(_counted(batch, self._types, mappings))
            if glibc and TYPE in self._types.names:
                arrays.append((sum(len(each.pools) for each in found[:-1]), self._arrays(batch, found[-1], pages)))
        counts = _joined(found, table, self._shift, self._salt)
        if not len(counts.pools):
            raise Torn("no pool could be read")
        return census_of(
            counts,
            names=tuple(self._types.names),
            taken_at=taken_at,
            bytes_read=len(pools) * table.pool_size,
            cost_seconds=time.thread_time() - began,
            arrays=arrays_of(
                counts,
                np.concatenate([blocks.pool + first for first, blocks in arrays]),
                np.concatenate([blocks.bytes for _, blocks in arrays]),
                np.concatenate([blocks.is_mapped for _, blocks in arrays]),
            )
            if arrays
            else None,
        )

    def _arrays(self, batch: _Batch, counted: _Counted, pages: PageTable | None) -> ArrayBlocks:
        """The blocks that numpy's arrays in a batch have, by the places of the pools that could be read."""
        blocks = counted.blocks[counted.kinds == self._types.names.index(TYPE)]
        pool = blocks // batch.blocks_per_pool
        blocks, pool = blocks[batch.readable[pool]], pool[batch.readable[pool]]
        is_large = batch.block_sizes[pool] >= 8 * WORDS
        blocks, pool = blocks[is_large], pool[is_large]
        return array_blocks(self._memory, counted.renumbered[pool], batch.objects(blocks), pages)


@dataclass(frozen=True)
class _Counted:
    """The pools of a batch that could be read, the sizes of their blocks, and how many blocks there are by type."""

    pools: Addresses
    block_sizes: NDArray[np.int64]
    pool: NDArray[np.int64]  # of each entry: a place in `pools`
    type: NDArray[np.int64]
    count: NDArray[np.int64]
    blocks: NDArray[np.int64]  # the numbers of all blocks in use
    kinds: NDArray[np.int64]  # and their types
    renumbered: NDArray[np.int64]  # for each pool of the batch its place in `pools`


def _counted(batch: _Batch, types: ObjectTypes, mappings: list[Mapping]) -> _Counted:
    """Tell the types of the blocks in use."""
    blocks = batch.blocks()
    kinds = np.full(len(blocks), UNIDENTIFIED, np.int64)
    by_header = batch.candidates()
    addresses = np.unique(np.concatenate([type_ for _, type_ in by_header.values()]))
    resolved = types.resolve(addresses, mappings)
    for header in reversed(HEADERS):  # what is in an object may look like another: a tuple of one class
        block, type_ = by_header[header]
        where = np.searchsorted(addresses, type_)
        good = (resolved.places[where] >= 0) & (resolved.headers[where] == header)
        kinds[np.searchsorted(blocks, block[good])] = resolved.places[where[good]]
    names = len(types.names)
    keys, counts = np.unique(blocks // batch.blocks_per_pool * names + kinds, return_counts=True)
    kept = batch.readable
    renumbered = np.cumsum(kept) - 1
    pool = renumbered[keys // names]
    return _Counted(batch.pools[kept], batch.block_sizes[kept], pool, keys % names, counts, blocks, kinds, renumbered)


def _joined(parts: list[_Counted], table: ArenaTable, shift: int, salt: int) -> PoolCounts:
    """All batches as one."""
    before = np.cumsum([0, *(len(part.pools) for part in parts)])
    none: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    pools = np.concatenate([np.empty(0, np.uint64), *(part.pools for part in parts)])
    pool = np.concatenate(none + [part.pool + first for part, first in zip(parts, before[:-1], strict=True)])
    return PoolCounts(
        pool_size=table.pool_size,
        shift=shift,
        first=table.first,
        carved=table.carved,
        pools=pools,
        block_sizes=np.concatenate(none + [part.block_sizes for part in parts]),
        pool=pool.astype(np.int32),
        type=np.concatenate(none + [part.type for part in parts]).astype(np.int32),
        count=np.concatenate(none + [part.count for part in parts]).astype(np.int32),
        salt=salt,
    )


class _Batch:
    """Some pools in a copy. Those in which nothing fits together, as they changed meanwhile, are not `readable`."""

    def __init__(self, pools: Addresses, content: NDArray[np.uint8]) -> None:
        self.pools = pools
        self._size = content.shape[1]
        self.blocks_per_pool = self._size // int(SIZES[0])
        self._words = content.view(np.uint64)
        headers = content[:, : POOL_HEADER.itemsize].copy().view(POOL_HEADER).reshape(-1)
        classes = headers["size_class"].astype(np.int64)
        is_class = classes < CLASSES
        sizes = SIZES[np.where(is_class, classes, 0)]
        room = (self._size - POOL_HEADER.itemsize) // sizes
        is_empty = headers["count"] == 0
        in_use = is_class & (headers["count"] <= room) & ~is_empty
        free = _free_blocks(pools, self._words, headers["free_block"], sizes, in_use)
        carved = (headers["next_offset"].astype(np.int64) - POOL_HEADER.itemsize) // sizes
        carved = np.clip(np.minimum(carved, room), 0, None)
        self.readable = in_use | (is_empty & (is_class | (classes == UNUSED_CLASS)))
        self.block_sizes = np.where(in_use, sizes, 0)
        self._blocks: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        self._candidates: dict[int, list[tuple[NDArray[np.int64], Addresses]]] = {header: [] for header in HEADERS}
        for number in np.unique(classes[in_use]).tolist():
            chosen = np.flatnonzero(in_use & (classes == number))
            self._look_at(chosen, carved[chosen], free[chosen], int(SIZES[number]))

    def blocks(self) -> NDArray[np.int64]:
        """The numbers of all blocks in use, ascending: that of the pool times `blocks_per_pool`, and that in it."""
        return np.sort(np.concatenate(self._blocks))

    def objects(self, blocks: NDArray[np.int64]) -> Addresses:
        """The first words of what is in some blocks, a row for each."""
        pool = blocks // self.blocks_per_pool
        first = _HEADER_WORDS + blocks % self.blocks_per_pool * self.block_sizes[pool] // 8
        found: Addresses = self._words[pool[:, None], first[:, None] + np.arange(WORDS)]
        return found

    def candidates(self) -> dict[int, tuple[NDArray[np.int64], Addresses]]:
        """By the words in front of an object: the blocks where one can be, and what would be its type."""
        found = {}
        for header, parts in self._candidates.items():
            block = np.concatenate([np.empty(0, np.int64), *(block for block, _ in parts)])
            found[header] = (block, np.concatenate([np.empty(0, np.uint64), *(type_ for _, type_ in parts)]))
        return found

    def _look_at(
        self, chosen: NDArray[np.int64], carved: NDArray[np.int64], free: NDArray[np.bool_], size: int
    ) -> None:
        """Look at the blocks of pools of one size of blocks."""
        room = (self._size - POOL_HEADER.itemsize) // size
        numbers = np.arange(room)
        used = (numbers < carved[:, None]) & ~free[:, :room]
        words = self._words[chosen, _HEADER_WORDS : _HEADER_WORDS + room * size // 8]
        words = words.reshape(len(chosen), room, size // 8)
        found = chosen[:, None] * self.blocks_per_pool + numbers
        self._blocks.append(found[used])
        is_hooked = size >= 32 and np.count_nonzero(is_debug(words[..., 1]) & used) * 2 > np.count_nonzero(used)
        for header in HEADERS:
            at = header + (DEBUG_WORDS if is_hooked else 0)
            if at + 2 > size // 8:
                break
            likely = used & is_count(words[..., at]) & is_pointer(words[..., at + 1])
            self._candidates[header].append((found[likely], words[..., at + 1][likely]))


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
