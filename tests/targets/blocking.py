"""A program that is busy in one way: some of them keep the loop from everything, and some do not.

    blocking.py sleeper|cpu|hasher|requests|good|sender|crowd

The task that is busy has the name of the way. `turns` tells how often it has gone through its loop, `stop` lets the
sleeper sleep no more.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sys
import time
from typing import Any, List

from conversation import serve

turns = [0]
stopped: List[bool] = []


def compute(seconds: float) -> None:
    """Uses the processor for as long, in Python."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def sleeper() -> None:
    """Sleeps as no coroutine should."""
    while True:
        if not stopped:
            time.sleep(0.1)
        turns[0] += 1
        await asyncio.sleep(0.05)


async def cpu() -> None:
    """Computes for long."""
    while True:
        compute(0.05)
        turns[0] += 1
        await asyncio.sleep(0.02)


async def hasher() -> None:
    """Computes for long in C, and gives up the interpreter lock for that."""
    block = bytes(200_000_000)
    while True:
        hashlib.sha256(block)
        turns[0] += 1
        await asyncio.sleep(0.02)


async def requests() -> None:
    """Each is answered by a task of its own, which computes for long once, and ends."""

    async def answer() -> None:
        compute(0.1)
        turns[0] += 1

    while True:
        await asyncio.get_running_loop().create_task(answer())
        await asyncio.sleep(0.05)


async def good() -> None:
    """Computes most of the time, in short steps."""
    while True:
        for _ in range(20):
            compute(0.0003)
            turns[0] += 1
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)  # without it, other threads would wait for the interpreter lock for ever


async def sender() -> None:
    """Calls the kernel most of the time, in short steps."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    block = b"x" * 1000
    while True:
        for _ in range(20):
            ours.send(block)
            theirs.recv(2000)
        turns[0] += 1
        await asyncio.sleep(0)


async def crowd() -> None:
    """Many take turns, so many that the loop looks into its selector only after 20 ms."""

    async def one() -> None:
        while True:
            compute(0.0002)
            turns[0] += 1
            await asyncio.sleep(0)

    await asyncio.gather(*[asyncio.ensure_future(one()) for _ in range(100)])


async def main(way: str) -> None:
    held: List[Any] = []

    async def other() -> None:
        await asyncio.get_running_loop().create_future()

    for name, coroutine in ((way, globals()[way]()), ("other", other())):
        held.append(asyncio.get_running_loop().create_task(coroutine))
        held[-1].set_name(name)
    await serve({"turns": lambda: {"turns": turns[0]}, "stop": lambda: {"stopped": not stopped.append(True)}})
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
