"""Memory by allocator: what is shown is what was read, and what was not read is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyobserver.analysis.allocators import (
    TREND_POINTS,
    allocator_rows,
    chart_areas,
    chart_lines,
    memory_outlook,
    table_rows,
    trend,
)
from pyobserver.model.census import ArrayData
from pyobserver.model.history import NO_CURVE, Series
from pyobserver.model.past import PastSeries
from pyobserver.model.readings import Allocator, InnerAllocator, MemoryLimit
from pyobserver.model.store import Store
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import MB, Story
from tests.model import made
from tests.model.made import NOW, Clock

WINDOW = 600.0


def feed(clock: Clock, store: Store, sizes: list[int], held: int = 50 * MB) -> None:
    """A reading per second with these bytes of Python objects in use, and as much RSS and 60 MB more."""
    for size in sizes:
        python, heap = Allocator("python", "Python objects", size, held), Allocator("c_heap", "C heap", None, 10 * MB)
        reading = made.memory(clock.now, rss=size + 60 * MB)
        store.add_memory(replace(reading, allocators=(python, heap)))
        store.add_process(made.process(clock.now, rss=size + 60 * MB))
        clock.now += 1


def test_of_the_story() -> None:
    """One line per allocator and the total last; Python's line grows, and its trend rises."""
    source = FakeSource(Story(per_minute=30))
    source.play(120)
    rows = {row.name: row for row in allocator_rows(source.store.snapshot(), WINDOW)}
    assert list(rows)[-1] == "total" and len(rows) == 8
    python = rows["python"]
    assert python.in_use is not None and python.held is not None
    assert python.utilisation == pytest.approx(python.in_use / python.held)
    assert python.growth == pytest.approx(30 * 7_020_000, rel=0.05) and python.growing
    assert len(python.trend) == TREND_POINTS and list(python.trend) == sorted(python.trend)
    assert rows["total"].share == 1.0 and rows["total"].growing
    assert sum(row.share or 0.0 for name, row in rows.items() if name != "total") == pytest.approx(1.0, abs=0.01)
    assert rows["c_heap"].kept == 19 * MB and not rows["c_heap"].growing
    assert python.kept is not None and rows["total"].kept == python.kept + 19 * MB
    assert rows["large_blocks"].kept is None and rows["files"].kept is None


def test_allocators_of_libraries_are_part_of_others() -> None:
    """In use as the agent says, held as it shows from outside, one line for both; the others still add up alone."""
    clock = Clock()
    store = Store(clock)
    outside = (
        InnerAllocator("arrow", "Arrow", "native_other", None, 40, why="it does not tell"),
        InnerAllocator("sqlite", "SQLite", "c_heap", 9, None, 12),
        InnerAllocator("jemalloc", "jemalloc", "native_other", None, 50, held_is_most=True, why="it does not tell"),
    )
    native = Allocator("native_other", "Other native memory", None, 90)
    for second in range(30):
        reading = made.memory(clock.now, rss=100)
        store.add_process(made.process(clock.now, rss=100))
        store.add_memory(replace(reading, allocators=(*reading.allocators, native), inner=outside))
        arrow = InnerAllocator("arrow", "Arrow (mimalloc)", "native_other", 10 + second, None, 60)
        gpu = InnerAllocator("cuda:0", "GPU 0 (PyTorch)", "", 3, 8, 5)
        store.add_tick(replace(made.tick(clock.now), allocators=(arrow, gpu)))
        clock.now += 1
    snapshot = store.snapshot()
    assert [row.name for row in allocator_rows(snapshot, WINDOW)] == ["python", "c_heap", "native_other", "total"]
    rows = {row.name: row for row in table_rows(snapshot, WINDOW)}
    assert list(rows) == ["python", "c_heap", "sqlite", "native_other", "jemalloc", "arrow", "total", "cuda:0"]
    found = rows["arrow"]
    assert (found.label, found.in_use, found.held, found.kept, found.peak) == ("Arrow (mimalloc)", 39, 40, 1, 40)
    assert found.peak_in_use == 60
    assert (found.utilisation, found.share, found.reason) == (pytest.approx(39 / 40), pytest.approx(0.4), "")
    assert found.growth == pytest.approx(60, rel=0.01)
    assert (rows["sqlite"].in_use, rows["sqlite"].held, rows["sqlite"].peak_in_use) == (9, None, 12)
    assert "cannot be told" in rows["sqlite"].reason
    assert rows["jemalloc"].held_is_most and rows["jemalloc"].kept is rows["jemalloc"].utilisation is None
    assert (rows["cuda:0"].within, rows["cuda:0"].share, rows["cuda:0"].kept) == ("", None, 5)
    store.set_baseline()
    assert {row.name: row.marked for row in table_rows(store.snapshot(), WINDOW)}["arrow"] == 0


def test_arrays_of_numpy_are_part_of_two_allocators() -> None:
    """As a census has met them: in malloc's heap, and in blocks that it has mapped; with the error of the sample."""
    source = FakeSource(Story())
    source.count_objects(True)
    source.step()
    source.play(20)
    store = source.store
    census = store.snapshot().heap.newest
    assert census is not None
    store.add_census(replace(census, arrays=ArrayData(10.0 * MB, 0.0, 20.0 * MB, 1.0 * MB)))
    rows = table_rows(store.snapshot(), WINDOW)
    names = [row.name for row in rows]
    assert names[names.index("c_heap") + 1] == "numpy heap"
    assert names[names.index("large_blocks") + 1] == "numpy mapped"
    found = {row.name: row for row in rows}
    assert (found["numpy heap"].in_use, found["numpy heap"].in_use_error) == (10 * MB, 0)
    assert (found["numpy mapped"].in_use, found["numpy mapped"].in_use_error) == (20 * MB, round(1.96 * MB))
    assert found["numpy mapped"].held is None


def test_nothing_grows_in_the_fixed_twin() -> None:
    """No line is marked."""
    source = FakeSource(Story(fixed=True))
    source.play(120)
    assert not [row.name for row in allocator_rows(source.store.snapshot(), WINDOW) if row.growing]
    assert not memory_outlook(source.store.snapshot(), WINDOW).growing


def test_what_is_not_known() -> None:
    """Before the first reading there are no lines; what cannot be told is None, with the reason."""
    clock = Clock()
    store = Store(clock)
    assert allocator_rows(store.snapshot(), WINDOW) == []
    assert [len(line.curve) for line in chart_lines(store.snapshot(), WINDOW)] == [0] * 5
    store.add_memory(made.memory(python=(None, None)))
    python, heap = allocator_rows(store.snapshot(), WINDOW)
    assert (python.in_use, python.held, python.utilisation, python.peak, python.share) == (None,) * 5
    assert (python.growth, python.growing, python.trend) == (None, False, ())
    assert heap.reason == "not told" and heap.growth is None and heap.held == 30
    store.add_process(made.process(rss=None))
    assert [row.name for row in allocator_rows(store.snapshot(), WINDOW)] == ["python", "c_heap"]


def test_an_empty_allocator_is_not_an_unknown_one() -> None:
    """Nothing held is zero bytes and no utilisation."""
    store = Store(Clock())
    store.add_memory(made.memory(python=(0, 0)))
    python = allocator_rows(store.snapshot(), WINDOW)[0]
    assert (python.in_use, python.held, python.utilisation, python.share) == (0, 0, None, 0.0)


def test_the_peak_stays() -> None:
    """The largest that was held, also after it was given back."""
    clock = Clock()
    store = Store(clock)
    feed(clock, store, [MB] * 3, held=90 * MB)
    feed(clock, store, [MB] * 3, held=20 * MB)
    assert allocator_rows(store.snapshot(), WINDOW)[0].peak == 90 * MB


def test_since_the_baseline() -> None:
    """The change of what is held; what was not known then is not known since."""
    clock = Clock()
    store = Store(clock)
    store.add_memory(made.memory(python=(None, None)))
    store.set_baseline()
    feed(clock, store, [10 * MB])
    rows = {row.name: row for row in allocator_rows(store.snapshot(), WINDOW)}
    assert rows["python"].marked is None and rows["c_heap"].marked == 10 * MB - 30 and rows["total"].marked is None
    store.set_baseline()
    feed(clock, store, [13 * MB], held=54 * MB)
    rows = {row.name: row for row in allocator_rows(store.snapshot(), WINDOW)}
    assert rows["python"].marked == 4 * MB and rows["total"].marked == 3 * MB and rows["c_heap"].marked == 0


def test_when_the_limit_is_reached() -> None:
    """At this rate, from what counts against the limit; never for what does not grow."""
    clock = Clock()
    store = Store(clock)
    feed(clock, store, [second * MB for second in range(60)])
    assert memory_outlook(store.snapshot(), WINDOW).seconds_to_limit is None
    rss = 59 * MB + 60 * MB
    store.set_limit(MemoryLimit(rss + 100 * MB, "RLIMIT_AS", None))
    outlook = memory_outlook(store.snapshot(), WINDOW)
    assert outlook.growing and outlook.growth == pytest.approx(60 * MB)
    assert outlook.seconds_to_limit == pytest.approx(100)
    store.set_limit(MemoryLimit(rss + 100 * MB, "cgroup", rss + 70 * MB))
    assert memory_outlook(store.snapshot(), WINDOW).seconds_to_limit == pytest.approx(30)
    for unreachable in (MemoryLimit(None, "host", None), MemoryLimit(rss - MB, "cgroup", None)):
        store.set_limit(unreachable)
        assert memory_outlook(store.snapshot(), WINDOW).seconds_to_limit is None
    feed(clock, store, [59 * MB] * 600)
    store.set_limit(MemoryLimit(rss + 100 * MB, "RLIMIT_AS", None))
    outlook = memory_outlook(store.snapshot(), 300.0)
    assert not outlook.growing and outlook.seconds_to_limit is None and outlook.growth == pytest.approx(0, abs=1)


def test_trends() -> None:
    """Means of equal parts, oldest first; fewer points than parts are shown as they are."""
    assert trend(NO_CURVE) == ()
    series = Series()
    for second in range(3):
        series.add(NOW + second, float(second))
    assert trend(series.curve(NOW - 1)) == (0.0, 1.0, 2.0)
    for second in range(3, 16):
        series.add(NOW + second, float(second))
    assert trend(series.curve(NOW - 1)) == tuple(2 * i + 0.5 for i in range(8))


@pytest.mark.parametrize("known", [8.0, 300.0])
def test_memory_before_an_observer_came(known: float) -> None:
    """The agent has kept how much it was, not what of: that is an area of its own, up to where the others begin."""
    source = FakeSource(Story())
    source.play(60)
    store, begin = source.store, source.story.begin
    ages = np.arange(60.0 + known, 59.0, -1.0)
    cells = np.column_stack([ages, np.ones(len(ages)), *[np.full(len(ages), 3e9)] * 3])
    store.add_past(PastSeries("rss", None, cells))
    areas = chart_areas(store.snapshot(), 600.0)
    assert ("rss" in [each.name for each in areas]) is (known > 15)
    if known > 15:
        last = areas[-1]
        first = min(each.curve.times[0] for each in areas[:-1])
        assert last.label == "RSS, not divided"
        assert last.curve.times[0] < begin - known + 2 and begin - 2 < last.curve.times[-1] < first
        store.greet(replace(source.story.facts(), followed_seconds=300.0))
        assert chart_areas(store.snapshot(), 600.0)[-1].label == "RSS, before we came"
    assert "rss" not in [each.name for each in chart_areas(store.snapshot(), 30.0)]


def test_the_total_is_what_the_allocators_of_a_newer_reading_add_up_to() -> None:
    """Right after attaching memory rises between two readings; a later one of the process alone is newer again."""
    store = Store(Clock())
    store.add_process(made.process(made.NOW, rss=90))
    store.add_memory(made.memory(made.NOW + 0.3, rss=100))
    total = allocator_rows(store.snapshot(), 600)[-1]
    assert (total.name, total.held, total.peak) == ("total", 100, 100)
    assert memory_outlook(store.snapshot(), 600).rss == 100
    store.add_process(made.process(made.NOW + 1, rss=95))
    assert allocator_rows(store.snapshot(), 600)[-1].held == 95
