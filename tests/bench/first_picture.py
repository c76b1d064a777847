"""From the command to real rows: the demonstration, attached to again and again, on every interpreter.

As the user sees it: from the start of `pyobserver attach` in a terminal until the first row of a task is painted, and
of `pyobserver snapshot` until it has ended. Beside that, what the source alone takes, and what the same terminal takes
for a screen on which nothing is known.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from pyobserver import demo
from pyobserver.protocol.schema import KIND_TASK
from pyobserver.source.live import LiveSource, remove_agent
from tests.support.interpreters import interpreters

from .screen import IS_THERE, seconds_until

TIMES = 4
AT_MOST = 1.0  # second, median
BEFORE = os.environ.get("PYOBSERVER_BEFORE")  # a folder with an older version of the package, to compare with
TASK_ROW = "rudder."  # the functions of the demonstration's tasks, and nothing else, are named so
TASKS_KEY = "3"


def once(pid: int) -> tuple[float, float, str, float]:
    """Seconds until the first row of a task and until the first complete picture; how it went in, and the hold."""
    source = LiveSource(pid)
    begun = time.monotonic()
    source.start()
    try:
        while not (source.store.snapshot().tasks["kind"] == KIND_TASK).any():
            if time.monotonic() - begun > 30:
                raise TimeoutError(source.store.snapshot().status.text)
            time.sleep(0.005)
        first = time.monotonic() - begun
        source.wait_until_known()
        whole = time.monotonic() - begun
        facts = source.store.snapshot().facts
        assert facts is not None
        return first, whole, facts.method, facts.held_seconds or 0.0
    finally:
        source.detach()


def seen(pid: int, cwd: str | None = None) -> tuple[float, float, float]:
    """Seconds from a command until its screen is there, until a task is on it, and until a snapshot is printed."""
    figures = []
    for text, key in ((IS_THERE, ""), (TASK_ROW, TASKS_KEY)):
        figures.append(seconds_until(text, pid, key=key, cwd=cwd))
        remove_agent(pid)
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pyobserver", "snapshot", str(pid)], cwd=cwd, check=True, stdout=subprocess.DEVNULL
    )
    figures.append(time.perf_counter() - begun)
    remove_agent(pid)
    return figures[0], figures[1], figures[2]


def told(runs: Sequence[tuple[float, float, float]]) -> tuple[str, tuple[float, ...]]:
    """The medians of some runs, as text and as they are."""
    empty, row, printed = (statistics.median(column) for column in zip(*runs, strict=True))
    text = f"a screen {empty:5.2f} s, the first task on it {row:5.2f} s, a snapshot printed {printed:5.2f} s"
    return text, (empty, row, printed)


def compared(pid: int) -> float:
    """What the user sees, beside that of an older version where there is one; the median until the first task."""
    now, before = [], []
    for _ in range(TIMES):
        if BEFORE:
            before.append(seen(pid, BEFORE))
        now.append(seen(pid))
    text, medians = told(now)
    print(f"    from the command: {text} (medians of {TIMES})")
    if before:
        text, older = told(before)
        ratios = ", ".join(f"x{b / a:.2f}" for a, b in zip(medians, older, strict=True))
        print(f"    in {BEFORE}: {text}; before / now {ratios}")
    return medians[1]


def main() -> int:
    """0 when the first row of a task is on the screen within a second of the command, in the median."""
    good = True
    for interpreter in interpreters():
        if str(interpreter.root) != "/":
            continue  # the demonstration's folder is not visible there; attaching is measured in attach_cost
        service = demo.start(False, python=interpreter.command[0], interval=0.2, limit=20)
        try:
            time.sleep(5)
            runs = [once(service.pid) for _ in range(TIMES)]
            first, whole, held = (
                statistics.median(column) for column in zip(*[(a, b, d) for a, b, _, d in runs], strict=True)
            )
            print(
                f"{interpreter!s:9} {runs[0][2]:8} first rows {first:5.2f} s, complete {whole:5.2f} s,"
                f" one thread held {1000 * held:5.2f} ms (the source alone, medians of {TIMES})"
            )
            good = compared(service.pid) <= AT_MOST and good
        finally:
            demo.stop(service)
    return int(not good)
