"""Where the resident memory of a process belongs: every mapping is divided among its owners.

The owners are told by structure alone: pymalloc's arenas by their table, glibc's heaps and mmapped chunks by their
headers, stacks by the stack pointers of the threads. What nobody claims is "native other"; whose that is, as far as it
can be told, is found out in `regions`.
"""

from __future__ import annotations

import bisect
import itertools
from collections import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .glibc import GlibcMemory, Span
from .holdings import Inventory
from .layout import LARGEST_BSS
from .mappings import PAGE, Mapping, PageTable
from .regions import Part

_LARGEST_STACK = 64 << 20
_SHARED = ("/dev/shm/", "/memfd:", "/SYSV", "/dev/zero")
Threads = abc.Mapping[int, int]  # by their stack pointers, their numbers
Claim = tuple[int, int, str]  # [low, high), and the name of its owner in `Partition`


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
    stack_pointers: Threads,
    glibc: GlibcMemory | None,
    pages: PageTable | None,
    inventory: Inventory | None = None,
    brk: str = "c_heap",
) -> Partition:
    """Divide the resident bytes of `mappings` (from smaps); what each owner holds is noted in `inventory`.

    What is `native_other` is noted there as parts without a name. `brk` is the owner of the memory of that name, which
    is not malloc's where another one stands in for it. Without `glibc` and `pages` (both forbidden) the owners that
    only show in memory stay in `native_other`.
    """
    inventory = inventory if inventory is not None else Inventory()
    division = _Division(stack_pointers, pages, inventory)
    blocks: list[Span] = []
    merged = merge(arenas)
    below = None
    for run in runs(mappings):
        low, high, named = run[0].low, run[-1].high, _named_owner(run[0], brk)
        claims = [(*span, "python") for span in overlap(merged, low, high)]
        if named is None and glibc and any(mapping.resident for mapping in run):
            claims += [(*span, "c_heap") for span in glibc.heaps(low, high)]
            chunks = glibc.chunks(low, high, [claim[:2] for claim in claims])
            claims += [(*span, "large_blocks") for span in chunks]
            blocks += chunks
        claims.sort()
        for mapping in run:
            division.share(mapping, below, claims, named)
            below = mapping
    if pages is not None:
        inventory.add_blocks(blocks, pages)
    return Partition(**division.given)


class _Division:
    """Gives the resident bytes of one mapping after the other to their owners."""

    def __init__(self, stack_pointers: Threads, pages: PageTable | None, inventory: Inventory) -> None:
        self.given = dict.fromkeys(Partition.__dataclass_fields__, 0)
        self._threads = stack_pointers
        self._pages = pages
        self._inventory = inventory
        self._file = ""  # the last one that was met: bss behind it is its own

    def share(self, mapping: Mapping, below: Mapping | None, claims: Sequence[Claim], named: str | None) -> None:
        """Share out one mapping: to the claims on it first, and what is left to whom the rest of it belongs."""
        if not mapping.anonymous:
            self._file = mapping.name
        if not mapping.resident:
            return
        left = mapping.resident
        unclaimed = []
        for low, high, owner in split(mapping.low, mapping.high, claims):
            if owner is None:
                unclaimed.append((low, high))
            else:
                left -= self._give(owner, mapping, low, high, left)
        owner = named or "native_other"
        for low, high in unclaimed:
            owner = named or _rest_owner(mapping, low, high, self._threads, below)
            if (low, high) != unclaimed[-1]:
                left -= self._note(owner, mapping, low, high, self._give(owner, mapping, low, high, left))
        self.given[owner] += left
        if unclaimed:
            self._note(owner, mapping, *unclaimed[-1], left)

    def _note(self, owner: str, mapping: Mapping, low: int, high: int, resident: int) -> int:
        """Take note of what [low, high) of a mapping is; returns its resident bytes."""
        label = mapping.name
        if owner == "files":
            label = self._file if mapping.anonymous else mapping.name
        elif owner == "stacks":
            thread = next((self._threads[at] for at in self._threads if low <= at < high), None)
            label = (
                "main thread" if mapping.name else f"thread {thread}" if thread else "a thread that runs or has ended"
            )
        elif owner == "native_other":
            if resident:
                self._inventory.unclaimed.append(Part(low, high, mapping, resident))
            return resident
        elif not label:
            label = "anonymous memory, shared with children"
        self._inventory.add(owner, label, mapping, high - low, resident)
        return resident

    def _give(self, owner: str, mapping: Mapping, low: int, high: int, at_most: int) -> int:
        """Give the resident bytes of [low, high) to `owner`; returns how many."""
        if mapping.resident >= mapping.size:
            resident = high - low
        elif self._pages is None:
            resident = round(mapping.resident * (high - low) / mapping.size)
        else:
            resident = self._pages.resident(low, high)
        resident = min(resident, at_most)
        self.given[owner] += resident
        return resident


def split(low: int, high: int, claims: Sequence[Claim]) -> Iterator[tuple[int, int, str | None]]:
    """Cut [low, high) into the parts that sorted, disjoint claims own, and those that nobody claims (None)."""
    at = low
    for first, last, owner in claims[bisect.bisect_right(claims, low, key=lambda claim: claim[1]) :]:
        if first >= high:
            break
        first, last = max(first, at), min(last, high)
        if first > at:
            yield at, first, None
        if last > first:
            yield first, last, owner
            at = last
    if at < high:
        yield at, high, None


def _named_owner(mapping: Mapping, brk: str) -> str | None:
    """The owner that the name of a mapping tells, or None for anonymous memory."""
    if mapping.name == "[heap]":
        return brk
    if mapping.name.startswith("[stack"):
        return "stacks"
    if mapping.name.startswith(_SHARED) or (mapping.anonymous and mapping.permissions.endswith("s")):
        return "shared"
    return None if mapping.anonymous else "files"


def _rest_owner(mapping: Mapping, low: int, high: int, stack_pointers: Threads, below: Mapping | None) -> str:
    """The owner of anonymous memory that holds no arena, heap or chunk."""
    if any(low <= pointer < high for pointer in stack_pointers):
        return "stacks"
    if below is not None and below.high == mapping.low and low == mapping.low:
        if not below.anonymous and below.name.startswith("/") and mapping.writable and mapping.size < LARGEST_BSS:
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
