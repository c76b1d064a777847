"""How many threads a process may have, from made-up files and from this machine's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyobserver.model.readings import Limit, ThreadLimit
from pyobserver.outside import TargetGone, thread_limit

PID = 4711
V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
NPROC = Limit("Max processes", 100, 200, "processes")


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine whose process is in a group of version 2."""
    write(tmp_path, "proc/self/mountinfo", V2)
    write(tmp_path, f"proc/{PID}/cgroup", "0::/a/b\n")
    write(tmp_path, "sys/fs/cgroup/a/b/pids.max", "max\n")
    write(tmp_path, "sys/fs/cgroup/a/pids.max", "500\n")
    write(tmp_path, "sys/fs/cgroup/a/pids.current", "480\n")
    return tmp_path


def test_the_group_that_leaves_least_room(machine: Path) -> None:
    """The one above counts, too; what is unlimited does not."""
    assert thread_limit(PID, (), 1000, machine) == ThreadLimit(500, "cgroup /a pids.max", 480)
    write(machine, "sys/fs/cgroup/a/b/pids.max", "16\n")
    write(machine, "sys/fs/cgroup/a/b/pids.current", "9\n")
    assert thread_limit(PID, (), 1000, machine) == ThreadLimit(16, "cgroup /a/b pids.max", 9)


def test_what_its_user_may_have(machine: Path) -> None:
    """Where no group leaves less room; root is not bound by it."""
    write(machine, "sys/fs/cgroup/a/pids.max", "max\n")
    assert thread_limit(PID, [NPROC], 1000, machine) == ThreadLimit(100, "RLIMIT_NPROC", None)
    assert thread_limit(PID, [NPROC], 0, machine) is None
    assert thread_limit(PID, [Limit("Max processes", None, None, "processes")], 1000, machine) is None


def test_of_this_process() -> None:
    """Whatever it is here, it leaves room for the threads that there are."""
    found = thread_limit(os.getpid(), (), 1000)
    assert found is None or found.most >= 1


def test_a_process_that_is_gone(machine: Path) -> None:
    """Is told as that."""
    with pytest.raises(TargetGone):
        thread_limit(PID + 1, (), 1000, machine)
