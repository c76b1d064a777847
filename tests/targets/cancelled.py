"""Tasks that take being cancelled in different ways, in loops of different kinds.

    cancelled.py [--loop plain|uvloop|overriding|another] [--debug]

`tasks` tells of each whether it is there, whether it goes on, and how often it caught CancelledError; `block` keeps the
loop from everything until the next command comes; `touched` counts the calls of what loop and task override, by thread.
"""

from __future__ import annotations

import argparse
import asyncio
import select
import threading
import weakref
from typing import Any

from conversation import serve

touched = {"here": 0, "elsewhere": 0}


def touch() -> None:
    """Counts code of this program that is called, by the loop's thread and by others."""
    touched["here" if threading.current_thread() is threading.main_thread() else "elsewhere"] += 1


class Overriding(asyncio.SelectorEventLoop):  # type: ignore[name-defined, misc]
    """A loop with a method of its own, as those have that count what comes from other threads."""

    def call_soon_threadsafe(self, *arguments: Any, **options: Any) -> Any:
        touch()
        return super().call_soon_threadsafe(*arguments, **options)

    def get_debug(self) -> bool:
        touch()
        return super().get_debug()


class Another(asyncio.SelectorEventLoop):  # type: ignore[name-defined, misc]
    """A loop that turns in its own way."""

    def _run_once(self) -> None:
        super()._run_once()


class Counted(asyncio.Task):  # type: ignore[type-arg]
    """A task with a cancel() of its own, which must run in the loop's thread."""

    def cancel(self, *arguments: Any, **options: Any) -> bool:
        touch()
        return super().cancel(*arguments, **options)


class Cast:
    """Holds nothing but what tells whether they are there."""

    def __init__(self) -> None:
        self.tasks: dict[str, weakref.ref[asyncio.Task[Any]]] = {}
        self.held: dict[str, asyncio.Task[Any]] = {}
        self.caught: dict[str, int] = {}

    def add(self, name: str, coroutine: Any, kind: Any = None) -> asyncio.Task[Any]:
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any] = kind(coroutine, loop=loop) if kind else loop.create_task(coroutine)
        task.set_name(name)
        self.tasks[name] = weakref.ref(task)
        self.held[name] = task
        task.add_done_callback(lambda done: self.held.pop(name, None))
        return task

    async def willing(self) -> None:
        await asyncio.sleep(3600)

    async def swallowing(self, name: str = "swallowing") -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.caught[name] = self.caught.get(name, 0) + 1

    async def cleaning(self) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.5)

    async def shielding(self) -> None:
        await asyncio.shield(self.held["inner"])

    async def passing(self) -> None:
        await self.held["stubborn"]

    async def gathering(self) -> None:
        await asyncio.gather(self.held["stubborn"])

    async def busy(self) -> None:
        while True:
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                self.caught["busy"] = self.caught.get("busy", 0) + 1

    async def start(self) -> None:
        self.add("inner", self.willing())
        self.add("stubborn", self.swallowing("stubborn"))
        for name in ("willing", "swallowing", "cleaning", "shielding", "passing", "gathering", "busy"):
            self.add(name, getattr(self, name)())
        self.add("counted", self.willing(), Counted)
        for _ in range(5):
            await asyncio.sleep(0)

    def tell(self) -> dict[str, Any]:
        return {
            name: {
                "there": reference() is not None,
                "goes_on": reference() is not None and not reference().done(),  # type: ignore[union-attr]
                "caught": self.caught.get(name, 0),
            }
            for name, reference in self.tasks.items()
        }


def block() -> dict[str, Any]:
    """Answers at once, and blocks the loop right after that."""
    asyncio.get_running_loop().call_soon(select.select, [0], [], [])
    return {}


async def main() -> None:
    cast = Cast()
    await cast.start()
    await serve({"tasks": cast.tell, "block": block, "touched": lambda: touched})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", default="plain")
    parser.add_argument("--debug", action="store_true")
    options = parser.parse_args()
    if options.loop == "uvloop":
        import uvloop

        event_loop = uvloop.new_event_loop()
    else:
        kinds = {"plain": asyncio.SelectorEventLoop, "overriding": Overriding, "another": Another}
        event_loop = kinds[options.loop]()
    event_loop.set_debug(options.debug)
    asyncio.set_event_loop(event_loop)
    everything = event_loop.create_task(main())
    event_loop.run_until_complete(everything)
