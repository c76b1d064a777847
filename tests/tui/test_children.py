"""Enter on a child process watches it in the same dashboard; Esc leads back."""

from __future__ import annotations

import pytest

from pyobserver.source.base import SourceError
from pyobserver.tui.tabs.tree import TreeTab
from pyobserver.tui.tabs.tree_joined import Inside

from .dashboard import Dashboard, StillSource, dashboard

CHILD = "pid 4720"


async def to_child(opened: Dashboard) -> None:
    """Put the cursor on the child, among single rows or in the tree."""
    await opened.press("slash")
    await opened.type("4720")
    await opened.press("enter")
    await opened.press("end")
    assert "Enter attach to it" in opened.lines()[-1], opened.text()


@pytest.mark.parametrize("keys", [("3", "g"), ("4",)], ids=["among the tasks", "in the tree"])
async def test_enter_watches_a_child(keys: tuple[str, ...]) -> None:
    """Its own head, tasks and tree; the name of its parent stands before its own, and Esc goes back to the very row."""
    async with dashboard(None, *keys) as opened:
        await to_child(opened)
        at = opened.cursor()
        await opened.press("enter")
        await opened.until_line("rudder.main ▸")
        assert opened.app.source is not opened.source
        assert opened.source.stopped == 0  # its parent is read on
        assert "Esc to rudder.main" in opened.lines()[-1]
        child = opened.app.source
        assert isinstance(child, StillSource)
        child.play(30)
        await opened.renew()
        assert CHILD in opened.lines()[0] and "finding" not in opened.lines()[0]
        await opened.press("escape")
        await opened.until(lambda: opened.app.source is opened.source)
        await opened.until(lambda: child.stopped == 1)
        assert "▸" not in opened.lines()[0] and "pid 4711" in opened.lines()[0]
        assert opened.cursor() == at and "4720" in opened.text()
        await opened.press("4")
        assert "423 tasks with 2.9" in opened.line(CHILD + "  "), opened.text()


async def test_its_tree_hangs_in_that_of_its_parent() -> None:
    """As it was seen last, dim; Enter in it attaches again, and what grew there is seen without opening it."""
    async with dashboard(None, "4") as opened:
        await to_child(opened)
        await opened.press("enter")
        await opened.until_line("rudder.main ▸")
        opened.app.source.play(30)  # type: ignore[attr-defined]
        await opened.renew()
        await opened.press("escape")
        await opened.until(lambda: opened.app.source is opened.source)
        await opened.press("escape")  # the filter
        await opened.until(lambda: "executor" in opened.text())
        row = -4720
        tab = opened.app.tab
        assert isinstance(tab, TreeTab) and tab.reveal(row)
        await opened.press("right", "right", "right", "right", "right")
        inner = opened.cursor()
        assert isinstance(inner, Inside) and inner.process == row
        assert sum("loop MainThread" in line for line in opened.lines()) == 2
        for _ in range(3):
            await opened.press("down", "i", "d", "y")
        assert "Enter attach to it" in opened.lines()[-1] and " o " not in opened.lines()[-1]
        await opened.press("o", "t", "n", "left", "left", "left", "left", "left", "left")
        assert not isinstance(opened.cursor(), Inside)
        opened.source.play(10)
        await opened.renew()
        assert tab.reveal(row)
        await opened.press("right", "right", "enter")
        await opened.until_line("rudder.main ▸")


async def test_what_the_parent_does_meanwhile_is_known_afterwards() -> None:
    """Its store goes on; what was paused stays so."""
    async with dashboard(None, "4") as opened:
        await to_child(opened)
        before = opened.source.store.snapshot().taken_at
        await opened.press("enter")
        await opened.until_line("rudder.main ▸")
        opened.source.play(40)
        await opened.press("escape")
        await opened.until(lambda: opened.app.source is opened.source)
        await opened.until_line(CHILD)
        assert opened.app._watched.snapshot.taken_at >= before + 40


async def test_tabs_and_pause_are_of_each_process() -> None:
    """The child opens on the tab where one was, and its keys do not reach its parent."""
    async with dashboard(None, "4") as opened:
        await to_child(opened)
        await opened.press("enter")
        await opened.until_line("rudder.main ▸")
        assert opened.app.tab.title == "Supervision Tree"
        await opened.press("2", "space")
        assert opened.app._watched.paused_at is not None
        await opened.press("escape")
        await opened.until(lambda: opened.app.source is opened.source)
        assert opened.app.tab.title == "Supervision Tree"
        assert opened.app._watched.paused_at is None


async def test_a_child_that_cannot_be_watched_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of it from outside is shown instead."""

    def refuse(self: StillSource, pid: int) -> StillSource:
        raise SourceError(f"process {pid} cannot be attached to: it does not run Python but /bin/sleep")

    monkeypatch.setattr(StillSource, "child", refuse)
    async with dashboard(None, "3", "g") as opened:
        await to_child(opened)
        await opened.press("enter")
        await opened.until_line("its RSS is")
        assert any("does not run Python" in n.message for n in opened.app._notifications)
        await opened.press("escape")
        assert opened.app.source is opened.source


async def test_quitting_leaves_all_of_them() -> None:
    """Also those above."""
    async with dashboard(None, "4") as opened:
        await to_child(opened)
        await opened.press("enter")
        await opened.until_line("rudder.main ▸")
        child = opened.app.source
        parent = opened.source
    assert isinstance(child, StillSource)
    assert child.stopped == 1 and parent.stopped == 1
