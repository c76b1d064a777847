"""Tasks that belong together in all the ways that asyncio has, each by the name that a test expects it under.

families.py [--uvloop] [--anyio]

`add` puts more tasks into the containers; `finish NAME` lets one end that goes on being held.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
from typing import Any, Callable, Dict, List, Set

from conversation import serve
from loops import run

ends: Dict[str, "asyncio.Future[None]"] = {}


async def kid(name: str) -> None:
    """Waits to be ended."""
    ends[name] = asyncio.get_running_loop().create_future()
    await ends[name]


def start(name: str, work: Any = None) -> "asyncio.Task[Any]":
    """A task of this name."""
    task = asyncio.get_running_loop().create_task(kid(name) if work is None else work)
    task.set_name(name)
    return task


class Cache:
    """Keeps tasks by key, and one more."""

    def __init__(self) -> None:
        self.by_key: Dict[str, "asyncio.Task[Any]"] = {}
        self.refresher = start("in attribute")

    def load(self, key: str) -> None:
        """Begin to load something."""
        self.by_key[key] = start(f"in dict {key}")


class Crew:
    """Keeps tasks in a set until they have ended, as the documentation of asyncio has it."""

    def __init__(self) -> None:
        self.background: Set["asyncio.Task[Any]"] = set()

    def hire(self, name: str) -> None:
        """Begin to work."""
        task = start(name)
        self.background.add(task)
        task.add_done_callback(self.background.discard)


class Registry:
    """Tasks of the whole class."""

    started: List["asyncio.Task[Any]"] = []


def closing() -> Callable[[str], None]:
    """Keep tasks among the variables of a closure."""
    held: List["asyncio.Task[Any]"] = []

    def keep(name: str) -> None:
        held.append(start(name))

    return keep


async def gathers() -> None:
    """Waits by gather()."""
    await asyncio.gather(start("gathered 1"), start("gathered 2"))


async def gathers_gathers() -> None:
    """Waits for a gather() in a gather()."""
    inner = asyncio.gather(start("in inner gather"), kid_of_gather())
    await asyncio.gather(inner, start("in outer gather"))


async def kid_of_gather() -> None:
    """What gather() makes a task of."""
    await asyncio.get_running_loop().create_future()


async def waits() -> None:
    """Waits by wait()."""
    await asyncio.wait([start("waited for 1"), start("waited for 2")])


async def waits_for() -> None:
    """Waits by wait_for()."""
    await asyncio.wait_for(start("timed"), 1000)


async def completes() -> None:
    """Waits by as_completed()."""
    for future in asyncio.as_completed([start("completed 1"), start("completed 2")]):
        await future


async def shields() -> None:
    """Waits for what is not cancelled with it."""
    await asyncio.shield(start("shielded"))


async def awaits() -> None:
    """Awaits a task that awaits a task."""
    await start("middle", middle())


async def middle() -> None:
    """Awaits a task."""
    await start("innermost")


async def times_out() -> None:
    """Awaits a task within timeout()."""
    async with asyncio.timeout(1000):  # type: ignore[attr-defined]
        await start("within timeout")


async def groups() -> None:
    """Has a task group with another one in a child."""
    async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
        group.create_task(kid("in group")).set_name("in group")
        group.create_task(groups_inner()).set_name("group child")


async def groups_inner() -> None:
    """Has a task group."""
    async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined]
        group.create_task(kid("in inner group")).set_name("in inner group")


async def anyio_groups(depth: int = 3) -> None:
    """Has task groups of anyio, one in another."""
    import anyio

    name = f"anyio {depth}"

    async def descend() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name(name)
        if depth > 1:
            await anyio_groups(depth - 1)
        else:
            await kid(name)

    async with anyio.create_task_group() as group:
        group.start_soon(descend)


async def listens() -> None:
    """Has tasks among its variables: one alone, and some in containers."""
    alone = start("in variable")
    pending = {start("in set of variable")}
    queue: "asyncio.Queue[Any]" = asyncio.Queue()
    queue.put_nowait(start("in queue"))
    await asyncio.get_running_loop().create_future()
    del alone, pending, queue


async def double() -> None:
    """Waits by gather() for tasks that others hold, too."""
    await asyncio.gather(*[cache.by_key["awaited"], *[task for task in crew.background if task.get_name() == "both"]])


cache: Cache
crew: Crew
keep: Callable[[str], None]
lone: Any
kept: List[Any] = []
top: List[Any] = []


def build(arguments: argparse.Namespace) -> None:
    """Make all of them."""
    global cache, crew, keep, lone
    cache, crew, keep, lone = Cache(), Crew(), closing(), start("in module")
    for key in ("a", "b", "awaited", "twice"):
        cache.load(key)
    for name in ("hired", "both"):
        crew.hire(name)
    crew.background.add(cache.by_key["twice"])
    keep("in closure")
    Registry.started.append(start("in class"))
    kept.append(("record", start("in record")))
    runs = [gathers, gathers_gathers, waits, waits_for, completes, shields, awaits, listens, double]
    if hasattr(asyncio, "TaskGroup"):
        runs += [times_out, groups]
    if arguments.anyio:
        runs.append(anyio_groups)
    top.extend([start(each.__name__, each()) for each in runs])
    start("lost")


def add(count: str, first: str = "0") -> Dict[str, Any]:
    """Puts more tasks into the containers."""
    for number in range(int(first), int(first) + int(count)):
        cache.load(f"more {number}")
        keep(f"in closure {number}")
        crew.hire(f"hired {number}")
    return {}


def finish(name: str) -> Dict[str, Any]:
    """Lets a task end."""
    ends[name.replace("_", " ")].set_result(None)
    return {}


def second_loop(on_uvloop: bool) -> None:
    """Another loop, in a thread of its own."""
    run(of_second_loop(), on_uvloop)


async def of_second_loop() -> None:
    """Has a task of another loop."""
    task = asyncio.current_task()
    assert task is not None
    task.set_name("main of second")
    await start("of second loop")


async def main(arguments: argparse.Namespace) -> None:
    """Builds the families, and answers."""
    build(arguments)
    threading.Thread(target=second_loop, args=(arguments.uvloop,), name="second", daemon=True).start()
    while "of second loop" not in ends:
        await asyncio.sleep(0.01)
    await serve({"add": add, "finish": finish})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--anyio", action="store_true")
    options = parser.parse_args()
    run(main(options), options.uvloop)
