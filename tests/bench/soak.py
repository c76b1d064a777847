"""Hours of a busy service, played through the store and everything that the screens ask of it: memory must stay flat.

The service replaces all its tasks every few seconds, its agent is replaced now and then, children and texts come and
go, and the user sets a baseline now and then. Time is made up, so hours pass in a minute or two. The histories fill up
for a day, to a bound; what they hold is known to the byte and is taken off, and the rest must stay what it was.
"""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from pathlib import Path

from pyobserver.analysis.allocators import allocator_rows, chart_lines
from pyobserver.analysis.findings import verdict
from pyobserver.analysis.groups import group_rows, sort_groups
from pyobserver.analysis.ordering import order
from pyobserver.analysis.supervision import tree
from pyobserver.export.document import document
from pyobserver.export.text import text
from pyobserver.model.readings import ChildProcess
from pyobserver.model.store import Store
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story

HOURS = 2
POINTS = 6  # of each hour
SETTLED = 7  # points until all texts and children have been seen once
SLACK = 200_000  # bytes that the rest may be more at the end than once it has settled: 60 for each update
WINDOWS = (60.0, 600.0, 7200.0, 86_400.0)


def resident() -> int:
    """The resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def in_histories(store: Store) -> int:
    """The bytes of the readings that are kept: they fill up for a day, and have a bound that tests check."""
    series = store.history._series.values()
    return sum(tier._cells.nbytes for each in series for tier in each._tiers)


def look(store: Store, r: random.Random) -> None:
    """What the screens and the reports ask for, of one snapshot."""
    snapshot, window = store.snapshot(), r.choice(WINDOWS)
    allocator_rows(snapshot, window)
    chart_lines(snapshot, window)
    sort_groups(group_rows(snapshot, window), "memory", True)
    order(snapshot.tasks, r.choice(["memory", "name", "where", "growth"]), True)
    shown = tree(snapshot, window, r.choice(["bytes", "growth", "count"]))
    for key in shown.children(shown.roots()[0]):
        shown.node(key)
    verdict(snapshot)
    if r.random() < 0.02:
        document(snapshot)
        text(snapshot)


def disturb(source: FakeSource, second: int, r: random.Random) -> None:
    """What happens now and then: other children and texts, problems, a baseline, an agent that is replaced."""
    store = source.store
    if second % 7 == 0:
        now = source.clock()
        command = ("python3", "-m", f"job{second % 500}")
        jobs = [ChildProcess(10_000 + second + i, now, command, 10**6, 0.1, "S", True) for i in range(3)]
        store.set_children([*source.story.children(), *jobs])
    if second % 60 == 0:
        store.add_problem(f"problem {r.randrange(1000)}")
    if second % 600 == 0:
        store.set_baseline()
    if second % 1500 == 1499:
        source._greeted, source._spawned = False, (0, 0)


def main() -> int:
    """Plays; 1 when anything beside the histories grows."""
    r = random.Random(1)
    tracemalloc.start()
    source = FakeSource(Story(tasks=300, fixed=True, restless=True), churn=0.2)
    points: list[int] = []
    begun, resident_before = time.monotonic(), resident()
    step = 3600 // POINTS
    print(f"{HOURS} hours of a service that replaces its 300 tasks every 20 seconds")
    for second in range(1, HOURS * 3600 + 1):
        source.play(1.0)
        disturb(source, second, r)
        if second % 5 == 0:
            look(source.store, r)
        if second % step == 0:
            gc.collect()
            kept, held = in_histories(source.store), tracemalloc.get_traced_memory()[0]
            points.append(held - kept)
            tasks = source.store.snapshot().tasks
            print(
                f"  after {second / 60:4.0f} min: {held / 1e6:6.2f} MB by Python's own count, {kept / 1e6:5.2f} of it "
                f"histories; RSS {(resident() - resident_before) / 1e6:+6.1f} MB since the start; {len(tasks)} rows, "
                f"{len(tasks.texts)} texts",
                flush=True,
            )
            del tasks
    settled, end = points[SETTLED - 1], max(points[SETTLED:])
    print(
        f"beside the histories {settled / 1e6:.2f} MB once settled, at most {end / 1e6:.2f} MB after that, "
        f"{SLACK / 1e6:.1f} MB more allowed; {time.monotonic() - begun:.0f} s"
    )
    return int(end - settled > SLACK)
