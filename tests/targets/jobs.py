"""Executors whose workers are all busy, so that jobs wait in their queues: a loop's own, and one of the program.

    jobs.py [--bytes N] [--jobs N]

`take` lets the program's executor go on by one job and says what that `freed`; `cancel` cancels the newest job.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import threading
import tracemalloc
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from conversation import serve


class Handler:
    """Something with a method that is called by a worker."""

    def handle(self, body: bytearray) -> None:
        """A job with a payload."""

    def __call__(self) -> None:
        """A job that is an instance."""


class Office:
    """Two executors, and what blocks their workers."""

    def __init__(self, size: int, jobs: int) -> None:
        self.turns = threading.Semaphore(0)
        self.open = threading.Event()
        self.own = ThreadPoolExecutor(1, thread_name_prefix="own\x1b[31m")
        self.bodies: list[weakref.ref[Any]] = []
        self.done = 0
        self.own.submit(self.wait)
        self.futures: list[Future[Any]] = []
        for _ in range(jobs):
            self.add(size)
        handler = Handler()
        for job in (functools.partial(sum, [1]), handler, functools.partial(functools.partial(handler.handle), None)):
            self.own.submit(job)

    def wait(self) -> None:
        """What keeps the worker busy."""
        self.open.wait()

    def work(self, body: bytearray) -> None:
        """A job; the worker waits for its turn before the next."""
        del body

    def pause(self) -> None:
        """What the worker does between two jobs."""
        self.done += 1
        self.turns.acquire()

    def add(self, size: int) -> None:
        """Puts in a job with its payload, and one that lets the worker wait behind it."""
        self.futures.append(self.own.submit(self.work, bytearray(size)))
        self.own.submit(self.pause)

    async def take(self) -> dict[str, Any]:
        """Lets the worker do one of the jobs."""
        gc.collect()
        before, done = tracemalloc.get_traced_memory()[0], self.done
        if self.open.is_set():
            self.turns.release()
        self.open.set()
        while self.done == done:
            await asyncio.sleep(0.001)
        gc.collect()
        return {"freed": before - tracemalloc.get_traced_memory()[0]}

    def cancel(self) -> dict[str, Any]:
        return {"cancelled": self.futures[-1].cancel()}

    def end(self) -> None:
        self.open.set()
        for _ in range(10_000):
            self.turns.release()


async def main(options: argparse.Namespace) -> None:
    office = Office(options.bytes, options.jobs)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(2, thread_name_prefix="asyncio"))
    waiting = [loop.run_in_executor(None, office.open.wait) for _ in range(2)]
    waiting.append(loop.run_in_executor(None, office.work, bytearray(1000)))
    await serve({"take": office.take, "cancel": office.cancel})
    office.end()
    await asyncio.gather(*waiting)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=5_000_000)
    parser.add_argument("--jobs", type=int, default=4)
    parsed = parser.parse_args()
    tracemalloc.start()
    asyncio.run(main(parsed))
