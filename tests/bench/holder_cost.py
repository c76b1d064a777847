"""What finding who holds the tasks costs a program with millions of objects, beside `gc.get_referrers` and objgraph.

The agent looks for the holders of all tasks in slices of a millisecond; the other two look for that of one task, in the
same process, one after another. A stall is how long another thread of the program had to wait at most.
"""

from __future__ import annotations

import time

from tests.agent.mirror import Mirror, observed
from tests.support.interpreters import Interpreter, interpreters
from tests.support.packages import with_packages
from tests.support.targets import RunningTarget, launch

HEAPS = (1_000_000, 5_000_000)  # objects
TASKS = 100
HOLDER = "__main__.Shelf.readers"
MOST_SHARE = 0.10  # of a core
MOST_STALL = 0.0025  # of a slice, by the agent's own count
MOST_BYTES = 6_000_000


def resident(pid: int) -> int:
    """Bytes of the process in memory."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def attached(target: RunningTarget) -> bool:
    """Attaches, waits for the holder, and prints what that took; whether it was within the bounds."""
    before = resident(target.pid)
    with observed(target.pid) as mirror:
        begun = time.monotonic()
        target.ask("stall")

        def is_found() -> bool:
            nodes = {number for number, node in mirror.nodes.items() if node["label"] == HOLDER}
            return sum(row["parent"] in nodes for row in mirror.tasks) == TASKS

        mirror.wait(is_found, "the holder", within=900.0)
        found = time.monotonic() - begun
        mirror.wait(lambda: mirror.ticks[-1]["holders_complete"], "the end of the walk", within=900.0)
        return told(target, mirror, found, time.monotonic() - begun, resident(target.pid) - before)


def told(target: RunningTarget, mirror: Mirror, found: float, whole: float, grown: int) -> bool:
    """Prints one row; whether its figures are within the bounds."""
    agent = mirror.ticks[-1]["agent"]
    share = agent["cpu_seconds"] / whole
    hold, stall = agent["longest_hold_seconds"], target.ask("stall")["stall"]
    print(
        f"  pyobserver, all {TASKS} tasks   found after {found:6.1f} s, all walked after {whole:6.1f} s, "
        f"{100 * share:4.1f} % of a core, longest slice {1000 * hold:5.1f} ms, stall {1000 * stall:6.1f} ms, "
        f"memory {agent['memory_bytes'] / 1e6:.1f} MB (process {grown / 1e6:+.1f} MB)"
    )
    return share <= MOST_SHARE and hold <= MOST_STALL and agent["memory_bytes"] <= MOST_BYTES


def measure(interpreter: Interpreter, objects: int) -> bool:
    """Prints the figures for one heap."""
    with launch(interpreter, "library", "--objects", objects, "--tasks", TASKS, within=300) as target:
        tracked = target.ask("objects", within=120)["tracked"]
        print(f"Python {interpreter}, {objects:,} objects, {tracked:,} of them tracked by the collector")
        is_good = attached(target)
        for way, name in (("referrers", "gc.get_referrers, one step"), ("objgraph", "objgraph, back to a module")):
            one = target.ask(way, within=900)
            print(
                f"  {name:26}  {one['seconds']:6.2f} s for one task, stall {1000 * one['stall']:6.1f} ms"
                f"   ({' <- '.join(one['found'][:6])})"
            )
        return is_good


def main() -> int:
    """Measures the newest interpreter; 1 when the agent's figures are not within the bounds."""
    able = with_packages(interpreters()[-1], "objgraph")
    results = [measure(able, objects) for objects in HEAPS]
    print("within the bounds" if all(results) else "NOT within the bounds")
    return 0 if all(results) else 1
