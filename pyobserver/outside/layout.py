"""Which parts of an address space can hold what: the static data of CPython, the blocks of malloc, other allocators."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from ..attach.interpreters import identify
from ..protocol.clean import clean
from .errors import OutsideError
from .lifeline import Lifeline
from .mappings import Mapping

_LARGEST_DATA = 256 << 20  # bytes of static data that are searched
LARGEST_BSS = 4 << 20  # what is larger behind a file is a mapping of its own
_ALLOCATORS = re.compile(r"/(?:lib)?(jemalloc|tcmalloc|mimalloc|snmalloc|hoard|ld-musl)[^/]*\.so")


def static_data(mappings: list[Mapping], executable: str | None) -> list[Mapping]:
    """The writable data and bss where CPython's static variables can be: libpython and the executable first.

    Then those of every other file, for a libpython that was linked into something else.
    """
    likely: list[Mapping] = []
    others: list[Mapping] = []
    for owner, mapping in _static(mappings):
        (likely if "libpython" in owner or owner == executable else others).append(mapping)
    return _bounded(likely + others)


def library_data(mappings: Sequence[Mapping]) -> list[tuple[str, Mapping]]:
    """The writable data and bss of every file that is mapped, each with the name of its file without the folder."""
    data = [(name, each) for name, each in _static(mappings) if each.name or each.size < LARGEST_BSS]
    return [(owner.rpartition("/")[2], mapping) for owner, mapping in data[: len(_bounded([each for _, each in data]))]]


def _static(mappings: Sequence[Mapping]) -> Iterator[tuple[str, Mapping]]:
    """What a file has of writable memory of its own, and the anonymous memory right behind it."""
    owner = None
    for index, mapping in enumerate(mappings):
        if mapping.name.startswith("/"):
            owner = mapping.name
        elif not (owner and mapping.anonymous and index and mappings[index - 1].high == mapping.low):
            owner = None
        if owner is None or not mapping.writable or mapping.permissions.endswith("s"):
            continue
        yield owner, mapping
        if not mapping.name:
            owner = None


def _bounded(mappings: Sequence[Mapping]) -> list[Mapping]:
    found, size = [], 0
    for mapping in mappings:
        size += mapping.size
        if size > _LARGEST_DATA:
            break
        found.append(mapping)
    return found


def malloc_memory(mappings: list[Mapping]) -> list[Mapping]:
    """The mappings that any malloc can keep its blocks in: anonymous ones that are written to, and brk's."""
    return [each for each in mappings if each.writable and (each.anonymous or each.name == "[heap]")]


def foreign_allocator(mappings: list[Mapping]) -> str | None:
    """The name of a library that stands in for glibc's malloc, or None; its memory has no structure known here."""
    for mapping in mappings:
        if match := _ALLOCATORS.search(mapping.name):
            return "musl" if match[1] == "ld-musl" else match[1]
    return None


def why_no_arenas(line: Lifeline) -> str:
    """Why a process has no arenas, as far as its environment and its files tell."""
    try:
        for entry in line.read("environ").split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"PYTHONMALLOC" and value.startswith(b"malloc"):
                setting = clean(os.fsdecode(value), 40)
                return f"pymalloc is switched off by PYTHONMALLOC={setting}; the objects are in the C heap"
        python = identify(line.pid, line.link("exe") or "", line.read("maps").decode("utf-8", "replace"))
        if python is None:
            return "this process does not run Python"
        if python.implementation != "cpython":
            return f"{python.implementation} does not have the allocator of CPython"
        if python.free_threaded:
            return "a free-threaded Python keeps its objects in mimalloc, which is not read yet"
    except OutsideError:
        line.check()
    return "no arenas of pymalloc were found in this process"
