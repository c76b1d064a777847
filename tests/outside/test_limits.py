"""The memory limit is found in every layout of control groups, and it is the smallest one that counts."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.outside import TargetGone, memory_limit, memory_limits

PID = 4711
GB = 1 << 30
HOST = 16 * GB
UNLIMITED_V1 = "9223372036854771712\n"

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
HYBRID_MOUNT = V1_MOUNT + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"


class Machine:
    """A fake root folder with a process in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", f"MemTotal: {HOST >> 10} kB\nMemFree: 1 kB\nMemAvailable: {12 * GB >> 10} kB\n")
        self.write(f"proc/{PID}/status", "Name:\tpython\nVmSize:\t2097152 kB\nVmData:\t1048576 kB\n")
        self.limits()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def groups(self, cgroup: str, mounts: str, theirs: str = "") -> None:
        self.write(f"proc/{PID}/cgroup", cgroup)
        self.write("proc/self/mountinfo", "23 1 8:1 / / rw - ext4 /dev/sda rw\n" + mounts)
        self.write(f"proc/{PID}/mountinfo", theirs)

    def limits(self, address_space: str = "unlimited", data: str = "unlimited") -> None:
        lines = ["Limit                     Soft Limit           Hard Limit           Units     "]
        for name, soft in (("Max data size", data), ("Max address space", address_space)):
            lines.append(f"{name:<26}{soft:<21}{'unlimited':<21}bytes     ")
        self.write(f"proc/{PID}/limits", "\n".join(lines) + "\n")

    def v2(self, group: str, limit: str, current: int = 5, kills: int = 0, base: str = "sys/fs/cgroup") -> None:
        self.write(f"{base}{group}/memory.max", f"{limit}\n")
        self.write(f"{base}{group}/memory.current", f"{current}\n")
        self.write(f"{base}{group}/memory.events", f"low 0\nhigh 3\nmax 9\noom {kills}\noom_kill {kills}\n")

    def v1(self, group: str, limit: str, current: int = 5, kills: int = 0) -> None:
        base = f"sys/fs/cgroup/memory{group}"
        self.write(f"{base}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{base}/memory.usage_in_bytes", f"{current}\n")
        self.write(f"{base}/memory.oom_control", f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")
        self.write(f"{base}/memory.use_hierarchy", "1\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_any_limit_it_is_the_host(machine: Machine) -> None:
    """The machine's memory is always there, with what is used of it."""
    machine.groups("0::/user.slice\n", V2_MOUNT)
    machine.v2("/user.slice", "max")
    limit = memory_limit(PID, machine.root)
    assert (limit.bytes, limit.source, limit.current) == (HOST, "host", 4 * GB)
    assert limit.oom_kills is None


def test_version_2_group(machine: Machine) -> None:
    """The limit has its group, what the group uses, and how often it was killed in."""
    machine.groups("0::/system.slice/x.service\n", V2_MOUNT)
    machine.v2("/system.slice/x.service", str(4 * GB), current=3 * GB, kills=2)
    machine.v2("/system.slice", "max")
    limit = memory_limit(PID, machine.root)
    assert limit.bytes == 4 * GB
    assert limit.source == "cgroup /system.slice/x.service memory.max"
    assert (limit.current, limit.oom_kills) == (3 * GB, 2)


@pytest.mark.parametrize("version", [1, 2])
def test_file_cache_that_goes_first_does_not_count(machine: Machine, version: int) -> None:
    """A group full of inactive file cache is not near its limit: the kernel drops that before it kills."""
    if version == 2:
        machine.groups("0::/pod/app\n", V2_MOUNT)
        machine.v2("/pod/app", str(4 * GB), current=4 * GB - 4096)
        stat = f"anon {GB}\nfile {3 * GB}\ninactive_anon {GB}\nactive_file 7\ninactive_file {5 * GB // 2}\n"
        machine.write("sys/fs/cgroup/pod/app/memory.stat", stat)
    else:
        machine.groups("4:memory:/pod/app\n", V1_MOUNT)
        machine.v1("/pod/app", str(4 * GB), current=4 * GB - 4096)
        stat = f"cache {3 * GB}\ninactive_file 12\ntotal_cache {3 * GB}\ntotal_inactive_file {5 * GB // 2}\n"
        machine.write("sys/fs/cgroup/memory/pod/app/memory.stat", stat)
    assert memory_limit(PID, machine.root).current == 3 * GB // 2 - 4096


@pytest.mark.parametrize(("stat", "expected"), [("", GB), ("anon 7\n", GB), (f"inactive_file {2 * GB}\n", 0)])
def test_statistics_that_are_missing_or_older_than_the_total(machine: Machine, stat: str, expected: int) -> None:
    """Without the count of file cache all that is charged counts; an old one never makes the rest negative."""
    machine.groups("0::/app\n", V2_MOUNT)
    machine.v2("/app", str(4 * GB), current=GB)
    if stat:
        machine.write("sys/fs/cgroup/app/memory.stat", stat)
    assert memory_limit(PID, machine.root).current == expected


def test_a_group_further_out_may_be_the_smaller_one(machine: Machine) -> None:
    """The chain is walked up to the root, through groups without a limit."""
    machine.groups("0::/a/b/c\n", V2_MOUNT)
    machine.v2("/a/b/c", str(8 * GB))
    machine.v2("/a/b", "max")
    machine.v2("/a", str(2 * GB), current=GB)
    assert memory_limit(PID, machine.root).source == "cgroup /a memory.max"
    sources = [limit.source for limit in memory_limits(PID, machine.root)]
    assert sources == ["cgroup /a/b/c memory.max", "cgroup /a memory.max", "host"]


def test_version_1_group(machine: Machine) -> None:
    """The file names differ, and "none" is a number."""
    machine.groups("5:cpu:/x\n4:memory:/docker/abc\n0::/\n", V1_MOUNT)
    machine.v1("/docker/abc", UNLIMITED_V1)
    machine.v1("/docker", str(3 * GB), current=GB, kills=1)
    machine.v1("", UNLIMITED_V1)
    limit = memory_limit(PID, machine.root)
    assert (limit.bytes, limit.source) == (3 * GB, "cgroup /docker memory.limit_in_bytes")
    assert (limit.current, limit.oom_kills) == (GB, 1)


def test_version_1_parent_that_does_not_count_its_children(machine: Machine) -> None:
    """Without use_hierarchy the limit of a parent does not hold for its children."""
    machine.groups("4:memory:/a/b\n", V1_MOUNT)
    machine.v1("/a/b", str(8 * GB))
    machine.v1("/a", str(1 * GB))
    machine.write("sys/fs/cgroup/memory/a/memory.use_hierarchy", "0\n")
    assert memory_limit(PID, machine.root).bytes == 8 * GB


def test_hybrid_layout_takes_memory_from_where_it_is(machine: Machine) -> None:
    """Both versions are mounted; the unified one has no memory controller."""
    machine.groups("4:memory:/jobs/7\n1:name=systemd:/x\n0::/user\n", HYBRID_MOUNT)
    machine.v1("/jobs/7", str(6 * GB))
    machine.write("sys/fs/cgroup/unified/user/cgroup.procs", "")
    assert memory_limit(PID, machine.root).source == "cgroup /jobs/7 memory.limit_in_bytes"


def test_controllers_mounted_together(machine: Machine) -> None:
    """A version 1 hierarchy may carry several controllers, at any place."""
    mount = "35 31 0:32 / /cg/cpu,memory rw - cgroup cgroup rw,cpu,memory\n"
    machine.groups("4:cpu,memory:/x\n", mount)
    machine.write("cg/cpu,memory/x/memory.limit_in_bytes", str(GB))
    assert memory_limit(PID, machine.root).bytes == GB


def test_a_mount_that_shows_a_part_of_the_tree(machine: Machine) -> None:
    """In a container without a namespace the mount begins at the container's group."""
    mount = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    machine.groups("4:memory:/docker/abc/worker\n", mount)
    machine.v1("", str(2 * GB))
    machine.v1("/worker", UNLIMITED_V1)
    limit = memory_limit(PID, machine.root)
    assert (limit.bytes, limit.source) == (2 * GB, "cgroup /docker/abc memory.limit_in_bytes")


def test_a_process_behind_a_namespace_is_seen_through_its_own_root(machine: Machine) -> None:
    """Our mount does not reach the group beside ours, so our own limit must not be taken for its."""
    machine.groups("0::/../other/app\n", V2_MOUNT, "30 23 0:26 /../other /sys/fs/cgroup ro - cgroup2 cgroup rw\n")
    machine.v2("", str(1 * GB))
    base = f"proc/{PID}/root/sys/fs/cgroup"
    machine.v2("/app", "max", base=base)
    machine.v2("", str(5 * GB), current=GB, base=base)
    limit = memory_limit(PID, machine.root)
    assert (limit.bytes, limit.current) == (5 * GB, GB)


def test_a_group_that_cannot_be_seen_gives_no_limit(machine: Machine) -> None:
    """Better none than that of somebody else."""
    machine.groups("0::/../other\n", V2_MOUNT)
    machine.v2("", str(1 * GB))
    assert memory_limit(PID, machine.root).source == "host"


@pytest.mark.parametrize(
    ("limits", "source", "current"),
    [({"address_space": str(3 * GB)}, "RLIMIT_AS", 2 * GB), ({"data": str(3 * GB)}, "RLIMIT_DATA", GB)],
)
def test_resource_limits(machine: Machine, limits: dict[str, str], source: str, current: int) -> None:
    """They count address space, not resident memory, so they come with their own use."""
    machine.groups("0::/\n", V2_MOUNT)
    machine.limits(**limits)
    limit = memory_limit(PID, machine.root)
    assert (limit.bytes, limit.source, limit.current) == (3 * GB, source, current)


def test_a_name_of_a_group_cannot_write_to_the_terminal(machine: Machine) -> None:
    """Whoever may make groups names them."""
    machine.groups("0::/evil\x1b[2J\n", V2_MOUNT)
    machine.v2("/evil\x1b[2J", str(GB))
    assert "\x1b" not in memory_limit(PID, machine.root).source


def test_no_such_process(machine: Machine) -> None:
    """A process that is gone has no limit."""
    with pytest.raises(TargetGone):
        memory_limit(PID + 1, machine.root)


def test_a_real_process_has_its_resource_limit() -> None:
    """The real /proc: a child with an address space of 1 GB."""
    with subprocess.Popen(
        ["sleep", "60"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (GB, GB))
    ) as process:
        try:
            limits = {limit.source: limit for limit in memory_limits(process.pid)}
        finally:
            process.kill()
    assert limits["RLIMIT_AS"].bytes == GB
    assert limits["host"].bytes is not None


@pytest.fixture
def real_group() -> Iterator[tuple[Path, str]]:
    """A group of our own in a real version 1 or 2 hierarchy, and the name of its limit; skipped where not allowed."""
    for base, name in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = base / f"pyobserver-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / name).exists():
                yield group, name
                return
        finally:
            deadline = time.monotonic() + 5
            while group.exists() and time.monotonic() < deadline:
                try:
                    group.rmdir()
                except OSError:
                    time.sleep(0.02)
    pytest.skip("no memory control group can be made here")


def test_a_real_group(real_group: tuple[Path, str]) -> None:
    """The real /sys/fs/cgroup: a process moved into a group with a limit of 300 MB."""
    group, name = real_group
    (group / name).write_text(str(300 << 20))
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            try:
                (group / "cgroup.procs").write_text(str(process.pid))
            except OSError as error:
                pytest.skip(f"processes cannot be moved into a control group here: {error}")
            limit = memory_limit(process.pid)
        finally:
            process.kill()
    assert limit.bytes == 300 << 20
    assert limit.source == f"cgroup /{group.name} {name}"
    assert limit.current is not None
    assert limit.oom_kills == 0
