"""A large heap with tasks that one object holds, and a thread that notes how long the interpreter is kept from it.

library.py [--objects N] [--tasks N]

`stall` tells the longest time that the thread has had to wait since the last question; `referrers` and `objgraph` look
for who holds a task in their own ways, and tell the seconds that they took and the longest stall.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import threading
import time
from typing import Any, Callable, Dict, List

from conversation import serve


class Record:
    """Four objects: itself, its attributes, a list and a dict."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.fields = {"key": [number]}


class Shelf:
    """Holds the tasks."""

    def __init__(self) -> None:
        self.readers: List[Any] = []


class Watch:
    """Notes how long its thread has had to wait."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.over = False
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def _run(self) -> None:
        last = time.perf_counter()
        while not self.over:
            time.sleep(0.001)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last - 0.001)
            last = now

    def since_last(self) -> float:
        """The longest wait since the last question."""
        longest, self.longest = self.longest, 0.0
        return longest


RECORDS: List[Record] = []
shelf = Shelf()
watch = Watch()


async def reads() -> None:
    """Waits."""
    await asyncio.get_running_loop().create_future()


def timed(work: Callable[[], Any]) -> Dict[str, Any]:
    """What a way of looking takes, and how long it keeps the others waiting."""
    time.sleep(0.05)
    watch.since_last()
    begun = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - begun
    time.sleep(0.05)
    return {"seconds": seconds, "stall": watch.since_last(), "found": found}


def referrers() -> Dict[str, Any]:
    """One call, which tells the list alone; who has that is another one."""
    return timed(lambda: [type(each).__name__ for each in gc.get_referrers(shelf.readers[0])])


def by_objgraph() -> Dict[str, Any]:
    """The chain of references from a module."""
    import objgraph

    chain = objgraph.find_backref_chain
    return timed(lambda: [type(each).__name__ for each in chain(shelf.readers[0], objgraph.is_proper_module, 8)])


async def main(objects: int, tasks: int) -> None:
    """Fills the heap, and answers."""
    gc.disable()  # for good: its collections would be among the stalls
    RECORDS.extend(map(Record, range(objects // 4)))
    loop = asyncio.get_running_loop()
    shelf.readers += [loop.create_task(reads()) for _ in range(tasks)]
    await asyncio.sleep(0)
    await serve(
        {
            "stall": lambda: {"stall": watch.since_last()},
            "referrers": referrers,
            "objgraph": by_objgraph,
            "objects": lambda: {"tracked": len(gc.get_objects())},
        }
    )
    watch.over = True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=5_000_000)
    parser.add_argument("--tasks", type=int, default=100)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.objects, arguments.tasks))
