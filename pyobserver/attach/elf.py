"""Mapped ELF files, read from the memory of the process that has mapped them.

No file is opened: it works across mount namespaces, in chroots, for deleted and for stripped files. Names are looked up
through the hash tables of the dynamic section (System V gABI, chapter 5; DT_GNU_HASH as in binutils bfd/elflink.c).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .errors import AttachError
from .procfs import Mapping, Memory

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 4, 5, 6, 0x6FFFFEF5
_STT_GNU_IFUNC = 10
_LONGEST_CHAIN = 100_000
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_MOST_HEADERS = 1000
_LARGEST_DYNAMIC = 1 << 16  # bytes; true ones have about a thousand


@dataclass(frozen=True)
class Segment:
    """One PT_LOAD entry."""

    executable: bool
    address: int
    file_size: int


class NotElf(Exception):
    """What is mapped there is no 64-bit little-endian ELF file."""


class MappedObject:
    """One mapped ELF file: the interpreter, a library, the loader."""

    def __init__(self, memory: Memory, spans: list[Mapping]) -> None:
        self._memory = memory
        self.base = spans[0].start
        self.path = spans[0].path
        self.spans = spans
        self.name = self.path.rsplit("/", 1)[-1].replace(" (deleted)", "")
        header = memory.read(self.base, 64)
        if header[:6] != b"\x7fELF\x02\x01":
            raise NotElf(self.path)
        self.machine: int = struct.unpack_from("<H", header, 18)[0]
        self.segments: list[Segment] = []
        self._dynamic: dict[int, int] = {}
        self._read_program_headers(header)

    def _read_program_headers(self, header: bytes) -> None:
        offset: int = struct.unpack_from("<Q", header, 32)[0]
        entry_size, count = struct.unpack_from("<HH", header, 54)
        if entry_size != _PROGRAM_HEADER.size or count > _MOST_HEADERS:
            raise NotElf(self.path)
        table = self._memory.read(self.base + offset, entry_size * count)
        first: int | None = None
        dynamic: tuple[int, int] | None = None
        for kind, flags, at, address, _, file_size, size, _ in _PROGRAM_HEADER.iter_unpack(table):
            if kind == _PT_LOAD:
                first = address - at if first is None else first
                self.segments.append(Segment(bool(flags & 1), address, file_size))
            elif kind == _PT_DYNAMIC:
                dynamic = (address, size)
        self.bias = self.base - (first or 0)
        if dynamic is not None:
            raw = self._memory.read(self.bias + dynamic[0], min(dynamic[1], _LARGEST_DYNAMIC) & ~15)
            for tag, value in struct.iter_unpack("<QQ", raw):
                if tag == 0:
                    break
                self._dynamic.setdefault(tag, value)

    def contains(self, address: int) -> bool:
        """Whether `address` lies in this object's code."""
        return any(s.start <= address < s.end and "x" in s.permissions for s in self.spans)

    def _pointer(self, tag: int) -> int | None:
        value = self._dynamic.get(tag)
        if value is None:
            return None
        return value if value >= self.base else value + self.bias  # glibc relocates these in place, musl does not

    def symbol(self, name: str) -> int | None:
        """Return the address of a defined dynamic symbol that is not an indirect function, or None."""
        symbols, strings = self._pointer(_DT_SYMTAB), self._pointer(_DT_STRTAB)
        if not symbols or not strings:
            return None
        encoded = name.encode()
        if table := self._pointer(_DT_GNU_HASH):
            return self._gnu_lookup(table, symbols, strings, encoded)
        if table := self._pointer(_DT_HASH):
            return self._sysv_lookup(table, symbols, strings, encoded)
        return None

    def _gnu_lookup(self, table: int, symbols: int, strings: int, name: bytes) -> int | None:
        memory = self._memory
        buckets_count, first, bloom_size, bloom_shift = struct.unpack("<IIII", memory.read(table, 16))
        if not buckets_count or not bloom_size:
            return None
        value = 5381
        for c in name:
            value = (value * 33 + c) & 0xFFFFFFFF
        word = memory.u64(table + 16 + 8 * ((value // 64) % bloom_size))
        if not (word >> (value % 64)) & (word >> ((value >> bloom_shift) % 64)) & 1:
            return None
        buckets = table + 16 + 8 * bloom_size
        index = memory.u32(buckets + 4 * (value % buckets_count))
        if index < first:
            return None
        for i in range(index, index + _LONGEST_CHAIN):
            hashed = memory.u32(buckets + 4 * buckets_count + 4 * (i - first))
            if hashed | 1 == value | 1 and (found := self._defined(symbols, strings, i, name)):
                return found
            if hashed & 1:
                break
        return None

    def _sysv_lookup(self, table: int, symbols: int, strings: int, name: bytes) -> int | None:
        memory = self._memory
        buckets_count, _ = struct.unpack("<II", memory.read(table, 8))
        value = 0
        for c in name:
            value = (value << 4) + c
            high = value & 0xF0000000
            value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
        i = memory.u32(table + 8 + 4 * (value % buckets_count))
        for _ in range(_LONGEST_CHAIN):
            if not i:
                break
            if found := self._defined(symbols, strings, i, name):
                return found
            i = memory.u32(table + 8 + 4 * buckets_count + 4 * i)
        return None

    def _defined(self, symbols: int, strings: int, i: int, name: bytes) -> int | None:
        text, kind, _, section, value, _ = struct.unpack("<IBBHQQ", self._memory.read(symbols + 24 * i, 24))
        if section == 0 or not value or kind & 15 == _STT_GNU_IFUNC:
            return None
        if self._memory.read(strings + text, len(name) + 1) != name + b"\0":
            return None
        return self.bias + int(value)


def mapped_objects(memory: Memory, maps: list[Mapping]) -> list[MappedObject]:
    """Return the ELF files that have code mapped. What cannot be read (it is being loaded right now) is left out."""
    groups: dict[tuple[str, str], list[Mapping]] = {}
    for mapping in maps:
        if mapping.path.startswith("/") and not mapping.path.startswith(("/dev/", "/memfd:")):
            groups.setdefault((mapping.device, mapping.path), []).append(mapping)
    found = []
    for spans in groups.values():
        readable = spans[0].offset == 0 and "r" in spans[0].permissions
        if not readable or not any("x" in s.permissions for s in spans):
            continue
        try:
            found.append(MappedObject(memory, spans))
        except (NotElf, AttachError):
            continue
    return found
