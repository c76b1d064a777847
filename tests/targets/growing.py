"""Programs that grow, each in a way of its own, and such that do not.

    growing.py KIND [--rate BYTES_A_SECOND]

Ten times a second something happens: `tasks` starts a task that never ends, `dict` puts an entry into a dict, `objects`
makes instances in a chain without a container, `native` takes memory of libc, `kept` has freed most of what it had made
at first, `descriptors` opens files, `steady` makes something and lets it go, `sawtooth` lets go of it all every two
seconds, `warming` fills a cache up to a bound. `many` says how many there are.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
from typing import Any

from conversation import serve

TURNS = 10  # a second


class Entry:
    """Something with a payload."""

    def __init__(self, size: int, before: Any = None) -> None:
        self.payload = [float(i) for i in range(max(1, size // 32))]  # a float and its place in the list
        self.before = before


class Place:
    """Where all of it is kept."""

    cache: dict[int, Entry] = {}
    tasks: set[Any] = set()
    last: Any = None
    files: list[int] = []
    pieces = 0
    kept: list[Any] = []


async def wait_for_ever(size: int) -> None:
    """A task that never ends."""
    payload = bytearray(size)
    await asyncio.Event().wait()
    del payload


def take(size: int) -> None:
    """Memory that Python knows nothing of."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    address = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(address, 1, size)
    Place.pieces += 1


def fragment(size: int) -> None:
    """Make small objects, and keep one of each hundred, so that hardly an arena gets empty."""
    made = [bytes(48) + bytes([i & 255]) for i in range(size // 80)]
    Place.kept = made[::100]


def turn(kind: str, size: int, number: int) -> None:
    """What happens ten times a second."""
    if kind == "tasks":
        Place.tasks.add(asyncio.ensure_future(wait_for_ever(size)))
    elif kind == "dict":
        for i in range(50):
            Place.cache[50 * number + i] = Entry(size // 50)
    elif kind == "objects":
        for _ in range(50):
            Place.last = Entry(size // 50, Place.last)
    elif kind == "native":
        take(size)
    elif kind == "descriptors":
        Place.files.append(os.open("/dev/null", os.O_RDONLY))
    elif kind == "steady":
        Place.cache[number % 20] = Entry(size)
    elif kind == "sawtooth":
        if number % 20 == 0:
            Place.cache.clear()
        Place.cache[number] = Entry(size)
    elif kind == "warming" and number < 60:
        Place.cache[number] = Entry(size)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("--rate", type=int, default=3_000_000)
    options = parser.parse_args()
    if options.kind == "kept":
        fragment(200_000_000)
    if options.kind == "dict":
        Place.cache.update({-i: Entry(32) for i in range(1, 1500)})

    async def grow() -> None:
        number = 0
        while True:
            await asyncio.sleep(1 / TURNS)
            turn(options.kind, options.rate // TURNS, number)
            number += 1

    growing = asyncio.ensure_future(grow())

    def many() -> dict[str, Any]:
        return {"tasks": len(Place.tasks), "entries": len(Place.cache), "pieces": Place.pieces}

    await serve({"many": many})
    growing.cancel()


asyncio.run(main())
