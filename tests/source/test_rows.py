"""Rows and nodes that an agent sends: what cannot be becomes "not known", or the message is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyobserver.model.forest import Node
from pyobserver.protocol import frames, schema
from pyobserver.source import fields, rows
from pyobserver.source.errors import MessageError

from .scripted import decoded, frame, node, row_columns, rows_frame


def test_rows() -> None:
    columns, names = rows.changed(decoded(rows_frame([5, 6], ["a", None], kind=[0, 1], error=20, cpu=[1.5, 2.0]))[0])
    assert names == ["a", None]
    assert set(columns) == set(schema.ROW_NAMES)
    assert columns["id"].tolist() == [5, 6]
    assert columns["kind"].tolist() == [0, 1]
    assert columns["cpu"].tolist() == [1.5, 2.0]
    assert columns["retained"].tolist() == [1000, 1000]
    assert columns["error"].tolist() == [20, 20]
    assert all(column.dtype.isnative and column.flags.writeable for column in columns.values())


def others(*entries: tuple[int, int, int]) -> list[tuple[str, str, list[int]]]:
    """The columns that tell of other owners: (row, owner, edge)."""
    return [(name, code, [e[at] for e in entries]) for at, (name, code) in enumerate(schema.OTHERS_COLUMNS)]


def test_the_other_owners_of_rows() -> None:
    """They have a length of their own; of a row at most four are kept, each once."""
    columns = [*row_columns([5, 6]), *others((5, 9, schema.EDGE_HOLDS), (5, 6, schema.EDGE_AWAITS), (5, 6, 2))]
    told = frame({"t": "rows", "names": [None, None]}, columns)
    assert rows.other_owners(told) == {5: ((9, "holds"), (6, "awaits"))}
    assert rows.changed(told)[0]["id"].tolist() == [5, 6]
    assert rows.other_owners(frame({"t": "rows", "names": [None]}, row_columns([5]))) == {}
    many = frame({"t": "rows", "names": []}, others(*[(5, n, 0) for n in range(1, 20)]))
    assert len(rows.other_owners(many)[5]) == 4
    for wrong in ((0, 9, 0), (5, -1, 0), (5, 1 << 50, 0), (5, 9, 99)):
        with pytest.raises(MessageError):
            rows.other_owners(frame({"t": "rows", "names": []}, others(wrong)))
    with pytest.raises(MessageError):
        rows.other_owners(frame({"t": "rows", "names": []}, others((5, 9, 0))[:2]))


def test_no_rows_at_all() -> None:
    columns, names = rows.changed(frame({"t": "rows", "names": []}, row_columns([])))
    assert names == [] and all(len(column) == 0 for column in columns.values())


def test_nodes() -> None:
    said = node(3, parent=2, queue=4, detail="set", kind=schema.NODE_HOLDER, edge=schema.EDGE_HOLDS)
    assert rows.nodes(frame({"t": "nodes", "items": [said]})) == [Node(3, "holder", "loop", 2, "holds", 4, "set")]


def test_the_child_processes_under_a_node() -> None:
    """An agent that does not know of them says nothing; what is no number of a process is left out."""
    said = {**node(3), "pids": [12, 0, 13, -4]}
    assert rows.nodes(frame({"t": "nodes", "items": [said]}))[0].pids == (12, 13)
    assert rows.nodes(frame({"t": "nodes", "items": [node(3)]}))[0].pids == ()
    with pytest.raises(MessageError):
        rows.nodes(frame({"t": "nodes", "items": [{**node(3), "pids": ["12"]}]}))


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("created", math.nan, 0.0),
        ("created", -1.0, 0.0),
        ("created", 1e300, 0.0),
        ("created", math.inf, 0.0),
        ("measured_at", -math.inf, 0.0),
        ("retained", -5, -1),
        ("retained", (1 << 63) - 1, -1),
        ("parent", -7, 0),
        ("loop", -(1 << 62), 0),
        ("os_id", -3, 0),
        ("os_id", 1 << 40, 0),
        ("queue", -2, -1),
        ("function", -1, 0),
    ],
)
def test_numbers_that_cannot_be(column: str, value: float, expected: float) -> None:
    columns, _ = rows.changed(decoded(rows_frame([5], None, **{column: value}))[0])
    assert columns[column].tolist() == [expected]


@pytest.mark.parametrize("column", ["cpu", "activity"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e30])
def test_shares_and_seconds_that_cannot_be(column: str, value: float) -> None:
    columns, _ = rows.changed(decoded(rows_frame([5], None, **{column: value}))[0])
    assert math.isnan(columns[column].tolist()[0])


@pytest.mark.parametrize("values", [{"retained": 1 << 60}, {"error": -1}, {"error": 1 << 60}, {"retained": -1}])
def test_a_size_that_cannot_be_is_no_measurement(values: dict[str, int]) -> None:
    columns, _ = rows.changed(decoded(rows_frame([5], None, **values))[0])
    assert columns["retained"].tolist() == [-1]
    assert columns["accuracy"].tolist() == [schema.UNAVAILABLE]


@pytest.mark.parametrize("number", [0, -1, -(1 << 40), 1 << 60])
def test_an_id_that_no_agent_gives_out(number: int) -> None:
    for say in (lambda: rows_frame([5, number]), lambda: frames.encode({"t": "gone"}, [("id", "q", [5, number])])):
        message = decoded(say())[0]
        with pytest.raises(MessageError, match="an id"):
            (rows.changed if message.head["t"] == "rows" else rows.gone)(message)


@pytest.mark.parametrize("column", ["kind", "state", "accuracy", "edge"])
def test_a_number_of_no_table(column: str) -> None:
    with pytest.raises(MessageError, match=column):
        rows.changed(decoded(rows_frame([5, 6], None, **{column: [0, 200]}))[0])


def test_columns_that_are_not_there_or_not_what_they_should_be() -> None:
    head = {"t": "rows", "names": ["a"]}
    whole = row_columns([5])
    for position, (name, code, values) in enumerate(whole):
        wrong: list[tuple[str, str, list[Any]]] = [
            (name + "x", code, values),
            (name, "b" if code != "b" else "B", [0]),
            (name, code, []),
            (name, code, values * 2),
        ]
        if code == "q":
            wrong.append((name, "d", [math.nan]))
        for instead in wrong:
            columns = [*whole[:position], instead, *whole[position + 1 :]]
            with pytest.raises(MessageError, match=f"column {name}"):
                rows.changed(frame(head, columns))
    anything: tuple[Any, ...] = (None, "a", [], ["a", "b"], [5], [["a"]], {})
    for names in anything:
        with pytest.raises(MessageError):
            rows.changed(frame({"t": "rows", "names": names}, whole))
    with pytest.raises(MessageError):
        rows.gone(frame({"t": "gone"}))
    with pytest.raises(MessageError):
        rows.gone(frame({"t": "gone"}, [("id", "d", [math.nan])]))


def test_random_columns_raise_nothing_else() -> None:
    """Any bits in the columns of rows are read, or refused."""
    chance = np.random.default_rng(3)
    sizes = {code: np.dtype(code).itemsize for _, code in schema.ROW_COLUMNS}
    for _ in range(300):
        columns = {name: (code, 3, chance.bytes(3 * sizes[code])) for name, code in schema.ROW_COLUMNS}
        columns["id"] = ("q", 3, np.array([1, 2, 3], "<i8").tobytes())
        for name, table in (("kind", 5), ("state", 6), ("accuracy", 5), ("edge", 5)):
            columns[name] = ("B", 3, bytes(chance.integers(0, table, 3).tolist()))
        found, _ = rows.changed(frames.Frame({"t": "rows", "names": ["a", "b", "c"]}, columns))
        assert all(share != share or 0.0 <= share <= 1.0 for share in found["activity"].tolist())
        assert all(-1 <= size < fields.MAX_BYTES for size in found["retained"].tolist())
