"""Parked tasks: many that wait for ever, each with some bytes of its own; one is the control.

    parked.py [--tasks N] [--bytes N] [--pieces N] [--tracemalloc]

`cancel NAME` ends one task and says what that freed: `blocks` (small objects, by the interpreter's own count) and, with
--tracemalloc, `freed` bytes, which is the truth that a retained size is held against.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tracemalloc
from typing import Any

from conversation import serve


class Yard:
    """Holds the parked tasks by name."""

    def __init__(self, size: int, pieces: int) -> None:
        self.size = size
        self.pieces = pieces
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.started = 0

    def payload(self) -> Any:
        """`size` bytes in one block, or in as many `pieces`."""
        if self.pieces <= 1:
            return bytearray(self.size)
        return [bytes(self.size // self.pieces) for _ in range(self.pieces)]

    def park(self, count: int) -> None:
        """Starts `count` more tasks."""
        for _ in range(count):
            self.started += 1
            name = f"parked-{self.started}"
            self.tasks[name] = asyncio.get_running_loop().create_task(self.wait(), name=name)

    async def wait(self) -> None:
        """What a parked task does."""
        payload = self.payload()
        await asyncio.Event().wait()
        del payload

    def add(self, count: str) -> dict[str, Any]:
        self.park(int(count))
        return self.truth()

    def lend(self, seconds: str) -> dict[str, Any]:
        """Starts a task on a payload that is held here for some seconds more."""
        payload = self.payload()
        self.tasks["lent"] = asyncio.get_running_loop().create_task(self.hold(payload), name="lent")
        asyncio.get_running_loop().call_later(float(seconds), lambda kept: None, payload)
        return self.truth()

    async def hold(self, payload: Any) -> None:
        """What a task does whose payload comes from elsewhere."""
        await asyncio.Event().wait()
        del payload

    async def drop(self, count: str) -> dict[str, Any]:
        """Ends the `count` newest tasks."""
        dropped = [self.tasks.popitem()[1] for _ in range(int(count))]
        for task in dropped:
            task.cancel()
        await asyncio.gather(*dropped, return_exceptions=True)
        return self.truth()

    async def cancel(self, name: str) -> dict[str, Any]:
        """Ends the task `name` and measures what went with it."""
        gc.collect()
        blocks, traced = sys.getallocatedblocks(), tracemalloc.get_traced_memory()[0]
        self.tasks[name].cancel()
        while not self.tasks[name].done():
            await asyncio.sleep(0)
        del self.tasks[name]
        await asyncio.sleep(0)
        gc.collect()
        freed = traced - tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else None
        return {"cancelled": name, "blocks": blocks - sys.getallocatedblocks(), "freed": freed}

    def truth(self) -> dict[str, Any]:
        return {
            "tasks": len(self.tasks),
            "function": "__main__.Yard.wait",
            "holder": "__main__.Yard.tasks",
            "payload": self.size,
            "newest": next(reversed(self.tasks), None),
        }


yard: Yard


async def main(options: argparse.Namespace) -> None:
    global yard
    yard = Yard(options.bytes, options.pieces)
    yard.park(options.tasks)
    await asyncio.sleep(0)
    await serve({"truth": yard.truth, "add": yard.add, "lend": yard.lend, "drop": yard.drop, "cancel": yard.cancel})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=1_000)
    parser.add_argument("--pieces", type=int, default=1)
    parser.add_argument("--tracemalloc", action="store_true")
    options = parser.parse_args()
    if options.tracemalloc:
        tracemalloc.start()
    asyncio.run(main(options))
