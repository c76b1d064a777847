"""What is known of the types of a process, all keyed by `id(type)`: sizes, edges, containers, what is not walked."""

from _weakref import ref
from gc import get_referents

from pyobserver.agent.attributes import HEAP_TYPE, IMMUTABLE, Module, flags_of, namespace_of
from pyobserver.agent.greenlet_types import HAS_FRAMES, own_variables
from pyobserver.agent.retention.containers import Containers
from pyobserver.agent.retention.edges import Edges
from pyobserver.agent.retention.sizes import Sizes, bases_of
from pyobserver.agent.runs import Frame

# Never followed in search of cycles: everybody's, and from there the way leads everywhere.
EVERYBODYS = frozenset([id(tp) for tp in (type, Module, type(None), bool, type(...), type(len))])
TIMERS = (("asyncio.events", "TimerHandle"), ("uvloop", "TimerHandle"), ("uvloop.loop", "TimerHandle"))


class NamedTypes:
    """A few types by their ids, none of them kept alive: those of classes that are gone are dropped with each slice."""

    def __init__(self):
        self.ids = set()
        self._static = set()
        self.classes = {}  # id -> weak reference to a class

    def add(self, tp):
        """Add a type."""
        if flags_of(tp) & HEAP_TYPE:
            self.classes[id(tp)] = ref(tp)
        else:
            self._static.add(id(tp))
        self.ids.add(id(tp))

    def begin_slice(self):
        """Drop what is gone, and what was put into `ids` for the last slice."""
        gone = [key for key, weak in self.classes.items() if weak() is None]
        for key in gone:
            del self.classes[key]
        if gone or len(self.ids) > len(self._static) + len(self.classes):
            self.ids.clear()
            self.ids.update(self._static, self.classes)


class Kinds:
    """Everything known of types. `barrier`: not walked through, each instance is a row of its own; subclasses are
    recognised. `lenient`: the loop holds one more reference to each instance, and lets go of it with the task."""

    def __init__(self):
        self.sizes = Sizes()
        self.edges = Edges()
        self.containers = Containers()
        self.barriers = NamedTypes()
        self.timers = NamedTypes()
        self.barrier = self.barriers.ids
        self.lenient = self.timers.ids
        self._lasting = {}  # id -> weak reference to a class in C, of which all stays true that was learned

    def add_barrier(self, tp):
        """Add a type to `barriers`; what was learned of its subclasses is not true any more."""
        self.barriers.add(tp)
        self._forget(list(self._lasting))

    def begin_slice(self):
        """Forget all classes: their ids may mean others by now. Those in C are known again as long as they live."""
        self._forget([key for key, weak in self._lasting.items() if weak() is None])
        for one in (self.sizes, self.edges, self.containers, self.barriers, self.timers):
            one.begin_slice()

    def learn_libraries(self, modules):
        """Look for what the target has loaded in its `sys.modules`: asyncio, uvloop, numpy."""
        for module, name in TIMERS:
            if module in modules:
                try:
                    found = (namespace_of(module) or {}).get(name)
                except TypeError:
                    continue
                if type(found) is type:
                    self.timers.add(found)
        array = self.edges.learn_libraries(modules)
        if array is not None:
            self.containers.learn_arrays(array)
            self.sizes.learn(array, 0)
            self.sizes.leaf.discard(id(array))

    def look_into_frames(self, frames):
        """Look into these frames until `edges.frames` is set to others; they are of one suspended greenlet."""
        if not HAS_FRAMES:
            self.edges.special[id(Frame)] = self.edges.add_variables
            self.sizes.leaf.discard(id(Frame))
            self.edges.frames = own_variables(frames)

    def learn(self, o):
        """Learn the type of an object that was not met in this slice."""
        tp = type(o)
        bases = set(map(id, bases_of(tp)))
        self.containers.learn(tp, bases)
        self.edges.learn(tp, bases)
        if id(tp) in self.containers.lengths:  # of its elements there may be a million, and they do not matter
            self.sizes.learn(tp, 0, True)
        else:
            self.sizes.learn(tp, len(get_referents(o)))
        if not bases.isdisjoint(self.barrier):
            self.barrier.add(id(tp))
        if id(tp) in self.edges.special:
            self.sizes.leaf.discard(id(tp))
        self._keep(tp, bases)

    def _keep(self, tp, bases):
        """Let what was learned of a class outlast the slice: nobody can change one in C (since 3.10), and its size does
        not depend on what its instances have been given.

        What comes from a barrier is recognised anew in each slice.
        """
        key = id(tp)
        if not flags_of(tp) & IMMUTABLE or key not in self.sizes.plain or key not in self.sizes.heap_types:
            return
        if bases.isdisjoint(self.barrier) or key in self.barriers.classes:
            self._lasting[key] = ref(tp)
            for one in (self.sizes, self.edges, self.containers):
                one.heap_types.discard(key)

    def _forget(self, keys):
        for key in keys:
            del self._lasting[key]
            for one in (self.sizes, self.edges, self.containers):
                one.heap_types.add(key)

    def size_of(self, o):
        """Return the bytes of one object."""
        if id(type(o)) not in self.sizes.known:
            self.learn(o)
        return self.sizes.of(o)
