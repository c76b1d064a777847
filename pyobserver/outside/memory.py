"""The memory of a process by allocator, read from outside at next to no cost to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..model.census import Census
from ..model.readings import CHeap, Holding, InnerAllocator, MemoryReading
from .account import Reasons, assemble
from .census import CensusTaker
from .chunks import ChunkWalk, HeapSpan
from .errors import OutsideError
from .glibc import GlibcMemory
from .gpu import GpuProbe
from .holdings import Inventory
from .inner import inner_allocators
from .layout import foreign_allocator, malloc_memory, static_data, why_no_arenas
from .lifeline import Lifeline
from .mappings import Mapping, PageTable, parse_mappings, read_maps, stack_pointers
from .partition import Partition, carry, divide, merge
from .process import status_fields
from .pymalloc import ArenaReader, Heap, locate
from .regions import UNKNOWN, Regions
from .remote import Forbidden, RemoteMemory, Torn

_PATIENCE = 4  # readings of a heap that changes meanwhile, before it is left for the next time
_STALE = 3  # readings in a row for which the last heap stands in
_LOCATE_FIRST, _LOCATE_EVERY = 0.25, 60.0  # seconds between searches for arenas that were not there: first, at most
_PARTITION_EVERY = 10.0  # seconds at least between two readings of smaps
_PARTITION_DUTY = 1000  # and this many times as long as the last one took: it stalls mmap in the process
_WALK_DUTY = 50  # and as long as the chunks and the names took: they cost this process only


_Walk = tuple[float, ChunkWalk]  # when it was begun (monotonic), and the walk itself


@dataclass(frozen=True)
class _Counts:
    """Resident and swapped memory by the kernel's own counters (/proc/PID/status)."""

    rss: int
    anonymous: int
    files: int
    shared: int
    swapped: int


@dataclass(frozen=True)
class _Found:
    """What one look at all mappings has found."""

    partition: Partition
    c_heap: CHeap | None  # None where it is not glibc's
    holdings: tuple[Holding, ...]
    inner: tuple[InnerAllocator, ...]
    unnamed: int | None  # bytes of other native memory for which no name was found
    heaps: tuple[HeapSpan, ...] = ()  # of glibc's secondary arenas

    @property
    def c_live(self) -> int | None:
        """Resident bytes of the C heap that were not free."""
        return max(0, self.partition.c_heap - self.c_heap.free_resident) if self.c_heap else None


@dataclass(frozen=True)
class _Divided:
    """A partition, and what was known when it was made."""

    found: _Found
    counts: _Counts
    touched: int  # bytes of the arenas ever handed out
    at: float  # monotonic
    wait: float  # seconds until the next one may be made
    pss: int
    uss: int


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
        self._taker = CensusTaker(self._memory, clock)
        self._regions = Regions(self._memory)
        self._gpus = GpuProbe(pid, monotonic)
        self._unfinished: _Walk | None = None
        self._walked: tuple[CHeap, float] | None = None  # the last C heap that was walked to its end, and since when

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
        if not self._refresh_partition(heap, counts):
            self._go_on_walking()
        partition = self._current_partition(heap, counts)
        self._lifeline.check()
        return assemble(
            heap,
            partition,
            Reasons(self._no_heap, self._no_partition, self._foreign),
            taken_at=self._clock(),
            pss=self._divided.pss if self._divided else None,
            uss=self._divided.uss if self._divided else None,
            cost_seconds=time.perf_counter() - began,
            partition_age=self._monotonic() - self._divided.at if self._divided else None,
            c_heap=self._aged(self._divided.found.c_heap) if self._divided else None,
            c_live=self._divided.found.c_live if self._divided else None,
            holdings=self._divided.found.holdings if self._divided else (),
            inner=(*(self._divided.found.inner if self._divided else ()), *self._gpus.read()),
            unnamed=self._divided.found.unnamed if self._divided else None,
        )

    def census(self) -> Census:
        """Count the small objects by type: some hundredths of a second of this process, nothing of the other one.

        Raises `OutsideError` with the reason when that cannot be, and `TargetGone` when the process has ended.
        """
        for _ in range(_PATIENCE):
            self._lifeline.check()
            try:
                if self._reader is None and not self._locate():
                    self._located_at = float("-inf")  # their table may just have moved: look for it again
                    continue
                assert self._reader is not None
                mappings = read_maps(self._lifeline)
                if not self._read_counts().swapped:
                    return self._taker.take(self._reader, mappings, None, not foreign_allocator(mappings))
                with PageTable(self.pid) as pages:
                    return self._taker.take(self._reader, mappings, pages, not foreign_allocator(mappings))
            except (Torn, OSError):
                continue
            except Forbidden:
                self._lifeline.check()
                raise
        self._lifeline.check()
        if self._reader is None:
            self._located_at = self._monotonic()
            raise OutsideError("the objects cannot be counted", self._no_heap)
        raise OutsideError("the objects cannot be counted", "the arenas change too fast; the next census tries again")

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
            self._no_heap = why_no_arenas(self._lifeline)
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

    def _refresh_partition(self, heap: Heap | None, counts: _Counts) -> bool:
        """Make the partition anew when its time has come; whether it had."""
        now = self._monotonic()
        if self._divided and now - self._divided.at < self._divided.wait:
            return False
        began = time.thread_time()
        try:
            raw = self._lifeline.read("smaps")
            if not raw:
                self._lifeline.check_memory({})
            spent = time.thread_time() - began
            mappings = parse_mappings(raw)
            self._foreign = foreign_allocator(mappings)
            found = self._divide(mappings, heap)
        except OutsideError as error:
            self._lifeline.check()
            self._no_partition = str(error)
            self._divided = None
            return True
        self._no_partition = ""
        walked = (found.c_heap.cost_seconds if found.c_heap else 0.0) + self._regions.cost_seconds
        self._divided = _Divided(
            found,
            counts,
            touched=heap.touched if heap else 0,
            at=now,
            wait=max(_PARTITION_EVERY, _PARTITION_DUTY * spent, _WALK_DUTY * walked),
            pss=sum(mapping.proportional for mapping in mappings),
            uss=sum(mapping.private for mapping in mappings),
        )
        return True

    def _divide(self, mappings: list[Mapping], heap: Heap | None) -> _Found:
        arenas = heap.arenas if heap else ()
        inventory = Inventory()
        brk = "native_other" if self._foreign else "c_heap"
        try:
            with PageTable(self.pid) as pages:
                glibc = GlibcMemory(self._memory, pages)
                partition = divide(mappings, arenas, stack_pointers(self.pid), glibc, pages, inventory, brk)
                if self._foreign:
                    self._walked = self._unfinished = None
                c_heap = None if self._foreign else self._walk(glibc, pages)
                told = self._regions.tell(inventory.unclaimed, mappings, pages, self._foreign is not None)
                inventory.add_regions(told)
                inner = inner_allocators(self._memory, mappings, pages, inventory, self._foreign)
                return _Found(partition, c_heap, inventory.largest(), inner, inventory.unnamed, tuple(glibc.found))
        except (OSError, Forbidden, Torn):
            self._lifeline.check()
            inventory = Inventory()
            partition = divide(mappings, arenas, stack_pointers(self.pid), None, None, inventory, brk)
            inventory.add_regions([(part, UNKNOWN) for part in inventory.unclaimed])
            return _Found(partition, None, inventory.largest(), (), None)

    def _walk(self, glibc: GlibcMemory, pages: PageTable) -> CHeap:
        """The C heap by its chunks. Heaps that end elsewhere by then, as they grow or are trimmed, are walked anew.

        One that is too large for the time is walked on at the next reading; until its end is reached the last one that
        was walked is given. numpy asks for huge pages in arrays of 4 MB and more, which makes several mappings of brk.
        """
        begun, walk = self._unfinished or (self._monotonic(), ChunkWalk(self._memory, pages))
        walk.pages = pages
        for _ in range(_PATIENCE):
            brk = [(each.low, each.high) for each in read_maps(self._lifeline) if each.name == "[heap]"]
            heap = walk.walk([*(HeapSpan(low, high) for low, high in merge(brk)), *glibc.ends()])
            if not heap.unread or heap.is_late:
                break
        self._unfinished = (begun, walk) if heap.is_late else None
        if not heap.is_late:
            self._walked = heap, begun
        return self._walked[0] if self._walked is not None else heap

    def _go_on_walking(self) -> None:
        """The next step through a C heap that is too large for one; it is part of the last division then."""
        divided = self._divided
        if self._unfinished is None or divided is None:
            return
        try:
            with PageTable(self.pid) as pages:
                glibc = GlibcMemory(self._memory, pages)
                glibc.found = list(divided.found.heaps)
                heap = self._walk(glibc, pages)
        except (OSError, OutsideError, Torn):
            self._lifeline.check()
            self._unfinished = None
            return
        wait = max(divided.wait, _WALK_DUTY * heap.cost_seconds)
        self._divided = replace(divided, found=replace(divided.found, c_heap=heap), wait=wait)

    def _aged(self, heap: CHeap | None) -> CHeap | None:
        """A C heap with how old it is, told from when it was begun to be walked."""
        if heap is None or self._walked is None or heap is not self._walked[0]:
            return heap
        return replace(heap, age=self._monotonic() - self._walked[1])

    def _current_partition(self, heap: Heap | None, counts: _Counts) -> Partition:
        """The last partition, brought to the counts of this moment."""
        last = self._divided
        if last is None:
            anonymous = counts.rss - counts.files - counts.shared
            return Partition(native_other=anonymous, files=counts.files, shared=counts.shared)
        python = 0
        if heap:
            python = min(max(last.found.partition.python + heap.touched - last.touched, heap.in_use), heap.arena_bytes)
        files, shared = counts.files - last.counts.files, counts.shared - last.counts.shared
        return carry(last.found.partition, python, files, shared, counts.rss)
