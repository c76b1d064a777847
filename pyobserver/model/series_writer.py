"""What is written down of each reading, in series of the history, so that growth can be told later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .census import Census
from .groups import group_name, group_sums
from .history import COARSE, History
from .places import ContainerPlace, items_name
from .readings import InnerAllocator, MemoryReading, ProcessReading, Tick
from .tasks import Tasks

MAX_GROUPS_IN_HISTORY = 100
MAX_CONTAINERS_IN_HISTORY = 60
MAX_GENERATIONS = 4
CHARTED = frozenset({"python_live", "python_free", "c_live", "c_free", "large_blocks"})  # the others are "rest"


class SeriesWriter:
    """Writes readings into the series of a history. Times are Unix seconds."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._divided_at = 0.0  # when the memory was last divided

    def write_process(self, reading: ProcessReading, cpu_share: float | None) -> None:
        """The cheap reading of every second."""
        at = reading.taken_at
        self._history.add("rss", at, reading.rss)
        self._history.add("cpu", at, cpu_share)
        self._history.add("threads", at, reading.threads)
        self._history.add("fds", at, reading.fds)

    def write_memory(self, reading: MemoryReading) -> None:
        """Memory by allocator and by category; what is left of the RSS is the rest."""
        add, at = self._history.add, reading.taken_at
        for allocator in reading.allocators:
            add(f"allocator/{allocator.name}/in_use", at, allocator.in_use)
            add(f"allocator/{allocator.name}/held", at, allocator.held)
        held = {a.name: a.held for a in reading.allocators}
        if held.get("python") is not None:
            add("allocator/rest", at, reading.rss - (held["python"] or 0) - (held.get("c_heap") or 0))
        for category in reading.categories:
            add(f"category/{category.name}", at, category.bytes)
        charted = {c.name: c.bytes for c in reading.categories if c.name in CHARTED}
        if any(charted.values()):
            add("category/rest", at, reading.rss - sum(size or 0 for size in charted.values()))
        self._write_division(reading)
        self.write_inner(reading.inner, at)

    def write_inner(self, allocators: Iterable[InnerAllocator], at: float) -> None:
        """What allocators of libraries have; those of one name, as the agent and as we see it, are different series."""
        for each in allocators:
            if each.in_use is not None:
                self._history.add(f"inner/{each.name}/in_use", at, each.in_use)
            if each.held is not None:
                self._history.add(f"inner/{each.name}/held", at, each.held)

    def _write_division(self, reading: MemoryReading) -> None:
        """Between two divisions of the memory the parts are carried on: their growth is told from the divisions."""
        if reading.partition_age is None:
            return
        divided_at = reading.taken_at - reading.partition_age
        if divided_at < self._divided_at + 1.0:
            return
        self._divided_at = divided_at
        for allocator in reading.allocators:
            self._history.add(f"division/{allocator.name}", reading.taken_at, allocator.held)
            self._history.add(f"division/{allocator.name}/in_use", reading.taken_at, allocator.in_use)

    def write_census(self, census: Census) -> None:
        """Of the live objects only what numpy has; those by type have a record of their own."""
        if census.arrays is not None:
            self._history.add("inner/numpy mapped/in_use", census.taken_at, census.arrays.mapped, COARSE)
            self._history.add("inner/numpy heap/in_use", census.taken_at, census.arrays.in_heap, COARSE)

    def write_containers(self, containers: Sequence[ContainerPlace], now: float) -> None:
        """How many items the largest containers have, which come first."""
        for place in containers[:MAX_CONTAINERS_IN_HISTORY]:
            self._history.add(items_name((place.path, place.type)), now, place.items, COARSE)

    def write_collector(self, tick: Tick, before: Tick | None, now: float) -> None:
        """How often the collector has run, by generation, and how long since the tick `before`."""
        if tick.collector is None:
            return
        for generation, runs in enumerate(tick.collector.collections[:MAX_GENERATIONS]):
            self._history.add(f"collector/{generation}", now, runs, COARSE)
        if before is not None:
            self._history.add("pause", now, tick.collector.pause_since(before.collector), COARSE)

    def write_tasks(self, total: int, tasks: Tasks, now: float) -> None:
        """How many tasks there are, and of the largest groups how many and what they retain."""
        self._history.add("tasks", now, total)
        sums = group_sums(tasks)
        largest = sorted(sums.items(), key=lambda item: (item[1].bytes, item[1].count), reverse=True)
        for key, group in largest[:MAX_GROUPS_IN_HISTORY]:
            self._history.add(group_name(key, "count"), now, group.count, COARSE)
            if group.measured:
                self._history.add(group_name(key, "bytes"), now, group.bytes, COARSE)
