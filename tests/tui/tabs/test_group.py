"""The screen of one group says how many and how old they are, and what they keep alone and together."""

from __future__ import annotations

from collections.abc import Callable

from pyobserver.model.details import GroupAnswer, GroupQuestion
from pyobserver.protocol import schema
from pyobserver.source.story import Story
from pyobserver.tui.tabs.group import GroupScreen
from tests.model import made

from ..dashboard import Dashboard, StillSource, dashboard, played


class AskedSource(StillSource):
    """Keeps the questions; the test answers them."""

    def request_group(self, asked: GroupQuestion, answer: Callable[[GroupAnswer], None]) -> None:
        self.__dict__.setdefault("questions", []).append((asked, answer))


def on_screen(opened: Dashboard) -> GroupScreen:
    screen = opened.app.screen
    assert isinstance(screen, GroupScreen), opened.text()
    return screen


async def test_everything_about_a_group() -> None:
    """How many more each minute, what they retain, how old they are, where they wait, and what they share."""
    async with dashboard(played(seconds=120), "3", "home", "o") as opened:
        screen = on_screen(opened)
        await opened.until(lambda: "Shared with others" in screen.text())
        text = " ".join(screen.text().split())
        for part in (
            "rudder.pipeline.Spawner.push_hash 418 asyncio tasks",
            "none has been seen to end, and all of them wait: nothing suggests that they ever end",
            "What they retain: 418 of 418 looked at",
            "together ~2.9",
            "shared 310 kB in 4 objects that others hold, too",
            "Age: the oldest ≥3 d 4 h",
            "pipeline.py:88 Event.wait",
            "1.20 MB locals of Agent.serve: self.batch: list, 40 items, known to 418",
            "301 kB locals: config: dict, 18 items, known to 418",
            "Alone, by type (from 6 of them)",
        ):
            assert part in text, text


async def test_all_that_matters_fits_a_small_terminal() -> None:
    """Title, growth, memory, ages and where most wait, on 24 lines of 80."""
    async with dashboard(None, "3", "home", "o", size=(80, 24)) as opened:
        await opened.until_line("looked at")
        for part in ("push_hash", "/min", "alone", "together", "shared", "each", "older", "pipeline.py:88"):
            opened.line(part)


async def test_until_the_answer_comes() -> None:
    """It says that it is asking, and what the table knows; a refusal does not wipe out an answer."""
    source = AskedSource(Story())
    source.play(60)
    async with dashboard(source, "3", "home", "o") as opened:
        assert "asking …" in opened.line("together")
        assert "GB" in opened.line("alone")
        asked, answer = source.__dict__["questions"].pop()
        assert asked.node is None and not asked.done and len(asked.like) == 16
        answer(GroupAnswer(members=415, looked_at=300, alone=2_000_000, alone_accuracy="sampled", note="a sample"))
        await opened.until_line("300 of 415 looked at")
        assert "n/a" in opened.line("together")
        opened.line("a sample")
        await opened.press("u")
        opened.line("asking again …")
        source.__dict__["questions"].pop()[1](GroupAnswer(problem="the agent is silent"))
        await opened.until_line("asked again: the agent is silent")
        opened.line("300 of 415 looked at")


async def test_the_agent_does_not_answer() -> None:
    """Why is told in the place of the numbers."""
    async with dashboard(None, "3", "home", "o", situation="stale") as opened:
        await opened.until_line("not available: the agent does not answer")


async def test_from_the_tree() -> None:
    """Alike children in one line are a group, and so is what a holder holds; a task is none."""
    source = AskedSource(Story())
    source.play(60)
    async with dashboard(source, "4", "home", "down", "down", "down") as opened:
        await opened.press("o")
        screen = on_screen(opened)
        holder = source.__dict__["questions"].pop()[0]
        assert holder.like == () and holder.node == screen.scope.node
        opened.line("Spawner._children")
        await opened.press("escape", "down", "o")
        on_screen(opened)
        fold = source.__dict__["questions"].pop()[0]
        assert fold.node == holder.node and fold.like
        opened.line("rudder.pipeline.Spawner.push_hash")


async def test_its_members_and_back() -> None:
    """m shows the members among the tasks; Escape leaves to where one was."""
    async with dashboard(None, "3", "home", "o") as opened:
        await opened.press("escape")
        assert not isinstance(opened.app.screen, GroupScreen)
        await opened.press("o", "m")
        opened.line("members of rudder.pipeline.Spawner.push_hash")
        await opened.press("o")
        on_screen(opened)
        await opened.press("question_mark")
        opened.line("All about it")


async def test_it_goes_on_and_is_copied() -> None:
    """Counts follow what happens; y copies all of it; the baseline is compared with once it is set."""
    async with dashboard(None, "3", "home", "o") as opened:
        before = opened.line("asyncio tasks")
        assert "since baseline" not in opened.text()
        await opened.press("b")
        await opened.play(60)
        assert opened.line("asyncio tasks") != before
        opened.line("since baseline +")
        await opened.press("y")
        assert "What they retain" in opened.app.clipboard


async def test_all_about_a_supervisor() -> None:
    """What hangs under it over time, its ages, what they run, where they wait, and where it is itself."""
    async with dashboard(played(seconds=120), "4", "home", "down", "down", "o", size=(118, 50)) as opened:
        screen = on_screen(opened)
        await opened.until(lambda: "looked at" in screen.text() and "━" in opened.text())
        text = " ".join(opened.text().split())
        for part in (
            "loop MainThread 6 children, 429 rows below it",
            "run by MainThread",
            "none has been seen to end",
            "━ Children 6",
            "━ Memory 2.9",
            "What they retain: 427 of 427 looked at",
            "Age: the oldest",
            "What they run",
            "418 2.9",
            "done, held",
        ):
            assert part in text, opened.text()
        await opened.press("b")
        await opened.play(40)
        opened.line("since baseline 0, +14")
        await opened.press("minus", "minus")
        assert opened.app.view.window == 60.0
        await opened.press("m")
        assert any("several kinds" in n.message for n in opened.app._notifications)


async def test_alike_children_of_a_supervisor() -> None:
    """Whether any has ended and how they have changed is known of those under it."""
    async with dashboard(played(Story(fixed=True)), "4", "home", "down", "down", "down", "right", "down") as opened:
        await opened.press("b", "o")
        on_screen(opened)
        opened.line("have been seen to end")
        await opened.until_line("the newest of them was spawned at pipeline.py:71 Spawner.start")
        await opened.play(10)
        opened.line("since baseline 0")


async def test_other_kinds_are_asked_about_too() -> None:
    """They are called what they are, and what the target says of them is shown."""
    source = StillSource(Story())
    source.play(30)
    row = {"kind": schema.KIND_NEVER_AWAITED, "function": 1, "retained": 10**11, "created": made.NOW}
    made.put(source.store, [{"id": 7001, **row}, {"id": 7002, **row}])
    async with dashboard(source, "3", "home", "o") as opened:
        await opened.until_line("2 coroutines never awaited")
        await opened.until_line("2 of 2 looked at")
        assert "200 GB" in opened.line("together")


async def test_what_cannot_be_had_is_said_with_the_reason() -> None:
    """In the place of what they retain together, and what each retains is told as far as it is known."""
    source = AskedSource(Story())
    source.play(30)
    row = {"kind": schema.KIND_GREENLET, "function": 1, "retained": 10**11, "created": made.NOW}
    made.put(source.store, [{"id": 7001, **row}, {"id": 7002, **row}])
    async with dashboard(source, "3", "home", "o") as opened:
        asked, answer = source.__dict__["questions"].pop()
        assert set(asked.like) == {7001, 7002}
        answer(GroupAnswer(note="it cannot be seen on this version of Python"))
        await opened.until_line("together  not available: it cannot be seen on this version of Python")
        assert "200 GB" in opened.line("alone")
        assert "looked at" not in opened.text()
        assert opened.text().count("cannot be seen") == 1


async def test_child_processes_share_no_objects() -> None:
    """Of what is not the target's own it is said why there is nothing to ask."""
    source = AskedSource(Story())
    source.play(30)
    row = {"kind": schema.KIND_CHILD, "function": 1, "retained": 10**11, "created": made.NOW}
    made.put(source.store, [{"id": 7001, **row}, {"id": 7002, **row}])
    async with dashboard(source, "3", "home", "o") as opened:
        await opened.until_line("2 child processes")
        await opened.until_line("together  not available: a child process has its own memory")
        assert "questions" not in source.__dict__


async def test_ages_that_are_only_known_at_least() -> None:
    """Of what was there before us it is not said that it is younger than something: it may be older."""
    source = StillSource(Story())
    source.play(30)
    now = source.clock()
    row = {"kind": schema.KIND_TRIO_TASK, "function": 1, "retained": 10**11}
    old = {**row, "created": now - 120, "flags": schema.FLAG_AGE_IS_MINIMUM}
    made.put(source.store, [{"id": 7001, **old}, {"id": 7002, **old}, {"id": 7003, **row, "created": now - 5}])
    async with dashboard(source, "3", "home", "o") as opened:
        await opened.until_line("Age: the oldest ≥2 min: at least, as it was there before us")
        text = " ".join(opened.text().split())
        assert "< 10 s 1 " in text and "≥ 1 min 2 " in text and "< 10 min" not in text


async def test_who_has_left_gets_no_answer() -> None:
    """An answer that comes when the screen was left goes nowhere."""
    source = AskedSource(Story())
    source.play(60)
    async with dashboard(source, "3", "home", "o") as opened:
        on_screen(opened)
        asked, answer = source.__dict__["questions"][0]
        await opened.press("escape")
        answer(source.group(asked))
        await opened.press("4")
        assert opened.app.is_running and "Supervisor" in opened.text()
