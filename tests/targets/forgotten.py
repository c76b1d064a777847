"""What a program forgets: coroutines that nobody awaits, and asynchronous generators that nobody goes on with.

    forgotten.py [--bytes N]

Each of them has a payload. `close KIND` closes one and says what that `freed`, `drop KIND` lets go of all of a kind.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tracemalloc
import warnings
from typing import Any, AsyncIterator

from conversation import serve


class Place:
    """Keeps what is forgotten."""

    def __init__(self, size: int) -> None:
        self.go = asyncio.Event()
        self.never: list[Any] = []
        self.closed: list[Any] = []
        self.begun: list[Any] = []
        self.abandoned: list[Any] = []
        self.size = size

    async def push(self, body: bytearray) -> None:
        """What should have been awaited."""
        await self.go.wait()
        del body

    async def lines(self) -> AsyncIterator[int]:
        """What should have been closed."""
        buffer = bytearray(self.size)
        for n in range(100):
            yield n
        del buffer

    async def reading(self) -> None:
        """Waits in the body of a loop over a generator, which is its own."""
        async for _ in self.lines():
            await self.go.wait()

    async def inside(self) -> None:
        """Waits inside a generator."""
        async for _ in self.slow():
            pass

    async def slow(self) -> AsyncIterator[int]:
        """A generator that waits."""
        await self.go.wait()
        yield 1

    async def fill(self) -> None:
        for _ in range(3):
            self.never.append(self.push(bytearray(self.size)))
            generator = self.lines()
            await generator.__anext__()
            self.abandoned.append(generator)
        self.closed.append(self.push(bytearray(10)))
        self.closed[0].close()
        self.begun.append(self.push(bytearray(10)))
        self.begun[0].send(None)

    async def close(self, kind: str) -> dict[str, Any]:
        """Closes one and measures what went with it."""
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        kept = getattr(self, kind).pop()
        if kind == "abandoned":
            await kept.aclose()
        else:
            kept.close()
        del kept
        gc.collect()
        return {"freed": before - tracemalloc.get_traced_memory()[0]}

    async def begin(self) -> dict[str, Any]:
        """Begins one of those that were never awaited."""
        self.begun.append(self.never.pop())
        self.begun[-1].send(None)
        return {}


async def main(options: argparse.Namespace) -> None:
    place = Place(options.bytes)
    globals()["place"] = place
    await place.fill()
    tasks = [asyncio.ensure_future(each) for each in (place.reading(), place.inside())]
    await asyncio.sleep(0)
    await serve({"close": place.close, "begin": place.begin})
    place.go.set()
    await asyncio.gather(*tasks)
    for generator in place.abandoned:
        await generator.aclose()
    for coroutine in place.never + place.begun:
        coroutine.close()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=3_000_000)
    parsed = parser.parse_args()
    tracemalloc.start()
    asyncio.run(main(parsed))
