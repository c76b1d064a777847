"""How long measuring takes, at two sizes of the heap side by side. Prints JSON.

    cost.py OBJECTS_SMALL OBJECTS_LARGE

By shape of the tasks: microseconds of this thread's time per task and per object, of a first pass over all, which
learns what is shared, and of the following one; the best of some rounds, which alternate between the heap sizes.
"""

import asyncio
import gc
import json
import sys
import time

from pyobserver.agent.retention.scanner import Scanner

TASKS = 300
ROUNDS = 7
HEAP = []


class Session:
    def __init__(self, app, number):
        self.app = app
        self.name = "session-%d" % number  # noqa: UP031
        self.headers = {"host": self.name + ".example", "agent": self.name * 2}
        self.items = [{"id": number + 10**6 + i, "text": "item-%d-%d" % (number, i)} for i in range(5)]  # noqa: UP031


class App:
    def __init__(self):
        self.sessions = []
        self.settings = {"key-%d" % i: ["value", i + 10**6] for i in range(100)}  # noqa: UP031
        self.lock = asyncio.Lock()


class Child:
    def __init__(self, parent):
        self.parent = parent
        self.payload = bytearray(50)


async def small(app, number):
    session = Session(app, number)
    await asyncio.sleep(1000)
    return session


async def with_a_cycle(app, number):
    session = Session(app, number)
    session.children = [Child(session) for _ in range(8)]
    session.myself = session
    await asyncio.sleep(1000)


async def medium(app, number):
    held = [{"id": i + 10**6, "text": "item-%d-%d" % (number, i)} for i in range(50)]  # noqa: UP031
    await asyncio.sleep(1000)
    return app, held


async def large(app, number):
    held = [bytes(448) for _ in range(14314)]
    await asyncio.sleep(1000)
    return app, held


SHAPES = ((small, TASKS), (with_a_cycle, TASKS), (medium, TASKS // 3), (large, 4))


def passed(scanner, tasks, seconds):
    """Microseconds per task and per object, and the share that was exact, of one pass over all tasks."""
    scanner.begin_slice()
    objects = exact = 0
    begun = time.thread_time()
    for task in tasks:
        measure = scanner.scan(task, time.perf_counter() + seconds)
        objects += measure.objects
        exact += measure.accuracy == 0
    taken = (time.thread_time() - begun) * 1e6
    return [taken / len(tasks), taken / objects, exact / len(tasks), objects / len(tasks)]


def fill(objects):
    """Let the heap have so many objects more that the collector knows, and about twice as many in all."""
    HEAP.append([[i + 10**6] for i in range(objects)])


def timed(tasks, seconds):
    """The first pass with a new scanner, and the next one."""
    scanner = Scanner(time.perf_counter)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    return passed(scanner, tasks, seconds), passed(scanner, tasks, seconds)


async def main(sizes):
    app = App()
    loop = asyncio.get_running_loop()
    groups = {}
    for function, number in SHAPES:
        groups[function.__name__] = [loop.create_task(function(app, i)) for i in range(number)]
    await asyncio.sleep(0)
    gc.collect()
    gc.disable()  # of this process: a collection in between would be counted
    best = {}
    for _ in range(ROUNDS):
        for size in sizes:
            HEAP.clear()
            fill(size)
            for name, tasks in groups.items():
                for which, told in zip(("first", "next"), timed(tasks, 0.001 if name == "large" else 1.0)):  # noqa: B905
                    key = "%s %s %d" % (name, which, size)  # noqa: UP031
                    best[key] = min(told, best.get(key, told))
    print(json.dumps(best))
    for tasks in groups.values():
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


asyncio.run(main([int(size) for size in sys.argv[1:]]))
