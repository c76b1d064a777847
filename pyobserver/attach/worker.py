"""The process that attaches: `python -m pyobserver.attach.worker`.

One line of JSON comes in: the request. Lines of JSON go out: what happens, then how it ended. It has a session of its
own and ignores what a terminal sends, so that Ctrl-C at the observer never meets a target that stands still. When
nobody listens any more it goes on to the end; when it dies, the kernel lets go of the target.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any, TextIO

from .errors import AttachError, gone
from .pep768 import PATIENCE, Pep768Injection, Unsuitable
from .procfs import Memory, start_ticks
from .ptrace import ThreadGone
from .ptrace_method import PtraceInjection


@dataclass(frozen=True)
class Request:
    """What to run in which process: `start_ticks` tells it from a later one of the same number."""

    pid: int
    start_ticks: int
    script: str
    chosen: str
    """The way that the examination has found: pep768 or ptrace."""
    method: str
    """What the user asked for: auto, pep768 or ptrace."""
    patience: float


class Attach:
    """One request, and what has become of it so far."""

    def __init__(self, request: Request, output: TextIO) -> None:
        self._request = request
        self._output: TextIO | None = output
        self._steps: list[str] = []
        self._held = 0.0

    def say(self, **message: Any) -> None:
        """Tell the observer, if it still listens."""
        if self._output is None:
            return
        try:
            self._output.write(json.dumps(message) + "\n")
            self._output.flush()
        except (OSError, ValueError):
            self._output = None

    def run(self) -> None:
        """Attach, and tell how it went."""
        try:
            method = self._attach()
        except AttachError as error:
            self._fail(error)
        except ThreadGone:  # under our hands: with the whole process, mostly
            self._fail(gone(self._request.pid))
        except MemoryError:
            self._fail(AttachError("failed", "there is too little memory to attach"))
        except Exception as error:
            self._fail(AttachError("failed", "the attach went wrong", f"{type(error).__name__}: {error}"))
        else:
            self.say(result={"method": method, "held_seconds": self._held, "steps": self._steps})

    def _fail(self, error: AttachError) -> None:
        self.say(error={"kind": error.kind, "what": error.what, "why": error.why, "help": error.help})

    def _attach(self) -> str:
        request = self._request
        memory = Memory(request.pid)
        try:
            if start_ticks(request.pid) != request.start_ticks:
                raise gone(request.pid)
            if request.chosen == "pep768" and self._by_request(memory):
                return "pep768"
            self._by_ptrace(memory)
            return "ptrace"
        finally:
            memory.close()

    def _stage(self, text: str) -> None:
        self.say(stage=text)

    def _step(self, text: str) -> None:
        self._steps.append(text)
        self.say(step=text)

    def _by_request(self, memory: Memory) -> bool:
        """Whether the interpreter took the request. Where nothing else may be tried, a refusal is an AttachError."""
        request = self._request
        only = request.method == "pep768"
        patience = request.patience if only else min(PATIENCE, request.patience)
        injection: Pep768Injection | None = None
        try:
            injection = Pep768Injection(request.pid, memory, self._stage, self._step)
            injection.run(request.script, patience)
        except Unsuitable as refusal:
            if only:
                what = f"process {request.pid} did not take the request"
                raise AttachError("no_safe_point", what, str(refusal), "leave the method to us") from None
            self._step(f"not by PEP 768: {refusal}; by ptrace instead")
            return False
        finally:
            if injection is not None:
                self._held = max(self._held, injection.held_seconds)
        return True

    def _by_ptrace(self, memory: Memory) -> None:
        injection = PtraceInjection(self._request.pid, memory, self._stage, self._step)
        try:
            injection.run(self._request.script, self._request.patience)
        finally:
            self._held = max(self._held, injection.held_seconds)


def main() -> int:
    """Serve the one request on standard input."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    if os.getsid(0) != os.getpid():
        try:
            os.setsid()
        except PermissionError:
            pass  # it leads its group of processes: started by hand
    Attach(Request(**json.loads(sys.stdin.readline())), sys.stdout).run()
    os._exit(0)  # nothing is left to tidy up, and a broken pipe must not complain


if __name__ == "__main__":
    sys.exit(main())
