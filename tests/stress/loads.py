"""Attaching to targets that are hard to attach to: interrupted, crowded, waited for by several observers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ..attach.conftest import STATES, leave
from ..support.interpreters import Interpreter
from .tally import ANSWERED, Tally, attached, cared_for, turns, ways

_OBSERVERS = 4


def signals(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """A timer of 2 kHz, whose signals Python handles."""
    _again_and_again(tally, interpreter, rounds, ("signals",))


def calls(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """Sleeps, polls, reads and timed waits made past Python: we interrupt them, and they return what they should."""
    _again_and_again(tally, interpreter, rounds, ("naps", "polls", "futexes", "reads", "calls"))


def churn(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """Eight threads that allocate and free all the time."""
    _again_and_again(tally, interpreter, rounds, ("crowd",))


def _again_and_again(tally: Tally, interpreter: Interpreter, rounds: int, states: tuple[str, ...]) -> None:
    way = ways(interpreter)
    for state, numbers in turns(states, rounds):
        with cared_for(tally, interpreter, state) as target:
            done = [n for n in numbers if tally.attach(target.pid, leave(n), method=next(way)) == ANSWERED]
        assert target.last_words is not None
        missing = set(done) - set(target.last_words["seen"])
        assert not missing, f"answered, but never run: {missing}"


def concurrent(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """Several observers at once: each waits until the other ones have let go."""
    way = ways(interpreter)
    for state, numbers in turns((*STATES, "forks"), rounds):
        with cared_for(tally, interpreter, state) as target, ThreadPoolExecutor(_OBSERVERS) as observers:
            for number in numbers:
                jobs = [
                    observers.submit(attached, target.pid, leave(number * _OBSERVERS + each), next(way))
                    for each in range(_OBSERVERS)
                ]
                for job in jobs:
                    tally.note(*job.result())
