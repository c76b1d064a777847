"""Groups of tasks which share what nobody else has, and which know what a global holds; and one that always moves.

sharing.py [--tasks N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
import tracemalloc
from typing import Any

from conversation import serve

CONFIG = {"rules": [bytearray(1000) for _ in range(300)]}


async def member(common: list[bytearray], config: dict[str, Any]) -> object:
    """Waits, with something of its own, something of the group, and something of everybody."""
    own = bytearray(2000)
    await asyncio.get_running_loop().create_future()
    return own, common, config


async def restless(common: list[bytearray]) -> None:
    """Runs all the time."""
    while True:
        own = bytearray(2000)
        await asyncio.sleep(0.001)
        del own


class Groups:
    """The tasks of all groups."""

    def __init__(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        common = [bytearray(10_000) for _ in range(30)]
        self.members = [loop.create_task(member(common, CONFIG)) for _ in range(number)]
        self.restless = [loop.create_task(restless(common[:1])) for _ in range(20)]
        del common

    async def cancel(self) -> dict[str, Any]:
        """Cancel all members; how much that has freed."""
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


async def main(number: int) -> None:
    tracemalloc.start(1)
    groups = Groups(number)
    await serve({"cancel": groups.cancel})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=200)
    asyncio.run(main(parser.parse_args().tasks))
