"""Groups: rows of one kind and function, counted as a dictionary would count them."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest

from pyobserver.model.groups import distinct, group_key, group_number, group_numbers, group_sums, sorted_by
from pyobserver.model.task_store import TaskStore
from pyobserver.protocol import schema

from . import made
from .made import NOW


@pytest.mark.parametrize("seed", range(5))
def test_sums_are_those_of_a_loop(seed: int) -> None:
    """Ended rows are left out, done ones are their own group, unmeasured ones get the mean of the others."""
    r = random.Random(seed)
    store = TaskStore()
    for i in range(30):
        store.intern(f"f{i}")
    rows = [
        {
            "id": i,
            "kind": r.choice([0, 0, 1, 2, 4, 250]),
            "function": r.randrange(30),
            "state": r.choice([schema.STATE_WAITING, schema.STATE_DONE_HELD]),
            "retained": r.choice([-1, 0, r.randrange(10**9)]),
        }
        for i in range(1, 600)
    ]
    store.put(made.columns(rows), [""] * len(rows), NOW)
    ended = {i for i in range(1, 600) if r.random() < 0.2}
    store.end(ended, NOW)
    expected: dict[tuple[int, int, bool], list[int]] = defaultdict(list)
    for row in rows:
        if row["id"] not in ended:
            held = row["state"] == schema.STATE_DONE_HELD and row["kind"] != schema.KIND_CHILD
            expected[row["kind"], row["function"], held].append(row["retained"])
    sums = group_sums(store.view(NOW))
    assert set(sums) == set(expected)
    for key, values in expected.items():
        measured = [v for v in values if v >= 0]
        assert (sums[key].count, sums[key].measured) == (len(values), len(measured))
        estimate = sum(measured) / len(measured) * len(values) if measured else 0.0
        assert sums[key].bytes == pytest.approx(estimate)


def test_numbers_and_keys() -> None:
    """The number of a group leads back to it, for any kind and any text."""
    for key in ((0, 0, False), (1, 7, True), (255, 199_999, True), (2, 199_999, False)):
        assert group_key(group_number(key)) == key
    rows = [{"kind": 0, "function": 3}, {"kind": 1, "function": 3, "state": schema.STATE_DONE_HELD}]
    numbers = group_numbers(made.tasks(rows, texts="abc"))
    assert [group_key(n) for n in numbers.tolist()] == [(0, 3, False), (1, 3, True)]


def test_a_child_process_that_ended_is_no_group_of_its_own() -> None:
    """A zombie is still a child process of this command."""
    zombie = {"kind": schema.KIND_CHILD, "state": schema.STATE_DONE_HELD}
    assert list(group_sums(made.tasks([zombie]))) == [(schema.KIND_CHILD, 0, False)]


@pytest.mark.parametrize("largest", [1, 3, 1000, 65_535, 65_536, 10**12])
def test_counting_and_comparing_agree(largest: int) -> None:
    """The quick ways through dense numbers give what numpy's general ones give."""
    numbers = np.random.default_rng(largest).integers(0, largest + 1, 3000)
    numbers[-1] = largest
    values, places = distinct(numbers)
    expected_values, expected_places = np.unique(numbers, return_inverse=True)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(places, expected_places)
    np.testing.assert_array_equal(sorted_by(numbers), np.argsort(numbers, kind="stable"))


def test_nothing_to_count() -> None:
    """No rows, or none alive, are no groups."""
    assert group_sums(made.tasks([])) == {}
    store = TaskStore()
    store.put(made.columns([{"id": 1}]), ["a"], NOW)
    store.end([1], NOW)
    assert group_sums(store.view(NOW)) == {}
    values, places = distinct(np.empty(0, np.int64))
    assert len(values) == len(places) == len(sorted_by(np.empty(0, np.int64))) == 0


def test_while_tasks_are_counted_those_that_are_known_speak_for_all() -> None:
    """A quarter has been met: each function has four times as many, and threads are as many as they are."""
    store = TaskStore()
    store.intern("work")
    rows = [{"id": i, "kind": schema.KIND_TASK, "function": 1, "retained": 100} for i in range(1, 26)]
    rows.append({"id": 26, "kind": schema.KIND_THREAD, "function": 1})
    store.put(made.columns(rows), [""] * len(rows), NOW)
    store.in_all = 100
    tasks = store.view(NOW)
    assert tasks.known_share == 0.25
    sums = group_sums(tasks)
    group, threads = sums[schema.KIND_TASK, 1, False], sums[schema.KIND_THREAD, 1, False]
    assert (group.count, group.measured, group.bytes, group.is_estimate) == (100, 25, 10_000.0, True)
    assert (threads.count, threads.is_estimate) == (1, False)
    store.in_all = None
    assert group_sums(store.view(NOW))[schema.KIND_TASK, 1, False].count == 25
