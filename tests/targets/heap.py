"""A heap that is filled on request, and tells what the interpreter itself says of it.

`report` is the interpreter's own count of bytes in small objects; what the other commands hold is in their answers.
`churn SECONDS` allocates and frees at full speed in a thread, so that arenas come and go.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import sys
import tempfile
import threading
import time
from typing import Any

from conversation import serve_blocking

HUGE_PAGE = 2 << 20
MADV_HUGEPAGE = 14

kept: list[Any] = []


def objects(count: str) -> dict[str, Any]:
    """Makes small objects and frees every third of them, so that pools are partly used."""
    made = [{"id": i, "name": "user-%d" % i, "point": (i, i + 1.5)} for i in range(int(count))]
    del made[::3]
    kept.append(made)
    return {"kept": len(made)}


def fill(size: str, count: str) -> dict[str, Any]:
    """Makes `count` small objects of exactly `size` bytes each, as pymalloc counts them."""
    empty = sys.getsizeof(b"")
    kept.append([bytes([i & 255]) * (int(size) - empty) for i in range(int(count))])
    return {"kept": int(count)}


def blocks(count: str, size: str) -> dict[str, Any]:
    """Makes large blocks, each written to."""
    kept.append([bytearray(b"x") * int(size) for _ in range(int(count))])
    return {"bytes": int(count) * int(size)}


def huge(count: str, size: str) -> dict[str, Any]:
    """Large blocks as numpy makes them: huge pages are asked for from the first whole page of the block on."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for _ in range(int(count)):
        block = bytearray(int(size))
        address = ctypes.addressof(ctypes.c_char.from_buffer(block))
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        madvise(first, address + len(block) - first, MADV_HUGEPAGE)
        block[:: mmap.PAGESIZE] = b"x" * len(range(0, len(block), mmap.PAGESIZE))
        kept.append(block)
    return {"bytes": int(count) * int(size)}


def private(size: str) -> dict[str, Any]:
    """Anonymous memory that is no allocator's."""
    area = mmap.mmap(-1, int(size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.write(b"x" * int(size))
    kept.append(area)
    return {"bytes": int(size)}


def shared(size: str) -> dict[str, Any]:
    """Anonymous memory shared with children to come."""
    area = mmap.mmap(-1, int(size))
    area.write(b"x" * int(size))
    kept.append(area)
    return {"bytes": int(size)}


def mapped(size: str) -> dict[str, Any]:
    """A file, mapped and looked at."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - kept with the mapping
    file.write(b"x" * int(size))
    file.flush()
    area = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    kept.append((file, area, sum(area[:: mmap.PAGESIZE])))
    return {"bytes": int(size)}


def threads(count: str, size: str) -> dict[str, Any]:
    """Waiting threads, each of which keeps `size` bytes of medium blocks from a heap of its own."""
    stop = threading.Event()
    started = threading.Semaphore(0)

    def hold() -> None:
        mine = [bytearray(b"x") * 5000 for _ in range(int(size) // 5000)]
        started.release()
        stop.wait()
        del mine

    for _ in range(int(count)):
        threading.Thread(target=hold, daemon=True).start()
    for _ in range(int(count)):
        started.acquire()
    kept.append(stop)
    return {"bytes": int(count) * int(size)}


def churn(seconds: str) -> dict[str, Any]:
    """Allocates and frees at full speed for some time."""

    def run() -> None:
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            made = [(i, [i], {"a": str(i)}) for i in range(20_000)]
            del made

    threading.Thread(target=run, daemon=True).start()
    return {}


def gaps(seconds: str) -> dict[str, Any]:
    """Maps and unmaps memory without a pause, and tells in milliseconds how long each step took at most."""
    clock = time.perf_counter
    begun = last = clock()
    took = []
    while last < begun + float(seconds):
        mmap.mmap(-1, 1 << 20).close()
        now = clock()
        took.append(now - last)
        last = now
    took.sort()
    return {
        "steps": len(took),
        "p50_ms": 1000 * took[len(took) // 2],
        "p999_ms": 1000 * took[int(len(took) * 0.999)],
        "max_ms": 1000 * took[-1],
    }


def free() -> dict[str, Any]:
    """Lets go of all that was made."""
    kept.clear()
    return {}


def report() -> dict[str, Any]:
    """What the interpreter says: bytes in allocated small blocks, and arenas."""
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        file.seek(0)
        text = file.read().decode()
    in_use = re.search(r"# bytes in allocated blocks\s*=\s*([\d,]+)", text)
    arenas = re.search(r"# arenas allocated current\s*=\s*([\d,]+)", text)
    assert in_use and arenas, text
    return {"in_use": int(in_use[1].replace(",", "")), "arenas": int(arenas[1].replace(",", ""))}


def become(code: str) -> None:
    """Another Python program in the same process."""
    os.execv(sys.executable, [sys.executable, "-c", code.replace("+", " ")])


def end(status: str) -> None:
    """Ends at once."""
    os._exit(int(status))


if __name__ == "__main__":
    serve_blocking(
        {
            "objects": objects,
            "fill": fill,
            "blocks": blocks,
            "huge": huge,
            "private": private,
            "shared": shared,
            "mapped": mapped,
            "threads": threads,
            "churn": churn,
            "gaps": gaps,
            "free": free,
            "report": report,
            "become": become,
            "end": end,
        }
    )
