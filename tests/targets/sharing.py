"""Groups of tasks which share what nobody else has, and which know what a global holds; and one that always moves.

sharing.py [--tasks N] [--own BYTES]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
import tracemalloc
from typing import Any

from conversation import serve

CONFIG = {"rules": [bytearray(1000) for _ in range(300)]}


async def member(size: int, common: list[bytearray], config: dict[str, Any]) -> object:
    """Waits, with something of its own, something of the group, and something of everybody."""
    own = bytearray(size)
    await asyncio.get_running_loop().create_future()
    return own, common, config


class Groups:
    """The tasks of all groups."""

    def __init__(self, number: int, own: int) -> None:
        loop = asyncio.get_running_loop()
        common = [bytearray(10_000) for _ in range(30)]
        self.members = [loop.create_task(member(own, common, CONFIG)) for _ in range(number)]
        self.moving = 20
        self.is_over = False
        self.restless = [loop.create_task(self.move(common[:1])) for _ in range(self.moving)]
        del common

    async def move(self, common: list[bytearray]) -> None:
        """Runs all the time, until all members are cancelled."""
        while not self.is_over:
            own = bytearray(2000)
            await asyncio.sleep(0.001)
            del own
        self.moving -= 1
        await asyncio.get_running_loop().create_future()

    async def cancel(self) -> dict[str, Any]:
        """Cancel all members; how much that has freed.

        Waits for what allocates and frees as well: those that move, and an agent that is leaving.
        """
        self.is_over = True
        deadline = time.monotonic() + 20
        while (self.moving or len(sys._current_frames()) > 1) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for task in self.members:
            task.cancel()
        await asyncio.gather(*self.members, return_exceptions=True)
        self.members.clear()
        del task
        await asyncio.sleep(0)
        gc.collect()
        return {"freed": before - tracemalloc.get_traced_memory()[0], "time": time.time()}


async def main(number: int, own: int) -> None:
    tracemalloc.start(1)
    groups = Groups(number, own)
    await serve({"cancel": groups.cancel})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--own", type=int, default=10_000)
    options = parser.parse_args()
    asyncio.run(main(options.tasks, options.own))
