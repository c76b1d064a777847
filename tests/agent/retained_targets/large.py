"""Tasks that are too large for a slice: what is estimated of them, and how much work that is.

    large.py estimates | work

The clock runs by being asked, so that every run on every machine does the same: the deadline is a number of looks at
it. `estimates` prints by shape the bytes, their error, the accuracy, and what cancelling the task frees; `work` how
many objects were looked at.
"""

import asyncio
import collections
import gc
import json
import random
import sys
import tracemalloc

from pyobserver.agent.retention import cycles, edges, glance, kinds, sharing, walk
from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema

STEP = 4e-6  # seconds by which the clock goes on when it is asked: what weighing one entry takes
SLICE = 0.001
RANDOM = random.Random(5)
SHAPES = {}
ELSEWHERE = []


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        self.now += STEP
        return self.now


def shape(function):
    SHAPES[function.__name__] = function
    return function


def record(i, size=100):
    return {"number": i + 10**6, "name": "name-%d" % i, "body": bytes(size)}  # noqa: UP031


@shape
def equal_records():
    return [bytes(448) + b"%d" % (i % 10) for i in range(14314)]


@shape
def records_of_many_sizes():
    return [record(i, RANDOM.randrange(1000)) for i in range(8000)]


@shape
def one_in_ten_is_large():
    return tuple(record(i, 5000 if RANDOM.random() < 0.1 else 200) for i in range(6000))


@shape
def dict_by_name():
    return {"key-%d" % i: record(i, RANDOM.randrange(500)) for i in range(7000)}  # noqa: UP031


@shape
def dict_that_grew():
    """Later entries are larger, and those in the middle are out of reach."""
    return {i + 10**6: bytes(i // 10) for i in range(15000)}


@shape
def default_dict():
    found = collections.defaultdict(list)
    for i in range(5000):
        found["key-%d" % i].append(bytes(100))  # noqa: UP031
    return found


@shape
def ordered_dict():
    return collections.OrderedDict(("key-%d" % i, bytes(200)) for i in range(5000))  # noqa: UP031


@shape
def set_of_tuples():
    return {(i / 7, "name-%d" % i) for i in range(10**6, 10**6 + 8000)}  # noqa: UP031


@shape
def frozen_set():
    return frozenset("name-%d" % i for i in range(8000))  # noqa: UP031


@shape
def queue():
    return collections.deque(bytes(300) + b"%d" % i for i in range(9000))


class Many(list):
    pass


@shape
def subclass_of_list():
    return Many(bytes(300) + b"%d" % i for i in range(9000))


@shape
def lists_in_a_list():
    return [[bytes(100) + b"%d" % (i * j) for i in range(600)] for j in range(20)]


@shape
def large_lists_in_a_large_list():
    return [[bytes(30) + b"%d" % (i * j) for i in range(60)] for j in range(450)]


@shape
def a_document():
    """No container is large, yet there are many."""
    return [{"k%d" % j: [bytes(50) + b"%d" % (i * j) for _ in range(6)] for j in range(40)} for i in range(40)]  # noqa: UP031


class Session:
    def __init__(self, number):
        self.messages = [Message(self, i) for i in range(number)]


class Message:
    def __init__(self, session, number):
        self.session = session
        self.body = bytes(200) + b"%d" % number
        self.me = [self]


@shape
def messages_which_know_their_session():
    return Session(3000)


class Ring:
    def __init__(self):
        self.payload = bytes(300)
        self.me = self


@shape
def rings():
    """Each entry is held by itself, too."""
    return [Ring() for _ in range(4000)]


@shape
def held_elsewhere():
    """Nothing but the list is owned."""
    ELSEWHERE.extend(bytes(300) + b"%d" % i for i in range(5000))
    return list(ELSEWHERE)


@shape
def in_two_indexes():
    """Each record is in two containers of the same task: to which it belongs cannot be said by looking at a few."""
    many = [record(i) for i in range(5000)]
    return many, {one["number"]: one for one in many}


class Link:
    __slots__ = ("next", "payload")


@shape
def chain():
    first = None
    for _ in range(20000):
        link = Link()
        link.next, link.payload = first, bytes(100)
        first = link
    return first


async def holding(make):
    held = make()
    await asyncio.get_running_loop().create_future()
    return held


async def started(make):
    task = asyncio.get_running_loop().create_task(holding(make))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    return task


async def ended(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del task
    for _ in range(3):
        await asyncio.sleep(0)


async def estimate(scanner, clock, make):
    task = await started(make)
    scanner.begin_slice()
    first, again = [scanner.scan(task, clock() + SLICE) for _ in range(2)]
    scanner.begin_slice()
    before = tracemalloc.get_traced_memory()[0]
    await ended(task)
    del task
    gc.collect()
    freed = before - tracemalloc.get_traced_memory()[0]
    ELSEWHERE.clear()
    return {
        "bytes": again.bytes,
        "first": first.bytes,
        "error": again.error,
        "accuracy": schema.ACCURACIES[again.accuracy],
        "freed": freed,
    }


def waited_for_by_many():
    future = asyncio.get_running_loop().create_future()
    for i in range(10000):
        future.add_done_callback(lambda _, i=i: i)
    return [future, Ring()]


def many_attributes():
    one = Ring()
    for i in range(5000):
        setattr(one, "a%d" % i, [one])  # noqa: UP031
    return one


class Line(collections.deque):
    """Of a type that is not known before."""


def a_queue_of_others():
    one = Ring()
    one.itself, one.queue = one, Line([bytes(20)] * 100_000)
    ELSEWHERE.append(one.queue)
    return one


def nearly_empty_set():
    found = {bytes(20) + b"%d" % i for i in range(300000)}
    while len(found) > 10:
        found.pop()
    return [found]


class Counting:
    """Counts what `get_referents` was asked for, and what it told."""

    def __init__(self):
        self.asked = self.told = 0
        for module in (cycles, edges, glance, kinds, sharing, walk):
            if hasattr(module, "get_referents"):
                module.get_referents = self

    def __call__(self, *objects):
        refs = gc.get_referents(*objects)
        self.asked += 1
        self.told += len(refs)
        return refs


async def work(scanner, clock):
    counting = Counting()
    told = {}
    shapes = [
        *(SHAPES["equal_records"], SHAPES["chain"], SHAPES["a_document"], SHAPES["large_lists_in_a_large_list"]),
        *(SHAPES["messages_which_know_their_session"], waited_for_by_many, many_attributes),
        *(a_queue_of_others, nearly_empty_set),
    ]
    for make in shapes:
        task = await started(make)
        for name, seconds in (("slice", SLICE), ("nothing", 0.0), ("past", -1.0)):
            scanner.begin_slice()
            counting.asked = counting.told = 0
            begun = clock()
            measure = scanner.scan(task, begun + seconds)
            looks = (clock() - begun) / STEP
            key = make.__name__ + " " + name
            told[key] = [counting.asked, counting.told, looks, schema.ACCURACIES[measure.accuracy], measure.bytes]
        await ended(task)
        ELSEWHERE.clear()
        del task
    task = await started(SHAPES["chain"])
    measure = scanner.scan(task, clock() + 1000.0)
    told["chain without a deadline"] = [measure.objects, measure.objects, 0, schema.ACCURACIES[measure.accuracy], 0]
    await ended(task)
    return told


async def main(what):
    clock = Clock()
    scanner = Scanner(clock)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    if what == "work":
        print(json.dumps(await work(scanner, clock)))
        return
    tracemalloc.start(1)
    await estimate(scanner, clock, SHAPES["equal_records"])
    print(json.dumps({name: await estimate(scanner, clock, make) for name, make in SHAPES.items()}))


asyncio.run(main(sys.argv[1]))
