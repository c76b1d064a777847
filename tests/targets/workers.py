"""Every relation that tasks can have: a queue, gather, wait_for, shield, wait, a task group, tasks that await tasks.

`truth` names each task with its function, what it waits on, the task that awaits it and what holds it, so that a tree
made from outside can be compared with the one that the program knows. `turn` lets the workers move once, `doom` starts
a task that the next garbage collection destroys.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from typing import Any, AsyncIterator

from conversation import serve


class Pool:
    """Workers behind a queue, and the cases around them."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.go = asyncio.Event()
        self.workers: list[asyncio.Task[None]] = []
        self.finished: list[asyncio.Task[bytes]] = []
        self.roots: list[asyncio.Task[Any]] = []
        self.facts: dict[str, dict[str, Any]] = {}
        self.unowned: weakref.ref[asyncio.Task[Any]] | None = None
        self.doomed: weakref.ref[asyncio.Task[Any]] | None = None
        self.handled = 0

    def note(self, name: str, coroutine: Any, **facts: Any) -> None:
        """Notes what is true of a task."""
        self.facts[name] = {
            "function": f"__main__.{coroutine.__qualname__}",
            "state": "waiting",
            "waiting": None,  # on what: the kind of thing, or "task NAME"
            "awaited_by": None,  # the task that waits for it
            "edge": None,  # how: await, gather, wait_for, shield, wait, task_group
            "holder": None,  # the container it is in
            **facts,
        }

    def task(self, name: str, coroutine: Any, **facts: Any) -> asyncio.Task[Any]:
        """Starts a task and notes what is true of it."""
        self.note(name, coroutine, **facts)
        return asyncio.get_running_loop().create_task(coroutine, name=name)

    def child(self, name: str, parent: str, edge: str) -> asyncio.Task[Any]:
        """Starts a leaf that the task `parent` waits for in the way `edge`."""
        return self.task(name, self.leaf(), waiting="Event.wait", awaited_by=parent, edge=edge)

    async def work(self) -> None:
        """A worker: takes from the queue for ever."""
        while True:
            await self.queue.get()
            self.handled += 1

    async def leaf(self, size: int = 1000) -> None:
        """Something that is waited for."""
        payload = bytearray(size)
        await self.go.wait()
        del payload

    async def result(self, size: int) -> bytes:
        """Ends at once, with a result that stays as long as the task is held."""
        return bytes(size)

    async def gathering(self) -> None:
        """Waits for three at once."""
        await asyncio.gather(*[self.child(f"gathered-{n}", "gathering", "gather") for n in range(3)])

    async def patient(self) -> None:
        """Waits for one, with a limit."""
        await asyncio.wait_for(self.child("limited", "patient", "wait_for"), 3600)

    async def shielding(self) -> None:
        """Waits for one which must not be cancelled."""
        await asyncio.shield(self.child("shielded", "shielding", "shield"))

    async def waiting(self) -> None:
        """Waits for the first of two."""
        tasks = {self.child(f"waited-{n}", "waiting", "wait") for n in range(2)}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def grouped(self) -> None:
        """Waits for a task group of three."""
        async with asyncio.TaskGroup() as group:
            for n in range(3):
                coroutine = self.leaf()
                facts = {"waiting": "Event.wait", "awaited_by": "grouped", "edge": "task_group"}
                self.note(f"member-{n}", coroutine, **facts)
                group.create_task(coroutine, name=f"member-{n}")

    async def deep(self, level: int) -> None:
        """Awaits a task that awaits a task that awaits an event."""
        if level == 3:
            await self.go.wait()
            return
        facts = {"waiting": "Event.wait" if level == 2 else f"task deep-{level + 2}", "awaited_by": f"deep-{level}"}
        await self.task(f"deep-{level + 1}", self.deep(level + 1), edge="await", **facts)

    async def lines(self) -> AsyncIterator[bytes]:
        """An asynchronous generator with bytes of its own."""
        buffer = bytearray(100_000)
        while True:
            await self.go.wait()
            yield bytes(buffer[:10])

    async def reading(self) -> None:
        """Waits inside an asynchronous generator."""
        async for _ in self.lines():
            await asyncio.sleep(0)

    async def sleeping(self) -> None:
        """Sleeps."""
        while True:
            await asyncio.sleep(3600)

    async def nested(self) -> None:
        """Waits four coroutines down."""
        await self.inner(3)

    async def inner(self, depth: int) -> None:
        """One of them."""
        if depth:
            await self.inner(depth - 1)
        else:
            await self.go.wait()

    def doom(self) -> dict[str, Any]:
        """Starts a task that nothing holds but the future it waits for, which only the task holds."""

        async def vanishing() -> None:
            await asyncio.get_running_loop().create_future()

        self.doomed = weakref.ref(self.task("doomed", vanishing(), waiting="future"))
        return self.truth()

    async def start(self) -> None:
        """Starts one of everything, and lets all reach where they wait."""
        for n in range(4):
            facts = {"waiting": "queue get", "holder": "__main__.Pool.workers"}
            self.workers.append(self.task(f"worker-{n}", self.work(), **facts))
        kinds: list[tuple[str, Any, str]] = [
            ("gathering", self.gathering(), "gather"),
            ("patient", self.patient(), "task limited"),
            ("shielding", self.shielding(), "shield"),
            ("waiting", self.waiting(), "wait"),
            ("deep-1", self.deep(1), "task deep-2"),
            ("reading", self.reading(), "Event.wait"),
            ("sleeping", self.sleeping(), "sleep"),
            ("nested", self.nested(), "Event.wait"),
        ]
        if sys.version_info >= (3, 11):
            kinds.append(("grouped", self.grouped(), "task_group"))
        for name, coroutine, waiting in kinds:
            self.roots.append(self.task(name, coroutine, waiting=waiting, holder="__main__.Pool.roots"))
        for n in range(3):
            facts = {"state": "done, held", "holder": "__main__.Pool.finished"}
            self.finished.append(self.task(f"finished-{n}", self.result(50_000), **facts))
        self.unowned = weakref.ref(self.task("unowned", self.sleeping(), waiting="sleep"))  # only its timer holds it
        for _ in range(20):
            await asyncio.sleep(0)

    async def turn(self) -> dict[str, Any]:
        """Lets the workers take something each."""
        before = self.handled
        for n in range(len(self.workers)):
            self.queue.put_nowait(n)
        while self.handled < before + len(self.workers):
            await asyncio.sleep(0)
        return self.truth()

    def truth(self) -> dict[str, Any]:
        alive = {task.get_name() for task in asyncio.all_tasks() if task.get_name() in self.facts}
        held = {task.get_name() for task in self.finished}
        return {
            "tasks": {name: fact for name, fact in self.facts.items() if name in alive | held},
            "alive": len(alive),
            "done_held": len(held),
            "unowned_alive": self.unowned is not None and self.unowned() is not None,
            "doomed_alive": self.doomed is not None and self.doomed() is not None,
            "handled": self.handled,
        }


pool: Pool


async def main() -> None:
    global pool
    pool = Pool()
    await pool.start()
    await serve({"truth": pool.truth, "turn": pool.turn, "doom": pool.doom})


if __name__ == "__main__":
    asyncio.run(main())
