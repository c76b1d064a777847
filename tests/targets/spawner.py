"""A spawner of many short tasks: by default 10,000 a second, each of which lives for a few milliseconds.

spawner.py [--rate N] [--life SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from conversation import serve


class Mill:
    """Starts tasks at a rate, as many as the time since the last turn asks for."""

    def __init__(self, rate: float, life: float) -> None:
        self.rate = rate
        self.life = life
        self.started_at = time.monotonic()
        self.spawned = 0
        self.ended = 0
        self.live: set[asyncio.Task[None]] = set()

    async def short(self, number: int) -> None:
        """One short task."""
        await asyncio.sleep(self.life)
        self.ended += 1

    async def turn(self) -> None:
        """Spawns until it is cancelled; a loop that cannot keep up starts fewer, and does not pile them up."""
        loop = asyncio.get_running_loop()
        last = time.monotonic()
        owed = 0.0
        while True:
            await asyncio.sleep(0.002)
            now = time.monotonic()
            owed = min(owed + (now - last) * self.rate, self.rate / 20)
            last = now
            for _ in range(int(owed)):
                self.spawned += 1
                task = loop.create_task(self.short(self.spawned))
                self.live.add(task)
                task.add_done_callback(self.live.discard)
            owed -= int(owed)

    def truth(self) -> dict[str, Any]:
        return {
            "spawned": self.spawned,
            "ended": self.ended,
            "live": len(self.live),
            "seconds": time.monotonic() - self.started_at,
            "function": "__main__.Mill.short",
        }


async def main(rate: float, life: float) -> None:
    mill = Mill(rate, life)
    turning = asyncio.get_running_loop().create_task(mill.turn(), name="mill")
    await serve({"truth": mill.truth})
    turning.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--life", type=float, default=0.005)
    options = parser.parse_args()
    asyncio.run(main(options.rate, options.life))
