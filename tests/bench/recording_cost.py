"""What a recording costs: an hour of 10,000 tasks, by a fast clock, written tick by tick and read again.

The service is a busy one: with each update one task in twenty has run, so that it waits in one of its three places and
has another size; one in a hundred has ended, and as many others have begun. The promises: at most
30 MB an hour, a recording opens in less than a second, and any moment of it is there in less than 100 ms of work.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pyobserver.analysis.allocators import allocator_rows
from pyobserver.analysis.groups import group_rows
from pyobserver.model.store import Store
from pyobserver.protocol import schema
from pyobserver.recording.reader import Recording
from pyobserver.recording.writer import RecordingWriter
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import FIRST_CHILD, Story, T

TASKS = 10_000
SECONDS = 3600
CHANGED, REPLACED = 0.05, 0.01  # of all tasks, in each second
FUNCTIONS, PLACES = 60, 3  # and in how many places each of them waits
MEGABYTES_AN_HOUR = 30.0
OPENING, SEEKING = 1.0, 0.1  # seconds


class Service:
    """Many tasks of some functions, none like the other, played into a store."""

    def __init__(self, tasks: int = TASKS) -> None:
        self._random = np.random.default_rng(7)
        self._source = FakeSource(Story(tasks=1, per_minute=0), churn=0)
        self._source.step()
        self.store: Store = self._source.store
        self.store.add_texts(len(T) + 8, [f"app.work.Worker.step_{i}" for i in range(FUNCTIONS)])
        self.store.add_texts(len(T) + 8 + FUNCTIONS, [f"/srv/app/work.py:{10 * i}" for i in range(FUNCTIONS * PLACES)])
        self._first, self._end = 1, 1
        self._begin(tasks)
        self.store.add_tick(self._source._tick(0.0, tasks))

    @property
    def now(self) -> float:
        return self._source.clock()

    def _rows(self, numbers: np.ndarray, names: bool) -> None:
        r, count = self._random, len(numbers)
        columns, _ = self._source.story.spawned(numbers, 0.0)
        function, step = numbers % FUNCTIONS, r.integers(0, PLACES, count)
        columns["function"][:] = len(T) + 8 + function
        columns["where"][:] = len(T) + 8 + FUNCTIONS + function * PLACES + step
        columns["waiting"][:] = np.array([T["wait"], T["sleep"], T["recv"]])[step]
        columns["created"] = self.now - (self._end - numbers.astype(np.float64)) / (REPLACED * TASKS)
        columns["created"] -= numbers * 0.618034 % 0.01
        columns["retained"] = (function + 1) * r.integers(900, 1100, count) + r.integers(0, 500, count)
        columns["measured_at"] = self.now + r.random(count)
        columns["activity"] = r.random(count).astype(np.float32)
        columns["state"][:] = r.choice([schema.STATE_WAITING, schema.STATE_RUNNING], count)
        self.store.put_rows(columns, [f"Task-{n}" if names else None for n in numbers.tolist()])

    def _begin(self, count: int) -> None:
        numbers = np.arange(self._end, self._end + count)
        self._end += count
        self._rows(numbers, True)

    def tick(self) -> None:
        """One second."""
        self._source.clock.advance(1.0)
        second, size = self.now - self._source.story.begin, self._end - self._first
        self._source._read_outside(second)
        replaced = round(size * REPLACED)
        self.store.remove(range(FIRST_CHILD + self._first, FIRST_CHILD + self._first + replaced))
        self._first += replaced
        self._begin(replaced)
        self._rows(np.sort(self._random.integers(self._first, self._end, round(size * CHANGED))), False)
        self.store.add_tick(self._source._tick(second, size))


def milliseconds(values: list[float]) -> str:
    """Median, 99th of 100, and longest."""
    ordered = sorted(values)
    middle, late, last = statistics.median(ordered), ordered[int(0.99 * len(ordered))], ordered[-1]
    return f"{middle * 1000:.1f} / {late * 1000:.1f} / {last * 1000:.1f} ms (median / p99 / longest)"


def written(path: Path, service: Service, seconds: int) -> tuple[int, list[float], list[float]]:
    """Record so long; returns the size, and of each tick the time and the processor time."""
    writer = RecordingWriter(path, {"target": "bench"})
    taken, used = [], []
    for _ in range(seconds):
        service.tick()
        snapshot = service.store.snapshot()
        begun, began = time.perf_counter(), time.thread_time()
        writer.add(snapshot)
        taken.append(time.perf_counter() - begun)
        used.append(time.thread_time() - began)
    while_written = writer.size
    writer.close()
    print(
        f"size                 {path.stat().st_size / 1e6:.1f} MB; {while_written / 1e6:.1f} with its log while written"
    )
    return path.stat().st_size, taken, used


def main() -> int:
    """Measures; 1 when a promise is broken."""
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with tempfile.TemporaryDirectory(prefix="pyobserver-bench-") as folder:
        path = Path(folder) / "bench.rec"
        service = Service()
        print(f"{seconds} s, {TASKS:,} tasks, {CHANGED:.0%} changed and {REPLACED:.0%} replaced in each second")
        size, taken, used = written(path, service, seconds)
        an_hour = size / 1e6 * 3600 / seconds
        print(f"                     {an_hour:.1f} MB an hour, promised at most {MEGABYTES_AN_HOUR:g}")
        print(f"writing a tick       {milliseconds(taken)}")
        print(f"  of processor time  {milliseconds(used)}, {sum(used) / seconds:.2%} of a core at one tick a second")
        begun = time.perf_counter()
        recording = Recording(path)
        snapshot = recording.at(len(recording) - 1)
        group_rows(snapshot, 600.0), allocator_rows(snapshot, 600.0)
        opening = time.perf_counter() - begun
        print(f"opening              {opening * 1000:.0f} ms with its last moment, groups and allocators")
        r = random.Random(3)
        seeking, steps, looks, work = [], [], [], []
        for _ in range(100):
            place = r.randrange(len(recording) - 1)
            for step, taken in ((0, seeking), (1, steps)):
                begun, began = time.perf_counter(), time.thread_time()
                snapshot = recording.at(place + step)
                taken.append(time.perf_counter() - begun)
                if not step:
                    work.append(time.thread_time() - began)
            begun = time.perf_counter()
            group_rows(snapshot, 600.0), allocator_rows(snapshot, 600.0)
            looks.append(time.perf_counter() - begun)
        print(f"seeking any moment   {milliseconds(seeking)}")
        print(f"  of processor time  {milliseconds(work)}")
        print(f"the moment after it  {milliseconds(steps)}")
        print(f"its charts' past     {milliseconds(looks)}, groups and allocators over 10 min")
        recording.close()
    late = sorted(work)[98]
    return int(an_hour > MEGABYTES_AN_HOUR or opening > OPENING or late > SEEKING)


if __name__ == "__main__":
    sys.exit(main())
