"""What the scanner says of things in three sizes, and of tasks that hold in many ways; and what cancelling them frees.

    freed.py SIZE ... [packages]

The truth is tracemalloc, before and after the task is cancelled. What differs even for a task that holds nothing, as
up to 3.10 the frame that the code object keeps, is taken off. Printed is JSON, by name and size: bytes with all the
time there is, as many times as seeds those of a slice of a millisecond, and what was freed.

With `packages` the things are those of numpy and pandas. The clock of the slices runs by being asked, so that every run
on every machine does the same.
"""

import asyncio
import gc
import json
import sys
import time
import tracemalloc
import warnings

import things
import things_of_classes  # noqa: F401
import things_of_modules
import things_that_run  # noqa: F401
import ways_of_holding

from pyobserver.agent.retention import containers
from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema

SIZES = {"small": 1_000, "medium": 100_000, "large": 10_000_000}
SEEDS = range(1, 11)
STEP = 4e-6  # seconds by which the clock goes on when it is asked
FAR = 1000.0
SLICE = 0.001
OLD = 60.0  # seconds, after which all that was learned is forgotten


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        self.now += STEP
        return self.now


async def holding(make, size):
    held = make(size)
    await asyncio.get_running_loop().create_future()
    return held


async def settle(rounds=6):
    for _ in range(rounds):
        await asyncio.sleep(0)


def shown(measure):
    return [measure.bytes, int(measure.error), schema.ACCURACIES[measure.accuracy]]


def slices(scanner, clock, task):
    """The same task in one slice, sampled by chance in other ways."""
    found = []
    for seed in SEEDS:
        containers.SEED = seed
        clock.now += OLD
        scanner.begin_slice()
        found.append(shown(scanner.scan(task, clock() + SLICE)))
    containers.SEED = 1
    return found


async def measured(scanner, clock, coroutine, in_slices, way=None):
    task = asyncio.get_running_loop().create_task(coroutine)
    del coroutine
    await settle()
    if way is not None and way.begun is not None:
        deadline = time.monotonic() + 10
        while not way.begun() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
    gc.collect()
    clock.now += OLD
    scanner.begin_slice()
    told = shown(scanner.scan(task, clock() + FAR))
    sampled = slices(scanner, clock, task) if in_slices else []
    clock.now += OLD
    scanner.begin_slice()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del task
    await settle(3)
    if way is not None and way.end is not None:
        await way.end()
    gc.collect()
    freed = before - tracemalloc.get_traced_memory()[0]
    if way is not None and way.after is not None:
        await way.after()
        await settle(3)
    things_of_modules.KEPT.clear()
    things_of_modules._remembered.cache_clear()
    return {"measure": told, "slices": sampled, "freed": freed}


async def main(names):
    warnings.simplefilter("ignore")
    await asyncio.gather(
        *[asyncio.wait_for(holding(lambda _: None, 0), 0.01) for _ in range(50)], return_exceptions=True
    )
    tracemalloc.start(1)
    clock = Clock()
    scanner = Scanner(clock)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    for _ in range(3):
        nothing = await measured(scanner, clock, holding(lambda _: None, 0), False)
    kept = nothing["measure"][0] - nothing["freed"]
    told = {}
    for size in names:
        for name, make in things.THINGS.items():
            await measured(scanner, clock, holding(make, 1000), False)  # whatever is made once is made now
            case = await measured(scanner, clock, holding(make, SIZES[size]), size == "large")
            case["freed"] += kept
            case["allowed"] = things.TOLERANCE[name][:2]
            case["missed"] = things.MISSED.get(name, "")
            told[name + " " + size] = case
        for name, way in ways_of_holding.WAYS.items():
            await measured(scanner, clock, way.function(1000), False, way)
            case = await measured(scanner, clock, way.function(SIZES[size]), False, way)
            case["allowed"] = way.tolerance[:2]
            case["missed"] = way.missed
            told[name + " " + size] = case
    print(json.dumps(told))


if "packages" in sys.argv:
    import things_of_packages  # noqa: F401

    ways_of_holding.WAYS.clear()
asyncio.run(main([name for name in sys.argv[1:] if name in SIZES] or list(SIZES)))
