"""The status line is true at every moment, and when the target has ended everything can still be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyobserver.model.readings import AgentCost, Tick
from pyobserver.model.snapshot import Phase, Snapshot, Status
from pyobserver.model.store import Store
from pyobserver.source.fake import Situation
from pyobserver.tui.words import cost_words, exit_words, status_words

from .dashboard import StillSource, dashboard, played

NOW = 1000.0
TICK = Tick(NOW, 429, 429, True, True, None, AgentCost(0.5, 0.0011, 2_000_000, 0, 0, 1))


def known(status: Status, tick: Tick | None = TICK, heard: float = NOW) -> Snapshot:
    return replace(Store(lambda: NOW).snapshot(), status=status, tick=tick, updated_at=heard)


@pytest.mark.parametrize(
    ("snapshot", "text", "level"),
    [
        (known(Status(Phase.LIVE)), "connected", ""),
        (known(Status(Phase.LIVE), tick=None), "connected, waiting for the first tasks", ""),
        (
            known(Status(Phase.LIVE), replace(TICK, complete=False)),
            "connected, still looking at all 429 tasks",
            "",
        ),
        (
            known(Status(Phase.LIVE), replace(TICK, cost=replace(TICK.cost, dropped=3))),
            "connected, 3 updates were dropped",
            "",
        ),
        (
            known(Status(Phase.LIVE), heard=NOW - 12),
            "stale for 12 s: the agent does not answer, what is read from outside goes on",
            "grow",
        ),
        (known(Status(Phase.LIVE, "another observer detached it")), "another observer detached it", "grow"),
        (known(Status(Phase.CONNECTING, "", NOW)), "connecting: attaching", "grow"),
        (
            known(Status(Phase.CONNECTING, "waiting for the GIL", NOW - 75)),
            "connecting for 1 min 15 s: waiting",
            "grow",
        ),
        (known(Status(Phase.CONNECTING)), "connecting: attaching", "grow"),
        (known(Status(Phase.OUTSIDE, "ptrace is not permitted")), "outside only, without tasks: ptrace is not", "grow"),
        (known(Status(Phase.EXITED, "", NOW - 3, exit_code=1)), "EXITED with code 1 3 s ago", "limit"),
        (known(Status(Phase.EXITED, "", NOW, signal=9)), "EXITED by SIGKILL 0 s ago", "limit"),
        (known(Status(Phase.EXITED, "", NOW)), "EXITED 0 s ago", "limit"),
        (known(Status(Phase.EXITED, "no memory", NOW, signal=9)), "EXITED by SIGKILL 0 s ago · no memory · ", "limit"),
    ],
)
def test_words(snapshot: Snapshot, text: str, level: str) -> None:
    """Each way it can stand has its words."""
    words = status_words(snapshot, NOW)
    assert words.text.startswith(text)
    assert words.level == level


def test_a_pause_says_also_what_is_true_meanwhile() -> None:
    """The screen stands still, the words do not."""
    words = status_words(known(Status(Phase.LIVE), heard=NOW - 12), NOW, NOW - 5)
    assert words.text.startswith("PAUSED for 5 s: the screen stands still, reading goes on · stale for 12 s")
    assert status_words(known(Status(Phase.EXITED, "", NOW)), NOW, NOW - 5).text.startswith("EXITED")


def test_signals_without_a_name() -> None:
    """A number is better than nothing."""
    assert exit_words(Status(Phase.EXITED, signal=99)) == "EXITED by signal 99"
    assert exit_words(Status(Phase.EXITED, exit_code=0)) == "EXITED with code 0"


def test_the_reason_cannot_command_the_terminal() -> None:
    """It may come from the target."""
    words = status_words(known(Status(Phase.OUTSIDE, "\x1b]0;owned\x07")), NOW)
    assert "\x1b" not in words.text


def test_costs() -> None:
    """What watching costs, as far as it is known."""
    snapshot = replace(known(Status(Phase.LIVE)), agent_cpu_share=0.0061)
    assert cost_words(snapshot) == "observer: 0.6 % cpu, 1.1 ms hold, agent 2.00 MB"
    assert cost_words(snapshot, short=True) == "0.6 % cpu, 1.1 ms"
    assert cost_words(known(Status(Phase.LIVE), tick=None), short=True) == "no agent"


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ("connecting", "connecting for 7 s: looking at the process"),
        ("locked", "connecting for 7 s: waiting for the interpreter lock"),
        ("stale", "stale for 7 s"),
        ("outside", "outside only, without tasks: ptrace is not permitted"),
        ("exited", "EXITED with code 1 7 s ago"),
        ("killed", "EXITED by SIGKILL 7 s ago"),
    ],
)
async def test_every_situation_on_every_tab(situation: Situation, said: str) -> None:
    """It is said within a beat, and goes on counting although nothing comes any more."""
    async with dashboard() as opened:
        opened.source.become(situation)
        opened.source.clock.advance(7)
        await opened.until_line(said)
        for tab in "1234":
            await opened.press(tab)
            assert said in opened.text()


@pytest.mark.parametrize("situation", ["connecting", "outside", "exited"])
async def test_without_an_agent_from_the_start(situation: Situation) -> None:
    """Each tab says why there is nothing to show, and no number is made up."""
    async with dashboard(StillSource(), situation=situation) as opened:
        for tab in "1234":
            await opened.press(tab)
            text = opened.text()
            assert "push_hash" not in text
            assert " 0 tasks " not in text or situation == "exited"
            if situation == "outside":
                assert "ptrace is not permitted" in text
                assert tab != "3" or "tasks n/a" in text
            if situation == "exited":
                assert "nothing was seen of the process" in opened.lines()[0]
                assert "not read yet" in text or "ended before" in text or "could not be read" in text
            assert "no agent" in opened.lines()[1]


async def test_a_long_reason_is_told_to_its_end() -> None:
    """Its end says what would help; a second line makes room for it, and goes again."""
    async with dashboard(None, "2", size=(80, 24), situation="outside") as opened:
        await opened.until_line("outside only")
        two = " ".join(" ".join(opened.lines()[-3:-1]).split())
        assert two.endswith("what is read from outside goes on")
        opened.source.become("live")
        await opened.renew()
        assert "connected" in opened.lines()[-2]
        assert "outside" not in opened.lines()[-3]


@pytest.mark.parametrize("tab", ["1", "2", "3", "4"])
async def test_after_the_end_everything_stays_readable(tab: str) -> None:
    """Hours later, whatever is pressed: what was seen stands there, and growth is that of the last minutes."""
    async with dashboard(None, tab) as opened:
        before = opened.lines()[2:-2]
        opened.source.become("killed")
        opened.source.clock.advance(3 * 3600)
        await opened.press("space", "space", "b", "z", "z")
        await opened.until_line("EXITED by SIGKILL 3 h")
        after = opened.lines()[2:-2]
        if tab in ("3", "4"):
            assert after == before
        parts = {"1": ["selectors.py"], "2": ["MB", "Growing: 415"], "3": ["2.91 GB", "+2"], "4": ["× 415"]}
        for part in parts[tab]:
            assert part in "\n".join(after)


async def test_the_chart_after_the_end() -> None:
    """The window ends when the target did."""
    async with dashboard() as opened:
        opened.source.become("killed")
        opened.source.clock.advance(3 * 3600)
        await opened.press("1", "2", "space", "space")
        await opened.until_line("████")


async def test_it_comes_back() -> None:
    """An agent that answers again is connected again."""
    async with dashboard(situation="stale") as opened:
        opened.source.clock.advance(20)
        await opened.until_line("stale for")
        opened.source.become("live")
        await opened.until_line("● connected")


async def test_a_wrong_self_check_is_told() -> None:
    """Then no memory of a task is shown, and the reason is."""
    source = played()
    facts = source.store.snapshot().facts
    assert facts is not None
    source.store._now = replace(source.store._now, facts=replace(facts, self_check="measured 12 B, not 96 B"))
    async with dashboard(source, "3") as opened:
        assert "memory n/a: measured 12 B, not 96 B" in opened.text()
        await opened.press("1")
        assert "▲ memory n/a: measured 12 B" in opened.text()


async def test_a_loop_that_never_rests_is_told() -> None:
    """The agent is kept on its processor, which its cost says."""
    source = played()
    source.store.set_beside(4711)
    async with dashboard(source, "1") as opened:
        assert "thread 4711, which never rests" in opened.text()
