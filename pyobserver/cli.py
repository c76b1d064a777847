"""The command line: which command it is, and what comes of it.

Exit status: 0 done, 1 report has found something or compare something that grows, 2 it could not be done (one line on
standard error says what, why, and what would help).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from .commands.outcome import DONE, FAILED, INTERRUPTED
from .commands.saying import say

COMMANDS = {  # in which module of `commands` the function of that name is: each is loaded when it is asked for
    "pick": "watching",
    "attach": "watching",
    "run": "watching",
    "demo": "watching",
    "detach": "watching",
    "ps": "reading",
    "snapshot": "reading",
    "report": "reading",
    "record": "recordings",
    "replay": "recordings",
    "compare": "recordings",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. No traceback reaches the user."""
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _drop_output()
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        _drop_output()
        return DONE
    except Exception as error:
        if os.environ.get("PYOBSERVER_DEBUG"):
            raise
        _drop_output()
        say(_one_line(error))
        return FAILED


def _run(arguments: Sequence[str] | None) -> int:
    from .arguments import parse

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows another
            stream.reconfigure(errors="replace")
    options = parse(arguments)
    return command(options.command)(options)


def command(name: str) -> Callable[[argparse.Namespace], int]:
    """Load a command: it takes the options and returns the exit status."""
    module = importlib.import_module(f".commands.{COMMANDS[name]}", __package__)
    function: Callable[[argparse.Namespace], int] = getattr(module, name)
    return function


def _drop_output() -> None:
    """What is still to be written goes nowhere: at the end of the interpreter it would fail once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, sys.stdout.fileno())
        os.close(handle)


def _one_line(error: Exception) -> str:
    from .protocol.clean import clean

    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = ": ".join(str(part) for part in (error.filename, error.strerror) if part is not None)
    text = " ".join(said.split()) or type(error).__name__
    expected = isinstance(error, OSError) or type(error).__module__.startswith("pyobserver.")
    if not expected:
        text = f"internal error: {type(error).__name__}: {text}; PYOBSERVER_DEBUG=1 shows where"
    return clean(text, 1000)
