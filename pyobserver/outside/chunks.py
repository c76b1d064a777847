"""How much of glibc's heaps is in use: their chunks are walked from outside, header by header.

Every chunk begins with the size of the one before (kept only when that is free) and its own size, whose lowest bit says
whether the one before is in use (malloc/malloc.c, `struct malloc_chunk`; the same on all 64-bit machines, compared with
mallinfo2 of glibc 2.36 and 2.43). So a heap is a chain from its first chunk to its end, and the bit of each chunk tells
of its neighbour. What the per-thread caches and the fastbins keep has that bit set: it counts as in use, where
mallinfo2's uordblks counts the caches, but not the fastbins, which are of some kB.

A chain that does not arrive at the end of its heap was torn by the process, or is none of glibc's: nothing is guessed,
its bytes are `unread`. A heap for which the time is too short is walked in steps, each from where the last one ended;
where chunks were joined there meanwhile, from a place before.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..model.readings import CArena, CHeap
from .mappings import PAGE, PageTable
from .remote import RemoteMemory, Torn

_WINDOW = 4 << 20  # bytes read at once
_MIN_CHUNK = 32
_PREV_INUSE, _IS_MMAPPED, _NON_MAIN = 1, 2, 4
_FLAGS = 7
_FENCE = 64  # bytes at the end of a heap where chunks of no size mark it
# Where the first chunk is behind `struct malloc_state`, by the size of that: glibc 2.27 and later, before, and without
# fastbins. In no version is there a size with PREV_INUSE at the places of another one.
_STATES = (0x8A0, 0x890, 0x850, 0x840)
_HEADS = (0x20, 0x30)  # and behind the head of a further heap, which grew by a word in glibc 2.35
_HOPS = 8  # chunks that must follow each other for the first one to be believed
_FURTHEST = 1 << 30  # bytes that a heap may have grown by while it was walked
_TRIES = 4  # of a window that the process changes meanwhile
_BUDGET = 1.0  # seconds of this thread's time for all heaps of a process, in one step
_PLACES = 64  # windows back that a step may begin, where chunks were joined since the last one
_MOST_STEPS = 100
_TORN_SHARE = 0.02  # of the free bytes whose size the next chunk does not confirm

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class HeapSpan:
    """One heap: [low, high), and the address of its arena (0 for brk, the main one)."""

    low: int
    high: int
    arena: int = 0

    @property
    def never(self) -> int:
        """The flags that no chunk of it has."""
        return _IS_MMAPPED if self.arena else _IS_MMAPPED | _NON_MAIN


class ChunkWalk:
    """Walks the heaps of one process, reading only pages that are present; each step may have another `pages`."""

    def __init__(
        self,
        memory: RemoteMemory,
        pages: PageTable,
        budget: float = _BUDGET,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.pages = pages
        self._memory = memory
        self._clock = clock
        self._budget = budget
        self._end = 0.0
        self._steps = 0
        self._cost = 0.0
        self._reached: dict[int, deque[_Sums]] = {}  # by the beginning of a heap, what was known at places in it

    def walk(self, heaps: Sequence[HeapSpan]) -> CHeap:
        """What all heaps have in use; those for which there is no time left count as unread.

        After a walk that was too late for some the next one goes on with them, else it begins anew.
        """
        began = self._clock()
        self._end = began + self._budget
        by_arena: dict[int, list[_Sums]] = {}
        for heap in heaps:
            by_arena.setdefault(heap.arena, []).append(self._heap(heap))
        main = 1 if 0 in by_arena else 0
        found = CHeap(
            arenas=tuple(
                _arena("main" if not arena else f"arena {number + 1 - main}", sums)
                for number, (arena, sums) in enumerate(sorted(by_arena.items()))
            ),
            is_late=False,
            cost_seconds=self._cost + self._clock() - began,
        )
        self._steps, self._cost = self._steps + 1, found.cost_seconds
        if found.unread and self._clock() >= self._end and self._steps < _MOST_STEPS:
            return replace(found, is_late=True)
        self._reached.clear()
        self._steps, self._cost = 0, 0.0
        return found

    def _heap(self, heap: HeapSpan) -> _Sums:
        """One heap, tried again when the process tears it; as a whole unread when that does not help."""
        resident = _Residence(self.pages, heap)
        reached = self._reached.setdefault(heap.low, deque(maxlen=_PLACES))
        for _ in range(_TRIES):
            try:
                begun = self._going_on(heap, resident, reached)
                if begun is None:
                    break
                return self._chain(begun, reached)
            except Torn:
                reached.clear()
                if self._clock() >= self._end:
                    break
        return _Sums(heap, resident, heap.low)

    def _going_on(self, heap: HeapSpan, resident: _Residence, reached: deque[_Sums]) -> _Sums | None:
        """What is known of a heap up to where a chunk begins still: as far as the last step came, or nothing yet."""
        while reached:
            known = reached[-1]
            if known.read_to < heap.high and self._begins_chain(known.read_to, heap, whatever_is_before=True):
                return known.at(heap, resident)
            reached.pop()
        at = self._first(heap)
        return None if at is None else _Sums(heap, resident, at)

    def _first(self, heap: HeapSpan) -> int | None:
        """The first chunk: at the beginning of brk, behind the heads of the heap and of its arena elsewhere."""
        if not heap.arena:
            candidates: Sequence[int] = range(heap.low, heap.low + PAGE, 16)
        elif heap.low < heap.arena < heap.high:
            candidates = [heap.arena + offset for offset in _STATES]
        else:
            candidates = [heap.low + offset for offset in _HEADS]
        return next((at for at in candidates if self._begins_chain(at, heap)), None)

    def _begins_chain(self, at: int, heap: HeapSpan, whatever_is_before: bool = False) -> bool:
        for hop in range(_HOPS):
            words = self._words(at)
            if words is None:
                return False
            flags, size = words[1] & _FLAGS, words[1] & ~_FLAGS
            if size < _MIN_CHUNK:
                return hop > 0 and heap.high - at <= _FENCE
            if (hop == 0 and not whatever_is_before and not flags & _PREV_INUSE) or size % 16 or flags & heap.never:
                return False
            at += size
            if at >= heap.high:
                return at == heap.high
        return True

    def _chain(self, sums: _Sums, reached: deque[_Sums]) -> _Sums:
        """Follow one heap from a chunk to its end, or as far as there is time. Raises `Torn`."""
        heap, at = sums.heap, sums.read_to
        while at < heap.high and self._clock() < self._end:
            base = at // PAGE * PAGE
            words = self._read(base, min(base + _WINDOW, heap.high))
            places, after = _follow(words, (at - base) // 8)
            at = base + 8 * after
            if at > heap.high + _FURTHEST:
                raise Torn("a chunk that ends where no heap is")
            if places:
                sums.add(np.uint64(base), words, np.array(places))
                reached.append(copy.copy(sums))
            elif heap.high - at <= _FENCE and after + 1 < len(words):
                sums.end(int(words[after]), int(words[after + 1]))  # another heap of the arena follows this one
                break
            else:
                raise Torn("a chunk without a size")
        else:
            if at >= heap.high:
                beyond = self._words(at) if at > heap.high else None  # the heap has grown meanwhile
                sums.end(*beyond) if beyond else sums.end(None, 0)
        if sums.unconfirmed > _TORN_SHARE * sums.free + PAGE:
            raise Torn("free chunks whose size their neighbours do not confirm")
        return sums

    def _read(self, low: int, high: int) -> Words:
        """The words of [low, high), those of pages that are not in memory as 0."""
        present = self.pages.present(low, high)
        if present.all():
            return np.frombuffer(self._memory.read(low, high - low), dtype="<u8")
        content = np.zeros((len(present), PAGE), dtype=np.uint8)
        there = np.flatnonzero(present)
        content[there] = self._memory.read_each(np.uint64(low) + there.astype(np.uint64) * np.uint64(PAGE), PAGE)
        return content.reshape(-1).view("<u8")

    def _words(self, address: int) -> tuple[int, int] | None:
        """Two words at an address whose page is in memory, or None."""
        page = address // PAGE * PAGE
        if not self.pages.present(page, page + PAGE)[0]:
            return None
        try:
            first, second = np.frombuffer(self._memory.read(address, 16), dtype="<u8").tolist()
        except Torn:
            return None
        return first, second


def _follow(words: Words, place: int) -> tuple[list[int], int]:
    """The places of the chunks that follow each other from `place` on, and the place where the next one begins."""
    view = memoryview(words)  # type: ignore[arg-type]
    places: list[int] = []
    append, end, mask = places.append, len(view), ~_FLAGS
    while place + 1 < end:
        size = view[place + 1] & mask
        if size < _MIN_CHUNK:
            break
        append(place)
        place += size >> 3
    return places, place


class _Residence:
    """How many bytes of a part of a heap are in memory."""

    def __init__(self, pages: PageTable, heap: HeapSpan) -> None:
        self._low = heap.low
        self._present = pages.present(heap.low, heap.high)
        self._before = np.concatenate([[0], np.cumsum(self._present, dtype=np.int64)])
        self.whole = int(self._before[-1]) * PAGE

    def up_to(self, addresses: Words) -> NDArray[np.int64]:
        """Resident bytes from the beginning of the heap to each address."""
        offset = addresses.astype(np.int64) - self._low
        page = np.minimum(offset // PAGE, len(self._present) - 1)
        resident: NDArray[np.int64] = self._before[page] * PAGE + self._present[page] * (offset - page * PAGE)
        return resident

    def whole_pages(self, lows: Words, highs: Words) -> int:
        """Bytes of the pages that are resident and wholly within one of the ranges.

        A range may begin behind the last page: the head of a last chunk that ends with the heap does.
        """
        pages = len(self._present)
        first = np.minimum(-(-(lows.astype(np.int64) - self._low) // PAGE), pages)
        last = np.clip((highs.astype(np.int64) - self._low) // PAGE, first, pages)
        return int((self._before[last] - self._before[first]).sum()) * PAGE


class _Sums:
    """What is known of one heap, added up as its chunks come."""

    def __init__(self, heap: HeapSpan, resident: _Residence, first: int) -> None:
        self.heap = heap
        self.resident = resident
        self.read_to = first  # what is before has been attributed: the heads are in use
        self.free = self.free_resident = self.free_chunks = self.largest_free = self.trimmable = 0
        self.unconfirmed = 0
        self._last: tuple[int, int] | None = None  # address and size of the chunk that the next one decides upon

    def at(self, heap: HeapSpan, resident: _Residence) -> _Sums:
        """The same for the heap as it is now, to go on with the chunk that it has come to."""
        again = copy.copy(self)
        again.heap, again.resident, again._last = heap, resident, None
        return again

    def add(self, base: np.uint64, words: Words, places: NDArray[np.int64]) -> None:
        """The chunks at `places` of the words from `base` on."""
        heads = words[places + 1]
        if np.any(heads & np.uint64(self.heap.never)) or np.any(heads & np.uint64(8)):
            raise Torn("a chunk with the flags of another kind")
        lows, sizes = base + np.uint64(8) * places.astype(np.uint64), heads & ~np.uint64(_FLAGS)
        last = self._last
        self._last = (int(lows[-1]), int(sizes[-1]))
        if last is not None:
            lows, sizes = np.insert(lows, 0, np.uint64(last[0])), np.insert(sizes, 0, np.uint64(last[1]))
            following, before = heads, words[places]
        else:
            following, before = heads[1:], words[places[1:]]
        self._settle(lows[: len(following)], sizes[: len(following)], following, before)
        self.read_to = self._last[0]

    def end(self, before: int | None, head: int) -> None:
        """The heap ends here, with the words behind its last chunk; with None that is the top, which is free."""
        assert self._last is not None
        size = np.array([self._last[1]], dtype=np.uint64)
        words = np.array([head, self._last[1] if before is None else before], dtype=np.uint64)
        self._settle(np.array([self._last[0]], dtype=np.uint64), size, words[:1], words[1:])
        self.read_to = self.heap.high

    def _settle(self, lows: Words, sizes: Words, following: Words, before: Words) -> None:
        free = following & np.uint64(_PREV_INUSE) == 0
        if not free.any():
            return
        lows, sizes, before = lows[free], sizes[free], before[free]
        self.unconfirmed += int(sizes[before != sizes].sum())
        highs = np.minimum(lows + sizes, np.uint64(self.heap.high))
        self.free += int((highs - lows).sum())
        self.free_chunks += len(lows)
        self.largest_free = max(self.largest_free, int((highs - lows).max()))
        self.free_resident += int((self.resident.up_to(highs) - self.resident.up_to(lows)).sum())
        self.trimmable += self.resident.whole_pages(lows + np.uint64(_MIN_CHUNK), highs)


def _arena(name: str, heaps: Sequence[_Sums]) -> CArena:
    """Several heaps of one arena together."""
    unread = sum(each.heap.high - each.read_to for each in heaps)
    size = sum(each.heap.high - each.heap.low for each in heaps)
    return CArena(
        name=name,
        heaps=len(heaps),
        size=size,
        in_use=size - unread - sum(each.free for each in heaps),
        free=sum(each.free for each in heaps),
        unread=unread,
        resident=sum(each.resident.whole for each in heaps),
        free_resident=sum(each.free_resident for each in heaps),
        free_chunks=sum(each.free_chunks for each in heaps),
        largest_free=max(each.largest_free for each in heaps),
        trimmable=sum(each.trimmable for each in heaps),
    )
