"""Groups of tasks that share what nobody else has: what the scanner says they retain together, and what is freed.

    shared_freed.py [CASE ...]

The truth is tracemalloc, before and after all tasks of the group are cancelled. Printed is JSON: by case and number of
tasks what was found alone and together, what was freed, what others hold too, and the paths of the largest of both.
"""

import asyncio
import gc
import json
import os
import sys
import time
import tracemalloc

from pyobserver.agent.retention import slots
from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema

FAR = 100.0
CASES = {}
CONFIG = {"rules": [bytearray(1000) for _ in range(300)], "names": {"a": "b"}}


def case(function):
    CASES[function.__name__] = function
    return function


async def hang():
    await asyncio.get_running_loop().create_future()


async def member(number, common, others):
    own = bytearray(2000)
    await hang()
    return own, common, others


@case
def a_list(number):
    """All share a list, and all know the configuration, which is a global."""
    common = [bytearray(10000) for _ in range(30)]
    return [member(i, common, CONFIG) for i in range(number)]


@case
def a_chain(number):
    """What they share refers to what they share as well, and to something that only it refers to."""
    last = [bytearray(100000)]
    middle = {"last": last, "bytes": bytearray(50000)}
    first = [middle, bytearray(70000)]
    return [member(i, (first, middle, last)[i % 3], last) for i in range(number)]


@case
def by_two(number):
    """Each pair has something of its own."""
    made = []
    for i in range(0, number, 2):
        common = [bytearray(5000)]
        made += [member(i, common, CONFIG), member(i + 1, common, CONFIG)]
    return made


class Room:
    def __init__(self):
        self.members = []
        self.log = bytearray(200000)


class Guest:
    def __init__(self, room):
        self.room = room
        room.members.append(self)


@case
def a_room(number):
    """A cycle through what they share: the room knows its guests, and they the room."""
    room = Room()
    return [member(i, Guest(room), CONFIG) for i in range(number)]


def pass_over(scanner, tasks):
    """One pass as the agent makes it, with time for everything."""
    together = scanner.together()
    alone = 0
    cyclic = []
    for number, task in enumerate(tasks):
        scanner.begin_slice()
        look = together.scan(task, time.perf_counter() + FAR)
        together.note(number, look)
        alone += look.bytes
        cyclic.append(look.cyclic)
    for _ in range(2):
        scanner.begin_slice()
        numbers = together.suspects()[:40]
        roots = [tasks[number] for number in numbers]
        look = together.close_cycles(roots, [cyclic[number] for number in numbers], time.perf_counter() + FAR)
        assert look.accuracy != schema.UNAVAILABLE
        together.note(-1, look)
        if not look.owned:
            break
    return together, alone


def named(scanner, together, tasks, found, is_measured):
    told = []
    for i, common in found[:3]:
        scanner.begin_slice()
        at = scanner.naming(together).describe(tasks[common.last], {i: is_measured}, time.perf_counter() + FAR)
        told += [[*entry[:3], entry[3] and entry[3][0], common.members] for entry in at.values()]
    return told


async def measured(scanner, function, number):
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(each) for each in function(number)]
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    together, alone = pass_over(scanner, tasks)
    common, doubtful = together.common_bytes()
    told = {"alone": alone, "together": alone + common, "doubtful": doubtful, "is_bound": together.is_bound}
    told["owned"] = named(scanner, together, tasks, together.owned(), False)
    shared = named(scanner, together, tasks, together.shared(), True)
    told["shared"] = sorted(shared, key=lambda entry: -entry[3])
    together = None
    scanner.begin_slice()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    del tasks, task
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    told["freed"] = before - tracemalloc.get_traced_memory()[0]
    return told


async def main(names):
    await asyncio.gather(*[asyncio.wait_for(hang(), 0.01) for _ in range(50)], return_exceptions=True)
    tracemalloc.start(1)
    scanner = Scanner(time.perf_counter)
    scanner.name_by(slots.Slots(os.open("/proc/self/mem", os.O_RDONLY)))
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    await measured(scanner, a_list, 2)
    told = {}
    for name in names or CASES:
        for number in (2, 50, 500):
            told[name + " " + str(number)] = await measured(scanner, CASES[name], number)
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
