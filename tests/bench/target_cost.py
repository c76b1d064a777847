"""What being observed costs the target: how late its event loop becomes, and the agent's CPU at rest.

The ticker target sleeps a millisecond again and again among parked tasks and notes how late it wakes. The same process
is measured alone and observed, in turns, so that the machine's noise is in both figures.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from pyobserver.model.snapshot import Phase
from pyobserver.source.live import LiveSource, remove_agent
from tests.support.interpreters import interpreters
from tests.support.targets import RunningTarget, launch

ROUNDS = 4
ROUND_SECONDS = 6.0
TASKS_BUSY, TASKS_AT_REST = 10_000, 1_000
MORE_MS = 3.0  # that p99 may become worse
SHARE_AT_REST = 0.01  # of one core
SHARE_ALONE = 0.006  # of one core, of an agent that stays without an observer
ALONE_SECONDS = 40.0
SETTLE_SECONDS = 40.0


def connected(pid: int) -> LiveSource:
    """A source that has the first complete picture of process `pid`."""
    source = LiveSource(pid)
    source.start()
    source.wait_until_known(settle=SETTLE_SECONDS)
    return source


def lateness(target: RunningTarget) -> tuple[float, float]:
    """p99 and the largest lateness, in ms, over one round."""
    target.ask("reset")
    time.sleep(ROUND_SECONDS)
    late = target.ask("lateness")
    return late["p99_ms"], late["max_ms"]


def ticker() -> bool:
    """The ticker's lateness alone and observed."""
    interpreter = interpreters()[-1]
    alone, observed, first = [], [], []
    with launch(interpreter, "ticker", "--tasks", TASKS_BUSY) as target:
        for _ in range(ROUNDS):
            alone.append(lateness(target))
            source = LiveSource(target.pid)
            source.start()
            first.append(lateness(target))  # while the agent comes in and measures everything for the first time
            source.wait_until_known(settle=SETTLE_SECONDS)
            observed.append(lateness(target))
            facts = source.store.snapshot().tick
            source.detach()
    print(f"a ticker of 1 ms among {TASKS_BUSY:,} tasks on {interpreter}; lateness in ms over {ROUND_SECONDS:g} s:")
    for name, figures in (("alone", alone), ("agent coming in", first), ("observed", observed)):
        p99, largest = (statistics.median(column) for column in zip(*figures, strict=True))
        print(
            f"    {name:16} p99 {p99:6.2f}   max {largest:6.2f}"
            f"   p99 of the rounds: {[round(f[0], 2) for f in figures]}"
        )
    if facts is not None:
        print(f"    longest hold {1000 * facts.cost.longest_hold_seconds:.2f} ms, torn slices {facts.cost.torn}")
    worse = statistics.median(f[0] for f in observed) - statistics.median(f[0] for f in alone)
    print(f"    p99 worse by {worse:.2f} ms (at most {MORE_MS:g})")
    return worse <= MORE_MS


def at_rest() -> bool:
    """The agent's CPU with parked tasks, on every interpreter."""
    print(f"agent's CPU at rest with {TASKS_AT_REST:,} parked tasks, share of one core (at most {SHARE_AT_REST:.0%}):")
    good = True
    for interpreter in interpreters():
        with launch(interpreter, "parked", "--tasks", TASKS_AT_REST) as target:
            source = connected(target.pid)
            try:
                time.sleep(3)
                before = source.store.snapshot().tick
                time.sleep(12)
                snapshot = source.store.snapshot()
                after = snapshot.tick
                assert before is not None and after is not None and snapshot.status.phase is Phase.LIVE
                share = (after.cost.cpu_seconds - before.cost.cpu_seconds) / (after.time - before.time)
                print(
                    f"    {interpreter!s:9} {share:6.2%}   longest hold {1000 * after.cost.longest_hold_seconds:.2f} ms"
                    f"   memory {(after.cost.memory_bytes or 0) / 1e6:.2f} MB"
                )
                good = good and share <= SHARE_AT_REST
            finally:
                source.detach()
    return good


def alone() -> bool:
    """The agent's CPU while it stays without an observer: among parked tasks, and where many come and go."""
    print(f"agent's CPU without an observer, share of one core (at most {SHARE_ALONE:.1%}):")
    good = True
    for name, number in (("parked", "--tasks=1000"), ("parked", "--tasks=100000"), ("spawner", "--rate=200")):
        with launch(interpreters()[-1], name, number) as target:
            folder = Path(f"/proc/{target.pid}/task")
            before = set(os.listdir(folder))
            source = LiveSource(target.pid, leaves_agent=True)
            source.start()
            source.wait_until_known(settle=SETTLE_SECONDS)
            (thread,) = set(os.listdir(folder)) - before
            source.stop()
            time.sleep(2)
            spent, since = cpu_seconds(folder / thread), time.monotonic()
            time.sleep(ALONE_SECONDS)
            share = (cpu_seconds(folder / thread) - spent) / (time.monotonic() - since)
            remove_agent(target.pid)
            print(f"    {name} {number:17} {share:6.2%}")
            good = good and share <= SHARE_ALONE
    return good


def cpu_seconds(thread: Path) -> float:
    """CPU time of a thread, from /proc/PID/task/TID/schedstat: nanoseconds."""
    return int((thread / "schedstat").read_text().split()[0]) / 1e9


def main() -> int:
    """0 when the service does not notice that it is watched."""
    return int(not all([ticker(), at_rest(), alone()]))
