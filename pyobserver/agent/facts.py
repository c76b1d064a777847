"""What the interpreter tells about itself, and what the agent costs it."""

import gc
import posix
import sys
from _weakref import ref

from pyobserver.agent.row import KEPT_IN_LISTS

_GRAIN = 16  # bytes: objects take a multiple of it (Objects/obmalloc.c)
_NODE_BYTES = 350  # with its label and its share of a dict


def text(value, limit=300):
    """Return an exact str cut to `limit`, and "" for everything else."""
    return value[:limit] if type(value) is str else ""


def command():
    """The arguments of the interpreter as far as it still knows them."""
    found = getattr(sys, "orig_argv", None) or getattr(sys, "argv", None)
    if type(found) is not list:
        return []
    return [text(word) for word in found[:50]]


def is_free_threaded():
    """Whether this interpreter runs without its lock, which is what counting references rests on."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is not None and not enabled()


def collector():
    """The counters of the garbage collector by generation."""
    stats = gc.get_stats()
    return {
        "counts": list(gc.get_count()),
        "collections": [s["collections"] for s in stats],
        "collected": sum([s["collected"] for s in stats]),
        "uncollectable": sum([s["uncollectable"] for s in stats]),
        "seconds": [s["duration"] for s in stats] if "duration" in stats[0] else None,  # 3.15+
        "garbage": len(gc.garbage) if type(gc.garbage) is list else None,
    }


def resident():
    """Bytes of the process that are resident, None where /proc does not tell (statm, its second number, in pages)."""
    try:
        file = posix.open("/proc/self/statm", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            return int(posix.read(file, 200).split()[1]) * posix.sysconf("SC_PAGE_SIZE")
        finally:
            posix.close(file)
    except (OSError, ValueError, IndexError):
        return None


class OwnMemory:
    """Bytes that the agent takes in the target: its code, counted once, and what it keeps."""

    def __init__(self, agent, modules):
        self._agent = agent
        self._modules = modules
        self._code = 0
        self._reference_bytes = -(-sys.getsizeof(ref(OwnMemory)) // _GRAIN) * _GRAIN

    def count(self, now):
        """Count the code, in slices; a round of a job."""
        total = 0
        for module in list(self._modules.values()):
            for value in list(module.__dict__.values()):
                total += sys.getsizeof(value) if type(value) is dict else 0
                members = list(value.__dict__.values()) if type(value) is type else (value,)
                for member in members:
                    total += _code_size(member)
                    if now.over():
                        now = yield
        self._code = total
        yield from ()

    def total(self):
        """Return the bytes as they are now."""
        table = self._agent.table
        texts = table.texts.items
        nodes = _NODE_BYTES * len(table.nodes)
        waiting = sum([observer.out_bytes for observer in self._agent.service.observers.values()])
        references = table.count - table.spared  # to what a task awaits
        references += table.count if KEPT_IN_LISTS else 0  # to the task: earlier it is asyncio's own
        rows = table.bytes + self._agent.tasks.bytes + references * self._reference_bytes
        rows += self._agent.greenlets.bytes
        return (
            self._code
            + self._agent.history.bytes
            + rows
            + nodes
            + 2 * sys.getsizeof(texts)
            + 120 * len(texts)
            + waiting
        )


def _code_size(value, depth=0):
    """Bytes of a function or method of our own, with its code and constants."""
    if type(value) in (staticmethod, classmethod):
        value = value.__func__
    elif type(value) is property:
        value = value.fget
    code = getattr(value, "__code__", None) if depth == 0 else value
    if code is None:
        return 0
    size = sys.getsizeof(code) + sys.getsizeof(code.co_consts) + sys.getsizeof(code.co_names) + 150
    for part in code.co_consts:
        if type(part) is type(code) and depth < 5:
            size += _code_size(part, depth + 1)
        elif type(part) in (str, bytes, tuple):
            size += sys.getsizeof(part)
    return size
