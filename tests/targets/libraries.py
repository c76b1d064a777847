"""A program whose libraries have allocators of their own, filled on request; and stand-ins for those libraries.

`sqlite N` makes a database of N rows in memory, `arrow MB` and `riddle` fill Arrow's pool and free half of it, `report`
tells what the libraries themselves say. `torch` makes a stand-in for PyTorch whose functions are, as the real ones, in
C; `stand_in` makes one for pyarrow that is in Python, and `called` tells whether anybody has called it.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Dict, List

from conversation import serve_blocking

kept: List[Any] = []
calls = [0]


def sqlite(rows: str) -> Dict[str, Any]:
    import sqlite3

    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("create table t (a integer primary key, b text)")
    database.executemany("insert into t (b) values (?)", (("row %d " % i * 3,) for i in range(int(rows))))
    kept.append(database)
    return {}


def arrow(megabytes: str) -> Dict[str, Any]:
    import pyarrow

    kept.append([pyarrow.array(range(125_000)) for _ in range(int(megabytes))])
    return report()


def riddle() -> Dict[str, Any]:
    kept[-1][::2] = [None] * len(kept[-1][::2])
    return report()


def report() -> Dict[str, Any]:
    said: Dict[str, Any] = {}
    if "pyarrow" in sys.modules:
        pool = sys.modules["pyarrow"].default_memory_pool()
        said.update(arrow=pool.bytes_allocated(), arrow_peak=pool.max_memory(), backend=pool.backend_name)
    if "sqlite3" in sys.modules:
        import _sqlite3
        import ctypes

        library = ctypes.CDLL(_sqlite3.__file__)  # which brings the names of what it is linked with
        library.sqlite3_memory_used.restype = ctypes.c_int64
        said.update(sqlite=library.sqlite3_memory_used())
    return said


def multiply() -> Dict[str, Any]:
    """Has OpenBLAS map a buffer."""
    import numpy

    found = numpy.ones((300, 300)) @ numpy.ones((300, 300))
    return {"sum": float(found.sum())}


def arrays(count: str, size: str) -> Dict[str, Any]:
    """Arrays with data of their own, as many views of these, and arrays on memory of others."""
    import numpy

    mine = [numpy.ones(int(size), dtype=numpy.uint8) for _ in range(int(count))]
    views = [each[1:] for each in mine]
    foreign = [numpy.frombuffer(bytes(1000), dtype=numpy.uint8) for _ in range(int(count))]
    kept.append((mine, views, foreign))
    return {"bytes": sum(each.nbytes for each in mine)}


def private(size: str) -> Dict[str, Any]:
    """Memory that the program maps for itself; nobody but an object of Python points to it."""
    import mmap

    mapped = mmap.mmap(-1, int(size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapped.write(b"x" * int(size))
    kept.append(mapped)
    return {}


def blocks(count: str, size: str) -> Dict[str, Any]:
    kept.append([b"x" * int(size) for _ in range(int(count))])
    return {"bytes": int(count) * int(size)}


def torch() -> Dict[str, Any]:
    """What of PyTorch 2 is asked: nested dicts of counters, by functions in C. Of two devices one was used."""

    def of(current: int, peak: int) -> Dict[str, Any]:
        both = {"current": current, "peak": peak, "allocated": peak, "freed": peak - current}
        return {"all": both, "small_pool": dict.fromkeys(both, 0), "large_pool": both}

    used = {"allocated_bytes": of(3 << 30, 5 << 30), "reserved_bytes": of(8 << 30, 8 << 30)}
    used["inactive_split_bytes"] = of(1 << 30, 2 << 30)
    none = {"allocated_bytes": of(0, 0), "reserved_bytes": of(0, 0), "num_ooms": 0}
    for name in ("torch", "torch.cuda", "torch._C"):
        sys.modules[name] = types.ModuleType(name)
    asked = {0: used, 1: none}.__getitem__
    sys.modules["torch._C"].__dict__.update(_cuda_getDeviceCount=(2).bit_length, _cuda_memoryStats=asked)
    sys.modules["torch.cuda"].__dict__["_initialized"] = False
    return {}


def initialise() -> Dict[str, Any]:
    sys.modules["torch.cuda"].__dict__["_initialized"] = True
    return {}


def stand_in() -> Dict[str, Any]:
    def counted(*_: Any) -> Any:
        calls[0] += 1
        return 1

    for name in ("pyarrow", "pyarrow.lib", "torch", "torch.cuda", "torch._C"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["pyarrow.lib"].__dict__["default_memory_pool"] = counted
    sys.modules["torch.cuda"].__dict__["_initialized"] = True
    sys.modules["torch._C"].__dict__.update(_cuda_getDeviceCount=counted, _cuda_memoryStats=counted)
    return {}


def called() -> Dict[str, Any]:
    return {"calls": calls[0], "modules": sorted(sys.modules)}


if __name__ == "__main__":
    for module in sys.argv[1:]:
        __import__(module)
    answers = (sqlite, arrow, riddle, report, multiply, arrays, private, blocks, torch, initialise, stand_in, called)
    serve_blocking({each.__name__: each for each in answers})
