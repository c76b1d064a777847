"""Several tasks together, tasks that hold tasks, and subclasses of Task. Prints JSON: bytes by what was scanned."""

import asyncio
import json
import time

from pyobserver.agent.retention.scanner import Scanner

FAR = 100.0
SIZE = 1000000


class Special(asyncio.Task):
    """A kind of task which the scanner was not told of."""


async def holding(*things):
    await asyncio.get_running_loop().create_future()
    return things


async def main():
    loop = asyncio.get_running_loop()
    common = bytearray(SIZE)
    pair = [loop.create_task(holding(common, bytearray(1000))) for _ in range(2)]
    child = Special(holding(bytearray(SIZE)), loop=loop)
    parent = loop.create_task(holding(child, {"child": child}))
    many = [loop.create_task(holding(bytearray(10000))) for _ in range(2000)]
    del common
    await asyncio.sleep(0)
    scanner = Scanner(time.perf_counter)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    scanner.begin_slice()

    def measured(*roots, seconds=FAR):
        measure = scanner.scan_together(roots, time.perf_counter() + seconds)
        return [measure.bytes, measure.accuracy]

    told = {
        "one": scanner.scan(pair[0], time.perf_counter() + FAR).bytes,
        "pair": measured(*pair),
        "child": scanner.scan(child, time.perf_counter() + FAR).bytes,
        "parent": scanner.scan(parent, time.perf_counter() + FAR).bytes,
        "family": measured(parent, child),
        "many": measured(*many),
        "many in a slice": measured(*many, seconds=0.01),
        "nothing": measured(),
    }
    print(json.dumps(told))
    for task in [*pair, child, parent, *many]:
        task.cancel()
    await asyncio.gather(*pair, child, parent, *many, return_exceptions=True)


asyncio.run(main())
