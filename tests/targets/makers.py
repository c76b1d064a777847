"""A task that makes tasks when it is told to, on loops with different task factories.

makers.py [--how plain|factory|eager|uvloop]

`make` lets it make two, and tells in which order things happened; `factory` tells which one the loop has; `wrap` wraps
the one that the loop has in one of its own; `fork` tells whether a child's loop has any.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any, Dict, List

from conversation import serve
from loops import run

order: List[str] = []


async def kid() -> None:
    """Does something at once, and waits then."""
    order.append("kid begins")
    await asyncio.get_running_loop().create_future()


def own_factory(loop: Any, coro: Any, **options: Any) -> "asyncio.Task[Any]":
    """A factory as programs have them."""
    return asyncio.Task(coro, loop=loop, **options)


class Maker:
    """Makes tasks in its own task."""

    def __init__(self) -> None:
        self.turn = asyncio.Event()
        self.done = asyncio.Event()
        self.made: List[Any] = []

    async def run(self) -> None:
        """Waits for its turn, again and again."""
        while True:
            await self.turn.wait()
            self.turn.clear()
            self.make()
            self.done.set()

    def make(self) -> None:
        """Makes two."""
        del order[:]
        first = asyncio.get_running_loop().create_task(kid())  # by hand
        order.append("made")
        first.set_name("by hand")
        second = asyncio.ensure_future(kid())
        second.set_name("gathered")
        self.made = [first, second]


async def main(how: str) -> None:
    """Makes the maker, and answers."""
    loop = asyncio.get_running_loop()
    if how == "factory":
        loop.set_task_factory(own_factory)
    if how == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    maker = Maker()
    running = loop.create_task(maker.run())
    running.set_name("maker")

    async def make() -> Dict[str, Any]:
        maker.turn.set()
        await maker.done.wait()
        maker.done.clear()
        return {"begins_at_once": order[0] == "kid begins", "names": [task.get_name() for task in maker.made]}

    def wrap() -> Dict[str, Any]:
        before = loop.get_task_factory()
        assert before is not None
        loop.set_task_factory(lambda loop, coro, **options: before(loop, coro, **options))
        return {}

    def fork() -> Dict[str, Any]:
        pid = os.fork()
        if not pid:
            os._exit(0 if loop.get_task_factory() is None else 1)
        return {"left": os.waitpid(pid, 0)[1]}

    await serve(
        {
            "make": make,
            "fork": fork,
            "factory": lambda: {"factory": repr(loop.get_task_factory())},
            "wrap": wrap,
        }
    )
    running.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--how", default="plain")
    options = parser.parse_args()
    run(main(options.how), options.how == "uvloop")
