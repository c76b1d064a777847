"""Which tasks are measured first."""

from __future__ import annotations

import asyncio
import statistics
import time
import weakref
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from pyobserver.agent.measure import Measuring
from pyobserver.agent.row import MOVED
from pyobserver.agent.rows import Table
from pyobserver.protocol import schema


def measuring() -> tuple[Any, Table]:
    """A measuring of an agent that has only rows."""
    table = Table(1000.0)
    states = SimpleNamespace(on_moved=[])
    tasks = SimpleNamespace(states=states, on_new=[], on_ended=[], complete=False, count=0)
    agent = SimpleNamespace(table=table, self_check="ok", subjects={schema.KIND_TASK: None})
    return Measuring(agent, tasks), table


def met(measure: Any, table: Table, functions: list[int]) -> list[int]:
    """Rows that are met in this order; their ids."""
    ids = []
    for function in functions:
        row: Any = table.add_row(schema.KIND_TASK)
        row.function = function
        measure._note_new(row, None)
        ids.append(row.id)
    return ids


def test_a_sample_of_each_function_is_drawn_from_all_of_its_tasks() -> None:
    """However many there are of another, and with the same chance for the first and for the last."""
    measure, table = measuring()
    functions = ([1] * 49 + [2]) * 200
    ids = met(measure, table, functions)
    drawn = [table.id_at(position) for position in measure._take_samples() if position is not None]
    place = {number: at for at, number in enumerate(ids)}
    counted = Counter(functions[place[number]] for number in drawn)
    assert counted == {1: 200, 2: 200}
    places = [place[number] for number in drawn if functions[place[number]] == 1]
    assert abs(statistics.mean(places) - 5000) < 1000 and len(set(places)) == 200


def test_samples_alternate_between_functions() -> None:
    """After the first of each, every function has a value."""
    measure, table = measuring()
    met(measure, table, [1] * 500 + [2] * 500 + [3])
    first = [table.columns.function[position] for position in measure._take_samples() if position is not None][:5]
    assert first == [1, 2, 3, 1, 2]


def test_what_was_measured_is_not_in_the_sample_again() -> None:
    """A row with a value gives its place to nobody."""
    measure, table = measuring()
    ids = met(measure, table, [1] * 10)
    row: Any = table.rows.get(ids[0])
    row.measured_at = 1001.0
    assert ids[0] not in [table.id_at(position) for position in measure._take_samples() if position is not None]


def test_what_finds_no_place_among_the_new_is_found_by_position() -> None:
    """Thousands that come at once are all measured."""
    measure, table = measuring()
    measure._tasks.complete = True
    ids = met(measure, table, [1] * 6000)
    taken = set()
    for _ in range(4):
        taken.update(table.id_at(position) for position in measure._take_new() if position is not None)
        taken.update(table.id_at(position) for position in measure._take_without() if position is not None)
    assert taken == set(ids)


async def test_what_a_torn_slice_has_measured_is_thrown_away() -> None:
    """It is counted, the row keeps its value, and is measured again."""
    measure, table = measuring()
    row: Any = table.add_row(schema.KIND_TASK)
    task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    row.ref = weakref.ref(task)
    found = SimpleNamespace(bytes=10**9, error=0, accuracy=schema.EXACT)
    agent = measure._agent
    agent.torn, agent.wall, agent.schedule = 0, time.time, SimpleNamespace(is_alone=False)
    agent.subjects[schema.KIND_TASK] = SimpleNamespace(
        is_counted=True,
        judge=lambda measure: None,
        is_executing=lambda task: False,
        scan_of_batch=lambda task, deadline: found,
    )
    try:
        for is_last_try in (False, True):
            assert measure._scan(row.position, slice_of(is_torn=True), (), is_last_try) is is_last_try
            assert not row.measured_at and row.retained != found.bytes
        assert agent.torn == 2
        assert row.is_marked(MOVED)
        assert measure._scan(row.position, slice_of(is_torn=False), ())
        assert row.retained == found.bytes
    finally:
        task.cancel()


def test_what_moves_all_the_time_is_not_doubted_for_ever() -> None:
    """A lower bound is tried again a few times, however often its task moves meanwhile, and counts as known then."""
    measure, table = measuring()
    agent = measure._agent
    agent.wall = time.time
    row: Any = table.add_row(schema.KIND_TASK)
    measure._tasks.count = 1
    bound = SimpleNamespace(bytes=240, error=0, accuracy=schema.AT_LEAST)
    known = []
    for _ in range(12):
        measure._note_moved(row, None)
        measure._write(row.position, bound, True)
        known.append(measure.counts()[1])
    assert known == [0] * 3 + [1] * 9
    assert not measure._doubted
    measure._write(row.position, SimpleNamespace(bytes=240, error=0, accuracy=schema.EXACT), True)
    measure._note_moved(row, None)
    measure._write(row.position, bound, True)
    assert measure.counts() == (1, 0)


async def test_nothing_lets_go_of_the_lock_between_the_scans_of_a_batch() -> None:
    """All rows that there is time for are looked at first, and another slice begins another batch."""
    measure, table = measuring()
    told: list[Any] = []
    found = SimpleNamespace(bytes=1000, error=0, accuracy=schema.EXACT)
    left = [0.001]
    now = SimpleNamespace(
        ran=0.0,
        begun=0.0,
        seconds=0.001,
        deadline=0.001,
        clock=lambda: 0.001 - left[0],
        left=lambda: left[0],
        torn=lambda: False,
        over=lambda: left[0] <= 0.0,
    )

    def scan(task: Any, deadline: float) -> Any:
        told.append("scan")
        left[0] -= 0.0004 if told.count("scan") == 2 else 0.00001
        return found

    agent = measure._agent
    agent.torn, agent.wall, agent.schedule = 0, time.time, SimpleNamespace(is_alone=False)
    agent.search = SimpleNamespace(inside=list)
    agent.scanner = SimpleNamespace(begin_batch=lambda: told.append("batch"))
    agent.subjects[schema.KIND_TASK] = SimpleNamespace(
        is_counted=True, judge=lambda measure: None, is_executing=lambda task: False, scan_of_batch=scan
    )
    measure._tasks.complete = True
    measure._tasks.states.look_again = lambda position, task: told.append("look")
    measure._seconds = 0.0001
    tasks = [asyncio.get_running_loop().create_task(asyncio.sleep(60)) for _ in range(5)]
    for task, number in zip(tasks, met(measure, table, [1] * 5), strict=True):
        row: Any = table.rows.get(number)
        row.ref = weakref.ref(task)
    left[0] = 0.0007
    work = measure._round(now)
    next(work)
    assert told == ["look"] * 5 + ["batch", "scan", "scan"]
    left[0] = 0.001
    with pytest.raises(StopIteration):
        work.send(now)
    assert told[8:12] == ["batch", "scan", "scan", "scan"]
    assert measure._measured == 5
    for task in tasks:
        task.cancel()


def slice_of(is_torn: bool) -> Any:
    """A slice of a millisecond that has just begun, or in which others have run meanwhile."""
    return SimpleNamespace(
        begun=0.0, seconds=0.001, deadline=0.001, clock=lambda: 0.0, left=lambda: 0.001, torn=lambda: is_torn
    )
