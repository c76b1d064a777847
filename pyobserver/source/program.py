"""Starts a program with the agent in it from its first line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..agent import bundle
from ..protocol.clean import clean
from .heirs import Inheritance

_START_SECONDS = 10.0
_LOOK_SECONDS = 0.01
_END_BYTES = 8192  # of what was printed, to find the last line in
_LINE_LIMIT = 300

# Runs in the program's process before the program, which then gets the argv, the sys.path and the __main__ that it
# would have had (Modules/main.c: pymain_run_python). The agent's sources are in the last line of this same file, a
# comment, so that they are not kept in memory. The file is removed when the agent is there and the program has been
# found: what ends before has not begun. Python 3.8 and later.
_LAUNCHER = """\
def rename(here, words):
    # Lists of processes show the memory from arg_start to arg_end, fields 48 and 49 of /proc/PID/stat, see proc(5).
    with open("/proc/self/stat") as file:
        start, end = map(int, file.read().rpartition(")")[2].split()[45:47])
    with open("/proc/self/cmdline", "rb") as file:
        command = file.read().split(b"\\0")
    at = command.index(here)
    command[at:at + 3] = words
    text = b"\\0".join(command)
    if len(text) <= end - start:
        with open("/proc/self/mem", "r+b", 0) as file:
            file.seek(start)
            file.write(text.ljust(end - start, b"\\0"))


def launch():
    import os, sys
    main = sys.modules["__main__"].__dict__
    here, kind, name = sys.argv[:3]
    try:
        with open(here) as file:
            source = eval(file.read().rstrip().rpartition("\\n#")[2])
        exec(compile(source, "<pyobserver>", "exec", 0, True), {"__name__": "<pyobserver>"})
    except BaseException as error:
        print("pyobserver: the agent could not begin: %s: %s" % (type(error).__name__, error), file=sys.stderr)
    source = None
    has_folder = bool(sys.path) and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(here))
    folder = os.getcwd() if kind == "module" else name
    if kind == "script":
        folder = os.path.dirname(os.path.realpath(name))
    if has_folder:
        sys.path[0] = folder
    elif kind == "archive":
        sys.path.insert(0, folder)
    words = ["-m", name] if kind == "module" else [name]
    if hasattr(sys, "orig_argv"):  # what a program starts itself anew with
        at = sys.orig_argv.index(here)
        sys.orig_argv[at:at + 3] = words
    try:
        rename(os.fsencode(here), [os.fsencode(word) for word in words])
    except (OSError, ValueError):
        pass  # lists of processes show the launcher
    sys.argv[:3] = ["-m" if kind == "module" else name]
    kept = ("__name__", "__doc__", "__package__", "__loader__", "__spec__", "__builtins__", "__annotations__")
    for key in list(main):
        if key not in kept:
            del main[key]

    def begin():
        try:
            os.unlink(here)
        except FileNotFoundError:
            pass  # nobody waits for it any more

    if kind != "script":
        import runpy
        from importlib.util import find_spec
        try:
            there = kind == "archive" or find_spec(name.partition(".")[0]) is not None
        except (ImportError, ValueError):
            there = False
        if there:
            begin()
        return runpy._run_module_as_main(name if kind == "module" else "__main__", kind == "module")
    main["__file__"] = os.path.abspath(name) if sys.version_info >= (3, 9) else name
    main["__cached__"] = None
    main["__loader__"] = type(main["__loader__"])("__main__", main["__file__"])
    with open(name, "rb") as file:
        code = compile(file.read(), main["__file__"], "exec", 0, True)
    begin()
    exec(code, main)


launch()
"""


class ProgramError(Exception):
    """The program could not be started; the text says what, why, and what helps."""


@dataclass(frozen=True)
class Program:
    """A program that was started; what it prints goes to the file `log`.

    It has `begun` unless it ended before its first line: there is no such module, or the text is no Python.
    """

    process: subprocess.Popen[bytes]
    log: Path
    begun: bool = True
    inheritance: Inheritance | None = None  # where its children have the agent as well

    def last_line(self) -> str:
        """Return the last line that it has printed, which for a program that failed says why; "" when there is none."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, os.path.getsize(self.log) - _END_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
            return clean(lines[-1].strip(), _LINE_LIMIT) if lines else ""
        return ""

    def tidy(self) -> None:
        """Take away what its children would look at: it has ended, and starts none any more."""
        if self.inheritance is not None:
            self.inheritance.remove()

    def ending(self) -> str:
        """Return how it has ended, as a sentence goes on after "it has"; "" while it runs."""
        status = self.process.poll()
        if status is None:
            return ""
        if status >= 0:
            return f"ended with status {status}"
        try:
            return f"been ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"been ended by signal {-status}"


def start_program(module: str | None, words: Sequence[str], python: str, children: bool = False) -> Program:
    """Start `module`, or the script `words[0]`, with the remaining words as its arguments.

    With `children` the Python processes that it starts have the agent as well. Returns when the agent is in it, or when
    it has ended before. The agent stays while no observer is there. Raises ProgramError when the interpreter or the
    script is missing.
    """
    arguments = list(words)
    name = module if module is not None else arguments.pop(0)
    kind = "module" if module is not None else _kind(name)
    handle, launcher = tempfile.mkstemp(prefix="pyobserver-run-", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        script = bundle.script({"method": "preloaded", "linger": None})
        file.write(f"{_LAUNCHER}\n#{script!a}\n")
    inheritance = Inheritance() if children else None
    handle, log = tempfile.mkstemp(prefix="pyobserver-run-", suffix=".log")
    try:
        with os.fdopen(handle, "wb") as output:
            process = subprocess.Popen(
                [python, launcher, kind, name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=inheritance.environment() if inheritance else None,
            )
    except OSError as error:
        os.unlink(launcher)
        os.unlink(log)
        if inheritance:
            inheritance.remove()
        raise ProgramError(f"{python} could not be started: {error.strerror}; --python names another") from None
    begun = _wait_for_agent(process, launcher)
    return Program(process, Path(log), begun, inheritance)


def _kind(script: str) -> str:
    """Whether a script is one file, or a folder or an archive with a __main__.py in it."""
    import zipfile

    if os.path.isdir(script):
        names = os.listdir(script)
    elif os.path.isfile(script) and zipfile.is_zipfile(script):
        with zipfile.ZipFile(script) as archive:
            names = archive.namelist()
    elif os.path.exists(script):
        return "script"
    else:
        raise ProgramError(f"there is no file {script}; for a module use -m")
    if not {"__main__.py", "__main__.pyc"} & set(names):
        raise ProgramError(f"there is no __main__.py in {script}; name the file to run, or a module with -m")
    return "archive"


def _wait_for_agent(process: subprocess.Popen[bytes], launcher: str) -> bool:
    """Wait until the launcher has removed itself, and return whether the program has begun, or may still begin.

    An attach before that would find an interpreter that is not up.
    """
    end = time.monotonic() + _START_SECONDS
    has_ended = False
    while os.path.exists(launcher) and not has_ended and time.monotonic() < end:
        has_ended = process.poll() is not None
        time.sleep(_LOOK_SECONDS)
    begun = not (has_ended and os.path.exists(launcher))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(launcher)
    return begun
