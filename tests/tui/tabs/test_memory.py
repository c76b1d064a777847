"""The tab of the memory answers: is it growing, what is growing, how long is there left."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pyobserver.model.readings import InnerAllocator, MemoryLimit
from pyobserver.source.story import MB, Story
from pyobserver.tui.tabs.memory import chart_view
from pyobserver.tui.view import View

from ..dashboard import dashboard, played


async def test_what_grows_is_marked_and_nothing_else() -> None:
    """By a sign, with its growth; what is flat has none."""
    async with dashboard() as opened:
        assert "▲ Python objects" in opened.text()
        assert re.search(r" \+2\d\.\d MB ", opened.line("▲ Python objects"))
        for flat in ("C heap", "Large blocks", "Thread stacks"):
            line = opened.line(f"   {flat}  ")
            assert "▲" not in line
            assert "▄▄▄▄▄▄▄▄" in line


async def test_the_verdict_names_function_holder_and_line() -> None:
    """One sentence, and it may take two lines."""
    async with dashboard() as opened:
        text = " ".join(opened.text().split())
        for part in (
            "⚠ Verdict Growing: 415 rudder.pipeline.Spawner.push_hash",
            "7.02 MB each",
            "held by rudder.pipeline.Spawner._children",
            "all wait at pipeline.py:88",
            "none has been seen to end",
        ):
            assert part in text


async def test_allocators_of_libraries_stand_below_those_that_have_their_memory() -> None:
    """Whatever the table is sorted by; a filter finds them with what they are part of; Enter tells what they are."""
    source = played(seconds=20)
    reading = source.store.snapshot().memory
    assert reading is not None
    arrow = InnerAllocator("arrow", "Arrow", "native_other", None, 22 * MB, why="it does not tell")
    sqlite = InnerAllocator("sqlite", "SQLite", "c_heap", 9 * MB, None, 12 * MB)
    malloc = InnerAllocator("jemalloc", "jemalloc", "native_other", None, 30 * MB, held_is_most=True, why="no")
    gpu = InnerAllocator("cuda:0", "GPU 0 (PyTorch)", "", 3 * MB, 8 * MB, split=2 * MB)
    source.store.add_memory(replace(reading, inner=(arrow, sqlite, malloc), unnamed=2 * MB))
    tick = source.store.snapshot().tick
    assert tick is not None
    source.store.add_tick(replace(tick, allocators=(gpu,)))
    async with dashboard(source) as opened:
        for column in ("held", "label", "in_use"):
            opened.app.tab.sort_by(column)
            await opened.pilot.pause()
            names = [row.name for row in opened.app.tab._table.lines.rows]  # type: ignore[attr-defined]
            assert names[names.index("c_heap") + 1] == "sqlite"
            at = names.index("native_other")
            assert set(names[at + 1 : at + 3]) == {"arrow", "jemalloc"}
            assert names[-2:] == ["total", "cuda:0"]
        assert re.search(r"└ Arrow +· +22\.0 MB", opened.line("└ Arrow"))
        assert "≤ 30.0 MB" in opened.line("└ jemalloc")
        opened.app.tab.filter_by("arrow")
        await opened.pilot.pause()
        assert [row.name for row in opened.app.tab._table.lines.rows] == ["native_other", "arrow"]  # type: ignore[attr-defined]
        await opened.press("down", "down", "enter")
        text = " ".join(opened.text().split())
        for part in ("pyarrow's memory pool", "part of “Other native memory”", "it does not tell", "22.0 MB"):
            assert part in text, text
        await opened.press("escape")
        opened.app.tab.filter_by("pytorch")
        await opened.pilot.pause()
        await opened.press("up", "enter")
        text = " ".join(opened.text().split())
        assert "2.00 MB of what is kept lie between tensors" in text, text
        assert "s ago" not in text  # the agent tells of it with every update


async def test_many_allocators_leave_the_verdict_on_a_small_screen() -> None:
    """The table scrolls where there is no room for all of its lines; it takes more when the terminal grows."""
    source = played(seconds=20)
    reading = source.store.snapshot().memory
    assert reading is not None
    many = tuple(
        InnerAllocator(f"mimalloc {n}", f"mimalloc of lib{n}.so", "c_heap", None, MB, why="-") for n in range(9)
    )
    source.store.add_memory(replace(reading, inner=many))
    async with dashboard(source, size=(80, 24)) as opened:
        opened.line("Verdict")
        assert "Total (RSS)" not in opened.text()
        await opened.pilot.resize_terminal(80, 50)
        await opened.until_line("mimalloc of lib5.so")
        opened.line("Verdict")


async def test_native_memory_without_a_name_is_told() -> None:
    """Of what no allocator or library is known for, the sum is said."""
    source = played(seconds=20)
    reading = source.store.snapshot().memory
    assert reading is not None
    source.store.add_memory(replace(reading, unnamed=2 * MB))
    async with dashboard(source, "down", "down", "down") as opened:
        await opened.until_line("2.00 MB without a name · memory that")


async def test_the_fixed_service_is_steady() -> None:
    """The same screen without a mark, a finding, or an end."""
    async with dashboard(played(Story(fixed=True), seconds=120)) as opened:
        assert "Memory is steady" in opened.text()
        assert "▲" not in opened.text()
        assert "finding" not in opened.lines()[0]
        assert "full in" not in opened.lines()[0]


async def test_the_chart_has_the_limit_and_where_it_comes_from() -> None:
    """A limit in reach is a line of its own."""
    async with dashboard() as opened:
        await opened.until_line("limit 4.00 GB (cgroup)")


def test_the_chart_ends_with_the_snapshot() -> None:
    """What has come since belongs to the next one, so that a paused chart stands still."""
    source = played()
    snapshot = source.store.snapshot()
    source.play(30)
    view = chart_view(snapshot, View())
    assert view.window[1] == snapshot.taken_at
    assert all(series.xs[-1] <= snapshot.taken_at for series in view.series)


def test_the_chart_begins_with_what_is_known() -> None:
    """In the first minutes the lines fill it, though never less than a minute; then it is as wide as the window."""
    source = played(past=0, seconds=20)
    widths = []
    for seconds in (0, 100, 600):
        source.play(seconds)
        first, last = chart_view(source.store.snapshot(), View(window=300.0)).window
        widths.append(round(last - first, -1))
    assert widths == [60, 120, 300]


def test_no_limit_is_no_line() -> None:
    """And no seconds until it is reached."""
    source = played()
    source.store.set_limit(MemoryLimit(None, "none", None, 0))
    assert chart_view(source.store.snapshot(), View()).limit is None


async def test_unknown_values_say_why() -> None:
    """A dot in the table, and under it the reason for the selected line."""
    source = played()
    reading = source.story.memory(60)
    c_heap = replace(reading.allocators[1], in_use=None)
    allocators = (reading.allocators[0], c_heap, *reading.allocators[2:])
    unavailable = {"c_heap": "jemalloc takes its place"}
    source.store.add_memory(replace(reading, allocators=allocators, unavailable=unavailable))
    async with dashboard(source, "down") as opened:
        assert " · " in opened.line("   C heap  ")
        assert "jemalloc takes its place" in opened.line("C heap  jemalloc")
        total = opened.line("Total (RSS)")
        assert total.split().count("·") == 3  # in use, kept and utilisation: what one allocator does not tell


async def test_what_was_freed_but_kept_has_a_column() -> None:
    """At a glance: objects, or memory that no object holds any more; also in 80 columns."""
    for size in ((118, 36), (80, 24)):
        async with dashboard(size=size) as opened:
            assert re.search(r" Held +Kept ", opened.line("Allocator  "))
            assert " 19.0 MB " in opened.line("   C heap  ")


async def test_every_row_is_explained() -> None:
    """The help has a sentence for each allocator, as a newcomer needs."""
    async with dashboard(None, "question_mark", size=(118, 80)) as opened:
        for part in ("Rows", "C heap", "Thread stacks", "Shared memory", "Kept", "Total (RSS)"):
            assert part in opened.text()


async def test_the_chart_has_areas_or_lines() -> None:
    """The areas add up to the resident memory; the lines tell small ones apart; a changes between them."""
    async with dashboard() as opened:
        await opened.until_line("1█ Python objects")
        areas = chart_view(opened.source.store.snapshot(), View())
        assert sum(each.ys[-1] for each in areas.series) == pytest.approx(opened.source.story.memory(60).rss)
        await opened.press("a")
        await opened.until_line("1━ Total (RSS)")
        await opened.press("a")
        await opened.until_line("1█ Python objects")


async def test_enter_on_the_total_leads_to_the_tasks() -> None:
    """On an allocator it says what that holds; the last line offers what it does."""
    async with dashboard(None, "end") as opened:
        await opened.until(lambda: "Enter tasks" in opened.lines()[-1])
        await opened.press("up")
        await opened.until(lambda: "Enter what it holds" in opened.lines()[-1])
        await opened.press("down", "enter")
        assert opened.app.tab.title == "Processes/Tasks"


async def test_nothing_to_show_in_the_tree() -> None:
    """A steady verdict names no holder."""
    async with dashboard(played(Story(empty=True))) as opened:
        await opened.press("t")
        assert opened.app.tab.title == "Memory Allocators"
