"""One task for each way in which a coroutine can wait, each knowing the line that it stands on.

`truth` tells name, function, state, words and "file:line" of all. `move NAME` lets one go on to its second line.
Lines are known by marks: the comment `# at NAME` stands on the line where the task NAME waits.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from typing import Any, AsyncIterator, Generator

from conversation import serve

FILE = __file__


def lines() -> dict[str, int]:
    """The number of the line of each mark."""
    found = {}
    with open(FILE, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            for name in line.partition("# at ")[2].split():
                found[name] = number
    return found


class Awaitable:
    """Waits by a generator of its own, as libraries do without `async def`."""

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future

    def __await__(self) -> Generator[Any, None, None]:
        yield from self.future  # at by_await by_await_deep


class Places:
    """All that wait."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.gates: dict[str, asyncio.Event] = {}
        self.never = self.loop.create_future()
        self.held: list[asyncio.Task[Any]] = []
        self.truth: dict[str, dict[str, Any]] = {}
        self.queue: asyncio.Queue[None] = asyncio.Queue()
        self.full: asyncio.Queue[None] = asyncio.Queue(maxsize=1)
        self.full.put_nowait(None)
        self.lock = asyncio.Lock()
        self.limit = asyncio.Semaphore(0)
        self.condition = asyncio.Condition()
        self.stop = threading.Event()

    def add(self, name: str, waiting: str, coroutine: Any, function: str = "") -> asyncio.Task[Any]:
        """Starts one and notes what is true of it."""
        task = self.loop.create_task(coroutine, name=name)
        self.held.append(task)
        self.note(name, waiting, function or f"__main__.{coroutine.__qualname__}")
        return task

    def note(self, name: str, waiting: str, function: str) -> None:
        self.truth[name] = {"function": function, "state": "waiting", "waiting": waiting, "mark": name}

    async def sleep(self) -> None:
        await asyncio.sleep(3600)  # at sleep

    async def event(self) -> None:
        gate = self.gates["event"] = asyncio.Event()
        await gate.wait()  # at event
        gate.clear()

        await gate.wait()  # at event_moved

    async def get(self) -> None:
        await self.queue.get()  # at get

    async def put(self) -> None:
        await self.full.put(None)  # at put

    async def acquire(self) -> None:
        await self.lock.acquire()  # at acquire

    async def enter(self) -> None:
        async with self.limit:  # at enter
            pass

    async def notified(self) -> None:
        async with self.condition:
            await self.condition.wait()  # at notified

    async def future(self) -> None:
        await self.never  # at future

    async def gathering(self) -> None:
        await asyncio.gather(*[self.loop.create_future() for _ in range(3)])  # at gathering

    async def other(self) -> None:
        await self.held[0]  # at other

    async def executor(self) -> None:
        await self.loop.run_in_executor(None, self.stop.wait)  # at executor

    async def limited(self) -> None:
        await asyncio.wait_for(self.never, 3600)  # at limited

    async def several(self) -> None:
        await asyncio.wait([self.loop.create_future()])  # at several

    async def shielded(self) -> None:
        await asyncio.shield(self.loop.create_future())  # at shielded

    async def by_await(self) -> None:
        await Awaitable(self.loop.create_future())

    async def by_await_deep(self) -> None:
        async def inner() -> None:
            await Awaitable(self.loop.create_future())

        await inner()

    @types.coroutine
    def decorated(self) -> Generator[Any, None, None]:
        yield from self.loop.create_future()  # at by_generator decorated

    async def by_generator(self) -> None:
        await self.decorated()

    async def numbers(self) -> AsyncIterator[int]:
        for number in range(3):
            yield number
        await self.never  # at by_async_generator by_anext by_builtin_anext by_async_comprehension
        yield 3

    async def by_async_generator(self) -> None:
        async for _ in self.numbers():
            pass

    async def by_anext(self) -> None:
        numbers = self.numbers()
        for _ in range(4):
            await numbers.__anext__()

    async def by_async_comprehension(self) -> None:
        [number async for number in self.numbers()]

    async def by_builtin_anext(self) -> None:
        numbers = self.numbers()
        for _ in range(4):
            await anext(numbers, None)  # type: ignore[name-defined]

    async def around(self) -> AsyncIterator[int]:
        async for number in self.numbers_of_tasks():
            yield number

    async def numbers_of_tasks(self) -> AsyncIterator[int]:
        await asyncio.sleep(3600)  # at by_async_generators
        yield 1

    async def by_async_generators(self) -> None:
        async for _ in self.around():
            pass

    async def by_asend(self) -> None:
        echo = self.echo()
        await echo.asend(None)
        await echo.asend(1)

    async def echo(self) -> AsyncIterator[Any]:
        received = yield None
        while True:
            await self.never  # at by_asend
            received = yield received

    async def by_context(self) -> None:
        async with self:
            pass

    async def __aenter__(self) -> None:
        await self.never  # at by_context

    async def __aexit__(self, *_: Any) -> None:
        pass

    async def deep(self, depth: int) -> None:
        if depth:
            await self.deep(depth - 1)
        else:
            await self.never  # at deep very_deep

    async def looping(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)  # at looping
            finally:
                pass

    async def stubborn(self) -> None:
        while True:
            try:
                await self.loop.create_future()  # at stubborn
            except asyncio.CancelledError:
                if self.stop.is_set():
                    raise

    async def with_text_as_result(self) -> str:
        return "a result that is no name"

    async def with_number_as_result(self) -> int:
        return 4711

    async def with_error(self) -> None:
        raise RuntimeError("an error that is no name")

    async def long(self) -> None:
        value = 0
        value += sum(number for number in range(3) if (number % 2 and number != 1) or number == 2)
        value += 1 if value else 2
        for _ in range(300):
            value += 1
        assert value
        await self.never  # at long

    async def start(self) -> None:
        """Starts all, and lets each reach its place; ends some, and keeps them."""
        await self.lock.acquire()
        self.add("sleep", "sleep", self.sleep())
        self.add("event", "Event.wait", self.event())
        self.add("get", "queue get", self.get())
        self.add("put", "queue put", self.put())
        self.add("acquire", "Lock.acquire", self.acquire())
        self.add("enter", "Semaphore.acquire", self.enter())
        self.add("notified", "Condition.wait", self.notified())
        self.add("future", "future", self.future())
        self.add("gathering", "gather of 3", self.gathering())
        self.add("other", "task sleep", self.other())
        self.add("executor", "executor job", self.executor())
        self.add("limited", "wait_for", self.limited())
        self.add("several", "wait", self.several())
        self.add("shielded", "shield", self.shielded())
        self.add("by_await", "future", self.by_await())
        self.add("by_await_deep", "future", self.by_await_deep())
        self.add("by_generator", "future", self.by_generator())
        if sys.version_info < (3, 12):  # later a task runs nothing but coroutines
            self.add("decorated", "future", self.decorated())
        self.add("by_async_generator", "future", self.by_async_generator())
        self.add("by_anext", "future", self.by_anext())
        self.add("by_async_comprehension", "future", self.by_async_comprehension())
        self.add("by_async_generators", "sleep", self.by_async_generators())
        self.add("by_asend", "future", self.by_asend())
        if sys.version_info >= (3, 10):
            self.add("by_builtin_anext", "future", self.by_builtin_anext())
        self.add("by_context", "future", self.by_context())
        self.add("deep", "future", self.deep(5))
        self.add("very_deep", "future", self.deep(50))
        self.add("looping", "sleep", self.looping())
        self.add("stubborn", "future", self.stubborn())
        self.add("long", "future", self.long())
        for name in ("with_text_as_result", "with_number_as_result", "with_error"):
            self.add(name, "", getattr(self, name)())
            self.truth[name]["state"] = "done, held"
            self.truth[name]["mark"] = None
        main = asyncio.current_task()
        assert main is not None
        main.set_name("main")
        for _ in range(20):
            await asyncio.sleep(0)
        for task in self.held:
            if task.done() and not task.cancelled():
                task.exception()

    def move(self, name: str) -> dict[str, Any]:
        """Lets a task go on to its second line."""
        self.gates[name].set()
        self.truth[name]["mark"] = f"{name}_moved"
        return self.tell()

    def cancel(self, name: str, message: str) -> dict[str, Any]:
        """Asks a task to end, by words that are not its name; the task `stubborn` takes no notice."""
        task = next(task for task in self.held if task.get_name() == name)
        task.cancel(*[message] if sys.version_info >= (3, 9) else [])
        return self.tell()

    def forget(self, name: str) -> dict[str, Any]:
        """Lets go of a task."""
        self.held = [task for task in self.held if task.get_name() != name]
        return self.tell()

    def tell(self) -> dict[str, Any]:
        known = lines()
        tasks = {}
        for name, true in self.truth.items():
            where = f"{FILE}:{known[true['mark']]}" if true["mark"] else None
            tasks[name] = {**true, "where": where}
        return {"tasks": tasks}


places: Places


async def main() -> None:
    global places
    places = Places()
    try:
        await places.start()
    except BaseException:
        places.stop.set()  # or the executor would be waited for
        raise
    await serve({"truth": places.tell, "move": places.move, "cancel": places.cancel, "forget": places.forget})
    places.stop.set()


if __name__ == "__main__":
    asyncio.run(main())
