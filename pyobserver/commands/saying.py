"""What a command says beside its output: on standard error, a line at a time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable


def say(line: str) -> None:
    """Say something on standard error; who has closed that does not want to know."""
    with contextlib.suppress(OSError, ValueError):
        print(f"pyobserver: {line}", file=sys.stderr, flush=True)


def say_once() -> Callable[[str], None]:
    """Like `say`, but what is said again is not repeated."""
    last = ""

    def once(line: str) -> None:
        nonlocal last
        if line != last:
            say(line)
        last = line

    return once


def passing(text: str) -> None:
    """Show on a terminal what is being done, in a line that the next one replaces."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
