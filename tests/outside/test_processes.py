"""The Python processes of this machine, and the children of one process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.outside import TargetGone, children, pythons
from pyobserver.outside.processes import _is_helper

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_every_interpreter_is_listed(interpreter: Interpreter, heap: RunningTarget) -> None:
    """With its version, its memory, its age and its user."""
    found = next(process for process in pythons() if process.pid == heap.pid)
    assert found.python == ".".join(map(str, interpreter.version))
    assert found.implementation == "cpython"
    assert found.rss is not None
    assert found.rss > 1 << 20
    assert 0 <= found.age_seconds < 60
    assert found.command[-1].endswith("heap.py")
    assert found.user


def test_this_process_and_other_programs_are_not_listed(sleeper: subprocess.Popen[bytes]) -> None:
    """Neither we, nor what is no Python."""
    pids = {process.pid for process in pythons()}
    assert os.getpid() not in pids
    assert sleeper.pid not in pids


def test_a_script_whose_name_is_python_is_not_python(tmp_path: Path) -> None:
    """What counts is the program that runs, not what it is called by."""
    source = shutil.which("sleep")
    assert source
    process = subprocess.Popen(["python3", "60"], executable=source)
    try:
        assert process.pid not in {each.pid for each in pythons()}
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (("python", "-m", "pyobserver.attach.helper", "4711"), True),
        (("python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"), True),
        (("python", "-m", "rudder"), False),
        (("python", "/srv/pyobserver/demo/service.py"), False),
    ],
)
def test_our_helpers_are_told_from_what_we_started_to_observe(command: tuple[str, ...], ours: bool) -> None:
    """A program that we run for the user is a child, and belongs on the list."""
    assert _is_helper(command) is ours


def test_a_helper_is_not_listed() -> None:
    """A child of ours that works for us stays out; the same program as a child for the user is there."""
    code = "import sys; sys.stdin.read()"
    helper = subprocess.Popen([sys.executable, "-c", code, "pyobserver.attach"], stdin=subprocess.PIPE)
    program = subprocess.Popen([sys.executable, "-c", code, "rudder"], stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while program.pid not in (pids := {each.pid for each in pythons()}):
            assert time.monotonic() < deadline
        assert helper.pid not in pids
    finally:
        for process in (helper, program):
            process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_somebody_elses_processes_are_listed_by_their_name(newest_heap: RunningTarget) -> None:
    """Without permission to look into it, a Python is told by the name that it was started by."""
    received, sent = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            found = next(process for process in pythons() if process.pid == newest_heap.pid)
            os.write(sent, f"{found.python}|{found.rss}|{found.user}".encode())
        except BaseException as error:
            os.write(sent, repr(error).encode())
        finally:
            os._exit(0)
    os.close(sent)
    with open(received) as pipe:
        python, rss, user = pipe.read().split("|")
    os.waitpid(child, 0)
    assert python == "None" or python.startswith("3.")
    assert int(rss) > 1 << 20
    assert user == "root"


def test_the_children_of_a_process(newest: Interpreter, newest_heap: RunningTarget) -> None:
    """The direct ones, with what they are and use."""
    mine = {child.pid: child for child in children(os.getpid())}
    child = mine[newest_heap.pid]
    assert child.is_python
    assert child.command[-1].endswith("heap.py")
    assert child.rss is not None
    assert child.rss > 1 << 20
    assert abs(child.started_at - time.time()) < 60
    assert child.cpu_seconds >= 0
    assert child.state in "RSD"
    assert children(newest_heap.pid) == ()


def test_a_child_that_has_ended_but_was_not_collected() -> None:
    """A zombie is a child still, without memory."""
    process = subprocess.Popen(["sh", "-c", "exit 3"])
    try:
        deadline = time.monotonic() + 60
        child = None
        while (child is None or child.state != "Z") and time.monotonic() < deadline:
            child = next((each for each in children(os.getpid()) if each.pid == process.pid), None)
        assert child is not None
        assert (child.state, child.rss, child.is_python) == ("Z", None, False)
        assert child.command == ("sh",)
    finally:
        process.wait()


def test_a_grandchild_is_no_child(sleeper: subprocess.Popen[bytes]) -> None:
    """Only direct children are given; the tree asks each of them again."""
    shell = subprocess.Popen(["sh", "-c", "sleep 60 & wait"])
    try:
        deadline = time.monotonic() + 60
        while [child.command for child in children(shell.pid)] != [("sleep", "60")]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert {shell.pid, sleeper.pid} <= {child.pid for child in children(os.getpid())}
        grandchild = children(shell.pid)[0].pid
        assert grandchild not in {child.pid for child in children(os.getpid())}
        os.kill(grandchild, 9)
    finally:
        shell.kill()
        shell.wait()


def test_the_children_of_nobody() -> None:
    """A process that is gone has none."""
    with pytest.raises(TargetGone):
        children((1 << 22) - 1)
