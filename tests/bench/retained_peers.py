"""What each task retains, by this project's scanner and by other tools, side by side on the same objects.

Times are of one process and errors of another with the same objects, as tracemalloc slows everything that allocates.
The figures are ratios to the scanner in slices; what a tool is asked for stands in `retained_targets/peers.py`.
"""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from tests.agent.retained_targets import run
from tests.support.interpreters import Interpreter, interpreters
from tests.support.packages import with_packages

PACKAGES = ("pympler", "guppy3")
OURS = "pyobserver, 1 ms"
IN_FULL = "pyobserver, in full"
WORST = 5.0  # per cent by which scans in full may be off, in the middle


def prepared(interpreter: Interpreter) -> Interpreter:
    """The interpreter with those of the tools that can be installed; the others are named."""
    for package in PACKAGES:
        try:
            able = with_packages(interpreter, package)
        except pytest.skip.Exception as skipped:
            print(f"left out: {skipped}")
        else:
            interpreter = able if able.command != interpreter.command else interpreter
    return interpreter


def errors(setting: dict[str, Any], tool: str) -> list[float]:
    """By how many per cent the tool was off, for each task of which it is known what cancelling frees."""
    found = setting["tools"][tool]["bytes"]
    return [100 * abs(found[key] - freed) / freed for key, freed in setting["freed"].items() if key in found]


def row(tool: str, speed: dict[str, Any], truth: dict[str, Any]) -> str:
    """The figures of one tool in one setting."""
    seconds = speed["tools"][tool]["seconds"]
    per_task = sum(seconds) / len(speed["tools"][tool]["bytes"])
    least = speed["tools"][OURS]
    ratio = per_task / (sum(least["seconds"]) / len(least["bytes"]))
    off = errors(truth, tool)
    return (
        f"  {tool:20} {speed['objects'] / per_task:14,.0f} {per_task * 1e6:14,.0f} x{ratio:<9,.1f} "
        f"{statistics.median(off):9.2f} {max(off):9.2f} {max(seconds) * 1e3:12,.1f} "
        f"{truth['tools'][tool]['peak'] / 1e6:10,.2f}"
    )


def main() -> int:
    """Prints the figures on the newest interpreter found; 1 when a scan in full is not what cancelling frees."""
    interpreter = prepared(interpreters()[-1])
    speed = run(interpreter, "peers.py", "speed", within=600)
    truth = run(interpreter, "peers.py", "truth", within=600)
    print(f"Python {interpreter}")
    worst = 0.0
    for name, setting in speed.items():
        tasks, objects = setting["tasks"], setting["objects"]
        print(f"\n{name}: {tasks:,} tasks of {objects:,} objects each, and a configuration that all share")
        print(
            f"  {'':20} {'objects/s':>14} {'us per task':>14} {'':10} {'off by %':>9} {'worst %':>9} "
            f"{'longest, ms':>12} {'peak, MB':>10}"
        )
        for tool in setting["tools"]:  # of what is estimated, the objects are those that are spoken for
            print(row(tool, setting, truth[name]))
        worst = max(worst, statistics.median(errors(truth[name], IN_FULL)))
    return int(worst > WORST)
