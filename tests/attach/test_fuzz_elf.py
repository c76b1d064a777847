"""Any damage to a mapped ELF file ends in no symbol or in an error of ours, soon, and within little memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.attach import AttachError, anatomy
from pyobserver.attach.anatomy import Anatomy
from pyobserver.attach.elf import MappedObject, NotElf, mapped_objects
from pyobserver.attach.procfs import Mapping, Memory, mappings

_LARGEST = 64 << 20
_NAMES = ("PyGILState_Ensure", "pthread_create", "malloc", "")
_ODD = (0, 1, 7, 8, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 33, 1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


class Image(Memory):
    """What a process had mapped, at its own addresses, in a file that can be damaged and mended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.largest = 0
        self._fd = os.memfd_create("image", os.MFD_CLOEXEC)
        self.maps = [m for m in mappings(pid) if m.path.startswith("/") and "r" in m.permissions]
        original = Memory(pid)
        try:
            for mapping in self.maps:
                os.pwrite(self._fd, original.read(mapping.start, mapping.end - mapping.start), mapping.start)
        finally:
            original.close()

    def read(self, address: int, size: int) -> bytes:
        data = super().read(address, size)
        self.largest = max(self.largest, len(data))
        return data

    @contextmanager
    def damaged(self, damage: list[tuple[int, bytes]]) -> Iterator[None]:
        """Within the block other bytes are at some addresses."""
        kept = [(at, os.pread(self._fd, len(data), at)) for at, data in damage]
        for at, data in damage:
            os.pwrite(self._fd, data, at)
        try:
            yield
        finally:
            for at, data in reversed(kept):
                os.pwrite(self._fd, data, at)


@pytest.fixture(scope="module")
def image() -> Image:
    """An interpreter that does nothing, as it lay in memory."""
    command = [sys.executable, "-c", "print(1, flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        try:
            return Image(process.pid)
        except AttachError as error:
            pytest.skip(f"the memory of a child cannot be read: {error}")
        finally:
            process.stdin.write(b"\n")
            process.stdin.close()


def weak_spots(image: Image) -> list[int]:
    """The addresses of what the reader goes by: headers, segments, the dynamic section, and the tables it leads to."""
    found: list[int] = []
    for each in mapped_objects(image, image.maps):
        found += [each.base + offset for offset in (0, 4, 16, 18, 32, 54, 56)]
        table, count = struct.unpack("<Q", image.read(each.base + 32, 8))[0], 12
        found += [each.base + table + 8 * i for i in range(7 * count)]
        for header in range(count):
            kind, _, _, address = struct.unpack("<IIQQ", image.read(each.base + table + 56 * header, 24))
            if kind == 2:
                found += [each.bias + address + 8 * i for i in range(60)]
        for tag in (4, 5, 6, 0x6FFFFEF5):
            if start := each._pointer(tag):
                found += [start + 4 * i for i in range(8)]
    return found


@st.composite
def damage(draw: st.DrawFn, spots: list[int]) -> list[tuple[int, bytes]]:
    """Some wrong words in weak spots, near them, or anywhere."""
    where = st.builds(lambda spot, more: spot + more, st.sampled_from(spots), st.sampled_from((0, 0, 0, 8, 24, 4096)))
    word = st.one_of(st.sampled_from(_ODD), st.integers(0, (1 << 64) - 1), st.sampled_from(spots))
    what = st.builds(lambda value, size: struct.pack("<Q", value)[:size], word, st.sampled_from((1, 2, 4, 8)))
    return draw(st.lists(st.tuples(where, what), min_size=1, max_size=8))


@given(data=st.data())
def test_damaged_objects(image: Image, data: st.DataObject) -> None:
    """Objects, their symbols, and all that an attach is planned by."""
    with image.damaged(data.draw(damage(weak_spots(image)))), pytest.MonkeyPatch.context() as patch:
        patch.setattr(anatomy, "mappings", lambda pid: image.maps)
        for each in mapped_objects(image, image.maps):
            for name in _NAMES:
                try:
                    assert each.symbol(name) is None or isinstance(each.symbol(name), int)
                except AttachError as error:
                    assert error.kind in ("failed", "gone")
        try:
            found = Anatomy(image.pid, image)
            found.cave()
            found.free_range(1 << 20)
        except AttachError as error:
            assert error.kind in ("failed", "gone", "not_python", "unsupported")
    assert image.largest <= _LARGEST


@given(st.binary(max_size=4096), st.integers(0, 64))
def test_noise(noise: bytes, kept: int) -> None:
    """Random bytes, also behind a true beginning."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 9)
    raw = head[:kept] + noise
    span = Mapping(4096, 4096 + len(raw), "r-xp", 0, "08:01", "/srv/noise.so")
    memory = Noise(raw)
    try:
        for name in _NAMES:
            assert MappedObject(memory, [span]).symbol(name) is None
    except (NotElf, AttachError):
        pass
    assert len(mapped_objects(memory, [span])) <= 1


class Noise(Memory):
    """Bytes from address 4096 on, and nothing else."""

    def __init__(self, raw: bytes) -> None:
        self.pid = 1
        self._raw = bytes(4096) + raw

    def read(self, address: int, size: int) -> bytes:
        found = self._raw[address : address + size] if address >= 0 else b""
        if address < 4096 or len(found) != size:
            raise AttachError("failed", "not mapped")
        return found


@pytest.mark.parametrize("size", [_LARGEST + 1, 1 << 33, 1 << 62, 1 << 70])
def test_no_size_in_a_header_makes_us_ask_for_more_memory_than_any_program_has(size: int) -> None:
    """It is refused before the memory for it is taken."""
    memory = Memory(os.getpid())
    try:
        with pytest.raises(AttachError) as refused:
            memory.read(memory_of_ours(), size)
        assert refused.value.kind == "failed"
    finally:
        memory.close()


def memory_of_ours() -> int:
    return mappings(os.getpid())[0].start
