"""A recording that somebody has made up by hand: whatever it says, the screens and reports take it."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.analysis.allocators import allocator_rows, chart_areas
from pyobserver.analysis.findings import verdict
from pyobserver.analysis.groups import group_rows
from pyobserver.analysis.ordering import order
from pyobserver.analysis.supervision import tree
from pyobserver.export.document import document
from pyobserver.export.text import text
from pyobserver.model.snapshot import Snapshot
from pyobserver.recording.errors import RecordingError
from pyobserver.recording.packing import packed, unpacked
from pyobserver.recording.reader import Recording
from pyobserver.source.replay import ReplaySource
from pyobserver.tui.words import cost_words, status_words

from .made import recorded, source_of

VALUES = (
    *(0, -1, 1, 2**31, 2**62, -(2**62), 10**400, 0.0, -0.5, 1e18, 1e300, -1e300, float("nan"), float("inf")),
    *("", "\x1b]0;owned\x07", "n" * 50_000, "\u202e", None, True, [], {}, [[]], {"": 1}, [1, 2, 3], "REPLAY", "LIVE"),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of some moments."""
    path = tmp_path_factory.mktemp("good") / "good.rec"
    source = source_of(past=300.0)
    source.store.set_baseline()
    recorded(path, 12, source)
    return path


def altered(good: Path, path: Path, column: str, content: bytes) -> Path:
    path.write_bytes(good.read_bytes())
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE detail SET {column} = ? WHERE number = 1", (content,))
    connection.execute("DELETE FROM tick WHERE number > 1")
    connection.commit()
    connection.close()
    return path


def content(good: Path, column: str) -> tuple[Any, Any]:
    connection = sqlite3.connect(good)
    found = connection.execute(f"SELECT {column} FROM detail WHERE number = 1").fetchone()[0]
    connection.close()
    return unpacked(found)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all members of a tree."""
    found = [path] if path else []
    items = tree.items() if type(tree) is dict else enumerate(tree) if type(tree) is list else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


def put(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value


def show(snapshot: Snapshot) -> None:
    """All that screens and reports ask of a snapshot."""
    for window in (60.0, 86_400.0):
        allocator_rows(snapshot, window)
        chart_areas(snapshot, window)
        group_rows(snapshot, window)
        verdict(snapshot)
        shown = tree(snapshot, window)
        for key in shown.children(shown.roots()[0]):
            shown.node(key)
    order(snapshot.tasks, "memory", True)
    for position in range(len(snapshot.tasks)):
        row = snapshot.tasks.row(position)
        assert row.name.isprintable() and row.function.isprintable()
    status_words(snapshot, snapshot.taken_at)
    cost_words(snapshot)
    said = text(snapshot)
    assert all(line.isprintable() for line in said.split("\n"))
    json.dumps(document(snapshot), allow_nan=False)


def look(path: Path) -> None:
    """As a replay does; what cannot be read is refused in one line."""
    try:
        source = ReplaySource(Recording(path))
    except RecordingError as error:
        assert str(error).isprintable()
        return
    source.count_objects(True)
    show(source.store.snapshot())
    source.stop()


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_states_with_any_values(good: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, count: int) -> None:
    """In any place of the tree."""
    r = random.Random(seed)
    state, _ = content(good, "state")
    for _ in range(count):
        where = r.choice(places(state))
        put(state, where, r.choice(VALUES))
    look(altered(good, tmp_path_factory.mktemp("hostile") / "a", "state", packed(state)))


@given(st.integers(0, 2**32))
def test_rows_with_any_numbers(good: Path, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """In any column; every row can be spelled out."""
    r = np.random.default_rng(seed)
    head, arrays = content(good, "rows")
    for at in r.integers(3, len(arrays), 4).tolist():
        bits = r.integers(0, 256, arrays[at].nbytes).astype(np.uint8)
        arrays[at] = (
            bits.view(arrays[at].dtype)
            if r.random() < 0.7
            else np.full(len(arrays[at]), 255, np.uint8).astype(arrays[at].dtype)
        )
    look(altered(good, tmp_path_factory.mktemp("hostile") / "a", "rows", packed(head, arrays)))


def test_ids_that_are_there_twice(good: Path, tmp_path: Path) -> None:
    """Rows and nodes that could not be told apart are left out: the tree would have no end."""
    head, arrays = content(good, "rows")
    at = next(i for i, (name, _) in enumerate(head["columns"]) if name == "id") - len(head["columns"])
    arrays[at] = np.zeros_like(arrays[at])
    arrays[at][0] = 1000
    path = altered(good, tmp_path / "a", "rows", packed(head, arrays))
    with Recording(path) as recording:
        snapshot = recording.at(0)
        assert snapshot.tasks["id"].tolist() == [1000]
        assert len(snapshot.tasks.names) == 1
        show(snapshot)
    state, _ = content(good, "state")
    for number in (1000, 0, -4):
        state["nodes"][str(number)] = {**state["nodes"]["3"], "id": number}
    with Recording(altered(good, tmp_path / "b", "state", packed(state))) as recording:
        assert recording.at(0).nodes.keys().isdisjoint({1000, 0, -4})
        show(recording.at(0))
