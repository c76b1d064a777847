"""Whose the memory is that is neither Python's nor malloc's: told by what stands in it, and by who points to it.

mimalloc 3 begins each of its arenas with where that is, its size, and how it was got (`mi_arena_t`, include/mimalloc/
types.h); mimalloc 2 asks the kernel for addresses that it gives nobody else (`_mi_os_get_aligned_hint`, src/os.c). A
library that maps memory for itself keeps where that is in its static variables. What nothing is found for stays
without a name: then it is only known that a program or a library has mapped it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .layout import library_data
from .mappings import PAGE, Mapping, PageTable
from .remote import RemoteMemory

_MIMALLOC_HINTS = range(2 << 40, 30 << 40)  # MI_HINT_BASE to MI_HINT_MAX
_MIMALLOC_SEGMENT = 32 << 20  # of mimalloc 2: what it maps there begins at a multiple, and is as large at least
_MIMALLOC_SLICE = 64 << 10  # of mimalloc 3: its arenas are so many slices
_MIMALLOC_ALIGNED = 1 << 20  # and begin at multiples of 4 MB, or as the kernel aligns what may have huge pages
_MIMALLOC_MAPPED = (4, 5, 6)  # MI_MEM_OS and its kin: how an arena was got
_MOST_ARENAS = 1 << 14  # places that are looked at for one, in a part (16 GiB)
_MOST = 512  # parts that are looked at, the largest first
_LEAST = 16 << 10  # resident bytes of a part for which pointers are searched
# Their static variables point to memory of others: to the stacks, the heaps and the objects of everybody.
_OF_EVERYBODY = ("libc.so", "libc-", "ld-linux", "libpython", "python", "libpthread", "libstdc++")


@dataclass(frozen=True)
class Part:
    """Anonymous memory that nobody has claimed: [low, high), its mapping, and its resident bytes."""

    low: int
    high: int
    mapping: Mapping
    resident: int

    @property
    def size(self) -> int:
        return self.high - self.low


@dataclass(frozen=True)
class Region:
    """What is known of one part; `kind` is "" where nothing is."""

    kind: str = ""  # "mimalloc", "code", "named", "library"
    owner: str = ""  # the library that points to it, or the name that the program gave it

    def label(self, part: Part) -> str:
        """What it is called in a list."""
        if self.kind == "mimalloc":
            return f"mimalloc of {self.owner}" if self.owner else "mimalloc"
        if self.kind == "code":
            return "machine code that was made at run time"
        if self.kind == "named":
            return self.owner
        if self.kind == "library":
            return f"memory that {self.owner} points to"
        return f"anonymous memory at {part.low:x}"


UNKNOWN = Region()


class Regions:
    """Names parts of one process, and remembers what it has found of those that are still there."""

    def __init__(self, memory: RemoteMemory) -> None:
        self._memory = memory
        self._known: dict[tuple[int, int], Region] = {}
        self.cost_seconds = 0.0  # of the last time, on a processor

    def tell(
        self, parts: Sequence[Part], mappings: Sequence[Mapping], pages: PageTable, foreign: bool = False
    ) -> list[tuple[Part, Region]]:
        """The parts, cut where mimalloc's arenas begin and end, each with what is known of it.

        Where another malloc stands in for glibc's (`foreign`) its memory is full of what everybody points to, so that
        pointers tell nothing. Raises `Forbidden` where memory may not be read.
        """
        began = time.thread_time()
        ordered = sorted(parts, key=lambda part: -part.resident)
        looked_at = [piece for part in ordered[:_MOST] for piece in self._pieces(part, pages)]
        found = [region or self._known.get((part.low, part.high), UNKNOWN) for part, region in looked_at]
        searched = [i for i, (part, _) in enumerate(looked_at) if part.resident >= _LEAST and not found[i].owner]
        searched = [i for i in searched if found[i].kind in ("", "mimalloc")]
        if searched and not foreign:
            owners = self._owners([looked_at[i][0] for i in searched], mappings, pages)
            for i, owner in zip(searched, owners, strict=True):
                if owner:
                    found[i] = Region(found[i].kind or "library", owner)
        told = [(part, region) for (part, _), region in zip(looked_at, found, strict=True)]
        self._known = {(part.low, part.high): region for part, region in told if region.owner}
        self.cost_seconds = time.thread_time() - began
        return told + [(part, UNKNOWN) for part in ordered[_MOST:]]

    def _pieces(self, part: Part, pages: PageTable) -> Iterator[tuple[Part, Region | None]]:
        """A part, cut where arenas of mimalloc are; with what it is by itself, None where only pointers may tell."""
        if part.mapping.name:
            yield part, Region("named", part.mapping.name)
        elif "x" in part.mapping.permissions:
            yield part, Region("code")
        elif part.low in _MIMALLOC_HINTS and part.low % _MIMALLOC_SEGMENT == 0 and part.size >= _MIMALLOC_SEGMENT:
            yield part, self._known.get((part.low, part.high)) or Region("mimalloc")
        else:
            yield from self._cut(part, self._arenas(part, pages), pages)

    def _cut(
        self, part: Part, arenas: Sequence[tuple[int, int]], pages: PageTable
    ) -> Iterator[tuple[Part, Region | None]]:
        """A part in pieces: arenas, and what is between them. What is not counted page by page is behind the last."""
        at, left = part.low, part.resident
        for low, high in arenas:
            for first, last, region in ((at, low, None), (low, high, Region("mimalloc"))):
                if last > first:
                    is_whole = last - first == part.size
                    resident = left if is_whole else min(left, pages.resident(first, last))
                    left -= resident
                    region = region and (self._known.get((first, last)) or region)
                    yield Part(first, last, part.mapping, resident), region
            at = high
        if at < part.high:
            yield Part(at, part.high, part.mapping, left), None

    def _arenas(self, part: Part, pages: PageTable) -> list[tuple[int, int]]:
        """The arenas of mimalloc 3 in a part: each begins with its base, its size, and the kind of its memory."""
        first = -(-part.low // _MIMALLOC_ALIGNED) * _MIMALLOC_ALIGNED
        last = min(part.high, first + _MOST_ARENAS * _MIMALLOC_ALIGNED)
        at = np.arange(first, max(first, last), _MIMALLOC_ALIGNED, dtype=np.uint64)
        at = at[pages.present_each(at)]
        if not len(at):
            return []
        base, size, kind = self._memory.read_each(at, 24).view("<u8").reshape(-1, 3).T
        good = (base == at) & (size >= _MIMALLOC_SLICE) & (size % np.uint64(_MIMALLOC_SLICE) == 0)
        good &= np.isin(kind & np.uint64(0xFFFFFFFF), _MIMALLOC_MAPPED)
        good &= kind >> np.uint64(32) & ~np.uint64(0x010101) == 0  # is_pinned, and whether it was zero and committed
        found: list[tuple[int, int]] = []
        for low, length in zip(at[good].tolist(), size[good].tolist(), strict=True):
            if not found or low >= found[-1][1]:
                found.append((low, min(low + length, part.high)))
        return found

    def _owners(self, parts: Sequence[Part], mappings: Sequence[Mapping], pages: PageTable) -> list[str]:
        """For each part the library whose static variables point to its beginning, or else most often into it."""
        order = sorted(range(len(parts)), key=lambda i: parts[i].low)
        lows = np.array([parts[i].low for i in order], np.uint64)
        highs = np.array([parts[i].high for i in order], np.uint64)
        votes: list[dict[str, tuple[int, int]]] = [{} for _ in parts]
        for name, data in library_data(mappings):
            only_exact = data.anonymous or name.startswith(_OF_EVERYBODY)  # behind a bss may be memory of others
            words = self._words(data, pages)
            place = np.searchsorted(lows, words, side="right") - 1
            inside = (place >= 0) & (words < highs[place]) & (words & np.uint64(7) == 0)
            place, words = place[inside], words[inside]
            exact = np.bincount(place[words == lows[place]], minlength=len(parts))
            within = np.bincount(place, minlength=len(parts))
            for number in np.flatnonzero(exact if only_exact else within).tolist():
                before = votes[order[number]].get(name, (0, 0))
                votes[order[number]][name] = (before[0] + int(exact[number]), before[1] + int(within[number]))
        return [max(vote, key=lambda name: (vote[name][0] > 0, vote[name][1]), default="") for vote in votes]

    def _words(self, data: Mapping, pages: PageTable) -> NDArray[np.uint64]:
        """The words of the pages of static data that are in memory."""
        there = np.flatnonzero(pages.present(data.low, data.high)).astype(np.uint64)
        return self._memory.read_each(np.uint64(data.low) + there * np.uint64(PAGE), PAGE).reshape(-1).view("<u8")
