"""An observer that may act has garbage collected, memory given back, allocations traced; nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyobserver.protocol import schema
from pyobserver.source.find import find_agent

from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from ..support.targets import RunningTarget, launch
from .mirror import connect, on_interpreters, on_newest, wait_for
from .test_runtime_actions import Hand, acting

LOAD = {"load": True}


def done(hand: Hand, action: str, within: float = 60.0, **settings: Any) -> dict[str, Any]:
    """Ask for an action, and return what it has done."""
    said: dict[str, Any] = hand.until(asked(hand, action, **settings), "ended", within)
    assert said["final"]
    result: dict[str, Any] = said["result"]
    return {**result, "text": said["text"]}


def asked(hand: Hand, action: str, **settings: Any) -> list[dict[str, Any]]:
    hand.tokens += 1
    hand.client.act(action, 0, hand.tokens, settings)
    said: list[dict[str, Any]] = hand.mirror.actions.setdefault(hand.tokens, [])
    return said


def refused(hand: Hand, action: str, **settings: Any) -> str:
    said = hand.until(asked(hand, action, **settings), "refused")
    assert said["final"]
    return str(said["text"])


def wait_until_tracing(target: RunningTarget, on: bool = True) -> None:
    wait_for(lambda: target.ask("state")["tracing"] is on or None, f"that tracing is {on}")


# -- collecting -------------------------------------------------------------------------------------------------------


@on_interpreters
def test_garbage_is_collected_in_the_programs_thread(interpreter: Interpreter) -> None:
    """Finalizers run where the loop runs."""
    with launch(interpreter, "memory") as target, acting(target) as hand:
        hand.mirror.wait(lambda: hand.mirror.ticks and not hand.mirror.ticks[-1]["remedies"]["collect"], "the loop")
        target.ask("garbage 1000")
        result = done(hand, "collect")
        assert target.ask("finalized") == {"main": 1000, "elsewhere": 0}
        assert result["found"] >= 1000 and result["uncollectable"] == 0
        assert 0.0 < result["held"] < 30.0
        assert result["rss_before"] > 1 << 20 < result["rss_after"]


@on_interpreters
def test_a_run_of_trio_collects_in_its_thread(interpreter: Interpreter) -> None:
    """It sleeps in its selector, and is woken for that; it goes on as before."""
    with launch(with_packages(interpreter, "trio", "anyio"), "trio_tasks") as target, acting(target) as hand:
        hand.mirror.wait(lambda: hand.mirror.ticks and not hand.mirror.ticks[-1]["remedies"]["collect"], "the run")
        target.ask("garbage 1000")
        for _ in range(2):
            result = done(hand, "collect")
        assert result["uncollectable"] == 0 and 0.0 < result["held"] < 30.0
        assert target.ask("finalized") == {"main": 1000, "elsewhere": 0}
        assert target.ask("move") == {}
        assert target.stop()[0] == 0


@on_newest
def test_without_a_loop_nothing_is_collected(interpreter: Interpreter) -> None:
    with launch(interpreter, "memory", "--no-loop") as target, acting(target) as hand:
        hand.mirror.turn(2)
        assert "event loop" in hand.mirror.ticks[-1]["remedies"]["collect"]
        target.ask("garbage 10")
        assert "event loop" in refused(hand, "collect")
        assert target.ask("finalized") == {"main": 0, "elsewhere": 0}


# -- giving back ------------------------------------------------------------------------------------------------------


@on_interpreters
def test_memory_is_given_back(interpreter: Interpreter) -> None:
    """200 MB of small blocks that were freed: most of it leaves, by the kernel's account."""
    with launch(interpreter, "memory") as target, acting(target) as hand:
        full = target.ask("hold 200")["rss"]
        pinned = target.ask("hold 1")["rss"]  # above all that is freed, so that it does not go by itself
        assert pinned >= full > 200_000_000
        target.ask("free")
        target.ask("hold 1")
        before = target.ask("state")
        result = done(hand, "trim", **LOAD)
        assert result["way"] == "glibc"
        assert result["rss_after"] <= result["rss_before"]
        assert result["rss_after"] < full - 150_000_000
        assert target.ask("state")["threads"] == before["threads"]


@on_newest
@pytest.mark.parametrize("allocator", ["jemalloc", "tcmalloc_minimal", "mimalloc"])
def test_a_preloaded_allocator_gives_back_in_its_own_way(interpreter: Interpreter, allocator: str) -> None:
    libraries = sorted(Path("/usr/lib/x86_64-linux-gnu").glob(f"lib{allocator}.so.*"))
    if not libraries:
        pytest.skip(f"lib{allocator} is not installed")
    with launch(interpreter, "memory", environment={"LD_PRELOAD": str(libraries[0])}) as target, acting(target) as hand:
        full = target.ask("hold 200")["rss"]
        target.ask("free")
        result = done(hand, "trim", **LOAD)
        assert result["way"].split(",")[0] == allocator.split("_")[0]
        assert result["rss_after"] <= result["rss_before"] and result["rss_after"] < full - 120_000_000


@on_newest
def test_ctypes_is_not_loaded_unasked(interpreter: Interpreter) -> None:
    with launch(interpreter, "memory") as target, acting(target) as hand:
        assert "_ctypes" not in target.ask("state")["modules"]
        assert "_ctypes" in refused(hand, "trim")
        assert "_ctypes" in refused(hand, "trace", seconds=1)
        assert "_ctypes" not in target.ask("state")["modules"]
        target.ask("ctypes")
        hand.mirror.wait(lambda: hand.mirror.ticks[-1]["remedies"]["foreign"], "that it is there")
        assert done(hand, "trim")["way"] == "glibc"


# -- tracing ----------------------------------------------------------------------------------------------------------


@on_interpreters
def test_a_trace_names_the_line_that_leaks(interpreter: Interpreter) -> None:
    """It is off afterwards, and all that it needed is gone with the agent."""
    with launch(interpreter, "memory") as target:
        clean = target.ask("state")
        with acting(target) as hand:
            said = asked(hand, "trace", seconds=60, **LOAD)
            wait_until_tracing(target)
            target.ask("leak 5000")
            hand.client.enough()
            result = hand.until(said, "ended")["result"]
            assert not target.ask("state")["tracing"]
            lines = Path(__file__).parent.parent.joinpath("targets/memory.py").read_text().splitlines()
            line = next(n for n, text in enumerate(lines, 1) if text.endswith("# the leak"))
            file, found, size, blocks = result["sites"][0]
            assert file.endswith("targets/memory.py") and found == line
            assert 5000 <= blocks <= 10_010 and 5000 * 1000 <= size < 5000 * 1200
            assert result["traced"] > 0.0 and result["places"] >= 1 and result["bytes"] >= size
            assert not any("pyobserver" in site[0] and "targets" not in site[0] for site in result["sites"])
        wait_for(lambda: target.ask("state")["threads"] == clean["threads"], "the end of the thread")
        stays = (
            {"_struct"} if interpreter.minor >= (3, 15) else set()
        )  # _ctypes itself brings it along, and refers to it
        wait_for(lambda: set(target.ask("state")["modules"]) - set(clean["modules"]) <= stays, "the end of the modules")
        assert target.ask("ctypes") == {"strlen": 4}
        target.ask("trace on")
        assert target.ask("state")["tracing"]


@on_newest
def test_a_trace_is_ended_early(interpreter: Interpreter) -> None:
    """By its observer; another one cannot."""
    with launch(interpreter, "memory") as target, acting(target) as hand:
        said = asked(hand, "trace", seconds=60, **LOAD)
        wait_until_tracing(target)
        assert "already" in refused(hand, "trace", seconds=5, **LOAD)
        other = connect(target.pid)
        other.enough()
        other.close()
        hand.mirror.turn(5)
        assert target.ask("state")["tracing"]
        hand.client.enough()
        assert hand.until(said, "ended")["text"] == "stopped early"
        assert not target.ask("state")["tracing"]


@on_newest
def test_a_trace_is_bounded_in_memory(interpreter: Interpreter) -> None:
    with launch(interpreter, "memory") as target, acting(target) as hand:
        said = asked(hand, "trace", seconds=60, **LOAD)
        wait_until_tracing(target)
        target.ask("leak 100000")
        ended = hand.until(said, "ended")
        assert "more blocks" in ended["text"]
        assert ended["result"]["sites"][0][3] >= 100_000


@on_newest
def test_more_than_can_be_counted_is_not(interpreter: Interpreter) -> None:
    """What is allocated in one call is there before anybody can look."""
    with launch(interpreter, "memory") as target, acting(target) as hand:
        said = asked(hand, "trace", seconds=60, **LOAD)
        wait_until_tracing(target)
        target.ask("crowd 1500000")
        assert "too many" in hand.until(said, "refused")["text"]
        assert not target.ask("state")["tracing"]


@on_newest
def test_somebody_elses_trace_is_left_alone(interpreter: Interpreter) -> None:
    """One that was there before is not ended, nor one that was begun while we traced."""
    with launch(interpreter, "memory") as target, acting(target) as hand:
        target.ask("trace on")
        hand.mirror.wait(lambda: hand.mirror.ticks and hand.mirror.ticks[-1]["remedies"]["tracing"], "the word of it")
        assert "itself" in refused(hand, "trace", seconds=1, **LOAD)
        assert target.ask("state")["tracing"]
        target.ask("trace off")
        said = asked(hand, "trace", seconds=60, **LOAD)
        wait_until_tracing(target)
        target.ask("trace off")
        target.ask("trace on")
        hand.client.enough()
        assert "switched it off" in hand.until(said, "refused")["text"]
        assert target.ask("state")["tracing"]


@on_newest
def test_what_is_no_number_of_seconds_is_refused(interpreter: Interpreter) -> None:
    with launch(interpreter, "memory") as target, acting(target) as hand:
        for seconds in (0, 61, -1, "5", None, True, float("inf"), float("nan")):
            assert "seconds" in refused(hand, "trace", seconds=seconds, **LOAD)
        assert not target.ask("state")["tracing"]


@on_interpreters
def test_a_trace_ends_with_its_observer(interpreter: Interpreter) -> None:
    """Here the observer is killed, and gets no chance to say anything."""
    script = (
        "import json, sys, time; from pyobserver.source.client import AgentClient;"
        "c = AgentClient(sys.argv[1], int(sys.argv[2]), actions=True); c.watch(0.1);"
        "c.act('trace', 0, 1, {'seconds': 60, 'load': True})\n"
        "while True: c.receive(1.0)"
    )
    with launch(interpreter, "memory") as target, acting(target) as hand:
        path = find_agent(target.pid)
        assert path is not None
        observer = subprocess.Popen([sys.executable, "-c", script, path, str(target.pid)], cwd=Path.cwd())
        try:
            wait_until_tracing(target)
        finally:
            os.kill(observer.pid, signal.SIGKILL)
            observer.wait()
        wait_until_tracing(target, False)
        assert done(hand, "trace", seconds=1, **LOAD)["traced"] >= 1.0  # another one can be begun


@on_newest
def test_a_trace_ends_without_any_observer(interpreter: Interpreter) -> None:
    """The agent lingers, and has nothing else to do."""
    with launch(interpreter, "memory") as target:
        hand = Hand(target)
        asked(hand, "trace", seconds=60, **LOAD)
        wait_until_tracing(target)
        hand.client.close()
        wait_until_tracing(target, False)
        wait_for(lambda: find_agent(target.pid) is None, "the end of the agent")


@on_interpreters
def test_a_trace_ends_with_the_agent(interpreter: Interpreter) -> None:
    with launch(interpreter, "memory") as target:
        with acting(target) as hand:
            asked(hand, "trace", seconds=60, **LOAD)
            wait_until_tracing(target)
        assert not target.ask("state")["tracing"]


@on_newest
def test_a_forked_child_does_not_trace(interpreter: Interpreter) -> None:
    with launch(interpreter, "memory") as target, acting(target) as hand:
        asked(hand, "trace", seconds=60, **LOAD)
        wait_until_tracing(target)
        assert target.ask("fork") == {"child": False, "parent": True}


@on_interpreters
def test_threads_that_allocate_without_the_lock_survive(interpreter: Interpreter) -> None:
    """The interpreter's own way to switch tracing off crashes this program within a few times, up to 3.13.1."""
    with launch(interpreter, "memory", "--inflate") as target, acting(target) as hand:
        for _ in range(6):
            said = asked(hand, "trace", seconds=1, **LOAD)
            hand.until(said, "ended", 90.0)
            before = target.ask("state")["inflated"]
            wait_for(lambda at=before: target.ask("state")["inflated"] > at, "that they go on")  # type: ignore[misc]


# -- who may ----------------------------------------------------------------------------------------------------------


@on_newest
def test_the_agent_refuses_who_may_not(interpreter: Interpreter) -> None:
    """The observer's own care is not relied upon: here the messages are sent all the same."""
    with launch(interpreter, "memory") as target, acting(target, actions=False) as hand:
        hand.mirror.wait(lambda: hand.mirror.ticks and not hand.mirror.ticks[-1]["remedies"]["collect"], "the loop")
        target.ask("garbage 10")
        for action in set(schema.ACTIONS) - {"cancel"}:
            assert "--allow-actions" in refused(hand, action, seconds=1, **LOAD)
        hand.client.enough()
        hand.mirror.turn(2)
        state = target.ask("state")
        assert not state["tracing"] and "_ctypes" not in state["modules"]
        assert target.ask("finalized") == {"main": 0, "elsewhere": 0}
