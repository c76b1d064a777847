"""The stacks of a process's threads, by py-spy: also when the process answers nobody, or is stuck.

py-spy 0.4 reads the stacks of CPython 3.8 to 3.15 without stopping the process (`--nonblocking`), at the risk of a
frame that was gone when it was read. Native frames need the process stopped for some ten milliseconds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..model.readings import Frame, ThreadStack
from ..protocol.clean import clean, clean_tail
from .errors import OutsideError
from .lifeline import Lifeline
from .remote import Forbidden, RemoteMemory, Torn
from .threads import OsThread, os_threads

_TIMEOUT = 5.0  # seconds for one run of py-spy
_LARGEST_OUTPUT = 64 << 20
_NAME_LIMIT = 200
_PATH_LIMIT = 500
_FRAMES = 500  # kept of one stack, innermost first
_NATIVE_SUFFIXES = (".so", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".rs", ".pyx", ".S", ".s")
_PTHREAD_TID = 0x2D0  # offsetof(struct pthread, tid), glibc nptl/descr.h on x86-64


class StackProbe:
    """Reads the stacks of one process.

    After `read`, `unavailable` is None, or why there are no frames; `cost_seconds` is how long it took, which with
    native frames bounds how long the process was stopped.
    """

    def __init__(self, pid: int, timeout: float = _TIMEOUT, executable: str | None = None) -> None:
        self.pid = pid
        self.unavailable: str | None = None
        self.cost_seconds = 0.0
        self._timeout = timeout
        self._executable = executable
        self._lifeline = Lifeline(pid)
        self._memory = RemoteMemory(pid)

    def __enter__(self) -> StackProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._lifeline.close()

    def read(self, native: bool = False) -> tuple[ThreadStack, ...]:
        """All threads, the main thread first, with their stacks as far as these can be read.

        `native` adds the frames of C code and stops the process meanwhile. Raises `TargetGone` when it has ended.
        """
        began = time.perf_counter()
        dump: list[dict[str, Any]] = []
        self.unavailable = None
        try:
            dump = self._dump(native)
        except OutsideError as error:
            self._lifeline.check()
            self.unavailable = f"not available: {error}"
        stacks = self._joined(dump, os_threads(self._lifeline))
        self.cost_seconds = time.perf_counter() - began
        return stacks

    def _dump(self, native: bool) -> list[dict[str, Any]]:
        """What py-spy says. Raises `OutsideError` with its reason when it says nothing."""
        executable = self._executable or py_spy()
        if executable is None:
            raise OutsideError("py-spy is not installed", help="pip install py-spy")
        command = [executable, "dump", "--pid", str(self.pid), "--json", "--full-filenames"]
        command.append("--native" if native else "--nonblocking")
        stopped = self._state() in "Tt"
        if native and stopped:
            raise OutsideError("native frames", "the process is stopped", "continue it with SIGCONT")
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            self._run(command, out.fileno(), err.fileno(), wake=native and not stopped)
            text, problem = _content(out.fileno(), _LARGEST_OUTPUT), _content(err.fileno(), 1 << 16)
        try:
            threads = json.loads(text)
        except ValueError:
            raise OutsideError("py-spy", _first_error(problem.decode("utf-8", "replace"))) from None
        return [thread for thread in threads if isinstance(thread, dict)] if isinstance(threads, list) else []

    def _run(self, command: list[str], out: int, err: int, *, wake: bool) -> None:
        """Run py-spy for at most the timeout; if it had stopped the process when it was killed, let that go on."""
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        except OSError as error:
            raise OutsideError("py-spy cannot be run", error.strerror or str(error)) from None
        try:
            process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            raise OutsideError("py-spy", f"gave no answer within {self._timeout:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
                if wake and self._state() == "T":
                    os.kill(self.pid, signal.SIGCONT)

    def _state(self) -> str:
        return self._lifeline.read("stat").rpartition(b")")[2].split()[0].decode("ascii", "replace")

    def _joined(self, dump: Iterable[dict[str, Any]], threads: tuple[OsThread, ...]) -> tuple[ThreadStack, ...]:
        """The Python threads of py-spy with what the kernel knows of them, then the threads without Python."""
        rest = {thread.thread_id: thread for thread in threads}
        numbers = frozenset(rest)
        found = []
        for entry in dump:
            number = self._thread_id(entry, numbers)
            found.append(_stack(entry, number, rest.pop(number, None) if number is not None else None))
        found += [_bare(thread) for thread in rest.values()]
        return tuple(sorted(found, key=lambda stack: (stack.thread_id != self.pid, stack.thread_id or 1 << 62)))

    def _thread_id(self, entry: dict[str, Any], numbers: frozenset[int]) -> int | None:
        """The kernel's number of a thread. Where py-spy does not know it, glibc's descriptor of the thread does."""
        number, ident = entry.get("os_thread_id"), entry.get("thread_id")
        if isinstance(number, int):
            return number
        if not isinstance(ident, int) or not 0x1000 < ident < 1 << 47:
            return None
        try:
            number = int.from_bytes(self._memory.read(ident + _PTHREAD_TID, 4), "little")
        except (Torn, Forbidden):
            return None
        return number if number in numbers else None


def py_spy() -> str | None:
    """The executable of py-spy: beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


def _stack(entry: dict[str, Any], number: int | None, thread: OsThread | None) -> ThreadStack:
    name = entry.get("thread_name")
    ident = entry.get("thread_id")
    frames = entry.get("frames")
    known = entry.get("os_thread_id") is not None or thread is None
    return ThreadStack(
        thread_id=number,
        ident=ident if isinstance(ident, int) else None,
        name=clean(str(name), _NAME_LIMIT) if name else thread.name if thread else "",
        active=bool(entry.get("active")) if known else thread is not None and thread.state == "R",
        owns_gil=bool(entry.get("owns_gil")),
        frames=tuple(_frame(frame) for frame in frames[:_FRAMES]) if isinstance(frames, list) else (),
        state=thread.state if thread else None,
        cpu_seconds=thread.cpu_seconds if thread else None,
        system_call=thread.system_call if thread else None,
    )


def _bare(thread: OsThread) -> ThreadStack:
    return ThreadStack(
        thread_id=thread.thread_id,
        ident=None,
        name=thread.name,
        active=thread.state == "R",
        owns_gil=False,
        frames=(),
        state=thread.state,
        cpu_seconds=thread.cpu_seconds,
        system_call=thread.system_call,
    )


def _frame(frame: Any) -> Frame:
    """One frame of py-spy's answer. It names the module (a mapped file) of native frames only."""
    fields = frame if isinstance(frame, dict) else {}
    file, line = str(fields.get("filename") or ""), fields.get("line")
    return Frame(
        function=clean_tail(str(fields.get("name") or "?"), _NAME_LIMIT),
        file=clean_tail(file, _PATH_LIMIT),
        line=line if isinstance(line, int) else 0,
        native=bool(fields.get("module")) or file.endswith(_NATIVE_SUFFIXES),
    )


def _content(fd: int, limit: int) -> bytes:
    size = os.fstat(fd).st_size
    return b"" if size > limit else os.pread(fd, size, 0)


def _first_error(text: str) -> str:
    """What py-spy says before its backtrace: the error, and its causes ("0: Permission denied") each once."""
    lines = [line.strip() for line in text.split("Stack backtrace")[0].splitlines()]
    lines = [re.sub(r"^(?:Error|\d+): ", "", line) for line in lines if line and line not in ("Caused by:", "Reason:")]
    return clean("; ".join(list(dict.fromkeys(lines))[:3]), _NAME_LIMIT * 2) or "gave no answer"
