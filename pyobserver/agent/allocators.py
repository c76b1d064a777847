"""Allocators of libraries that only the process itself can be asked about: Arrow's memory pool, PyTorch's on a GPU.

Asked is only a library that the program has loaded, and by functions of C alone: one that is written in Python, as in
a stand-in for the library, is not called. Functions behind `_ctypes` are not for here: each call of one is an audit
event, and hooks for these are the program's code.
"""

from pyobserver.agent import facts
from pyobserver.agent.attributes import WrapperDescriptor, class_dict, integer, mro_of, namespace_of, short_name

PERIOD = 2.0
MOST_DEVICES = 16
DUTY = 0.001  # PyTorch's allocator may be locked by a thread that waits for the GPU
_BUILTIN = type("".join)
_METHOD = type(str.join)
_PROPERTY = type(type("".join).__dict__["__self__"])
_CYTHON = "cython_function_or_method"
_NOT_IN_C = "its functions are not those of the library"


class Allocators:
    """What was found the last time: lists of `[name, detail, in use, held, peak, split, why not]`."""

    def __init__(self):
        self.found = []

    def work(self, now):
        """Ask all that are there; a round of a job."""
        found = []
        pyarrow = namespace_of("pyarrow.lib")
        if pyarrow is not None:
            found += _arrow(pyarrow)
        torch = namespace_of("torch.cuda")
        if torch is not None and torch.get("_initialized") is True:
            found += _cuda(namespace_of("torch._C") or {})
        self.found = found
        yield from ()


def _arrow(namespace):
    """Arrow's default memory pool (pyarrow/memory.pxi)."""
    make = namespace.get("default_memory_pool")
    if make is None:  # it is still being loaded
        return []
    if not _is_in_c(make):
        return [["arrow", "", None, None, None, None, _NOT_IN_C]]
    pool = make()
    methods = {}
    for kind in mro_of(type(pool)) or ():
        members = class_dict(kind)
        for name in ("bytes_allocated", "max_memory", "backend_name"):
            if name in members:
                methods.setdefault(name, members[name])
    if not (_is_in_c(methods.get("bytes_allocated")) and _is_in_c(methods.get("max_memory"))):
        return [["arrow", "", None, None, None, None, _NOT_IN_C]]
    backend = methods.get("backend_name")
    detail = facts.text(type(backend).__get__(backend, pool), 40) if type(backend) is _PROPERTY else ""
    in_use, peak = methods["bytes_allocated"](pool), methods["max_memory"](pool)
    return [["arrow", detail, _size(in_use), None, _size(peak), None, ""]]


def _cuda(namespace):
    """PyTorch's caching allocator, by device (torch/csrc/cuda/Module.cpp): what tensors have, and what it keeps.

    The split is what lies unused in segments of which something is in use: for tensors that fit into the pieces.
    """
    count, statistics = namespace.get("_cuda_getDeviceCount"), namespace.get("_cuda_memoryStats")
    if type(count) is not _BUILTIN or type(statistics) is not _BUILTIN:
        return [["cuda", "", None, None, None, None, _NOT_IN_C]]
    found = []
    for device in range(min(count(), MOST_DEVICES)):
        said = statistics(device)
        in_use, peak = (_part(said, "allocated_bytes", key) for key in ("current", "peak"))
        held = _part(said, "reserved_bytes", "current")
        split = _part(said, "inactive_split_bytes", "current")
        if in_use or held:
            found.append(["cuda", str(device), in_use, held, peak, split, ""])
    return found


def _part(said, *keys):
    """A number of nested dicts, None where there is none."""
    for key in (keys[0], "all", keys[1]):
        said = dict.get(said, key) if type(said) is dict else None
    return _size(said)


def _size(value):
    return value if integer(value, -1) >= 0 else None


def _is_in_c(function):
    """Whether to call it runs no Python: it is a builtin, a method of a C type, or a function that Cython has made."""
    kind = type(function)
    if kind is _BUILTIN or kind is _METHOD:
        return True
    return short_name(kind) == _CYTHON and type(class_dict(kind).get("__call__")) is WrapperDescriptor
