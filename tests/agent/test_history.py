"""The agent's rings: what they tell is what a list of all readings would, in bounded memory."""

from __future__ import annotations

import gc
import itertools
import math
import random
import tracemalloc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from pyobserver.agent import history
from pyobserver.agent.history import GROUP_TIERS, MOST_GROUPS, PROCESS_TIERS, History, Ring, Series
from pyobserver.agent.rows import Table
from pyobserver.protocol import frames, schema

SMALL = ((10, 9), (60, 20), (600, 3))  # each reaches further back than a cell of the next one
DAY = 86_400


def expected(readings: list[tuple[float, float]], seconds: int, bound: int) -> list[tuple[float, ...]]:
    """The newest cells of these readings of one quantity, by the definition."""
    cells: dict[int, list[float]] = {}
    for at, value in readings:
        cells.setdefault(int(at // seconds), []).append(value)
    found = []
    for number in sorted(cells)[-bound:]:
        known = [value for value in cells[number] if not math.isnan(value)]
        if known:
            found.append((number * seconds, seconds, min(known), math.fsum(known) / len(known), max(known)))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_cells_are_what_a_list_of_all_readings_tells(seed: int) -> None:
    """With gaps of any length; each of the quantities has cells of its own."""
    chance = random.Random(seed)
    ring: Any = Ring(10, 7, 2)
    readings, at = [], 0.0
    for _ in range(200):
        at += chance.choice([0.5, 2.5, 10.0, 47.0])
        readings.append((at, float(chance.randrange(1000))))
        ring.add(at, (readings[-1][1], -readings[-1][1]))
        assert ring.cells(0) == [pytest.approx(cell, rel=1e-5) for cell in expected(readings, 10, 7)]
    assert [cell[2] for cell in ring.cells(1)] == [-cell[4] for cell in ring.cells(0)]
    assert ring.has_lost


def test_a_quantity_that_is_not_known_has_no_cell() -> None:
    """And one that comes later in the same cell counts alone."""
    ring: Any = Ring(10, 5, 2)
    ring.add(1.0, (1.0, math.nan))
    assert ring.cells(1) == []
    ring.add(2.0, (3.0, 8.0))
    ring.add(3.0, (5.0, math.nan))
    assert ring.cells(0) == [(0, 10, 1.0, 3.0, 5.0)]
    assert ring.cells(1) == [(0, 10, 8.0, 8.0, 8.0)]


def test_what_is_told_does_not_overlap_and_has_no_gap() -> None:
    """Of each time the shortest cells that are left; what they have lost is told by longer ones."""
    series: Any = Series(SMALL, 2)
    for second in range(0, 2400, 5):
        series.add(float(second), (float(second), 0.0))
        cells = series.cells(0)
        assert all(a[0] + a[1] == b[0] for a, b in itertools.pairwise(cells))
        assert all(low <= mean <= high for _, _, low, mean, high in cells)
        assert cells[-1][4] == second
        assert cells[0][0] == 0 or second >= 1800
    assert {cell[1] for cell in series.cells(0)} == {10, 60, 600}


def test_it_reaches_a_day_back() -> None:
    series: Any = Series(GROUP_TIERS, 2)
    for second in range(0, 2 * DAY, 10):
        series.add(float(second), (1.0, 2.0))
    assert 2 * DAY - series.cells(0)[0][0] >= DAY


class Thing:
    """What a row stands for."""


class Agent:
    """As much of an agent as a history asks of it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.table: Any = Table(0.0)
        self.stays = True
        self.service = SimpleNamespace(observers={}, trim=lambda: None)
        self.tasks = SimpleNamespace(count=0, listed=lambda: self.tasks.count)
        self.history: Any = History(self)

    def clock(self) -> float:
        return self.now

    def original(self, module: str, name: str) -> Any:
        return lambda: self.now / 10

    def is_known(self) -> bool:
        return True

    def turn(self, seconds: float = 10.0) -> None:
        """Let time pass, and read and sum what there is."""
        self.now += seconds
        self.history.look(self.now, False, True)
        self.now += seconds
        self.history.look(self.now, False, True)
        for _ in self.history._sum(SimpleNamespace(begun=self.now, over=lambda: False)):
            pass

    def add(self, function: str, retained: int = -1, state: int = schema.STATE_WAITING) -> Any:
        """A row of a task."""
        row = self.table.add_row(schema.KIND_TASK)
        row.function, row.retained, row.state = self.table.texts.intern(function), retained, state
        self.tasks.count += 1
        return row

    def told(self) -> dict[tuple[str, str | None], list[float]]:
        """The means that are told, by series and function."""
        found = {}
        for head, columns in self.history.messages():
            group = head["group"]
            named = {name: values for name, _, values in columns}
            found[head["series"], group and group[1] + (" (held)" if group[2] else "")] = named["mean"]
        return found


def test_groups_are_summed_as_the_observers_do() -> None:
    """Where some are not measured, those that are speak for them; what is done and held is another group."""
    agent = Agent()
    for number in range(700):  # of one group in a row, then mixed
        agent.add("app.work", 100 if number % 2 else -1)
    for number in range(30):
        agent.add("app.other" if number % 3 else "app.work", 50, schema.STATE_DONE_HELD)
    agent.add("app.unknown")
    agent.turn()
    agent.turn()
    told = agent.told()
    assert told["count", "app.work"] == [700] * 2 and told["bytes", "app.work"] == [70_000] * 2
    assert told["count", "app.work (held)"] == [10] * 2 and told["bytes", "app.other (held)"] == [1000] * 2
    assert told["count", "app.unknown"] == [1] * 2 and ("bytes", "app.unknown") not in told
    assert told["tasks", None] == [731] * 2
    assert told["threads", None][-1] >= 1 and told["rss", None][-1] > 1_000_000
    assert told["cpu", None] == pytest.approx([0.1])


def test_nothing_is_told_of_tasks_when_it_could_not_keep_up() -> None:
    """A number that is wrong by more than a tenth is none."""
    agent = Agent()
    for _ in range(200):
        agent.add("app.work", 10)
    agent.turn()
    agent.turn()
    agent.tasks.listed = lambda: 400
    agent.turn()
    assert agent.told()["count", "app.work"] == [200] * 2
    assert agent.told()["tasks", None] == [200] * 2
    agent.tasks.listed = lambda: 210  # a few were missed: what is known of the others speaks for them
    agent.turn()
    assert agent.told()["tasks", None] == [200, 200, 210]


def test_it_has_followed_the_groups_since_the_cell_behind_the_first_reading() -> None:
    """What the agent took for itself when it came in is no growth."""
    agent = Agent()
    agent.add("app.work", 10)
    assert agent.history.age() is None
    agent.turn(6.0)
    assert agent.history.since == 112.0 and agent.history.age() is None
    agent.now += 10.0
    assert agent.history.age() == 2.0


def test_what_has_ended_is_not_counted_although_it_has_a_row() -> None:
    """An agent that spares itself removes rows late."""
    agent = Agent()
    lives, ends = Thing(), Thing()
    for number in range(20):
        row = agent.add("app.work", 10)
        row.ref = weakref.ref(ends if number % 2 else lives)
    agent.turn()
    del ends
    agent.tasks.count = 10
    agent.turn()
    assert agent.told()["count", "app.work"] == [20, 10] and agent.told()["bytes", "app.work"] == [200, 100]


def test_at_most_a_hundred_groups_are_kept_and_the_largest_are_among_them() -> None:
    """Also when they are others each time."""
    agent = Agent()
    for turn in range(4):
        rows = [agent.add(f"app.large_{turn}_{n}", 10_000 + n) for n in range(150)]
        rows += [agent.add(f"app.many_{turn}", 1) for _ in range(300)]
        agent.turn()
        told = agent.told()
        groups = {function for series, function in told if function is not None}
        assert len(groups) <= MOST_GROUPS
        assert {f"app.many_{turn}", *(f"app.large_{turn}_{n}" for n in range(100, 150))} <= groups
        for row in rows:
            agent.table.remove(row.id)
        agent.tasks.count = 0


def test_full_rings_take_less_than_a_megabyte() -> None:
    """A day of all series, and of as many groups as there may be; what is said of it fits into frames."""
    agent = Agent()
    kept = agent.history
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for minute in range(0, DAY * 2, 60):
            kept._process.add(float(minute), (1e9, 10.0, 0.5))
            kept._tasks.add(float(minute), (1e5,))
        for number in range(MOST_GROUPS):
            series: Any = Series(GROUP_TIERS, 2)
            kept._groups[schema.KIND_TASK, number, False] = series
            agent.table.texts.intern("f" * 250 + str(number))
            for second in (*range(0, DAY * 2, 600), *range(DAY * 2, DAY * 2 + 3600, 60)):
                series.add(float(second), (1e6, 1e9))
            for second in range(DAY * 2 + 3600, DAY * 2 + 4200, 10):
                series.add(float(second), (1e6, 1e9))
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before - 330 * MOST_GROUPS  # the texts
    finally:
        tracemalloc.stop()
    assert all(ring.has_lost for ring in (*kept._process._rings[:1], *series._rings))
    assert held < 1_000_000 and kept.bytes < 1_000_000
    assert abs(held - kept.bytes) < 0.2 * held
    agent.now = DAY * 2 + 4200.0 + kept._begun
    sizes = [len(frames.encode(head, columns)) for head, columns in kept.messages()]
    assert len(sizes) == len(schema.PAST_SERIES) + 2 * MOST_GROUPS and max(sizes) < 64_000
    assert MOST_GROUPS == schema.MOST_PAST_GROUPS
    assert sum(cells for _, cells in PROCESS_TIERS) <= schema.MOST_PAST_CELLS
    assert history.GROUP_TIERS[-1][0] * history.GROUP_TIERS[-1][1] == DAY
