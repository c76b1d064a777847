"""From the command to real rows: the demonstration, attached to again and again, on every interpreter."""

from __future__ import annotations

import statistics
import time

from pyobserver import demo
from pyobserver.protocol.schema import KIND_TASK
from pyobserver.source.live import LiveSource
from tests.support.interpreters import interpreters

TIMES = 4
AT_MOST = 1.0  # second, median


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


def main() -> int:
    """0 when the first rows are there within a second, in the median."""
    good = True
    for interpreter in interpreters():
        if str(interpreter.root) != "/":
            continue  # the demonstration's folder is not visible there; attaching is measured in attach_cost
        service = demo.start(False, python=interpreter.command[0], interval=0.2, limit=20)
        try:
            time.sleep(5)
            runs = [once(service.pid) for _ in range(TIMES)]
        finally:
            demo.stop(service)
        first, whole, held = (
            statistics.median(column) for column in zip(*[(a, b, d) for a, b, _, d in runs], strict=True)
        )
        print(
            f"{interpreter!s:9} {runs[0][2]:8} first rows {first:5.2f} s, complete {whole:5.2f} s,"
            f" one thread held {1000 * held:5.2f} ms (medians of {TIMES})"
        )
        good = good and first <= AT_MOST
    return int(not good)
