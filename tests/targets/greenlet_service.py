"""A service on gevent or eventlet: requests that leak, a pool at work, waiters, and greenlets that end soon.

    greenlet_service.py gevent|eventlet

`leak` parks one more request, `kill` ends the first of them and says what that `freed`, in bytes, by tracemalloc,
`short N` begins N that end soon, and `alone` parks one that only the loop knows.
"""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from typing import Any

from conversation import answer, ready, say

SIZE = 1_000_000
LIBRARY = sys.argv[1]

if LIBRARY == "gevent":
    import gevent
    from gevent.event import Event
    from gevent.pool import Pool
    from gevent.queue import Queue
    from gevent.socket import wait_read

    spawn, sleep = gevent.spawn, gevent.sleep
else:
    import warnings

    warnings.simplefilter("ignore")
    import eventlet
    from eventlet.event import Event
    from eventlet.greenpool import GreenPool as Pool
    from eventlet.hubs import trampoline
    from eventlet.queue import Queue

    spawn, sleep = eventlet.spawn, eventlet.sleep

    def wait_read(handle: int) -> None:
        trampoline(handle, read=True)


class Service:
    requests: list[Any] = []


def request(number: int) -> None:
    payload = bytearray(SIZE)
    answered(number)
    del payload


def answered(number: int) -> None:
    sleep(100000)


def worker(queue: Any) -> None:
    while True:
        queue.get()


def short() -> None:
    sleep(0.5)


def lonely() -> None:
    sleep(100000)


def waiter(event: Any) -> None:
    event.wait()


def leak() -> dict[str, Any]:
    Service.requests.append(spawn(request, len(Service.requests)))
    sleep(0.01)
    return {}


def kill() -> dict[str, Any]:
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    first = Service.requests.pop(0)
    first.kill()
    del first
    sleep(0.01)
    gc.collect()
    return {"freed": before - tracemalloc.get_traced_memory()[0]}


def many_short(number: str) -> dict[str, Any]:
    for _ in range(int(number)):
        spawn(short)
    sleep(0.01)
    return {}


def alone() -> dict[str, Any]:
    spawn(lonely)
    sleep(0.01)
    return {}


def main() -> None:
    pool, queue = Pool(3), Queue()
    for _ in range(3):
        pool.spawn(worker, queue)
    event = Event()
    for _ in range(2):
        spawn(waiter, event)
    for _ in range(4):
        leak()
    answers = {"leak": leak, "kill": kill, "short": many_short, "alone": alone}
    ready()
    rest = bytearray()
    while True:
        wait_read(0)
        block = os.read(0, 65536)
        if not block:
            return
        rest.extend(block)
        while b"\n" in rest:
            line, _, after = bytes(rest).partition(b"\n")
            rest[:] = after
            say(answer(answers, line.decode()))


if __name__ == "__main__":
    tracemalloc.start()
    main()
    os._exit(0)  # who is parked is not to be woken
