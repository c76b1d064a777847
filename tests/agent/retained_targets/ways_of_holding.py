"""Ways in which a task holds something: in its awaits, generators, contexts, callbacks, and together with others."""

import asyncio
import concurrent.futures
import contextvars
import functools
import socket
import threading

from things import body, times

WAYS = {}
VARIABLE = contextvars.ContextVar("VARIABLE")


class Way:
    """`begun` says whether the task is where it is to be measured; `end` is done with its end, before what was freed is
    looked at, `after` is done after that."""

    def __init__(self, function, tolerance, missed, begun, end, after):
        self.function = function
        self.tolerance = tolerance
        self.missed = missed
        self.begun = begun
        self.end = end
        self.after = after


def way(function=None, frames=1, flat=0, share=0.01, why="", missed="", begun=None, end=None, after=None):
    """Note a way: a coroutine function of a number of bytes. Up to 3.10 each of its `frames` is kept by its code."""
    if function is None:
        keywords = {"frames": frames, "flat": flat, "share": share, "why": why, "missed": missed}
        return functools.partial(way, begun=begun, end=end, after=after, **keywords)
    tolerance = (flat or 500 + 700 * frames, share, why or "frames which the code objects keep, up to 3.10")
    WAYS[function.__name__] = Way(function, tolerance, missed, begun, end, after)
    return function


def payload(size):
    return [body() for _ in times(size, 241)]


async def hang():
    await asyncio.get_running_loop().create_future()


@way(frames=4)
async def nested_awaits(size):
    async def deep(left):
        held = payload(size // 3)
        await (deep(left - 1) if left else hang())
        return held

    await deep(2)


@way(frames=2)
async def asynchronous_generator_in_use(size):
    async def generator():
        held = payload(size)
        yield 1
        await hang()
        yield held

    async for _ in generator():
        pass


@way(frames=2, flat=8000, why="its closing is still scheduled when memory is looked at")
async def asynchronous_generator_idle(size):
    async def generator():
        held = payload(size)
        yield 1
        yield held

    it = generator()
    await it.__anext__()
    await hang()


@way(frames=2)
async def generator_in_use(size):
    def generator():
        for one in payload(size):
            yield len(one)

    for _ in generator():
        await hang()


@way(frames=2)
async def value_on_the_stack(size):
    return len([payload(size), await hang()])


@way(frames=2)
async def inside_an_except(size):
    try:
        raise KeyError(payload(size))
    except KeyError:
        await hang()


@way(frames=2)
async def own_context(size):
    VARIABLE.set(payload(size))
    await hang()


@way(frames=1)
async def context_while_sleeping(size):
    VARIABLE.set(payload(size))
    await asyncio.sleep(1000)


class Callback:
    def __init__(self, size):
        self.payload = payload(size)
        self.future = asyncio.get_running_loop().create_future()
        self.future.add_done_callback(self.done)

    def done(self, future):
        pass


@way(frames=1)
async def callback_of_what_it_awaits(size):
    callback = Callback(size)
    await callback.future


@way(frames=2, flat=4000, why="the timer and the limit")
async def waiting_with_a_limit(size):
    held = payload(size)
    await asyncio.wait_for(hang(), 1000)
    return held


@way(frames=2)
async def result_of_another_task(size):
    async def child():
        return payload(size)

    held = await asyncio.get_running_loop().create_task(child())
    await hang()
    return held


@way(frames=2, missed="a task that has ended and is held is a row of its own")
async def ended_task_with_its_result(size):
    async def child():
        return payload(size)

    task = asyncio.get_running_loop().create_task(child())
    await task
    await hang()
    return task


PARTNERS = []


async def _let_go():
    for partner in PARTNERS:
        partner.cancel()
    await asyncio.gather(*PARTNERS, return_exceptions=True)
    PARTNERS.clear()


@way(frames=2, after=_let_go)
async def shared_by_two_tasks(size):
    async def partner(held):
        await hang()
        return held

    held = payload(size)
    PARTNERS.append(asyncio.get_running_loop().create_task(partner(held)))
    await hang()
    return held


@way(frames=2)
async def waiting_for_a_lock(size):
    lock = asyncio.Lock()
    await lock.acquire()
    held = payload(size)
    await lock.acquire()
    return held


CONNECTION = []


async def _disconnect():
    for one in CONNECTION:
        one.close()
    CONNECTION.clear()


@way(frames=3, flat=6000, why="the connection's parts", after=_disconnect)
async def reading_from_a_connection(size):
    """The transport has the reader's buffer too, and the loop has the transport."""
    ours, theirs = socket.socketpair()
    CONNECTION.append(theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    CONNECTION.append(writer)
    reader.feed_data(bytes(size))
    await hang()


BEGUN, GO_ON = threading.Event(), threading.Event()
EXECUTOR = concurrent.futures.ThreadPoolExecutor(1)


async def _let_the_job_end():
    GO_ON.set()
    done = EXECUTOR.submit(BEGUN.clear)
    await asyncio.wrap_future(done)
    GO_ON.clear()


@way(frames=2, missed="the executor's thread holds it too, and would go on", begun=BEGUN.is_set, end=_let_the_job_end)
async def argument_of_a_job(size):
    def job(held):
        BEGUN.set()
        GO_ON.wait(30)

    await asyncio.get_running_loop().run_in_executor(EXECUTOR, job, payload(size))


@way(frames=2, missed="a class refers to itself in ways that lead everywhere, so classes are not followed")
async def class_of_its_own(size):
    class Local:
        big = payload(size)

        def method(self):
            return Local

    await hang()
