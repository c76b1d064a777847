"""Identity and cheap readings of a process, and the certainty of its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.attach.interpreters import Interpreter as Found
from pyobserver.attach.interpreters import identify, named_python
from pyobserver.outside import OutsideError, ProcessProbe, TargetGone
from pyobserver.outside.lifeline import Lifeline, stat_fields
from pyobserver.outside.process import command_line, parse_limits

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_zombie(pid: int) -> None:
    deadline = time.monotonic() + 60
    while stat_fields(Path(f"/proc/{pid}/stat").read_bytes())[0] != b"Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_it_is(interpreter: Interpreter, heap: RunningTarget) -> None:
    """Version, program, place and start of every interpreter, in a chroot too."""
    with ProcessProbe(heap.pid) as probe:
        identity = probe.identity
    assert identity.pid == heap.pid
    assert identity.parent == os.getpid()
    assert identity.python == ".".join(map(str, interpreter.version))
    assert identity.implementation == "cpython"
    assert not identity.free_threaded
    assert identity.command[-1].endswith("heap.py")
    assert identity.executable is not None
    assert Path(identity.executable).is_relative_to(interpreter.root)
    assert identity.root == str(interpreter.root)
    assert abs(identity.started_at - time.time()) < 60
    assert identity.uid == os.geteuid()


def test_what_it_uses(newest_heap: RunningTarget) -> None:
    """Memory, threads, files and faults are those of the process at this moment."""
    with ProcessProbe(newest_heap.pid, clock=lambda: 12.5) as probe:
        before = probe.read()
        newest_heap.ask("blocks 2 10000000")
        newest_heap.ask("threads 3 100000")
        newest_heap.ask("shared 3000000")
        after = probe.read()
    assert after.taken_at == 12.5
    assert before.rss is not None
    assert after.rss is not None
    assert after.rss - before.rss > 20_000_000
    assert after.rss == (after.rss_anon or 0) + (after.rss_file or 0) + (after.rss_shmem or 0)
    assert (after.rss_shmem or 0) - (before.rss_shmem or 0) == pytest.approx(3_000_000, rel=0.01)
    assert after.peak_rss is not None
    assert after.peak_rss >= after.rss
    assert after.vms is not None
    assert after.vms > after.rss
    assert after.threads == (before.threads or 0) + 3
    assert after.minor_faults > before.minor_faults
    assert after.fds == len(os.listdir(f"/proc/{newest_heap.pid}/fd"))
    assert after.fd_limit == next(limit.soft for limit in after.limits if limit.name == "Max open files")
    assert after.state in "RSD"
    assert after.swap is not None
    assert after.oom_score is not None


def test_a_stopped_process_is_readable_and_told(sleeper: subprocess.Popen[bytes]) -> None:
    """Reading needs nothing from the process."""
    with ProcessProbe(sleeper.pid) as probe:
        os.kill(sleeper.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 60
        while (state := probe.read().state) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state == "T"
        os.kill(sleeper.pid, signal.SIGCONT)


@pytest.mark.parametrize(("code", "exit_code", "ended_by"), [("exit 9", 9, None), ("kill -TERM $$", None, 15)])
def test_a_zombie_tells_how_it_ended(code: str, exit_code: int | None, ended_by: int | None) -> None:
    """Before its parent has collected it, the exit status is there to read."""
    process = subprocess.Popen(["sh", "-c", f"read line; {code}"], stdin=subprocess.PIPE)
    try:
        with ProcessProbe(process.pid) as probe:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.close()
            wait_for_zombie(process.pid)
            with pytest.raises(TargetGone) as told:
                probe.read()
            assert (told.value.exit_code, told.value.signal) == (exit_code, ended_by)
        with pytest.raises(TargetGone) as told:
            ProcessProbe(process.pid)
        assert (told.value.exit_code, told.value.signal) == (exit_code, ended_by)
    finally:
        process.wait()


def test_a_collected_process_is_gone_for_good() -> None:
    """After its parent has collected it, a held pidfd still knows; the status where the kernel keeps it (6.15)."""
    process = subprocess.Popen([sys.executable, "-c", "input(); raise SystemExit(3)"], stdin=subprocess.PIPE)
    with ProcessProbe(process.pid) as probe:
        process.communicate(b"\n")
        for _ in range(2):
            with pytest.raises(TargetGone) as told:
                probe.read()
            assert told.value.exit_code in (3, None)
            assert told.value.signal is None
    with pytest.raises(TargetGone):
        ProcessProbe(process.pid)


def test_without_pidfd_the_start_time_tells_a_later_process(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel gives no pidfd, a process of the same number but a later start is another one."""

    def refuse(_: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with Lifeline(sleeper.pid) as line:
        assert line.alive()
        line.started_ticks -= 1
        assert not line.alive()
        with pytest.raises(TargetGone):
            line.check()


def test_no_such_process() -> None:
    """A pid that nobody has."""
    with pytest.raises(TargetGone, match="has ended"):
        ProcessProbe((1 << 22) - 1)


def test_text_of_the_process_is_harmless(tmp_path: Path) -> None:
    """Arguments and folders come from strangers: no escape sequence passes, and none is endless."""
    folder = tmp_path / "dir\x1b[2J"
    folder.mkdir()
    command = ["sh", "-c", "read x", "\x1b[31m", "a" * 5000]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE)
    try:
        with ProcessProbe(process.pid) as probe:
            identity = probe.identity
    finally:
        process.kill()
        process.communicate()
    assert identity.cwd is not None
    for text in (*identity.command, identity.cwd):
        assert text.isprintable()
        assert len(text) <= 1000


def test_a_command_line_of_a_million_arguments_is_cut() -> None:
    """What is kept is bounded."""
    assert len(command_line(b"x\0" * 1_000_000)) == 100
    assert command_line(b"") == command_line(b"\0\0") == ()


def test_limits_are_read_by_their_columns() -> None:
    """Names have blanks in them, numbers may be unlimited, and units may be missing."""
    text = Path("/proc/self/limits").read_text()
    limits = {limit.name: limit for limit in parse_limits(text)}
    assert limits["Max open files"].unit == "files"
    assert limits["Max nice priority"].unit == ""
    assert len(limits) == len(text.splitlines()) - 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/usr/bin/python3.11", Found("cpython", "3.11")),
        ("/usr/local/bin/python3.13t", Found("cpython", "3.13", True)),
        ("/usr/bin/python3", Found("cpython", None)),
        ("python", Found("cpython", None)),
        ("/usr/bin/python3.12 (deleted)", Found("cpython", "3.12")),
        ("/opt/pypy/bin/pypy3.10", Found("pypy", None)),
        ("/usr/bin/pythonic", None),
        ("/usr/bin/bash", None),
    ],
)
def test_the_name_of_an_executable(name: str, expected: Found | None) -> None:
    """What a name tells, and what it does not."""
    assert named_python(name) == expected


def test_an_embedded_interpreter_is_told_by_its_library() -> None:
    """The executable is called something else, but has a libpython."""
    maps = "7f00-7f01 r-xp 0 08:01 99 /usr/lib/libpython3.9.so.1.0\n"
    assert identify(os.getpid(), "/usr/sbin/uwsgi", maps) == Found("cpython", "3.9")
    maps = "7f00-7f01 r-xp 0 08:01 99 /opt/pypy/bin/libpypy3.10-c.so\n"
    assert identify(os.getpid(), "/opt/app", maps) == Found("pypy", None)
    assert identify(os.getpid(), "/usr/bin/bash", "7f00-7f01 r-xp 0 08:01 99 /usr/lib/libc.so.6\n") is None


def test_an_error_is_one_line_with_reason_and_help() -> None:
    """What, why, and what would help."""
    assert (
        str(OutsideError("cannot read x", "permission denied", "be root"))
        == "cannot read x: permission denied; be root"
    )
    assert str(OutsideError("py-spy is not installed", help="install it")) == "py-spy is not installed; install it"
    assert str(TargetGone(5, signal=9)) == "process 5 has ended: signal 9"


def test_many_ends_at_once_are_never_misread(newest: Interpreter) -> None:
    """Killed at random moments, the reading is whole or the process is gone."""
    for delay in (0.0, 0.0002, 0.001, 0.003):
        with launch(newest, "heap") as target, ProcessProbe(target.pid) as probe:
            probe.read()
            threading.Timer(delay, os.kill, (target.pid, signal.SIGKILL)).start()
            with pytest.raises(TargetGone) as told:
                while True:
                    assert probe.read().rss is not None
            assert told.value.signal == signal.SIGKILL
