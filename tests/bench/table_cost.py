"""What the table costs at 100,000 rows: a refresh beside Textual's DataTable, and how soon a key is seen meanwhile.

Both tables show the same rows in the same columns on a screen of the same size. Between two refreshes every row has
another value in the column that is sorted by; ours is given the new arrays, the DataTable the cells that have changed
(and, as the other way to do it, all rows anew). Costs are processor time, as the machine may be busy.

Then the whole dashboard runs in a terminal of its own on 100,000 tasks with a reading each second, and keys are pressed
at random moments: from the arrival of a key to the end of the writing of the picture that shows the cursor on its new
line.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import random
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable

from textual._time import get_time
from textual.app import App, ComposeResult
from textual.events import Event, Key
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import DataTable

from pyobserver.analysis.format import bytes_text
from pyobserver.model.store import Snapshot
from pyobserver.source.fake import FakeSource, source_in_real_time
from pyobserver.source.story import Story
from pyobserver.tui.app import ObserverApp
from pyobserver.tui.tabs.singles import COLUMNS, SingleTable, TaskLines
from pyobserver.tui.view import View
from pyobserver.tui.widgets import VirtualTable

ROWS = 100_000
SIZE = (140, 40)
ROUNDS = 5  # of ours; the DataTable gets one, as it takes that long
LEAST_RATIO = 20.0  # how many times cheaper than the DataTable a refresh must be
KEYS = 300
PAUSES = (0.02, 0.12)  # seconds between two keys, at random
SECONDS_TO_OPEN = 120.0


# -- a refresh, side by side ---------------------------------------------------------------------------------------


class Alone(App[None]):
    """One widget and nothing else."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget

    def compose(self) -> ComposeResult:
        yield self.widget


def snapshots(rows: int, number: int) -> list[Snapshot]:
    """Readings of a service in which every task retains something else each time."""
    source = FakeSource(Story(tasks=rows, restless=True, payload=10_000, per_minute=0.0), churn=1.0)
    source.step()
    found = [source.store.snapshot()]
    while len(found) < number:
        source.play(2.0, 2.0)
        found.append(source.store.snapshot())
    return found


async def processor_time(pilot: Pilot[None], work: Callable[[], object]) -> float:
    """Milliseconds of processor time until what `work` has changed is painted."""
    await pilot.pause()
    begun = time.process_time()
    work()
    await pilot.pause()
    return (time.process_time() - begun) * 1000


async def ours(taken: list[Snapshot]) -> float:
    """The median cost of a refresh of our table: matching, ordering and painting."""
    table = SingleTable()
    async with Alone(table).run_test(size=SIZE) as pilot:
        costs = []
        for snapshot in taken:
            costs.append(await processor_time(pilot, lambda at=snapshot: table.present(at, View(), "")))  # type: ignore[misc]
        assert len(table.lines) == len(taken[-1].tasks)
    return statistics.median(costs[1:])


def texts(snapshot: Snapshot) -> list[list[str]]:
    """Every cell of every row, which is what the DataTable keeps."""
    lines = TaskLines(snapshot.tasks, snapshot.tasks["id"].argsort(), COLUMNS["value"])
    cells = ([cell if isinstance(cell, str) else cell[0] for cell in lines.cells(i)] for i in range(len(lines)))
    return list(cells)


async def theirs(taken: list[Snapshot]) -> dict[str, float]:
    """The costs of Textual's DataTable, by what is done."""
    columns = COLUMNS["value"]
    memory = next(i for i, column in enumerate(columns) if column.key == "memory")
    before, after = texts(taken[0]), texts(taken[1])
    sizes = {bytes_text(n): n for n in range(20_000)}
    table: DataTable[str] = DataTable()
    costs = {}
    async with Alone(table).run_test(size=SIZE) as pilot:
        for column in columns:
            table.add_column(column.label, key=column.key)

        def fill(rows: list[list[str]]) -> None:
            table.clear()
            for number, row in enumerate(rows):
                table.add_row(*row, key=str(number))

        def change() -> None:
            for number, row in enumerate(after):
                if row[memory] != before[number][memory]:
                    table.update_cell(str(number), "memory", row[memory])
            table.sort("memory", key=lambda text: sizes.get(text, 0), reverse=True)

        costs["first filling"] = await processor_time(pilot, lambda: fill(before))
        costs["changed cells, sorted"] = await processor_time(pilot, change)
        costs["all rows anew"] = await processor_time(pilot, lambda: fill(after))
    return costs


async def side_by_side(rows: int) -> float:
    """Prints the costs at a number of rows; returns how many times dearer the DataTable's cheapest refresh is."""
    taken = snapshots(rows, ROUNDS + 1)
    cost = await ours(taken)
    print(f"{rows:,} rows\n  ours                                {cost:10.1f} ms")
    others = await theirs(taken)
    for name, other in others.items():
        print(f"  DataTable, {name:24} {other:10.1f} ms, x{other / cost:.0f}")
    return min(others["changed cells, sorted"], others["all rows anew"]) / cost


# -- from a key to the picture ---------------------------------------------------------------------------------------


class Timed(ObserverApp):
    """Notes for each key when it came and when the picture with the cursor on its new line had been written."""

    def __init__(self) -> None:
        super().__init__(source_in_real_time(Story(tasks=ROWS, payload=10_000, per_minute=60.0)), tab="tasks")
        self.came: list[float] = []
        self.seen: set[float] = set()
        self.latencies: list[float] = []
        self.refreshes: list[float] = []
        self.is_cursor_painted = False
        usual = VirtualTable.paint

        def paint(table: VirtualTable, line: int, is_cursor: bool) -> object:
            self.is_cursor_painted |= is_cursor
            return usual(table, line, is_cursor)

        VirtualTable.paint = paint  # type: ignore[method-assign,assignment]

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


def timed() -> None:
    """What the child process runs: the dashboard until q, then its notes as one line."""
    app = Timed()
    app.run()
    print("NOTES" + json.dumps({"latencies": app.latencies, "refreshes": app.refreshes}), flush=True)


class Terminal:
    """The other side of the child's terminal."""

    def __init__(self) -> None:
        self.file, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        code = "from tests.bench.table_cost import timed; timed()"
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


def keys_while_refreshing() -> dict[str, list[float]]:
    """Presses keys in the dashboard on 100,000 tasks, and returns its notes, in seconds."""
    at_random = random.Random(1)
    terminal = Terminal()
    terminal.read_until(b"push_hash")
    terminal.press(b"g")
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


def main() -> int:
    """Measures both; 1 when a refresh of ours is not far cheaper than the DataTable's."""
    run: Callable[[Awaitable[float]], float] = asyncio.run  # type: ignore[assignment]
    run(side_by_side(ROWS // 10))
    ratio = run(side_by_side(ROWS))
    print(f"keys in the dashboard on {ROWS:,} tasks, a reading each second")
    notes = keys_while_refreshing()
    quantiles("from a key to its picture", notes["latencies"])
    quantiles("taking and showing a reading", notes["refreshes"])
    return 0 if ratio >= LEAST_RATIO else 1
