"""What can be done about memory is asked first with what it costs, and told afterwards with what it did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from textual.widgets import OptionList, Static

from pyobserver.model.actions import ASKED, ENDED, LOST, MOVED, REFUSED, Outcome, Progress, Prospects, Site
from pyobserver.tui.remedies import RemedyQuestion, TraceResult, question

from .dashboard import Dashboard, dashboard, played

SITES = (Site("/srv/rudder/rudder/pipeline.py", 88, 7_000_000, 1200), Site("/usr/lib/json/decoder.py", 353, 900, 3))


def report(opened: Dashboard, position: int, *words: Any) -> None:
    opened.source.store.report_actions([opened.source.acted[position][2]], Progress(*words))


def words(opened: Dashboard) -> str:
    """What the box on the screen says, whatever its lines are broken at."""
    box = opened.app.screen
    if isinstance(box, RemedyQuestion):
        return " ".join(str(box.query_one(OptionList).get_option_at_index(0).prompt).split())
    return " ".join(str(box.query_one("TraceResult > VerticalScroll > Static", Static).render()).split())


async def test_without_leave_nothing_is_offered() -> None:
    async with dashboard() as opened:
        assert "c collect" not in opened.lines()[-1]
        await opened.press("c", "e", "l")
        assert not isinstance(opened.app.screen, RemedyQuestion) and opened.source.acted == []
        assert sum("--allow-actions" in n.message for n in opened.app._notifications) == 3


async def test_each_question_says_what_it_costs_and_no_is_the_default() -> None:
    wanted = {
        "c": ("finalizers", "predicted", "of Python objects in use"),
        "e": ("malloc gives back", "C heap", "5 to 130 ms"),
        "l": ("5 to 9 times slower", "stands still: 0.2 s", "8 MB"),
    }
    async with dashboard(played(allows_actions=True), size=(180, 40)) as opened:
        for key, parts in wanted.items():
            assert f" {key} " in opened.lines()[-1]
            await opened.press(key)
            assert isinstance(opened.app.screen, RemedyQuestion)
            for part in parts:
                assert part in words(opened), (part, opened.text())
            assert "_ctypes" not in opened.text()  # the made-up program has it
            await opened.press("enter")
            assert not isinstance(opened.app.screen, RemedyQuestion)
        assert opened.source.acted == []


async def test_they_are_asked_for_and_their_results_told() -> None:
    async with dashboard(played(allows_actions=True), size=(180, 40)) as opened:
        await opened.press("c", "y")
        await opened.press("e", "down", "enter")
        assert [(name, row) for name, row, _ in opened.source.acted] == [("collect", 0), ("trim", 0)]
        assert opened.source.settings == [{}, {"load": True}]
        await opened.until_line("collecting garbage: asked for")
        report(opened, 0, ENDED, 0.2, True, "", Outcome(0.134, 540_000_000, 530_000_000, 1234, 2))
        report(opened, 1, REFUSED, 0.0, True, "its malloc is none that can")
        await opened.until_line("1,234 objects freed in 134 ms, 2 uncollectable · RSS 540 MB before, 530 MB after")
        assert "giving memory back: not done: its malloc is none that can" in opened.text()
        await opened.press("c")
        assert "the last time for 134 ms" in words(opened)


async def test_a_trace_tells_the_time_left_and_opens_what_it_found() -> None:
    async with dashboard(played(allows_actions=True), size=(180, 40)) as opened:
        await opened.press("l", "y")
        assert opened.source.settings == [{"load": True, "seconds": 10}]
        report(opened, 0, ASKED, 0.0, False, "")
        await opened.until_line("tracing allocations: 10 s left, l ends it")
        assert "stop trace" in opened.lines()[-1]
        await opened.press("l")
        assert opened.source.enoughs == 1 and len(opened.source.acted) == 1
        found = Outcome(0.05, traced_seconds=4.0, bytes=7_000_900, blocks=1203, places=2, sites=SITES)
        report(opened, 0, ENDED, 4.0, True, "stopped early", found)
        await opened.until(lambda: isinstance(opened.app.screen, TraceResult))
        line = await opened.until_line("/srv/rudder/rudder/pipeline.py:88")
        assert all(part in line for part in ("7.00 MB", "1,200", "100 %"))
        assert "It was stopped early." in words(opened)
        await opened.press("y")
        assert opened.app.clipboard.splitlines()[0] == "/srv/rudder/rudder/pipeline.py:88\t7000000\t1200"
        await opened.press("escape")
        await opened.until_line("tracing allocations: in 4.0 s 7.00 MB in 1,203 blocks")
        await opened.press("l", "end", "enter")  # the last result, once more
        await opened.until(lambda: isinstance(opened.app.screen, TraceResult))


async def test_what_cannot_be_is_not_asked() -> None:
    source = played(allows_actions=True)
    tick = source.store.snapshot().tick
    assert tick is not None
    source.store.add_tick(replace(tick, prospects=Prospects("no event loop runs", False, True)))
    assert any("_ctypes" in text for text in question("trim", source.store.snapshot()))
    async with dashboard(source, size=(180, 40)) as opened:
        await opened.press("c", "l")
        assert not isinstance(opened.app.screen, RemedyQuestion)
        said = [n.message for n in opened.app._notifications]
        assert any("no event loop runs" in text for text in said)
        assert any("traces its allocations itself" in text for text in said)
        await opened.press("e")
        assert "_ctypes will be loaded" in words(opened)


async def test_where_tasks_are_made_is_noted_until_the_same_key_ends_it() -> None:
    """From the tasks, the tree and the screen of a task; the question says what it costs each task."""
    source = played(allows_actions=True)
    tick = source.store.snapshot().tick
    assert tick is not None
    source.store.add_tick(replace(tick, prospects=Prospects("", True, False, False, 0.8e-6)))
    async with dashboard(source, size=(180, 40)) as opened:
        await opened.press("w")
        assert not isinstance(opened.app.screen, RemedyQuestion)
        await opened.press("4")
        assert "w where made" in opened.lines()[-1]
        await opened.press("w")
        assert all(part in words(opened) for part in ("task factory", "made from now on, about 0.8 µs", "w ends it"))
        await opened.press("enter", "w", "y")
        assert source.acted[0][:2] == ("creations", 0) and source.settings == [{"on": True}]
        report(opened, 0, MOVED, 0.0, False, "where tasks are made is noted")
        await opened.until_line("noting where tasks are made: for ")
        assert "w end noting" in opened.lines()[-1]
        await opened.press("3", "home", "enter", "enter", "w")
        assert source.settings == [{"on": True}, {"on": False}]
        report(opened, 1, ENDED, 0.0, True, "")
        report(opened, 0, ENDED, 0.0, True, "of 35 tasks it is known where they were made")
        await opened.until_line("noting where tasks are made: ended: of 35 tasks")
        assert sum("noting where" in line for line in opened.lines()) == 1
        await opened.press("w")
        assert isinstance(opened.app.screen, RemedyQuestion)


async def test_of_noting_it_is_told_what_became_of_it() -> None:
    """Refused, and over with its agent."""
    async with dashboard(played(allows_actions=True), "3", size=(180, 40)) as opened:
        await opened.press("w", "y")
        await opened.until_line("noting where tasks are made: asked for")
        report(opened, 0, REFUSED, 0.0, True, "no event loop is known")
        await opened.until_line("noting where tasks are made: not done: no event loop is known")
        await opened.press("w", "y")
        report(opened, 1, LOST, 0.0, True, "")
        await opened.until_line("noting where tasks are made: over: the agent is not there any more")
