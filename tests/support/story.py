"""The demonstration as a stranger's process on any interpreter, and the command line as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .control import service_folder
from .interpreters import Interpreter


class Service(subprocess.Popen[bytes]):
    """The running service; what it prints goes to the file `log`."""

    log: Path

    def said(self) -> list[str]:
        """The lines that it has printed."""
        return self.log.read_text(errors="replace").splitlines()

    def end(self) -> int:
        """End it as an operator would, and return its exit status."""
        assert self.stdin is not None
        self.stdin.close()
        return self.wait(60)


@contextlib.contextmanager
def running_demo(interpreter: Interpreter, fixed: bool = False, **options: float) -> Iterator[Service]:
    """The service `rudder` on `interpreter`; dead at the end."""
    with service_folder(interpreter) as folder, tempfile.NamedTemporaryFile(prefix="pyobserver-test-log-") as log:
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        service = Service(
            [*interpreter.command, "-m", "rudder", "--until-eof", *(["--fixed"] if fixed else []), *words],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        service.log = Path(log.name)
        try:
            yield service
        finally:
            service.kill()
            service.wait()
            if service.stdin is not None:
                service.stdin.close()


def pyobserver(*words: object, within: float = 90.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of pyobserver without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "pyobserver", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=within,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def snapshot(pid: int, *words: object) -> dict[str, Any]:
    """What `pyobserver snapshot PID --json` tells. Raises AssertionError with what it said when it fails."""
    done = pyobserver("snapshot", pid, "--json", *words)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether `true` becomes so within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return true()
