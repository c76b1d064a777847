"""A ticker of 1 ms that measures how late it is, alongside N parked tasks that own some objects each.

    ticker.py [--tasks N] [--objects N] [--busy SHARE] [--period SECONDS]

`lateness` tells p50, p99 and max in milliseconds since the last `reset`; the same is printed at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from conversation import say, serve


class Ticker:
    """Wakes up every `period` seconds and notes by how much it was late."""

    def __init__(self, period: float, busy: float) -> None:
        self.period = period
        self.busy = busy
        self.late: list[float] = []

    async def tick(self) -> None:
        """Ticks until it is cancelled; `busy` is the share of each period that is spent computing."""
        clock = time.perf_counter
        while True:
            due = clock() + self.period
            await asyncio.sleep(self.period)
            woken = clock()
            self.late.append(woken - due)
            while clock() < woken + self.period * self.busy:
                pass

    def reset(self) -> dict[str, Any]:
        before = self.lateness()
        self.late.clear()
        return before

    def lateness(self) -> dict[str, Any]:
        ordered = sorted(self.late)
        if not ordered:
            return {"ticks": 0, "p50_ms": None, "p99_ms": None, "max_ms": None}

        def at(share: float) -> float:
            return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

        return {"ticks": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0)}


async def parked(objects: int) -> None:
    """One parked task with its objects."""
    owned = [(index, str(index)) for index in range(objects)]
    await asyncio.Event().wait()
    del owned


async def main(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    held = [loop.create_task(parked(options.objects)) for _ in range(options.tasks)]
    ticker = Ticker(options.period, options.busy)
    ticking = loop.create_task(ticker.tick(), name="ticker")
    await asyncio.sleep(0.1)
    ticker.reset()
    await serve({"truth": lambda: {"tasks": len(held)}, "lateness": ticker.lateness, "reset": ticker.reset})
    ticking.cancel()
    say(ticker.lateness())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--objects", type=int, default=15)
    parser.add_argument("--busy", type=float, default=0.0)
    parser.add_argument("--period", type=float, default=0.001)
    asyncio.run(main(parser.parse_args()))
