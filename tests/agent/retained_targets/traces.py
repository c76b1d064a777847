"""What measuring leaves behind: nothing. Prints JSON: what was found changed, and how many scans were made.

Looked at are the reference counts of everything that a few tasks hold, the instances which have a `__dict__`, the
frame objects there are, the collector's settings, the modules, and whether tasks die when the program lets go of them.
"""

import asyncio
import builtins
import gc
import json
import sys
import time
import weakref
from sys import getrefcount

from pyobserver.agent.retention.scanner import Scanner

ROUNDS = 30


class Instance:
    def __init__(self, parent):
        self.parent = parent
        self.payload = bytearray(100)
        self.children = []


class Slots:
    __slots__ = ("__weakref__", "a")


def made():
    root = Instance(None)
    for _ in range(20):
        root.children.append(Instance(root))
        root.children[-1].slots = Slots()
        root.children[-1].slots.a = [root]
    many = [{"name": "n%d" % i, "body": bytearray(i)} for i in range(3000)]  # noqa: UP031
    return root, many, {i + 10**6: bytes(50) for i in range(1000)}, set(range(10**6, 10**6 + 900))


async def holding():
    root, many, numbers, some = made()
    await asyncio.sleep(1000)
    return root, many, numbers, some


def everything(tasks):
    """What the tasks hold, in a fixed order: what `made` has made, and what leads there."""
    frame = type(sys._getframe())
    kinds = (asyncio.Task, type(tasks[0].get_coro()), frame, Instance, Slots, dict, list, set, bytes, bytearray)
    seen = {}
    todo = list(tasks)
    while todo:
        o = todo.pop()
        if id(o) not in seen and type(o) in kinds and o is not globals() and o is not vars(builtins):
            seen[id(o)] = o
            todo += gc.get_referents(o)
    return list(seen.values())


def counts(objects):
    return [getrefcount(o) for o in objects]


def frames():
    kind = type(sys._getframe())
    return sum(type(o) is kind for o in gc.get_objects())


def shapes(objects):
    """What instances show to the collector, which changes when one gets a dict; sizes, which change with it."""
    return [(len(gc.get_referents(o)), sys.getsizeof(o)) for o in objects if type(o) in (Instance, Slots)]


def measure(scanner, tasks):
    for task in tasks:
        for seconds in (1.0, 0.002, 0.0001, 0.0):
            scanner.begin_slice()
            scanner.scan(task, time.perf_counter() + seconds)
        scanner.breakdown(task, time.perf_counter() + 1.0)
        scanner.breakdown(task, time.perf_counter() + 0.001)
    scanner.scan_together(tasks, time.perf_counter() + 1.0)
    task = None
    scanner.begin_slice()


def settings():
    return [gc.isenabled(), gc.get_threshold(), gc.get_debug(), sys.getswitchinterval(), sys.gettrace() is None]


async def main():
    loop = asyncio.get_running_loop()
    modules = set(sys.modules)
    scanner = Scanner(time.perf_counter)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    gc.collect()
    changed = []
    tasks = [loop.create_task(holding()) for _ in range(3)]
    await asyncio.sleep(0)
    measure(scanner, tasks)  # whatever is made once is made now
    before_settings = settings()
    objects = everything(tasks)
    before = counts(objects), shapes(objects), frames()
    for _ in range(ROUNDS):
        measure(scanner, tasks)
    after = counts(objects), shapes(objects), frames()
    for i, o in enumerate(objects):
        if before[0][i] != after[0][i] and len(changed) < 5:
            changed.append(["count", type(o).__name__, before[0][i], after[0][i]])
    if before[1] != after[1]:
        changed.append(["shapes"])
    if before[2] != after[2]:
        changed.append(["frames", before[2], after[2]])
    if settings() != before_settings:
        changed.append(["settings"])
    if set(sys.modules) != modules:
        changed.append(["modules", sorted(set(sys.modules) - modules)])
    del objects, o
    alive = [weakref.ref(task) for task in tasks]
    alive += [weakref.ref(task.get_coro()) for task in tasks]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    del tasks, task
    await asyncio.sleep(0)
    gc.collect()
    if any(one() is not None for one in alive):
        changed.append(["alive"])
    print(json.dumps({"changed": changed, "scans": ROUNDS * 3 * 6, "objects": len(before[0])}))


asyncio.run(main())
