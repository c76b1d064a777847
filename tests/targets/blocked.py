"""A loop that can be blocked: by a call into C that keeps the interpreter lock, or by one that lets it go.

`hold SECONDS` and `sleep SECONDS` are answered at once, and block the loop right after. The lock is held by a foreign
function that sleeps, so nothing burns; where ctypes is missing, by a C loop that does.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import time
from typing import Any

from conversation import serve

try:
    import ctypes

    quiet: Any = ctypes.PyDLL(None).usleep  # PyDLL: the lock is not released around the call
    quiet.argtypes = [ctypes.c_uint]
except (ImportError, AttributeError, OSError):
    quiet = None


def hold(seconds: float) -> None:
    """Keeps the interpreter lock for about `seconds`, in one call."""
    if quiet is not None:
        quiet(int(seconds * 1e6))
        return
    begun = time.perf_counter()
    collections.deque(itertools.repeat(None, 1_000_000), maxlen=0)
    rate = 1_000_000 / (time.perf_counter() - begun)
    collections.deque(itertools.repeat(None, int(rate * seconds)), maxlen=0)


class Worker:
    """Does what blocks, in a task of the loop."""

    def __init__(self) -> None:
        self.done = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def crunch(self, seconds: float) -> None:
        """Holds the lock."""
        await asyncio.sleep(0.02)
        hold(seconds)
        self.done += 1

    async def doze(self, seconds: float) -> None:
        """Blocks the loop, but not the lock."""
        await asyncio.sleep(0.02)
        time.sleep(seconds)
        self.done += 1

    def block(self, how: Any, seconds: str) -> dict[str, Any]:
        self.tasks.append(asyncio.get_running_loop().create_task(how(float(seconds))))
        return {"blocks": float(seconds), "burns": quiet is None, "function": f"__main__.{how.__qualname__}"}

    async def idle(self) -> None:
        """A neighbour who suffers."""
        await asyncio.Event().wait()


async def main() -> None:
    worker = Worker()
    neighbours = [asyncio.get_running_loop().create_task(worker.idle()) for _ in range(5)]
    await serve(
        {
            "truth": lambda: {"done": worker.done, "neighbours": len(neighbours)},
            "hold": lambda seconds: worker.block(worker.crunch, seconds),
            "sleep": lambda seconds: worker.block(worker.doze, seconds),
        }
    )


if __name__ == "__main__":
    asyncio.run(main())
