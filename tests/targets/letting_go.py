"""A program that lets go of what it has all the time, and notes in which thread that is freed.

    letting_go.py [--tasks N] [--containers N] [--items N] [--parked N]

`--tasks N` short tasks are always under way, each with a result that nobody keeps; `--containers N` holders have what
they hold, of `--items N` objects, replaced in turn; `--parked N` tasks wait. `freed` tells how many objects of each
kind were freed in the main thread, and in others.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from typing import Any, Callable, Dict, List, Tuple

from conversation import serve

seen: Dict[int, Dict[str, int]] = {}


class Canary:
    """Notes the thread that it is freed in."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __del__(self) -> None:
        here = seen.setdefault(threading.get_ident(), {})
        here[self.what] = here.get(self.what, 0) + 1


class Mapping(Dict[Any, Any]):
    """A dict that can have attributes."""


class Node:
    """Something that refers to other things."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner


class Slotted:
    """The same without a dict, and without weak references."""

    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner


MADE: List[Tuple[str, Callable[[List[Canary]], Any]]] = [
    ("dict", lambda many: dict(enumerate(many))),
    ("list", list),
    ("set", set),
    ("keys", lambda many: dict.fromkeys(many)),
    ("subclass", lambda many: Mapping(enumerate(many))),
    ("nested", lambda many: [{"a": [each], "b": Node(Slotted([each]))} for each in many]),
    ("instance", lambda many: Node({"all": Node(Slotted((many, None)))})),
    ("closure", lambda many: lambda: many),
    ("generator", lambda many: started(many)),
]


def started(many: List[Canary]) -> Any:
    """A generator that stands among these."""

    def generate() -> Any:
        for each in many:
            yield each

    found = generate()
    next(found)
    return found


class Holder:
    """Holds what is replaced."""

    def __init__(self) -> None:
        self.kept: Any = None


HOLDERS: List[Holder] = []


async def short(steps: int) -> Canary:
    """Lives for a while, and waits at several places, so that it has to be read where it stands."""
    await asyncio.sleep(0.004 * steps)
    await asyncio.sleep(0.004 * steps)
    return Canary("task")


async def spawn(count: int) -> None:
    """Keeps short tasks under way, forgets each, and keeps the loop busy."""
    while True:
        for number in range(count):
            asyncio.ensure_future(short(1 + number % 9))
        await asyncio.sleep(0)
        busy = time.perf_counter()
        while time.perf_counter() - busy < 0.004:
            pass


async def replace(items: int) -> None:
    """Replaces what the holders have, one after the other."""
    number = 0
    while True:
        for holder in HOLDERS:
            number += 1
            what, make = MADE[number % len(MADE)]
            holder.kept = make([Canary(what) for _ in range(items)])
            await asyncio.sleep(0.002)


async def park() -> None:
    """Waits for ever."""
    await asyncio.get_running_loop().create_future()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=0)
    parser.add_argument("--containers", type=int, default=0)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--parked", type=int, default=0)
    options = parser.parse_args()
    HOLDERS.extend(Holder() for _ in range(options.containers))
    running = [asyncio.ensure_future(park()) for _ in range(options.parked)]
    if options.tasks:
        running.append(asyncio.ensure_future(spawn(options.tasks)))
    if options.containers:
        running.append(asyncio.ensure_future(replace(options.items)))

    def freed() -> Dict[str, Any]:
        mine = threading.get_ident()
        elsewhere = [counts for thread, counts in list(seen.items()) if thread != mine]
        return {"here": seen.get(mine, {}), "elsewhere": elsewhere}

    await serve({"freed": freed})
    for task in running:
        task.cancel()


asyncio.run(main())
