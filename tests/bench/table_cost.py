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
import statistics
import time
from collections.abc import Awaitable, Callable

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import DataTable

from pyobserver.analysis.format import bytes_text
from pyobserver.model.snapshot import Snapshot
from pyobserver.source.fake import FakeSource, source_in_real_time
from pyobserver.source.story import Story
from pyobserver.tui.tabs.singles import COLUMNS, SingleTable, TaskLines
from pyobserver.tui.view import View
from pyobserver.tui.widgets import VirtualTable

from .keys import SIZE, Timed, keys_while_refreshing, quantiles

ROWS = 100_000
ROUNDS = 5  # of ours; the DataTable gets one, as it takes that long
LEAST_RATIO = 20.0  # how many times cheaper than the DataTable a refresh must be


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


def dashboard() -> Timed:
    """The dashboard on so many tasks, in real time."""
    source = source_in_real_time(Story(tasks=ROWS, payload=10_000, per_minute=60.0))
    return Timed(source, "tasks", VirtualTable)


def main() -> int:
    """Measures both; 1 when a refresh of ours is not far cheaper than the DataTable's."""
    run: Callable[[Awaitable[float]], float] = asyncio.run  # type: ignore[assignment]
    run(side_by_side(ROWS // 10))
    ratio = run(side_by_side(ROWS))
    print(f"keys in the dashboard on {ROWS:,} tasks, a reading each second")
    notes = keys_while_refreshing(f"{__name__}.dashboard", b"push_hash", b"g")
    quantiles("from a key to its picture", notes["latencies"])
    quantiles("taking and showing a reading", notes["refreshes"])
    return 0 if ratio >= LEAST_RATIO else 1
