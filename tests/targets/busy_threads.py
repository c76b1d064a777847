"""Threads whose functions have bytes of their own among their variables.

    busy_threads.py [--bytes N]

`end NAME` lets one thread end and says what that `freed`. Their threads wait two functions down.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import threading
import tracemalloc
from typing import Any

from conversation import serve_blocking

SHARED = bytearray(4_000_000)


class Crew:
    """The threads by name, each with what ends it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.ends = {name: threading.Event() for name in ("first", "second", "looping")}
        self.threads = {
            name: threading.Thread(target=self.loops if name == "looping" else self.outer, args=(name,), name=name)
            for name in self.ends
        }
        for thread in self.threads.values():
            thread.start()

    def outer(self, name: str) -> None:
        """Has half of the bytes, and something that others have, too."""
        payload, shared = bytearray(self.size // 2), SHARED
        self.inner(name)
        del payload, shared

    def inner(self, name: str) -> None:
        """Has the other half."""
        payload = [bytearray(self.size // 2)]
        self.ends[name].wait()
        del payload

    def loops(self, name: str) -> None:
        """Runs a task, which is not the thread's."""
        asyncio.run(self.task(name))

    async def task(self, name: str) -> None:
        """A task that is being executed."""
        payload = bytearray(self.size)
        self.ends[name].wait()
        del payload

    def end(self, name: str) -> dict[str, Any]:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        self.ends.pop(name).set()
        self.threads.pop(name).join()
        gc.collect()
        return {"freed": before - tracemalloc.get_traced_memory()[0]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=6_000_000)
    parsed = parser.parse_args()
    tracemalloc.start()
    crew = Crew(parsed.bytes)
    serve_blocking({"end": crew.end})
    for event in crew.ends.values():
        event.set()
