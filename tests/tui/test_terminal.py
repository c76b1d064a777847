"""Any terminal, any size, any name, any number of rows."""

from __future__ import annotations

import pytest

from pyobserver.source.story import HOSTILE, Story
from pyobserver.tui.bar import LEAST_SIZE
from pyobserver.tui.picker import PickerApp
from pyobserver.tui.widgets.text import shorten

from .dashboard import StillSource, dashboard, played, shown

TABS = ["1", "2", "3", "4"]
WHAT_MATTERS = {
    "1": ["pid", "resident memory", "Limits"],
    "2": ["▲ Python objects", "▲ Total (RSS)", "Verdict  Growing: 415"],
    "3": ["Spawner.push_hash", "7.02 MB"],
    "4": ["Spawner._children", "push_hash × 415"],
}


@pytest.mark.parametrize("size", [(80, 24), LEAST_SIZE, (100, 30), (240, 70)])
async def test_sizes(size: tuple[int, int]) -> None:
    """From the smallest to a wall: every line has the width of the terminal, and the answer is there."""
    async with dashboard(size=size) as opened:
        for tab in TABS:
            await opened.press(tab)
            text = opened.text()
            assert "connected" in text
            assert "? help" in opened.lines()[-1]
            assert "q quit" in opened.lines()[-1]
            if size != LEAST_SIZE:
                for part in WHAT_MATTERS[tab]:
                    assert part in text


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("size", [(59, 24), (80, 15), (10, 1)])
async def test_too_small(tab: str, size: tuple[int, int]) -> None:
    """One line says so, and when there is room again everything is as before, with the keys on the rows."""
    async with dashboard(None, tab, "end", size=(100, 30)) as opened:
        widget = opened.app.tab.main_widget()
        await opened.until(lambda: "open, close" not in opened.lines()[-1])  # it follows the cursor at the next beat
        before = opened.lines()
        await opened.pilot.resize_terminal(*size)
        lines = opened.lines()
        assert [line.strip() for line in lines[1:] if line.strip()] == []
        told = f"{size[0]}x{size[1]} is too small: 60x16 at least"
        assert lines[0].strip() == (shorten(told, size[0]))
        await opened.play(1)
        await opened.pilot.resize_terminal(100, 30)
        await opened.until(lambda: "too small" not in "\n".join(shown(opened.app, checked=False)))
        await opened.until(lambda: len(opened.app.screen._compositor.render_strips()[0].text) == 100)
        assert opened.app.screen.focused is widget
        assert opened.lines()[1] == before[1]
        await opened.until(lambda: opened.lines()[-1] == before[-1])


@pytest.mark.parametrize("keys", [("3", "enter", "enter"), ("question_mark",), ("s",)])
async def test_too_small_for_what_lies_above(keys: tuple[str, ...]) -> None:
    """A task, the help and a list say it as well, and come back."""
    async with dashboard(None, *keys, size=(100, 30)) as opened:
        screen = opened.app.screen
        await opened.pilot.resize_terminal(40, 10)
        await opened.until(lambda: "40x10 is too small" in "\n".join(shown(opened.app, checked=False)))
        await opened.pilot.resize_terminal(100, 30)
        await opened.until(lambda: "too small" not in "\n".join(shown(opened.app, checked=False)))
        assert opened.app.screen is screen


async def test_the_filter_comes_back_as_it_was() -> None:
    """What was typed is still there when the terminal is large enough again."""
    async with dashboard(None, "3", "slash", size=(100, 30)) as opened:
        await opened.type("flush")
        await opened.pilot.resize_terminal(30, 8)
        await opened.pilot.resize_terminal(100, 30)
        await opened.type("x")
        assert opened.app.tab.filter_text == "flushx"


@pytest.mark.parametrize("size", [(80, 24), (118, 36)])
async def test_names_that_mean_harm(size: tuple[int, int]) -> None:
    """Escape sequences, line breaks, wide and combining characters, markup, 10,000 letters, and no name at all."""
    source = played(Story(tasks=len(HOSTILE), hostile=True))
    async with dashboard(source, size=size) as opened:
        for key in ("1", "2", "4", "3", "g", "enter"):
            await opened.press(key)
            for line in opened.lines():  # each is checked to be as wide as the terminal
                assert line.isprintable(), line


async def test_markup_in_names_is_text() -> None:
    """[bold] is a name like any other."""
    source = played(Story(tasks=len(HOSTILE), hostile=True))
    async with dashboard(source, "3") as opened:
        assert "[bold]markup[/bold] [/]" in opened.text()
        await opened.press("slash")
        await opened.type("[bold]")
        await opened.press("enter", "home", "enter", "enter")
        await opened.until_line("Await chain")
        assert "[bold]markup[/bold] [/]" in opened.text()


async def test_a_task_with_hostile_names_in_its_own_screen() -> None:
    """Each of them, one after the other."""
    source = played(Story(tasks=len(HOSTILE), hostile=True))
    async with dashboard(source, "3", "g") as opened:
        for number in range(len(HOSTILE)):
            opened.app.post_message(opened.app.tab.TaskWanted(1000 + number))
            await opened.until_line("Await chain")
            assert all(line.isprintable() for line in opened.lines())
            await opened.press("escape")


@pytest.mark.parametrize("tab", TABS)
async def test_no_tasks(tab: str) -> None:
    """Nothing is there, and nothing is made up."""
    source = StillSource(Story(empty=True))
    source.play(20)
    async with dashboard(source, tab) as opened:
        await opened.press("down", "enter", "escape", "g", "t", "i", "d", "d", "y")
        assert opened.app.is_running


async def test_a_hundred_thousand_rows() -> None:
    """They are there, can be sorted, filtered and walked through, and the end is the end."""
    source = StillSource(Story(tasks=100_000, payload=2_000, per_minute=60.0))
    source.play(3)
    async with dashboard(source, "3", "g", "end") as opened:
        assert "100,0" in opened.lines()[2]
        last = opened.cursor()
        table = opened.app.tab._singles  # type: ignore[attr-defined]
        assert table.cursor_line == len(source.store.snapshot().tasks) - 1
        await opened.press("i", "home", "pagedown", "end", "up")
        assert opened.cursor() != last
        await opened.press("slash")
        await opened.type("push_hash-9999")
        await opened.press("enter")
        assert "showing 11 of 100,0" in opened.lines()[2]
        await opened.play(2)
        await opened.press("home", "t")
        assert "push_hash-9999" in opened.text()
        await opened.press("g", "i", "end")
        assert opened.app.is_running


async def test_every_mark_is_a_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without colours everything can still be told apart; that there are none is tested in a real terminal."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with dashboard() as opened:
        await opened.until_line("████")
        for part in ("▲ Python objects", "⚠ Verdict", "● connected", "1█", "2░", "┄┄ limit"):
            assert part in opened.text()


async def test_the_picker_too_small() -> None:
    """The list of processes has the same line."""
    app = PickerApp(list)
    async with app.run_test(size=(30, 6)) as pilot:
        await pilot.pause()
        assert "30x6 is too small" in shown(app)[0]
        await pilot.resize_terminal(80, 24)
        assert "too small" not in "\n".join(shown(app))
