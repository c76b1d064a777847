"""Allocators of libraries: what is seen of them from outside and what the agent says, put together by name."""

from __future__ import annotations

from dataclasses import replace

from ..model.readings import InnerAllocator
from ..model.snapshot import Snapshot
from .heap import NORMAL_95

NOT_HELD = "arrays keep nothing that they do not use; their blocks are malloc's"
HELD_UNKNOWN = "what it holds cannot be told from the other memory that it is part of"


def inner_allocators(snapshot: Snapshot) -> list[InnerAllocator]:
    """Return each allocator once: in use as the agent says, held as it shows from outside; largest first."""
    found: dict[str, InnerAllocator] = {}
    said = snapshot.tick.allocators if snapshot.tick is not None else ()
    seen = snapshot.memory.inner if snapshot.memory is not None else ()
    for each in (*said, *seen, *_arrays(snapshot)):
        before = found.get(each.name)
        found[each.name] = each if before is None else _together(before, each)
    explained = [_explained(each) for each in found.values()]
    return sorted(explained, key=lambda each: (-(each.held or each.in_use or 0), each.name))


def _together(said: InnerAllocator, seen: InnerAllocator) -> InnerAllocator:
    """One allocator from both sides. What one of them knows needs no reason from the other."""
    in_use = said.in_use if said.in_use is not None else seen.in_use
    return replace(
        said,
        within=seen.within,
        in_use=in_use,
        held=seen.held if said.held is None else said.held,
        peak=said.peak if said.peak is not None else seen.peak,
        held_is_most=seen.held_is_most and said.held is None,
        why="" if in_use is not None else said.why or seen.why,
    )


def _arrays(snapshot: Snapshot) -> list[InnerAllocator]:
    """numpy's arrays, where they were met by a census: their data is in two of the categories."""
    data = snapshot.heap.newest.arrays if snapshot.heap.newest is not None else None
    if data is None:
        return []
    both = (
        ("numpy mapped", "large_blocks", data.mapped, data.mapped_error),
        ("numpy heap", "c_heap", data.in_heap, data.in_heap_error),
    )
    return [
        InnerAllocator(
            name, "numpy arrays", within, round(size), None, why=NOT_HELD, in_use_error=round(NORMAL_95 * error)
        )
        for name, within, size, error in both
        if size
    ]


def _explained(allocator: InnerAllocator) -> InnerAllocator:
    if allocator.held is None and not allocator.why:
        return replace(allocator, why=HELD_UNKNOWN)
    return allocator
