"""The address space of a process as the kernel lists it: mappings with their resident bytes, and single pages."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import OutsideError
from .lifeline import Lifeline

PAGE = os.sysconf("SC_PAGE_SIZE")

_PRESENT = np.uint64(1 << 63)  # Documentation/admin-guide/mm/pagemap.rst: readable without privilege, unlike the frame
_ENTRY = 8  # bytes a page
_STACK_POINTER = -2  # the last two fields of /proc/PID/task/TID/syscall: stack pointer, program counter


@dataclass
class Mapping:
    """One mapping: [low, high) and permissions as in /proc/PID/maps; the sizes in bytes are 0 from maps."""

    low: int
    high: int
    permissions: str
    name: str
    resident: int = 0
    proportional: int = 0  # its share of pages that are shared
    private: int = 0  # pages that nobody shares

    @property
    def size(self) -> int:
        return self.high - self.low

    @property
    def anonymous(self) -> bool:
        """Memory of no file. A kernel with CONFIG_ANON_VMA_NAME may show a name that the program gave it."""
        return not self.name or self.name.startswith("[anon")

    @property
    def writable(self) -> bool:
        return "w" in self.permissions


def read_maps(line: Lifeline) -> list[Mapping]:
    """The mappings from /proc/PID/maps, in order of address; cheap, and without their resident bytes."""
    return parse_mappings(line.read("maps"))


def parse_mappings(raw: bytes) -> list[Mapping]:
    """The mappings in the text of /proc/PID/maps or /proc/PID/smaps. Raises `OutsideError` where it is no such text.

    Of a name the kernel escapes only the line feed: all else that ends lines elsewhere may stand in one.
    """
    try:
        return _mappings(raw)
    except (IndexError, ValueError):
        raise OutsideError("cannot read the mappings", "the text is not as the kernel writes it") from None


def _mappings(raw: bytes) -> list[Mapping]:
    found: list[Mapping] = []
    for text in raw.split(b"\n"):
        if text.startswith(b"Rss:"):
            found[-1].resident = int(text[4:-2]) * 1024
        elif text.startswith(b"Pss:"):
            found[-1].proportional = int(text[4:-2]) * 1024
        elif text.startswith((b"Private_Clean:", b"Private_Dirty:")):
            found[-1].private += int(text[14:-2]) * 1024
        elif text[:1] in b"0123456789abcdef" and b"-" in text[:20]:
            fields = text.split(None, 5)
            low, _, high = fields[0].partition(b"-")
            name = os.fsdecode(fields[5]) if len(fields) > 5 else ""
            found.append(Mapping(int(low, 16), int(high, 16), fields[1].decode("ascii"), name))
    return found


class PageTable:
    """Which pages of a process are in memory, from /proc/PID/pagemap."""

    def __init__(self, pid: int) -> None:
        self._fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> PageTable:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def present(self, low: int, high: int) -> NDArray[np.bool_]:
        """For each page of [low, high), whether it is resident. Pages that are gone count as absent."""
        count = (high - low) // PAGE
        raw = os.pread(self._fd, count * _ENTRY, low // PAGE * _ENTRY)
        pages = np.zeros(count, dtype=np.uint64)
        pages[: len(raw) // _ENTRY] = np.frombuffer(raw, dtype=np.uint64)
        present: NDArray[np.bool_] = (pages & _PRESENT) != 0
        return present

    def present_each(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """For each address, whether its page is resident."""
        return np.fromiter((self.present(at, at + PAGE)[0] for at in addresses.tolist()), np.bool_, len(addresses))

    def resident(self, low: int, high: int) -> int:
        """The resident bytes of [low, high)."""
        return int(np.count_nonzero(self.present(low, high))) * PAGE


def stack_pointers(pid: int) -> dict[int, int]:
    """By the stack pointer of every thread that is not on a processor at this moment, its number."""
    found: dict[int, int] = {}
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/syscall", "rb", buffering=0) as file:
                fields = (file.read(512) or b"").split()
        except OSError:
            continue
        if len(fields) >= 3:  # "running" while the thread is on a processor
            with contextlib.suppress(ValueError):
                found[int(fields[_STACK_POINTER], 16)] = int(thread)
    return found
