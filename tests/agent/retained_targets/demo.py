"""The demonstration's children: what the scanner says of one within a slice, and what it frees.

    demo.py FOLDER_OF_THE_SERVICE

A slice in which this process had to wait for the processor counts for nothing, so it takes several. Prints JSON.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
import tracemalloc

from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema

sys.path.insert(0, sys.argv[1])
from rudder import service

SLICES, MOST_SLICES = 25, 500  # more only while too few have been of use, as on a busy machine
SLICE = 0.002  # seconds: tracemalloc makes everything take twice as long


async def settled():
    """All four agents wait to be stopped."""
    quiet = 0
    while quiet < 20:
        await asyncio.sleep(0.05)
        held = [o for o in gc.get_objects() if type(o).__name__ == "Agent"]
        quiet += len(held) == 4 and all(o._stopped._waiters for o in held)
        del held


def scanned(scanner, children):
    """The last measure of each child, by its name."""
    found = {}
    for turn in range(MOST_SLICES):
        useful = [sum(told[2] == "sampled" for told in scans) for scans in found.values()]
        if turn >= SLICES and min(useful, default=0) >= 3:
            break
        for child in children:
            time.sleep(0.0005)
            scanner.begin_slice()
            begun = time.perf_counter()
            measure = scanner.scan(child, begun + SLICE)
            if time.perf_counter() - begun < 3 * SLICE:
                told = [measure.bytes, measure.error, schema.ACCURACIES[measure.accuracy], measure.objects]
                found.setdefault(child.get_name(), []).append(told)
    return found


async def main():
    options = argparse.Namespace(fixed=False, limit=4, interval=0.02, payload=7000000, until_eof=False)
    serving = asyncio.get_running_loop().create_task(service.main(options))
    await settled()
    spawner = service.running.spawner
    spawner._limit = 0  # else a new child takes the place of the cancelled one
    await asyncio.sleep(0.1)
    scanner = Scanner(time.perf_counter)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    children = sorted(spawner._children, key=lambda task: task.get_name())
    found = scanned(scanner, children)
    child = children[0]
    name = child.get_name()
    del children
    scanner.begin_slice()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    child.cancel()
    while not child.done():
        await asyncio.sleep(0)
    del child
    await asyncio.sleep(0)
    gc.collect()
    freed = before - tracemalloc.get_traced_memory()[0]
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    print(json.dumps({"name": name, "freed": freed, "scans": found}))


tracemalloc.start()
asyncio.run(main())
