"""How good the statistics of the verdict are: recall, precision, delay, and false alarms for each class of series.

Made-up memory of four hours, a reading a second, kept as the store keeps it and judged every 30 s: eight classes that
do not leak, six that do. A leak is found when the verdict says so within 90 minutes after it has begun; a false alarm
is one at any time of the four hours. Beside it, what a report of one minute says. The promise for each level is what
the statistics had reached when they were chosen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from pyobserver.analysis.trend import BYTES, seconds_to_limit, trend

from ..support.series import FAST, HARMLESS, LEAKING, SECONDS, Memory, Played, memory

RUNS = 24  # series of each class
EVERY = 30  # seconds between two judgements
WITHIN = 5400.0  # seconds after the leak has begun
SOON = 15 * 60.0
GROWING, LEAK, LIMIT = "growing", "leak", "limit"
PROMISED = {GROWING: (0.99, 0.54), LEAK: (0.99, 0.80), LIMIT: (0.99, 0.66)}  # recall, precision
NEVER_LEAKS = ("flat", "sawtooth", "slow sawtooth", "steps")
SHORT = 60  # seconds of a short look


def alarms(series: Memory) -> Iterator[tuple[int, set[str]]]:
    """Yield (second, the levels that are said) for each judgement."""
    played = Played(series.values)
    limit = 2 * float(np.median(series.values[:600]))
    for second in range(EVERY, SECONDS, EVERY):
        now = played.until(second)
        said = set()
        found = trend(played.series.curve, now, 0.0, BYTES)
        if found is not None and found.grows:
            said.add(GROWING)
            if found.is_leak:
                said.add(LEAK)
        last = float(series.values[second - 1])
        left = seconds_to_limit(played.series.curve, now, 0.0, last, limit, found) if second >= 600 else None
        if left is not None and left < SOON:
            said.add(LIMIT)
        yield second, said


def short_look(series: Memory, at: int) -> bool:
    """Whether a look of one minute that ends at this second says that it grows."""
    played = Played(series.values[at - SHORT : at])
    found = trend(played.series.curve, played.until(SHORT), 0.0, BYTES)
    return found is not None and found.grows


def first(said: list[tuple[int, set[str]]], level: str, begin: float) -> float | None:
    """The second of the first judgement from `begin` on that says this level."""
    return next((second for second, levels in said if second >= begin and level in levels), None)


def main(runs: int = RUNS, print: Callable[[str], None] = lambda text: print_(text)) -> int:
    """Print the tables; returns 1 when a level is worse than promised."""
    random = np.random.default_rng(7)
    begun = time.monotonic()
    harmless = {kind: [memory(kind, random) for _ in range(runs)] for kind in HARMLESS}
    leaking = {kind: [memory(kind, random) for _ in range(runs)] for kind in LEAKING}
    judged = {kind: [list(alarms(s)) for s in group] for kind, group in {**harmless, **leaking}.items()}
    good = True
    print(f"{runs} series of 4 h for each of {len(judged)} classes, judged every {EVERY} s")
    for level, (least_recall, least_precision) in PROMISED.items():
        kinds = FAST if level == LIMIT else tuple(LEAKING)
        false = {k: sum(first(s, level, 600) is not None for s in judged[k]) / runs for k in HARMLESS}
        delays: dict[str, list[float]] = {}
        for kind in kinds:
            onsets = [float(s.onset or 0.0) for s in leaking[kind]]
            found = [(first(said, level, onset), onset) for said, onset in zip(judged[kind], onsets, strict=True)]
            delays[kind] = [at - onset for at, onset in found if at is not None and at - onset < WITHIN]
        recall = sum(len(d) for d in delays.values()) / (runs * len(kinds))
        hits = recall * len(kinds)
        precision = hits / (hits + sum(false.values())) if hits else 0.0
        is_good = recall >= least_recall and precision >= least_precision
        if level == LEAK:
            is_good = is_good and not any(false[kind] for kind in NEVER_LEAKS)
        good = good and is_good
        print(
            f"\n{'ok' if is_good else 'BAD'}  {level}: recall {recall:.2f}, precision {precision:.2f}"
            f" (promised {least_recall:.2f}, {least_precision:.2f})"
        )
        print("    false alarms in 4 h: " + ", ".join(f"{kind} {share:.2f}" for kind, share in false.items()))
        for kind in kinds:
            middle = f"{np.median(delays[kind]):.0f} s" if delays[kind] else "never"
            print(f"    {kind}: found {len(delays[kind]) / runs:.2f}, after {middle} (median)")
    print(f"\na report of {SHORT} s says growing:")
    for kind in judged:
        group = (harmless | leaking)[kind]
        looks = [(s, int(random.uniform((s.onset or 0) + 120, (s.onset or 0) + 3600))) for s in group for _ in range(5)]
        print(f"    {kind}: {sum(short_look(s, at) for s, at in looks) / len(looks):.2f}")
    print(f"\n{time.monotonic() - begun:.0f} s in all")
    return 0 if good else 1


def print_(text: str) -> None:
    """Print, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
