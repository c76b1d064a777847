"""Whatever stands in /proc ends in a value or in an error of ours: the names in there come from the target."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.attach import AttachError, procfs
from pyobserver.attach.interpreters import Interpreter, identify, mapped_files, named_python
from pyobserver.attach.procfs import Mapping, parse_mappings, parse_status

from ..support.damage import damaged, names

OWN = {name: Path(f"/proc/self/{name}").read_bytes() for name in ("maps", "status", "stat", "syscall")}
OWN["syscall"] = b"232 0x3 0x7f0000000000 0x10 0xffffffff 0x0 0x8 0x7ffc00000000 0x7f1111111111\n"


def as_the_kernel_has_it(path: bytes) -> bytes:
    return b"7f1200000000-7f1200001000 r-xp 00001000 08:01 1234                       /srv/" + path


@given(names())
def test_a_mapped_file_of_any_name_is_one_mapping(name: bytes) -> None:
    """What looks like the end of a line to others belongs to the name."""
    before, after = b"1000-2000 rw-p 00000000 00:00 0 [heap]", b"3000-4000 rw-p 00000000 00:00 0 "
    found = parse_mappings(b"\n".join((before, as_the_kernel_has_it(name), after, b"")))
    there = Mapping(0x7F1200000000, 0x7F1200001000, "r-xp", 0x1000, "08:01", os.fsdecode(b"/srv/" + name))
    assert found == [Mapping(0x1000, 0x2000, "rw-p", 0, "00:00", "[heap]"), there, found[2]]
    assert (found[2].start, found[2].path) == (0x3000, "")


@given(names())
def test_a_mapped_file_of_any_name_is_one_file(name: bytes) -> None:
    text = as_the_kernel_has_it(name).decode("utf-8", "replace")
    (found,) = mapped_files(text + "\n")
    assert (found.name, found.inode) == ((b"/srv/" + name).decode("utf-8", "replace"), 1234)


@given(names(15))
def test_no_name_of_a_program_makes_up_a_field(name: bytes) -> None:
    """A name that looks like more lines is a name."""
    first, _, rest = OWN["status"].partition(b"\n")
    assert first.startswith(b"Name:")
    assert set(parse_status(b"Name:\t" + name + b"\n" + rest)) == set(parse_status(OWN["status"]))


@given(damaged([OWN["maps"]]))
def test_damaged_mappings_are_told(raw: bytes) -> None:
    try:
        assert all(isinstance(mapping, Mapping) for mapping in parse_mappings(raw))
    except ValueError:
        pass
    text = raw.decode("utf-8", "replace")
    assert all(file.name.startswith("/") for file in mapped_files(text))
    assert identify(os.getpid(), "/usr/bin/python3", text) is not None


@pytest.mark.parametrize("name", sorted(OWN))
@given(data=st.data())
def test_damaged_files_are_refused_with_an_error_of_ours(name: str, data: st.DataObject) -> None:
    """All that reads one of them."""
    raw = data.draw(damaged([OWN[name]]))
    readers: dict[str, list[Callable[[], Any]]] = {
        "maps": [lambda: procfs.mappings(1)],
        "status": [lambda: procfs.status(1), lambda: procfs.status(1, 1)],
        "stat": [lambda: procfs.start_ticks(1)],
        "syscall": [lambda: procfs.thread_states(1)],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(procfs, "open", opened(raw), raising=False)
        patch.setattr(procfs.os, "listdir", lambda path: ["1"])
        for read in readers[name]:
            try:
                read()
            except AttachError as error:
                assert error.kind == "failed"


def opened(raw: bytes) -> Callable[..., Any]:
    """An `open` that finds these bytes everywhere."""
    import io

    def found(path: str, mode: str = "r", **options: Any) -> Any:
        return io.BytesIO(raw) if "b" in mode else io.TextIOWrapper(io.BytesIO(raw), **options)

    return found


@given(st.one_of(names(4000).map(os.fsdecode), st.text(max_size=300)))
def test_any_name_of_an_executable_is_a_python_or_none(name: str) -> None:
    found = named_python(name)
    assert found is None or isinstance(found, Interpreter)


def test_a_binary_that_was_emptied_tells_no_version(tmp_path: Path) -> None:
    """Its name is still mapped, and says what it can."""
    file = tmp_path / "libpython3.11.so.1.0"
    file.touch()
    line = f"7f1200000000-7f1200001000 r-xp 00000000 08:01 {file.stat().st_ino} {file}\n"
    assert identify(os.getpid(), "/usr/bin/python3", line) == Interpreter("cpython", "3.11")
