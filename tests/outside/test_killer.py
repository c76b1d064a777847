"""Who ended a process is told only where the kernel tells it: by its counters, and by its log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.model.snapshot import Phase
from pyobserver.outside.killer import KillWatch
from pyobserver.outside.pressure import oom_kills
from pyobserver.source.live import LiveSource

from ..support.story import until

PID = 4711


def tree(root: Path, kills: int, version: int = 2) -> Path:
    """A machine with one control group; returns the file that counts."""
    process, own = root / "proc" / str(PID), root / "proc" / "self"
    for folder in (process, own):
        folder.mkdir(parents=True)
    if version == 2:
        (process / "cgroup").write_text("0::/app\n")
        (own / "mountinfo").write_text("30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        counter = root / "sys/fs/cgroup/app/memory.events"
    else:
        (process / "cgroup").write_text("4:memory:/app\n")
        (own / "mountinfo").write_text("30 1 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
        counter = root / "sys/fs/cgroup/memory/app/memory.oom_control"
    counter.parent.mkdir(parents=True)
    counter.write_text(f"oom_kill {kills}\n")
    return counter


@pytest.mark.parametrize("version", [1, 2])
def test_the_count_went_up(tmp_path: Path, version: int) -> None:
    """It is said with the group and both numbers."""
    counter = tree(tmp_path, 2, version)
    watch = KillWatch(PID, tmp_path)
    assert oom_kills(counter.parent) == 2
    counter.write_text("oom_kill 3\n")
    assert watch.words(signal.SIGKILL) == "killed for memory: the oom_kill count of its group /app went from 2 to 3"
    assert watch.words(None)
    assert watch.words(signal.SIGTERM) == ""


def test_others_may_have_killed_it(tmp_path: Path) -> None:
    """A count that stays, or a group that is gone, says nothing."""
    counter = tree(tmp_path, 2)
    watch = KillWatch(PID, tmp_path)
    watch.look()
    assert watch.words(signal.SIGKILL) == ""
    counter.unlink()
    assert watch.words(signal.SIGKILL) == ""


def test_the_kernels_log_names_it(tmp_path: Path) -> None:
    """Only where numbers mean the same, and only what was written since."""
    tree(tmp_path, 0)
    watch = KillWatch(PID, tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").write_text(f"3,1,{10**15},-;Memory cgroup out of memory: Killed process {PID} (python3)")
    is_first = os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC
    assert watch.words(signal.SIGKILL) == ("killed for memory by the kernel, as its log says" if is_first else "")
    (tmp_path / "dev/kmsg").write_text(f"3,1,1,-;Out of memory: Killed process {PID} (python3) some time ago")
    assert watch.words(signal.SIGKILL) == ""


def group_with_limit(size: int) -> Path | None:
    """A new control group in which a process may have so much memory; None where none can be made."""
    for parent, limit in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        folder = Path(parent) / f"pyobserver-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            with contextlib.suppress(OSError):
                (folder / limit).write_text(str(size))
                return folder
            folder.rmdir()
    return None


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with 100 MB."""
    folder = group_with_limit(100 << 20)
    if folder is None:
        pytest.skip("no control group with a limit can be made here")
    yield folder
    until(lambda: removed(folder), 10.0)


def removed(folder: Path) -> bool:
    """Remove a control group; False while somebody is in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


EATS = """
import time
input()
kept = [bytearray(b"x") * (1 << 20) for _ in range(400)]
print("it has eaten 400 MB", flush=True)
time.sleep(60)
"""


def test_a_process_that_the_kernel_kills_for_memory(group: Path) -> None:
    """A real one, in a group with little memory: the status says it, with the signal."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", EATS], **pipes) as process:  # type: ignore[call-overload]
        (group / "cgroup.procs").write_text(str(process.pid))
        source = LiveSource(process.pid, exit_status=process.poll)
        source.start()
        try:
            assert until(lambda: source.store.snapshot().process is not None)
            process.stdin.write(b"\n")
            process.stdin.flush()
            if process.stdout.readline():
                pytest.skip("this kernel does not keep to the limits of control groups")
            assert until(lambda: source.store.snapshot().status.phase is Phase.EXITED, 30.0)
            status = source.store.snapshot().status
            assert status.signal == signal.SIGKILL
            assert status.text.startswith("killed for memory")
        finally:
            source.stop()
            process.kill()
