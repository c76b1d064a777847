"""The tab of the tree answers: who owns whom, and whose children grow."""

from __future__ import annotations

from typing import Any

import pytest

from pyobserver.model.forest import PROCESS
from pyobserver.model.places import PlacesQuestion
from pyobserver.source.story import FIRST_FEED, HOLDER, LISTENER, LOOP, MAIN_TASK, RESOLVED, Story

from ..dashboard import Dashboard, dashboard, played


def tree_of(opened: Dashboard) -> Any:
    return opened.app.tab


async def test_the_story() -> None:
    """The mark leads from the process to the holder, whose children grow."""
    async with dashboard(None, "4") as opened:
        assert "▲ holder rudder.pipeline.Spawner._children +2.9 children/min" in opened.lines()[2]
        marked = [line for line in opened.lines()[4:] if "▲" in line]
        assert [line.split("▲ ")[1].split("  ")[0].strip() for line in marked] == [
            "rudder.main (pid 4711)",
            "thread MainThread",
            "loop MainThread 3 % of a core",
            "holder rudder.pipeline.Spawner._children (set)",
            "push_hash × 415",
        ]
        holder = opened.line("_children (set)").split()
        assert "415" in holder
        assert "2.91" in holder
        assert "none seen to end" in opened.line("push_hash")


async def test_the_holder_is_readable_at_80_columns() -> None:
    """The end of its path is what tells it apart; its children and their growth stand beside it."""
    async with dashboard(None, "4", size=(80, 24)) as opened:
        line = next(line for line in opened.lines()[4:] if "_children" in line)
        assert "pipeline.Spawner._children" in line
        assert "415" in line
        assert "2.91 GB" in line
        assert "+2." in line


async def test_done_but_held() -> None:
    """It stands in the tree, and says so."""
    async with dashboard(None, "4") as opened:
        assert "resolve-0 done, held" in opened.text()


async def test_enter() -> None:
    """On a supervisor it opens and closes, on a task it tells all about it."""
    async with dashboard(None, "4", "home") as opened:
        await opened.press("enter")
        assert "MainThread" not in "\n".join(opened.lines()[3:])
        await opened.press("enter")
        await opened.press("slash")
        await opened.type("Task-1")
        await opened.press("enter", "end", "enter")
        await opened.until_line("Await chain")


async def test_the_filter_keeps_what_is_above_and_below() -> None:
    """A supervisor that has the text keeps its children, a task its supervisors; sums stay those of all."""
    async with dashboard(None, "4", "slash") as opened:
        await opened.type("spawner._children")
        assert "push_hash × 415" in opened.text()
        assert "listener" not in opened.text()
        await opened.press("escape", "slash")
        await opened.type("ask-live")
        await opened.press("enter")
        text = opened.text()
        for part in ("rudder.main", "loop MainThread", "listener", "task group", "ask-live"):
            assert part in text
        assert "ask-partner" not in text
        assert "2.93 GB" in opened.line("rudder.main (pid 4711)")


async def test_the_filter_finds_what_is_folded() -> None:
    """The fold opens on what was found in it only."""
    async with dashboard(None, "4", "slash") as opened:
        await opened.type("push_hash-17")
        await opened.press("enter", "end", "right")
        found = [line for line in opened.lines()[3:-3] if "push_hash-" in line]
        assert len(found) == 11  # 17 and 170 to 179
        assert all("push_hash-17" in line for line in found)


async def test_the_filter_says_how_many_it_has_found() -> None:
    """Those that have the text, not what is above and below them; Esc shows all again."""
    async with dashboard(None, "4", "slash") as opened:
        await opened.type("resolve")
        await opened.press("enter")
        assert "2 with “resolve”" in opened.lines()[2]
        await opened.press("escape")
        assert "with “" not in opened.lines()[2]


@pytest.mark.parametrize("mode", [0, 1, 2])
async def test_every_column_sorts(mode: int) -> None:
    """As values, per minute and since the baseline; the arrow is at the column, and i turns the order round."""
    async with dashboard(None, "4", "b", *["d"] * mode, size=(170, 40)) as opened:
        await opened.play(20)
        tab = tree_of(opened)
        keys = [key for key, _ in tab.sort_choices()]
        assert len(keys) >= 8 and {column.key for column, visible in tab.help_columns() if visible} == set(keys)
        for key in keys:
            tab.sort_by(key)
            await opened.pilot.pause()
            assert tab.sorted_by == key
            header = opened.lines()[3]
            assert header.count("▼") + header.count("▲") == 1
            first = tab._lines.children(PROCESS)
            await opened.press("i")
            assert set(tab._lines.children(PROCESS)) == set(first)
        tab.sort_by("label")
        if tab._arrangement.sort.descending:
            tab.reverse()
        assert [tab._lines.name(key) for key in tab._lines.children(LOOP)][:2] == [
            "holder rudder.pipeline.Spawner._children",
            "Unowned tasks",
        ]


async def test_the_mode_keeps_the_quantity_that_is_sorted_by() -> None:
    """Children become children per minute, and children since the baseline."""
    async with dashboard(None, "4", "b") as opened:
        tab = tree_of(opened)
        tab.sort_by("children")
        for expected in ("children_growth", "children_marked", "children"):
            await opened.press("d")
            assert tab.sorted_by == expected


async def test_a_click_on_a_header_sorts() -> None:
    """As in the tables: the same one again turns the order round."""
    async with dashboard(None, "4") as opened:
        x = opened.lines()[3].index("Children")
        for descending in (True, False):
            await opened.pilot.click("VirtualTree", offset=(x + 2, 0))
            await opened.pilot.pause()
            assert (tree_of(opened).sorted_by, tree_of(opened)._arrangement.sort.descending) == ("children", descending)


async def test_how_many_have_ended() -> None:
    """Under each supervisor, and of alike ones those of their function."""
    async with dashboard(played(Story(fixed=True)), "4") as opened:
        assert tree_of(opened).reveal(int(opened.source.store.snapshot().tasks["id"][-1]), as_group=True)
        await opened.pilot.pause()
        for line in (opened.line("_children (set)"), opened.line("push_hash ×")):
            ended = int(line.split()[-1].replace(",", ""))
            assert 1100 <= ended <= 1300, line


async def test_the_next_owner() -> None:
    """n goes from a task to the others that have it, and back; from one of them to what it has elsewhere."""
    async with dashboard(None, "4") as opened:
        assert tree_of(opened).reveal(RESOLVED)
        await opened.pilot.pause()
        assert "also awaited by Task-1" in opened.line("resolve-0")
        assert "n next owner" in opened.lines()[-1]
        for expected in (MAIN_TASK, FIRST_FEED, RESOLVED, MAIN_TASK):
            await opened.press("n")
            assert opened.cursor() == expected
        await opened.press("end", "home", "n")
        assert opened.cursor() == PROCESS
        assert tree_of(opened).reveal(FIRST_FEED)
        await opened.press("n")
        assert opened.cursor() == RESOLVED
        await opened.press("slash")
        await opened.type("resolve-0")
        await opened.press("enter", "end", "n", "n")
        await opened.until(lambda: opened.cursor() == FIRST_FEED)
        assert tree_of(opened).filter_text == ""


async def test_from_a_holder_to_the_heap_and_back() -> None:
    """t shows the container, also one that is smaller than those that are looked for, and t its tasks again."""
    async with dashboard(None, "4", "home", "down", "down", "down") as opened:
        assert opened.cursor() == HOLDER and "t in the heap" in opened.lines()[-1]
        await opened.press("t")
        assert opened.app.tab.title == "Heap"
        await opened.renew()
        assert opened.cursor() == ("rudder.pipeline.Spawner._children", "set")
        assert "of 207 items or more" in opened.text()
        await opened.press("t")
        assert opened.app.tab.title == "Supervision Tree" and opened.cursor() == HOLDER
        await opened.press("5", "home", "t")
        await opened.until(lambda: opened.app._notifications)


async def test_a_container_that_is_not_found() -> None:
    """It is told when the next reading does not have it."""
    async with dashboard(None, "4") as opened:
        opened.app.post_message(opened.app.tab.ContainerWanted("nobody.knows", 5))
        await opened.until(lambda: opened.app.tab.title == "Heap")
        opened.source.clock.advance(1)
        opened.source.store.add_containers(opened.source.places(PlacesQuestion(10)))
        await opened.renew()
        assert any("nobody.knows is not among" in n.message for n in opened.app._notifications)


async def test_a_task_with_children_can_be_told_about() -> None:
    """o is there for whatever has children, and not for what has none."""
    async with dashboard(None, "4") as opened:
        assert tree_of(opened).reveal(LISTENER)
        await opened.pilot.pause()
        assert "o about it" in opened.lines()[-1]
        await opened.press("o")
        await opened.until_line("What they run")
        opened.line("rudder.discover.Listener.ask")
        await opened.press("escape")
        assert tree_of(opened).reveal(MAIN_TASK)
        await opened.pilot.pause()
        assert "about it" not in opened.lines()[-1]


async def test_unfolded_and_folded_again() -> None:
    """g shows alike children one by one, in portions."""
    async with dashboard(None, "4", "g") as opened:
        assert "push_hash ×" not in opened.text()
        tree = tree_of(opened)._widget
        assert tree.line_count() > 200
        await opened.press("end")
        await opened.press("g")
        assert "push_hash ×" in opened.text()


async def test_an_ended_task_is_not_lost_from_sight_at_once() -> None:
    """It stays for some seconds, and says that it has ended."""
    source = played()
    async with dashboard(source, "4") as opened:
        source.store.remove([60])
        source.clock.advance(1)
        source.store.add_tick(source._tick(61, 425))
        await opened.renew()
        assert "resolve-0 ended" in opened.text()


async def test_no_asyncio_at_all() -> None:
    """The process and its thread."""
    async with dashboard(played(Story(empty=True)), "4") as opened:
        assert "rudder.main (pid 4711)" in opened.text()
        assert "thread MainThread" in opened.text()


async def test_what_is_gone_cannot_be_shown() -> None:
    """A task that ended between the two tabs is told, not looked for in vain."""
    async with dashboard(None, "3", "g") as opened:
        opened.app.post_message(opened.app.tab.PlaceWanted(987654))
        await opened.until(lambda: opened.app._notifications)
        assert any("not in the tree" in n.message for n in opened.app._notifications)


async def test_before_growth_is_known_it_is_not_said_that_there_is_none() -> None:
    """In the first seconds it is too early to tell; later nothing grows."""
    async with dashboard(played(Story(fixed=True), seconds=2, past=0), "4") as opened:
        assert "too early to tell what grows" in opened.lines()[2] and "nothing grows" not in opened.text()
        await opened.play(60)
        assert "nothing grows" in opened.lines()[2]
