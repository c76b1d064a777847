"""Starts a program with the agent in it from its first line."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..agent import bundle

# Runs before the program, in its process: the agent's sources come from a file that is removed as soon as it is read.
# Then the program gets the argv, the sys.path and the __main__ that it would have had.
_LAUNCHER = """
import sys
_path, _kind, _name = sys.argv[1:4]
with open(_path) as _file:
    _source = _file.read()
__import__("os").unlink(_path)
exec(compile(_source, "<pyobserver>", "exec"), {"__name__": "<pyobserver>"})
del _path, _file, _source
import runpy
sys.argv[:] = sys.argv[3:]
if _kind == "module":
    sys.path[0] = __import__("os").getcwd()
    runpy.run_module(_name, run_name="__main__", alter_sys=True)
else:
    sys.path[0] = __import__("os").path.dirname(__import__("os").path.abspath(_name))
    runpy.run_path(_name, run_name="__main__")
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

    The agent stays in it while no observer is there. Raises ProgramError when the interpreter or the script is missing.
    """
    arguments = list(words)
    if module is None:
        script = arguments.pop(0)
        if not Path(script).exists():
            raise ProgramError(f"there is no file {script}; for a module use -m")
        kind, name = "script", script
    else:
        kind, name = "module", module
    handle, source = tempfile.mkstemp(prefix="pyobserver-agent-", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(bundle.script({"method": "preloaded", "linger": None}))
    handle, log = tempfile.mkstemp(prefix="pyobserver-run-", suffix=".log")
    command = [python, "-c", _LAUNCHER, source, kind, name, *arguments]
    try:
        with os.fdopen(handle, "wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
    except OSError as error:
        os.unlink(source)
        os.unlink(log)
        raise ProgramError(f"{python} could not be started: {error.strerror}; --python names another") from None
    return Program(process, Path(log))
