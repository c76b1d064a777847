"""Shared by the tests of attaching: programs to attach to, and the scripts that go into them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget

PROGRAM = Path(__file__).with_name("program.py").read_text()
STATES = ("idle", "sleep", "lock", "malloc", "cpu")


@pytest.fixture(params=interpreters()[-1:], ids=str)
def newest(request: pytest.FixtureRequest) -> Interpreter:
    """One interpreter, for what does not depend on the version."""
    return request.param


@pytest.fixture
def requestable() -> Interpreter:
    """An interpreter that takes requests by PEP 768."""
    found = [i for i in interpreters() if i.minor in ((3, 14), (3, 15))]
    if not found:
        pytest.skip("no Python 3.14 or 3.15 was found")
    return found[-1]


@contextlib.contextmanager
def running(
    interpreter: Interpreter,
    state: str,
    *,
    options: Sequence[str] = (),
    through: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    wait: bool = True,
) -> Iterator[RunningTarget]:
    """Runs `program.py` in a state, started by the command `through`; it is dead when the block has ended."""
    with tempfile.NamedTemporaryFile(prefix="pyobserver-test-attach-") as stderr:
        process = subprocess.Popen(
            [*through, *interpreter.command, *options, "-c", PROGRAM, state],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
        )
        target = RunningTarget(process, Path(stderr.name))
        try:
            if wait:
                target.wait_until_ready(60)
            yield target
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def leave(number: int) -> str:
    """A script that leaves a number in the program."""
    return f"import sys\nsys.modules['__main__'].seen.append({number})"


def end(target: RunningTarget) -> dict[str, Any]:
    """Ends the program, makes sure that it is content and silent, and returns what it found."""
    status, complaint = target.stop()
    assert (status, complaint) == (0, ""), f"it ended with status {status} and said {complaint!r}"
    assert target.last_words is not None and target.last_words["ok"], target.last_words
    return target.last_words


def wait_until(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Waits for something that comes by itself."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


def state_of(pid: int) -> str:
    """The state of a process, one letter as in /proc/PID/stat."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def threads_of(pid: int) -> int:
    """The number of threads of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))


def leftovers(interpreter: Interpreter, pid: int | None = None) -> list[str]:
    """The folders of requests that lie about where an interpreter's programs would find them, and nobody waits for.

    Whoever waits for an answer keeps the script locked: another test, or another run of the tests.
    """
    root = interpreter.root if pid is None else Path(f"/proc/{pid}/root")
    found: list[str] = []
    for base in ("tmp", "var/tmp", "dev/shm"):
        found += map(str, (root / base).glob("pyobserver-[0-9a-f]*"))
    return [each for each in found if len(Path(each).name) == len("pyobserver-") + 16 and not is_awaited(Path(each))]


def is_awaited(folder: Path) -> bool:
    """Whether the observer that has made this folder is still there; also when it has just removed it."""
    try:
        with open(folder / "script.py", "r+b") as file:
            os.lockf(file.fileno(), os.F_TEST, 0)
    except FileNotFoundError:
        return not folder.exists()
    except OSError:
        return True
    return False
