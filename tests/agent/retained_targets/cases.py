"""Tasks of many shapes: what the scanner says each retains, and what cancelling it frees.

    cases.py [CASE ...]

The truth is tracemalloc, before and after the task is cancelled. Printed is one JSON object: by case its bytes, freed
bytes, accuracy, and the hooks of hostile classes which have run.
"""

import array
import asyncio
import collections
import contextvars
import functools
import gc
import io
import json
import sys
import threading
import time
import tracemalloc
import weakref

from hostile import CALLED, Hostile, HostileByClass, HostileDict, HostileList, HostileSet, HostileTuple

from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema

PAYLOAD = 7 << 20
FAR = 100.0  # seconds
CASES = {}
EVENT = threading.Event()
VARIABLE = contextvars.ContextVar("VARIABLE")


def payload(size=PAYLOAD):
    return bytearray(size)


CACHE = {"payload": payload(), "list": [payload(1000) for _ in range(100)]}


def case(function):
    CASES[function.__name__] = function
    return function


async def hang():
    await asyncio.get_running_loop().create_future()


@case
async def local():
    x = payload()
    await hang()
    return x


@case
async def sleeping():
    x = payload()
    await asyncio.sleep(1000)
    return x


@case
async def nested():
    async def a():
        x = payload()
        await b()
        return x

    async def b():
        x = payload()
        await hang()
        return x

    x = payload()
    await a()
    return x


@case
async def shared_cache():
    a = CACHE
    b = a["payload"]
    c = list(a["list"])
    await hang()
    return b, c


@case
async def closure():
    x = payload()

    def f():
        return x

    g = lambda: f()  # noqa: E731
    await hang()
    return g


@case
async def recursive_closure():
    x = payload()

    def f(n):
        return f(n - 1) if n else x

    await hang()


@case
async def exception_with_its_frame():
    def bad():
        x = payload()
        raise ValueError(x)

    try:
        bad()
    except ValueError as error:
        saved = error
    await hang()
    return saved


class Node:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        self.payload = payload(1000)


@case
async def exception_in_a_cycle():
    o = Node()

    def bad():
        x = payload()
        raise ValueError(len(x))

    try:
        bad()
    except ValueError as error:
        o.error = error
        o.me = o
    await hang()


@case
async def inside_except():
    try:
        x = payload()
        raise KeyError(x)
    except KeyError:
        await hang()


@case
async def tree():
    root = Node()
    for _ in range(50):
        child = Node(root)
        root.children.append(child)
        for _ in range(10):
            child.children.append(Node(child))
    del child
    await hang()


@case
async def own_task():
    node = Node()
    node.task = asyncio.current_task()
    node.more = payload()
    await hang()


@case
async def asynchronous_generator():
    async def generator():
        x = payload()
        yield 1
        await hang()
        yield x

    async for _ in generator():
        pass


@case
async def idle_asynchronous_generator():
    async def generator():
        x = payload()
        yield 1
        yield x

    it = generator()
    await it.__anext__()
    await hang()


@case
async def idle_generator():
    def generator():
        x = payload()
        yield 1
        yield x

    it = generator()
    next(it)
    await hang()


class Callback:
    def __init__(self):
        self.payload = payload()
        self.future = asyncio.get_running_loop().create_future()
        self.future.add_done_callback(self.done)

    def done(self, future):
        pass


@case
async def bound_callback():
    callback = Callback()
    await callback.future


@case
async def value_on_the_stack():
    f = lambda a, b: a  # noqa: E731
    return f(payload(), await hang())


class Slots:
    __slots__ = ("__weakref__", "a", "b")


@case
async def containers():
    a = collections.deque(bytearray(100) for _ in range(1000))
    b = collections.OrderedDict((str(i), [i * 1000]) for i in range(1000))
    c = collections.Counter("abc%d" % i for i in range(1000))  # noqa: UP031
    d = [Slots() for _ in range(1000)]
    for x in d:
        x.a = bytearray(50)
    e = collections.defaultdict(list)
    for i in range(1000):
        e[i % 100].append(float(i))
    f = {frozenset([i + 10**6, "x%d" % i]) for i in range(1000)}  # noqa: UP031
    g = tuple((i + 10**6, str(i)) for i in range(1000))
    h = array.array("d", range(10000))
    del x
    await hang()
    return a, b, c, d, e, f, g, h


@case
async def weak_maps():
    a = weakref.WeakValueDictionary()
    nodes = [Node() for _ in range(500)]
    for i, node in enumerate(nodes):
        a[i] = node
    b = weakref.WeakKeyDictionary()
    for node in nodes:
        b[node] = bytearray(1000)
    del node
    await hang()
    return a, b


@case
async def memory_view():
    b = payload()
    view = memoryview(b)[5:10]
    del b
    await hang()
    return view


@case
async def written_bytesio():
    b = io.BytesIO()
    b.write(bytes(PAYLOAD))
    await hang()


@case
async def read_only_bytesio():
    b = io.BytesIO(bytes(PAYLOAD))
    await hang()
    return b


@case
async def queue():
    q = asyncio.Queue()
    for _ in range(100):
        q.put_nowait(payload(10000))
    while q.qsize() > 50:
        await q.get()
    await asyncio.Event().wait()


@case
async def hostile():
    pair = [Hostile(payload()), HostileByClass(payload())]
    CALLED.clear()
    await hang()
    return pair


@case
async def hostile_containers():
    a = HostileList()
    b = HostileDict()
    c = HostileSet()
    d = HostileTuple([payload(1 << 20)])
    for i in range(3):
        list.append(a, payload(1 << 20))
        dict.__setitem__(b, "key-%d" % i, payload(1 << 20))  # noqa: UP031
        set.add(c, bytes(1 << 20) + bytes([i]))
    CALLED.clear()
    await hang()
    return a, b, c, d


@case
async def context_variable():
    VARIABLE.set(payload())
    await hang()


@case
async def context_variable_sleeping():
    VARIABLE.set(payload())
    await asyncio.sleep(1000)


@case
async def records():
    many = [{"id": i + 10**6, "name": "n%d" % i, "tags": ["a%d" % i]} for i in range(1000)]  # noqa: UP031
    await hang()
    return many


@case
async def waiting_for_a_lock():
    lock = asyncio.Lock()
    await lock.acquire()
    x = payload()
    await lock.acquire()
    return x


@case
async def gathering():
    async def child():
        await hang()

    x = payload()
    await asyncio.gather(*[child() for _ in range(5)])
    return x


@case
async def waiting_with_a_limit():
    x = payload()
    await asyncio.wait_for(hang(), 1000)
    return x


@case
async def two_cycles():
    a = Node()
    b = Node(a)
    a.children.append(b)
    a.function = functools.partial(b.__init__, a)
    await hang()
    return a, b


@case
async def class_of_its_own():
    class Local:
        big = payload()

        def method(self):
            return Local

    await hang()


@case
async def argument_of_a_job():
    x = payload()

    def job():
        EVENT.wait()
        return x

    EVENT.clear()
    await asyncio.get_running_loop().run_in_executor(None, job)


class Session:
    def __init__(self, number):
        self.name = "session"
        self.messages = [Message(self, i) for i in range(number)]


class Message:
    __slots__ = ("body", "number", "session")

    def __init__(self, session, number):
        self.session = session
        self.number = number + 10**6
        self.body = bytes(400)


@case
async def large_list_that_knows_its_owner():
    session = Session(1500)
    await hang()
    return session


@case
async def large_list_in_a_cycle():
    session = Session(1500)
    session.myself = [session]
    await hang()


try:
    import numpy
except ImportError:
    pass
else:

    @case
    async def numpy_array():
        a = numpy.zeros(PAYLOAD // 8)
        await hang()
        return a

    @case
    async def numpy_view():
        a = numpy.zeros(PAYLOAD // 8)[3:5]
        await hang()
        return a

    @case
    async def numpy_objects():
        a = numpy.array([bytearray(1000) for _ in range(100)] + [None], dtype=object)
        await hang()
        return a


async def settle(rounds=6):
    for _ in range(rounds):
        await asyncio.sleep(0)


async def job_has_begun():
    """The executor's thread is in its job; and later: it has let go of it."""
    await asyncio.sleep(0.1)


async def measured(scanner, function):
    task = asyncio.get_running_loop().create_task(function())
    await settle()
    if function is argument_of_a_job:
        await job_has_begun()
    gc.collect()
    scanner.begin_slice()
    first = scanner.scan(task, time.perf_counter() + FAR)
    again = scanner.scan(task, time.perf_counter() + FAR)
    scanner.breakdown(task, time.perf_counter() + FAR)
    called = sorted(set(CALLED))
    scanner.begin_slice()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    EVENT.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del task
    if function is argument_of_a_job:
        await job_has_begun()
    await settle(3)
    gc.collect()
    freed = before - tracemalloc.get_traced_memory()[0]
    CALLED.clear()
    return {
        "bytes": first.bytes,
        "again": again.bytes,
        "freed": freed,
        "error": first.error,
        "accuracy": schema.ACCURACIES[first.accuracy],
        "called": called,
    }


async def main(names):
    # From 3.14 on, asyncio's own instances are larger until about 30 were made.
    await asyncio.gather(*[asyncio.wait_for(hang(), 0.01) for _ in range(50)], return_exceptions=True)
    tracemalloc.start(1)
    scanner = Scanner(time.perf_counter)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    await measured(scanner, local)
    told = {}
    for name in names or CASES:
        told[name] = await measured(scanner, CASES[name])
    print(json.dumps(told))


asyncio.run(main(sys.argv[1:]))
