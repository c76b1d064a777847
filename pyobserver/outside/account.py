"""Puts what was read about the memory of a process together as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from ..model.readings import Allocator, Category, CHeap, Holding, InnerAllocator, MemoryReading
from .partition import Partition
from .pymalloc import Heap

ALLOCATORS = {
    "python": "Python objects",
    "c_heap": "C heap",
    "large_blocks": "Large blocks",
    "native_other": "Other native memory",
    "stacks": "Thread stacks",
    "files": "Code and mapped files",
    "shared": "Shared memory",
}
CATEGORIES = {
    "python_live": "Python objects",
    "python_free": "Python, free but held",
    "c_live": "C heap",
    "c_free": "C heap, free but held",
    "large_blocks": "Large blocks",
    "native_other": "Other native memory",
    "stacks": "Thread stacks",
    "files": "Code and mapped files",
    "shared": "Shared memory",
}

C_HEAP_CLOSED = "the memory of the process may not be read, so how much of its C heap is in use is not known"
C_HEAP_STRANGE = (
    "the chunks of the C heap do not follow each other as glibc's do: it is another malloc's, or changes too fast"
)
C_HEAP_LATE = "{} of the C heap are not walked yet, which has taken {:.1f} s so far; it goes on at the next readings"
LARGEST_UNREAD = 0.02  # of the C heap: where more is not read, what is in use is not told
FOREIGN = "{} takes the place of glibc's malloc: what it holds is under other native memory"


@dataclass(frozen=True)
class Reasons:
    """Why something is not known; empty where it is."""

    heap: str
    partition: str
    foreign: str | None  # the name of another malloc


def assemble(
    heap: Heap | None,
    parts: Partition,
    reasons: Reasons,
    *,
    taken_at: float,
    pss: int | None,
    uss: int | None,
    cost_seconds: float,
    partition_age: float | None,
    c_heap: CHeap | None = None,
    c_live: int | None = None,
    holdings: tuple[Holding, ...] = (),
    inner: tuple[InnerAllocator, ...] = (),
    unnamed: int | None = None,
) -> MemoryReading:
    """One reading of what is known. Without a partition (age None) `parts` has what the kernel counts for everybody.

    `c_live` are the resident bytes of the C heap that were not free when it was walked. Where that is not known, all of
    it stands in the category `c_live`, and `c_free` is None.
    """
    divided = partition_age is not None
    held: dict[str, int | None] = {name: getattr(parts, name) for name in ALLOCATORS}
    in_use: dict[str, int | None] = dict.fromkeys(ALLOCATORS)
    unavailable = {}
    why_not = _why_c_heap_is_unknown(c_heap, reasons)
    if why_not:
        unavailable["c_heap"] = why_not
    c_held, c_free = parts.c_heap, None
    if c_live is not None and divided and not why_not:
        in_use["c_heap"] = min(c_live, c_held)
        c_free = c_held - min(c_live, c_held)
    if not divided:
        for name in ("c_heap", "large_blocks", "stacks"):
            held[name], unavailable[name] = None, reasons.partition
    in_use["large_blocks"] = held["large_blocks"]
    free = None
    if heap is None:
        held["python"], unavailable["python"] = None, reasons.heap
    else:
        room = parts.python if divided else heap.arena_bytes
        held["python"], in_use["python"] = room, min(heap.in_use, room)
        free = room - min(heap.in_use, room)
    live = held["c_heap"] if c_free is None else in_use["c_heap"]
    sizes = {**held, "python_live": in_use["python"], "python_free": free, "c_live": live, "c_free": c_free}
    return MemoryReading(
        taken_at=taken_at,
        rss=parts.total,
        pss=pss,
        uss=uss,
        allocators=tuple(Allocator(name, label, in_use[name], held[name]) for name, label in ALLOCATORS.items()),
        categories=tuple(Category(name, label, sizes[name]) for name, label in CATEGORIES.items()),
        size_classes=tuple((each.size, each.blocks, each.capacity) for each in heap.size_classes) if heap else (),
        python_in_use_error=heap.in_use_error if heap else None,
        unavailable=MappingProxyType(unavailable),
        cost_seconds=cost_seconds,
        partition_age=partition_age,
        c_heap=c_heap if divided else None,
        holdings=holdings,
        inner=inner,
        unnamed=unnamed if divided else None,
        c_in_use_error=c_heap.unread if c_heap is not None and c_free is not None else None,
    )


def _why_c_heap_is_unknown(c_heap: CHeap | None, reasons: Reasons) -> str:
    """Why it is not known what the C heap has in use; "" where it is."""
    if reasons.foreign:
        return FOREIGN.format(reasons.foreign)
    if c_heap is None:
        return C_HEAP_CLOSED
    if c_heap.unread <= LARGEST_UNREAD * c_heap.size:
        return ""
    if c_heap.is_late:
        return C_HEAP_LATE.format(f"{c_heap.unread / c_heap.size:.0%}", c_heap.cost_seconds)
    return C_HEAP_STRANGE
