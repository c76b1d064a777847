"""How close to being out of memory a process has been, from made-up files and from this machine's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyobserver.outside import TargetGone, memory_pressure

PID = 4711
V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = "33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
PRESSURE = "some avg10={0:.2f} avg60=0.00 avg300=0.00 total={1}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine whose process is in a group of version 2."""
    write(tmp_path, "proc/self/mountinfo", V2 + V1)
    write(tmp_path, f"proc/{PID}/cgroup", "0::/a/b\n")
    (tmp_path / "sys/fs/cgroup/a/b").mkdir(parents=True)
    return tmp_path


def test_the_counters_of_the_group(machine: Path) -> None:
    """Slowed down, at the limit, out of memory, killed; and how long its tasks waited."""
    write(machine, "sys/fs/cgroup/a/b/memory.events", "low 0\nhigh 5\nmax 4\noom 2\noom_kill 1\n")
    write(machine, "sys/fs/cgroup/a/b/memory.pressure", PRESSURE.format(12.5, 2_500_000))
    write(machine, "proc/pressure/memory", PRESSURE.format(99, 1))
    found = memory_pressure(PID, machine)
    assert (found.group, found.high, found.at_limit, found.oom, found.oom_kills) == ("/a/b", 5, 4, 2, 1)
    assert (found.waited_in, found.some, found.some_seconds) == ("cgroup", 0.125, 2.5)


def test_without_pressure_of_the_group_the_machine_tells(machine: Path) -> None:
    """Tasks of the whole machine waited: it is said so."""
    write(machine, "proc/pressure/memory", PRESSURE.format(1, 1_000_000))
    found = memory_pressure(PID, machine)
    assert (found.waited_in, found.some, found.group, found.oom) == ("host", 0.01, "", None)


def test_version_1(machine: Path) -> None:
    """Its counters have other names."""
    write(machine, f"proc/{PID}/cgroup", "4:memory:/c\n0::/\n")
    write(machine, "sys/fs/cgroup/memory/c/memory.failcnt", "7\n")
    write(machine, "sys/fs/cgroup/memory/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    found = memory_pressure(PID, machine)
    assert (found.group, found.at_limit, found.oom_kills, found.high) == ("/c", 7, 3, None)


def test_nothing_is_told(machine: Path) -> None:
    """Old kernels: None everywhere, and no error; the same with files that are not as they should be."""
    assert memory_pressure(PID, machine).some is None
    write(machine, "sys/fs/cgroup/a/b/memory.events", "what is this\n")
    write(machine, "sys/fs/cgroup/a/b/memory.pressure", "some\nfull avg10=x\n")
    found = memory_pressure(PID, machine)
    assert (found.waited_in, found.some, found.oom) == ("", None, None)


def test_a_process_that_is_gone(machine: Path) -> None:
    """There is nothing to tell."""
    with pytest.raises(TargetGone):
        memory_pressure(PID + 1, machine)


def test_this_process() -> None:
    """Whatever machine this is, nothing fails, and shares are shares."""
    found = memory_pressure(os.getpid())
    assert found.some is None or 0 <= found.some <= 1
