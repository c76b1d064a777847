"""A crowd: a hundred thousand parked tasks of a few functions, a ticker that measures how late it is, and churn.

    crowd.py [--tasks N] [--kept]

With `--kept` it is a task that keeps them, in a variable of its own.
`truth` tells how many tasks each function has; `reset` p50, p99 and max in ms since the last `reset`, and how long the
longest garbage collection has lasted meanwhile.
`churn RATE SECONDS` starts so many tasks a second, each of which ends a moment later; the answer comes when all have
ended, and says how many there were.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections import Counter
from typing import Any

from conversation import serve
from ticker import Ticker

ROUND = 20  # of so many tasks, in this order: what each function has of them
BEAT = 0.02  # seconds between two handfuls of short tasks


class Crowd:
    """The parked tasks, by what they run."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.tasks: list[asyncio.Task[None]] = []
        self.ended = 0

    async def session(self) -> None:
        """Twelve of each round: a small dict and its texts."""
        state = {"user": str(id(self)), "since": time.time(), "seen": [1, 2, 3]}
        await self.gate.wait()
        del state

    async def upload(self, size: int) -> None:
        """Five of each round: a buffer, no two of the same size."""
        buffer = bytearray(size)
        await self.gate.wait()
        del buffer

    async def subscription(self) -> None:
        """Two of each round: it waits in a function that it calls."""
        topics = [(n, str(n)) for n in range(12)]
        await self.next_message()
        del topics

    async def next_message(self) -> None:
        await self.gate.wait()

    async def report(self) -> None:
        """One of each round, and the largest."""
        rows = [[n] for n in range(60)]
        await self.gate.wait()
        del rows

    def one(self, number: int) -> Any:
        """What the task of this number runs."""
        turn = number % ROUND
        if turn < 12:
            return self.session()
        if turn < 17:
            return self.upload(500 + 37 * (number % 101))
        return self.subscription() if turn < 19 else self.report()

    def park(self, count: int) -> None:
        """Starts so many."""
        loop = asyncio.get_running_loop()
        for number in range(count):
            coroutine = self.one(number)
            self.counts[f"__main__.{coroutine.__qualname__}"] += 1
            self.tasks.append(loop.create_task(coroutine))

    async def keep(self, count: int) -> None:
        """Starts so many and holds them, as nobody else does."""
        self.park(count)
        tasks, self.tasks = self.tasks, []
        await self.gate.wait()
        del tasks

    async def short(self, number: int) -> None:
        """A task of the churn."""
        await asyncio.sleep(0.01 * (number % 4))
        self.ended += 1

    async def churn(self, rate: str, seconds: str) -> dict[str, Any]:
        """Starts `rate` tasks a second and keeps no more than asyncio does of them."""
        loop = asyncio.get_running_loop()
        self.ended = started = 0
        begun = time.monotonic()
        running: set[asyncio.Task[None]] = set()
        while time.monotonic() - begun < float(seconds):
            due = int((time.monotonic() - begun) * float(rate))
            for number in range(started, due):
                task = loop.create_task(self.short(number))
                running.add(task)
                task.add_done_callback(running.discard)
            started = max(started, due)
            await asyncio.sleep(BEAT)
        while running:
            await asyncio.sleep(BEAT)
        return {"started": started, "ended": self.ended, "seconds": time.monotonic() - begun}


class Collections:
    """How long the longest garbage collection of this process has lasted."""

    def __init__(self) -> None:
        self.begun = self.longest = 0.0
        gc.callbacks.append(self.note)

    def note(self, phase: str, told: dict[str, int]) -> None:
        """Called by the collector when one begins, and when it has ended."""
        if phase == "start":
            self.begun = time.perf_counter()
        else:
            self.longest = max(self.longest, time.perf_counter() - self.begun)

    def reset(self) -> dict[str, Any]:
        """What `reset` tells of them; it begins anew."""
        told, self.longest = {"collection_ms": 1000 * self.longest}, 0.0
        return told


async def main(options: argparse.Namespace) -> None:
    crowd = Crowd()
    if options.kept:
        keeping = asyncio.get_running_loop().create_task(crowd.keep(options.tasks))
    else:
        crowd.park(options.tasks)
    ticker = Ticker(0.001, 0.0)
    ticking = asyncio.get_running_loop().create_task(ticker.tick(), name="ticker")
    await asyncio.sleep(0.1)
    ticker.reset()
    collections = Collections()
    handlers = {"truth": lambda: {"counts": crowd.counts}, "churn": crowd.churn}
    await serve({**handlers, "reset": lambda: {**ticker.reset(), **collections.reset()}})
    ticking.cancel()
    if options.kept:
        keeping.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--kept", action="store_true")
    asyncio.run(main(parser.parse_args()))
