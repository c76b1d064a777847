"""What each task retains, by our scanner and by other tools, of the same objects in one process. Prints JSON.

    peers.py speed | truth      (3.9 and later)

By setting and tool: with `speed`, seconds per call, without tracemalloc; with `truth`, bytes per task beside what
cancelling it frees, and the memory that measuring took at its peak. A tool that is not installed is left out.

- `pyobserver, 1 ms`: as the agent does it, in slices, so that what is large is estimated.
- `pyobserver, in full`: however long it takes.
- `pympler`: `asizeof` of the coroutine's variables, as it does not look into a task.
- `guppy3`: `hpy().iso(task).domisize`, what only this task leads to.
- `whole heap`: all that the collector knows is marked from the modules, the loop and the running frames, with tasks as
  barriers, and then from each task, as a tool that works on a dump of the heap does. One call is for all tasks.
"""

import asyncio
import collections
import gc
import json
import sys
import time
import tracemalloc
from sys import getsizeof

from pyobserver.agent.retention import scan
from pyobserver.agent.retention.scanner import Scanner

MOST_SECONDS = 6.0  # for one tool in one setting
FAR = 1000.0


class Config:
    def __init__(self):
        self.settings = {"key-%d" % i: ["value-%d" % i, i + 10**6] for i in range(2000)}  # noqa: UP031


class Session:
    def __init__(self, config, number):
        self.config = config
        self.name = "session-%d" % number  # noqa: UP031
        self.headers = {"host": self.name + ".example", "agent": self.name * 2}
        self.items = [{"id": number + 10**6 + i, "text": "item-%d-%d" % (number, i)} for i in range(8)]  # noqa: UP031


def records(number, many):
    return [{"id": i + 10**6, "text": "item-%d-%d" % (number, i) + "x" * (i % 40)} for i in range(many)]  # noqa: UP031


async def small(config, number):
    session = Session(config, number)
    await asyncio.sleep(1000)
    return session


async def medium(config, number):
    held = records(number, 6660)
    await asyncio.sleep(1000)
    return config, held


async def large(config, number):
    held = records(number, 300_000)
    await asyncio.sleep(1000)
    return config, held


# Name -> (coroutine function, tasks, how many of them are measured for the error).
SETTINGS = {"1,000 small": (small, 1000, 30), "50 medium": (medium, 50, 10), "1 large": (large, 1, 1)}


def ours(limit, seconds):
    def made(_):
        scanner = Scanner(time.perf_counter)
        scanner.add_barrier(asyncio.Task)
        scanner.learn_libraries()
        normal = scan.LIMIT

        def measure(task):
            scan.LIMIT = limit or normal
            scanner.begin_slice()
            try:
                found = scanner.scan(task, time.perf_counter() + seconds)
            finally:
                scan.LIMIT = normal
            return {id(task): found.bytes}

        return measure

    return made


def pympler(_):
    from pympler import asizeof

    def measure(task):
        return {id(task): asizeof.asizeof(*task.get_coro().cr_frame.f_locals.values())}

    return measure


def guppy(_):
    from guppy import hpy

    heap = hpy()

    def measure(task):
        return {id(task): heap.iso(task).domisize}

    return measure


def whole_heap(tasks):
    """One pass for all tasks; what two of them lead to belongs to neither."""
    barrier = {id(task) for task in tasks}

    def closure(first, known):
        found = {}
        todo = list(first)
        while todo:
            o = todo.pop()
            i = id(o)
            if i not in found and i not in known:
                found[i] = o
                if i not in barrier:
                    refs = gc.get_referents(o)
                    if type(o) is dict:
                        refs += o
                    todo += refs
        return found

    def measure(_):
        everything = gc.get_objects()  # what a dump would contain
        roots = [sys.modules, asyncio.get_running_loop(), *sys._current_frames().values()]
        outside = closure(roots, {id(everything)})
        owners = collections.Counter()
        inside = {}
        for task in tasks:
            own = [o for r in gc.get_referents(task) for o in (r,) if id(r) not in barrier]
            inside[id(task)] = closure(own, outside)
            owners.update(inside[id(task)].keys())
        return {
            key: getsizeof(task) + sum([getsizeof(o) for i, o in found.items() if owners[i] == 1 and i not in barrier])
            for task, (key, found) in zip(tasks, inside.items())  # noqa: B905 (3.10 and later)
        }

    return measure


TOOLS = {
    "pyobserver, 1 ms": ours(0, 0.001),
    "pyobserver, in full": ours(10**9, FAR),
    "pympler": pympler,
    "guppy3": guppy,
    "whole heap": whole_heap,
}


def measured(make, tasks, chosen):
    """(bytes by task, seconds of each call, bytes that it took at its peak); one call less at the front."""
    found = {}
    seconds = []
    peak = 0
    measure = make(tasks)
    gc.collect()
    measure(chosen[0])  # whatever is loaded or learned once
    end = time.perf_counter() + MOST_SECONDS
    for task in chosen:
        if tracemalloc.is_tracing():
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
        begun = time.perf_counter()
        told = measure(task)
        seconds.append(time.perf_counter() - begun)
        if tracemalloc.is_tracing():
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
        found.update(told)
        if len(told) > 1 or time.perf_counter() > end:
            break
    return found, seconds, peak


async def freed(tasks, chosen):
    """What cancelling each of them frees; nothing else may hold them, as an ended task holds its error's frames."""
    found = {}
    while chosen:
        task = chosen.pop()
        tasks.remove(task)
        key = id(task)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del task
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        found[key] = before - tracemalloc.get_traced_memory()[0]
    return found


async def main(mode):
    config = Config()
    for i in range(50):  # the first instances of a class have room for more values
        Session(config, i)
    loop = asyncio.get_running_loop()
    if mode == "truth":
        tracemalloc.start(1)
    counting = Scanner(time.perf_counter)
    counting.add_barrier(asyncio.Task)
    counting.learn_libraries()
    warm = [loop.create_task(small(config, i)) for i in range(3)]
    await asyncio.sleep(0)
    await freed(warm, list(warm))
    told = {}
    for name, (function, number, few) in SETTINGS.items():
        tasks = [loop.create_task(function(config, i)) for i in range(number)]
        await asyncio.sleep(0)
        gc.collect()
        chosen = tasks[:: max(1, number // few)][:few] if mode == "truth" else tasks
        normal, scan.LIMIT = scan.LIMIT, 10**9
        objects = counting.scan(tasks[-1], time.perf_counter() + FAR).objects
        scan.LIMIT = normal
        setting = told[name] = {"tasks": number, "objects": objects, "tools": {}}
        gc.disable()  # of this process: a collection in between would be counted
        for tool, make in TOOLS.items():
            try:
                found, seconds, peak = measured(make, tasks, chosen)
            except ImportError:
                continue
            setting["tools"][tool] = {"bytes": found, "seconds": seconds, "peak": peak}
        gc.enable()
        make = found = None
        if mode == "truth":
            setting["freed"] = await freed(tasks, chosen)
        chosen = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks = task = None
        gc.collect()
    print(json.dumps(told))


asyncio.run(main(sys.argv[1]))
