"""Ways to ask a process what it does, ours and those of others, each as one attempt that is timed."""

from __future__ import annotations

import functools
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from pyobserver.attach import inject
from pyobserver.source.live import remove_agent
from tests.support.targets import RunningTarget

from .screen import seconds_until

LIMIT = 15.0  # seconds until an attempt counts as hanging
SCRIPT = "import sys"


class NoAnswer(Exception):
    """An attempt brought nothing; the text says why, and how it was ended if it had to be."""


@dataclass(frozen=True)
class Answer:
    """Seconds from the start to the first answer, and, where it is told, the longest that a thread was held."""

    seconds: float
    held: float | None = None


@dataclass(frozen=True)
class Way:
    """One way. `attempt` returns the answer or raises NoAnswer; `leave` then undoes what it has left in the target.

    Only ways of the same `kind` are compared: a "call" runs a line of Python in the target, a "command" is everything
    from the command line to what the user has asked for, a "reading" only looks.
    """

    title: str
    kind: str
    ours: bool
    attempt: Callable[[RunningTarget], Answer]
    leave: Callable[[RunningTarget], object] = lambda target: None


def ours(methods: Sequence[str]) -> tuple[Way, ...]:
    """The library call by each of the methods, and the dashboard as the user starts it by the first of them."""
    usual = methods[0]
    return (
        *(Way(f"pyobserver's inject(), {m}", "call", True, functools.partial(_injected, m)) for m in methods),
        Way(f"pyobserver attach, {usual}", "command", True, functools.partial(_shown, usual), _without_agent),
    )


def py_spy() -> tuple[Way, ...]:
    """What looking from outside costs alone: the least that any answer takes."""
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    return tuple(
        Way(f"py-spy dump{option}", "reading", False, functools.partial(_dumped, [program, "dump", *option.split()]))
        for option in ("", " --nonblocking")
    )


def _injected(method: str, target: RunningTarget) -> Answer:
    found = inject(target.pid, SCRIPT, method=method)
    return Answer(found.attach_seconds, found.held_seconds)


def _shown(method: str, target: RunningTarget) -> Answer:
    """Until the target's own task is on the tab of the tasks, whose key is pressed as soon as there is a screen."""
    return Answer(seconds_until("__main__.main", target.pid, "--method", method, key="3"))


def _without_agent(target: RunningTarget) -> None:
    remove_agent(target.pid)


def _dumped(command: Sequence[str], target: RunningTarget) -> Answer:
    begun = time.perf_counter()
    if "spin" not in run([*command, "--pid", str(target.pid)]):
        raise NoAnswer("it does not know the target's functions")
    return Answer(time.perf_counter() - begun)


def run(command: Sequence[str], limit: float = LIMIT) -> str:
    """What a command prints. Raises NoAnswer when it fails, or has not ended within `limit` seconds and is ended."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"hung, after {limit:g} s {_end(process)}") from None
    if process.returncode:
        raise NoAnswer(output.strip().rpartition("\n")[2][:200] or f"status {process.returncode}")
    return output


def _end(process: subprocess.Popen[str]) -> str:
    """Ends a command that hangs, a debugger below it first; tells which signal it took.

    On SIGINT gdb takes its break points out of the target and lets go. SIGTERM ends it at once, and the target dies of
    the first break point that it comes to (both seen with gdb 13.1).
    """
    below = psutil.Process(process.pid).children(recursive=True)
    patients = [each for each in below if each.name() == "gdb"] or [psutil.Process(process.pid)]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for each in patients:
            if each.is_running():
                each.send_signal(number)
        _, patients = psutil.wait_procs(patients, timeout=5)
        if not patients:
            break
    try:
        process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return f"ended by {number.name}"
