"""The tab of the tree answers: who owns whom, and whose children grow."""

from __future__ import annotations

from typing import Any

from pyobserver.source.story import Story

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
