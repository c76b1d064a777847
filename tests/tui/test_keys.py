"""Each key does on each tab what the last line and the help say, and nothing breaks whatever is pressed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pyobserver.source.story import Story
from pyobserver.tui.keys import KEYS, offered
from pyobserver.tui.tabs.help import HelpScreen, SortScreen

from .dashboard import Dashboard, dashboard, played

TABS = {"1": "System", "2": "Memory Allocators", "3": "Processes/Tasks", "4": "Supervision Tree", "5": "Heap"}
PROMISED = "1234/sidbgtz+-yxr?q"  # with Enter, Esc and space
EVERYTHING = (
    *"123456789/sidbgtzyxvcea?u*rS",
    "space",
    "enter",
    "escape",
    "plus",
    "minus",
    "up",
    "down",
    "left",
    "right",
)
MOVES = ("home", "end", "pageup", "pagedown", "j", "k", "h", "l", "tab", "shift+tab")


def name_of(key: str) -> str:
    return {"/": "slash", "?": "question_mark", "*": "asterisk"}.get(key, key)


def test_every_promised_key_is_bound() -> None:
    """What the interface promises is there, and no key has two meanings."""
    labels = [label for key in KEYS for label in key.label.split()]
    assert len(labels) == len(set(labels))
    assert {"Enter", "Esc", "space", *PROMISED[4:]} <= set(labels)


@pytest.mark.parametrize("tab", TABS)
async def test_the_last_line_lists_what_is_offered(tab: str) -> None:
    """On a wide terminal all of them, in their order."""
    async with dashboard(None, tab, size=(190, 30)) as opened:
        last = opened.lines()[-1]
        at = -1
        for key in offered(opened.app._hints()):
            assert f"{key.label} {key.hint}" in last
            assert last.index(f"{key.label} {key.hint}") > at
            at = last.index(f"{key.label} {key.hint}")


@pytest.mark.parametrize("tab", TABS)
async def test_what_is_not_offered_says_so(tab: str) -> None:
    """A key that has nothing to do here is not silent, and changes nothing."""
    async with dashboard(None, tab) as opened:
        hints = opened.app._hints()
        for key in KEYS:
            if key.name in ("filter", "sort", "reverse", "groups", "jump", "mode") and key.name not in hints:
                before = opened.app.view
                await opened.press(name_of(key.label))
                assert opened.app.view == before
                assert opened.app.screen is opened.app.screen_stack[0]
                assert any(f"{key.label} has nothing to do" in n.message for n in opened.app._notifications)


@pytest.mark.parametrize("seed", range(3))
async def test_any_keys_in_any_order(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is pressed, on whatever is open, with names that mean harm: the dashboard goes on, and comes back."""
    monkeypatch.chdir(tmp_path)  # where recordings go
    order = random.Random(seed)
    source = played(Story(tasks=30, hostile=True), allows_actions=seed > 0)
    async with dashboard(source, size=order.choice([(80, 24), (118, 36), (60, 16)])) as opened:
        pressed: list[str] = []
        for _ in range(60):
            pressed.append(name_of(order.choice(EVERYTHING + MOVES)))
            await opened.pilot.press(pressed[-1])
            if order.random() < 0.1:
                source.play(1)
            assert opened.app.is_running, pressed
        await opened.press(*["escape"] * 6, "2")
        assert opened.app.screen is opened.app.screen_stack[0], pressed
        assert opened.app.tab.title == "Memory Allocators", pressed


# -- filter --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tab", "text", "kept", "lost"),
    [
        ("1", "descriptors", "file descriptors", "self-check"),
        ("2", "HEAP", "C heap", "Thread stacks"),
        ("3", "listener", "Listener.run", "metrics.flush"),
        ("4", "flush", "Unowned tasks", "push_hash"),
        ("5", "agent", "rudder.agent.Agent", "bytearray"),
    ],
)
async def test_filter(tab: str, text: str, kept: str, lost: str) -> None:
    """The rows follow while one types, in any case; Enter keeps it, Esc shows everything again."""
    async with dashboard(None, tab, "slash") as opened:
        await opened.type(text)
        await opened.press("enter")
        body = "\n".join(opened.lines()[2:-4])
        assert kept in body
        assert lost not in body
        assert "Esc show all" in opened.lines()[-1]
        await opened.play(2)
        assert lost not in "\n".join(opened.lines()[2:-4])
        await opened.press("escape")
        await opened.until_line(lost)
        assert opened.app.tab.filter_text == ""


@pytest.mark.parametrize("tab", TABS)
async def test_a_filter_that_nothing_matches_says_so(tab: str) -> None:
    """An empty list is explained, and Esc while typing brings all back."""
    async with dashboard(None, tab, "slash") as opened:
        await opened.type("no such thing")
        assert "Esc shows all" in opened.text()
        await opened.press("escape")
        assert "Esc shows all" not in opened.text()


async def test_each_tab_has_its_own_filter() -> None:
    """It is there again when one comes back, and is not mistaken for another tab's."""
    async with dashboard(None, "3", "slash") as opened:
        await opened.type("flush")
        await opened.press("enter", "4")
        assert opened.app.tab.filter_text == ""
        assert "push_hash" in opened.text()
        await opened.press("3")
        assert opened.app.tab.filter_text == "flush"
        assert "push_hash" not in "\n".join(opened.lines()[3:-4])


async def test_digits_are_typed_into_the_filter() -> None:
    """While one types, keys are letters."""
    async with dashboard(None, "3", "slash") as opened:
        await opened.press("q", "s", "1", "2", "space", "question_mark")
        assert opened.app.tab.title == "Processes/Tasks"
        assert opened.app.tab.filter_text == "qs12 ?"


# -- order ---------------------------------------------------------------------------------------------------------


def header(opened: Dashboard) -> int:
    """On which line the header of the table or the tree is."""
    lines = opened.lines()
    return next(i for i, line in enumerate(lines) if "  +/min  " in line or "Growth/min" in line)


async def click_header(opened: Dashboard, label: str) -> None:
    widget = opened.app.tab.main_widget()
    assert widget is not None
    at = opened.lines()[header(opened)].index(label)
    await opened.pilot.click(widget, offset=(at + len(label) - 1, 0))
    await opened.pilot.pause()


@pytest.mark.parametrize(
    ("tab", "label", "first", "last"),
    [
        ("2", "Allocator", "C heap", "Thread stacks"),
        ("2", "Held", "Python objects", "Shared memory"),
        ("3", "Count", "push_hash", "main.main"),
        ("3", "Function", "_worker", "resolve"),
        ("4", "Children", "Spawner._children", "Task-1"),
    ],
)
async def test_a_click_on_a_header_sorts(tab: str, label: str, first: str, last: str) -> None:
    """The arrow shows the column, a second click turns the order round."""
    async with dashboard(None, tab, size=(140, 36)) as opened:

        def places() -> tuple[int, int]:
            body = opened.lines()[header(opened) + 1 :]
            return (
                next(i for i, line in enumerate(body) if first in line),
                next(i for i, line in enumerate(body) if last in line),
            )

        await click_header(opened, label)
        arrow = opened.lines()[header(opened)]
        assert f"▼{label}" in arrow or f"{label}▲" in arrow
        a, b = places()
        assert a < b
        await click_header(opened, label)
        a, b = places()
        assert a > b


async def test_the_total_stays_at_the_end() -> None:
    """It is no allocator, however the others are sorted."""
    async with dashboard(None, "2") as opened:
        for label in ("Held", "Share", "Allocator"):
            await click_header(opened, label)
            await click_header(opened, label)
            names = [row.name for row in opened.app.tab._table.lines.rows]  # type: ignore[attr-defined]
            assert names[-1] == "total"


@pytest.mark.parametrize("tab", ["2", "3", "4"])
async def test_the_sort_column_is_chosen_from_a_list(tab: str) -> None:
    """It begins at the column that is sorted by; Esc chooses none."""
    async with dashboard(None, tab, "s") as opened:
        assert isinstance(opened.app.screen, SortScreen)
        await opened.press("escape")
        before = opened.app.tab.sorted_by
        await opened.press("s", "down", "enter")
        assert not isinstance(opened.app.screen, SortScreen)
        assert opened.app.tab.sorted_by != before


@pytest.mark.parametrize("tab", ["2", "3", "4"])
async def test_reverse(tab: str) -> None:
    """Twice is as before."""
    async with dashboard(None, tab, "s", "enter") as opened:
        await opened.press("i")
        turned = opened.lines()[2:-3]
        await opened.press("i")
        straight = opened.lines()[2:-3]
        assert turned != straight
        await opened.press("i")
        assert opened.lines()[2:-3] == turned


async def test_the_cursor_follows_its_row() -> None:
    """However rows are sorted, filtered or joined by new ones, the cursor is on the same one."""
    async with dashboard(None, "3", "g", "down", "down", "down") as opened:
        key = opened.cursor()
        for keys in (("i",), ("s", "down", "enter"), ("d",), ("d",), ("i",)):
            await opened.press(*keys)
            assert opened.cursor() == key
            await opened.play(20)
            assert opened.cursor() == key
        row = opened.source.store.snapshot().tasks.find(int(str(key)))
        assert row is not None
        assert row.name in opened.text()


# -- values, growth, baseline ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", ["2", "3", "4"])
async def test_mode(tab: str) -> None:
    """d goes from values to growth and back, and past the baseline only when there is one."""
    async with dashboard(None, tab, "d") as opened:
        assert opened.app.view.mode == "growth"
        assert "d: growth per minute" in opened.lines()[1]
        await opened.press("d")
        assert opened.app.view.mode == "value"
        assert any("no baseline" in n.message for n in opened.app._notifications)
        await opened.press("b", "d", "d")
        assert opened.app.view.mode == "baseline"
        assert "Δ" in opened.text()
        await opened.press("d")
        assert opened.app.view.mode == "value"


async def test_the_change_since_the_baseline_is_shown() -> None:
    """Twenty more tasks of 7.02 MB are 140 MB on every tab."""
    async with dashboard(played(Story(per_minute=60)), "b", "d", "d") as opened:
        await opened.play(20)
        assert "+143 MB" in opened.line("Python objects  ") or "+14" in opened.line("Total (RSS)  ")
        await opened.press("3")
        assert "+20 " in opened.line("push_hash")
        assert "+140 MB" in opened.line("push_hash")
        await opened.press("4")
        assert "+140 MB" in opened.line("push_hash")


async def test_single_rows_that_came_since_are_new() -> None:
    """They have no value at the baseline to be compared with."""
    source = played(Story(tasks=5, per_minute=60), seconds=10)
    async with dashboard(source, "3", "g", "b", "d", "d", size=(140, 50)) as opened:
        await opened.play(5)
        assert opened.text().count(" new ") == 5


async def test_the_window() -> None:
    """+ and - change how far back growth looks, up to their ends, which they tell."""
    async with dashboard(None, "plus") as opened:
        assert opened.app.view.window == 3600.0
        assert "window 1 h" in opened.lines()[-1]
        await opened.press("plus", "plus", "plus")
        assert opened.app.view.window == 24 * 3600.0
        assert any("already" in n.message for n in opened.app._notifications)
        await opened.press(*["minus"] * 6)
        assert opened.app.view.window == 60.0
        await opened.press("equals_sign")  # + without shift
        assert opened.app.view.window == 300.0


# -- tree and tasks --------------------------------------------------------------------------------------------------


async def test_from_the_memory_to_the_holder() -> None:
    """The verdict leads to what keeps the tasks alive."""
    async with dashboard(None, "t") as opened:
        assert opened.app.tab.title == "Supervision Tree"
        await opened.until(lambda: opened.cursor() is not None)
        node = opened.app.tab._lines.node(opened.cursor())  # type: ignore[attr-defined]
        assert node.label == "rudder.pipeline.Spawner._children"


async def test_from_the_memory_to_the_group() -> None:
    """Enter on what grows, and again, opens the tasks with the cursor on the group that does it."""
    async with dashboard(None, "enter", "enter") as opened:
        await opened.until(lambda: opened.app.tab.title == "Processes/Tasks")
        assert opened.app.tab.title == "Processes/Tasks"
        row = opened.app.tab._groups.selected()  # type: ignore[attr-defined]
        assert row.function == "rudder.pipeline.Spawner.push_hash"


async def test_from_a_group_to_the_tree_and_back() -> None:
    """t shows the line into which the group is folded; t again shows its members."""
    async with dashboard(None, "3", "t") as opened:
        assert opened.app.tab.title == "Supervision Tree"
        assert isinstance(opened.cursor(), tuple)
        await opened.press("t")
        assert opened.app.tab.title == "Processes/Tasks"
        assert "members of rudder.pipeline.Spawner.push_hash" in opened.text()


async def test_from_a_task_to_the_tree_and_back() -> None:
    """A single row keeps its identity on the way, also out of a folded line."""
    async with dashboard(None, "3", "enter", "down", "down") as opened:
        key = opened.cursor()
        await opened.press("t")
        assert opened.app.tab.title == "Supervision Tree"
        assert opened.cursor() == key
        await opened.press("t")
        assert opened.app.tab.title == "Processes/Tasks"
        assert opened.cursor() == key


async def test_what_stands_for_no_task_cannot_be_shown_among_them() -> None:
    """The process itself is none."""
    async with dashboard(None, "4", "home", "t") as opened:
        assert opened.app.tab.title == "Supervision Tree"
        assert any("nothing to do here" in n.message for n in opened.app._notifications)


async def test_groups_and_single_rows() -> None:
    """g on the tasks; in the tree it unfolds what is alike."""
    async with dashboard(None, "3", "g") as opened:
        assert "push_hash-" in opened.text()
        assert "g groups" in opened.lines()[-1]
        await opened.press("g")
        assert "push_hash-" not in opened.text()
        await opened.press("4")
        assert "push_hash ×" in opened.text()
        await opened.press("g")
        assert "push_hash ×" not in opened.text()
        assert "push_hash-" in opened.text()


async def test_back() -> None:
    """Esc leaves the task, then the group, one at a time."""
    async with dashboard(None, "3", "enter", "enter") as opened:
        assert "Who keeps it" in await opened.until_line("Who keeps it")
        await opened.press("escape")
        assert "members of" in opened.text()
        await opened.press("escape")
        assert "members of" not in opened.text()
        await opened.press("escape")
        assert opened.app.tab.title == "Processes/Tasks"


# -- zoom, copy, help ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", TABS)
async def test_zoom(tab: str) -> None:
    """The main part has the lines of the others; Esc or z brings them back."""
    async with dashboard(None, tab, "z") as opened:
        assert "Supervision Tree" not in opened.lines()[0] + opened.lines()[1]
        assert "connected" in opened.lines()[-1]
        await opened.press("escape")
        assert "Supervision Tree" in opened.lines()[1]
        await opened.press("z", "z")
        assert "Supervision Tree" in opened.lines()[1]


@pytest.mark.parametrize(
    ("tab", "parts"),
    [
        ("1", ["Process", "pid\t4711", "Limits"]),
        ("2", ["Python objects\t2.", "\t+"]),
        ("3", ["rudder.pipeline.Spawner.push_hash\t415\t+", "\t7.02 MB\t"]),
        ("4", ["rudder.main (pid 4711)\t\t3\t"]),
    ],
)
async def test_copy(tab: str, parts: list[str]) -> None:
    """The row is copied as it is shown, whole names included."""
    async with dashboard(None, tab, "y") as opened:
        for part in parts:
            assert part in opened.app.clipboard


@pytest.mark.parametrize("tab", TABS)
async def test_help_tells_what_is_there(tab: str) -> None:
    """Every key that is offered and every column, with those that do not fit this width; q closes it."""
    async with dashboard(None, tab, "question_mark", size=(100, 30)) as opened:
        screen = opened.app.screen
        assert isinstance(screen, HelpScreen)
        text = str(screen._text())
        for key in offered(opened.app._hints()):
            assert key.label in text
            assert key.help.split(";")[0].split(",")[0] in " ".join(text.split())
        for shown_column, visible in opened.app.tab.help_columns():
            if shown_column.label:
                assert shown_column.label in text
                after = " ".join(text.split()).split(" ".join(shown_column.help.split()))[1]
                assert after.startswith(" (hidden") == (not visible)
        await opened.press("q")
        assert opened.app.is_running
        assert not isinstance(opened.app.screen, HelpScreen)


async def test_keys_reach_nothing_below_what_is_open() -> None:
    """With the help open, no tab changes and nothing is sorted."""
    async with dashboard(None, "3", "question_mark", "1", "g", "i", "d") as opened:
        assert isinstance(opened.app.screen, HelpScreen)
        assert opened.app.view.mode == "value"
        await opened.press("escape")
        assert opened.app.tab.title == "Processes/Tasks"


async def test_a_click_on_the_last_line_presses_the_key() -> None:
    """Also a mouse finds its way."""
    async with dashboard(None, "3") as opened:
        at = opened.lines()[-1].index("g single")
        await opened.pilot.click("KeysLine", offset=(at + 1, 0))
        await opened.until_line("push_hash-")
