"""What the interpreter tells about itself, and what the agent costs it."""

import gc
import posix
import sys
from _weakref import ref
from gc import get_referents

from pyobserver.agent import files
from pyobserver.agent.attributes import class_module
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
        return int(files.read("/proc/self/statm", 200).split()[1]) * posix.sysconf("SC_PAGE_SIZE")
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
        """Count the code, in slices; a round of a job. Held meanwhile is nothing but the agent's own."""
        total = 0
        found = [module.__dict__ for module in self._modules.values()]
        seen = {id(vars(sys.modules["builtins"]))}  # to which all functions refer
        while found:
            one = found.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            size, parts = _size_and_parts(one)
            total += size
            found += parts
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


def _size_and_parts(one):
    """Return (bytes of something that a module has, what it is made of in turn): nothing for what is not the agent's.

    Of a code object the collector is shown nothing. The names of its variables can only be had in a new tuple.
    """
    kind = type(one)
    if kind is type(_rounded.__code__):
        variables = 8 * (one.co_nlocals + len(one.co_cellvars))
        parts = [getattr(one, name, b"") for name in _CODE_PARTS]
        return _rounded(sys.getsizeof(one) + variables), parts
    if kind is type:
        if not class_module(one).startswith(_PACKAGE):
            return 0, ()
    elif kind not in _KINDS:
        return 0, ()
    return _rounded(sys.getsizeof(one)), get_referents(one)


def _rounded(size):
    return -(-size // _GRAIN) * _GRAIN


_LINES = "co_linetable" if sys.version_info >= (3, 10) else "co_lnotab"
_CODE_PARTS = ("co_consts", "co_names", _LINES, "co_exceptiontable", "co_name", "co_qualname")
if sys.version_info < (3, 11):  # later the code is part of the object, and the names are in one tuple
    _CODE_PARTS += ("co_code", "co_varnames", "co_cellvars", "co_freevars")
_KINDS = (dict, tuple, list, str, bytes, frozenset, property, staticmethod, classmethod, type(_rounded))
_PACKAGE = "pyobserver."
