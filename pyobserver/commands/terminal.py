"""The terminal that a command was given in: whether there is one, how wide it is, and who ends what is shown there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from .outcome import DONE, INTERRUPTED, UsageError

if TYPE_CHECKING:
    from ..tui.app import ObserverApp


def has_terminal() -> bool:
    """Return whether keys can be read and screens be shown."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def columns() -> int | None:
    """The columns that there are; None in a file, where nothing is to be cut."""
    if os.environ.get("COLUMNS") or (sys.stdout is not None and sys.stdout.isatty()):
        return shutil.get_terminal_size().columns
    return None


def needs_terminal(instead: str) -> None:
    """Refuse what needs a terminal where there is none; `instead` is what would do without one."""
    if not has_terminal():
        raise UsageError(f"the dashboard needs a terminal, and this is none; without one: {instead}")


def shown(app: ObserverApp) -> int:
    """Run an application in the terminal, where Ctrl-C ends a program, and return the exit status."""
    app.interrupt_code = INTERRUPTED

    def leave(number: int, frame: FrameType | None) -> None:
        if not app.is_running:
            interrupt(number, frame)
        app.exit(return_code=128 + number)

    with signals(leave):
        app.run()
    return app.return_code or DONE


@contextlib.contextmanager
def signals(listen: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within this, those who ask us to end are answered by `listen`: what was begun is brought to an end."""
    before = {number: signal.signal(number, listen) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, listener in before.items():
            signal.signal(number, listener)


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, or with the status that tells the signal."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
