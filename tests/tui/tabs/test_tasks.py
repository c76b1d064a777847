"""The tab of the tasks answers: who holds the memory, and what multiplies."""

from __future__ import annotations

import numpy as np
import pytest

from pyobserver.protocol import schema
from pyobserver.source.story import Story
from pyobserver.tui.words import sized, sized_in_words

from ..dashboard import dashboard, played


async def test_the_story() -> None:
    """The first line under the header is the leak, with all that one needs to know."""
    async with dashboard(None, "3", size=(150, 30)) as opened:
        first = opened.lines()[4]
        for part in (
            "▲",
            "Spawner.push_hash",
            "415",
            "+2.9",
            "2.91 GB",
            "+20",
            "7.02 MB",
            "≥3 d 4 h",
            "pipeline.py:88",
        ):
            assert part in first
        assert first.split()[-3] == "0"  # none has ended


async def test_the_summary_counts() -> None:
    """What there is, by kind, how much of it is measured, and how it is sorted."""
    async with dashboard(None, "3") as opened:
        assert opened.lines()[2].strip() == (
            "426 tasks · 5 threads · 1 child process · 2 done, but still held · measured 100 % · sorted by Memory ▼"
        )


async def test_done_but_held_is_a_class_of_its_own() -> None:
    """A group of its own, a state of its own, and counted."""
    async with dashboard(None, "3", size=(160, 50)) as opened:
        assert "rudder.discover.Lookups.resolve · done, held" in opened.text()
        await opened.press("g", "slash")
        await opened.type("resolve-")
        assert opened.line("resolve-0").split()[3:5] == ["done,", "held"]


async def test_what_is_no_task_says_what_it_is() -> None:
    """Threads and child processes are rows, with their kind where tasks have nothing."""
    async with dashboard(None, "3") as opened:
        assert "rudder.upload · child" in opened.text()
        assert "_worker · thread" in opened.text()


async def test_members() -> None:
    """Enter shows the members of the group alone, without the columns that are the same for all."""
    async with dashboard(None, "3", "enter") as opened:
        assert "members of rudder.pipeline.Spawner.push_hash · showing 415 of 432" in opened.text()
        assert "Function" not in opened.lines()[3]
        await opened.press("escape")
        assert "Function" in opened.lines()[3]


async def test_members_that_are_all_gone() -> None:
    """The table does not just become empty."""
    source = played()
    async with dashboard(source, "3", "enter") as opened:
        rows = source.store.snapshot().tasks
        source.store.remove([int(number) for number in rows["id"] if number >= 1000])
        source.clock.advance(1)
        await opened.renew()
        assert opened.line("push_hash-").split()[1] == "ended"
        source.clock.advance(30)
        source.store.add_tick(source._tick(91, 11))
        await opened.renew()
        assert "none of this group is left; Esc shows the groups" in opened.text()
        await opened.press("escape")
        assert "Listener.run" in opened.text()


async def test_accuracies() -> None:
    """Each has its sign before the number."""
    async with dashboard(None, "3", "g", "slash", size=(140, 36)) as opened:
        await opened.type("listener")
        assert "~12.4 MB" in opened.line("Listener.run")
        assert "≥66.0 kB" in opened.line("ask-live")
        await opened.press("escape", "slash")
        await opened.type("flush")
        assert "*53.0 kB" in opened.line("flush-3")
        assert " 53.0 kB" in opened.line("flush-0")


@pytest.mark.parametrize(
    ("size", "accuracy", "cell", "words"),
    [
        (7_020_000, "exact", "7.02 MB", "7.02 MB exact"),
        (79_700_000, "sampled", "~79.7 MB", "~79.7 MB ± 1.00 MB, sampled"),
        (12_000_000, "at_least", "≥12.0 MB", "≥12.0 MB, at least: some of it could not be followed"),
        (53_000, "stale", ("*53.0 kB", "dim"), "*53.0 kB, not measured for 1 min 5 s"),
        (None, "unavailable", ("n/a", "dim"), "n/a"),
        (0, "unavailable", ("n/a", "dim"), "n/a"),
        (5, "#9", "5 B", "5 B, #9"),
    ],
)
def test_accuracies_in_words(size: int | None, accuracy: str, cell: object, words: str) -> None:
    """In a table by a sign, elsewhere spelled out; an unknown size is never a number."""
    assert sized(size, accuracy) == cell
    assert sized_in_words(size, accuracy, 1_000_000, 65) == words


async def test_no_asyncio_at_all() -> None:
    """One thread is shown, and nothing is said of tasks."""
    async with dashboard(played(Story(empty=True)), "3") as opened:
        assert opened.lines()[2].strip().startswith("1 thread ·")
        assert "rudder.main.main · thread" in opened.text()
        await opened.press("enter")
        assert "MainThread" in opened.text()


async def test_growth_mode_keeps_the_order_meaningful() -> None:
    """What was sorted by memory is sorted by growth when only growth is shown."""
    async with dashboard(None, "3", "d") as opened:
        assert opened.app.tab.sorted_by == "growth"
        assert "Count" not in opened.lines()[3]
        await opened.press("d")
        assert "Count" in opened.lines()[3]


async def test_rows_keep_their_order_while_keys_are_pressed() -> None:
    """Every task retains something else each second; under moving fingers none of them jumps."""
    source = played(Story(restless=True), churn=1.0)
    async with dashboard(source, "3", "enter", "down") as opened:

        def names() -> list[str]:
            return [line.split()[0] for line in opened.lines()[4:-4] if line.strip()]

        before = names()
        source.play(7)
        await opened.press("down")  # a key, and at once what is new
        opened.app.refresh_now()
        await opened.pilot.pause()
        assert names() == before


async def test_a_task_that_keeps_its_loop_from_others_is_told() -> None:
    """In the column of the states, as long as the agent says so."""
    source = played()
    tasks = source.store.snapshot().tasks
    number = tasks["id"][tasks.names.index("push_hash-407")]
    async with dashboard(source, "3", "g", "slash", size=(150, 30)) as opened:
        await opened.type("push_hash-407")
        assert "blocking" not in opened.line("push_hash-407 ")
        for flags, told in ((schema.FLAG_BLOCKING, True), (0, False)):
            source.store.put_rows({"id": np.array([number]), "flags": np.array([flags], np.uint16)}, [None])
            await opened.renew()
            assert ("blocking" in opened.line("push_hash-407 ")) == told
