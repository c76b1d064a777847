"""Somebody dies in the middle of an attach: the observer's helper process, or the target."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

from pyobserver.attach import AttachError, examine
from pyobserver.attach.injector import _Helper
from pyobserver.attach.procfs import start_ticks

from ..attach.conftest import STATES, leave, running
from ..support.interpreters import Interpreter
from .tally import ANSWERED, Tally, cared_for, turns, ways

PROMPT = 5.0  # seconds in which the end of a target is told, at the latest
_USUAL = 0.12  # seconds of an attach, until one has been measured


def observers(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """Helpers that die right before or after the commit point, or at any moment: the target goes on, none the wiser."""
    way = ways(interpreter)
    for state, numbers in turns(STATES, rounds):
        undone = set()
        with cared_for(tally, interpreter, state) as target:
            begun = time.monotonic()
            tally.attach(target.pid, leave(1000))
            usual = time.monotonic() - begun
            for number in numbers:
                when = ("before", "after", "")[number % 3]
                if when:
                    with dying(when):
                        outcome = killed(tally, target.pid, number, next(way))
                    assert outcome == "killed", f"the helper should have died {when} the commit point: {outcome}"
                    undone.add(number)
                else:
                    killed(tally, target.pid, number, next(way), usual * random.uniform(0.3, 1.1))
        seen = set((target.last_words or {})["seen"])
        assert not seen & undone, f"scripts of dead observers ran: {seen & undone}"


@contextlib.contextmanager
def dying(when: str) -> Iterator[None]:
    """Helpers kill themselves before or after the commit point."""
    os.environ["PYOBSERVER_TEST_DIE"] = when
    try:
        yield
    finally:
        del os.environ["PYOBSERVER_TEST_DIE"]


def killed(tally: Tally, pid: int, number: int, way: str, after: float | None = None) -> str:
    """An attach whose helper is killed so many seconds after it was started, or kills itself."""
    request = {"pid": pid, "start_ticks": start_ticks(pid), "script": leave(number), "method": way, "patience": 10.0}
    begun = time.monotonic()
    helper = _Helper(pid, {**request, "chosen": examine(pid, way).method})
    timer = threading.Timer(after or 0.0, helper._process.kill)
    if after is not None:
        timer.start()
    try:
        helper.follow(lambda stage: None)
        outcome = ANSWERED
    except AttachError as error:
        outcome = "killed" if "status -9" in error.why else error.kind
    finally:
        timer.cancel()
    tally.note(outcome, time.monotonic() - begun)
    return outcome


def targets(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """Targets killed at any moment of an attach: the observer learns it soon and plainly, or was done before."""
    way, usual = ways(interpreter), _USUAL
    for state, _ in turns(STATES, rounds, each=1):
        with running(interpreter, state) as target:
            timer = threading.Timer(usual * random.uniform(0.2, 1.1), os.kill, (target.pid, signal.SIGKILL))
            timer.start()
            outcome = ANSWERED
            while outcome == ANSWERED:
                begun = time.monotonic()
                outcome = tally.attach(target.pid, leave(1), method=next(way))
                seconds = time.monotonic() - begun
                assert seconds < PROMPT, f"{outcome} after {seconds:.1f} s"
                usual = seconds if outcome == ANSWERED else usual
            timer.join()
            assert outcome in ("gone", "not_python"), f"a target that was killed is told as {outcome}"
            code = target.process.wait(10)
            assert code == -signal.SIGKILL, f"it ended with status {code} before it was killed"
