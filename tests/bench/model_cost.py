"""What keeping and ordering many rows costs the observer: one update, one look at it, one order, one tree.

A service of the made-up kind with 1,000, 10,000 and 100,000 tasks, of which one in a hundred changes with each update
and one in a thousand ends and begins. Times are processor time of this thread, so that a busy machine does not count.
The promise: an update at 100,000 rows and the snapshot after it stay well below what one frame of the screen may take.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from pyobserver.analysis.groups import group_rows
from pyobserver.analysis.ordering import matches, order
from pyobserver.analysis.supervision import tree
from pyobserver.model.forest import plant
from pyobserver.model.names import NameOrder
from pyobserver.model.snapshot import Snapshot
from pyobserver.model.tasks import Array
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import FIRST_CHILD, Story

SIZES = (1_000, 10_000, 100_000)
CHANGED = 0.01  # of all rows, with each update
REPLACED = 0.001
TICKS = 12
PROMISE = 0.050  # seconds for one update with its snapshot, at the largest size
COLUMNS = (
    *("kind", "name", "function", "state", "waiting", "where"),
    *("age", "memory", "growth", "cpu", "activity", "queue", "marked", "id"),
)


def spent(work: Callable[[], object], times: int) -> float:
    """The median processor time of one run, in seconds."""
    taken = []
    for _ in range(times):
        begun = time.thread_time()
        work()
        taken.append(time.thread_time() - begun)
    return statistics.median(taken)


class Feed:
    """A service with `size` tasks, played into a store: `tick` is one update of its agent."""

    def __init__(self, size: int) -> None:
        self.source = FakeSource(Story(tasks=0, per_minute=0), churn=0)
        self.store = self.source.store
        self.source.step()
        self._first, self._end = 0, size
        self._random = np.random.default_rng(1)
        self.store.put_rows(*self._rows(np.arange(size)))

    def _rows(self, numbers: Array) -> tuple[dict[str, Array], list[str]]:
        columns, _ = self.source.story.spawned(numbers, self.source.clock() - self.source.story.begin)
        columns["retained"] = columns["retained"] + self._random.integers(-5000, 5000, len(numbers))
        return columns, [f"push_hash-{number * 7919 % 1_000_003}" for number in numbers.tolist()]

    def tick(self, look: bool = True) -> float:
        """One update and, if asked, the snapshot after it; returns the processor time of both."""
        self.source.clock.advance(1.0)
        size = self._end - self._first
        replaced = max(1, round(size * REPLACED))
        changed = np.sort(self._random.integers(self._first + replaced, self._end, max(1, round(size * CHANGED))))
        old, new = self._rows(changed), self._rows(np.arange(self._end, self._end + replaced))
        gone = range(FIRST_CHILD + self._first, FIRST_CHILD + self._first + replaced)
        tick = self.source._tick(self.source.clock() - self.source.story.begin, size)
        begun = time.thread_time()
        self.store.put_rows(*new)
        self.store.put_rows(old[0], [None] * len(changed))
        self.store.remove(gone)
        self.store.add_tick(tick)
        if look:
            self.store.snapshot()
        taken = time.thread_time() - begun
        self._first, self._end = self._first + replaced, self._end + replaced
        return taken


def first_rows(size: int) -> float:
    """The processor time of all rows coming at once, in frames of 2,000, as after an attach."""
    feed = FakeSource(Story(tasks=1, per_minute=0), churn=0)
    feed.step()
    frames = [feed.story.spawned(np.arange(at, min(at + 2000, size)), 0.0) for at in range(1, size, 2000)]
    begun = time.thread_time()
    for columns, names in frames:
        feed.store.put_rows(columns, names)
    feed.store.add_tick(feed._tick(1.0, size))
    return time.thread_time() - begun


def looks(snapshot: Snapshot) -> dict[str, Callable[[], object]]:
    """What the screens ask of a snapshot."""
    none = np.ones(len(snapshot.tasks), bool)
    return {
        "groups": lambda: group_rows(snapshot, 600.0),
        "filter by a text": lambda: matches(snapshot.tasks, "hash-12"),
        "filter by kind": lambda: matches(snapshot.tasks, "", {schema.KIND_TASK}),
        "tree planted": lambda: plant(snapshot.tasks, snapshot.nodes),
        "tree as shown, two levels open": lambda: _open(snapshot),
        "order by memory among all chosen": lambda: order(snapshot.tasks, "memory", True, none),
    }


def _open(snapshot: Snapshot) -> None:
    shown = tree(snapshot, 600.0)
    for key in shown.children(shown.roots()[0]):
        for child in shown.children(key)[:50]:
            shown.node(child)


def orders(feed: Feed) -> dict[str, float]:
    """Ordering by each column, the snapshot being a new one each time, as on the screen."""
    anew = "(all names sorted anew)"
    taken: dict[str, list[float]] = {column: [] for column in (*COLUMNS, anew)}
    for _ in range(6):
        feed.tick(look=False)
        tasks = feed.store.snapshot().tasks
        for column in COLUMNS:
            begun = time.thread_time()
            order(tasks, column, descending=True)
            taken[column].append(time.thread_time() - begun)
        begun = time.thread_time()
        NameOrder().ranks(tasks.names, tasks["named"])
        taken[anew].append(time.thread_time() - begun)
    return {column: statistics.median(each) for column, each in taken.items()}


def table(title: str, rows: dict[str, list[float]]) -> None:
    """One line for each thing measured, in milliseconds by size, and how it grows with the last step of size."""
    print(f"{title:40}" + "".join(f"{size:>12,}" for size in SIZES) + "   grows")
    for name, values in rows.items():
        print(
            f"  {name:38}"
            + "".join(f"{value * 1000:9.2f} ms" for value in values)
            + f"   x{values[-1] / values[-2]:.1f}"
        )


def main() -> int:
    """Measures; 1 when an update at the largest size breaks the promise."""
    updates: dict[str, list[float]] = {}
    asked: dict[str, list[float]] = {}
    ordered: dict[str, list[float]] = {}
    longest = 0.0
    for size in SIZES:
        updates.setdefault("all rows come at once", []).append(first_rows(size))
        feed = Feed(size)
        ticks = sorted(feed.tick() for _ in range(TICKS))
        updates.setdefault("update and snapshot, median", []).append(statistics.median(ticks))
        updates.setdefault("update and snapshot, longest", []).append(ticks[-1])
        updates.setdefault("baseline set", []).append(spent(feed.store.set_baseline, 3))
        longest = ticks[-1]
        for name, look in looks(feed.store.snapshot()).items():
            asked.setdefault(name, []).append(spent(look, 5))
        for column, seconds in orders(feed).items():
            ordered.setdefault(column, []).append(seconds)
    table(f"{CHANGED:.0%} changed, {REPLACED:.1%} replaced", updates)
    table("asked by the screens", asked)
    table("ordered by", ordered)
    print(f"longest update at {SIZES[-1]:,} rows: {longest * 1000:.1f} ms, promised below {PROMISE * 1000:.0f} ms")
    return int(longest > PROMISE)
