"""The screen of one task says all that can be had about it, and for what cannot be had, why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pyobserver.model.details import DetailAnswer, Variable
from pyobserver.model.forest import Node
from pyobserver.protocol import schema
from pyobserver.tui.tabs.detail import DetailScreen
from tests.model import made

from ..dashboard import Dashboard, StillSource, dashboard, played


class AskedSource(StillSource):
    """Keeps the questions; the test answers them."""

    def request_detail(self, row_id: int, answer: Callable[[DetailAnswer], None], values: bool = False) -> None:
        self.__dict__["values"] = values
        self.__dict__.setdefault("questions", []).append((row_id, answer))


async def open_row(opened: Dashboard, name: str) -> DetailScreen:
    """Open the screen of the row with this name."""
    await opened.press("3", "g", "slash")
    await opened.type(name)
    await opened.press("enter", "home", "enter")
    screen = opened.app.screen
    assert isinstance(screen, DetailScreen)
    return screen


async def test_everything_about_a_task() -> None:
    """Who it is, where it waits, who keeps it, what it keeps."""
    async with dashboard() as opened:
        await open_row(opened, "push_hash-407")
        await opened.until_line("Await chain")
        text = " ".join(opened.text().split())
        for part in (
            "push_hash-407 asyncio task rudder.pipeline.Spawner.push_hash",
            "waiting on Event.wait at pipeline.py:88",
            "retains ~",
            "sampled",
            "held by rudder.pipeline.Spawner._children (set of 415)",
            "awaited by nobody",
            "created before we attached",
            "└ asyncio.locks.Event.wait locks.py:213",
            "bytearray 1 6.99 MB",
            "6.99 MB locals specimen.payload: bytearray, 6,990,000 items",
        ):
            assert part in text


async def test_a_task_of_a_nursery() -> None:
    """Nothing holds it but the nursery, which is told, with where that was opened; texts have characters."""
    source = AskedSource()
    source.play(30)
    source.store.put_nodes([Node(7001, "nursery", "nursery in Broker.run", 0, "owns", None, "/a/b.py:22")])
    rows = {"id": 7002, "kind": schema.KIND_TRIO_TASK, "parent": 7001, "edge": schema.EDGE_OWNS, "created": made.NOW}
    made.put(source.store, [rows], ["waiter-7"])
    async with dashboard(source) as opened:
        await open_row(opened, "waiter-7")
        row_id, answer = source.__dict__["questions"][-1]
        variables = (Variable("Broker.run", "line", "str", 218, ""),)
        answer(DetailAnswer(row_id, variables=variables))
        await opened.until_line("owned by    nursery in Broker.run  (b.py:22)")
        assert "line  str, 218 characters" in opened.text()


async def test_a_stale_size_has_its_age() -> None:
    """How long ago it was measured is told, and goes on."""
    source = AskedSource()
    source.play(60)
    async with dashboard(source) as opened:
        await open_row(opened, "flush-3")
        source.become("stale")
        source.clock.advance(65)
        source.step()
        await opened.renew()
        assert "*53.0 kB, not measured for 1 min 5 s" in opened.text()


async def test_how_long_ago_it_was_created_goes_on() -> None:
    """Also while nobody asks again; when paused it stands, as everything does."""
    source = AskedSource()
    source.play(60)
    async with dashboard(source) as opened:
        await open_row(opened, "push_hash-407")
        row_id, answer = source.__dict__["questions"][-1]
        answer(dataclasses.replace(source.detail(row_id), created_at=source.clock() - 30))
        await opened.until_line("30 s ago")
        source.play(12)
        await opened.renew()
        assert "42 s ago" in opened.line("created"), opened.text()
        await opened.press("space")
        source.play(10)
        await opened.renew()
        assert "42 s ago" in opened.line("created")
        assert len(source.__dict__["questions"]) == 1


async def test_it_says_that_it_asks_and_what_it_was_refused() -> None:
    """Until the answer is there, and when there is none."""
    source = AskedSource()
    source.play(30)
    async with dashboard(source) as opened:
        screen = await open_row(opened, "listener")
        assert "asking the target …" in opened.text()
        row_id, answer = source.__dict__["questions"][-1]
        assert row_id == screen.row_id
        answer(DetailAnswer(row_id, problem="the task is running just now"))
        await opened.until_line("not available: the task is running just now")


async def test_what_it_waits_on_is_told_in_full_while_that_is_so() -> None:
    """With the numbers of the answer; without them when the row has gone on to something else."""
    source = AskedSource()
    source.play(30)
    async with dashboard(source) as opened:
        await open_row(opened, "push_hash-407")
        row_id, answer = source.__dict__["questions"][-1]
        answer(dataclasses.replace(source.detail(row_id), waits="Event.wait, 3 wait", blocked=12))
        await opened.until_line("waiting on Event.wait, 3 wait at pipeline.py:88")
        assert "seen holding its loop 12 times, 5 ms or longer each" in opened.text()
        answer(dataclasses.replace(source.detail(row_id), waits="queue get, 0 in it"))
        await opened.until(lambda: "3 wait" not in opened.text())
        assert "waiting on Event.wait at" in opened.text()


async def test_values_only_when_they_are_asked_for() -> None:
    """v asks, with a word of caution; u asks in the same way as before, and v again hides them."""
    source = AskedSource()
    source.play(30)
    async with dashboard(source, size=(118, 50)) as opened:
        await open_row(opened, "push_hash-407")
        assert "v values" not in opened.lines()[-1]

        async def told(value: str, text: str) -> None:
            row_id, answer = source.__dict__["questions"][-1]
            variables = (Variable("Spawner.push_hash", "attempt", "int", None, value),)
            biggest = (("locals: body", "bytes", 6000, 6033, value and "b'GET /'"),)
            answer(dataclasses.replace(source.detail(row_id), variables=variables, biggest=biggest))
            await opened.until_line(text)

        await told("", "v asks for values")
        assert not source.__dict__["values"]
        assert "v values" in opened.lines()[-1]
        await opened.press("v")
        assert source.__dict__["values"]
        assert any("data of the program" in n.message for n in opened.app._notifications)
        await told("3", "attempt = 3")
        assert "b'GET /'" in opened.line("locals: body")
        await opened.press("u")
        assert source.__dict__["values"]
        await opened.press("v")
        assert not source.__dict__["values"]
        await told("", "v asks for values")
        assert "attempt = 3" not in opened.text() and "GET" not in opened.text()


async def test_a_refusal_does_not_wipe_out_what_was_said() -> None:
    """Asked again in vain, the first answer stays."""
    source = AskedSource()
    source.play(30)
    async with dashboard(source) as opened:
        await open_row(opened, "listener")
        row_id, answer = source.__dict__["questions"][-1]
        answer(source.detail(row_id))
        await opened.until_line("_lookups._answers")
        await opened.press("u")
        _, answer = source.__dict__["questions"][-1]
        answer(DetailAnswer(row_id, problem="busy"))
        await opened.until_line("asked again: busy")
        assert "_lookups._answers" in opened.text()


async def test_an_answer_about_another_task_is_not_shown() -> None:
    """It may come late, when one looks at something else."""
    source = AskedSource()
    source.play(30)
    async with dashboard(source) as opened:
        await open_row(opened, "listener")
        _, answer = source.__dict__["questions"][-1]
        other = dataclasses.replace(source.detail(1003), id=1003)
        answer(other)
        await opened.pilot.pause()
        assert "asking the target …" in opened.text()


async def test_an_answer_after_the_screen_was_left() -> None:
    """Nobody waits any more, and nothing breaks; not even after the end."""
    source = AskedSource()
    source.play(30)
    async with dashboard(source) as opened:
        await open_row(opened, "listener")
        row_id, answer = source.__dict__["questions"][-1]
        await opened.press("escape")
        answer(source.detail(row_id))
        await opened.pilot.pause()
        assert opened.app.is_running
    answer(source.detail(row_id))


async def test_a_thread_shows_its_stack() -> None:
    """What it retains cannot be told, and that is said; where it is can be seen from outside."""
    async with dashboard() as opened:
        await open_row(opened, "MainThread")
        text = " ".join((await opened.until_line("nothing more to tell") and opened.text()).split())
        assert "retains n/a: on Python 3.11.7 a thread's variables cannot be read" in text
        assert "run_forever base_events.py:608" in text
        assert "not available: there is nothing more to tell about a thread" in text


async def test_a_task_that_ends_while_one_looks() -> None:
    """What was known of it stays."""
    source = played()
    async with dashboard(source) as opened:
        screen = await open_row(opened, "listener")
        await opened.until_line("_lookups._answers")
        source.store.remove([screen.row_id])
        source.clock.advance(1)
        await opened.renew()
        assert "ended" in opened.text()
        source.clock.advance(60)
        source.store.add_tick(source._tick(120, 425))
        await opened.renew()
        assert "ended" in opened.text()
        assert "_lookups._answers" in opened.text()


async def test_its_keys() -> None:
    """Copy, help, pause, the tree, and a number leaves for a tab."""
    async with dashboard() as opened:
        await open_row(opened, "push_hash-407")
        await opened.until_line("Await chain")
        await opened.press("y")
        assert "rudder.pipeline.Spawner._children" in opened.app.clipboard
        await opened.press("question_mark")
        assert "ask the target about it once more" in opened.text()
        await opened.press("escape", "space")
        await opened.until_line("PAUSED")
        await opened.press("space", "t")
        assert opened.app.tab.title == "Supervision Tree"
        assert opened.cursor() == 1407
        await opened.press("enter")
        await opened.until_line("Await chain")
        await opened.press("2")
        assert opened.app.tab.title == "Memory Allocators"
        assert opened.app.screen is opened.app.screen_stack[0]


async def test_a_row_that_is_not_there() -> None:
    """Asked for by an id that has gone meanwhile."""
    async with dashboard() as opened:
        opened.app.post_message(opened.app.tab.TaskWanted(424242))
        await opened.until_line("this row is not there any more")


async def test_what_a_thread_uses_of_a_processor() -> None:
    """As it was measured, from its CPU time."""
    source = AskedSource()
    source.play(30)
    async with dashboard(source) as opened:
        await open_row(opened, "MainThread")
        assert "3 % of a core" in opened.text()


async def test_what_has_changed_since_the_baseline() -> None:
    """What came after it is new; of what was there the change is told; without a baseline there is nothing to tell."""
    async with dashboard() as opened:
        await open_row(opened, "push_hash-407")
        assert "since baseline" not in opened.text()
        await opened.press("b")
        await opened.play(5)
        assert "new since baseline" not in opened.line("retains ~")
        opened.line("since baseline")
        await opened.press("escape")
        await opened.play(60)
        newest = max(
            int(name.rsplit("-", 1)[1]) for name in opened.source.store.snapshot().tasks.names if "push_hash" in name
        )
        await opened.press("slash")
        await opened.type(f"push_hash-{newest}")
        await opened.press("enter", "home", "enter")
        opened.line("new since baseline")
