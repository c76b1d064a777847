"""Python's heap is read from outside as the interpreter itself counts it."""

from __future__ import annotations

import subprocess
import time

import pytest

from pyobserver.outside.layout import malloc_memory, static_data
from pyobserver.outside.lifeline import Lifeline
from pyobserver.outside.mappings import read_maps
from pyobserver.outside.memory import MemoryProbe
from pyobserver.outside.pymalloc import ArenaReader, Location, locate
from pyobserver.outside.remote import RemoteMemory, Torn

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch


def location(pid: int) -> Location | None:
    with Lifeline(pid) as line:
        mappings = read_maps(line)
        return locate(RemoteMemory(pid), static_data(mappings, line.link("exe")), malloc_memory(mappings))


def reader(pid: int, sample: int) -> ArenaReader:
    place = location(pid)
    assert place is not None
    return ArenaReader(RemoteMemory(pid), place, sample)


def test_in_use_is_what_the_interpreter_reports(heap: RunningTarget) -> None:
    """Every pool of a small heap is read, so that nothing is estimated."""
    heap.ask("objects 60000")
    truth = heap.ask("report")
    reading = reader(heap.pid, 1 << 20).read()
    assert reading.in_use == pytest.approx(truth["in_use"], rel=0.001)
    assert reading.in_use_error == 0
    assert len(reading.arenas) == pytest.approx(truth["arenas"], abs=2)
    assert 0 <= reading.arena_bytes - reading.touched < 3 << 20


def test_a_sample_is_close_and_knows_how_close(heap: RunningTarget) -> None:
    """A sixteenth of the pools gives the whole within two per cent, and within its own error twice over."""
    heap.ask("objects 300000")
    truth = heap.ask("report")["in_use"]
    place = location(heap.pid)
    assert place is not None
    pools = truth // place.pool_size
    reading = reader(heap.pid, pools // 16).read()
    assert 0 < reading.in_use_error < 0.03 * truth
    assert abs(reading.in_use - truth) < max(2 * reading.in_use_error, 0.02 * truth)


def test_two_samples_of_the_same_heap_agree(newest_heap: RunningTarget) -> None:
    """The same pools are read each time, so that a heap which does not change does not seem to."""
    newest_heap.ask("objects 200000")
    one = reader(newest_heap.pid, 100)
    first, second = one.read(), one.read()
    assert first.in_use_error > 0
    assert second.in_use == first.in_use


def test_the_size_classes_hold_what_was_made(heap: RunningTarget) -> None:
    """Objects of one known size are counted in their class, within the room that their pools have."""
    probe = reader(heap.pid, 1 << 20)
    before = {each.size: each.blocks for each in probe.read().size_classes}
    heap.ask("fill 464 20000")
    after = {each.size: each for each in probe.read().size_classes}
    assert after[464].blocks - before.get(464, 0) == pytest.approx(20000, rel=0.01)
    assert all(each.blocks <= each.capacity for each in after.values())


def test_a_busy_heap_is_read_without_an_error(heap: RunningTarget) -> None:
    """Arenas that come and go meanwhile cost a sample at most."""
    heap.ask("churn 600")
    with MemoryProbe(heap.pid) as probe:
        readings = [probe.read() for _ in range(40)]
    failed = [reading.unavailable["python"] for reading in readings if "python" in reading.unavailable]
    assert len(failed) <= len(readings) // 20, failed[:3]


def test_a_heap_switched_off_is_told_and_not_zero(interpreter: Interpreter) -> None:
    """With PYTHONMALLOC=malloc there is no number, but a reason."""
    with (
        launch(interpreter, "heap", environment={"PYTHONMALLOC": "malloc"}) as target,
        MemoryProbe(target.pid) as probe,
    ):
        reading = probe.read()
    python = next(each for each in reading.allocators if each.name == "python")
    assert (python.in_use, python.held) == (None, None)
    assert "PYTHONMALLOC=malloc" in reading.unavailable["python"]
    assert reading.python_in_use_error is None
    assert reading.size_classes == ()


def test_debug_hooks_do_not_hide_the_heap(newest: Interpreter) -> None:
    """PYTHONMALLOC=debug only makes the blocks larger."""
    with launch(newest, "heap", environment={"PYTHONMALLOC": "debug"}) as target:
        target.ask("objects 30000")
        truth = target.ask("report")["in_use"]
        assert reader(target.pid, 1 << 20).read().in_use == pytest.approx(truth, rel=0.02)


def test_a_process_without_pymalloc_has_no_arenas() -> None:
    """What is not Python is not taken for it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert location(process.pid) is None
        finally:
            process.kill()


def test_a_wrong_place_is_torn_and_not_believed(newest_heap: RunningTarget) -> None:
    """A table that is none is not read as one."""
    place = location(newest_heap.pid)
    assert place is not None
    wrong = Location(place.table + 64, place.count, place.pool_size)
    with pytest.raises(Torn):
        ArenaReader(RemoteMemory(newest_heap.pid), wrong).read()


def test_another_program_in_the_same_process_is_found_anew(heap: RunningTarget) -> None:
    """After exec the arenas are elsewhere; the probe looks again by itself."""
    with MemoryProbe(heap.pid) as probe:
        before = probe.read().allocators[0].in_use
        assert before is not None
        assert heap.process.stdin is not None
        heap.process.stdin.write(b"become x=[str(i)for+i+in+range(3*10**5)];import+sys;sys.stdin.read()\n")
        heap.process.stdin.flush()
        deadline = time.monotonic() + 60
        after: int | None = None
        while time.monotonic() < deadline and (after is None or after < before + 5_000_000):
            after = probe.read().allocators[0].in_use
            time.sleep(0.05)
    assert after is not None
    assert after > before + 5_000_000
