"""The scanner as the agent uses it: a slice begun, and then one task after another."""

from __future__ import annotations

import asyncio
import time

from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol.schema import EXACT


def test_a_slice_knows_what_the_program_has_loaded() -> None:
    """What a task sleeps by goes with it, although the loop holds it, too: known are the timers of asyncio."""

    async def sleep() -> None:
        await asyncio.sleep(3600)

    async def measure() -> tuple[int, int]:
        task = asyncio.ensure_future(sleep())
        await asyncio.sleep(0)
        scanner, told = Scanner(time.perf_counter), Scanner(time.perf_counter)
        told.learn_libraries()
        found = []
        for each in (scanner, told):
            each.add_barrier(asyncio.Task)
            each.begin_slice()
            measured = each.scan(task, time.perf_counter() + 10.0)
            assert measured.accuracy == EXACT
            found.append(measured.bytes)
        scanner._kinds.timers.ids.clear()
        without = scanner.scan(task, time.perf_counter() + 10.0).bytes
        task.cancel()
        assert without < found[0] - 100
        return found[0], found[1]

    at_work, told = asyncio.run(measure())
    assert at_work == told
