"""Counters of the service, and the task that flushes them."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from concurrent.futures import Executor


class Metrics:
    """Counts what happens, and keeps the last flushed lines."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._flushed: deque[str] = deque(maxlen=100)

    def count(self, name: str) -> int:
        """Counts one event, and returns how many there were."""
        self._counts[name] = self._counts.get(name, 0) + 1
        return self._counts[name]

    def write(self) -> None:
        """Writes one line for each counter, and all of them into the log; for a thread of the pool."""
        counts = sorted(self._counts.items())
        for name, value in counts:
            self._flushed.append(f"rudder.{name}:{value}|c")
        print("rudder: " + ", ".join(f"{value} {name}" for name, value in counts), file=sys.stderr, flush=True)


async def flush(metrics: Metrics, pool: Executor, interval: float = 5.0) -> None:
    """Flushes the counters every `interval` seconds until it is cancelled."""
    while True:
        await asyncio.sleep(interval)
        await asyncio.get_running_loop().run_in_executor(pool, metrics.write)
