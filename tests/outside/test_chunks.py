"""What the C heap has in use, told from outside, against what glibc itself says (mallinfo2)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.model.readings import CHeap, MemoryReading
from pyobserver.outside import MemoryProbe, memory
from pyobserver.outside.chunks import ChunkWalk, HeapSpan, _follow, _Residence
from pyobserver.outside.mappings import PageTable
from pyobserver.outside.remote import RemoteMemory, Torn

from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from ..support.targets import RunningTarget, launch
from .conftest import Clock

MB = 1 << 20
PRELOADED = ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2.0")


@pytest.fixture
def c_heap(interpreter: Interpreter) -> Iterator[RunningTarget]:
    """A running C heap on each interpreter."""
    with launch(interpreter, "c_heap") as target:
        yield target


@pytest.fixture
def newest_c_heap(newest: Interpreter) -> Iterator[RunningTarget]:
    """A running C heap on one interpreter."""
    with launch(newest, "c_heap") as target:
        yield target


def read(target: RunningTarget) -> MemoryReading:
    with MemoryProbe(target.pid) as probe:
        return probe.read()


def walked(reading: MemoryReading) -> CHeap:
    assert reading.c_heap is not None
    assert reading.c_heap.unread == 0
    return reading.c_heap


def compare(target: RunningTarget) -> MemoryReading:
    """A reading that agrees with mallinfo2 within two per cent, and in which all adds up."""
    told = target.ask("report")
    reading = read(target)
    heap = walked(reading)
    if told:
        assert heap.size == pytest.approx(told["arena"], rel=0.001)
        assert heap.in_use == pytest.approx(told["uordblks"], rel=0.02)
        assert heap.free == pytest.approx(told["fordblks"], rel=0.02, abs=MB)
    assert heap.in_use + heap.free == heap.size
    parts = {each.name: each.bytes for each in reading.categories}
    assert sum(size for size in parts.values() if size is not None) == reading.rss
    allocator = next(each for each in reading.allocators if each.name == "c_heap")
    assert "c_heap" not in reading.unavailable
    assert (allocator.in_use, allocator.held) == (parts["c_live"], parts["c_live"] + parts["c_free"])
    return reading


def test_a_riddled_heap_is_told_as_glibc_does(c_heap: RunningTarget) -> None:
    """Every second block freed: half of what is held is free, and cannot be given back."""
    c_heap.ask("fill 40000 600 3000")
    c_heap.ask("riddle")
    reading = compare(c_heap)
    free = next(each.bytes for each in reading.categories if each.name == "c_free")
    assert free is not None
    assert free > 30 * MB
    assert walked(reading).trimmable < 0.3 * free


def test_brk_that_huge_pages_have_torn_is_one_heap(c_heap: RunningTarget) -> None:
    """numpy asks for huge pages in large arrays: where malloc has them in brk, that becomes several mappings."""
    c_heap.ask("fill 5000 600 3000")
    assert c_heap.ask("tear 9000000")["mappings"] > 1
    c_heap.ask("fill 5000 600 3000")
    c_heap.ask("riddle")
    assert walked(compare(c_heap)).arenas[0].heaps == 1


def test_sixteen_arenas_are_told_as_glibc_does(c_heap: RunningTarget) -> None:
    """Heaps of threads, and a second heap of an arena that is full; each arena by itself."""
    c_heap.ask("threads 40 400 5000")
    c_heap.ask("threads 1 40000 5000")
    heap = walked(compare(c_heap))
    assert heap.arenas[0].name == "main"
    assert len(heap.arenas) > 8
    assert max(arena.heaps for arena in heap.arenas) > 1
    for arena in heap.arenas:
        assert arena.in_use + arena.free == arena.size
        assert arena.free_resident <= arena.resident <= arena.size
        assert arena.largest_free <= arena.free


def test_with_numpy_present_heap_and_large_blocks_are_right(interpreter: Interpreter) -> None:
    """Arrays of 1 to 40 MB are large blocks to two per cent, those below 128 kB are in the C heap."""
    with launch(with_packages(interpreter, "numpy"), "c_heap", "numpy", environment=ONE_THREAD) as target:
        before = read(target)
        target.ask("arrays 3000 20000")
        target.ask("fill 20000 600 3000")
        target.ask("riddle")
        small = compare(target)
        target.ask("arrays 12 1000000")
        target.ask("arrays 3 5000000")
        target.ask("arrays 1 40000000")
        after = compare(target)
    sizes = [{each.name: each.bytes or 0 for each in reading.categories} for reading in (before, small, after)]
    assert sizes[1]["c_live"] - sizes[0]["c_live"] > 60_000_000
    assert sizes[1]["large_blocks"] - sizes[0]["large_blocks"] < MB
    assert sizes[2]["large_blocks"] - sizes[1]["large_blocks"] == pytest.approx(67_000_000, rel=0.02)


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


def test_a_heap_that_was_freed_is_free_as_far_as_it_is_held(c_heap: RunningTarget) -> None:
    """After all was freed in use is what was before; what malloc gave back to the system is not free but held."""
    before = walked(compare(c_heap)).in_use
    c_heap.ask("fill 40000 600 3000")
    c_heap.ask("free")
    heap = walked(compare(c_heap))
    assert heap.in_use == pytest.approx(before, rel=0.1, abs=MB)
    assert heap.free_resident <= heap.free


def test_a_heap_that_changes_at_full_speed_is_read(newest_c_heap: RunningTarget) -> None:
    """Chunks are split and joined while they are walked: in use stays what it is, or is not told, never wrong."""
    newest_c_heap.ask("fill 20000 600 3000")
    newest_c_heap.ask("riddle")
    quiet = walked(read(newest_c_heap)).in_use
    newest_c_heap.ask("churn")
    told: list[int] = []
    for _ in range(400):  # as many as it takes
        if len(told) == 20:
            break
        reading = read(newest_c_heap)
        in_use = next(each.in_use for each in reading.allocators if each.name == "c_heap")
        if in_use is None:
            assert reading.unavailable["c_heap"]
        else:
            told.append(in_use)
    assert len(told) == 20
    assert all(quiet < in_use < quiet + 40 * MB for in_use in told)


def test_a_heap_that_is_trimmed_again_and_again_is_read(newest_c_heap: RunningTarget) -> None:
    """Its end moves while it is walked: readings tell what is in use, or say why not."""
    newest_c_heap.ask("pump")
    told: list[MemoryReading] = []
    for _ in range(300):  # as many as it takes
        if len(told) == 10:
            break
        reading = read(newest_c_heap)
        told += [] if "c_heap" in reading.unavailable else [reading]
    assert len(told) == 10
    for reading in told:
        allocator = next(each for each in reading.allocators if each.name == "c_heap")
        assert allocator.in_use is not None
        assert allocator.held is not None
        assert MB < allocator.in_use <= allocator.held


def test_reading_makes_nothing_resident(newest_c_heap: RunningTarget) -> None:
    """Pages of the heap that were given back, or never touched, stay away."""
    newest_c_heap.ask("fill 20000 600 3000")
    newest_c_heap.ask("threads 3 100 5000")
    newest_c_heap.ask("free")
    read(newest_c_heap)
    with newest_c_heap.halted():
        first = read(newest_c_heap).rss
        assert read(newest_c_heap).rss == first


def test_without_time_the_heap_is_unread(newest_c_heap: RunningTarget) -> None:
    """What there is no time for is said to be unread, and does not count as in use or free."""
    newest_c_heap.ask("fill 20000 600 3000")
    span = brk(newest_c_heap)
    times = iter([0.0, 0.0, 0.0, *[2.0] * 100])
    with PageTable(newest_c_heap.pid) as pages:
        walk = ChunkWalk(RemoteMemory(newest_c_heap.pid), pages, budget=1.0, clock=lambda: next(times))
        heap = walk.walk([span])
    assert heap.is_late
    assert 0 < heap.unread < heap.size
    assert heap.in_use + heap.free + heap.unread == heap.size


def in_steps(target: RunningTarget, between: Callable[[], object] = lambda: None) -> tuple[CHeap, int]:
    """The main heap, walked some windows at a time, and in how many steps."""
    with PageTable(target.pid) as pages:
        ticks = itertools.count()
        walk = ChunkWalk(RemoteMemory(target.pid), pages, budget=8.0, clock=lambda: float(next(ticks)))
        for steps in range(1, 100):
            heap = walk.walk([brk(target)])
            if not heap.is_late:
                return heap, steps
            assert heap.unread > 0
            between()
    raise AssertionError("it does not end")


def test_a_heap_that_is_too_large_is_walked_in_steps(newest_c_heap: RunningTarget) -> None:
    """Each goes on where the last one ended; the sum is that of one walk."""
    newest_c_heap.ask("fill 60000 600 3000")
    newest_c_heap.ask("riddle")
    with PageTable(newest_c_heap.pid) as pages, newest_c_heap.halted():
        whole = ChunkWalk(RemoteMemory(newest_c_heap.pid), pages).walk([brk(newest_c_heap)])
        heap, steps = in_steps(newest_c_heap)
    assert steps > 3
    assert heap.unread == 0
    (one,), (other,) = heap.arenas, whole.arenas
    assert one == other


def test_between_steps_chunks_may_be_joined_or_come(newest_c_heap: RunningTarget) -> None:
    """What was the last chunk may be in the middle of another one by then: it is gone on from a place before."""
    newest_c_heap.ask("fill 60000 600 3000")
    changes = iter(["riddle", *["fill 300 600 3000", "work 0.05"] * 100])
    before = newest_c_heap.ask("report").get("uordblks")
    heap, steps = in_steps(newest_c_heap, lambda: newest_c_heap.ask(next(changes)))
    assert steps > 3
    assert heap.unread == 0
    if before:
        after = newest_c_heap.ask("report")["uordblks"]
        assert 0.9 * min(before, after) < heap.in_use < 1.1 * max(before, after)
    after_it = walked(read(newest_c_heap))
    assert after_it.in_use < heap.in_use * 1.1


def test_readings_go_on_until_the_whole_heap_is_known(
    newest_c_heap: RunningTarget, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it is said how far it has come; behind that the last one is told, with how old it is."""
    newest_c_heap.ask("fill 60000 600 3000")
    newest_c_heap.ask("riddle")
    ticks = itertools.count()
    make = functools.partial(ChunkWalk, budget=8.0, clock=lambda: float(next(ticks)))
    monkeypatch.setattr(memory, "ChunkWalk", make)
    with MemoryProbe(newest_c_heap.pid, monotonic=clock) as probe:
        told = []
        while len(told) < 100:
            told.append(probe.read())
            clock.now += 2
            if "c_heap" not in told[-1].unavailable:
                break
        first, last = told[0], told[-1]
        assert "not walked yet" in first.unavailable["c_heap"]
        shares = [int(each.unavailable["c_heap"].split("%")[0]) for each in told[:-1]]
        assert shares == sorted(shares, reverse=True)
        assert last.c_heap is not None and last.c_heap.unread == 0
        assert last.c_heap.age == 2 * (len(told) - 1)
        clock.now += 1e6
        again = probe.read()  # too late for all of it: the last one is told meanwhile
    assert again.c_heap is not None and again.c_heap.age > 1e6
    assert again.c_heap.in_use == last.c_heap.in_use


def test_what_is_no_heap_is_not_told(newest_c_heap: RunningTarget) -> None:
    """From a wrong beginning the chain does not arrive: all of it is unread."""
    newest_c_heap.ask("fill 20000 600 3000")
    span = brk(newest_c_heap)
    with PageTable(newest_c_heap.pid) as pages:
        walk = ChunkWalk(RemoteMemory(newest_c_heap.pid), pages)
        for wrong in (HeapSpan(span.low + 40 * 4096, span.high), HeapSpan(span.low, span.high - 4096)):
            heap = walk.walk([wrong])
            assert heap.unread == heap.size or heap.unread < 0.02 * heap.size


def brk(target: RunningTarget) -> HeapSpan:
    for line in Path(f"/proc/{target.pid}/maps").read_text().splitlines():
        if line.endswith("[heap]"):
            low, high = (int(word, 16) for word in line.split()[0].split("-"))
            return HeapSpan(low, high)
    raise AssertionError("no brk")


@pytest.mark.parametrize("library", PRELOADED)
def test_another_malloc_is_named_and_not_walked(newest: Interpreter, library: str) -> None:
    """Preloaded allocators leave glibc's heap behind, which would say nothing about the program."""
    found = next((path for path in Path("/usr/lib").rglob(library)), None)
    if found is None or newest.root != Path("/"):
        pytest.skip(f"{library} is not installed on this machine")
    with launch(newest, "c_heap", environment={"LD_PRELOAD": str(found)}) as target:
        target.ask("fill 2000 600 3000")
        reading = read(target)
    assert reading.c_heap is None
    assert library[3:11] in reading.unavailable["c_heap"]
    assert next(each.in_use for each in reading.allocators if each.name == "c_heap") is None


class MadeUp:
    """Memory of these bytes at one address, all of it present."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, address: int, size: int) -> bytes:
        place = address - BASE
        if place < 0 or place + size > len(self.content):
            raise Torn("not mapped")
        return self.content[place : place + size]

    def present(self, low: int, high: int) -> np.ndarray:
        return (np.arange(low, high, 4096) >= BASE) & (np.arange(low, high, 4096) < BASE + len(self.content))


BASE = 0x7F0000000000
SIZES = st.one_of(
    st.integers(0, 64).map(lambda n: n * 16),
    st.integers(0, 2**64 - 1),
    st.sampled_from([8192, 8192 - 32, 2**64 - 16, 2**63, 4096]),
)


@given(words=st.lists(st.tuples(SIZES, st.integers(0, 7)), min_size=1, max_size=40), arena=st.booleans())
def test_whatever_is_in_memory_nothing_breaks(words: list[tuple[int, int]], arena: bool) -> None:
    """Any words for sizes and flags: a sum that is right, and no other error, however far a size leads."""
    content = np.zeros(1024, dtype=np.uint64)
    place = 0 if not arena else (0x30 + 0x8A0) // 8
    for size, flags in words:
        if place + 1 >= len(content):
            break
        content[place + 1] = np.uint64((size & ~7 & (2**64 - 1)) | flags)
        place += 2 + (size // 8 if size < 2048 else 0) // 2 * 2
    memory: Any = MadeUp(content.tobytes())
    heap = ChunkWalk(memory, memory).walk([HeapSpan(BASE, BASE + 8192, BASE + 0x30 if arena else 0)])
    assert heap.in_use + heap.free + heap.unread == heap.size == 8192
    assert min(heap.in_use, heap.free, heap.unread, heap.free_resident, heap.trimmable) >= 0


def test_chunks_follow_each_other_until_one_has_no_size() -> None:
    """Sizes are in the second word of each chunk, their lowest bits are flags."""
    words = np.array([0, 0x21, 7, 7, 0, 0x31, 7, 7, 7, 7, 0, 0], dtype=np.uint64)
    assert _follow(words, 0) == ([0, 4], 10)
    assert _follow(words, 10) == ([], 10)
    assert _follow(np.array([0, 0x1001], dtype=np.uint64), 0) == ([0], 512)


class AllPresent(PageTable):
    """Pages that are all in memory."""

    def __init__(self) -> None:
        """It reads nothing."""

    def present(self, low: int, high: int) -> np.ndarray:
        """One for each page."""
        return np.ones((high - low) // 4096, bool)


def test_a_last_chunk_that_ends_with_its_heap() -> None:
    """Its head may end behind the last page: that is no page, and no error."""
    residence = _Residence(AllPresent(), HeapSpan(0x10000, 0x14000))
    words = [np.array([at], np.uint64) for at in (0x10010, 0x13FF0 + 0x20, 0x14000)]
    assert residence.whole_pages(words[0], words[2]) == 3 * 4096
    assert residence.whole_pages(words[1], words[2]) == 0
    assert residence.whole_pages(words[2], words[2]) == 0
