"""What really goes to a terminal: colours only where they are wanted, and nothing that a name has smuggled in."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PROGRAM = """
from pyobserver.source.fake import source_in_real_time
from pyobserver.source.story import Story
from pyobserver.tui.app import ObserverApp
source = source_in_real_time(Story(tasks=40, hostile={hostile}))
ObserverApp(source).run()
print("left with", threading.active_count(), "thread")
"""
DEADLINE = 60.0
COLOURED = re.compile(rb"[34]8;2;(\d+);(\d+);(\d+)")


class Terminal:
    """A terminal of 100 columns and 30 lines, and the program in it."""

    def __init__(self, file: int, process: subprocess.Popen[bytes]) -> None:
        self.file = file
        self.process = process
        self.output = b""

    def read_until(self, part: str) -> None:
        """Take in what is written until this is in it."""
        deadline = time.monotonic() + DEADLINE
        while part.encode() not in self.output:
            left = deadline - time.monotonic()
            assert left > 0, f"{part!r} did not come: {self.output[-2000:]!r}"
            if select.select([self.file], [], [], left)[0]:
                try:
                    self.output += os.read(self.file, 1 << 16)
                except OSError:
                    raise AssertionError(f"it has ended before {part!r}: {self.output[-2000:]!r}") from None

    def press(self, keys: str) -> None:
        os.write(self.file, keys.encode())


@contextmanager
def terminal(hostile: bool = False, **environment: str) -> Iterator[Terminal]:
    """Runs the dashboard in a terminal of its own; afterwards it must have ended well."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-c", "import threading\n" + PROGRAM.format(hostile=hostile)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    opened = Terminal(ours, process)
    try:
        yield opened
        opened.press("q")
        opened.read_until("left with")
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize("term", ["dumb", "vt100", "linux", "xterm"])
def test_simple_terminals(term: str) -> None:
    """The dashboard opens, shows its tabs, and leaves."""
    with terminal(TERM=term) as opened:
        opened.read_until("connected")
        opened.press("3")
        opened.read_until("push_hash")


def test_no_color() -> None:
    """Only greys reach the terminal; marks are signs."""
    with terminal(NO_COLOR="1", COLORTERM="truecolor") as opened:
        opened.read_until("▲")
        opened.read_until("connected")
        opened.press("3")
        opened.read_until("push_hash")
        coloured = {match for match in COLOURED.findall(opened.output) if len(set(match)) > 1}
        assert not coloured


def test_colours() -> None:
    """Without that wish there are some, so that the test above can fail."""
    with terminal(COLORTERM="truecolor") as opened:
        opened.read_until("connected")
        assert {match for match in COLOURED.findall(opened.output) if len(set(match)) > 1}


def test_names_cannot_command_the_terminal() -> None:
    """The window is not renamed by a task, on whichever tab it is shown."""
    with terminal(hostile=True) as opened:
        for keys, part in (("3", "red"), ("g", "pid 4720"), ("4", "right to left"), ("\r", "rudder")):
            opened.press(keys)
            opened.read_until(part)
        assert b"owned" in opened.output
        assert b"\x1b]0;owned" not in opened.output
        assert b"\x1b[31mred" not in opened.output
        assert "\u202e".encode() not in opened.output
