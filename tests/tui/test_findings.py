"""The list of the findings, and the walk through the evidence of one: each step is shown where it is."""

from __future__ import annotations

from pyobserver.analysis.findings import Finding, Verdict
from pyobserver.source.story import HOLDER, MB, Story
from pyobserver.tui.bar import TopBar, _found
from pyobserver.tui.findings import FindingsScreen

from .dashboard import Dashboard, dashboard, played

FUNCTION = "rudder.pipeline.Spawner.push_hash"


async def listed(opened: Dashboard) -> str:
    """The text of the list, in one line."""
    await opened.press("f")
    assert isinstance(opened.app.screen, FindingsScreen)
    return " ".join(opened.text().split())


async def test_the_bar_names_the_most_serious() -> None:
    """The number of findings, and where there is room, what the first one is about."""
    async with dashboard(played(seconds=120), size=(170, 40)) as opened:
        assert "⚠ 1 finding (f): growing " in opened.lines()[0]
    async with dashboard(played(seconds=120), size=(118, 36)) as opened:
        assert "⚠ 1 finding" in opened.lines()[0] and opened.app.query_one(TopBar)


def test_an_allocator_is_named_as_on_its_screen() -> None:
    """Not by the name that it has in the documents."""
    about = Finding("native", "growing", "Growing: C heap.", "c_heap", (), 60.0, allocator="c_heap")
    pieces = _found(Verdict((about,)))
    assert [piece.text for piece in pieces] == ["⚠ 1 finding (f)", "growing C heap"]


async def test_the_list_tells_all_that_was_looked_for() -> None:
    """The finding with its sentence and why it is not more; what was not found, and what it is too early for."""
    async with dashboard(played(seconds=120), size=(140, 50)) as opened:
        text = await listed(opened)
        for part in ("1 finding", "⚠ growing", "Growing: 418 rudder.pipeline", "a leak takes 20 min", "descriptors"):
            assert part in text
        assert "container too early: the containers are looked for" in text
        await opened.press("escape")
        assert not isinstance(opened.app.screen, FindingsScreen)


async def test_the_list_follows_what_is_found_while_it_is_open() -> None:
    """Who has opened it too early need not open it again."""
    async with dashboard(played(seconds=4), size=(140, 50)) as opened:
        assert "Nothing found" in await listed(opened)
        await opened.play(60)
        opened.app._watched.pace.judge_soon()
        await opened.renew()
        await opened.until_line("1 finding")
        await opened.until_line("⚠ growing")
        await opened.press("home", "enter")
        assert "evidence 1 of " in opened.text()


async def test_nothing_found_is_told_too() -> None:
    """Of the repaired service there is nothing to walk through, and Enter on what was not found does nothing."""
    async with dashboard(played(Story(fixed=True), seconds=60), size=(140, 50)) as opened:
        assert "Nothing found" in await listed(opened)
        await opened.press("enter")
        assert isinstance(opened.app.screen, FindingsScreen)


async def test_the_walk_leads_to_each_place() -> None:
    """The allocator, the group, its members, the holder in the tree; Enter behind the last one is Enter again."""
    async with dashboard(played(seconds=120), size=(140, 40)) as opened:
        await listed(opened)
        await opened.press("enter")
        assert opened.app.tab.id == "memory" and opened.cursor() == "python"
        assert "evidence 1 of 4: memory grows by " in opened.text() and "Enter: next, Esc: leave" in opened.text()
        await opened.press("enter")
        assert opened.app.tab.id == "tasks" and "evidence 2 of 4: 418 asyncio tasks run" in opened.text()
        assert FUNCTION.rsplit(".", 1)[-1] in opened.app.tab.row_text()
        await opened.press("enter")
        assert "evidence 3 of 4: all wait at pipeline.py:88" in opened.text()
        assert f"members of {FUNCTION}" in opened.text()
        await opened.press("enter")
        assert opened.app.tab.id == "tree" and opened.cursor() == HOLDER
        assert "evidence 4 of 4: rudder.pipeline.Spawner._children (set) holds them" in opened.text()
        await opened.press("enter")
        assert "evidence" not in opened.text() and opened.cursor() == HOLDER
        await opened.press("enter")
        assert opened.app.tab.id == "tree"


async def test_the_walk_leads_into_the_heap() -> None:
    """To the container among the containers, and to the type that grows with it, the cursor on each."""
    async with dashboard(played(), "5", "g", size=(140, 50)) as opened:
        await opened.play(100)
        opened.app._watched.pace.judge_soon()
        await opened.renew()
        await opened.press("2", "f")
        assert "_seen (set)" in opened.text()
        await opened.press("down", "enter")
        assert opened.app.tab.id == "heap" and opened.cursor() == ("rudder.pipeline.Spawner._seen", "set")
        assert "evidence 1 of 2: rudder.pipeline.Spawner._seen: set with" in " ".join(opened.text().split())
        await opened.press("enter")
        assert opened.app.tab.id == "heap" and opened.cursor() == "asyncio.Task"


async def test_the_walk_can_be_left() -> None:
    """By Esc, which leaves nothing else, and by going to another tab."""
    async with dashboard(played(seconds=120), size=(140, 40)) as opened:
        await opened.press("f", "enter", "enter", "enter")
        assert "evidence 3 of 4" in opened.text()
        await opened.press("escape")
        assert "evidence" not in opened.text() and "members of" in opened.text()
        await opened.press("f", "enter")
        assert "evidence 1 of 4" in opened.text()
        await opened.press("3")
        assert "evidence" not in opened.text()


async def test_in_a_narrow_terminal_a_step_takes_two_lines() -> None:
    """What does not fit beside the keys goes on below."""
    async with dashboard(played(seconds=120), size=(80, 30)) as opened:
        await opened.press("f", "enter", "enter")
        assert "evidence 2 of 4: 418 asyncio tasks run" in opened.text()
        assert opened.app.query_one("EvidenceLine").size.height == 2


async def test_a_kind_can_be_switched_off() -> None:
    """x in the list: then it is not told any more, and the list says that it is off; once more brings it back."""
    async with dashboard(played(seconds=120), size=(140, 50)) as opened:
        await listed(opened)
        await opened.press("x")
        await opened.until_line("switched off")
        assert "finding" not in opened.lines()[0]
        await opened.press("x")
        await opened.until_line("⚠ growing")
        assert "⚠ 1 finding" in opened.lines()[0]


async def test_what_is_allowed_is_not_told() -> None:
    """As from the command line: by kind, or by the name of the function."""
    for name in ("tasks", FUNCTION):
        async with dashboard(played(seconds=120), allowed=[name]) as opened:
            assert "finding" not in opened.lines()[0]


async def test_a_leak_is_marked_where_it_is() -> None:
    """A group that is near the limit, or leaks, has the word beside its name."""
    async with dashboard(played(Story(limit=3_600 * MB), seconds=120), "3", size=(150, 36)) as opened:
        await opened.renew()
        assert "⚠" in opened.line("push_hash · limit")
        await opened.press("o")
        await opened.renew()
        assert "⚠ Growing: 418 rudder.pipeline.Spawner.push_hash" in opened.text()


async def test_evidence_is_looked_for_when_it_is_missing() -> None:
    """While Python objects grow and no task explains it, objects are counted and containers are looked for."""
    async with dashboard(played(Story(empty=True), seconds=60)) as opened:
        assert not opened.source.counts_objects and not opened.source.looks_for_containers
    async with dashboard(played(seconds=0, past=120)) as opened:  # memory alone is known
        assert opened.source.counts_objects and opened.source.looks_for_containers
