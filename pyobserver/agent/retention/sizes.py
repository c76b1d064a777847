"""How large one object is, learned by type and without running any code of its class.

`sys.getsizeof` asks the type's `__sizeof__`. Where the first one in the order of bases is written in C, it runs no code
of the user's and is right, except that it leaves out the values which CPython stores inside instances since 3.11. Where
it is a Python function, the first one in C is called by hand. Everything is keyed by `id(type)`: hashing or comparing
a type would run the hooks of its metaclass.

The formulas were checked against tracemalloc on 3.8 to 3.15 (Objects/dictobject.c and Objects/typeobject.c).
"""

import io
import sys
from gc import get_referents
from sys import getsizeof

from pyobserver.agent.attributes import HAVE_GC, HEAP_TYPE, class_dict, flags_of, mro_of

# What a `__sizeof__` written in C is an instance of.
IN_C = (type(list.__sizeof__), type(object.__sizeof__), type(object.__init__))

# Types whose instances hold their attributes' values without a dict: MANAGED_DICT, and INLINE_VALUES from 3.13 on.
INLINE = 1 << 2 if sys.version_info >= (3, 13) else 1 << 4 if sys.version_info >= (3, 11) else 0
# Types with two words in front of their instances: MANAGED_DICT, and MANAGED_WEAKREF from 3.12 on.
WORDS_IN_FRONT = 3 << 3 if sys.version_info >= (3, 12) else 1 << 4 if sys.version_info >= (3, 11) else 0
GC_HEAD = getsizeof([]) - [].__sizeof__()

# From 3.12 on, a BytesIO shows its buffer as a referent, and counts it in its size as well.
BYTESIO_COUNTS_TWICE = get_referents(io.BytesIO(b"x"))[-1:] == [b"x"]

basicsize_of = type.__dict__["__basicsize__"].__get__
itemsize_of = type.__dict__["__itemsize__"].__get__

SINGLE = (list, dict, set, frozenset, tuple, str, bytes, bytearray, int, float, complex)


def inline_bytes(referents):
    """Return the bytes of the values inside an instance with so many referents: its attributes and its type.

    CPython keeps one spare slot once a class has settled, after about 30 instances; 3.13 and later add a word.
    """
    head = 8 if INLINE == 1 << 2 else 2
    return 8 * referents + (head + referents + 7) // 8 * 8


def unsaid_bytes(tp, bases):
    """Return what an instance of a class takes and does not say: `bases` are its bases, `tp` first.

    Where the size depends on the contents, there is room for one item more (PyType_GenericAlloc). int and str tell the
    size that an instance of their own would have.
    """
    for base in bases:
        if base is int or base is str:
            return basicsize_of(tp) - basicsize_of(base) + itemsize_of(tp)
        if base is tuple or base is bytes:
            return itemsize_of(tp)
    return 0


def is_built_in(bases):
    """Return whether a class comes from something in C, which makes no room for values inside on 3.11 and 3.12."""
    return any(base is not object and not flags_of(base) & HEAP_TYPE for base in bases)


def bases_of(tp):
    """Return the bases of a type, itself first; static types never made ready have none before 3.10."""
    return mro_of(tp) or (tp, object)


def sizeof_in_c(tp):
    """Return (whether `getsizeof` runs C code only, the first `__sizeof__` written in C among the bases of `tp`)."""
    first = True
    for base in bases_of(tp):
        found = class_dict(base).get("__sizeof__")
        if found is not None:
            if type(found) in IN_C:
                return first, found
            first = False
    return False, object.__sizeof__


class Sizes:
    """The types seen so far, by how their instances are measured. Each set and dict is keyed by `id(type)`.

    `plain`: `getsizeof` says all. `leaf`: plain, and the instances refer to nothing. `inline`: `getsizeof` plus the
    stored number, which belongs to the largest number of referents seen so far, in `most`. `unusual`: a function in C
    and what to add to its answer.

    Ids of classes are used again when the classes are gone, and holding classes alive is not ours to do: what was
    learned about them holds for one slice. Only static types are remembered.
    """

    def __init__(self):
        self.plain = set()
        self.leaf = set()
        self.inline = {}
        self.most = {}
        self.unusual = {}
        self.known = set()  # all that were learned
        self.heap_types = set()  # of these, those learned in this slice
        for tp in SINGLE:
            self.learn(tp, 0)

    def begin_slice(self):
        """Forget all classes: their ids may mean others by now."""
        if not self.heap_types:
            return
        self.known -= self.heap_types
        self.plain -= self.heap_types
        self.leaf -= self.heap_types
        for key in self.heap_types:
            self.inline.pop(key, None)
            self.most.pop(key, None)
            self.unusual.pop(key, None)
        self.heap_types.clear()

    def learn(self, tp, referents, is_container=False):
        """Note how instances of `tp` are measured; one of them has so many `referents`, its elements included."""
        key = id(tp)
        flags = flags_of(tp)
        bases = bases_of(tp)
        in_c, function = sizeof_in_c(tp)
        counts_twice = BYTESIO_COUNTS_TWICE and tp is io.BytesIO
        self.known.add(key)
        unsaid = 0
        if flags & HEAP_TYPE:
            self.heap_types.add(key)
            unsaid = unsaid_bytes(tp, bases)
        extra = 0
        if flags & INLINE and not (INLINE == 1 << 4 and is_built_in(bases)):
            extra = inline_bytes(1 if is_container else referents)
        if not in_c or counts_twice:
            extra += GC_HEAD if flags & HAVE_GC else 0
            extra += 16 if flags & WORDS_IN_FRONT else 0
            self.unusual[key] = (object.__sizeof__ if counts_twice else function, extra + unsaid)
        elif unsaid or (extra and is_container):
            self.unusual[key] = (getsizeof, extra + unsaid)
        elif extra:
            self.inline[key] = extra
            self.most[key] = referents
        else:
            self.plain.add(key)
            if not flags & HAVE_GC:
                self.leaf.add(key)

    def of(self, o):
        """Return the bytes of an object of a known type."""
        key = id(type(o))
        if key in self.unusual:
            function, extra = self.unusual[key]
            return function(o) + extra
        return getsizeof(o) + self.inline.get(key, 0)
