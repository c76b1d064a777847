"""Shared by the tests of attaching: programs to attach to, and the scripts that go into them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pyobserver.attach import inject

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget

PROGRAM = Path(__file__).with_name("program.py").read_text()
_SERVICES = Path(__file__).with_name("services.py").read_text()
SERVICES = f"""import sys, types
program = sys.modules["program"] = types.ModuleType("program")
exec({PROGRAM!r}, vars(program))
exec({_SERVICES!r})
"""
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
    text: str = PROGRAM,
    options: Sequence[str] = (),
    through: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    wait: bool = True,
) -> Iterator[RunningTarget]:
    """Runs `program.py`, or another `text`, in a state, by the command `through`; dead when the block has ended."""
    with tempfile.NamedTemporaryFile(prefix="pyobserver-test-attach-") as stderr:
        process = subprocess.Popen(
            [*through, *interpreter.command, *options, "-c", text, state],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        target = RunningTarget(process, Path(stderr.name))
        try:
            if wait:
                target.wait_until_ready(60)
            yield target
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children as well, if it has not come to its end
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def leave(number: int) -> str:
    """A script that leaves a number in the program."""
    return f"import sys\nsys.modules['__main__'].__dict__.setdefault('seen', []).append({number})"


def ways(interpreter: Interpreter) -> Iterator[str]:
    """The ways that lead into an interpreter, the natural one first."""
    yield "auto"
    if interpreter.minor >= (3, 14):
        yield "ptrace"


def attach_often(interpreter: Interpreter, pid: int, times: int = 5) -> list[int]:
    """Attaches anew many times by each way; returns the numbers that were left."""
    left: list[int] = []
    for way in ways(interpreter):
        for _ in range(times):
            inject(pid, leave(len(left)), method=way)
            left.append(len(left))
    return left


def end(target: RunningTarget) -> dict[str, Any]:
    """Ends the program, makes sure that it is content and silent, and returns what it found."""
    status, complaint = target.stop()
    assert (status, complaint) == (0, ""), f"it ended with status {status} and said {complaint!r}"
    assert target.last_words is not None and target.last_words["ok"], target.last_words
    return target.last_words


def wait_until(condition: Callable[[], bool], within: float = 60.0) -> None:
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


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, by number."""
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def within(target: RunningTarget) -> int:
    """The number of the program's own process, where the one that was started waits for its end."""
    pid = target.pid
    while Path(f"/proc/{pid}/comm").read_text() == "unshare\n":
        (pid,) = children_of(pid)
    return pid


def leftovers(interpreter: Interpreter, pid: int | None = None, patience: float = 20.0) -> list[str]:
    """The folders of requests that lie about where an interpreter's programs would find them, and nobody waits for.

    Whoever waits for an answer keeps the script locked: another test, or another run of the tests. What goes within
    `patience` seconds was such a one's, too.
    """
    root = interpreter.root if pid is None else Path(f"/proc/{pid}/root")
    deadline = time.monotonic() + patience
    found = _abandoned(root)
    while found and time.monotonic() < deadline:
        time.sleep(0.02)
        found &= _abandoned(root)
    return sorted(found)


def _abandoned(root: Path) -> set[str]:
    found = set()
    for base in ("tmp", "var/tmp", "dev/shm"):
        for each in (root / base).glob("pyobserver-[0-9a-f]*"):
            if len(each.name) == len("pyobserver-") + 16 and not is_awaited(each):
                found.add(str(each))
    return found


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
