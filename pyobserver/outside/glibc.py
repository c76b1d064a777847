"""What glibc's malloc keeps in anonymous memory: heaps of secondary arenas, and blocks mapped one by one.

Both are told by their headers (malloc/arena.c and malloc/malloc.c), as malloc keeps no list of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .chunks import HeapSpan
from .mappings import PAGE, PageTable
from .remote import RemoteMemory, Torn

_HEAP_MAX = 64 << 20  # HEAP_MAX_SIZE on 64-bit: the heaps of secondary arenas start at multiples of it
_MMAP_THRESHOLD = 128 << 10  # DEFAULT_MMAP_THRESHOLD: the smallest block that malloc maps by itself
_IS_MMAPPED = 2
_SIZE_BITS = 7
# The size in the header of an mmapped chunk is that of the mapping up to glibc 2.42, and without the header in 2.43.
_HEADER = 16
_BLOCK = 512  # pages looked at together when searching for the next chunk
_HEADERS = 1 << 16  # at most that many headers are read in search of chunks, per partition
_BLOCKS = 1 << 13  # and at most that many blocks of pages are looked at (16 GiB)

Span = tuple[int, int]  # [low, high)


class GlibcMemory:
    """Finds what glibc keeps in anonymous memory, reading only pages that are present."""

    def __init__(self, memory: RemoteMemory, pages: PageTable) -> None:
        self._memory = memory
        self._pages = pages
        self._headers = _HEADERS
        self._blocks = _BLOCKS
        self.found: list[HeapSpan] = []  # the heaps of secondary arenas, as they were met

    def heaps(self, low: int, high: int) -> list[Span]:
        """The heaps of secondary arenas in [low, high): `struct heap_info` at a multiple of HEAP_MAX_SIZE."""
        found = []
        for address in range(-(-low // _HEAP_MAX) * _HEAP_MAX, high, _HEAP_MAX):
            words = self._words(address, 4)
            if words is None:
                continue
            arena, _, size, protected = words
            end = address + max(size, protected)
            if 0 < size <= _HEAP_MAX and size % PAGE == 0 and end - address <= _HEAP_MAX and self._owns(arena, address):
                found.append((address, min(end, high)))
                self.found.append(HeapSpan(address, min(address + size, high), arena))
        return found

    def ends(self) -> list[HeapSpan]:
        """The heaps of secondary arenas that were met, each with the end that it has now."""
        heaps = []
        for heap in self.found:
            words = self._words(heap.low, 3)
            if words is not None and 0 < words[2] <= _HEAP_MAX and words[2] % PAGE == 0:
                heaps.append(HeapSpan(heap.low, heap.low + words[2], words[0]))
        return heaps

    def _owns(self, arena: int, heap: int) -> bool:
        """Whether `arena` lies in this heap, right behind its header, or in another heap that says the same."""
        if arena & ~(_HEAP_MAX - 1) == heap:
            return 0x20 <= arena - heap <= 0x60
        words = self._words(arena & ~(_HEAP_MAX - 1), 1) if 0x1000 < arena < 1 << 47 else None
        return words is not None and words[0] == arena

    def chunks(self, low: int, high: int, claims: list[Span]) -> list[Span]:
        """The mmapped chunks of malloc in the parts of [low, high) that are not claimed."""
        found: list[Span] = []
        at = low
        for start, end in [*sorted(claims), (high, high)]:
            while at < start:
                size = self._chunk(at, start)
                if size:
                    found.append((at, at + size))
                    at += size
                else:
                    at = self._next_chunk(at + PAGE, start)
            at = max(at, end)
        return found

    def _chunk(self, address: int, end: int) -> int:
        """The size of the chunk that starts here, 0 when none does."""
        words = self._words(address, 2)
        if words is None:
            return 0
        length = int(_chunk_lengths(np.array([words], dtype=np.uint64))[0])
        return length if length <= end - address else 0

    def _next_chunk(self, low: int, high: int) -> int:
        """The first page of [low, high) that starts a chunk, or `high`: behind foreign memory the chain is lost."""
        for start in range(low, high, _BLOCK * PAGE):
            if self._blocks <= 0 or self._headers <= 0:
                break
            self._blocks -= 1
            end = min(high, start + _BLOCK * PAGE)
            at = np.uint64(start) + np.flatnonzero(self._pages.present(start, end)).astype(np.uint64) * np.uint64(PAGE)
            if not len(at):
                continue
            self._headers -= len(at)
            words = self._memory.read_each(at, 16).view("<u8").reshape(-1, 2)
            length = _chunk_lengths(words)
            valid = (length >= _MMAP_THRESHOLD) & (length <= np.uint64(high) - at)
            if valid.any():
                return int(at[np.argmax(valid)])
        return high

    def _words(self, address: int, count: int) -> tuple[int, ...] | None:
        """Words at the start of a page, or None when the page is not in memory: reading must not bring it there."""
        if not self._pages.present(address, address + PAGE)[0]:
            return None
        try:
            return tuple(np.frombuffer(self._memory.read(address, 8 * count), dtype="<u8").tolist())
        except Torn:
            return None


def _chunk_lengths(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """For the first two words of pages, the bytes mapped by the chunk that each starts; 0 where none does.

    An mmapped chunk has nothing before it (prev_size 0) and only the flag IS_MMAPPED set in its size.
    """
    size = words[:, 1] & ~np.uint64(_SIZE_BITS)
    size = np.where(size % np.uint64(PAGE) == PAGE - _HEADER, size + np.uint64(_HEADER), size)
    valid = (words[:, 0] == 0) & (words[:, 1] & np.uint64(_SIZE_BITS) == _IS_MMAPPED) & (size % np.uint64(PAGE) == 0)
    lengths: NDArray[np.uint64] = np.where(valid, size, np.uint64(0))
    return lengths
