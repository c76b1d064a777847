"""The Python processes that an observed program starts have the agent as well, where that was asked for."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyobserver.source.client import AgentClient
from pyobserver.source.find import find_agent
from pyobserver.source.heirs import VARIABLE
from pyobserver.source.program import Program, start_program

from ..support.interpreters import Interpreter
from .scripted import wait_for

PARENT = """
import json, multiprocessing, os, subprocess, sys

def work(pipe):
    pipe.send([os.getpid(), sys.path])
    pipe.recv()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1]) if sys.argv[1] != "command" else None
    if context is None:
        code = "import os, sys, json; print(json.dumps([os.getpid(), sys.path]), flush=True); sys.stdin.read()"
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        told = json.loads(child.stdout.readline())
    else:
        here, there = context.Pipe()
        child = context.Process(target=work, args=(there,))
        child.start()
        told = here.recv()
    print(json.dumps(told), flush=True)
    while not os.path.exists(sys.argv[2]):
        __import__("time").sleep(0.01)
    child.communicate() if context is None else here.send(None)
    status = child.wait() if context is None else child.join() or child.exitcode
    sys.exit(status)
"""


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What children look at is taken away with the program."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not glob.glob(str(tmp_path / "pyobserver-*"))


@pytest.fixture
def here(interpreter: Interpreter) -> Interpreter:
    if len(interpreter.command) > 1:
        pytest.skip("an interpreter with a root of its own does not see our files")
    return interpreter


def _told(program: Program) -> list[Any]:
    """The first line that the program has printed."""
    line = wait_for(lambda: "\n" in program.log.read_text() and program.log.read_text(), "what the program prints")
    found: list[Any] = json.loads(line)
    return found


def _method(pid: int) -> str:
    """How the agent came into a process."""
    path = wait_for(lambda: find_agent(pid), f"the agent in process {pid}")
    with AgentClient(path, pid) as client:
        assert client.hello.pid == pid
        return client.hello.method


def _end(program: Program) -> None:
    """Kill it, and its children with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.process.pid, signal.SIGKILL)
    program.process.wait()


@pytest.mark.parametrize("how", ["fork", "spawn", "command"])
def test_children_have_the_agent_from_their_first_line(here: Interpreter, how: str, tmp_path: Path) -> None:
    """Forked, spawned or started as a command; they see nothing of it on their path, and end as they would."""
    script, over = tmp_path / "parent.py", tmp_path / "over"
    script.write_text(PARENT)
    program = start_program(None, [str(script), how, str(over)], here.command[0], children=True)
    try:
        pid, path = _told(program)
        assert _method(program.process.pid) == "preloaded"
        assert pid != program.process.pid and _method(pid) == "preloaded"
        assert not [each for each in path if "pyobserver-heirs" in each]
        over.touch()
        assert program.process.wait(30) == 0
        assert len(program.log.read_text().splitlines()) == 1
    finally:
        _end(program)
        program.tidy()
        program.log.unlink()


def test_without_that_they_have_none(tmp_path: Path) -> None:
    """Nothing is in the environment, and a forked child has lost its parent's agent."""
    script, over = tmp_path / "parent.py", tmp_path / "over"
    script.write_text(PARENT)
    program = start_program(None, [str(script), "fork", str(over)], sys.executable)
    try:
        pid, _ = _told(program)
        assert find_agent(program.process.pid) is not None and find_agent(pid) is None
        assert VARIABLE.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        over.touch()
        assert program.process.wait(30) == 0
    finally:
        _end(program)
        program.log.unlink()


def test_the_programs_own_customization_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that ours hides is found after it, and what it raises is raised."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nsys.customized = True\n")
    script = tmp_path / "program.py"
    script.write_text("import os, sys\nprint(sys.customized, os.path.dirname(sys.modules['sitecustomize'].__file__))\n")
    monkeypatch.setenv("PYTHONPATH", str(own))
    program = start_program(None, [str(script)], sys.executable, children=True)
    assert program.process.wait(30) == 0
    assert program.log.read_text().split() == ["True", str(own)]
    program.tidy()
    program.log.unlink()


def test_a_child_that_cannot_read_the_script_does_without(tmp_path: Path) -> None:
    """The files may be gone when a program goes on after its observer: its children run all the same."""
    script, over = tmp_path / "parent.py", tmp_path / "over"
    script.write_text(PARENT.replace("context = ", f"os.remove(os.environ[{VARIABLE!r}]); context = ", 1))
    program = start_program(None, [str(script), "fork", str(over)], sys.executable, children=True)
    try:
        pid, _ = _told(program)
        assert find_agent(pid) is None and os.path.exists(f"/proc/{pid}")
        over.touch()
        assert program.process.wait(30) == 0
    finally:
        _end(program)
        program.tidy()
        program.log.unlink()
