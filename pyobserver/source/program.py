"""Starts a program with the agent in it from its first line."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..agent import bundle

_START_SECONDS = 10.0
_LOOK_SECONDS = 0.01

# Runs in the program's process before the program, which then gets the argv, the sys.path and the __main__ that it
# would have had (Modules/main.c: pymain_run_python). The agent's sources are in the last line of this same file, a
# comment, so that they are not kept in memory; the file is removed when the agent is there. Python 3.8 and later.
_LAUNCHER = """\
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
    if hasattr(sys, "orig_argv"):  # what a program starts itself anew with
        at = sys.orig_argv.index(here)
        sys.orig_argv[at:at + 3] = ["-m", name] if kind == "module" else [name]
    sys.argv[:3] = ["-m" if kind == "module" else name]
    kept = ("__name__", "__doc__", "__package__", "__loader__", "__spec__", "__builtins__", "__annotations__")
    for key in list(main):
        if key not in kept:
            del main[key]
    os.unlink(here)
    if kind != "script":
        import runpy
        return runpy._run_module_as_main(name if kind == "module" else "__main__", kind == "module")
    main["__file__"] = os.path.abspath(name) if sys.version_info >= (3, 9) else name
    main["__cached__"] = None
    main["__loader__"] = type(main["__loader__"])("__main__", main["__file__"])
    with open(name, "rb") as file:
        code = compile(file.read(), main["__file__"], "exec", 0, True)
    exec(code, main)


launch()
"""


class ProgramError(Exception):
    """The program could not be started; the text says what, why, and what helps."""


@dataclass(frozen=True)
class Program:
    """A running program; what it prints goes to the file `log`."""

    process: subprocess.Popen[bytes]
    log: Path


def start_program(module: str | None, words: Sequence[str], python: str) -> Program:
    """Start `module`, or the script `words[0]`, with the remaining words as its arguments.

    Returns when the agent is in it, or when it has ended before. The agent stays while no observer is there. Raises
    ProgramError when the interpreter or the script is missing.
    """
    arguments = list(words)
    name = module if module is not None else arguments.pop(0)
    kind = "module" if module is not None else _kind(name)
    handle, launcher = tempfile.mkstemp(prefix="pyobserver-run-", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        script = bundle.script({"method": "preloaded", "linger": None})
        file.write(f"{_LAUNCHER}\n#{script!a}\n")
    handle, log = tempfile.mkstemp(prefix="pyobserver-run-", suffix=".log")
    try:
        with os.fdopen(handle, "wb") as output:
            process = subprocess.Popen(
                [python, launcher, kind, name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        os.unlink(launcher)
        os.unlink(log)
        raise ProgramError(f"{python} could not be started: {error.strerror}; --python names another") from None
    _wait_for_agent(process, launcher)
    return Program(process, Path(log))


def _kind(script: str) -> str:
    """Whether a script is one file, or a folder or an archive with a __main__.py in it."""
    import zipfile

    if os.path.isdir(script) or (os.path.isfile(script) and zipfile.is_zipfile(script)):
        return "archive"
    if not os.path.exists(script):
        raise ProgramError(f"there is no file {script}; for a module use -m")
    return "script"


def _wait_for_agent(process: subprocess.Popen[bytes], launcher: str) -> None:
    """Wait until the launcher has removed itself. An attach before that would find an interpreter that is not up."""
    end = time.monotonic() + _START_SECONDS
    while os.path.exists(launcher) and process.poll() is None and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(launcher)
