"""Which rows, and in which order: as Python's own stable sort would put them, what is not known always last."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from pyobserver.analysis.ordering import NUMERIC, matches, order
from pyobserver.model.names import natural
from pyobserver.model.task_store import TaskStore
from pyobserver.model.tasks import Row, Tasks
from pyobserver.protocol import schema
from tests.model import made
from tests.model.made import NOW

COLUMNS = ("kind", "name", "function", "state", "waiting", "where", *sorted(NUMERIC), "id", "no such column")
TEXTS = ["b.f", "a.f", "B.f", "zz", "ü"]


def some_rows(seed: int) -> Tasks:
    """Rows with many ties and many unknown values, in no order."""
    r = random.Random(seed)
    store = TaskStore()
    for text in TEXTS:
        store.intern(text)
    ids = r.sample(range(1, 10_000), 300)
    rows = [
        {
            "id": number,
            "kind": r.randrange(3),
            "state": r.randrange(6),
            "function": r.randrange(6),
            "waiting": r.randrange(6),
            "where": r.randrange(6),
            "created": r.choice([0.0, NOW - 5, NOW - 50, NOW - r.random() * 1000]),
            "retained": r.choice([-1, 0, 5, 10**12, r.randrange(10**9)]),
            "cpu": r.choice([math.nan, 0.0, 1.5]),
            "activity": r.choice([math.nan, 0.0, 0.5]),
            "queue": r.choice([-1, 0, 3]),
        }
        for number in ids
    ]
    names = [r.choice(["", "x", "Task-2", "task-10", "Task-9", "é"]) for _ in rows]
    store.put(made.columns(rows), names, NOW)
    later = [{**row, "retained": max(-1, row["retained"] + r.choice([0, 7, -7]))} for row in rows]
    store.put(made.columns(later), [None] * len(rows), NOW + 20)
    store.end(r.sample(ids, 60), NOW + 20)
    store.sweep(NOW + 40)
    store.put(made.columns([{"id": 10_001 + i, "retained": 5} for i in range(20)]), ["new"] * 20, NOW + 40)
    return store.view(NOW + 40)


def value(tasks: Tasks, row: Row, column: str) -> Any:
    """What is shown of a row in a column; None when it is not known."""
    texts = {"function": row.function, "waiting": row.waiting_on, "where": row.where}
    if column in texts:
        return texts[column].casefold() or None
    if column == "name":
        return natural(row.name) or None
    if column == "kind":
        return schema.KINDS.index(row.kind)
    if column == "state":
        return schema.STATES.index(row.state)
    numbers = {"age": row.age_seconds, "memory": row.retained, "growth": row.growth, "cpu": row.cpu_seconds}
    return {**numbers, "activity": row.activity, "queue": row.queue}.get(column, row.id)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", COLUMNS)
def test_as_sorting_with_python(column: str, descending: bool) -> None:
    """Ordered by what is shown, unknown last either way, equal ones by id."""
    tasks = some_rows(3)
    rows = sorted((tasks.row(i) for i in range(len(tasks))), key=lambda row: row.id)
    known = [row for row in rows if value(tasks, row, column) is not None]
    known.sort(key=lambda row: value(tasks, row, column), reverse=descending)
    unknown = [row.id for row in rows if value(tasks, row, column) is None]
    assert tasks["id"][order(tasks, column, descending)].tolist() == [row.id for row in known] + unknown


@pytest.mark.parametrize("column", COLUMNS)
def test_order_does_not_depend_on_where_rows_lie(column: str) -> None:
    """The same rows put in another way are shown in the same order: lines do not jump when a row goes."""
    rows = [{"id": i, "retained": i % 3, "function": i % 2} for i in range(1, 60)]
    names = {row["id"]: f"n{row['id'] % 4}" for row in rows}
    shown = []
    for seed in range(3):
        shuffled = random.Random(seed).sample(rows, len(rows))
        tasks = made.tasks(shuffled, [names[row["id"]] for row in shuffled], ["a", "b"])
        shown.append(tasks["id"][order(tasks, column, descending=True)].tolist())
    assert shown[0] == shown[1] == shown[2]


def test_a_choice_of_rows() -> None:
    """Only what the mask has is ordered; none is an empty order."""
    tasks = made.tasks([{"retained": 10 - i} for i in range(10)])
    mask = np.arange(10) % 2 == 0
    assert order(tasks, "memory", False, mask).tolist() == [8, 6, 4, 2, 0]
    assert len(order(tasks, "memory", False, np.zeros(10, bool))) == 0
    for column in COLUMNS:
        assert len(order(made.tasks([]), column, True)) == 0


def filtered(tasks: Tasks, text: str, kinds: set[int] | None = None) -> list[int]:
    return tasks["id"][matches(tasks, text, kinds)].tolist()


def test_a_filter_finds_what_is_shown() -> None:
    """In any case, in the name, the function, the place, what it waits on, its kind and its state."""
    rows = [
        {"function": 1, "state": schema.STATE_WAITING},
        {"where": 2, "state": schema.STATE_READY},
        {"waiting": 3, "kind": schema.KIND_THREAD, "state": schema.STATE_RUNNING},
        {"state": schema.STATE_READY},
    ]
    tasks = made.tasks(rows, ["push-1", "push-2", "pool", "Straße"], ["m.Spawner.run", "/srv/A.py:3", "Event.wait"])
    assert filtered(tasks, "") == filtered(tasks, "   ") == [1, 2, 3, 4]
    assert filtered(tasks, "PUSH") == [1, 2]
    assert filtered(tasks, "spawner") == [1] and filtered(tasks, "a.py") == [2]
    assert filtered(tasks, "event") == [3] and filtered(tasks, "strasse") == [4]
    assert filtered(tasks, "thread") == [3] and filtered(tasks, "waiting") == [1]
    assert filtered(tasks, "nothing of this kind") == []
    assert filtered(tasks, "push", {schema.KIND_THREAD}) == []
    assert filtered(tasks, "", {schema.KIND_THREAD}) == [3] and filtered(tasks, "", set()) == []
    assert filtered(tasks, "[a-z]*") == []
    assert filtered(made.tasks([]), "x") == []
