"""Greenlets which share what nobody else has, and which know what a global holds; and threads which do.

    sharing_greenlets.py [--number N]

`kill` ends all greenlets, `release` all threads; both say what that `freed`, in bytes, by tracemalloc.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import time
import tracemalloc
from typing import Any

from conversation import serve_blocking
from greenlet import getcurrent, greenlet

CONFIG = {"rules": [bytearray(1000) for _ in range(300)]}
main = getcurrent()
members: list[Any] = []
threads: list[threading.Thread] = []
leave = threading.Event()
here = threading.Barrier(5)


def member() -> None:
    own, mine, rules = bytearray(10_000), common, CONFIG
    park()
    del own, mine, rules


def park() -> None:
    main.switch()


def worker() -> None:
    own, mine, rules = bytearray(10_000), common, CONFIG
    here.wait()
    leave.wait()
    del own, mine, rules


def quiet() -> None:
    """Until the agent is gone."""
    deadline = time.monotonic() + 20
    while len(sys._current_frames()) > 1 + len(threads) and time.monotonic() < deadline:
        time.sleep(0.01)
    gc.collect()


def kill() -> dict[str, Any]:
    quiet()
    before = tracemalloc.get_traced_memory()[0]
    while members:
        members.pop().throw()
    gc.collect()
    return {"freed": before - tracemalloc.get_traced_memory()[0]}


def release() -> dict[str, Any]:
    quiet()
    before = tracemalloc.get_traced_memory()[0]
    leave.set()
    while threads:
        threads.pop().join()
    gc.collect()
    return {"freed": before - tracemalloc.get_traced_memory()[0]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=50)
    options = parser.parse_args()
    tracemalloc.start(1)
    common: Any = [bytearray(10_000) for _ in range(30)]
    for _ in range(options.number):
        members.append(greenlet(member))
        members[-1].switch()
    common = [bytearray(10_000) for _ in range(30)]
    for _ in range(4):
        threads.append(threading.Thread(target=worker))
        threads[-1].start()
    here.wait()
    del common
    serve_blocking({"kill": kill, "release": release})
    leave.set()
