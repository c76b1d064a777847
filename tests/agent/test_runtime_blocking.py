"""A task that keeps its loop from everything is found by name; one that is only busy is not blamed for it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import pytest

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget, launch
from .mirror import Mirror, observed

_MINORS = {(3, 8), (3, 12), interpreters()[-1].minor}

on_some = pytest.mark.parametrize(
    "interpreter",
    [pytest.param(i, id=str(i), marks=() if i.minor in _MINORS else pytest.mark.every) for i in interpreters()],
)


@contextlib.contextmanager
def running_first(interpreter: Interpreter, way: str) -> Iterator[RunningTarget]:
    """The target, which gets the processor before other processes, where that may be asked for.

    Who computes is told from who gives up the lock by looks that have waited for it for exactly the switch interval.
    There are none while other processes have the processor: nobody is blamed then.
    """
    with launch(interpreter, "blocking", way) as target:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(target.pid, os.SCHED_RR, os.sched_param(1))  # the agent's thread has it from this one
        yield target


def blockers(mirror: Mirror) -> list[str]:
    return [row["name"] for row in mirror.tasks if row["flags"] & schema.FLAG_BLOCKING]


@pytest.mark.parametrize("way", ["sleeper", "cpu", "hasher"])
@on_some
def test_who_holds_the_loop_is_found(interpreter: Interpreter, way: str) -> None:
    """It sleeps, computes in Python, or computes in C without the interpreter lock."""
    with running_first(interpreter, way) as target, observed(target.pid) as mirror:
        mirror.wait(lambda: blockers(mirror), "somebody to blame", within=90.0)
        assert blockers(mirror) == [way]
        row = mirror.named(way)
        assert row is not None
        assert mirror.detail(row)["blocked"] >= 2
        other = mirror.named("other")
        assert other is not None and mirror.detail(other)["blocked"] == 0
        assert mirror.problems == []


@on_some
def test_tasks_that_hold_it_once_and_end_are_found_by_their_function(interpreter: Interpreter) -> None:
    """As the requests of a service do: none of them is there for long enough to be pointed at."""
    with launch(interpreter, "blocking", "requests") as target, observed(target.pid) as mirror:
        mirror.wait(lambda: any(tick["blocking"] for tick in mirror.ticks[-1:]), "somebody to blame", within=60.0)
        (function, tasks), *others = mirror.ticks[-1]["blocking"]
        assert function == "__main__.requests.<locals>.answer" and tasks >= 1 and not others
        assert mirror.problems == []


@pytest.mark.parametrize("way", ["good", "sender", "crowd"])
@on_some
def test_who_is_only_busy_is_not_blamed(interpreter: Interpreter, way: str) -> None:
    """Short steps all the time, calls that give up the lock for a moment, many turns between two looks of the loop."""
    with launch(interpreter, "blocking", way) as target, observed(target.pid) as mirror:
        before = target.ask("turns")["turns"]
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            mirror.hear()
            assert blockers(mirror) == []
        assert not any(tick["blocking"] for tick in mirror.ticks)
        assert target.ask("turns")["turns"] > before
        assert mirror.problems == []


@on_some
def test_it_is_forgotten_after_a_while(interpreter: Interpreter) -> None:
    """What was seen is told for some seconds, and how often it was seen for longer."""
    with running_first(interpreter, "sleeper") as target, observed(target.pid) as mirror:
        mirror.wait(lambda: blockers(mirror), "somebody to blame")
        target.ask("stop")
        mirror.wait(lambda: not blockers(mirror), "the end of it", within=60.0)
        row = mirror.named("sleeper")
        assert row is not None and mirror.detail(row)["blocked"] >= 2
