"""Puts what was read about the memory of a process together as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from ..model.readings import Allocator, Category, MemoryReading
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

C_HEAP_IN_USE = "only the process itself can tell how much of its C heap is in use"
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
) -> MemoryReading:
    """One reading of what is known. Without a partition (age None) `parts` has what the kernel counts for everybody.

    What is in use of the C heap is not known from outside, so that all of it stands in `c_live`.
    """
    divided = partition_age is not None
    held: dict[str, int | None] = {name: getattr(parts, name) for name in ALLOCATORS}
    in_use: dict[str, int | None] = dict.fromkeys(ALLOCATORS)
    unavailable = {"c_heap": FOREIGN.format(reasons.foreign) if reasons.foreign else C_HEAP_IN_USE}
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
    sizes = {**held, "python_live": in_use["python"], "python_free": free, "c_live": held["c_heap"], "c_free": None}
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
    )
