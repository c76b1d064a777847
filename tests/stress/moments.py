"""Attaching while the target changes under our hands: it comes up, ends, forks, or becomes another program."""

from __future__ import annotations

import random
import time

from ..attach.conftest import running
from ..support.interpreters import Interpreter
from .tally import ANSWERED, Tally, attached, cared_for, ended_well, turns, ways

_COMING_UP = {ANSWERED, "failed", "not_python", "unsupported", "gone", "no_safe_point"}
_ENDING = {ANSWERED, "failed", "not_python", "gone", "interpreter_lock", "script", "no_safe_point"}
_ENDS_WITHIN = {"idle": 0.08, "malloc": 0.08, "cpu": 0.08, "sleep": 0.25}  # seconds from the end of the input
_NOTHING = "import sys"


def startup(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """At any moment of the start of an interpreter: it comes up."""
    up, way = 0.1, ways(interpreter)
    for state, _ in turns(("idle", "sleep", "cpu"), rounds, each=1):
        begun = time.monotonic()
        with cared_for(tally, interpreter, state, wait=False) as target:
            time.sleep(random.uniform(0.0, up))
            outcome, seconds = attached(target.pid, _NOTHING, next(way))
            tally.note(outcome, seconds)
            assert outcome in _COMING_UP, outcome
            target.wait_until_ready(60)
            if outcome != ANSWERED:
                up = max(0.02, time.monotonic() - begun - seconds)


def shutdown(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """At any moment of the end of an interpreter: it ends with its own status."""
    way = ways(interpreter)
    for state, _ in turns(tuple(_ENDS_WITHIN), rounds, each=1):
        with running(interpreter, state) as target:
            assert target.process.stdin is not None
            target.process.stdin.close()
            time.sleep(random.uniform(0.0, _ENDS_WITHIN[state]))
            outcome = tally.attach(target.pid, _NOTHING, method=next(way), patience=2.0)
            assert outcome in _ENDING, outcome
            ended_well(tally, target)


def forks(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """While it forks and runs programs all the time: every child does its work, and ends well."""
    way = ways(interpreter)
    for state, numbers in turns(("forks",), rounds):
        with cared_for(tally, interpreter, state) as target:
            for number in numbers:
                tally.attach(target.pid, leave_if_there(number), method=next(way))


def execs(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """While it becomes another program all the time: whichever one it is in the end, it works."""
    way = ways(interpreter)
    for state, numbers in turns(("execs",), rounds):
        with cared_for(tally, interpreter, state) as target:
            for number in numbers:
                tally.attach(target.pid, leave_if_there(number), method=next(way))
            assert target.process.stdin is not None
            target.process.stdin.write(b"x")
            target.process.stdin.flush()
            target.wait_until_ready(60)


def leave_if_there(number: int) -> str:
    """A script that leaves a number in the program, if that has come to its own first lines already."""
    return f"import sys\ngetattr(sys.modules['__main__'], 'seen', []).append({number})"
