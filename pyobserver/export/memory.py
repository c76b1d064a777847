"""The memory of the process by allocator, as the snapshot's document has it."""

from __future__ import annotations

from typing import Any

from ..analysis.allocators import resident
from ..analysis.inner import inner_allocators
from ..model.readings import CArena, CHeap, Holding, InnerAllocator, MemoryPressure
from ..model.snapshot import Snapshot


def memory(snapshot: Snapshot) -> dict[str, Any]:
    """Return all that is known of it; without a reading its parts are empty or null."""
    process, reading, limit = snapshot.process, snapshot.memory, snapshot.limit
    return {
        "rss": resident(snapshot),
        "pss": reading.pss if reading else None,
        "uss": reading.uss if reading else None,
        "swap": process.swap if process else None,
        "limit": limit.bytes if limit else None,
        "limit_source": limit.source if limit else None,
        "oom_score": process.oom_score if process else None,
        "allocators": _allocators(snapshot),
        "categories": [{"name": c.name, "label": c.label, "bytes": c.bytes} for c in reading.categories]
        if reading
        else [],
        "unavailable": dict(reading.unavailable) if reading else {},
        "divided_seconds_ago": reading.partition_age if reading else None,
        "unnamed": reading.unnamed if reading else None,
        "c_heap": _c_heap(reading.c_heap) if reading and reading.c_heap else None,
        "holdings": [_holding(each) for each in reading.holdings] if reading else [],
        "pressure": _pressure(snapshot.pressure) if snapshot.pressure else None,
    }


def _allocators(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Those that add up to the resident memory, and behind them those of libraries."""
    reading = snapshot.memory
    found = []
    for each in reading.allocators if reading else ():
        peak = snapshot.history.peak(f"allocator/{each.name}/held")
        peak = peak if peak is not None else snapshot.history.peak(f"allocator/{each.name}/in_use")
        why = reading.unavailable.get(each.name) if reading else None
        errors = {"python": reading.python_in_use_error, "c_heap": reading.c_in_use_error} if reading else {}
        row = InnerAllocator(each.name, each.label, "", each.in_use, each.held, why=why or "")
        found.append(_allocator(row, peak, None, errors.get(each.name)))
    return [*found, *(_inner(snapshot, each) for each in inner_allocators(snapshot))]


def _inner(snapshot: Snapshot, each: InnerAllocator) -> dict[str, Any]:
    peak = snapshot.history.peak(f"inner/{each.name}/held")
    return _allocator(each, each.peak if peak is None else peak, each.within, each.in_use_error or None)


def _allocator(each: InnerAllocator, peak: float | None, within: str | None, error: int | None) -> dict[str, Any]:
    return {
        "name": each.name,
        "label": each.label,
        "in_use": each.in_use,
        "in_use_error": error if each.in_use is not None else None,
        "held": each.held,
        "peak": None if peak is None else int(peak),
        "within": within,
        "held_is_most": each.held_is_most,
        "inactive_split": each.split,
        "why": each.why or None,
    }


def _c_heap(heap: CHeap) -> dict[str, Any]:
    return {
        "age_seconds": heap.age,
        "cost_seconds": heap.cost_seconds,
        "size": heap.size,
        "in_use": heap.in_use,
        "free": heap.free,
        "unread": heap.unread,
        "free_resident": heap.free_resident,
        "trimmable": heap.trimmable,
        "arenas": [_arena(each) for each in heap.arenas],
    }


def _arena(arena: CArena) -> dict[str, Any]:
    return {
        "name": arena.name,
        "heaps": arena.heaps,
        "size": arena.size,
        "in_use": arena.in_use,
        "free": arena.free,
        "unread": arena.unread,
        "resident": arena.resident,
        "free_resident": arena.free_resident,
        "free_chunks": arena.free_chunks,
        "largest_free": arena.largest_free,
        "trimmable": arena.trimmable,
    }


def _holding(holding: Holding) -> dict[str, Any]:
    return {
        "allocator": holding.allocator,
        "label": holding.label or None,
        "count": holding.count,
        "size": holding.size,
        "resident": holding.resident,
        "pss": holding.pss,
    }


def _pressure(pressure: MemoryPressure) -> dict[str, Any]:
    return {
        "group": pressure.group or None,
        "high": pressure.high,
        "at_limit": pressure.at_limit,
        "oom": pressure.oom,
        "oom_kills": pressure.oom_kills,
        "waited_in": pressure.waited_in or None,
        "some": pressure.some,
        "full": pressure.full,
        "some_seconds": pressure.some_seconds,
        "full_seconds": pressure.full_seconds,
    }
