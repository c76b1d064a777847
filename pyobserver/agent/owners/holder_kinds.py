"""What a walk does with what it meets, decided by its type: leave it alone, or look into it, and how."""

from _collections import deque as Deque
from _weakref import CallableProxyType, ProxyType, ReferenceType

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import (
    HAVE_GC,
    HEAP_TYPE,
    IS_CLASS,
    Code,
    Function,
    Module,
    Proxy,
    SlotDescriptor,
    class_module,
    flags_of,
    inherits,
    namespace_of,
)
from pyobserver.agent.runs import GENERATORS

LEAF = "leaf"  # there is nothing to find in it
TASK = "task"  # one of those that are looked for
SUBCLASS = "subclass"  # of a container: its items, and its attributes
# The others are the kinds of frames of the walk's stack: what it looks into, and how.
MODULE = "module"  # a module's namespace
CLASS = "class"
OBJECT = "object"  # anything, by what the garbage collector is told of it
ATTRIBUTES = "attributes"  # those of an instance that is also a container
FUNCTION = "function"  # the cells of a closure
ITEMS = "items"  # of a list, set, tuple, deque, and of subclasses
VALUES = "values"  # of a dict, and of subclasses
KEYS = "keys"
VARIABLES = "variables"  # of the functions of a suspended greenlet

CONTAINERS = (list, dict, set, frozenset, tuple, Deque)
EXACT_CONTAINERS = frozenset(map(id, CONTAINERS))
OURS = ("pyobserver.agent", "pyobserver.protocol")
PROCESSES = (  # classes whose instances stand for a process: module, name
    ("multiprocessing.process", "BaseProcess"),
    ("billiard.process", "BaseProcess"),
    ("asyncio.subprocess", "Process"),
    ("subprocess", "Popen"),
)


def _exact():
    found = {id(kind): ITEMS for kind in CONTAINERS}
    found[id(dict)] = VALUES
    found[id(Function)] = FUNCTION
    leaves = [Code, Proxy, SlotDescriptor, ReferenceType, ProxyType, CallableProxyType, memoryview]
    leaves += [property, staticmethod, classmethod, type(len), type(str.join), type(str.__eq__), type(Code.co_code)]
    for kind in leaves:
        found[id(kind)] = LEAF
    return found


class Kinds:
    """The decisions of one walk. Those on classes hold for a slice: one may go, and its address be used again."""

    def __init__(self, types, greenlets=None):
        self._types = types  # the ids of the types of tasks
        self._greenlets = greenlets  # the `Greenlets` that are looked for like tasks
        self._static = _exact()
        if greenlets is not None:  # who waits for something is kept there by its `switch`
            del self._static[id(type(len))]
        self.known = dict(self._static)
        self.met = set(GENERATORS)  # ids of types that the walk tells of
        self._processes = process_types()
        asyncio = known()
        events = namespace_of("asyncio.events") or {}
        opaque = (
            Module,
            ReferenceType,
            asyncio.c_future,
            asyncio.py_future,
            events.get("AbstractEventLoop"),
            events.get("Handle"),
        )
        self._opaque = [kind for kind in opaque if kind is not None]

    def begin_slice(self):
        """Forget what is known of classes."""
        self.known = dict(self._static)
        self.met = set(GENERATORS)
        self._processes = process_types()

    def of_type(self, kind):
        """Decide on a type that is not in `known`."""
        number = id(kind)
        flags = flags_of(kind)
        decided = TASK if number in self._types else self._decide(kind, flags)
        self.known[number] = decided
        if not flags & HEAP_TYPE:
            self._static[number] = decided
        return decided

    def _decide(self, kind, flags):
        if flags & IS_CLASS:
            return CLASS
        if self._greenlets is not None and inherits(kind, self._greenlets.base):
            return TASK
        if not flags & HAVE_GC:
            return LEAF
        for base in self._opaque:
            if inherits(kind, base):
                return LEAF
        if container_base(kind) is not None:
            return SUBCLASS
        for base in self._processes:
            if inherits(kind, base):
                self.met.add(id(kind))
        return LEAF if class_module(kind).startswith(OURS) else OBJECT


def process_types():
    """Return the classes whose instances stand for a process, those that are loaded."""
    found = [(namespace_of(module) or {}).get(name) for module, name in PROCESSES]
    return [each for each in found if each is not None]


def container_base(kind):
    """Return which built-in container a type is or inherits from, None if none."""
    for base in CONTAINERS:
        if inherits(kind, base):
            return base
    return None


def length_of(container):
    """Return how many items a container has, as the built-in type that it is based on says; None for anything else."""
    base = container_base(type(container))
    return None if base is None else base.__len__(container)
