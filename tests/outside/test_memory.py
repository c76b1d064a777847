"""The resident memory of a process is divided among its owners, and the division is kept up at no cost to it."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pyobserver.outside import MemoryProbe, MemoryReading, TargetGone
from pyobserver.outside.layout import foreign_allocator
from pyobserver.outside.lifeline import Lifeline
from pyobserver.outside.mappings import Mapping, PageTable
from pyobserver.outside.process import status_fields
from pyobserver.outside.pymalloc import ArenaReader
from pyobserver.outside.remote import Forbidden, RemoteMemory, Torn

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch
from .conftest import Clock

MB = 1 << 20


def categories(reading: MemoryReading) -> dict[str, int]:
    """The categories that are known, by name."""
    return {each.name: each.bytes for each in reading.categories if each.bytes is not None}


def change(heap: RunningTarget, *commands: str) -> tuple[dict[str, int], dict[str, int]]:
    """The categories before and after, each divided anew."""
    with MemoryProbe(heap.pid) as before:
        first = categories(before.read())
    for command in commands:
        heap.ask(command)
    with MemoryProbe(heap.pid) as after:
        return first, categories(after.read())


def resident(pid: int) -> int:
    with Lifeline(pid) as line:
        return int(status_fields(line.read("status"))["VmRSS"].split()[0]) * 1024


def test_the_categories_add_up_to_the_resident_memory(heap: RunningTarget) -> None:
    """Objects, blocks, threads, shared and mapped memory: every byte has one owner."""
    commands = (
        "objects 50000",
        "blocks 6 2000000",
        "threads 3 1000000",
        "shared 3000000",
        "private 2000000",
        "mapped 4000000",
    )
    for command in commands:
        heap.ask(command)
    with MemoryProbe(heap.pid) as probe:
        reading = probe.read()
    parts = categories(reading)
    assert sum(parts.values()) == reading.rss
    assert reading.rss == pytest.approx(resident(heap.pid), rel=0.01)
    assert set(parts) == {
        "python_live", "python_free", "c_live", "c_free", "large_blocks", "native_other", "stacks", "files", "shared"
    }  # fmt: skip
    assert all(value >= 0 for value in parts.values())
    python = reading.allocators[0]
    assert python.in_use == parts["python_live"]
    assert python.held == parts["python_live"] + parts["python_free"]


@pytest.mark.parametrize("program", ["parked", "chat_server", "threads", "c_heap"])
def test_of_every_program_everything_has_one_owner(interpreter: Interpreter, program: str) -> None:
    """Tasks, connections, threads, arrays: the nine categories are the kernel's number, within one per cent."""
    with launch(interpreter, program) as target, MemoryProbe(target.pid) as probe, target.halted():
        reading = probe.read()
        rss = resident(target.pid)
    parts = categories(reading)
    assert len(parts) == 9
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(rss, rel=0.01)
    assert sum(each.held or 0 for each in reading.allocators) == pytest.approx(rss, rel=0.01)
    assert not reading.unavailable
    assert parts["native_other"] < 0.1 * rss


def test_python_objects_are_counted_as_the_interpreter_does(heap: RunningTarget) -> None:
    """The public reading has the interpreter's own number, within two per cent."""
    heap.ask("objects 80000")
    with MemoryProbe(heap.pid) as probe:
        assert categories(probe.read())["python_live"] == pytest.approx(heap.ask("report")["in_use"], rel=0.02)


def test_large_blocks_are_found(heap: RunningTarget) -> None:
    """Blocks that malloc maps one by one are counted as large, to the page, whatever lies between them."""
    before, after = change(
        heap, "blocks 5 3000000", "objects 20000", "blocks 5 1500000", "private 300000", "blocks 2 5000000"
    )
    expected = 5 * 3_000_000 + 5 * 1_500_000 + 2 * 5_000_000
    assert after["large_blocks"] - before["large_blocks"] == pytest.approx(expected, rel=0.02)


def test_blocks_that_asked_for_huge_pages_are_large_blocks(heap: RunningTarget) -> None:
    """The header of such a block stands in a mapping of its own, which tears it apart for the kernel."""
    before, after = change(heap, "huge 4 6000000")
    assert after["large_blocks"] - before["large_blocks"] == pytest.approx(24_000_000, rel=0.1)


def test_heaps_of_other_threads_are_c_heap(heap: RunningTarget) -> None:
    """glibc gives threads heaps of their own, outside of brk."""
    before, after = change(heap, "threads 4 4000000")
    assert after["c_live"] - before["c_live"] == pytest.approx(16_000_000, rel=0.1)
    assert after["stacks"] > before["stacks"]
    assert after["native_other"] - before["native_other"] < MB


@pytest.mark.parametrize(
    ("command", "category"),
    [("private 9000000", "native_other"), ("shared 9000000", "shared"), ("mapped 9000000", "files")],
)
def test_other_memory_has_its_owner(newest_heap: RunningTarget, command: str, category: str) -> None:
    """Nine million bytes turn up in one category, and in no other."""
    before, after = change(newest_heap, command)
    assert after[category] - before[category] == pytest.approx(9_000_000, rel=0.05)
    assert all(abs(after[name] - before[name]) < MB for name in after if name != category)


def test_freed_objects_are_free_but_held(newest_heap: RunningTarget) -> None:
    """A third of the objects gone leaves holes that the process keeps."""
    _, after = change(newest_heap, "objects 200000")
    assert after["python_free"] > 0.1 * after["python_live"]


def test_the_first_reading_adds_nothing_to_the_process(heap: RunningTarget) -> None:
    """Pages that the process never touched are not made resident by the search for its arenas."""
    before = resident(heap.pid)
    with MemoryProbe(heap.pid) as probe:
        assert probe.read().allocators[0].in_use
    assert resident(heap.pid) - before <= 16 * 4096


def test_memory_of_its_own_and_its_share(newest_heap: RunningTarget) -> None:
    """USS and PSS come with the division: what is private, and that with a share of what is not."""
    newest_heap.ask("private 5000000")
    with MemoryProbe(newest_heap.pid) as probe:
        reading = probe.read()
    assert reading.uss is not None
    assert reading.pss is not None
    assert 5_000_000 < reading.uss <= reading.pss <= reading.rss


def test_the_division_is_made_rarely_and_carried_between(newest_heap: RunningTarget, clock: Clock) -> None:
    """Within its ten seconds only Python's part and the total move; what came since is not given an owner."""
    with MemoryProbe(newest_heap.pid, monotonic=clock) as probe:
        first = probe.read()
        assert first.partition_age == 0
        newest_heap.ask("objects 100000")
        newest_heap.ask("blocks 4 5000000")
        clock.now += 9
        carried = probe.read()
        clock.now += 1000
        anew = probe.read()
    old, between, new = categories(first), categories(carried), categories(anew)
    assert carried.partition_age == 9
    assert anew.partition_age == 0
    assert between["python_live"] > old["python_live"] + 5 * MB
    assert between["large_blocks"] == pytest.approx(old["large_blocks"], abs=MB / 8)
    assert between["native_other"] - old["native_other"] == pytest.approx(20_000_000, rel=0.1)
    assert new["large_blocks"] - old["large_blocks"] == pytest.approx(20_000_000, rel=0.05)
    for reading in (first, carried, anew):
        assert sum(categories(reading).values()) == reading.rss


def test_memory_given_back_between_divisions_keeps_the_sum(newest_heap: RunningTarget, clock: Clock) -> None:
    """What went is taken from the rest, and no category becomes negative."""
    newest_heap.ask("blocks 10 5000000")
    newest_heap.ask("objects 50000")
    with MemoryProbe(newest_heap.pid, monotonic=clock) as probe:
        before = probe.read()
        newest_heap.ask("free")
        clock.now += 2
        after = probe.read()
    assert after.rss < before.rss - 40 * MB
    assert sum(categories(after).values()) == after.rss
    assert min(categories(after).values()) >= 0


def test_the_end_of_the_process_is_told_with_its_exit_code(newest_heap: RunningTarget) -> None:
    """A reading of a zombie is no reading."""
    with MemoryProbe(newest_heap.pid) as probe:
        probe.read()
        assert newest_heap.process.stdin is not None
        newest_heap.process.stdin.write(b"end 7\n")
        newest_heap.process.stdin.flush()
        with pytest.raises(TargetGone) as told:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                probe.read()
    assert (told.value.exit_code, told.value.signal) == (7, None)


def test_a_process_killed_while_it_is_read_raises_nothing_else(newest: Interpreter) -> None:
    """At whatever moment it dies, the answer is TargetGone with the signal."""
    for _ in range(6):
        with launch(newest, "heap") as target, MemoryProbe(target.pid) as probe:
            target.ask("churn 5")
            probe.read()
            os.kill(target.pid, signal.SIGKILL)
            with pytest.raises(TargetGone) as told:
                while True:
                    probe.read()
            assert told.value.signal == signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_another_users_process_has_reasons_for_numbers(newest_heap: RunningTarget) -> None:
    """Who may not look gets the totals that everybody sees, and why there is no more."""
    received, sent = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            with MemoryProbe(newest_heap.pid) as probe:
                reading = probe.read()
            known = ",".join(sorted(categories(reading)))
            adds_up = sum(categories(reading).values()) == reading.rss > 0
            text = "|".join((known, str(adds_up), reading.unavailable["python"], reading.unavailable["large_blocks"]))
            os.write(sent, text.encode())
        except BaseException as error:
            os.write(sent, repr(error).encode())
        finally:
            os._exit(0)
    os.close(sent)
    with open(received) as pipe:
        known, adds_up, python, large = pipe.read().split("|")
    os.waitpid(child, 0)
    assert known == "files,native_other,shared"
    assert adds_up == "True"
    assert "permission denied" in python
    assert "permission denied" in large


@pytest.mark.parametrize(
    ("name", "allocator"),
    [
        ("/usr/lib/libjemalloc.so.2", "jemalloc"),
        ("/usr/lib/libtcmalloc_minimal.so.4", "tcmalloc"),
        ("/opt/lib/libmimalloc-secure.so.2.0", "mimalloc"),
        ("/lib/ld-musl-x86_64.so.1", "musl"),
        ("/usr/lib/libc.so.6", None),
        ("/srv/jemalloc/libfoo.so", None),
    ],
)
def test_another_malloc_is_named(name: str, allocator: str | None) -> None:
    """A preloaded allocator keeps its memory where only it knows; it is told by the file that is mapped."""
    assert foreign_allocator([Mapping(0, 1, "r-xp", "/usr/bin/python3"), Mapping(2, 3, "r-xp", name)]) == allocator


def test_a_busy_heap_does_not_move_to_another_owner(
    newest_heap: RunningTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the arenas cannot be read for once, the last reading stands in; after some misses it says so."""
    newest_heap.ask("objects 50000")
    with MemoryProbe(newest_heap.pid) as probe:
        good = probe.read()

        def torn(*_: object) -> None:
            raise Torn("for once")

        monkeypatch.setattr(ArenaReader, "read", torn)
        for _ in range(3):
            stale = probe.read()
            assert stale.allocators[0].in_use == good.allocators[0].in_use
            assert sum(categories(stale).values()) == stale.rss
        given_up = probe.read()
        assert given_up.allocators[0].in_use is None
        assert "change too fast" in given_up.unavailable["python"]
        assert sum(categories(given_up).values()) == given_up.rss
        monkeypatch.undo()
        assert probe.read().allocators[0].in_use == pytest.approx(good.allocators[0].in_use, rel=0.01)


def test_what_is_swapped_out_is_not_touched(newest_heap: RunningTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """With memory in swap only resident pools are read, and they stand for the others."""
    newest_heap.ask("objects 100000")
    with MemoryProbe(newest_heap.pid) as probe:
        whole = probe.read().allocators[0].in_use
        assert whole is not None
        counts = probe._read_counts()
        asked: list[int] = []

        def half(_: PageTable, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
            asked.append(len(addresses))
            return np.arange(len(addresses)) % 2 == 0

        monkeypatch.setattr(PageTable, "present_each", half)
        monkeypatch.setattr(probe, "_read_counts", lambda: replace(counts, swapped=4096))
        reading = probe.read()
    assert asked
    assert reading.python_in_use_error
    assert reading.allocators[0].in_use == pytest.approx(whole, rel=0.05)


def test_where_reading_memory_is_forbidden_the_mappings_are_still_divided(
    newest_heap: RunningTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yama or a sandbox may forbid what smaps allows: no number for Python, but the reason and a sum."""

    def forbid(self: RemoteMemory, *_: object) -> int:
        raise Forbidden(self.pid)

    monkeypatch.setattr(RemoteMemory, "_transfer", forbid)
    with MemoryProbe(newest_heap.pid) as probe:
        reading = probe.read()
    assert reading.allocators[0].in_use is None
    assert "ptrace_scope" in reading.unavailable["python"]
    assert "may not be read" in reading.unavailable["c_heap"]
    assert "c_free" not in categories(reading)
    parts = categories(reading)
    assert sum(parts.values()) == reading.rss
    assert parts["c_live"] > 0
    assert parts["files"] > MB


def test_memory_is_read_through_the_file_where_the_call_is_blocked(
    heap: RunningTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox may block process_vm_readv but not /proc/PID/mem; the numbers are the same."""
    heap.ask("objects 30000")

    def blocked(*_: object) -> int:
        ctypes.set_errno(errno.EPERM)
        return -1

    with heap.halted():  # what it frees after its answer would be seen by one reading only
        with MemoryProbe(heap.pid) as probe:
            by_call = probe.read().allocators[0].in_use
        monkeypatch.setattr("pyobserver.outside.remote._process_vm_readv", blocked)
        with MemoryProbe(heap.pid) as probe:
            assert probe.read().allocators[0].in_use == by_call
    assert by_call
