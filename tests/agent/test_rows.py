"""Rows in columns: read and written as objects, given ids once, and told of whenever they have changed."""

from __future__ import annotations

import math
import weakref
from typing import Any

from pyobserver.agent import rows
from pyobserver.agent.row import OWNED
from pyobserver.agent.rows import Table
from pyobserver.protocol import schema


class Thing:
    """What a row stands for."""


def test_a_new_row_knows_nothing() -> None:
    """What has not been set reads as unknown, in the words of the protocol."""
    table = Table(1000.0)
    row: Any = table.add_row(schema.KIND_THREAD)
    assert (row.kind, row.retained, row.accuracy, row.queue) == (schema.KIND_THREAD, -1, schema.UNAVAILABLE, -1)
    assert math.isnan(row.cpu) and math.isnan(row.activity)
    assert (row.created, row.measured_at, row.ref, row.key, row.name) == (0.0, 0.0, None, None, "")


def test_what_is_written_is_read_from_another_row_of_the_same_id() -> None:
    """A row is how to read and write, and keeps nothing itself."""
    table = Table(1000.0)
    thing = Thing()
    row: Any = table.add_row(schema.KIND_THREAD)
    node = table.add_node(schema.NODE_LOOP, "loop", 0, schema.EDGE_RUNS)
    row.ref, row.retained, row.created, row.loop, row.name, row.error = weakref.ref(thing), 7, 1003.5, node.id, "a", 12
    row.mark(OWNED)
    same: Any = table.rows.get(row.id)
    assert same.ref() is thing and same.is_marked(OWNED)
    assert (same.retained, same.created, same.loop, same.name, same.error) == (7, 1003.5, node.id, "a", 12)
    assert table.column("loop", [row.position]) == [node.id]
    assert table.column("created", [row.position]) == [1003.5]


def test_an_id_is_given_out_once() -> None:
    """A position is used again, and its former id leads nowhere."""
    table = Table(0.0)
    first: Any = table.add_row(schema.KIND_TASK)
    number, position = first.id, first.position
    first.error = 5
    table.remove(number)
    second: Any = table.add_row(schema.KIND_TASK)
    assert second.position == position and second.id != number
    assert table.rows.get(number) is None and number not in table.rows
    assert second.error == 0 and second.retained == -1
    assert len(table.rows) == 1


def test_ids_of_nodes_are_not_those_of_rows() -> None:
    """One id space serves both."""
    table = Table(0.0)
    row: Any = table.add_row(schema.KIND_TASK)
    nodes = [table.add_node(schema.NODE_HOLDER, str(n), 0, schema.EDGE_HOLDS).id for n in range(3)]
    assert len({row.id, *nodes}) == 4
    assert all(number not in table.rows for number in nodes)


def test_there_are_no_more_rows_than_there_is_room_for(monkeypatch: Any) -> None:
    """What finds no room is counted."""
    monkeypatch.setattr(rows, "MAX_ROWS", 2)
    table = Table(0.0)
    assert [table.add_row(schema.KIND_TASK) is None for _ in range(4)] == [False, False, True, True]
    assert table.overflow == 2 and table.is_full()


def told(table: Table, position: int) -> tuple[set[int], int]:
    """Reads the log as an observer does, and is told of what has changed."""
    found = table.changes(position, 1000)
    assert found is not None
    for number in found[0]:
        at = table.position_of(number)
        if at >= 0:
            table.told_rows([at])
    return set(found[0]), found[1]


def test_every_observer_is_told_of_every_change() -> None:
    """Also the one that is behind another, and of changes while it is told."""
    table = Table(0.0)
    some: list[Any] = [table.add_row(schema.KIND_TASK) for _ in range(3)]
    ids = [row.id for row in some]
    quick, slow = 0, 0
    changed, quick = told(table, quick)
    assert changed == set(ids)
    table.touch(some[1])
    table.touch(some[1])
    changed, quick = told(table, quick)
    assert changed == {ids[1]}
    table.touch(some[1])
    table.remove(ids[2])
    changed, quick = told(table, quick)
    assert changed == {ids[1], ids[2]}
    changed, slow = told(table, slow)
    assert changed == set(ids) and slow == quick


def test_an_observer_that_comes_later_reads_from_the_end_on() -> None:
    """It is told of all rows there are, and of what changes after its telling."""
    table = Table(0.0)
    row: Any = table.add_row(schema.KIND_TASK)
    position = table.end
    table.told_rows(range(row.position, row.position + 1))  # it reads the row as it is now
    table.touch(row)
    changed, _ = told(table, position)
    assert changed == {row.id}


def test_activity_is_the_share_of_looks_at_which_it_had_moved() -> None:
    """Before the first look it is not known; a thread has none."""
    table = Table(0.0)
    task: Any = table.add_row(schema.KIND_TASK)
    thread: Any = table.add_row(schema.KIND_THREAD)
    assert math.isnan(task.activity)
    table.looks += 4
    task.moves = 1
    assert task.activity == 0.25 and math.isnan(thread.activity)
