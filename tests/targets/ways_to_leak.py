"""A service that leaks in one of several ways, so that another kind of supervisor grows each time.

ways_to_leak.py [--way sessions|group|queue] [--rate N]

`sessions`: a dict of an object keeps a task for each client that never leaves. `group`: a task group is given tasks,
half of which never end (a set stands in for it before Python 3.11). `queue`: jobs come faster to an executor than its
worker takes them. Beside it a hundred tasks stand, and some come and go.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Set

from conversation import serve


class Hub:
    """Keeps the sessions of clients."""

    def __init__(self) -> None:
        self.sessions: Dict[str, Any] = {}

    async def session(self, client: str) -> None:
        """Waits for a message that never comes."""
        body = bytearray(20_000)
        await asyncio.get_running_loop().create_future()
        del body


async def stand() -> None:
    """One of those that stand."""
    await asyncio.get_running_loop().create_future()


async def brief() -> None:
    """One that comes and goes."""
    await asyncio.sleep(0.5)


async def handler(number: int) -> None:
    """Of a group: every second one ends."""
    body = bytearray(20_000)
    if number % 2:
        await asyncio.sleep(0.3)
    else:
        await asyncio.get_running_loop().create_future()
    del body


async def sessions(pause: float) -> None:
    """A task for each client, in a dict."""
    hub = Hub()
    for number in itertools.count():
        client = "client-%d" % number
        hub.sessions[client] = asyncio.get_running_loop().create_task(hub.session(client))
        await asyncio.sleep(pause)


async def group(pause: float) -> None:
    """A task group that is never left."""
    make = getattr(asyncio, "TaskGroup", None)
    if make is None:
        kept: Set[Any] = set()
        for number in itertools.count():
            task = asyncio.get_running_loop().create_task(handler(number))
            kept.add(task)
            task.add_done_callback(kept.discard)
            await asyncio.sleep(pause)
    async with make() as tasks:
        for number in itertools.count():
            tasks.create_task(handler(number))
            await asyncio.sleep(pause)


async def queue(pause: float) -> None:
    """Jobs for a worker that is stuck."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="slow")
    stuck = threading.Event()
    threading.Thread(target=lambda: None).start()
    pool.submit(stuck.wait)
    try:
        while True:
            pool.submit(bytearray, 20_000)
            await asyncio.sleep(pause)
    finally:
        stuck.set()
        pool.shutdown(wait=False)


async def main(way: str, rate: float) -> None:
    loop = asyncio.get_running_loop()
    standing = [loop.create_task(stand()) for _ in range(100)]
    grows = loop.create_task({"sessions": sessions, "group": group, "queue": queue}[way](1 / rate))

    async def come_and_go() -> None:
        while True:
            await asyncio.gather(*(brief() for _ in range(5)))

    busy = loop.create_task(come_and_go())
    await serve({"truth": lambda: len(standing)})
    for task in (grows, busy, *standing):
        task.cancel()
    await asyncio.gather(grows, busy, *standing, return_exceptions=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--way", default="sessions")
    parser.add_argument("--rate", type=float, default=3.0)
    options = parser.parse_args()
    asyncio.run(main(options.way, options.rate))
