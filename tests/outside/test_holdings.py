"""What each allocator holds is named, and adds up to what it is said to hold."""

from __future__ import annotations

import pytest

from pyobserver.model.readings import Holding, MemoryReading
from pyobserver.outside import MemoryProbe
from pyobserver.outside.holdings import MOST, Inventory
from pyobserver.outside.mappings import PAGE, Mapping

from ..support.targets import RunningTarget


def of(reading: MemoryReading, allocator: str) -> list[Holding]:
    return [each for each in reading.holdings if each.allocator == allocator]


def test_everything_is_named_and_adds_up(heap: RunningTarget) -> None:
    """Files by their paths with their share, stacks by their threads, blocks by their size."""
    for command in ("blocks 6 2000000", "blocks 3 5000000", "threads 3 100000", "shared 3000000", "mapped 4000000"):
        heap.ask(command)
    heap.ask("private 9000000")
    with MemoryProbe(heap.pid) as probe:
        reading = probe.read()
    held = {each.name: each.held for each in reading.allocators}
    for name in ("native_other", "stacks", "files", "shared"):
        known = [each.resident for each in of(reading, name) if each.resident is not None]
        assert sum(known) == pytest.approx(held[name], rel=0.02, abs=PAGE)
    files = of(reading, "files")
    assert any("python" in each.label for each in files)
    assert all(each.pss is None or each.resident is None or each.pss <= each.resident for each in files)
    assert {each.label.split()[0] for each in of(reading, "stacks")} <= {"main", "thread", "a"}
    assert of(reading, "native_other")[0].resident == pytest.approx(9_000_000, rel=0.05)
    blocks = {int(each.label): each for each in of(reading, "large_blocks") if each.label}
    assert any(each.count >= 6 and size == pytest.approx(2_000_000, rel=0.01) for size, each in blocks.items())
    assert any(each.count >= 3 and size == pytest.approx(5_000_000, rel=0.01) for size, each in blocks.items())
    assert sum(each.resident or 0 for each in blocks.values()) == pytest.approx(held["large_blocks"], rel=0.02)


def test_the_many_small_ones_are_one() -> None:
    """The largest by name, the others together, so that the sum is the whole."""
    inventory = Inventory()
    for number in range(100):
        mapping = Mapping(0, (number + 1) * PAGE, "r--p", f"/lib/{number}", proportional=PAGE)
        inventory.add("files", mapping.name, mapping, mapping.size, mapping.size)
    largest = inventory.largest()
    assert len(largest) == MOST + 1
    assert (largest[0].label, largest[0].resident, largest[0].pss) == ("/lib/99", 100 * PAGE, PAGE)
    assert (largest[-1].label, largest[-1].count) == ("", 100 - MOST)
    assert sum(each.resident or 0 for each in largest) == 5050 * PAGE


def test_names_of_the_target_are_cleaned() -> None:
    """A file may have a name that would reach the terminal."""
    inventory = Inventory()
    mapping = Mapping(0, PAGE, "r--p", "/tmp/\x1b[31mred" + "x" * 1000)
    inventory.add("files", mapping.name, mapping, PAGE, PAGE)
    (one,) = inventory.largest()
    assert "\x1b" not in one.label
    assert len(one.label) <= 200
