"""What can lie on the stack of a suspended frame: what the scanner says is owned, and what is freed.

Each shape is a generator, or a coroutine that is given a future to wait for. Two of them hold something that is held
elsewhere too, which must not be counted. Printed is JSON: by shape the bytes, those of a second scan, and those freed.
"""

import asyncio
import gc
import json
import time
import tracemalloc

from pyobserver.agent.retention.scanner import Scanner

FAR = 100.0
ELSEWHERE = []
ITSELF = []
GENERATORS = {}
COROUTINES = {}


def payload():
    return bytearray(1 << 20)


def f(a, *_, **__):
    return a


class Thing:
    def __init__(self):
        self.p = payload()
        self.many = [payload() for _ in range(3)]

    def method(self, *a):
        return a

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


def generator(function):
    GENERATORS[function.__name__] = function
    return function


def coroutine(function):
    COROUTINES[function.__name__] = function
    return function


@generator
def statement():
    x = payload()
    yield
    f(x)


@generator
def in_a_call():
    x = payload()
    f(x, (yield))
    f(x)


@generator
def three_times_in_a_call():
    x = payload()
    f(x, x, x, (yield))
    f(x)


@generator
def in_a_list():
    x = payload()
    z = [x, (yield)]
    f(x, z)


@generator
def in_a_sum():
    x = payload()
    z = x + (yield)
    f(x, z)


@generator
def in_a_method_call():
    o = Thing()
    o.method(o.p, (yield))
    f(o)


@generator
def in_a_call_and_elsewhere():
    x = payload()
    ELSEWHERE.append(x)
    f(x, (yield))
    f(x)


@generator
def twice_and_elsewhere():
    x = y = payload()
    ELSEWHERE.append(x)
    yield
    f(x, y)


@generator
def results_of_methods():
    o = Thing()
    for x in o.many:
        yield o.method(x, x.__len__())
    f(o)


@generator
def loop():
    xs = [payload(), payload()]
    for _ in xs:
        yield


@generator
def loop_over_a_temporary():
    for _ in [payload(), payload()]:
        yield


@generator
def delegating():
    x = payload()
    f(x, (yield from statement()))


@generator
def context():
    with Thing() as o:
        yield
        f(o)


@generator
def three_names():
    x = y = z = payload()
    yield
    f(x, y, z)


@generator
def knowing_itself():
    x = payload()
    me = ITSELF[0]
    ITSELF.clear()
    yield
    f(me, x)


@coroutine
async def awaiting_in_a_call(future):
    x = payload()
    f(x, await future)


@coroutine
async def awaiting_after_three(future):
    x = payload()
    f(x, x, x, await future)


@coroutine
async def awaiting_by_keyword(future):
    x = payload()
    f(1, k=x, j=await future)


@coroutine
async def awaiting_in_a_list(future):
    x = payload()
    return [x, x, await future]


@coroutine
async def awaiting_in_a_dict(future):
    x = payload()
    return {"a": x, "b": await future}


@coroutine
async def awaiting_in_a_text(future):
    x = "a" * (1 << 20)
    return f"{x}{await future}"


@coroutine
async def awaiting_in_a_comparison(future):
    x = payload()
    return x < await future


@coroutine
async def awaiting_an_item(future):
    d = {1: payload()}
    d[2] = await future


@coroutine
async def awaiting_a_key(future):
    d = {1: payload()}
    d[await future] = d


@coroutine
async def awaiting_to_add(future):
    o = Thing()
    o.p += await future


@coroutine
async def awaiting_in_a_method_call(future):
    o = Thing()
    o.method(o.p, await future)


@coroutine
async def awaiting_a_method_of_a_temporary(future):
    await Thing().method(payload(), await future)


@coroutine
async def awaiting_in_a_loop(future):
    xs = [payload(), payload()]
    for _ in xs:
        await future


@coroutine
async def awaiting_in_a_loop_over_a_temporary(future):
    for _ in [payload(), payload()]:
        await future


@coroutine
async def awaiting_in_a_loop_over_a_tuple(future):
    xs = (payload(), payload())
    for _ in xs:
        await future


@coroutine
async def awaiting_in_a_loop_over_an_attribute(future):
    o = Thing()
    for _ in o.many:
        await future


@coroutine
async def awaiting_in_a_loop_over_items(future):
    d = {i: payload() for i in range(3)}
    for _, _v in d.items():
        await future


@coroutine
async def awaiting_in_a_loop_over_a_generator(future):
    for _ in (payload() for _ in range(2)):
        await future


@coroutine
async def awaiting_in_a_loop_over_numbers(future):
    x = payload()
    for _ in range(10**6, 10**7):
        await future
    f(x)


@coroutine
async def awaiting_in_two_loops(future):
    xs = [[payload()], [payload()]]
    for a in xs:
        for _ in a:
            await future


@coroutine
async def awaiting_in_a_comprehension(future):
    xs = [payload(), payload()]
    return [(x, await future) for x in xs]


@coroutine
async def in_an_asynchronous_generator(future):
    async def inner():
        z = payload()
        f(z, (yield 1))
        await future
        yield z

    async for _ in inner():
        pass


@coroutine
async def awaiting_in_a_context(future):
    with Thing() as o:
        await future
        f(o)


@coroutine
async def awaiting_in_an_asynchronous_context(future):
    async with Thing():
        await future


@coroutine
async def unpacked(future):
    x = [payload(), payload()]
    if len(x) == 2:
        a, b = x
        await future
        f(a, b)


@coroutine
async def before_finally(future):
    x = payload()
    try:
        await future
    finally:
        f(x)


@coroutine
async def with_a_star(future):
    x = [payload()]
    f(*x, await future)


@coroutine
async def assigned_in_a_call(future):
    f((x := payload()), await future, x)


@coroutine
async def with_a_cell(future):
    x = payload()

    def h():
        return x

    f(x, await future, h)


@coroutine
async def overwritten(future):
    x = payload()
    f(x, [x := None], await future)


@coroutine
async def awaiting_and_elsewhere(future):
    x = payload()
    ELSEWHERE.append(x)
    f(x, x, await future)


async def measured(scanner, function, is_generator):
    future = asyncio.get_running_loop().create_future()
    if is_generator:
        root = function()
        ITSELF.append(root)
        next(root)
        ITSELF.clear()
    else:
        root = asyncio.get_running_loop().create_task(function(future))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    gc.collect()
    scanner.begin_slice()
    sizes = [scanner.scan(root, time.perf_counter() + FAR).bytes for _ in range(2)]
    scanner.begin_slice()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    if is_generator:
        if function is not knowing_itself:
            root.close()
    else:
        root.cancel()
        await asyncio.gather(root, return_exceptions=True)
    del root, future
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    freed = before - tracemalloc.get_traced_memory()[0]
    ELSEWHERE.clear()
    return [*sizes, freed]


async def main():
    scanner = Scanner(time.perf_counter)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    tracemalloc.start(1)
    await measured(scanner, statement, True)
    await measured(scanner, awaiting_in_a_call, False)
    told = {}
    for name, function in GENERATORS.items():
        told[name] = await measured(scanner, function, True)
    for name, function in COROUTINES.items():
        told[name] = await measured(scanner, function, False)
    print(json.dumps(told))


asyncio.run(main())
