"""Tasks of trio which share what nobody else has, and which know what a global holds; and some that always move.

    sharing_trio.py [--tasks N] [--anyio]

`cancel` cancels their nursery and says what that `freed`, in bytes, by tracemalloc.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import tracemalloc
from typing import Any

import anyio
import trio
import trio.testing
from conversation import answer, ready, say

CONFIG = {"rules": [bytearray(1000) for _ in range(300)]}


class Groups:
    """The members, in a nursery of their own, and those that move."""

    def __init__(self, number: int, with_anyio: bool) -> None:
        self.number = number
        self.with_anyio = with_anyio
        self.scope: Any = None
        self.go = trio.Event()
        self.is_over = False
        self.done = trio.Event()

    async def member(self, common: list[bytearray], config: dict[str, Any]) -> object:
        """Waits, with something of its own, something of the group, and something of everybody."""
        own = bytearray(10_000)
        await self.go.wait()
        return own, common, config

    async def open(self) -> None:
        """Has the nursery of the members."""
        common = [bytearray(10_000) for _ in range(30)]
        async with anyio.create_task_group() if self.with_anyio else trio.open_nursery() as nursery:
            self.scope = nursery.cancel_scope
            for _ in range(self.number):
                nursery.start_soon(self.member, common, CONFIG)
            del common
        self.done.set()

    async def move(self) -> None:
        """Runs all the time, until the members are cancelled."""
        while not self.is_over:
            own = bytearray(2000)
            await trio.sleep(0.001)
            del own

    async def cancel(self) -> dict[str, Any]:
        """Cancel all members; how much that has freed."""
        self.is_over = True
        deadline = time.monotonic() + 20
        while len(sys._current_frames()) > 1 and time.monotonic() < deadline:
            await trio.sleep(0.01)
        await trio.sleep(0.1)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        self.scope.cancel()
        await self.done.wait()
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        return {"freed": before - tracemalloc.get_traced_memory()[0]}


async def main(options: argparse.Namespace) -> None:
    groups = Groups(options.tasks, options.anyio)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(groups.open)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(20):
            nursery.start_soon(groups.move)
        ready()
        rest = bytearray()
        async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
            async for block in stdin:
                rest.extend(block)
                while b"\n" in rest:
                    line, _, after = bytes(rest).partition(b"\n")
                    rest[:] = after
                    say(await answer({"cancel": groups.cancel}, line.decode()))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--anyio", action="store_true")
    parsed = parser.parse_args()
    tracemalloc.start(1)
    trio.run(main, parsed)
