"""A program for actions on its memory: garbage with a finalizer, small blocks that were freed, a line that leaks.

    memory.py [--no-loop] [--inflate]

`garbage N` makes cycles, `finalized` tells how many are freed and in which thread; `hold MB` and `free` allocate small
blocks; `leak` begins a leak; `state` tells what an agent could have left. With `--inflate` threads allocate without the
interpreter lock.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import lzma
import os
import sys
import threading
import zlib
from typing import Any, Dict, List

from conversation import serve, serve_blocking

finalized: Dict[str, int] = {"main": 0, "elsewhere": 0}
held: List[Any] = []
leaked: List[Any] = []
inflated = [0]


class Cycle:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        finalized["main" if threading.current_thread() is threading.main_thread() else "elsewhere"] += 1


def garbage(number: str) -> Dict[str, int]:
    gc.disable()  # nobody else is to find it
    for _ in range(int(number)):
        Cycle()
    return {"made": int(number)}


def hold(megabytes: str) -> Dict[str, int]:
    held.append([bytes(700) for _ in range(int(megabytes) * 1400)])
    return {"rss": resident()}


def free(*_: str) -> Dict[str, int]:
    held.clear()
    return {"rss": resident()}


def leak(number: str = "1") -> Dict[str, int]:
    for _ in range(int(number)):
        leaked.append(bytearray(1000))  # the leak
    return {"leaked": len(leaked)}


def crowd(number: str) -> Dict[str, int]:
    leaked.append(list(map(float, range(int(number)))))  # in C: nobody else comes in between
    return {}


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def state(*_: str) -> Dict[str, Any]:
    there = sys.modules.get("_tracemalloc")
    return {
        "tracing": bool(there is not None and there.is_tracing()),
        "modules": sorted(sys.modules),
        "threads": len(os.listdir("/proc/self/task")),
        "inflated": inflated[0],
    }


def is_tracing_in_child(*_: str) -> Dict[str, Any]:
    """Whether a forked child traces."""
    import _tracemalloc

    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"1" if _tracemalloc.is_tracing() else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return {"child": said == b"1", "parent": _tracemalloc.is_tracing()}


def trace_itself(on: str) -> Dict[str, Any]:
    import tracemalloc

    tracemalloc.start(5) if on == "on" else tracemalloc.stop()
    return {}


def use_ctypes(*_: str) -> Dict[str, Any]:
    import ctypes

    return {"strlen": ctypes.CDLL(None).strlen(ctypes.c_char_p(b"four"))}


def inflate() -> None:
    """Decompress for ever: zlib and lzma allocate while they have given up the interpreter lock."""
    deflated = zlib.compress(os.urandom(2000) * 30)
    packed = lzma.compress(os.urandom(2000) * 30)
    while True:
        zlib.decompressobj().decompress(deflated)
        lzma.decompress(packed)
        inflated[0] += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-loop", action="store_true")
    parser.add_argument("--inflate", action="store_true")
    options = parser.parse_args()
    answers = {
        "garbage": garbage,
        "finalized": lambda: dict(finalized),
        "hold": hold,
        "free": free,
        "leak": leak,
        "crowd": crowd,
        "state": state,
        "fork": is_tracing_in_child,
        "trace": trace_itself,
        "ctypes": use_ctypes,
    }
    if options.inflate:
        for _ in range(3):
            threading.Thread(target=inflate, daemon=True).start()
    if options.no_loop:
        serve_blocking(answers)
    else:
        asyncio.run(serve(answers))


if __name__ == "__main__":
    main()
