"""Allocators within the categories, as far as they show from outside: what they hold, or have in use.

None of their functions is called. A malloc that was preloaded counts for itself where only its own code finds it;
SQLite does so in static variables, which are recognised by what must be true of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..model.readings import InnerAllocator
from ..protocol.clean import clean
from .holdings import Inventory
from .layout import library_data
from .mappings import PAGE, Mapping, PageTable
from .remote import RemoteMemory

_SQLITE = "libsqlite3.so"
_STATUS = 10  # values in each half of `sqlite3StatType` (src/status.c, SQLite 3.9 and later, on 64-bit machines)
_MEMORY_USED, _MALLOC_SIZE, _MALLOC_COUNT = 0, 5, 9
_NEVER = (3, 4, 8)  # what was counted there until 3.20 or so is counted no more, and is 0
_MOST_USED = 1 << 46
_ARROW = "libarrow"

_OWN_FUNCTIONS = "{} tells what is in use only by its own functions, and none of them is called"
_SQLITE_SILENT = "its counters were not found: they are switched off, or it is linked into something else"


def inner_allocators(
    memory: RemoteMemory,
    mappings: Sequence[Mapping],
    pages: PageTable,
    inventory: Inventory,
    foreign: str | None,
) -> tuple[InnerAllocator, ...]:
    """What was found; `foreign` is the malloc that stands in for glibc's. Raises `Forbidden`."""
    found = _preloaded(inventory, foreign) if foreign else [*_mimallocs(inventory)]
    if any(_SQLITE in mapping.name for mapping in mappings):
        told = _sqlite(memory, mappings, pages)
        within = "native_other" if foreign else "c_heap"
        used, peak = told or (None, None)
        found.append(InnerAllocator("sqlite", "SQLite", within, used, None, peak, why="" if told else _SQLITE_SILENT))
    return tuple(found)


def _preloaded(inventory: Inventory, name: str) -> list[InnerAllocator]:
    """A malloc in the place of glibc's: it has all native memory, but for what the program maps for itself.

    Of mimalloc's memory it shows that it is.
    """
    sure = sum(size for (kind, _), size in inventory.of_kind.items() if kind == "mimalloc") if name == "mimalloc" else 0
    held = sure or sum(part.resident for part in inventory.unclaimed)
    why = _OWN_FUNCTIONS.format(name)
    return [InnerAllocator(name, name, "native_other", None, held, held_is_most=not sure, why=why)]


def _mimallocs(inventory: Inventory) -> Iterator[InnerAllocator]:
    """mimalloc within libraries, by the library that points to its arenas."""
    for (kind, owner), resident in inventory.of_kind.items():
        if kind != "mimalloc":
            continue
        name, label = f"mimalloc {owner}".strip(), f"mimalloc of {owner}" if owner else "mimalloc"
        if owner.startswith(_ARROW):
            name, label = "arrow", "Arrow"
        why = _OWN_FUNCTIONS.format("mimalloc")
        yield InnerAllocator(clean(name, 60), clean(label, 60), "native_other", None, resident, why=why)


def _sqlite(memory: RemoteMemory, mappings: Sequence[Mapping], pages: PageTable) -> tuple[int, int] | None:
    """Bytes that SQLite has in use, and the most it had: the one place in its static data that can be its counters."""
    found: list[tuple[int, int]] = []
    for name, data in library_data(mappings):
        if not name.startswith(_SQLITE):
            continue
        present = pages.present(data.low, data.high)
        content = np.zeros((len(present), PAGE), np.uint8)
        there = np.flatnonzero(present)
        content[there] = memory.read_each(np.uint64(data.low) + there.astype(np.uint64) * np.uint64(PAGE), PAGE)
        words = content.reshape(-1).view("<i8")
        if len(words) < 2 * _STATUS:
            continue
        both = np.lib.stride_tricks.sliding_window_view(words, 2 * _STATUS)
        now, most = both[:, :_STATUS], both[:, _STATUS:]
        used, blocks = now[:, _MEMORY_USED], now[:, _MALLOC_COUNT]
        good = (now >= 0).all(axis=1) & (most < _MOST_USED).all(axis=1) & (used > 0) & (blocks > 0)
        good &= (used <= most[:, _MEMORY_USED]) & (blocks <= most[:, _MALLOC_COUNT]) & (used >= 8 * blocks)
        good &= (now[:, _MALLOC_SIZE] == 0) & (most[:, _MALLOC_SIZE] > 0)
        good &= most[:, _MALLOC_SIZE] <= most[:, _MEMORY_USED]
        good &= (now[:, _NEVER] == 0).all(axis=1) & (most[:, _NEVER] == 0).all(axis=1)
        found += [(int(used[i]), int(most[i, _MEMORY_USED])) for i in np.flatnonzero(good)]
    return found[0] if len(found) == 1 else None
