"""Allocators of libraries show within the categories: what they hold or have in use, or why that is not known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.model.readings import InnerAllocator, MemoryReading
from pyobserver.outside import MemoryProbe

from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from ..support.targets import RunningTarget, launch
from .test_census import take
from .test_chunks import PRELOADED

MB = 1 << 20


def read(target: RunningTarget) -> MemoryReading:
    with MemoryProbe(target.pid) as probe:
        return probe.read()


def inner(reading: MemoryReading, name: str) -> InnerAllocator:
    return next(each for each in reading.inner if each.name == name)


def category(reading: MemoryReading, name: str) -> int:
    return next(each.bytes or 0 for each in reading.categories if each.name == name)


@pytest.fixture
def libraries(interpreter: Interpreter) -> Iterator[RunningTarget]:
    """A program with libraries, on each interpreter."""
    with launch(interpreter, "libraries") as target:
        yield target


def test_sqlite_is_told_as_it_counts_itself(libraries: RunningTarget) -> None:
    """A database in memory, by the counter that only C can ask for; more of it, and the same again."""
    for rows in (20000, 60000):
        libraries.ask(f"sqlite {rows}")
        truth = libraries.ask("report")["sqlite"]
        found = inner(read(libraries), "sqlite")
        if found.in_use is None:
            assert "linked into something else" in found.why  # as where Python brings its own
            pytest.skip("SQLite is not in a library of its own here")
        assert found.in_use == truth
        assert found.peak is not None and found.peak >= truth
        assert (found.within, found.held) == ("c_heap", None)


def test_without_sqlite_nothing_is_said_of_it(libraries: RunningTarget) -> None:
    """A program without these libraries has no such lines."""
    assert read(libraries).inner == ()


def test_arrows_memory_is_told_from_the_rest(newest: Interpreter) -> None:
    """What its back-end holds has its name, and is within other native memory; the program's own has none."""
    with launch(with_packages(newest, "pyarrow"), "libraries") as target:
        target.ask("arrow 1")
        before = read(target)
        target.ask("arrow 60")
        target.ask("private 9000000")
        after = read(target)
        told = target.ask("report")
    if told["backend"] != "mimalloc":
        pytest.skip(f"Arrow has its memory from {told['backend']} here")
    found = inner(after, "arrow")
    assert found.within == "native_other" and not found.held_is_most
    assert found.held is not None
    assert told["arrow"] <= found.held <= category(after, "native_other")
    assert found.held - (inner(before, "arrow").held or 0) == pytest.approx(60 * MB, rel=0.4)
    assert "mimalloc" in found.why and found.in_use is None
    assert after.unnamed is not None and before.unnamed is not None
    assert after.unnamed - before.unnamed == pytest.approx(9_000_000, rel=0.05)
    assert sum(each.bytes or 0 for each in after.categories) == after.rss


@pytest.mark.parametrize("library", PRELOADED)
def test_a_preloaded_malloc_holds_what_it_has_mapped(newest: Interpreter, library: str) -> None:
    """Of mimalloc exactly, of others at most, as nothing tells their memory from what the program maps for itself."""
    found = next((path for path in Path("/usr/lib").rglob(library)), None)
    if found is None or newest.root != Path("/"):
        pytest.skip(f"{library} is not installed on this machine")
    with launch(newest, "libraries", environment={"LD_PRELOAD": str(found)}) as target:
        size = target.ask("blocks 20000 3000")["bytes"]
        target.ask("private 30000000")
        reading = read(target)
    (one,) = reading.inner
    assert one.name == library[3:].split(".")[0].split("_")[0]
    assert one.held is not None
    assert size <= one.held <= category(reading, "native_other")
    assert one.held_is_most == (one.name != "mimalloc")
    if one.name == "mimalloc":
        assert one.held < size + 25_000_000
    assert (one.in_use, one.within) == (None, "native_other")
    assert one.name in one.why
    assert category(reading, "c_live") == category(reading, "c_free") == 0


def test_arrays_of_numpy_are_told_by_a_census(interpreter: Interpreter) -> None:
    """The data that they own, to a per cent, in the C heap and in blocks of its own; that of others is not theirs."""
    with launch(with_packages(interpreter, "numpy"), "libraries", "numpy") as target, MemoryProbe(target.pid) as probe:
        assert probe.census().arrays is not None
        small = target.ask("arrays 3000 20000")["bytes"]
        first = probe.census().arrays
        large = target.ask("arrays 20 1000000")["bytes"] + target.ask("arrays 3 8000000")["bytes"]
        data = probe.census().arrays
        divided = {each.name: each for each in probe.read().allocators}
    assert first is not None and data is not None
    assert first.in_heap == pytest.approx(small, rel=0.02, abs=100_000)
    assert data.in_heap - first.in_heap < 100_000
    assert data.mapped - first.mapped == pytest.approx(large, rel=0.01)
    assert data.mapped <= (divided["large_blocks"].held or 0) + 4096 * 23
    assert data.in_heap <= (divided["c_heap"].in_use or 0)


def test_a_sample_of_arrays_is_within_its_error(newest: Interpreter) -> None:
    """Of a part of the pools, with many arrays alike."""
    with launch(with_packages(newest, "numpy"), "libraries", "numpy") as target:
        target.ask("arrays 30000 3000")
        with target.halted():
            whole = take(target.pid).arrays
            samples = [take(target.pid, 1 << 20, salt * 7919).arrays for salt in range(30)]
    assert whole is not None
    assert whole.in_heap == pytest.approx(30000 * 3016, rel=0.02)
    known = [each for each in samples if each is not None]
    assert all(each.in_heap_error > 0 for each in known)
    within = [abs(each.in_heap - whole.in_heap) <= 1.96 * each.in_heap_error for each in known]
    assert len(within) == 30 and sum(within) >= 26


def test_without_numpy_there_are_no_arrays(libraries: RunningTarget) -> None:
    with MemoryProbe(libraries.pid) as probe:
        assert probe.census().arrays is None


def test_memory_that_a_library_keeps_has_its_name(newest: Interpreter) -> None:
    """OpenBLAS has buffers that it maps; its static variables say where."""
    with launch(with_packages(newest, "numpy"), "libraries", "numpy") as target:
        target.ask("multiply")
        reading = read(target)
    labels = [each.label for each in reading.holdings if each.allocator == "native_other"]
    if not any("openblas" in label for label in labels):
        pytest.skip("this numpy has no buffers of OpenBLAS")
    assert reading.unnamed is not None
    assert reading.unnamed < category(reading, "native_other")
