"""The store of rows: whatever comes in whatever order, it holds what a dictionary of rows would hold."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from pyobserver.model import task_store
from pyobserver.model.task_store import FADE_SECONDS, GROWTH_SECONDS, TOO_MANY_TEXTS, TaskStore
from pyobserver.model.tasks import COLUMNS, NO_TASKS, OWN_COLUMNS, Tasks
from pyobserver.protocol import schema

from . import made
from .made import NOW

NAN = math.nan


class Reference:
    """Rows as dictionaries, by id."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.ended: dict[tuple[int, int], int] = {}
        self.rolled = -math.inf

    def put(self, rows: list[dict[str, float]], names: list[str | None], now: float) -> None:
        for row, name in zip(rows, names, strict=True):
            own = dict.fromkeys(OWN_COLUMNS, NAN)
            blank = {**dict.fromkeys(COLUMNS, 0), **made.UNKNOWN, **own, "name": ""}
            kept = self.rows.setdefault(int(row["id"]), blank)
            kept.update(row)
            kept["ended_at"] = NAN
            if name is not None:
                kept["name"] = name
        for row in rows:
            kept = self.rows[int(row["id"])]
            if math.isnan(kept["base_retained"]) and kept["retained"] >= 0:
                kept.update(
                    base_retained=kept["retained"], middle_retained=kept["retained"], base_at=now, middle_at=now
                )

    def end(self, ids: list[int], now: float) -> None:
        for number in ids:
            row = self.rows.get(number)
            if row is not None and math.isnan(row["ended_at"]):
                row.update(ended_at=now, state=schema.STATE_ENDED)
                key = (int(row["kind"]), int(row["function"]))
                self.ended[key] = self.ended.get(key, 0) + 1

    def sweep(self, now: float) -> None:
        self.rows = {n: row for n, row in self.rows.items() if not abs(now - row["ended_at"]) > FADE_SECONDS}
        if self.rolled == -math.inf:
            self.rolled = now
        elif abs(now - self.rolled) > GROWTH_SECONDS:
            self.rolled = now
            for row in self.rows.values():
                row.update(base_retained=row["middle_retained"], base_at=row["middle_at"])
                if row["retained"] >= 0:
                    row.update(middle_retained=row["retained"], middle_at=now)

    def mark(self) -> None:
        for row in self.rows.values():
            row["marked"] = row["retained"] if row["retained"] >= 0 else NAN


def compare(store: TaskStore, tasks: Tasks, reference: Reference) -> None:
    """Every column of every row, the names, and each way to find a row."""
    assert sorted(tasks["id"].tolist()) == sorted(reference.rows)
    assert len(store) == len(tasks) == len(reference.rows)
    assert tasks.ended_by_function == reference.ended
    ids = tasks["id"].tolist()
    expected = [reference.rows[number] for number in ids]
    assert tasks.names == [row["name"] for row in expected]
    assert [tasks.position(number) for number in ids] == list(range(len(ids)))
    assert [number in store for number in ids] == [math.isnan(row["ended_at"]) for row in expected]
    for column in {*COLUMNS, *OWN_COLUMNS} - {"named"}:
        values = np.array([row[column] for row in expected]).astype(tasks[column].dtype)
        np.testing.assert_array_equal(tasks[column], values, column)
    assert tasks.position(-123456) is None and tasks.find(987654321) is None


@pytest.mark.parametrize("seed", range(10))
def test_as_a_dictionary_of_rows(seed: int) -> None:
    """Random rows that come, change in part, end, come back, fade, and are swept, over hours."""
    r = random.Random(seed)
    store, reference, now = TaskStore(), Reference(), NOW
    for step in range(250):
        now += r.choice([0.0, 0.5, 1.0, 2.0, 7.0, 40.0, 301.0 if step % 20 == 0 else 1.0, -3.0])
        way = r.random()
        if way < 0.5:
            only = ["id", *r.sample([c for c in COLUMNS if c != "id"], r.randrange(len(COLUMNS)))]
            rows = [
                {**{c: float(r.randrange(-1 if c == "retained" else 0, 90)) for c in only}, "id": r.randrange(1, 150)}
                for _ in range(r.randrange(30))
            ]
            names = [None if r.random() < 0.3 else f"name-{r.randrange(50)}" for _ in rows]
            store.put(made.columns(rows, only), names, now)
            reference.put(rows, names, now)
        elif way < 0.8:
            ids = [r.randrange(1, 150) for _ in range(r.choice([0, 1, 5, 60]))]
            store.end(ids, now)
            reference.end(ids, now)
        elif way < 0.83:
            store.mark()
            reference.mark()
        elif way < 0.84:
            store.clear()
            reference.rows.clear()
        else:
            store.sweep(now)
            reference.sweep(now)
        if step % 5 == 0:
            compare(store, store.view(now), reference)
            compare(store, store.glance(now), _with_ended(reference, store))


def _with_ended(reference: Reference, store: TaskStore) -> Reference:
    """A glance does not carry what has ended by function."""
    copy = Reference()
    copy.rows = reference.rows
    return copy


def test_a_view_does_not_change() -> None:
    """What was given out stays, whatever happens to the rows; what it shares with the store is only added to."""
    store = TaskStore()
    store.put(made.columns([{"id": i, "retained": i} for i in range(1, 200)]), [f"n{i}" for i in range(1, 200)], NOW)
    view = store.view(NOW)
    before = {name: column.copy() for name, column in view.columns.items()}
    names = list(view.names)
    store.put(made.columns([{"id": i, "retained": 7} for i in range(50, 300)]), ["x"] * 250, NOW)
    store.end(range(1, 100), NOW)
    store.sweep(NOW + 60)
    store.clear()
    for name, column in view.columns.items():
        np.testing.assert_array_equal(column, before[name])
    assert view.names == names


def test_a_row_spelled_out() -> None:
    """Indices become texts, and what is not known becomes None."""
    store = TaskStore()
    texts = {t: store.intern(t) for t in ("m.f", "sleep", "/a/b.py:3")}
    full = {
        "id": 5,
        "kind": schema.KIND_TASK,
        "state": schema.STATE_WAITING,
        "flags": schema.FLAG_UNOWNED | schema.FLAG_AGE_IS_MINIMUM | schema.FLAG_LINE_IS_DEF,
        "function": texts["m.f"],
        "waiting": texts["sleep"],
        "where": texts["/a/b.py:3"],
        "created": NOW - 30,
        "retained": 0,
        "accuracy": schema.EXACT,
        "cpu": 0.0,
        "activity": 0.0,
        "os_id": 77,
        "parent": 3,
        "edge": schema.EDGE_HOLDS,
        "queue": 0,
    }
    store.put(made.columns([full, {"id": 6}]), ["five", ""], NOW)
    row, empty = store.view(NOW).find(5), store.view(NOW).find(6)
    assert row is not None and empty is not None
    assert (row.name, row.function, row.state, row.waiting_on, row.where) == (
        "five",
        "m.f",
        "waiting",
        "sleep",
        "/a/b.py:3",
    )
    assert (row.age_seconds, row.age_is_minimum, row.where_is_def, row.unowned) == (30.0, True, True, True)
    assert (row.retained, row.accuracy, row.cpu_seconds, row.activity, row.queue) == (0, "exact", 0.0, 0.0, 0)
    assert (row.os_id, row.parent, row.edge, row.ended) == (77, 3, "holds", False)
    assert (empty.age_seconds, empty.retained, empty.cpu_seconds, empty.activity, empty.queue) == (None,) * 5
    assert (empty.os_id, empty.function, empty.accuracy, empty.growth) == (None, "", "unavailable", None)


def test_numbers_that_a_newer_agent_sends() -> None:
    """A kind, a state or an edge that is not known here gets a name that says so; infinities are not numbers."""
    store = TaskStore()
    odd = {"id": 1, "kind": 200, "state": 99, "edge": 44, "accuracy": 77, "cpu": math.inf, "created": math.inf}
    store.put(made.columns([odd]), ["x"], NOW)
    row = store.view(NOW).row(0)
    assert (row.kind, row.state, row.edge, row.accuracy) == ("#200", "#99", "#44", "#77")
    assert row.cpu_seconds is None


def test_growth_of_a_row() -> None:
    """It is told from the first measurement on, after a few seconds; an unmeasured row has none."""
    store = TaskStore()
    store.put(made.columns([{"id": 1, "retained": 1000}, {"id": 2}]), ["a", "b"], NOW)
    store.put(made.columns([{"id": 1, "retained": 3000}, {"id": 2}]), ["a", "b"], NOW + 30)
    assert math.isnan(store.view(NOW + 4).growth[0])
    growth = store.view(NOW + 30).growth
    assert growth[0] == 2000 / 30 * 60 and math.isnan(growth[1])


def test_what_a_young_row_comes_to_own_is_no_growth() -> None:
    """Its creator held it at first; one that was there before us, or that grows later, does grow."""
    store = TaskStore()
    old = {"id": 2, "created": NOW - 1, "flags": schema.FLAG_AGE_IS_MINIMUM}
    for seconds, sizes in ((0, (700, 700)), (3, (400_000, 400_000)), (20, (400_000, 400_000))):
        young = {"id": 1, "created": NOW - 1, "retained": sizes[0]}
        store.put(made.columns([young, {**old, "retained": sizes[1]}]), ["", ""], NOW + seconds)
    growth = store.view(NOW + 30).growth
    assert growth[0] == 0.0 and growth[1] > 700_000
    store.put(made.columns([{"id": 1, "created": NOW - 1, "retained": 500_000}]), [""], NOW + 40)
    assert store.view(NOW + 40).growth[0] > 100_000


def test_the_window_of_growth_moves_on() -> None:
    """A row that grew long ago and stands still since is not growing any more after two windows."""
    store = TaskStore()
    store.put(made.columns([{"id": 1, "retained": 0}]), ["a"], NOW)
    store.sweep(NOW)
    store.put(made.columns([{"id": 1, "retained": 9_000_000}]), ["a"], NOW + 10)
    for i in range(1, 4):
        store.sweep(NOW + i * (GROWTH_SECONDS + 1))
    assert store.view(NOW + 4 * GROWTH_SECONDS).growth[0] == 0.0


def test_a_clock_that_was_set_back() -> None:
    """Ended rows do not stay for the hour that a clock was set back."""
    store = TaskStore()
    store.put(made.columns([{"id": 1}]), ["a"], NOW)
    store.end([1], NOW)
    store.sweep(NOW - 3600)
    assert len(store) == 0


def test_more_rows_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds, what is there goes on, what was refused is counted, and room that becomes free is used."""
    monkeypatch.setattr(task_store, "MAX_ROWS", 100)
    store = TaskStore()
    store.put(made.columns([{"id": i, "retained": i} for i in range(1, 151)]), [f"n{i}" for i in range(1, 151)], NOW)
    assert len(store) == 100 and store.refused == 50
    store.put(made.columns([{"id": i, "retained": 5} for i in (140, 3)]), ["no", "three"], NOW)
    row = store.view(NOW).find(3)
    assert row is not None and (row.retained, row.name) == (5, "three")
    assert store.view(NOW).find(140) is None
    store.end(range(1, 11), NOW)
    store.sweep(NOW + 10)
    store.put(made.columns([{"id": 140, "retained": 1}]), ["now"], NOW + 10)
    assert len(store) == 91 and 140 in store


def test_more_texts_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes too late says so, and known texts are still found."""
    monkeypatch.setattr(task_store, "MAX_TEXTS", 10)
    store = TaskStore()
    numbers = [store.intern(f"text {i}") for i in range(50)]
    assert len(store.texts) == 11
    assert [store.texts[n] for n in numbers[:9]] == [f"text {i}" for i in range(9)]
    assert {store.texts[n] for n in numbers[9:]} == {TOO_MANY_TEXTS}
    assert store.intern("text 3") == numbers[3]


def test_nothing_at_all() -> None:
    """No rows is a view like any other."""
    assert len(NO_TASKS) == 0 and NO_TASKS.find(1) is None
    assert len(NO_TASKS.growth) == len(NO_TASKS.name_ranks) == len(NO_TASKS.alive) == 0
    store = TaskStore()
    store.put(made.columns([]), [], NOW)
    store.end([], NOW)
    store.sweep(NOW)
    store.mark()
    assert set(store.view(NOW).columns) == set(NO_TASKS.columns)
