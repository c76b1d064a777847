"""All scenarios, and how often each of them tries."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable
from dataclasses import dataclass

from ..support.interpreters import Interpreter, interpreters
from . import agents, deaths, loads, moments
from .tally import Tally

LONGEST = 900.0  # seconds that one interpreter may take in one scenario


@dataclass(frozen=True)
class Scenario:
    """What is played, and how many rounds: in all, or `on_ends` on each of the oldest and the newest interpreter."""

    name: str
    play: Callable[[Tally, Interpreter, int], None]
    rounds: int
    on_ends: bool = False

    def parts(self, rounds: int) -> list[tuple[Interpreter, int]]:
        """The interpreters, each with how many rounds it gets."""
        found = interpreters()
        if self.on_ends:
            return [(interpreter, rounds) for interpreter in dict.fromkeys((found[0], found[-1]))]
        shares = [rounds // len(found) + (i < rounds % len(found)) for i in range(len(found))]
        return [(interpreter, share) for interpreter, share in zip(found, shares, strict=True) if share]


SCENARIOS = (
    Scenario("observers killed", deaths.observers, 150),
    Scenario("targets killed", deaths.targets, 120),
    Scenario("agent cycles", agents.cycles, 200, on_ends=True),
    Scenario("agents in company", agents.company, 32),
    Scenario("startup", moments.startup, 160),
    Scenario("shutdown", moments.shutdown, 160),
    Scenario("forks", moments.forks, 160),
    Scenario("execs", moments.execs, 160),
    Scenario("signals", loads.signals, 120),
    Scenario("concurrent", loads.concurrent, 64),
    Scenario("raw calls", loads.calls, 320),
    Scenario("malloc churn", loads.churn, 160),
)


def play(scenario: Scenario, interpreter: Interpreter, rounds: int) -> Tally:
    """Plays one scenario on one interpreter, in this process, up to the first loss."""
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    tally = Tally()
    try:
        scenario.play(tally, interpreter, rounds)
    except Exception as error:
        tally.lost.append(f"{interpreter}, after {tally.attempts} attaches: {type(error).__name__}: {error}")
    finally:
        faulthandler.cancel_dump_traceback_later()
    return tally
