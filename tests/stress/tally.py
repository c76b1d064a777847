"""What is counted while targets are maltreated, and the care by which none is lost unnoticed."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyobserver.attach import AttachError, inject
from pyobserver.attach.procfs import status

from ..attach.conftest import leave, running, state_of, wait_until
from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget

ANSWERED = "answered"
_OF_CPYTHON = re.compile(r"Can't open debugger script [^\n]+\nTraceback [^\n]+\n(?: [^\n]+\n)*KeyError: '__import__'\n")
_LAST = -1  # what the last attach to each target leaves there
_TARGETS_ATTEMPTS = 8  # attaches to one target, where it may be replaced by the next one


@dataclass
class Tally:
    """Attaches of one scenario: how many, what became of them, the seconds of the slowest, and each loss in words.

    `complaints` are the targets in which CPython has complained for itself, see `ended_well`.
    """

    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    complaints: int = 0
    lost: list[str] = field(default_factory=list)

    def note(self, outcome: str, seconds: float) -> None:
        """Count one attach: `ANSWERED`, or in a word why not."""
        self.attempts += 1
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, seconds)

    def attach(self, pid: int, script: str, **options: Any) -> str:
        """Attach, count it, and return its outcome."""
        outcome, seconds = attached(pid, script, **options)
        self.note(outcome, seconds)
        return outcome

    def add(self, other: Tally) -> None:
        """Add what another tally has counted."""
        self.attempts += other.attempts
        self.outcomes += other.outcomes
        self.slowest = max(self.slowest, other.slowest)
        self.complaints += other.complaints
        self.lost += other.lost


def attached(pid: int, script: str, method: str = "auto", patience: float = 10.0) -> tuple[str, float]:
    """The outcome of one attach, and its seconds. Anything but an AttachError is a fault of ours, and raised."""
    begun = time.monotonic()
    try:
        inject(pid, script, method=method, patience=patience)
        outcome = ANSWERED
    except AttachError as error:
        outcome = error.kind
    return outcome, time.monotonic() - begun


@contextlib.contextmanager
def cared_for(tally: Tally, interpreter: Interpreter, state: str, **options: Any) -> Iterator[RunningTarget]:
    """Runs `program.py`; behind the block it must be free, take one more attach, and end as if nothing had been."""
    with running(interpreter, state, **options) as target:
        yield target
        check_free(target.pid)
        outcome = tally.attach(target.pid, leave(_LAST))
        assert outcome == ANSWERED, f"it refuses the next attach: {outcome}"
        seen = ended_well(tally, target)["seen"]
        assert seen.count(_LAST) == 1, f"the next attach ran {seen.count(_LAST)} times"
        assert len(set(seen)) == len(seen), f"a script ran twice: {seen}"


def ended_well(tally: Tally, target: RunningTarget) -> dict[str, Any]:
    """Ends a target, makes sure that it is content and silent, and returns what it found.

    CPython cannot open the script of a request (PEP 768) where it meets code without builtins, as namedtuple runs it
    while a program imports its modules. It says so on standard error; that is counted.
    """
    status, complaint = target.stop()
    ours = _OF_CPYTHON.sub("", complaint)
    tally.complaints += ours != complaint
    assert (status, ours) == (0, ""), f"it ended with status {status} and said {ours!r}"
    assert target.last_words is not None and target.last_words["ok"], target.last_words
    return target.last_words


def check_free(pid: int) -> None:
    """Fails when a process stays stopped or traced."""

    def free() -> bool:
        return state_of(pid) not in "Tt" and status(pid)["TracerPid"] == "0"

    with contextlib.suppress(AssertionError):
        wait_until(free, within=3.0)
    assert free(), f"it stays in state {state_of(pid)}, traced by {status(pid)['TracerPid']}"


def ways(interpreter: Interpreter) -> Iterator[str]:
    """The ways that lead into an interpreter, by turns."""
    return itertools.cycle(("auto", "ptrace") if interpreter.minor >= (3, 14) else ("auto",))


def turns(states: Sequence[str], rounds: int, each: int = _TARGETS_ATTEMPTS) -> Iterator[tuple[str, range]]:
    """So many rounds as parts for one target each: its state, and the numbers of its rounds."""
    first = random.randrange(len(states))
    for part, begin in enumerate(range(0, rounds, each)):
        yield states[(first + part) % len(states)], range(begin, min(begin + each, rounds))
