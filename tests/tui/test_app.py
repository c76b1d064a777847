"""The dashboard shows one tab at a time, stands still when told to, and leaves the target alone."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pyobserver.tui.view import Tab
from pyobserver.tui.widgets import VirtualTable, VirtualTree

from .dashboard import dashboard


async def test_it_opens_on_the_memory() -> None:
    """The first question is whether memory grows; the tab with the answer is open, and its rows have the keys."""
    async with dashboard() as opened:
        assert opened.app.tab.title == "Memory Allocators"
        assert opened.cursor() == "python"
        top = opened.lines()[0]
        for part in ("rudder.main", "pid 4711", "RSS 3.41 GB of 4.00 GB", "▲ ", "MB/min", "full in", "1 finding"):
            assert part in top


@pytest.mark.parametrize(
    ("key", "title"),
    [("1", "System"), ("2", "Memory Allocators"), ("3", "Processes/Tasks"), ("4", "Supervision Tree"), ("5", "Heap")],
)
async def test_numbers_open_tabs(key: str, title: str) -> None:
    """Each tab has its number, also for a click."""
    async with dashboard() as opened:
        await opened.press(key)
        assert opened.app.tab.title == title
        await opened.press("2" if key != "2" else "1")
        at = opened.lines()[1].index(f"{key} ")
        await opened.pilot.click("TabBar", offset=(at + 2, 0))
        assert opened.app.tab.title == title


async def test_numbers_without_a_tab_do_nothing() -> None:
    """There are five tabs so far."""
    async with dashboard(None, "6", "9") as opened:
        assert opened.app.tab.title == "Memory Allocators"


@pytest.mark.parametrize("key", ["1", "2", "3", "4", "5"])
async def test_hidden_tabs_cost_nothing(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the visible tab is given what is new, and no line of another one is painted."""
    async with dashboard(None, key) as opened:
        presented: list[str] = []
        painted: list[Any] = []
        for tab in opened.app._watched.tabs:
            usual = tab.present

            def present(snapshot: Any, view: Any, tab: Tab = tab, usual: Any = usual) -> None:
                presented.append(tab.title)
                usual(snapshot, view)

            monkeypatch.setattr(tab, "present", present)
        for kind in (VirtualTable, VirtualTree):
            paint = kind.paint

            def counted(self: Any, line: int, is_cursor: bool, paint: Any = paint) -> Any:
                painted.append(self)
                return paint(self, line, is_cursor)

            monkeypatch.setattr(kind, "paint", counted)
        await opened.play(5)
        await opened.play(5)
        assert set(presented) == {opened.app.tab.title}
        assert all(opened.app.tab in widget.ancestors for widget in painted)


async def test_a_tab_shows_the_newest_when_it_is_opened() -> None:
    """It was not told of anything while it was hidden."""
    async with dashboard() as opened:
        await opened.press("3")
        before = opened.line("push_hash").split()
        await opened.press("2")
        await opened.play(60)
        await opened.press("3")
        assert int(opened.line("push_hash").split()[2]) == int(before[2]) + 3


async def test_news_come_by_themselves() -> None:
    """Whatever thread changes the store, the next beat shows it."""
    async with dashboard(None, "3") as opened:
        thread = threading.Thread(target=opened.source.play, args=(60,))
        thread.start()
        await opened.until(lambda: "  418  " in opened.text())
        thread.join()


async def test_pause() -> None:
    """The screen stands still and says so; what comes meanwhile is there when it goes on."""
    async with dashboard(None, "3", "space") as opened:
        assert "PAUSED" in opened.line("reading goes on")
        before = opened.lines()
        opened.source.play(120)
        await opened.press("down", "up", "1", "3")
        after = opened.lines()
        assert after[:3] == before[:3]
        assert opened.line("push_hash") == next(line for line in before if "push_hash" in line)
        assert "space go on" in opened.lines()[-1]
        await opened.until_line("PAUSED for 2 min")
        await opened.press("space")
        assert "PAUSED" not in opened.text()
        assert " 421 " in opened.line("push_hash")


async def test_the_status_is_true_while_the_screen_stands_still() -> None:
    """A target that ends is told at once; the numbers stay as they were."""
    async with dashboard(None, "3", "space") as opened:
        before = opened.line("push_hash")
        opened.source.become("killed")
        await opened.until_line("EXITED by SIGKILL")
        assert opened.line("push_hash") == before


async def test_quit() -> None:
    """The source is stopped once, and the store is left alone from then on."""
    async with dashboard() as opened:
        await opened.press("q")
    assert opened.source.stopped == 1
    assert not opened.source.detached
    opened.source.play(1)  # nobody listens any more, and nothing breaks


async def test_what_is_on_the_screen_is_measured_first() -> None:
    """The source is told which single rows are visible, and nothing when there are none."""
    async with dashboard(None, "3", size=(118, 20)) as opened:
        assert opened.source.focused == ()
        await opened.press("g")
        await opened.renew()
        focused = opened.source.focused
        assert 10 < len(focused) <= 256
        await opened.press("end")
        await opened.renew()
        assert opened.source.focused != focused


async def test_problems_are_told() -> None:
    """What somebody could not do is said beside the status, and kept on the first tab."""
    async with dashboard() as opened:
        opened.source.store.add_problem("the stacks could not be read: no permission")
        await opened.until_line("the stacks could not be read")
        await opened.press("1")
        assert "What could not be done" in opened.text()
