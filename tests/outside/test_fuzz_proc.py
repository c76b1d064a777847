"""What is read from outside ends in a value or in OutsideError, whatever the target calls itself and its files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.outside import MemoryProbe, OutsideError, ProcessProbe, limits, pythons, threads
from pyobserver.outside.lifeline import Lifeline, stat_fields
from pyobserver.outside.limits import memory_limit, memory_limits
from pyobserver.outside.mappings import parse_mappings
from pyobserver.outside.process import command_line, parse_limits, read_identity, status_fields
from pyobserver.outside.threads import os_threads

from ..support.damage import damaged, names

FILES = ("status", "stat", "maps", "cmdline", "limits", "cgroup", "mountinfo", "oom_score")
OWN = {name: Path(f"/proc/self/{name}").read_bytes() for name in FILES}
OWN["smaps"] = b"".join(Path("/proc/self/smaps").read_bytes().partition(b"VmFlags")[:1]) * 3
OWN["syscall"] = b"232 0x3 0x7f0000000000 0x10 0xffffffff 0x0 0x8 0x7ffc00000000 0x7f1111111111\n"
CGROUP = b"12:memory:/a b/c\n5:cpu,memory:/a b\n1:name=systemd:/\n0::/user.slice/a b\n"
MOUNTS = (
    b"30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    b"31 24 0:27 /a\\040b /cg/me\\134mory rw - cgroup none rw,memory\n"
)


class Line:
    """Stands in for a process whose files below /proc are given."""

    pid = 1
    started_ticks = 100

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def read(self, name: str) -> bytes:
        return self._files[name.rpartition("/")[2]]

    def link(self, name: str) -> str | None:
        return os.fsdecode(self._files["cmdline"].partition(b"\0")[0])

    def check(self) -> None: ...

    def check_memory(self, status: dict[str, str]) -> None: ...


def line(**changed: bytes) -> Lifeline:
    return cast(Lifeline, Line({**OWN, "wchan": b"do_epoll_wait", **changed}))


@given(names())
def test_a_file_of_any_name_is_one_mapping(name: bytes) -> None:
    """It neither ends the list nor makes up a size."""
    head = b"7f1200000000-7f1200001000 r-xp 00001000 08:01 1234                       /srv/" + name
    (found,) = parse_mappings(head + b"\nRss:                   8 kB\nPrivate_Dirty:         4 kB\n")
    assert (found.low, found.high, found.permissions) == (0x7F1200000000, 0x7F1200001000, "r-xp")
    assert (found.name, found.resident, found.private) == (os.fsdecode(b"/srv/" + name), 8192, 4096)


@given(damaged([OWN["smaps"], OWN["maps"]]))
def test_damaged_mappings_are_told(raw: bytes) -> None:
    try:
        parse_mappings(raw)
    except OutsideError:
        pass


@given(names(15))
def test_a_process_of_any_name(name: bytes) -> None:
    """Its state, its user and its memory are its own, not what its name says."""
    rest = OWN["status"].partition(b"\n")[2]
    stat = b"77 (" + name + b")" + OWN["stat"].rpartition(b")")[2]
    assert set(status_fields(b"Name:\t" + name + b"\n" + rest)) == set(status_fields(OWN["status"]))
    assert stat_fields(stat) == stat_fields(OWN["stat"])


@pytest.mark.parametrize("name", ["status", "stat", "maps", "cmdline", "limits", "oom_score", "syscall"])
@given(data=st.data())
def test_damaged_files_of_a_process(name: str, data: st.DataObject) -> None:
    """Who it is, how it is, and its threads."""
    damage = line(**{name: data.draw(damaged([OWN[name]]))})
    probe = ProcessProbe(os.getpid())
    with pytest.MonkeyPatch.context() as patch, probe:
        probe._lifeline.close()
        probe._lifeline = damage
        patch.setattr(threads.os, "listdir", lambda path: ["1", "2"])
        patch.setattr(Line, "close", lambda self: None, raising=False)
        for read in (probe.read, lambda: read_identity(damage), lambda: os_threads(damage)):
            try:
                read()
            except OutsideError:
                pass


@given(damaged([OWN["cmdline"], b"a\0" * 5000, b"\0", b"x" * 100_000]))
def test_any_command_line_can_be_shown(raw: bytes) -> None:
    found = command_line(raw)
    assert len(found) <= 100 and all(word.isprintable() and len(word) <= 1000 for word in found)


@given(st.one_of(damaged([OWN["limits"]]).map(lambda raw: raw.decode("utf-8", "replace")), st.text()))
def test_any_limits(text: str) -> None:
    assert all(limit.soft is None or isinstance(limit.soft, int) for limit in parse_limits(text))


@given(data=st.data())
def test_damaged_tables_of_control_groups(data: st.DataObject) -> None:
    """Groups and mounts of any name: the limits that are found are numbers, and the last one is the machine's."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        originals = {"cgroup": [CGROUP], "mountinfo": [MOUNTS], "status": [OWN["status"]], "limits": [OWN["limits"]]}
        files = {name: data.draw(damaged(raw), name) for name, raw in originals.items()}
        for owner in ("7", "self"):
            (root / "proc" / owner).mkdir(parents=True)
            for name, raw in files.items():
                (root / "proc" / owner / name).write_bytes(raw)
        (root / "proc" / "meminfo").write_bytes(data.draw(damaged([b"MemTotal: 100 kB\nMemAvailable: 50 kB\n"])))
        group = root / "sys" / "fs" / "cgroup" / "user.slice" / "a b"
        group.mkdir(parents=True)
        for name in ("memory.max", "memory.current", "memory.events"):
            (group / name).write_bytes(data.draw(damaged([b"1000000\n", b"max\n", b"oom_kill 3\n"]), name))
        found = memory_limits(7, root)
        assert found[-1].source == "host" and all(each.source.isprintable() for each in found)
        assert memory_limit(7, root) in found


@pytest.mark.parametrize("name", ["x" * 300, "a\u00a0b", "a\u2028b", "a\rb", "\udcff"])
def test_a_group_of_any_name_is_found(tmp_path: Path, name: str) -> None:
    """Or there is none, where no folder can be called so."""
    group = tmp_path / "cg" / name
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "self").mkdir()
    if len(name) < 256:
        group.mkdir(parents=True)
        (group / "memory.max").write_text("4096\n")
    for owner in ("7", "self"):
        mounts = b"30 24 0:26 / /cg rw shared:9 - cgroup2 cgroup2 rw\n"
        (tmp_path / "proc" / owner / "mountinfo").write_bytes(mounts)
        (tmp_path / "proc" / owner / "cgroup").write_bytes(os.fsencode(f"0::/{name}\n"))
        (tmp_path / "proc" / owner / "status").write_bytes(OWN["status"])
    found = limits.memory_limits(7, tmp_path)
    assert [each.bytes for each in found if each.source.startswith("cgroup")] == ([4096] if len(name) < 256 else [])


WORST = """
import ctypes, mmap, sys
with open(sys.argv[1], "w+b") as file:
    file.truncate(4096)
    kept = mmap.mmap(file.fileno(), 4096)
ctypes.CDLL(None).prctl(15, b"a\\r\\x1c\\x85)(b\\xff", 0, 0, 0)
print("READY", flush=True)
sys.stdin.read()
"""


def test_a_process_that_does_its_worst(tmp_path: Path) -> None:
    """Its own name and that of a file that it has mapped are full of what ends lines elsewhere."""
    file = tmp_path / "a\rRss:   x\x1c\u2028\x85dead-beef\nRss: y"
    command = [sys.executable, "-c", WORST, file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"READY\n"
        with ProcessProbe(process.pid) as probe, MemoryProbe(process.pid) as memory:
            assert probe.identity.python and probe.read().rss
            assert memory.read().pss
        assert process.pid in [each.pid for each in pythons()]
        process.stdin.close()
