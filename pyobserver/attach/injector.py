"""Brings a script into a process, through a helper process that does the dangerous part."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import AttachError
from .gates import examine
from .procfs import start_ticks

_START_SECONDS = 60.0  # to its first word, before which it has touched nothing: 13 s were seen on a machine under load
_SILENCE_SECONDS = 20.0  # the helper tells something every second or so, except while it looks for a thread (5 s)
_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Injection:
    """How a script got into a process.

    `attach_seconds` is the time from the call until the script had run, `held_seconds` the longest time that a thread
    of the target was held for it. `steps` tell what happened, a line each.
    """

    method: str
    attach_seconds: float
    held_seconds: float
    steps: tuple[str, ...]


def inject(
    pid: int,
    script: str,
    *,
    method: str = "auto",
    force: bool = False,
    patience: float = 30.0,
    on_stage: Callable[[str], None] = lambda text: None,
) -> Injection:
    """Run `script` in process `pid`, in a namespace of its own, and return when it has run.

    `patience` are the seconds that its interpreter lock is waited for. `on_stage` gets what happens, in this thread.
    Raises AttachError, and nothing else: kind "script" when the script itself has raised something.
    """
    begun = time.monotonic()
    on_stage("examining the process")
    ticks = start_ticks(pid)
    found = examine(pid, method, force)
    if not found.ok or found.method is None:
        raise found.error()
    request = {
        "pid": pid,
        "start_ticks": ticks,
        "script": script,
        "chosen": found.method,
        "method": method,
        "patience": patience,
    }
    result = _Helper(pid, request).follow(on_stage)
    steps = tuple(result["steps"])
    return Injection(result["method"], time.monotonic() - begun, result["held_seconds"], steps)


class _Helper:
    """The process that attaches. Whatever becomes of it or of us, the target goes on."""

    def __init__(self, pid: int, request: dict[str, Any]) -> None:
        self._pid = pid
        self._rest = bytearray()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pyobserver.attach.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=_environment(),
            )
        except (OSError, ValueError) as error:
            raise self._failed("the helper process could not be started", str(error)) from None
        self._request = json.dumps(request).encode() + b"\n"

    def _failed(self, why: str, detail: str = "") -> AttachError:
        why = ": ".join(filter(None, (why, detail)))
        return AttachError("failed", f"the attach to process {self._pid} did not come to its end", why, "try again")

    def follow(self, on_stage: Callable[[str], None]) -> dict[str, Any]:
        """Return the result. A helper that is interrupted here comes to its end alone."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            try:
                process.stdin.write(self._request)
                process.stdin.close()
            except OSError:
                pass  # it has died: its standard error tells
            for message in self._messages(process.stdout.fileno()):
                if "stage" in message:
                    on_stage(message["stage"])
                elif "error" in message:
                    process.wait()
                    raise AttachError(**message["error"])
                elif "result" in message:
                    result: dict[str, Any] = message["result"]
                    process.wait()
                    return result
            code = process.wait()
            complaint = process.stderr.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise self._failed(f"the helper process ended with status {code}", complaint)
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                try:
                    pipe.close()
                except OSError:
                    pass

    def _messages(self, output: int) -> Iterator[dict[str, Any]]:
        """What the helper tells, until it ends. It is killed, which is safe at any moment, when it falls silent."""
        patience = _START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                if not selector.select(patience):
                    self._process.kill()
                    self._process.wait()
                    raise self._failed(f"the helper process was silent for {patience:g} s")
                patience = _SILENCE_SECONDS
                block = os.read(output, 65536)
                if not block:
                    return
                self._rest += block
                *lines, last = bytes(self._rest).split(b"\n")
                self._rest = bytearray(last)
                yield from filter(None, map(_message, lines))


def _message(line: bytes) -> dict[str, Any] | None:
    """One message, or None: what a start-up file of the user prints there is not for us."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _environment() -> dict[str, str]:
    """Our environment, with this package on the search path where it was not installed."""
    environment = dict(os.environ)
    installed = any(part in ("site-packages", "dist-packages") for part in _ROOT.parts)
    if not installed:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    return environment
