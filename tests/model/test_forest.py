"""The tree: every row has one place, whatever its parents are said to be, and the sums are those of a walk."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pyobserver.model.forest import DEEPEST, PROCESS, Forest, plant
from pyobserver.model.forest_sums import fold_key, folds, mark
from pyobserver.model.task_store import TaskStore
from pyobserver.protocol import schema

from . import made
from .made import NOW, Values, node


def planted(rows: list[Values], *nodes: object) -> Forest:
    return plant(made.tasks(rows), {n.id: n for n in nodes})  # type: ignore[attr-defined]


def parent_ids(forest: Forest) -> dict[int, int]:
    """The id of each one's parent by its id, without the process."""
    ids = forest.ids.tolist()
    return {ids[i]: ids[p] for i, p in enumerate(forest.parents.tolist()) if i}


def reference_parents(said: dict[int, int]) -> dict[int, int]:
    """Parents by a walk: unknown ones are the process, members of a circle hang under it, so does every 257th."""
    parents = {n: p if p in said else PROCESS for n, p in said.items()}
    for number in list(parents):
        path, at = [], number
        while at != PROCESS and at not in path:
            path.append(at)
            at = parents[at]
        if at != PROCESS:
            for member in path[path.index(at) :]:
                parents[member] = PROCESS
    cut = []
    for number in parents:
        depth, at = 0, number
        while at != PROCESS:
            depth, at = depth + 1, parents[at]
        if depth > 1 and depth % DEEPEST == 1:
            cut.append(number)
    return {n: PROCESS if n in cut else p for n, p in parents.items()}


def check_sums(forest: Forest) -> None:
    """Children, descendants, tasks, bytes and measured rows, each by walking up from every position."""
    n = len(forest.ids)
    children, descendants, tasks = Counter[int](), Counter[int](), Counter[int]()
    sums, measured = Counter[int](), Counter[int]()
    for i in np.flatnonzero(forest.alive[1:]) + 1:
        row = forest.tasks.row(i - 1) if i <= len(forest.tasks) else None
        counts = row is not None and row.retained is not None and row.kind != "child process"
        children[int(forest.parents[i])] += 1
        at, steps = i, 0
        while True:
            if at != i:
                descendants[at] += 1
                tasks[at] += row is not None and row.kind == "asyncio task"
            if counts and row is not None and row.retained is not None:
                sums[at] += row.retained
                measured[at] += 1
            if at == 0:
                break
            at, steps = int(forest.parents[at]), steps + 1
            assert steps <= DEEPEST
    for i in range(n):
        totals = forest.totals(i)
        assert (totals.children, totals.descendants, totals.tasks) == (children[i], descendants[i], tasks[i])
        assert totals.bytes == (sums[i] if measured[i] else None)
        assert forest.children_of(i).tolist() == [j for j in range(1, n) if forest.parents[j] == i]


@pytest.mark.parametrize("seed", range(25))
def test_random_parents(seed: int) -> None:
    """Trees, circles, orphans, rows under themselves and under nodes: as the reference, and the sums add up."""
    r = random.Random(seed)
    rows_count, nodes_count = r.randrange(1, 60), r.randrange(0, 15)
    ids = r.sample(range(1, 500), rows_count + nodes_count)
    wild = r.choice([0.0, 0.3, 1.0])

    def parent(i: int) -> int:
        if r.random() < wild:
            return r.choice([*ids, PROCESS, 999_999, -5, ids[i]])
        return ids[r.randrange(i)] if i else PROCESS

    said = {number: parent(i) for i, number in enumerate(ids)}
    rows = [
        {"id": n, "parent": said[n], "kind": r.choice([0, 0, 1, 2]), "retained": r.choice([-1, 0, 10, 10**10])}
        for n in ids[:rows_count]
    ]
    forest = planted(rows, *[node(n, "task_group", parent=said[n]) for n in ids[rows_count:]])
    assert parent_ids(forest) == reference_parents(said)
    check_sums(forest)


def test_a_holder_under_which_nothing_hangs_is_left_out() -> None:
    """The tasks in it have owners; one that holds others, or rows that have ended, stays."""
    forest = planted([{"id": 1, "parent": 20}], node(20), node(21), node(22), node(23, parent=22), node(24, "unowned"))
    assert set(forest.ids.tolist()) - {PROCESS} == {1, 20, 22, 24}


def test_a_circle_hangs_under_the_process_and_keeps_what_hangs_under_it() -> None:
    """Three that wait for each other are siblings then; who waits for one of them stays below it."""
    rows = [{"id": 1, "parent": 2}, {"id": 2, "parent": 3}, {"id": 3, "parent": 1}, {"id": 4, "parent": 2}]
    assert parent_ids(planted(rows)) == {1: 0, 2: 0, 3: 0, 4: 2}


def test_its_own_parent() -> None:
    """A row that is said to own itself is a child of the process."""
    assert parent_ids(planted([{"id": 7, "parent": 7}], node(8, parent=8))) == {7: 0, 8: 0}


@pytest.mark.parametrize("length", [DEEPEST - 1, DEEPEST, DEEPEST + 1, 5 * DEEPEST + 3])
def test_chains_without_end(length: int) -> None:
    """A chain deeper than can be shown goes on under the process, in as few parts as that takes."""
    forest = planted([{"id": i, "parent": i - 1, "retained": 1} for i in range(1, length + 1)])
    tops = [n for n, parent in parent_ids(forest).items() if parent == PROCESS]
    assert tops == list(range(1, length + 1, DEEPEST))
    assert int(forest.bytes[0]) == length
    check_sums(forest)


def test_an_agent_that_gives_an_id_twice_or_zero() -> None:
    """The process stays the root, and every position can still be listed once."""
    nodes = {5: node(5, parent=0), 0: node(0, parent=5)}
    forest = plant(made.tasks([{"id": 5, "parent": 0}, {"id": 6, "parent": 5}]), nodes)
    assert forest.position(PROCESS) == 0 and forest.position(5) == 1 and forest.position(404) is None
    seen: list[int] = []
    stack = [0]
    while stack:
        seen.append(stack.pop())
        stack.extend(forest.children_of(seen[-1]).tolist())
    assert sorted(seen) == list(range(len(forest.ids)))


@pytest.mark.parametrize("kind", ["holder", "gather"])
def test_what_is_nothing_by_itself(kind: str) -> None:
    """It is in the tree only while something hangs under it, be it fading."""
    nodes = [node(5, kind), node(6, kind), node(7, "task_group")]
    assert {each.id for each in planted([{"id": 1, "parent": 5}], *nodes).nodes} == {5, 7}


def test_a_gather_without_living_tasks_is_over() -> None:
    """It fades with them, and counts no more."""
    store = TaskStore()
    store.put(made.columns([{"id": 1, "parent": 5}, {"id": 2, "parent": 6}]), ["", ""], NOW)
    store.end([1], NOW)
    forest = plant(store.view(NOW), {5: node(5, "gather", 7), 6: node(6, "gather", 7), 7: node(7, "gather")})
    alive = {int(forest.ids[at]): bool(forest.alive[at]) for at in range(1, len(forest.ids))}
    assert alive == {1: False, 2: True, 5: False, 6: True, 7: True}
    assert forest.totals(forest.position(7) or 0).children == 1


def test_child_processes_are_in_no_sum() -> None:
    """Their memory is their own; they count as descendants only."""
    forest = planted([{"id": 1, "kind": schema.KIND_CHILD, "retained": 500}, {"id": 2, "retained": 7}])
    assert forest.totals(0).bytes == 7 and forest.totals(0).descendants == 2 and forest.totals(0).tasks == 1
    assert forest.totals(1).bytes is None


def test_what_was_not_measured_is_not_zero() -> None:
    """A node with unmeasured rows only has no size; one measured row of zero bytes has one."""
    assert planted([{"id": 1}, {"id": 2}]).totals(0).bytes is None
    assert planted([{"id": 1}, {"id": 2, "retained": 0}]).totals(0).bytes == 0


def test_alone() -> None:
    """Without rows and nodes there is the process."""
    forest = plant(made.tasks([]), {})
    assert forest.totals(0).children == 0 and forest.node(0) is None and len(forest.children_of(0)) == 0
    assert folds(forest) == [] and mark(forest, NOW).get(PROCESS) == (0, 0, 0, 0, 0, 0)


def test_what_has_ended_keeps_its_place_and_counts_no_more() -> None:
    """What fades is still shown where it was, but is in no sum: a service that replaces its tasks does not grow."""
    store = TaskStore()
    rows = [{"id": i, "parent": 90, "retained": 5} for i in range(1, 31)]
    store.put(made.columns([*rows, {"id": 50, "parent": 1, "retained": 3}]), [""] * 31, NOW)
    store.end(range(1, 21), NOW)
    forest = plant(store.view(NOW), {90: node(90), 91: replace(node(91, "loop"), ended=True)})
    assert parent_ids(forest) == {**dict.fromkeys(range(1, 31), 90), 50: 1, 90: 0, 91: 0}
    at = forest.position(90)
    assert at is not None and len(forest.children_of(at)) == 30
    totals = forest.totals(at)
    assert (totals.children, totals.descendants, totals.tasks, totals.bytes) == (10, 11, 11, 53)
    assert forest.totals(0).children == 1
    (fold,) = folds(forest)
    assert len(fold.members) == 30 and len(fold.living) == 10
    assert mark(forest, NOW).get(fold_key(90, fold.group)) == (10, 11, 11, 53, 0, 11)
    check_sums(forest)


def test_what_is_below() -> None:
    """All rows and nodes under one, at any depth, and nothing else."""
    r = random.Random(3)
    rows = [{"id": i, "parent": r.choice([0, *range(1, 9), *range(100, i)])} for i in range(100, 300)]
    forest = planted(rows, *(node(i, "loop", parent=r.randrange(i)) for i in range(1, 9)))
    above = forest.parents.tolist()
    for position in range(len(forest.ids)):
        expected = []
        for other in range(1, len(forest.ids)):
            at = other
            while at and above[at] != position:
                at = above[at]
            if at:
                expected.append(other)
        assert forest.below(position).tolist() == expected
