"""The memory of a process by allocator, read from outside at next to no cost to it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from types import MappingProxyType

from ..protocol.clean import clean
from .errors import OutsideError
from .lifeline import Lifeline
from .mappings import Mapping, PageTable, parse_mappings, read_maps, stack_pointers
from .partition import Partition, carry, divide
from .process import status_fields
from .pymalloc import ArenaReader, Heap, locate
from .remote import Forbidden, RemoteMemory, Torn

_PATIENCE = 4  # readings of a heap that changes meanwhile, before it is left for the next time
_STALE = 3  # readings in a row for which the last heap stands in
_LOCATE_FIRST, _LOCATE_EVERY = 0.25, 10.0  # seconds between searches for arenas that were not there: first, at most
_PARTITION_EVERY = 10.0  # seconds at least between two readings of smaps
_PARTITION_DUTY = 1000  # and this many times as long as the last one took: it stalls mmap in the process
_LARGEST_DATA = 256 << 20  # bytes of static data that are searched for the arena table

C_HEAP_IN_USE = "only the process itself can tell how much of its C heap is in use"
_FOREIGN = "{} takes the place of glibc's malloc: what it holds is under other native memory"
_ALLOCATORS = re.compile(r"/(?:lib)?(jemalloc|tcmalloc|mimalloc|snmalloc|hoard|ld-musl)[^/]*\.so")


@dataclass(frozen=True)
class Allocator:
    """A source of memory: bytes in use by blocks (None when not known) and resident bytes that it holds."""

    name: str
    label: str
    in_use: int | None
    held: int | None


@dataclass(frozen=True)
class Category:
    """One of the parts of the resident memory; None when it cannot be told from the others."""

    name: str
    label: str
    bytes: int | None


@dataclass(frozen=True)
class MemoryReading:
    """One reading. The categories that are known add up to `rss`.

    `unavailable` says for each allocator or category that is None why it is. `partition_age` is how old the division
    of what is not Python's is, in seconds; None when there is none.
    """

    taken_at: float
    rss: int
    allocators: tuple[Allocator, ...]
    categories: tuple[Category, ...]
    size_classes: tuple[tuple[int, int, int], ...]  # (bytes, blocks in use, blocks there is room for)
    python_in_use_error: int | None  # 95 % sampling error in bytes
    unavailable: Table[str, str]
    cost_seconds: float
    partition_age: float | None


@dataclass(frozen=True)
class _Counts:
    """Resident and swapped memory by the kernel's own counters (/proc/PID/status)."""

    rss: int
    anonymous: int
    files: int
    shared: int
    swapped: int


@dataclass(frozen=True)
class _Divided:
    """A partition, and what was known when it was made."""

    partition: Partition
    counts: _Counts
    touched: int  # bytes of the arenas ever handed out
    at: float  # monotonic
    wait: float  # seconds until the next one may be made


class MemoryProbe:
    """Reads one process again and again.

    Raises `TargetGone` from the constructor and from `read` when the process has ended, and nothing else: what cannot
    be read is None, with its reason.
    """

    def __init__(
        self,
        pid: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pid = pid
        self._clock = clock
        self._monotonic = monotonic
        self._lifeline = Lifeline(pid)
        self._memory = RemoteMemory(pid)
        self._reader: ArenaReader | None = None
        self._located_at = float("-inf")
        self._locate_wait = 0.0
        self._heap: Heap | None = None
        self._missed = 0
        self._no_heap = ""
        self._foreign: str | None = None
        self._divided: _Divided | None = None
        self._no_partition = ""

    def __enter__(self) -> MemoryProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._lifeline.close()

    def read(self) -> MemoryReading:
        """One reading: some milliseconds of this process, nothing of the other one.

        The partition of what is not Python's costs the other process a stall of its mmap calls, about 15 ms per
        resident GB; it is made anew at most every 10 s and in at most one thousandth of the time.
        """
        began = time.perf_counter()
        heap = self._read_heap(self._read_counts())
        counts = self._read_counts()
        self._refresh_partition(heap, counts)
        partition = self._current_partition(heap, counts)
        self._lifeline.check()
        return _assemble(
            heap,
            partition,
            self._no_heap,
            self._no_partition,
            self._foreign,
            taken_at=self._clock(),
            cost=time.perf_counter() - began,
            age=self._monotonic() - self._divided.at if self._divided else None,
        )

    def _read_heap(self, counts: _Counts) -> Heap | None:
        """Python's heap, or None with the reason in `_no_heap`.

        When the process changes its arenas under every attempt, the last heap stands in for at most some readings.
        """
        for attempt in range(_PATIENCE):
            if attempt == _PATIENCE // 2:
                self._reader = None  # another program may have taken the process over (exec): look again
            try:
                if self._reader is None and not self._locate():
                    self._heap = None
                    return None
                assert self._reader is not None
                self._heap = self._read_arenas(self._reader, counts)
                self._missed = 0
                return self._heap
            except (Torn, OSError):
                continue
            except Forbidden as error:
                self._no_heap = str(error)
                self._heap = None
                return None
            finally:
                self._lifeline.check()
        self._missed += 1
        if self._missed > _STALE:
            self._no_heap = "the arenas change too fast to be read; the next reading tries again"
            self._heap = None
        return self._heap

    def _read_arenas(self, reader: ArenaReader, counts: _Counts) -> Heap:
        if not counts.swapped:
            return reader.read()
        with PageTable(self.pid) as pages:
            return reader.read(pages)

    def _locate(self) -> bool:
        """Find the arenas, ever more rarely while there are none. False leaves the reason in `_no_heap`."""
        now = self._monotonic()
        if now - self._located_at < self._locate_wait:
            return False
        try:
            mappings = read_maps(self._lifeline)
            regions = static_data(mappings, self._lifeline.link("exe"))
            with PageTable(self.pid) as pages:
                location = locate(self._memory, regions, malloc_memory(mappings), pages)
        except PermissionError:
            raise Forbidden(self.pid) from None
        except Forbidden:
            raise
        except OutsideError as error:
            self._lifeline.check()
            self._no_heap = str(error)
            return False
        if location is None:
            self._located_at = now
            self._locate_wait = min(_LOCATE_EVERY, 2 * self._locate_wait or _LOCATE_FIRST)
            self._no_heap = _why_no_arenas(self._lifeline)
            return False
        self._locate_wait = 0.0
        self._reader = ArenaReader(self._memory, location)
        self._no_heap = ""
        return True

    def _read_counts(self) -> _Counts:
        fields = status_fields(self._lifeline.read("status"))
        self._lifeline.check_memory(fields)
        names = ("VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap")
        return _Counts(*(int(fields.get(name, "0").split()[0]) * 1024 for name in names))

    def _refresh_partition(self, heap: Heap | None, counts: _Counts) -> None:
        """Make the partition anew when its time has come."""
        now = self._monotonic()
        if self._divided and now - self._divided.at < self._divided.wait:
            return
        began = time.thread_time()
        try:
            raw = self._lifeline.read("smaps")
            if not raw:
                self._lifeline.check_memory({})
            spent = time.thread_time() - began
            mappings = parse_mappings(raw)
            partition = self._divide(mappings, heap)
        except OutsideError as error:
            self._lifeline.check()
            self._no_partition = str(error)
            self._divided = None
            return
        self._no_partition = ""
        self._foreign = foreign_allocator(mappings)
        wait = max(_PARTITION_EVERY, _PARTITION_DUTY * spent)
        self._divided = _Divided(partition, counts, heap.touched if heap else 0, now, wait)

    def _divide(self, mappings: list[Mapping], heap: Heap | None) -> Partition:
        arenas = heap.arenas if heap else ()
        try:
            with PageTable(self.pid) as pages:
                return divide(mappings, arenas, stack_pointers(self.pid), self._memory, pages)
        except (OSError, Forbidden, Torn):
            self._lifeline.check()
            return divide(mappings, arenas, stack_pointers(self.pid), None, None)

    def _current_partition(self, heap: Heap | None, counts: _Counts) -> Partition:
        """The last partition, brought to the counts of this moment."""
        last = self._divided
        if last is None:
            anonymous = counts.rss - counts.files - counts.shared
            return Partition(native_other=anonymous, files=counts.files, shared=counts.shared)
        python = 0
        if heap:
            python = min(max(last.partition.python + heap.touched - last.touched, heap.in_use), heap.arena_bytes)
        files, shared = counts.files - last.counts.files, counts.shared - last.counts.shared
        return carry(last.partition, python, files, shared, counts.rss)


def static_data(mappings: list[Mapping], executable: str | None) -> list[Mapping]:
    """The writable data and bss where CPython's static variables can be: libpython and the executable first.

    Then those of every other file, for a libpython that was linked into something else.
    """
    likely: list[Mapping] = []
    others: list[Mapping] = []
    owner = None
    for index, mapping in enumerate(mappings):
        if mapping.name.startswith("/"):
            owner = mapping.name
        elif not (owner and mapping.anonymous and index and mappings[index - 1].high == mapping.low):
            owner = None
        if owner is None or not mapping.writable or mapping.permissions.endswith("s"):
            continue
        (likely if "libpython" in owner or owner == executable else others).append(mapping)
        if not mapping.name:
            owner = None
    found, size = [], 0
    for mapping in likely + others:
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


def _why_no_arenas(line: Lifeline) -> str:
    """Why a process has no arenas, as far as its environment and its files tell."""
    try:
        for entry in line.read("environ").split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"PYTHONMALLOC" and value.startswith(b"malloc"):
                setting = clean(os.fsdecode(value), 40)
                return f"pymalloc is switched off by PYTHONMALLOC={setting}; the objects are in the C heap"
        if b"t.so" in line.read("maps"):
            return "a free-threaded Python keeps its objects in mimalloc, which is not read yet"
    except OutsideError:
        line.check()
    return "no arenas of pymalloc were found in this process"


def _assemble(
    heap: Heap | None,
    parts: Partition,
    no_heap: str,
    no_partition: str,
    foreign: str | None,
    *,
    taken_at: float,
    cost: float,
    age: float | None,
) -> MemoryReading:
    unavailable = {}
    in_use = held = None
    if heap:
        held = parts.python if age is not None else heap.arena_bytes
        in_use = min(heap.in_use, held)
    else:
        unavailable["python"] = no_heap
    divided = age is not None
    unavailable["c_heap"] = (_FOREIGN.format(foreign) if foreign else C_HEAP_IN_USE) if divided else no_partition
    if not divided:
        unavailable.update(dict.fromkeys(("large_blocks", "stacks"), no_partition))

    def known(value: int) -> int | None:
        return value if divided else None

    large, c_heap, stacks = known(parts.large_blocks), known(parts.c_heap), known(parts.stacks)
    return MemoryReading(
        taken_at=taken_at,
        rss=parts.total,
        allocators=(
            Allocator("python", "Python objects", in_use, held),
            Allocator("c_heap", "C heap", None, c_heap),
            Allocator("large_blocks", "Large blocks", large, large),
            Allocator("native_other", "Other native memory", None, parts.native_other),
            Allocator("stacks", "Thread stacks", None, stacks),
            Allocator("files", "Code and mapped files", None, parts.files),
            Allocator("shared", "Shared memory", None, parts.shared),
        ),
        categories=(
            Category("python_live", "Python objects", in_use),
            Category("python_free", "Python, free but held", None if held is None or in_use is None else held - in_use),
            Category("c_live", "C heap", c_heap),
            Category("c_free", "C heap, free but held", None),
            Category("large_blocks", "Large blocks", large),
            Category("native_other", "Other native memory", parts.native_other),
            Category("stacks", "Thread stacks", stacks),
            Category("files", "Code and mapped files", parts.files),
            Category("shared", "Shared memory", parts.shared),
        ),
        size_classes=tuple((each.size, each.blocks, each.capacity) for each in heap.size_classes) if heap else (),
        python_in_use_error=heap.in_use_error if heap else None,
        unavailable=MappingProxyType(unavailable),
        cost_seconds=cost,
        partition_age=age,
    )
