"""Starts the programs of `tests/targets` as processes of their own, and talks with them.

    with launch(interpreter, "parked", "--tasks", "100") as target:
        target.ask("cancel parked-7")["freed"]

A target prints READY, answers a line with a line of JSON, and ends at the end of its input (`targets/conversation.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .interpreters import Interpreter

TARGETS = Path(__file__).resolve().parent.parent / "targets"


class TargetError(Exception):
    """A target did not start, did not answer in time, or has ended."""


class RunningTarget:
    """One running target; made by `launch`."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self.process = process
        self.pid = process.pid
        self.last_words: dict[str, Any] | None = None
        """What the target printed after the end of its input; known after `stop`."""
        self._stderr = stderr
        self._read = bytearray()

    def ask(self, command: str, within: float = 60.0) -> dict[str, Any]:
        """The target's answer to one command.

        Raises `TargetError` when it refuses, is silent for `within` seconds, or has ended.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise TargetError(f"it has ended{self._story()}") from None
        answer: dict[str, Any] = json.loads(self._line(within))
        if "error" in answer:
            raise TargetError(f"{command}: {answer['error']}")
        return answer

    def wait_until_answered(self, within: float = 60.0) -> dict[str, Any]:
        """The answer to a command whose `ask` ran out of time."""
        answer: dict[str, Any] = json.loads(self._line(within))
        return answer

    def stop(self, within: float = 60.0) -> tuple[int, str]:
        """Ends the target by the end of its input; returns its exit status and what it wrote to standard error.

        A target that has not ended `within` seconds is killed, and the status is -9.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        lines = []
        with contextlib.suppress(TargetError):
            while True:
                lines.append(self._line(within))
        if lines:
            self.last_words = json.loads(lines[-1])
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        return status, self._stderr.read_text(errors="replace")

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Within the block no thread of the target runs: SIGSTOP, and SIGCONT behind it."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + 60
            states = Path(f"/proc/{self.pid}/task")
            while any("State:\tT" not in (each / "status").read_text() for each in states.iterdir()):
                if time.monotonic() > deadline:
                    raise TargetError("it did not halt within 60 s")
                time.sleep(0.001)
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def wait_until_ready(self, within: float) -> None:
        """Waits for READY; raises `TargetError` with what the target complained about."""
        line = self._line(within)
        if line != b"READY":
            raise TargetError(f"it said {line[:200]!r}{self._story()}")

    def _line(self, within: float) -> bytes:
        assert self.process.stdout is not None
        handle = self.process.stdout.fileno()
        deadline = time.monotonic() + within
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                raise TargetError(f"no answer in {within:g} s{self._story()}")
            block = os.read(handle, 1 << 16)
            if not block:
                raise TargetError(f"it has ended{self._story()}")
            self._read += block
        line, _, self._read = self._read.partition(b"\n")
        return bytes(line)

    def _story(self) -> str:
        complaint = self._stderr.read_text(errors="replace").strip()
        return f"; its standard error: {complaint[-2000:]}" if complaint else ""


@contextlib.contextmanager
def launch(
    interpreter: Interpreter,
    name: str,
    *arguments: object,
    within: float = 60.0,
    environment: dict[str, str] | None = None,
) -> Iterator[RunningTarget]:
    """Runs the target `name` on `interpreter`; it is ready when the block begins, and dead when it has ended.

    The `environment` adds to this process's own. For an interpreter with a root of its own, the scripts are copied to
    where it can see them. Raises `TargetError` when READY does not come `within` seconds.
    """
    scratch = None
    folder = TARGETS
    if interpreter.root != Path("/"):
        scratch = interpreter.scratch(name)
        folder = scratch / "targets"
        shutil.copytree(TARGETS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with tempfile.NamedTemporaryFile(prefix=f"pyobserver-test-{name}-") as stderr:
        process = subprocess.Popen(
            [*interpreter.command, interpreter.inside(folder / f"{name}.py"), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
        )
        target = RunningTarget(process, Path(stderr.name))
        try:
            target.wait_until_ready(within)
            yield target
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)
