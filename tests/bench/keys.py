"""How soon a key is seen: the whole dashboard in a terminal of its own, with a reading each second.

From the arrival of a key to the end of the writing of the picture that shows the cursor on its new line.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import pty
import random
import select
import struct
import subprocess
import sys
import termios
import time

from textual._time import get_time
from textual.events import Event, Key
from textual.screen import Screen

from pyobserver.source.base import Source
from pyobserver.tui.app import ObserverApp
from pyobserver.tui.widgets.virtual_list import VirtualList

SIZE = (140, 40)
KEYS = 300
PAUSES = (0.02, 0.12)  # seconds between two keys, at random
SECONDS_TO_OPEN = 120.0


class Timed(ObserverApp):
    """Notes for each key when it came and when the picture with the cursor on its new line had been written."""

    def __init__(self, source: Source, tab: str, widget: type[VirtualList]) -> None:
        super().__init__(source, tab=tab)
        self.came: list[float] = []
        self.seen: set[float] = set()
        self.latencies: list[float] = []
        self.refreshes: list[float] = []
        self.is_cursor_painted = False
        usual = widget.paint

        def paint(one: VirtualList, line: int, is_cursor: bool) -> object:
            self.is_cursor_painted |= is_cursor
            return usual(one, line, is_cursor)

        widget.paint = paint  # type: ignore[method-assign,assignment]

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key) and event.key in ("down", "up") and event.time not in self.seen:
            self.seen.add(event.time)  # it comes by once more when nothing below has stopped it
            self.came.append(event.time)
            self.is_cursor_painted = False
        await super().on_event(event)

    def _display(self, screen: Screen[object], renderable: object) -> None:
        super()._display(screen, renderable)  # type: ignore[arg-type]
        if self.is_cursor_painted and self.came:
            self.latencies += [get_time() - at for at in self.came]
            self.came.clear()

    def refresh_now(self) -> None:
        begun = time.perf_counter()
        super().refresh_now()
        self.refreshes.append(time.perf_counter() - begun)


def timed(made_by: str) -> None:
    """What the child process runs: the dashboard that a function makes until q, then its notes as one line."""
    module, _, function = made_by.rpartition(".")
    app: Timed = getattr(importlib.import_module(module), function)()
    app.run()
    print("NOTES" + json.dumps({"latencies": app.latencies, "refreshes": app.refreshes}), flush=True)


class Terminal:
    """The other side of the child's terminal."""

    def __init__(self, made_by: str) -> None:
        self.file, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        code = f"from tests.bench.keys import timed; timed({made_by!r})"
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(SIZE[0]), "LINES": str(SIZE[1])}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        self.output = b""

    def read(self, seconds: float) -> None:
        """Take what is written for some seconds, as a terminal does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.file], [], [], left)[0]:
                try:
                    self.output += os.read(self.file, 1 << 16)
                except OSError:  # it has ended
                    return

    def read_until(self, part: bytes) -> None:
        """Take what is written until this is in it."""
        end = time.monotonic() + SECONDS_TO_OPEN
        while part not in self.output:
            assert time.monotonic() < end, self.output[-2000:]
            self.read(0.05)

    def press(self, keys: bytes) -> None:
        os.write(self.file, keys)


def keys_while_refreshing(made_by: str, is_there: bytes, first: bytes) -> dict[str, list[float]]:
    """Opens the dashboard that a function makes, presses keys once something is there, and returns its notes: seconds.

    The `first` ones lead to what is looked at; those that follow move the cursor up and down at random moments.
    """
    at_random = random.Random(1)
    terminal = Terminal(made_by)
    terminal.read_until(is_there)
    terminal.press(first)
    terminal.read(3.0)
    for _ in range(KEYS):
        terminal.press(at_random.choice([b"\x1b[B", b"\x1b[B", b"\x1b[A"]))
        terminal.read(at_random.uniform(*PAUSES))
    terminal.read(1.0)
    terminal.press(b"q")
    terminal.read_until(b"NOTES")
    terminal.read(0.5)
    terminal.process.wait(SECONDS_TO_OPEN)
    notes: dict[str, list[float]] = json.loads(terminal.output.rsplit(b"NOTES", 1)[1].split(b"\n", 1)[0])
    return notes


def quantiles(name: str, seconds: list[float]) -> None:
    """One line with the middle, the slow ones and the slowest, in milliseconds."""
    values = sorted(value * 1000 for value in seconds)
    p50, p99 = values[len(values) // 2], values[min(len(values) - 1, int(len(values) * 0.99))]
    print(f"  {name:36} p50 {p50:6.1f} ms, p99 {p99:6.1f} ms, longest {values[-1]:6.1f} ms ({len(values)})")
