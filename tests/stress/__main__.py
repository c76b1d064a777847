"""Plays the scenarios, a line for each: `python -m tests.stress [--rounds N] [--only NAME ...]`.

Ends with status 0 only when no target was lost.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor

from ..support.interpreters import Interpreter, interpreters, missing
from .scenarios import LONGEST, SCENARIOS, Scenario, play
from .tally import ANSWERED, Tally

_WORKERS = 2


def line(scenario: Scenario, on: Sequence[Interpreter], tally: Tally) -> str:
    """What has become of one scenario."""
    refused = {kind: count for kind, count in tally.outcomes.items() if kind != ANSWERED}
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(refused.items()))
    versions = " ".join(f"{i.minor[0]}.{i.minor[1]}" for i in on)
    aside = f"CPython complained {tally.complaints}x, " if tally.complaints else ""
    return (
        f"{scenario.name:18} on {versions}: {tally.attempts} attempts, {tally.outcomes[ANSWERED]} answered, "
        f"{sum(refused.values())} refused{f' ({kinds})' if kinds else ''}, slowest {tally.slowest:.2f} s, "
        f"{aside}{len(tally.lost)} lost"
    )


def collect(jobs: Sequence[Future[Tally]]) -> Tally:
    """The sum of what the jobs have counted; a job that has not come to its end is a loss."""
    total = Tally()
    for job in jobs:
        try:
            total.add(job.result())
        except Exception as error:
            loss = f"no end within {LONGEST:g} s, or a crash of ours: {type(error).__name__}: {error}"
            total.lost += [loss] if loss not in total.lost else []
    return total


def main(arguments: Sequence[str] | None = None, scenarios: Sequence[Scenario] = SCENARIOS) -> int:
    """Plays; returns 0 when no target was lost, else 1."""
    names = [scenario.name.replace(" ", "-") for scenario in scenarios]
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description="Tries to break targets by attaching.")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each scenario tries")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="some of: " + ", ".join(names))
    options = parser.parse_args(arguments)
    chosen = [s for s, name in zip(scenarios, names, strict=True) if name in (options.only or names)]
    begun = time.monotonic()
    print("interpreters:", ", ".join(map(str, interpreters())))
    print("not found:", ", ".join(missing()) or "none is missing", flush=True)
    sum_of_all = Tally()
    with ProcessPoolExecutor(_WORKERS, multiprocessing.get_context("spawn")) as pool:
        parts = [scenario.parts(options.rounds or scenario.rounds) for scenario in chosen]
        jobs = [[pool.submit(play, s, *part) for part in each] for s, each in zip(chosen, parts, strict=True)]
        for scenario, each, running in zip(chosen, parts, jobs, strict=True):
            tally = collect(running)
            print(line(scenario, [interpreter for interpreter, _ in each], tally), flush=True)
            for loss in tally.lost:
                print("    LOST", loss, flush=True)
            sum_of_all.add(tally)
    print(
        f"{sum_of_all.attempts} attaches, {sum_of_all.outcomes[ANSWERED]} answered, {len(sum_of_all.lost)} targets "
        f"lost; {time.monotonic() - begun:.0f} s"
    )
    return int(bool(sum_of_all.lost))


if __name__ == "__main__":
    sys.exit(main())
