"""A thread that reads the clock again and again and notes its gaps, beside an event loop where nothing happens.

    spinner.py [--pause SECONDS] [--churning N]

It spins, or sleeps for the `--pause` between two readings, so that the process is idle. With `--churning`, N threads
allocate and free blocks of all sizes, and find in them what they wrote. `gaps` tells of the time since the last
`reset`: its seconds, the largest gap in ms, and how many were longer than 5 ms. At the end it prints whether all was
as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from typing import Any

from conversation import say, serve

NOTED = 0.0002  # seconds; below that it is the loop itself
LONG = 0.005  # seconds; what the interpreter lets a thread wait for another in ordinary life
KEPT = 20  # blocks per thread
SWITCH = 0.0002  # seconds; with the usual 0.005 each of many threads would wait longer for its turn than for a debugger

ended = threading.Event()


class Spinner:
    """Reads the clock again and again."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.noted: list[float] = []
        self.since = 0.0

    def spin(self) -> None:
        clock, over, pause, sleep = time.perf_counter, ended.is_set, self.pause, time.sleep
        last = clock()
        while not over():
            if pause:
                sleep(pause)
            now = clock()
            gap = now - last - pause
            if gap > NOTED:
                self.noted.append(gap)
            last = now

    def reset(self) -> dict[str, Any]:
        before = self.gaps()
        self.noted, self.since = [], time.perf_counter()
        return before

    def gaps(self) -> dict[str, Any]:
        noted = list(self.noted)
        return {
            "seconds": time.perf_counter() - self.since,
            "largest_ms": 1000 * max(noted, default=0.0),
            "long": sum(gap > LONG for gap in noted),
        }


class Churn:
    """Threads that live in the allocator."""

    def __init__(self, count: int) -> None:
        self.torn = 0
        self.threads = [threading.Thread(target=self.churn, args=(number,)) for number in range(count)]

    def churn(self, number: int) -> None:
        n, kept = number, []
        while not ended.is_set():
            n = (n * 1103515245 + 12345) & 0x7FFFFFFF
            kept.append((n, bytearray([n & 255]) * (n % 300_000)))
            if len(kept) > KEPT:
                value, block = kept.pop(n % KEPT)
                self.torn += block.count(value & 255) != value % 300_000


async def main(options: argparse.Namespace) -> None:
    if options.churning:
        sys.setswitchinterval(SWITCH)
    spinner, churn = Spinner(options.pause), Churn(options.churning)
    threads = [threading.Thread(target=spinner.spin, name="spinner"), *churn.threads]
    for thread in threads:
        thread.start()

    def truth() -> dict[str, Any]:
        return {"threads": 1 + len(threads), "ok": churn.torn == 0}

    await serve({"truth": truth, "gaps": spinner.gaps, "reset": spinner.reset})
    ended.set()
    for thread in threads:
        thread.join()
    say(truth())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--churning", type=int, default=0, metavar="N")
    asyncio.run(main(parser.parse_args()))
