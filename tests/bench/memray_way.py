"""Attaching as memray does it, through gdb: memray in an environment of its own, which the target has to share."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.interpreters import Interpreter
from tests.support.targets import RunningTarget

from .ways import SCRIPT, Answer, NoAnswer, Way, run

ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".venv" / "peers"
REQUIREMENT = "memray>=1.19,<2"
TRACKING = 1  # second; the shortest that the command takes
SETTLES = 10.0  # seconds until the tracker must be gone again

# What memray's command does before it begins to track, with a line of Python that does as little as ours.
INJECTION = """
import socket, sys, time
from memray.commands.attach import AttachCommand
begun = time.perf_counter()
channel = AttachCommand().inject_control_channel("gdb", int(sys.argv[1]))
channel.sendall(sys.argv[2].encode())
channel.shutdown(socket.SHUT_WR)
complaint = b"".join(iter(lambda: channel.recv(4096), b"")).decode()
sys.exit(complaint) if complaint else print(time.perf_counter() - begun)
"""


class Missing(Exception):
    """Something that the bench does not bring along is not there; the text names it."""


def environment(interpreter: Interpreter) -> Interpreter:
    """The same interpreter with memray installed beside it, which is kept for the next time. Raises Missing."""
    if shutil.which("gdb") is None:
        raise Missing("gdb was not found")
    if interpreter.root != Path("/"):
        raise Missing("memray must be installed beside the target's interpreter, and that is in a chroot")
    folder = ENVIRONMENTS / ".".join(map(str, interpreter.version))
    python = str(folder / "bin" / "python")
    if not _works(python):
        shutil.rmtree(folder, ignore_errors=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
        for command in ([*interpreter.command, "-m", "venv", str(folder)], pip):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                reason = done.stderr.strip().rpartition("\n")[2]
                raise Missing(f"memray could not be installed for Python {interpreter}: {reason}")
    return Interpreter(interpreter.version, (python,), interpreter.root)


def memray(beside: Interpreter) -> tuple[Way, ...]:
    """The ways of memray in its `environment`."""
    python = beside.command[0]
    return (
        Way("memray's injection, gdb", "call", False, functools.partial(_injected, python)),
        Way("memray attach, gdb", "command", False, functools.partial(_tracked, python), _without_tracker),
    )


def _works(python: str) -> bool:
    try:
        return subprocess.run([python, "-c", "import memray"], capture_output=True).returncode == 0
    except OSError:
        return False


def _injected(python: str, target: RunningTarget) -> Answer:
    return Answer(float(run([python, "-c", INJECTION, str(target.pid), SCRIPT])))


def _tracked(python: str, target: RunningTarget) -> Answer:
    """Until memray says that it tracks."""
    with tempfile.NamedTemporaryFile(prefix="pyobserver-bench-memray-") as file:
        options = ["--method", "gdb", "--duration", str(TRACKING), "--force", "--output", file.name]
        begun = time.perf_counter()
        run([python, "-m", "memray", "attach", *options, str(target.pid)])
        return Answer(time.perf_counter() - begun)


def _without_tracker(target: RunningTarget) -> None:
    """The tracker ends by itself, and its threads with it: one counts the seconds, one reads the memory."""
    tasks = Path(f"/proc/{target.pid}/task")
    usual = target.ask("truth")["threads"]
    deadline = time.monotonic() + SETTLES
    while len(os.listdir(tasks)) > usual:
        if time.monotonic() > deadline:
            raise NoAnswer(f"its tracker is still there after {SETTLES:g} s")
        time.sleep(0.02)
