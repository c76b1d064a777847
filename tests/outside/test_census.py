"""Live objects are counted by type from outside: as the interpreter counts them, within the error that is stated."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pyobserver.analysis.heap import SIGNIFICANT, change
from pyobserver.model.census import UNIDENTIFIED, Census
from pyobserver.outside.census import CensusTaker
from pyobserver.outside.errors import OutsideError, TargetGone
from pyobserver.outside.lifeline import Lifeline
from pyobserver.outside.mappings import Mapping, read_maps
from pyobserver.outside.memory import MemoryProbe
from pyobserver.outside.remote import RemoteMemory

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch
from .test_pymalloc import reader

FEW = 8  # pools
WHOLE = 1 << 40  # bytes to read: every pool


@pytest.fixture
def typed(interpreter: Interpreter) -> Iterator[RunningTarget]:
    """Objects of known types on each interpreter."""
    with launch(interpreter, "typed_heap") as target:
        yield target


@pytest.fixture
def newest_typed(newest: Interpreter) -> Iterator[RunningTarget]:
    """The same on one interpreter."""
    with launch(newest, "typed_heap") as target:
        yield target


def maps(pid: int) -> list[Mapping]:
    with Lifeline(pid) as line:
        return read_maps(line)


def take(pid: int, sample_bytes: int = WHOLE, salt: int = 0) -> Census:
    taker = CensusTaker(RemoteMemory(pid), sample_bytes=sample_bytes, salt=salt)
    return taker.take(reader(pid, 1 << 20), maps(pid))


def counts(census: Census) -> dict[str, int]:
    return {name: round(count) for name, count in zip(census.names, census.count.tolist(), strict=True)}


def test_every_kind_of_object_is_counted_exactly(typed: RunningTarget) -> None:
    """With and without a dict, weak references, the collector: a small heap is read whole, and nothing is estimated."""
    wanted = {}
    for name in ("User", "Slot", "Weak", "Inner", "float", "bytearray"):
        wanted[name] = typed.ask(f"make {name} 6000")["kept"]
    census = take(typed.pid)
    found = counts(census)
    for name in ("User", "Slot", "Weak"):
        assert found[f"__main__.{name}"] == wanted[name]
    assert found["__main__.Outer.Inner"] == wanted["Inner"]
    assert 0 <= found["float"] - wanted["float"] < 500
    assert 0 <= found["bytearray"] - wanted["bytearray"] < 50
    assert census.count_error.max() == census.bytes_error.max() == 0
    assert census.sampled_share == 1.0


def test_what_the_collector_tracks_is_counted_as_it_counts(typed: RunningTarget) -> None:
    """Of functions, tuples and dicts there are at least as many as it knows; it does not track all."""
    truth = typed.ask("truth")
    found = counts(take(typed.pid))
    for name in ("function", "cell", "method_descriptor", "wrapper_descriptor"):
        assert truth[name] * 0.97 - 20 <= found[name] <= truth[name] * 1.05 + 60, name
    for name in ("dict", "list"):
        assert found[name] >= 0.9 * truth[name]


def test_all_together_are_what_the_allocator_has_in_use(heap: RunningTarget) -> None:
    """Types and what is none add up, to what the interpreter itself reports."""
    heap.ask("objects 30000")
    truth = heap.ask("report")["in_use"]
    census = take(heap.pid)
    assert census.bytes.sum() == pytest.approx(census.in_use)
    assert census.in_use == pytest.approx(truth, rel=0.002)
    assert census.bytes[UNIDENTIFIED] < 0.5 * census.in_use


@pytest.mark.every
def test_a_sample_is_within_its_error(typed: RunningTarget) -> None:
    """Of a hundred samples of a part of the heap, 95 have the truth within 1.96 standard errors.

    Of what a sample has met in a few pools only, no more can be said than that it is rare.
    """
    for name in ("User", "Slot", "float", "bytes"):
        typed.ask(f"make {name} 60000")
    whole = take(typed.pid)
    arenas, mappings = reader(typed.pid, 1 << 20), maps(typed.pid)
    names = ["__main__.User", "__main__.Slot", "float", "bytes", "str", "int", "dict"]
    within: dict[str, list[bool]] = {name: [] for name in names}
    for salt in range(100):
        taker = CensusTaker(RemoteMemory(typed.pid), sample_bytes=2 << 20, salt=salt * 7919)
        sample = taker.take(arenas, mappings)
        assert 0.03 < sample.sampled_share < 0.4
        for name in set(names) & set(sample.names):
            i = sample.names.index(name)
            if np.count_nonzero(sample.counts.type == i) >= FEW:
                truth = whole.count[whole.names.index(name)]
                within[name].append(abs(sample.count[i] - truth) <= 1.96 * sample.count_error[i])
    shares = {name: np.mean(each) for name, each in within.items() if len(each) > 20}
    assert len(shares) >= 5
    assert min(shares.values()) >= 0.85, shares
    assert np.mean([one for each in within.values() for one in each]) >= 0.94, shares


@pytest.mark.every
def test_rare_types_are_within_their_errors(typed: RunningTarget) -> None:
    """Of all types that a sample has met in a few pools only, 93 of 100 are as many as it says, with its error."""
    for name in ("User", "Slot", "float"):
        typed.ask(f"make {name} 30000")
    whole = take(typed.pid)
    truth = dict(zip(whole.names, whole.count.tolist(), strict=True))
    arenas, mappings = reader(typed.pid, 1 << 20), maps(typed.pid)
    within = []
    for salt in range(40):
        taker = CensusTaker(RemoteMemory(typed.pid), sample_bytes=1 << 20, salt=salt * 7919)
        sample = taker.take(arenas, mappings)
        pools = np.bincount(sample.counts.type, minlength=len(sample.names))
        for i, name in enumerate(sample.names):
            if i > UNIDENTIFIED and 0 < pools[i] < FEW and name in truth:
                within.append(abs(sample.count[i] - truth[name]) <= 1.96 * sample.count_error[i])
    assert len(within) > 500
    assert np.mean(within) >= 0.93


def test_growth_is_told_from_the_same_pools(typed: RunningTarget) -> None:
    """The error of a difference is far below that of the counts it is made of, and what stands still does not grow."""
    typed.ask("make User 80000")
    typed.ask("make Slot 80000")
    taker = CensusTaker(RemoteMemory(typed.pid), sample_bytes=4 << 20)
    arenas = reader(typed.pid, 1 << 20)
    before = taker.take(arenas, maps(typed.pid))
    more = typed.ask("make Slot 40000")["kept"] - 80000
    after = taker.take(arenas, maps(typed.pid))
    grown = change(after, before)
    user, slot = (after.names.index(f"__main__.{name}") for name in ("User", "Slot"))
    assert after.sampled_share < 0.6
    assert abs(grown.count[slot] - more) <= max(4 * grown.count_error[slot], 0.02 * more)
    assert grown.count[slot] > SIGNIFICANT * grown.count_error[slot]
    assert grown.count_error[user] < 0.3 * math.hypot(after.count_error[user], before.count_error[user])
    assert abs(grown.count[user]) <= SIGNIFICANT * grown.count_error[user]


def test_a_busy_heap_is_counted_without_an_error(typed: RunningTarget) -> None:
    """Pools that change while they are copied are left out, whatever they looked like."""
    typed.ask("make Slot 20000")
    typed.ask("churn")
    with MemoryProbe(typed.pid) as probe:
        taken = [probe.census() for _ in range(8)]
    for census in taken:
        i = census.names.index("__main__.Slot")
        assert census.count[i] == pytest.approx(20000, rel=0.02, abs=4 * census.count_error[i])
        assert (census.count >= 0).all()
        assert census.objects_read > 20000


@pytest.mark.every
def test_a_busy_heap_for_a_minute(typed: RunningTarget) -> None:
    """The same for longer."""
    typed.ask("make Slot 20000")
    typed.ask("churn")
    deadline = time.monotonic() + 60
    with MemoryProbe(typed.pid) as probe:
        while time.monotonic() < deadline:
            census = probe.census()
            i = census.names.index("__main__.Slot")
            assert census.count[i] == pytest.approx(20000, rel=0.02, abs=5 * census.count_error[i])


def test_hostile_names_are_harmless(typed: RunningTarget) -> None:
    """Whatever a class calls itself and its module, nothing of it reaches a terminal but what can be printed."""
    typed.ask("hostile")
    census = take(typed.pid)
    assert all(name.isprintable() and len(name) <= 200 for name in census.names)
    found = counts(census)
    assert sum(count for name, count in found.items() if "red" in name or "lines" in name) >= 100
    assert sum(count for name, count in found.items() if name.count("n") > 100) >= 50
    assert sum(count for name, count in found.items() if "宽字符" in name) >= 50


def test_classes_of_one_name_are_one_line(newest_typed: RunningTarget) -> None:
    """A class that is made again and again is a leak of its own; its instances are counted together."""
    newest_typed.ask("classes 800")
    found = counts(take(newest_typed.pid))
    assert found["__main__.classes.<locals>.one.<locals>.Made"] == pytest.approx(800, abs=2)


def test_debug_hooks_do_not_hide_the_types(newest: Interpreter) -> None:
    """With PYTHONMALLOC=debug there are two more words in front of each object."""
    with launch(newest, "typed_heap", environment={"PYTHONMALLOC": "debug"}) as target:
        target.ask("make User 3000")
        target.ask("make Slot 3000")
        found = counts(take(target.pid))
    assert found["__main__.User"] == found["__main__.Slot"] == 3000


def test_why_there_is_no_census(newest: Interpreter) -> None:
    """Without the small-object allocator there is a reason, and of a process that has ended it is said."""
    with (
        launch(newest, "typed_heap", environment={"PYTHONMALLOC": "malloc"}) as target,
        MemoryProbe(target.pid) as probe,
    ):
        with pytest.raises(OutsideError, match="PYTHONMALLOC=malloc"):
            probe.census()
        target.process.kill()
        target.process.wait()
        with pytest.raises(TargetGone):
            probe.census()
