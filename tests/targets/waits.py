"""Tasks that wait for everything that asyncio has to wait for; `words` tells what each is to be called.

    waits.py

`run` counts the code of the program that ran: a queue, a lock and a socket of its own, which nobody may ask anything.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import Any, Dict, List

from conversation import serve

ran: List[str] = []


class Odd(asyncio.Queue):  # type: ignore[type-arg]
    """A queue that must not be asked."""

    def qsize(self) -> int:
        if threading.current_thread() is not threading.main_thread():
            ran.append("qsize")
        return super().qsize()

    def __len__(self) -> int:
        ran.append("len")
        return 0

    def __getattribute__(self, name: str) -> Any:
        if threading.current_thread() is not threading.main_thread():
            ran.append(name)
        return super().__getattribute__(name)


def job(gate: threading.Event, *_: Any) -> None:
    gate.wait()


class Waits:
    """Holds everything, and knows the words and, for who asks, what must be among what is told in full."""

    def __init__(self) -> None:
        self.held: List[Any] = []
        self.words: Dict[str, List[Any]] = {}
        self.stop = threading.Event()

    def add(self, name: str, words: str, full: str, coroutine: Any, queue: int = -1) -> Any:
        task = asyncio.get_running_loop().create_task(coroutine)
        task.set_name(name)
        self.held.append(task)
        self.words[name] = [words, full, queue]
        return task

    async def call(self, function: Any, *arguments: Any) -> Any:
        return await function(*arguments)

    async def within(self, thing: Any) -> None:
        async with thing:
            await asyncio.get_running_loop().create_future()

    async def first(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def noted(self, condition: asyncio.Condition) -> None:
        async with condition:
            await condition.wait()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        call = self.call
        full: Any = asyncio.Queue(2)
        for _ in range(2):
            full.put_nowait(0)
        lock, semaphore, condition = asyncio.Lock(), asyncio.Semaphore(0), asyncio.Condition()
        await lock.acquire()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        reading, writing = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=reading)
        self.held += [theirs, writing, writer]
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
        self.process = process
        never = self.add("never", "future", "future", self.first())
        unnamed = loop.create_task(self.first())
        self.held.append(unnamed)
        self.add("sleep", "sleep", "s left", call(asyncio.sleep, 3600))
        self.add("get", "queue get", "0 in it", call(asyncio.Queue().get), 0)
        self.add("odd", "queue get", "0 in it", call(Odd().get), 0)
        self.add("lifo", "queue get", "0 in it", call(asyncio.LifoQueue().get), 0)
        self.add("put", "queue put", "2 of 2 in it", call(full.put, 1))
        self.add("join", "queue join", "2 of 2 in it", call(full.join))
        self.add("lock", "Lock.acquire", "1 wait", call(lock.acquire))
        self.add("event", "Event.wait", "1 wait", call(asyncio.Event().wait))
        self.add("semaphore", "Semaphore.acquire", "2 wait", call(semaphore.acquire))
        self.add("entering", "Semaphore.acquire", "2 wait", self.within(semaphore))
        self.add("condition", "Condition.wait", "1 wait", self.noted(condition))
        self.add("recv", "sock_recv", f"fd {ours.fileno()}", call(loop.sock_recv, ours, 10))
        self.add("line", "StreamReader.readline", f"fd {reading.fileno()}", call(reader.readline))
        self.add("process", "process wait", f"pid {process.pid}", call(process.wait))
        self.add("task", "task never", "Waits.first", self.awaiting(never))
        self.add("unnamed", "task __main__.Waits.first", "Waits.first", self.awaiting(unnamed))
        self.add("gather", "gather of 2", "2 of them not done", self.awaiting(asyncio.gather(never, unnamed)))
        self.add("shield", "shield", "of task never", self.awaiting(asyncio.shield(never)))
        self.add("wait", "wait", "of 2", call(asyncio.wait, [never, unnamed]))
        limited = "task never" if sys.version_info >= (3, 12) else "wait_for"
        self.add(
            "limited", limited, "Waits.first" if limited[0] == "t" else "s left", call(asyncio.wait_for, never, 99)
        )
        self.add("executor", "executor job", "", self.awaiting(loop.run_in_executor(None, job, self.stop)))
        if sys.version_info >= (3, 9):
            self.add("thread", "executor job __main__.job", "", call(asyncio.to_thread, job, self.stop))
        if sys.version_info >= (3, 11):
            self.add("group", "task group", "1 tasks in it", self.grouped())
        for _ in range(20):
            await asyncio.sleep(0)

    async def awaiting(self, thing: Any) -> None:
        await thing

    async def grouped(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.first())

    def end(self) -> None:
        self.stop.set()
        self.process.kill()


async def main() -> None:
    waits = Waits()
    await waits.start()
    await serve({"words": lambda: waits.words, "ran": lambda: ran})
    waits.end()
    await waits.process.wait()


if __name__ == "__main__":
    asyncio.run(main())
