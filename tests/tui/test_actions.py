"""A task is cancelled after a question, where the user has allowed it, and what comes of it can be read."""

from __future__ import annotations

from typing import Any

from pyobserver.model.actions import ASKED, ENDED, LOST, MOVED, REFUSED, Progress
from pyobserver.source.story import Story
from pyobserver.tui.actions import MOST_LINES, STAYS_SECONDS, CancelQuestion
from pyobserver.tui.tabs.detail import DetailScreen

from .dashboard import Dashboard, StillSource, dashboard, played


def allowed(story: Story | None = None) -> StillSource:
    return played(story, allows_actions=True)


async def select(opened: Dashboard, name: str) -> None:
    """Put the cursor on the row with this name in the table of single tasks."""
    await opened.press("3", "g", "slash")
    await opened.type(name)
    await opened.press("enter", "home")


def report(opened: Dashboard, position: int, *words: Any) -> None:
    opened.source.store.report_actions([opened.source.acted[position][2]], Progress(*words))


async def test_without_leave_it_is_not_offered_and_says_why() -> None:
    async with dashboard() as opened:
        await select(opened, "push_hash-407")
        assert "x cancel" not in opened.lines()[-1]
        await opened.press("x")
        assert not isinstance(opened.app.screen, CancelQuestion)
        assert any("--allow-actions" in n.message for n in opened.app._notifications)
        await opened.press("enter")
        assert isinstance(opened.app.screen, DetailScreen)
        assert "x cancel" not in opened.lines()[-1]
        await opened.press("x")
        assert isinstance(opened.app.screen, DetailScreen)
        assert opened.source.acted == []


async def test_the_question_says_what_happens_and_no_is_the_default() -> None:
    async with dashboard(allowed(), size=(150, 36)) as opened:
        await select(opened, "push_hash-407")
        assert "x cancel" in opened.lines()[-1]
        await opened.press("x")
        assert isinstance(opened.app.screen, CancelQuestion)
        text = " ".join(opened.text().split())
        for part in (
            "push_hash-407",
            "rudder.pipeline.Spawner.push_hash",
            "retains ~",
            "gets CancelledError at its next step; the program may catch it",
        ):
            assert part in text
        await opened.press("enter")
        assert opened.source.acted == []
        for no in ("n", "escape", "q"):
            await opened.press("x", no)
            assert opened.app.screen is opened.app.screen_stack[0]
        assert opened.source.acted == [] and opened.app.is_running


async def test_yes_by_its_letter_and_by_enter() -> None:
    async with dashboard(allowed()) as opened:
        await select(opened, "push_hash-407")
        number = opened.cursor()
        await opened.press("x", "y")
        await opened.press("x", "down", "enter")
        assert [(action, row) for action, row, _ in opened.source.acted] == [("cancel", number)] * 2
        await opened.until_line("cancel push_hash-407: asked for")


async def test_from_the_tree_and_from_the_screen_of_the_task() -> None:
    async with dashboard(allowed()) as opened:
        await select(opened, "push_hash-407")
        number = opened.cursor()
        await opened.press("t")
        assert opened.app.tab.title == "Supervision Tree"
        await opened.until(lambda: opened.app.tab.selected_row() == number)
        await opened.press("x", "y")
        await opened.press("enter")
        assert isinstance(opened.app.screen, DetailScreen)
        assert "x cancel" in opened.lines()[-1]
        await opened.press("x", "y")
        assert isinstance(opened.app.screen, DetailScreen)
        assert [row for _, row, _ in opened.source.acted] == [number, number]
        await opened.until_line("cancel push_hash-407")


async def test_only_a_task_that_goes_on_can_be_cancelled() -> None:
    async with dashboard(allowed(), "3") as opened:
        assert "x cancel" not in opened.lines()[-1]  # a group
        await opened.press("x")
        await select(opened, "MainThread")
        assert "x cancel" not in opened.lines()[-1]
        await opened.press("x")
        assert opened.app.screen is opened.app.screen_stack[0]
        assert all("single asyncio task" in n.message for n in opened.app._notifications)


async def test_what_comes_of_it_stays_readable() -> None:
    """Several at once, each in a line; the last ones, until a while after the last word."""
    async with dashboard(allowed(), size=(150, 36)) as opened:
        await select(opened, "push_hash-40")
        for _ in range(MOST_LINES + 1):
            await opened.press("x", "y", "down")
        report(opened, 1, ENDED, 0.12, True, "cancelled")
        report(opened, 2, MOVED, 0.1, False, "")
        report(opened, 3, ASKED, 0.1, False, "it has not moved")
        await opened.play(5)
        told = [line.strip() for line in opened.lines() if line.strip().startswith("cancel ")]
        assert len(told) == MOST_LINES
        assert told[0].endswith("cancelled after 0.1 s")
        assert "swallowed: it has moved and goes on, waiting on Event.wait" in told[1]
        assert "still there after 5 s: it has not moved" in told[2]
        report(opened, 3, REFUSED, 0.0, True, "its loop is closed")
        report(opened, 2, LOST, 0.0, True, "the agent is not connected any more")
        await opened.renew()
        text = opened.text()
        assert "not done: its loop is closed" in text
        assert "not known what came of it: the agent is not connected" in text
        report(opened, 0, ENDED, 70.0, True, "returned or raised")
        opened.source.clock.advance(STAYS_SECONDS + 1)
        await opened.renew()
        assert not any(line.strip().startswith("cancel ") for line in opened.lines())


async def test_what_comes_of_it_is_told_while_the_screen_stands_still() -> None:
    async with dashboard(allowed()) as opened:
        await select(opened, "push_hash-407")
        await opened.press("space", "x", "y")
        report(opened, 0, ENDED, 0.12, True, "cancelled")
        await opened.until_line("cancel push_hash-407: cancelled after 0.1 s")


async def test_hostile_names_do_no_harm() -> None:
    async with dashboard(allowed(Story(tasks=30, hostile=True)), "3", "g") as opened:
        for _ in range(8):
            await opened.press("x", "y", "down")
        assert opened.app.is_running and opened.lines()
