"""Where the resident memory of a process belongs: every mapping is divided among its owners.

The owners are told by structure alone: pymalloc's arenas by their table, glibc's heaps and mmapped chunks by their
headers (glibc malloc/malloc.c and malloc/arena.c), stacks by the stack pointers of the threads. What nobody claims is
"native other".
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .mappings import PAGE, Mapping, PageTable
from .remote import RemoteMemory, Torn

_HEAP_MAX = 64 << 20  # HEAP_MAX_SIZE on 64-bit: the heaps of secondary arenas start at multiples of it
_MMAP_THRESHOLD = 128 << 10  # DEFAULT_MMAP_THRESHOLD: the smallest block that malloc maps by itself
_IS_MMAPPED = 2
_SIZE_BITS = 7
# The size in the header of an mmapped chunk is that of the mapping up to glibc 2.42, and without the header in 2.43.
_HEADER = 16
_LARGEST_BSS = 4 << 20
_LARGEST_STACK = 64 << 20
_SHARED = ("/dev/shm/", "/memfd:", "/SYSV", "/dev/zero")
_BLOCK = 512  # pages looked at together when searching for the next chunk
_HEADERS = 1 << 16  # at most that many headers are read in search of chunks, per partition
_BLOCKS = 1 << 13  # and at most that many blocks of pages are looked at (16 GiB)

Span = tuple[int, int]  # [low, high)


@dataclass(frozen=True)
class Partition:
    """Resident bytes by owner; the sum is the resident memory of all mappings."""

    python: int = 0  # arenas of pymalloc
    c_heap: int = 0  # glibc: brk and the heaps of secondary arenas
    large_blocks: int = 0  # glibc: blocks mapped one by one
    native_other: int = 0
    stacks: int = 0
    files: int = 0  # with relocated data and bss
    shared: int = 0

    @property
    def total(self) -> int:
        return (
            self.python + self.c_heap + self.large_blocks + self.native_other + self.stacks + self.files + self.shared
        )


def divide(
    mappings: Sequence[Mapping],
    arenas: Sequence[Span],
    stack_pointers: Sequence[int],
    memory: RemoteMemory | None,
    pages: PageTable | None,
) -> Partition:
    """Divide the resident bytes of `mappings` (from smaps).

    Without `memory` and `pages` (both forbidden) the owners that only show in memory stay in `native_other`.
    """
    result = dict.fromkeys(Partition.__dataclass_fields__, 0)
    merged = merge(arenas)
    search = _Search(memory, pages) if memory and pages else None
    for run in runs(mappings):
        named = _named_owner(run[0])
        if named and not (named == "c_heap" and merged):
            result[named] += sum(mapping.resident for mapping in run)
            continue
        claims = [(low, high, "python") for low, high in overlap(merged, run[0].low, run[-1].high)]
        if named is None and search and any(mapping.resident for mapping in run):
            claims += search.glibc_heaps(run[0].low, run[-1].high)
            claims += search.chunks(run[0].low, run[-1].high, claims)
        claims.sort()
        for mapping in run:
            if mapping.resident:
                _divide_mapping(mapping, claims, stack_pointers, _neighbour(mappings, mapping), pages, named, result)
    return Partition(**result)


def _divide_mapping(
    mapping: Mapping,
    claims: list[tuple[int, int, str]],
    stack_pointers: Sequence[int],
    below: Mapping | None,
    pages: PageTable | None,
    named: str | None,
    result: dict[str, int],
) -> None:
    """Add the resident bytes of one mapping to `result`: the claims on it first, then what is left of it."""
    left = mapping.resident
    at = mapping.low
    rest: list[tuple[int, int, str]] = []
    start = bisect.bisect_left(claims, mapping.low, key=lambda claim: claim[1])
    owned = []
    for low, high, owner in claims[start:]:
        if low >= mapping.high:
            break
        low, high = max(low, mapping.low), min(high, mapping.high)
        if low > at:
            rest.append((at, low, ""))
        owned.append((low, high, owner))
        at = max(at, high)
    if at < mapping.high:
        rest.append((at, mapping.high, ""))
    for low, high, owner in owned:
        got = min(left, _resident(mapping, low, high, pages))
        result[owner] += got
        left -= got
    rest = [(low, high, named or _rest_owner(mapping, low, high, stack_pointers, below)) for low, high, _ in rest]
    last = rest[-1][2] if rest else "native_other"
    for low, high, owner in rest[:-1]:
        got = min(left, _resident(mapping, low, high, pages))
        result[owner] += got
        left -= got
    result[last] += left


def _resident(mapping: Mapping, low: int, high: int, pages: PageTable | None) -> int:
    """The resident bytes of a part of a mapping; the pages are only asked for when it is partly resident."""
    if mapping.resident >= mapping.size:
        return high - low
    if pages is None:
        return round(mapping.resident * (high - low) / mapping.size)
    return pages.resident(low, high)


def _named_owner(mapping: Mapping) -> str | None:
    """The owner that the name of a mapping tells, or None for anonymous memory."""
    if mapping.name == "[heap]":
        return "c_heap"
    if mapping.name.startswith("[stack"):
        return "stacks"
    if mapping.name.startswith(_SHARED) or (mapping.anonymous and mapping.permissions.endswith("s")):
        return "shared"
    return None if mapping.anonymous else "files"


def _rest_owner(mapping: Mapping, low: int, high: int, stack_pointers: Sequence[int], below: Mapping | None) -> str:
    """The owner of anonymous memory that holds no arena, heap or chunk."""
    if any(low <= pointer < high for pointer in stack_pointers):
        return "stacks"
    if below is not None and below.high == mapping.low and low == mapping.low:
        if not below.anonymous and below.name.startswith("/") and mapping.writable and mapping.size < _LARGEST_BSS:
            return "files"  # the bss of a library
        if below.permissions.startswith("---") and below.size == PAGE and high - low <= _LARGEST_STACK:
            return "stacks"  # of a thread that is on a processor, or the kept stack of one that has ended
    return "native_other"


def runs(mappings: Sequence[Mapping]) -> Iterator[list[Mapping]]:
    """Neighbouring anonymous mappings of the same kind together, all others alone.

    A block of malloc may span several mappings: numpy asks for huge pages in arrays of 4 MB and more, which splits
    the first page of the block, with its header, from the rest.
    """
    run: list[Mapping] = []
    for mapping in mappings:
        joins = (
            run
            and mapping.anonymous
            and run[-1].anonymous
            and run[-1].high == mapping.low
            and run[-1].permissions == mapping.permissions
            and mapping.writable
        )
        if not joins and run:
            yield run
            run = []
        run.append(mapping)
    if run:
        yield run


def merge(spans: Sequence[Span]) -> list[Span]:
    """Sorted spans, with those that touch made one."""
    merged: list[Span] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def overlap(spans: Sequence[Span], low: int, high: int) -> list[Span]:
    """The parts of sorted, disjoint spans that lie in [low, high)."""
    start = bisect.bisect_right(spans, low, key=lambda span: span[1])
    inside = itertools.takewhile(lambda span: span[0] < high, spans[start:])
    return [(max(low, first), min(high, last)) for first, last in inside]


def _neighbour(mappings: Sequence[Mapping], mapping: Mapping) -> Mapping | None:
    """The mapping before this one, in order of address."""
    index = bisect.bisect_left(mappings, mapping.low, key=lambda other: other.low)
    return mappings[index - 1] if index else None


class _Search:
    """Finds what glibc keeps in anonymous memory, reading only pages that are present."""

    def __init__(self, memory: RemoteMemory, pages: PageTable) -> None:
        self._memory = memory
        self._pages = pages
        self._headers = _HEADERS
        self._blocks = _BLOCKS

    def glibc_heaps(self, low: int, high: int) -> list[tuple[int, int, str]]:
        """The heaps of secondary arenas in [low, high): `struct heap_info` at a multiple of HEAP_MAX_SIZE."""
        found = []
        for address in range(-(-low // _HEAP_MAX) * _HEAP_MAX, high, _HEAP_MAX):
            words = self._words(address, 4)
            if words is None:
                continue
            arena, _, size, protected = words
            end = address + max(size, protected)
            if 0 < size <= _HEAP_MAX and size % PAGE == 0 and end - address <= _HEAP_MAX and self._owns(arena, address):
                found.append((address, min(end, high), "c_heap"))
        return found

    def _owns(self, arena: int, heap: int) -> bool:
        """Whether `arena` lies in this heap, right behind its header, or in another heap that says the same."""
        if arena & ~(_HEAP_MAX - 1) == heap:
            return 0x20 <= arena - heap <= 0x60
        words = self._words(arena & ~(_HEAP_MAX - 1), 1) if 0x1000 < arena < 1 << 47 else None
        return words is not None and words[0] == arena

    def chunks(self, low: int, high: int, claims: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
        """The mmapped chunks of malloc in the parts of [low, high) that are not claimed."""
        found: list[tuple[int, int, str]] = []
        at = low
        for start, end, _ in [*sorted(claims), (high, high, "")]:
            while at < start:
                size = self._chunk(at, start)
                if size:
                    found.append((at, at + size, "large_blocks"))
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


def carry(old: Partition, python: int, files_change: int, shared_change: int, rss: int) -> Partition:
    """Bring an old partition to `rss` with what is known now: the arenas, and the kernel's counts of files and shared.

    Memory that came since is not attributed yet, so it stands in `native_other`; memory that went is taken from there
    first, then from the rest in proportion. The sum is always `rss`.
    """
    files = max(0, old.files + files_change)
    shared = max(0, old.shared + shared_change)
    python = min(python, rss)
    fixed = python + old.stacks + old.c_heap + old.large_blocks + files + shared
    if fixed <= rss:
        return replace(old, python=python, files=files, shared=shared, native_other=rss - fixed)
    share = (rss - python) / max(1, fixed - python)
    scaled = {
        name: int(value * share)
        for name, value in (
            ("c_heap", old.c_heap),
            ("large_blocks", old.large_blocks),
            ("stacks", old.stacks),
            ("files", files),
            ("shared", shared),
        )
    }
    return Partition(python=python, native_other=rss - python - sum(scaled.values()), **scaled)
