"""Tasks of trio: workers in a nursery with some bytes of their own, and a nursery within one of them.

    trio_tasks.py [--bytes N] [--anyio]

`cancel NAME` ends one and says what that `freed`, in bytes, by tracemalloc. `move` lets the worker "moving" run once.
`garbage N` makes cycles, `finalized` tells how many were freed, in the main thread and elsewhere.
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
import tracemalloc
import weakref
from typing import Any

import anyio
import trio
import trio.testing
from conversation import answer, ready, say

finalized = {"main": 0, "elsewhere": 0}


class Cycle:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        finalized["main" if threading.current_thread() is threading.main_thread() else "elsewhere"] += 1


def garbage(number: str) -> dict[str, Any]:
    gc.disable()  # nobody else is to find it
    for _ in range(int(number)):
        Cycle()
    return {}


class Pool:
    """Knows the tasks by their names, and holds none of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.scopes: dict[str, trio.CancelScope] = {}
        self.tasks: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self.go = trio.Event()
        self.send, self.receive = trio.open_memory_channel(0)

    async def parked(self, name: str) -> None:
        """A task with a payload, which waits for an event."""
        with trio.CancelScope() as self.scopes[name]:
            self.tasks[name] = trio.lowlevel.current_task()
            payload = bytearray(self.size)
            await self.go.wait()
            del payload

    async def moving(self) -> None:
        """A task that goes on when it is told to."""
        async for _ in self.receive:
            pass

    async def sleeping(self) -> None:
        """A task that sleeps."""
        await trio.sleep(3600)

    async def opening(self, with_anyio: bool) -> None:
        """A task that has a nursery of its own."""
        if with_anyio:
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(self.sleeping, name="inner")
        else:
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(self.sleeping, name="inner")

    async def cancel(self, name: str) -> dict[str, Any]:
        """Ends a task and measures what went with it."""
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        self.scopes.pop(name).cancel()
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        gc.collect()
        return {"freed": before - tracemalloc.get_traced_memory()[0], "is_gone": self.tasks.get(name) is None}

    async def move(self) -> dict[str, Any]:
        await self.send.send(1)
        return {}


async def main(options: argparse.Namespace) -> None:
    pool = Pool(options.bytes)
    async with trio.open_nursery() as nursery:
        for n in range(3):
            nursery.start_soon(pool.parked, f"parked-{n}", name=f"parked-{n}")
        nursery.start_soon(pool.moving)
        nursery.start_soon(pool.opening, options.anyio, name="a\x1b[31mb\u202e")
        await trio.testing.wait_all_tasks_blocked()
        ready()
        answers: dict[str, Any] = {"cancel": pool.cancel, "move": pool.move}
        answers.update(garbage=garbage, finalized=lambda: dict(finalized))
        rest = bytearray()
        async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
            async for block in stdin:
                rest.extend(block)
                while b"\n" in rest:
                    line, _, after = bytes(rest).partition(b"\n")
                    rest[:] = after
                    found = answer(answers, line.decode())
                    say(found if isinstance(found, dict) else await found)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=7_000_000)
    parser.add_argument("--anyio", action="store_true")
    parsed = parser.parse_args()
    tracemalloc.start()
    trio.run(main, parsed)
