"""A C heap that is filled and riddled on request, and tells what glibc itself says of it.

`report` is mallinfo2: only this target calls it, as the truth to compare with.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from typing import Any

from conversation import serve_blocking

libc = ctypes.CDLL(None)
FIELDS = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


kept: list[Any] = []
seed = [12345]


def _random(low: int, high: int) -> int:
    """A number of a fixed sequence: `random` would make the heap depend on the version."""
    seed[0] = (seed[0] * 1103515245 + 12345) & 0x7FFFFFFF
    return low + seed[0] % (high - low)


def _made(count: int, low: int, high: int) -> list[Any]:
    return [b"x" * _random(low, high) for _ in range(count)]


def fill(count: str, low: str, high: str) -> dict[str, Any]:
    """Makes blocks of the sizes between."""
    kept.append(_made(int(count), int(low), int(high)))
    return {}


def riddle() -> dict[str, Any]:
    """Frees every second block of what was made."""
    for blocks in kept:
        if isinstance(blocks, list):
            blocks[::2] = [None] * len(blocks[::2])
    return {}


def threads(count: str, blocks: str, size: str) -> dict[str, Any]:
    """Waiting threads, each with blocks of its own, every second one of them freed."""
    stop = threading.Event()
    ready = threading.Semaphore(0)

    def hold() -> None:
        mine = [bytearray(b"x") * int(size) for _ in range(int(blocks))]
        mine[::2] = [bytearray()] * len(mine[::2])
        ready.release()
        stop.wait()
        del mine

    for _ in range(int(count)):
        threading.Thread(target=hold, daemon=True).start()
    for _ in range(int(count)):
        ready.acquire()
    kept.append(stop)
    return {}


def churn() -> dict[str, Any]:
    """Allocates and frees at full speed from now on."""

    def run() -> None:
        mine: list[Any] = [b""] * 5000
        while True:
            for place in range(0, 5000, 3):
                mine[place] = b"y" * _random(600, 3000)

    threading.Thread(target=run, daemon=True).start()
    return {}


def pump() -> dict[str, Any]:
    """Fills the heap and empties it to its end, again and again, from now on: brk goes up and down."""

    def run() -> None:
        while True:
            mine = [b"p" * 3000 for _ in range(3000)]
            del mine

    threading.Thread(target=run, daemon=True).start()
    for _ in range(2):
        mine = [b"q" * 3000 for _ in range(3000)]
        del mine
    return {}


def arrays(count: str, size: str) -> dict[str, Any]:
    """Arrays of numpy, written to."""
    import numpy

    kept.append(tuple(numpy.ones(int(size), dtype=numpy.uint8) for _ in range(int(count))))
    return {"bytes": int(count) * int(size), "numpy": numpy.__version__}


def tear(size: str) -> dict[str, Any]:
    """Asks for huge pages in the middle of brk, as numpy does for large arrays that malloc has put there."""
    libc.mallopt(-3, 64 << 20)  # M_MMAP_THRESHOLD: as it becomes by itself when large arrays are freed
    block = ctypes.create_string_buffer(int(size))
    kept.append(block)
    low = -(-ctypes.addressof(block) // 4096) * 4096
    libc.madvise(ctypes.c_void_p(low), ctypes.c_size_t(int(size) // 2 // 4096 * 4096), 14)  # MADV_HUGEPAGE
    with open("/proc/self/maps") as file:
        return {"mappings": sum(line.endswith("[heap]\n") for line in file)}


def work(seconds: str) -> dict[str, Any]:
    """Allocates and frees without a pause; how many steps, and in milliseconds how long each took at most."""
    clock = time.perf_counter
    mine: list[Any] = [b""] * 1000
    begun = last = clock()
    took = []
    while last < begun + float(seconds):
        for place in range(20):
            mine[(len(took) * 7 + place) % 1000] = b"z" * (600 + 10 * place)
        now = clock()
        took.append(now - last)
        last = now
    took.sort()
    return {"steps": len(took), "p999_ms": 1000 * took[int(len(took) * 0.999)], "max_ms": 1000 * took[-1]}


def asked(times: str) -> dict[str, Any]:
    """How many milliseconds mallinfo2 takes here, for the comparison with reading from outside."""
    begun = time.perf_counter()
    for _ in range(int(times)):
        report()
    return {"ms": 1000 * (time.perf_counter() - begun) / int(times)}


def free() -> dict[str, Any]:
    """Lets go of all that was made."""
    kept.clear()
    return {}


def report() -> dict[str, Any]:
    """What glibc says: all of mallinfo2, or nothing where there is none (before 2.33)."""
    if not hasattr(libc, "mallinfo2"):
        return {}
    libc.mallinfo2.restype = Mallinfo
    told = libc.mallinfo2()
    return {name: getattr(told, name) for name in FIELDS}


if __name__ == "__main__":
    for module in sys.argv[1:]:
        __import__(module)
    serve_blocking(
        {
            "fill": fill,
            "riddle": riddle,
            "threads": threads,
            "churn": churn,
            "pump": pump,
            "arrays": arrays,
            "tear": tear,
            "work": work,
            "asked": asked,
            "free": free,
            "report": report,
        }
    )
