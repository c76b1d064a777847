"""An agent beside a loop that never rests comes in, answers, and is where it may be when the loop rests."""

from __future__ import annotations

import os
import time

import pytest

from pyobserver.attach import ptrace_method
from pyobserver.attach.beside import agents_threads
from pyobserver.attach.procfs import Memory

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget, launch
from .mirror import Mirror, observed, on_interpreters, on_newest, silence, wait_for

ALL = os.sched_getaffinity(0)
THREADED = [each for each in interpreters() if each.minor < (3, 14)]  # later the main thread lets the agent in
needs_processors = pytest.mark.skipif(len(ALL) < 2, reason="on a single processor whoever waits for the lock gets it")


def where(target: RunningTarget) -> set[int]:
    """The processors that the agent's thread may run on."""
    (thread,) = agents_threads(target.pid)
    return os.sched_getaffinity(thread)


def turned(mirror: Mirror) -> bool:
    mirror.turn(1)
    return True


def seconds_of(mirror: Mirror, ticks: int) -> float:
    begun = time.monotonic()
    mirror.turn(ticks)
    return time.monotonic() - begun


@on_interpreters
def test_the_agents_threads_is_known_among_all(interpreter: Interpreter) -> None:
    """By its signals; it runs where the program's threads may while nothing keeps it waiting."""
    with launch(interpreter, "threads") as target:
        before = {int(name) for name in os.listdir(f"/proc/{target.pid}/task")}
        assert not agents_threads(target.pid)
        with observed(target.pid) as mirror:
            mirror.turn(5)
            (thread,) = agents_threads(target.pid)
            assert thread not in before
            assert os.sched_getaffinity(thread) == os.sched_getaffinity(target.pid)
        target.stop()


@needs_processors
@on_interpreters
def test_it_answers_beside_a_loop_that_never_rests(interpreter: Interpreter) -> None:
    """As often as it is asked to; without help it would get the interpreter lock once in some seconds."""
    with launch(interpreter, "restless", "--every", 0.001) as target:
        with observed(target.pid, interval=0.2) as mirror:
            mirror.wait_until_known()
            assert seconds_of(mirror, 20) < 60.0
            wait_for(lambda: turned(mirror) and len(where(target)) == 1, "its bond")
            target.ask("rest")
            wait_for(lambda: turned(mirror) and where(target) == ALL, "the end of its bond")
            target.ask("toil")
            wait_for(lambda: turned(mirror) and len(where(target)) == 1, "the next one")
        silence(target.stop())


@needs_processors
@pytest.mark.parametrize("interpreter", [pytest.param(each, id=str(each)) for each in THREADED[-1:]])
def test_the_thread_that_never_rests_is_another_than_the_main_thread(interpreter: Interpreter) -> None:
    with launch(interpreter, "restless", "--every", 0.002, "--aside") as target:
        with observed(target.pid, interval=0.2) as mirror:
            mirror.wait_until_known()
            assert seconds_of(mirror, 10) < 60.0
        silence(target.stop())


@needs_processors
@on_interpreters
def test_an_agent_that_stays_is_not_left_bound(interpreter: Interpreter) -> None:
    with launch(interpreter, "restless", "--every", 0.001) as target:
        with observed(target.pid, interval=0.2) as mirror:
            wait_for(lambda: turned(mirror) and len(where(target)) == 1, "its bond")
            mirror.client.stay()
            mirror.client.close()
            assert where(target) == ALL
            mirror.farewell = "left"
        silence(target.stop())


@on_newest
def test_the_thread_that_was_made_is_told_from_others(
    interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the program starts threads in the same moment, by the time that ours sleeps by."""
    found: list[list[int]] = []
    made_thread = ptrace_method.PtraceInjection._made_thread

    def noted(injection: ptrace_method.PtraceInjection, before: set[int]) -> list[int]:
        alone = made_thread(injection, before)
        found.extend((alone, made_thread(injection, set())))
        return alone

    monkeypatch.setattr(ptrace_method.PtraceInjection, "_made_thread", noted)
    with launch(interpreter, "threads") as target:
        memory = Memory(target.pid)
        ptrace_method.PtraceInjection(target.pid, memory, lambda text: None).run("0", 30.0)
        memory.close()
        target.stop()
    assert len(found[0]) == 1 and found[0] == found[1]
