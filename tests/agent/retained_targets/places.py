"""What tasks consist of, by type and by place, and what the hooks of a hostile class were called for. Prints JSON."""

import asyncio
import gc
import json
import os
import time

from pyobserver.agent.retention import slots
from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema

FAR = 100.0
CALLED = []
TASKS = {}


def task(function):
    TASKS[function.__name__] = function
    return function


class Specimen:
    def __init__(self, number, size):
        self.records = [bytes(size) for _ in range(number)]
        self.headers = {"origin": bytearray(40000), "\x1b[31mred": bytearray(30000), 5: bytearray(20000)}


class Slots:
    __slots__ = ("first", "second")


class Agent:
    def __init__(self):
        self.specimen = Specimen(5000, 448)
        self.slots = Slots()
        self.slots.second = bytearray(50000)
        self.stopped = asyncio.Event()

    async def serve(self):
        await self.stopped.wait()


@task
async def nested(number):
    records = [{"number": i + 10**6, "body": bytes(100)} for i in range(number)]
    records[812]["body"] = bytearray(300000)
    agent = Agent()
    await agent.serve()
    return records


@task
async def closure(number):
    captured = bytearray(90000)

    def inner():
        return captured

    table = {"key-%d" % i: [bytes(200)] for i in range(number)}  # noqa: UP031
    await asyncio.sleep(1000)
    return inner, table


class Hostile:
    def __init__(self):
        self.payload = bytearray(70000)
        self.table = {self: bytearray(60000)}

    @property
    def trap(self):
        CALLED.append("property")
        return self.payload

    def __getattribute__(self, name):
        CALLED.append("getattribute " + name)
        return object.__getattribute__(self, name)

    def __repr__(self):
        CALLED.append("repr")
        return "hostile"

    def __eq__(self, other):
        CALLED.append("eq")
        return False

    def __hash__(self):
        CALLED.append("hash")
        return 1

    def __len__(self):
        CALLED.append("len")
        return 3


class HostileName(type):
    def __getattribute__(cls, name):
        CALLED.append("meta " + name)
        return type.__getattribute__(cls, name)


class Named(metaclass=HostileName):
    def __init__(self):
        self.payload = bytearray(55000)


@task
async def hostile(number):
    one = Hostile()
    other = Named()
    CALLED.clear()
    await asyncio.sleep(1000)
    return one, other


def told(breakdown):
    return {
        "types": breakdown.by_type,
        "biggest": breakdown.biggest,
        "bytes": breakdown.measure.bytes,
        "accuracy": schema.ACCURACIES[breakdown.measure.accuracy],
    }


async def main():
    scanner = Scanner(time.perf_counter)
    scanner.name_by(slots.Slots(os.open("/proc/self/mem", os.O_RDONLY)))
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    answer = {}
    for name, function in TASKS.items():
        for number in (1000, 30000) if function is not hostile else (1,):
            one = asyncio.get_running_loop().create_task(function(number))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gc.collect()
            scanner.begin_slice()
            key = "%s %d" % (name, number)  # noqa: UP031
            answer[key] = told(scanner.breakdown(one, time.perf_counter() + FAR))
            answer[key]["called"] = list(CALLED)
            one.cancel()
            await asyncio.gather(one, return_exceptions=True)
    print(json.dumps(answer))


asyncio.run(main())
