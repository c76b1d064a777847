"""What the chart of the memory costs in processor time with 24 hours of history: six areas that add up, or five lines.

From the curves in the history to finished lines of text, at the sizes of a small and of a large terminal.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story
from pyobserver.tui.tabs.memory import chart_view
from pyobserver.tui.view import View
from pyobserver.tui.widgets.chart_engine import PlotextEngine
from pyobserver.tui.widgets.chart_picture import compose_chart

DAY = 24 * 3600.0
SIZES = ((80, 8), (118, 18), (240, 50))
ROUNDS = 21
MOST_MS = 50.0  # for a picture, at any size


def cost(source: FakeSource, view: View, size: tuple[int, int]) -> tuple[float, float]:
    """The median of the milliseconds of processor time for one picture, and the most that a tenth of them take."""
    snapshot = source.store.snapshot()
    engine = PlotextEngine()
    taken = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        compose_chart(chart_view(snapshot, view), *size, engine)
        taken.append((time.process_time() - begun) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=10)[-1]


def main() -> int:
    """Prints the costs; 1 when a picture costs more than a twentieth of a second."""
    source = FakeSource(Story(per_minute=0.25))  # it was small a day ago, and not less than nothing
    source.remember(DAY)
    source.play(60)
    worst = 0.0
    for window in (600.0, DAY):
        points = len(chart_view(source.store.snapshot(), View(window=window)).series[0].xs)
        for size in SIZES:
            view = View(window=window)
            areas, lines = cost(source, view, size), cost(source, replace(view, areas=False), size)
            worst = max(worst, areas[0], lines[0])
            where = f"window {window / 3600:5.2f} h, {points} points a series, {size[0]} x {size[1]}"
            told = [f"{usual:5.1f} ms (to {high:5.1f})" for usual, high in (areas, lines)]
            print(f"  {where:52} areas {told[0]}, lines {told[1]}")
    return int(worst > MOST_MS)
