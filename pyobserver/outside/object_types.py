"""Which type an object in a copy of the heap has, and what that type is called: the layout of objects in one place.

The layouts are those of 64-bit CPython 3.8 to 3.15 without free threading (Include/object.h, cpython/object.h,
cpython/dictobject.h, cpython/unicodeobject.h). Two of them differ between versions, and each tells by itself which it
is: where the text of a str begins, and how the table of a dict is built. All else that is used has kept its place.

| since | in front of the object                                                                |
|-------|---------------------------------------------------------------------------------------|
| 3.8   | two words of the garbage collector where the type has `Py_TPFLAGS_HAVE_GC`            |
| 3.11  | two more where it has `Py_TPFLAGS_MANAGED_DICT` (3.12: or `..._MANAGED_WEAKREF`)      |
| any   | two more in front of everything with PYTHONMALLOC=debug: the size, then the domain    |

The upper half of a reference count is empty up to 3.13, and has flags in its last 16 bits from 3.14 on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocol.clean import clean
from .mappings import PAGE, Mapping
from .remote import Addresses, RemoteMemory, Torn

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

HEADERS = (0, 2, 4)  # words in front of an object
DEBUG_WORDS = 2

_WORDS = 34  # of a type that are looked at: up to tp_dict
_TYPE, _NAME, _BASIC_SIZE, _FLAGS, _DICT = 1, 3, 4, 21, 33  # places among them
_HAVE_GC, _HEAP_TYPE, _READY, _TYPE_SUBCLASS = 1 << 14, 1 << 9, 1 << 12, 1 << 31
_MANAGED = 1 << 3 | 1 << 4  # without a meaning before 3.11
_DEEPEST_METATYPE = 4
_LARGEST_BASIC_SIZE = 1 << 24

_HEAP_TYPE_BYTES = 1024  # in which ht_name, ht_slots and ht_qualname are found
_TEXT_AT = (40, 48)  # where the text of an ASCII str begins: from 3.12 on, before
_TEXT_BYTES = 192
_DICT_KEYS = 4  # the word of ma_keys in a dict
_ENTRIES_READ = 4  # `__module__` is the first name in a class body
_TABLE_BYTES = 640
_MOST_NAMES = 20_000

UNIDENTIFIED_NAME = "(no objects: tables, items, C structures)"
OTHER_NAME = "(further types)"


def is_count(words: Addresses) -> Flags:
    """Which words can be the reference count of a live object; the address of something cannot."""
    low, high = words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)
    found: Flags = (low > 0) & (high & np.uint64(0xFFFF) == 0) & (high >> np.uint64(16) < 16)
    return found


def is_pointer(words: Addresses) -> Flags:
    """Which words can be the address of an object."""
    found: Flags = (words & np.uint64(7) == 0) & (words >= np.uint64(1 << 16)) & (words < np.uint64(1 << 47))
    return found


def is_debug(words: Addresses) -> Flags:
    """Which second words of blocks are those that PYTHONMALLOC=debug writes: a letter and seven times 0xFD."""
    found: Flags = words >> np.uint64(8) == np.uint64(0xFDFDFDFDFDFDFD)
    return found


@dataclass(frozen=True)
class Resolved:
    """For each address that was asked for: the place of the type's name, -1 for what is no type, and the words in
    front of its instances."""

    places: Places
    headers: Places


class ObjectTypes:
    """Knows types by address, and gives each name a place that it keeps."""

    def __init__(self, memory: RemoteMemory) -> None:
        self._memory = memory
        self.names: list[str] = [UNIDENTIFIED_NAME, OTHER_NAME]
        self._places: dict[str, int] = {}
        self._known: dict[tuple[int, int, int], int] = {}  # (address, its name, its dict) -> place

    def resolve(self, addresses: Addresses, mappings: list[Mapping]) -> Resolved:
        """Tell which of the addresses, ascending, are types.

        A type is one whose type is a subclass of `type`, and so on up to `type`, whose type is `type`.
        """
        writable = [each for each in mappings if each.writable]
        lows = np.array([each.low for each in writable], dtype=np.uint64)
        highs = np.array([each.high for each in writable], dtype=np.uint64)
        heads, good = self._types(addresses, lows, highs, _DEEPEST_METATYPE)
        places = np.full(len(addresses), -1, np.int64)
        places[good] = self._named(addresses[good], heads[good])
        flags = heads[:, _FLAGS]
        headers = 2 * ((flags & np.uint64(_HAVE_GC)) != 0) + 2 * ((flags & np.uint64(_MANAGED)) != 0)
        return Resolved(places, headers.astype(np.int64))

    def _types(self, addresses: Addresses, lows: Addresses, highs: Addresses, depth: int) -> tuple[Addresses, Flags]:
        """Return the first words at each address, and which of them are types."""
        heads = np.zeros((len(addresses), _WORDS), np.uint64)
        mapping = np.searchsorted(lows, addresses, side="right") - 1
        inside = (mapping >= 0) & is_pointer(addresses)
        inside &= addresses + np.uint64(8 * _WORDS) <= highs[mapping]
        heads[inside] = self._memory.read_each(addresses[inside], 8 * _WORDS).view(np.uint64)
        flags, size = heads[:, _FLAGS], heads[:, _BASIC_SIZE]
        good = inside & is_count(heads[:, 0]) & is_pointer(heads[:, _TYPE]) & (flags & np.uint64(_READY) != 0)
        good &= (size >= 16) & (size < _LARGEST_BASIC_SIZE) & (heads[:, _NAME] >= PAGE)
        meta = heads[:, _TYPE]
        above = good & (meta != addresses)
        good &= above | (flags & np.uint64(_TYPE_SUBCLASS) != 0)
        if above.any():
            metas, where = np.unique(meta[above], return_inverse=True)
            if depth:
                meta_heads, are_types = self._types(metas, lows, highs, depth - 1)
                are_types &= meta_heads[:, _FLAGS] & np.uint64(_TYPE_SUBCLASS) != 0
            else:
                are_types = np.zeros(len(metas), np.bool_)
            good[above] = are_types[where]
        return heads, good

    # -- names -------------------------------------------------------------------------------------------------------

    def _named(self, addresses: Addresses, heads: Addresses) -> Places:
        """The places of the names of types."""
        keys = list(zip(addresses.tolist(), heads[:, _NAME].tolist(), heads[:, _DICT].tolist(), strict=True))
        new = [i for i, key in enumerate(keys) if key not in self._known]
        if len(self._known) + len(new) > 4 * _MOST_NAMES:
            self._known.clear()
            new = list(range(len(keys)))
        if new:
            for i, name in zip(new, self._read_names(addresses[new], heads[new]), strict=True):
                self._known[keys[i]] = self._place(name)
        return np.array([self._known[key] for key in keys], np.int64)

    def _place(self, name: str) -> int:
        found = self._places.get(name)
        if found is None:
            if len(self.names) >= _MOST_NAMES:
                return 1
            found = self._places[name] = len(self.names)
            self.names.append(name)
        return found

    def _read_names(self, addresses: Addresses, heads: Addresses) -> list[str]:
        """The full names of types: those of classes with module and qualified name, others as C has them."""
        pointers = heads[:, _NAME]
        short = self._c_texts(pointers)
        is_class = (heads[:, _FLAGS] & np.uint64(_HEAP_TYPE) != 0) & np.array(["." not in name for name in short])
        names = list(short)
        chosen = np.flatnonzero(is_class)
        if not len(chosen):
            return [clean(name) for name in names]
        bodies = self._memory.read_each(addresses[chosen], _HEAP_TYPE_BYTES).view(np.uint64)
        qualified = self._qualified_names(bodies, pointers[chosen], [short[i] for i in chosen])
        modules = self._modules(heads[chosen, _DICT])
        for i, name, module in zip(chosen.tolist(), qualified, modules, strict=True):
            names[i] = f"{module}.{name}" if module and module != "builtins" else name
        return [clean(name) for name in names]

    def _qualified_names(self, bodies: Addresses, pointers: Addresses, short: list[str]) -> list[str]:
        """`ht_qualname`, two words behind `ht_name`, whose text is what `tp_name` points to."""
        names = list(short)
        for distance in _TEXT_AT:
            rows, columns = np.nonzero(bodies[:, :-2] == (pointers - np.uint64(distance))[:, None])
            if not len(rows):
                continue
            texts = self._texts(bodies[rows, columns + 2], distance)
            for row, text in zip(rows.tolist(), texts, strict=True):
                if text == short[row] or text.endswith("." + short[row]):
                    names[row] = text
        return names

    def _modules(self, dicts: Addresses) -> list[str]:
        """What the dicts of classes say for `__module__`, where that is among their first entries; "" elsewhere."""
        tables = self._memory.read_each(dicts, 48).view(np.uint64)[:, _DICT_KEYS]
        content = self._memory.read_each(tables, _TABLE_BYTES)
        keys = np.zeros((len(dicts), _ENTRIES_READ), np.uint64)
        values = np.zeros_like(keys)
        for i, table in enumerate(content):
            place = _first_entry(table)
            if place is None:
                continue
            entries = table[place.start : place.start + _ENTRIES_READ * place.size].view(np.uint64)
            entries = entries.reshape(-1, place.size // 8)
            keys[i, : len(entries)], values[i, : len(entries)] = entries[:, -2], entries[:, -1]
        modules = [""] * len(dicts)
        for distance in _TEXT_AT:
            unique, where = np.unique(keys, return_inverse=True)
            is_module = np.array([text == "__module__" for text in self._texts(unique, distance)])
            rows, columns = np.nonzero(is_module[where].reshape(keys.shape))
            for row, text in zip(rows.tolist(), self._texts(values[rows, columns], distance), strict=True):
                modules[row] = modules[row] or text
        return modules

    def _texts(self, addresses: Addresses, distance: int) -> list[str]:
        """The texts of ASCII strs that begin at this distance; "" for what is none, or is too long."""
        found = []
        for raw in self._memory.read_each(addresses, distance + _TEXT_BYTES):
            length = int(raw[16:24].view(np.uint64)[0])
            text = raw[distance : distance + length].tobytes() if 0 < length < _TEXT_BYTES else b""
            complete = bool(text) and text.isascii() and raw[distance + length] == 0 and 0 not in text
            found.append(text.decode("ascii") if complete else "")
        return found

    def _c_texts(self, addresses: Addresses) -> list[str]:
        """The texts that end with a zero byte at these addresses."""
        found = []
        for at, raw in zip(addresses.tolist(), self._memory.read_each(addresses, _TEXT_BYTES), strict=True):
            content = raw.tobytes()
            if not content[0]:  # at the end of what is mapped, perhaps
                try:
                    content = self._memory.read(at, min(_TEXT_BYTES, PAGE - at % PAGE))
                except Torn:
                    content = b""
            found.append(content.split(b"\0")[0].decode("utf-8", "replace") or "(no name)")
        return found


@dataclass(frozen=True)
class _Entries:
    start: int
    size: int


def _first_entry(table: NDArray[np.uint8]) -> _Entries | None:
    """Where the entries of a dict's table begin, and how large they are.

    Up to 3.10 the second word is the number of places, a power of two; from 3.11 on it has two logarithms, both 3 at
    least, so that it never is one. Entries have a hash in front, except in tables for str only (3.11 and later).
    """
    second = int(table[8:16].view(np.uint64)[0])
    if second >= 8 and second & (second - 1) == 0:
        start = 40 + second * (1 if second <= 0xFF else 2)
        size = 24
    else:
        if not 3 <= table[9] <= 12 or table[10] > 1:
            return None
        start = 32 + (1 << int(table[9]))
        size = 24 if table[10] == 0 else 16
    return _Entries(start, size) if start + _ENTRIES_READ * size <= len(table) else None
