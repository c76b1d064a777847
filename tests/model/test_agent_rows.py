"""Rows in the words of an agent: hostile ones change nothing, and its numbers for texts are not ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyobserver.model import agent_rows
from pyobserver.model.forest import PROCESS
from pyobserver.model.store import Store
from pyobserver.model.tasks import COLUMNS
from pyobserver.protocol import schema

from . import made
from .made import node, row


def test_texts_are_translated(store: Store) -> None:
    """The agent's numbers for texts are not ours."""
    store.set_children([made.child(50, command="takes the first numbers")])
    store.add_texts(1, ["m.f", "sleep"])
    store.add_texts(3, ["/a.py:1"])
    made.put(store, [{"id": 1, "function": 1, "waiting": 2, "where": 3}])
    found = row(store, 1)
    assert (found.function, found.waiting_on, found.where) == ("m.f", "sleep", "/a.py:1")


def test_texts_out_of_order(store: Store) -> None:
    """A gap is ignored, a repetition replaces, and a number that nobody explained is no text."""
    store.add_texts(5, ["too far"])
    store.add_texts(0, ["the number of no text"])
    store.add_texts(-3, ["negative"])
    made.put(store, [{"id": 1, "function": 5}, {"id": 2, "function": -1}, {"id": 3, "function": 2**31 - 1}])
    assert [row(store, i).function for i in (1, 2, 3)] == ["", "", ""]
    store.add_texts(1, ["a", "b", "c"])
    store.add_texts(2, ["B"])
    made.put(store, [{"id": 1, "function": 1}, {"id": 2, "function": 2}, {"id": 3, "function": 3}])
    assert [row(store, i).function for i in (1, 2, 3)] == ["a", "B", ""]


def test_more_texts_than_an_agent_has(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that sends texts without end is not followed."""
    monkeypatch.setattr(agent_rows, "MAX_AGENT_TEXTS", 50)
    for first in range(1, 200, 10):
        store.add_texts(first, [f"t{first + i}" for i in range(10)])
    made.put(store, [{"id": 1, "function": 49}, {"id": 2, "function": 60}])
    assert (row(store, 1).function, row(store, 2).function) == ("t49", "")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.pop("id"),
        lambda c: c.update(retained=c["retained"][:-1]),
        lambda c: c.update(retained=np.append(c["retained"], 1)),
        lambda c: c.update(state=np.empty(0, np.uint8)),
        lambda c: c.update(id=c["id"][:1]),
        lambda c: c.update(id=c["id"].astype(np.float64) + np.nan),
        lambda c: c.update(function=c["function"].astype(np.float64)),
    ],
    ids=["no ids", "short", "long", "empty", "short ids", "ids that are no numbers", "fractions"],
)
def test_hostile_columns_change_nothing(store: Store, spoil: Any) -> None:
    """Columns that do not belong together are refused as a whole, with one kind of error."""
    made.put(store, [{"id": i, "retained": i} for i in (1, 2, 3)])
    before = store.snapshot().tasks
    columns = made.columns([{"id": i, "retained": 99} for i in (2, 3, 4)])
    spoil(columns)
    with pytest.raises(ValueError, match=r"rows without ids|whole numbers"):
        store.put_rows(columns, ["x", "y", "z"])
    after = store.snapshot().tasks
    assert after.names == before.names
    for name in COLUMNS:
        np.testing.assert_array_equal(after[name], before[name])


def test_a_newer_agent(store: Store) -> None:
    """Columns that are not known here are ignored, missing ones are not known."""
    columns = made.columns([{"id": 1, "retained": 5}], only=("id", "retained"))
    store.put_rows({**columns, "colour": np.array([3])}, ["a"])
    assert (row(store, 1).retained, row(store, 1).queue) == (5, None)


def test_ids_that_an_agent_may_not_give(store: Store) -> None:
    """Zero is the process, negative ones are those of child processes and of the kernel's threads."""
    store.set_children([made.child(50, rss=1000)])
    made.put(store, [{"id": i, "retained": 7} for i in (0, -50, -(1 << 40) - 3, 4)])
    store.put_nodes([node(0), node(-50), node(9)])
    snapshot = store.snapshot()
    assert sorted(snapshot.tasks["id"].tolist()) == [-50, 4] and list(snapshot.nodes) == [9]
    assert row(store, -50).retained == 1000
    assert snapshot.forest.position(PROCESS) == 0


def test_names_that_are_unchanged(store: Store) -> None:
    """A row that is sent again without its name keeps it."""
    made.put(store, [{"id": 1}], ["first"])
    made.put(store, [{"id": 1, "retained": 9}], [None])
    assert (row(store, 1).name, row(store, 1).retained) == ("first", 9)
    made.put(store, [{"id": 1}], ["second"])
    assert row(store, 1).name == "second"


def test_the_agent_does_not_forget_what_it_never_knew(store: Store) -> None:
    """A thread that the agent sends again, not knowing where it is, stays where the stacks saw it."""
    thread = {"id": 5, "kind": schema.KIND_THREAD, "os_id": 60}
    made.put(store, [thread, {"id": 6, "state": schema.STATE_READY}])
    store.set_stacks([made.stack(60, "g", cpu=3.5)])
    made.put(store, [thread, {"id": 6}])
    assert (row(store, 5).state, row(store, 5).where, row(store, 5).cpu_seconds) == ("waiting", "/srv/a.py:7", 3.5)
    assert row(store, 6).state == "unknown"
    partly = made.columns([thread], only=("id", "kind", "state", "os_id"))
    store.put_rows(partly, [None])
    assert row(store, 5).where == "/srv/a.py:7"
