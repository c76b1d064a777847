"""Async generators, coroutines never awaited, and jobs in a queue: of each kind a group which shares what nobody else
has, and which knows what a global holds.

    sharing_kinds.py [--number N]

`end KIND` closes or cancels all of a kind and says what that `freed`, in bytes, by tracemalloc. `stir` makes generators
that never rest as long as there is an agent.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, AsyncIterator

from conversation import serve

CONFIG = {"rules": [bytearray(1000) for _ in range(300)]}


async def lines(common: list[bytearray], config: dict[str, Any]) -> AsyncIterator[int]:
    """A generator that nobody goes on with."""
    own = bytearray(10_000)
    for n in range(10**9):
        yield n
    del own


async def counting() -> AsyncIterator[int]:
    """A generator that somebody goes on with, and that keeps what it has seen."""
    seen = []
    for n in range(10**9):
        seen.append(bytearray(500))
        yield n


async def push(body: bytearray, common: list[bytearray], config: dict[str, Any]) -> None:
    """A coroutine that nobody awaits."""


async def nested(inner: Any, body: bytearray) -> None:
    """A coroutine that nobody awaits, and that has another one."""


def work(body: bytearray, common: list[bytearray], config: dict[str, Any]) -> None:
    """A job."""


def common() -> list[bytearray]:
    """What only the members of a group know."""
    return [bytearray(10_000) for _ in range(30)]


class Place:
    """Keeps them all."""

    def __init__(self) -> None:
        self.abandoned: list[Any] = []
        self.never: list[Any] = []
        self.chain: list[Any] = []
        self.futures: list[Future[None]] = []
        self.kept: list[Future[None]] = []
        self.executor = ThreadPoolExecutor(1)
        self.open = threading.Event()
        self.restless: list[Any] = []

    def go_on(self) -> None:
        """Goes a step further with those that never rest, again and again."""
        for each in self.restless:
            try:
                each.__anext__().send(None)
            except StopIteration:
                pass
        if self.restless and len(sys._current_frames()) > 2:
            asyncio.get_running_loop().call_later(0.001, self.go_on)

    def stir(self) -> dict[str, Any]:
        """Begins with those that never rest."""
        self.restless += [counting() for _ in range(20)]
        self.go_on()
        return {}

    async def fill(self, number: int) -> None:
        """Make as many of each kind."""
        shared = common()
        for _ in range(number):
            self.abandoned.append(lines(shared, CONFIG))
            await self.abandoned[-1].__anext__()
        shared = common()
        self.never += [push(bytearray(10_000), shared, CONFIG) for _ in range(number)]
        inner = None
        for _ in range(3):
            inner = nested(inner, bytearray(100_000))
        self.chain.append(inner)
        shared = common()
        self.executor.submit(self.open.wait)
        self.futures += [self.executor.submit(work, bytearray(10_000), shared, CONFIG) for _ in range(number)]

    async def end(self, kind: str) -> dict[str, Any]:
        """Ends all of a kind; how much that has freed."""
        deadline = time.monotonic() + 20
        while len(sys._current_frames()) > 2 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        kept = getattr(self, kind)
        if kind == "abandoned":
            for each in kept:
                await each.aclose()
        elif kind == "futures":
            for each in kept:
                each.cancel()
            self.open.set()
            self.executor.shutdown()
            self.kept = list(kept)
        else:
            for each in kept:
                each.close()
        each = None
        kept.clear()
        gc.collect()
        return {"freed": before - tracemalloc.get_traced_memory()[0]}


async def main(number: int) -> None:
    place = Place()
    globals()["place"] = place
    await place.fill(number)
    await serve({"end": place.end, "stir": place.stir})
    place.open.set()
    restless, place.restless = place.restless, []  # nobody goes on with them any more
    for generator in place.abandoned + restless:
        await generator.aclose()
    for coroutine in place.never + place.chain:
        coroutine.close()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=50)
    parsed = parser.parse_args()
    tracemalloc.start(1)
    asyncio.run(main(parsed.number))
