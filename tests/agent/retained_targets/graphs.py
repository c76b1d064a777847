"""Random graphs of objects, each hung on a task: what the scanner says, and what an independent computation says.

    graphs.py SEED NUMBER [generators] [large] [churn] [hostile] [batch]

With `churn` the scanner is not given the time to forget what it learned about the last graphs. With `batch` each graph
hangs on some tasks, which are scanned one after the other in each order of two.

The truth is computed in another way: everything reachable from the task is collected, everything that has a reference
from outside of that is taken away, and all that leads to. Printed is JSON.
"""

import asyncio
import gc
import json
import random
import sys
import time
from gc import get_referents
from sys import getrefcount

from hostile import CALLED, Hostile, HostileByClass, HostileDict, HostileList, HostileSet

from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema

ELSEWHERE = [[] for _ in range(20)]
FAR = 1000.0  # seconds: nothing has to be estimated
OLD = 60.0


class Instance:
    def __init__(self):
        self.a = self.b = None


class Slots:
    __slots__ = ("a", "b")


class Words(dict):
    pass


def is_class(o):
    return type.__subclasscheck__(type, type(o))


def nothing(*_):
    pass


def borrowing(x):
    """From 3.14 on, it waits with an x on its stack that it does not own."""
    nothing(x, (yield))
    nothing(x)


def owning_twice(x):
    """The local is owned a second time; on 3.15 the list is on the stack as well."""
    y = x
    for _ in x:
        yield
    yield y


def started(function, argument):
    generator = function(argument)
    next(generator)
    return generator


def base_count():
    held = {0: object()}
    found = 0
    for i in held:
        found = getrefcount(held[i])
    return found


BASE = base_count()
BORROWS = sys.version_info >= (3, 14)


class Clock:
    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.perf_counter() + self.ahead


class Truth:
    def __init__(self):
        self.modules = set()
        for module in list(sys.modules.values()):
            if type(module) is type(sys):  # else its `__dict__` may be made anew each time, and its id say nothing
                self.modules.update((id(module), id(module.__dict__)))

    def edges(self, o):
        refs = get_referents(o)
        if type.__subclasscheck__(dict, type(o)):  # a key is held by nothing else here
            shown = set(map(id, refs))
            refs += [key for key in dict.keys(o) if id(key) not in shown]
        if BORROWS and type(o) is type(TEMPLATE) and o.gi_code is borrowing.__code__:
            refs = list({id(r): r for r in refs}.values())
        return refs

    def owned(self, *roots):
        """The ids of what the roots own, by what is left when everything held from outside is taken away."""
        reached = {id(root): root for root in roots}
        starts = set(reached)
        todo = list(roots)
        counts = {}
        while todo:
            refs = self.edges(todo.pop())
            for r in refs:
                i = id(r)
                counts[i] = counts.get(i, 0) + 1
                if i in reached or i in self.modules or type(r) is asyncio.Task or is_class(r):
                    continue
                reached[i] = r
                todo.append(r)
            del refs
            r = None
        gone = [i for i in reached if i not in starts and getrefcount(reached[i]) - BASE != counts[i]]
        left = set(reached).difference(gone)
        while gone:
            i = gone.pop()
            for r in self.edges(reached[i]):
                if id(r) in left and id(r) not in starts:
                    left.discard(id(r))
                    gone.append(id(r))
            r = None
        return {i: reached[i] for i in left}


class Graphs:
    def __init__(self, seed, generators=False, large=False, churn=False, hostile=False):
        self.churn = churn
        self.kinds = [list, dict, Instance, Slots, set, Words, self.leaf]
        if hostile:
            self.kinds += [Hostile, HostileByClass, HostileDict, HostileList, HostileSet]
        self.random = random.Random(seed)
        self.generators = generators
        self.large = large

    def leaf(self):
        return bytearray(self.random.randrange(500))

    def made(self):
        number = self.random.randrange(2, 60)
        objects = [self.random.choice(self.kinds)() for _ in range(number)]
        if self.generators:
            self.add_generators(objects)
        holders = [o for o in objects if type(o) is not bytearray and type(o) is not type(TEMPLATE)]
        if holders:
            for _ in range(self.random.randrange(2 * number)):
                self.connect(self.random.choice(holders), objects)
            if self.large:
                self.fill(self.random.choice(holders))
        return self.some(objects)

    def some(self, objects):
        return self.random.sample(objects, min(len(objects), self.random.randrange(1, 6)))

    def shared(self):
        """What some tasks hold of objects that refer to each other."""
        made = [self.made() for _ in range(self.random.randrange(1, 4))]
        return [self.some(self.random.choice(made)) for _ in range(self.random.randrange(2, 6))]

    def add_generators(self, objects):
        for one in [o for o in objects if type(o) is list]:
            if self.random.random() < 0.5:
                objects.append(started(self.random.choice((borrowing, owning_twice)), one))
                if self.random.random() < 0.3:
                    one.append(objects[-1])
                if self.random.random() < 0.1:
                    self.random.choice(ELSEWHERE).append(one)

    def connect(self, holder, objects):
        near = self.random.random() < 0.9
        self.put(holder, self.random.choice(objects) if near else self.random.choice(ELSEWHERE))
        if self.random.random() < 0.03:
            self.random.choice(ELSEWHERE).append(holder)

    def put(self, holder, value):
        number = self.random.randrange(10**6, 10**9)
        kind = type(holder)
        if kind is list or kind is HostileList:
            list.append(holder, value)
        elif kind is dict or kind is Words or kind is HostileDict:
            dict.__setitem__(holder, "k%d" % number if self.random.random() < 0.5 else number, value)  # noqa: UP031
        elif kind is set or kind is HostileSet:
            set.add(holder, (number, id(value)))
        elif kind is Hostile or kind is HostileByClass:
            holder.payload = value
        else:
            setattr(holder, self.random.choice("ab"), value)

    def fill(self, holder):
        """Make something large of it, with elements of some sizes, among them what refers back."""
        for _ in range(self.random.randrange(300, 1500)):
            kind = self.random.randrange(12)
            self.put(holder, self.leaf() if kind else [holder, self.leaf(), {"payload": self.leaf()}])


async def holding(objects):
    first, *others = objects
    del objects
    await asyncio.get_running_loop().create_future()
    return first, others


async def compare(scanner, clock, graphs, truth):
    """One graph: (objects, bytes) of the scan, of a second one that knows what is shared, and of the truth; and whether
    scanning has left something behind: a reference to anything, an instance's `__dict__`."""
    task = asyncio.get_running_loop().create_task(holding(graphs.made()))
    await asyncio.sleep(0)
    clock.ahead += 0 if graphs.churn else OLD
    scanner.begin_slice()
    measures = [scanner.scan(task, clock() + FAR) for _ in range(2)]
    together = scanner.scan_together([task], clock() + FAR)
    owned = truth.owned(task)
    size_of = scanner._kinds.size_of
    told = [(m.objects, m.bytes, m.accuracy == schema.EXACT) for m in [*measures, together]]
    told.append((len(owned), sum(map(size_of, owned.values())), True))
    held = list(owned.values())
    owned.clear()
    before = traces(held)
    scanner.scan(task, clock() + FAR)
    scanner.breakdown(task, clock() + FAR)
    has_left = traces(held) != before
    held.clear()
    called = sorted(set(CALLED))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    CALLED.clear()
    return told, has_left, called


async def compare_batch(scanner, clock, graphs, truth):
    """As `compare`, of some tasks that share objects: what a batch says of each in two orders, and the truth."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(holding(objects)) for objects in graphs.shared()]
    for task in tasks[1:]:
        if graphs.random.random() < 0.3:
            graphs.random.choice(ELSEWHERE).append(task)
    await asyncio.sleep(0)
    clock.ahead += 0 if graphs.churn else OLD
    told = [[] for _ in tasks]
    for order in (range(len(tasks)), reversed(range(len(tasks)))):
        scanner.begin_slice()
        scanner.begin_batch()
        for place in order:
            measure = scanner.scan_of_batch(tasks[place], clock() + FAR)
            told[place].append((measure.objects, measure.bytes, measure.accuracy == schema.EXACT))
    for place, task in enumerate(tasks):
        owned = truth.owned(task)
        told[place].append((len(owned), sum(map(scanner._kinds.size_of, owned.values())), True))
        owned.clear()
    called = sorted(set(CALLED))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    CALLED.clear()
    return told, called


def traces(objects):
    return [(getrefcount(o), len(get_referents(o))) for o in objects]


async def main(seed, number, *modes):
    gc.disable()
    clock = Clock()
    scanner = Scanner(clock)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    graphs = Graphs(seed, "generators" in modes, "large" in modes, "churn" in modes, "hostile" in modes)
    wrong = []
    called = set()
    sizes = bounds = left = 0
    for done in range(number):
        if done % 50 == 0:
            truth = Truth()
        if "batch" in modes:
            every, ran = await compare_batch(scanner, clock, graphs, truth)
        else:
            told, has_left, ran = await compare(scanner, clock, graphs, truth)
            left += has_left
            every = [told]
        called.update(ran)
        for told in every:
            *scans, truth_told = told
            sizes += truth_told[0]
            bounds += not all(is_exact for _, _, is_exact in scans)
            if any(scan != truth_told if scan[2] else scan[1] > truth_told[1] for scan in scans):
                wrong.append([done, told])
        if done % 20 == 0:
            for held in ELSEWHERE:
                if graphs.random.random() < 0.5:
                    held.clear()
            gc.collect()
    result = {"graphs": number, "objects": sizes, "bounds": bounds, "wrong": len(wrong), "first": wrong[:3]}
    print(json.dumps({**result, "left": left, "called": sorted(called)}))


TEMPLATE = borrowing(None)
if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
