"""The tab of the heap answers: which objects are there, which become more, and how sure is that."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from pyobserver.source.story import Story

from ..dashboard import Dashboard, StillSource, dashboard, played


async def test_the_objects_are_counted_only_while_the_tab_is_open() -> None:
    """Nobody pays for what nobody looks at."""
    async with dashboard() as opened:
        assert not opened.source.counts_objects
        await opened.press("5")
        assert opened.source.counts_objects
        assert "str" in opened.text()
        await opened.press("2")
        assert not opened.source.counts_objects


async def test_the_leak_is_marked() -> None:
    """By a sign and its growth; what is steady has none."""
    async with dashboard(None, "5") as opened:
        await opened.play(120)
        for name in ("rudder.agent.Agent", "rudder.specimen.Specimen", "bytearray"):
            assert re.search(r" \+3\.\d ", opened.line(f"▲  {name}"))
        assert "▲" not in opened.line("  function")
        assert re.search(r" 0 +[\d.]+ MB +0 ", opened.line("  function"))
        assert re.search(r"Count +± +\+/min +▼Bytes +\+/min", opened.line("Type"))  # each growth behind its value


async def test_the_first_line_tells_the_sample() -> None:
    """How many objects, how many bytes, how much was read, how old it is, and what it cost."""
    async with dashboard(None, "5") as opened:
        line = opened.lines()[2]
        assert re.search(r"[\d,]+ small objects · [\d.]+ MB in use · all of it read, \d+ s ago · cost 70 ms here", line)
        await opened.play(14)
        assert ", 4 s ago" in opened.lines()[2]


@pytest.mark.parametrize("width", [80, 118])
async def test_a_sample_shows_its_error(width: int) -> None:
    """Estimates have a sign, and a change within the error of the sample is not told as one."""
    async with dashboard(played(Story(census_shift=3)), "5", size=(width, 24)) as opened:
        await opened.play(120)
        assert "12 % of it read" in opened.lines()[2]
        assert re.search(r"MB ± [\d.]+ MB in use", opened.lines()[2])
        assert re.search(r"~[\d,]+ ", opened.line(" str "))
        assert "≈0" in opened.line(" function ")
        assert "±" in opened.lines()[-4]


async def test_growth_and_baseline() -> None:
    """d goes through the same modes as in the other tables."""
    async with dashboard(None, "5") as opened:
        await opened.play(30)
        await opened.press("b", "d")
        assert "± B/min" in opened.text()
        await opened.press("d")
        await opened.play(120)
        assert "Δ Count" in opened.text()
        assert re.search(r"\+6", opened.line("rudder.agent.Agent"))


async def test_order_follows_the_user() -> None:
    """By the column that was chosen, and the other way round."""
    async with dashboard(None, "5") as opened:
        await opened.play(60)
        opened.app.tab.sort_by("count_growth")
        lines = [line for line in opened.lines() if "exact" in line]
        assert "str" in lines[0]
        await opened.press("i")
        await opened.pilot.pause()
        assert "str" not in next(line for line in opened.lines() if "exact" in line)


async def test_why_nothing_is_counted() -> None:
    """A reason instead of an empty table."""
    source = StillSource()
    source.step()
    source.count_objects = lambda wanted: source.store.set_census_problem(  # type: ignore[method-assign]
        "the objects cannot be counted: pymalloc is switched off by PYTHONMALLOC=malloc"
    )
    async with dashboard(source, "5") as opened:
        await opened.renew()
        assert "switched off by PYTHONMALLOC=malloc" in opened.text()


async def test_a_census_that_could_not_be_repeated() -> None:
    """What was counted stays, and the reason is said."""
    async with dashboard(None, "5") as opened:
        opened.source.store.set_census_problem("the arenas change too fast")
        await opened.renew()
        assert "not counted anew" in opened.lines()[2]
        assert "the arenas change too fast" in opened.text()
        assert " str " in opened.text()


async def test_names_that_mean_harm_are_shown_harmless() -> None:
    """They come from the process."""
    async with dashboard(played(Story(hostile=True, tasks=20)), "5") as opened:
        assert all(line.isprintable() for line in opened.lines())
        assert "owned" in opened.text()


async def test_after_the_end_before_a_census() -> None:
    """It is said that there is none, rather than waited for."""
    async with dashboard(StillSource(), situation="killed") as opened:
        await opened.press("5")
        assert "ended before its objects were counted" in opened.text()


async def test_what_is_no_object_is_explained() -> None:
    """The line of tables and structures says what is in it."""
    async with dashboard(None, "5", "home") as opened:
        assert "blocks in use that are no objects" in "\n".join(opened.lines()[-5:])
        await opened.press("down")
        assert "small objects and headers only" in "\n".join(opened.lines()[-5:])


def test_a_paused_census_is_that_of_its_time() -> None:
    """The record in a snapshot does not change under the screen."""
    source = StillSource()
    source.count_objects(True)
    before = source.store.snapshot()
    source.play(30)
    assert before.heap.earlier == ()
    assert replace(before.heap) != source.store.snapshot().heap


# -- containers ----------------------------------------------------------------------------------------------------


async def test_containers_are_looked_for_only_while_they_are_shown() -> None:
    """The walk costs the process something; it is not asked for in vain."""
    async with dashboard(None, "5") as opened:
        assert not opened.source.looks_for_containers
        await opened.press("g")
        assert opened.source.looks_for_containers
        await opened.renew()
        assert "rudder.pipeline.Spawner._seen" in opened.text()
        await opened.press("2")
        assert not opened.source.looks_for_containers
        await opened.press("5")
        assert opened.source.looks_for_containers
        await opened.press("g")
        assert not opened.source.looks_for_containers


@pytest.mark.parametrize("width", [80, 118])
async def test_a_container_that_grows_is_marked(width: int) -> None:
    """By its path, with its growth; what keeps its size is not."""
    async with dashboard(None, "5", "g", size=(width, 24)) as opened:
        await opened.play(200)
        assert re.search(r" 1\d,\d{3} +\+12\d", opened.line("▲  rudder.pipeline.Spawner._seen"))
        assert "▲" not in opened.line("rudder.metrics.HISTORY")
        assert "ms there" in opened.lines()[2] or width == 80
        assert "containers of 1,000 items or more" in opened.lines()[2]


async def test_alike_containers_are_one_line() -> None:
    """With how many they are, and the sentence below spells it out."""
    async with dashboard(None, "5", "g") as opened:
        await opened.renew()
        await opened.press("home", "down")
        assert re.search(r"rudder.upload.Batch.rows: 3 × list, 3,600 items", "\n".join(opened.lines()[-5:]))


async def test_filter_and_baseline_of_containers() -> None:
    """The keys do what they do in the other tables."""
    async with dashboard(None, "5", "g", "slash") as opened:
        await opened.type("metrics")
        await opened.press("enter")
        await opened.renew()
        assert "Spawner._seen" not in opened.text()
        await opened.press("escape", "b", "d", "d")
        await opened.play(100)
        assert "Δ Items" in opened.text()
        assert re.search(r"\+1[26]0 ", opened.line("Spawner._seen"))


async def test_containers_without_an_agent() -> None:
    """It is said why there are none."""
    async with dashboard(StillSource(), situation="outside") as opened:
        await opened.press("5", "g")
        await opened.renew()
        assert "the agent does not answer" in opened.text() or "no agent to ask" in opened.text()


# -- one type ------------------------------------------------------------------------------------------------------


async def open_type(opened: Dashboard, name: str) -> None:
    await opened.renew()
    opened.app.tab.main_widget().select(name)  # type: ignore[union-attr]
    await opened.press("enter")


async def test_enter_tells_who_holds_the_objects() -> None:
    """By path, the most first, with examples; what the census says stands above."""
    async with dashboard(None, "5") as opened:
        await open_type(opened, "bytearray")
        line = await opened.until_line("rudder.pipeline.Spawner._agents")
        assert re.search(r"41\d  rudder.pipeline.Spawner._agents  list of 41\d  lengths 6,990,000, 6,990,000", line)
        assert "a variable" in opened.line("locals of rudder.pipeline.Spawner.push_hash")
        assert re.search(r"bytearray: 42\d, \+3", opened.text())
        await opened.press("question_mark")
        assert "held inside another object of the type" in " ".join(opened.text().split()).replace(" │ │ ", " ")
        await opened.press("escape", "escape")
        assert opened.app.screen is opened.app.screen_stack[0]


async def test_what_is_everywhere_is_said_to_be() -> None:
    """Of str there is no list of holders, but a reason."""
    async with dashboard(None, "5") as opened:
        await open_type(opened, "str")
        await opened.until_line("str is everywhere, and not looked for: look at the containers")


async def test_a_type_without_an_agent() -> None:
    """The reason is where the holders would be, and asking again is possible."""
    source = played()
    async with dashboard(source, "5") as opened:
        source.become("outside")
        await open_type(opened, "bytearray")
        await opened.until_line("the agent does not answer")
        source.become("live")
        await opened.press("u")
        await opened.until_line("rudder.pipeline.Spawner._agents")


async def test_what_is_no_type_cannot_be_opened() -> None:
    """The line of tables and structures."""
    async with dashboard(None, "5", "home", "enter") as opened:
        assert opened.app.screen is opened.app.screen_stack[0]
        assert "Enter" not in opened.lines()[-1]


async def test_the_table_alone() -> None:
    """z leaves the table and its first line."""
    async with dashboard(None, "5", "z", size=(80, 24)) as opened:
        assert "in the C heap" not in opened.text()
        assert " str " in opened.text()


async def test_one_path_is_not_called_paths() -> None:
    """Nor one type types."""
    async with dashboard(None, "5", "g") as opened:
        tab: Any = opened.app.tab
        assert next(piece.text for piece in tab._about_rows(1, 1, "path")) == "1 path"
        assert next(piece.text for piece in tab._about_rows(2, 2, "path")) == "2 paths"
