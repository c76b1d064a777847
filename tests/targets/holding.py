"""Large containers in every kind of place, and objects of one class that are held in several."""

from __future__ import annotations

import asyncio
import collections
from typing import Any, Dict

from conversation import serve

SESSIONS = {i: "text-%d" % i for i in range(5000)}  # texts and numbers only: the collector does not track it
NAMES = ["name-%d" % i for i in range(3000)]


STREAM: Dict[int, Any] = {}
running: Any = []


class Payload:
    """Is looked for."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        raise RuntimeError("the agent ran code of the program")

    def __repr__(self) -> str:
        raise RuntimeError("the agent ran code of the program")

    __eq__ = None  # type: ignore[assignment]
    __hash__ = object.__hash__


class Cache:
    """Has containers as attributes, and of its class."""

    shared = {object() for _ in range(1500)}

    def __init__(self) -> None:
        self.payloads = [Payload(i) for i in range(1200)]
        self.recent: Any = collections.deque(range(2500))
        self.by_key = {i: Payload(i) for i in range(300)}
        self.last = Payload(-1)


class Session:
    """There are several, each with a container."""

    def __init__(self) -> None:
        self.items = [None] * 1100


cache = Cache()
sessions = [Session() for _ in range(4)]


async def keeper() -> None:
    """Has a container and an object among its variables."""
    mine = [Payload(i) for i in range(2000)]
    one = Payload(0)
    await asyncio.Event().wait()
    del mine, one


def grow(count: str) -> Dict[str, Any]:
    """Puts more into two of the containers."""
    for i in range(int(count)):
        SESSIONS[len(SESSIONS)] = "more"
        cache.recent.append(i)
    return {"sessions": len(SESSIONS), "recent": len(cache.recent)}


def many(count: str) -> Dict[str, Any]:
    """Makes containers of different sizes in places of different names."""
    for i in range(int(count)):
        globals()["list_%d" % i] = [None] * (10 + i % 50)
    return {}


def stream(seconds: str) -> Dict[str, Any]:
    """Puts one more into a dict again and again, beginning with many."""
    for i in range(60000):
        STREAM[i] = Payload(i)

    async def run() -> None:
        while True:
            STREAM[len(STREAM)] = Payload(0)
            await asyncio.sleep(float(seconds))

    running.append(asyncio.ensure_future(run()))
    return {}


def streamed() -> Dict[str, Any]:
    """How many there are by now."""
    return {"made": len(STREAM)}


async def main() -> None:
    task = asyncio.ensure_future(keeper())
    await asyncio.sleep(0)
    await serve({"grow": grow, "many": many, "stream": stream, "streamed": streamed})
    task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
