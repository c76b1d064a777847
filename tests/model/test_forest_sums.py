"""Sums of the tree at a moment: by node and by alike children, kept in ever larger distances."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable

import numpy as np
import pytest

from pyobserver.model import forest_sums
from pyobserver.model.endings import EndingCounts
from pyobserver.model.forest import PROCESS, plant
from pyobserver.model.forest_sums import (
    FOLD,
    Sums,
    SumsOverTime,
    by_key,
    evenly,
    fold_key,
    folds,
    mark,
    numbered,
    sums_at,
    sums_from,
)
from pyobserver.model.groups import GroupKey, group_number
from pyobserver.protocol import schema

from . import made
from .made import NOW, Values, node


def keys(sums: Sums) -> list[Hashable]:
    return list(by_key(sums))


@pytest.mark.parametrize("seed", range(6))
def test_folds_are_the_sets_of_alike_children(seed: int) -> None:
    """More than so many rows of one kind and function under one parent, found as a loop finds them."""
    r = random.Random(seed)
    nodes = [node(n) for n in range(1, 6)]
    rows = [
        {
            "id": i,
            "parent": r.choice([0, 1, 2, 3, 4, 5, 100]),
            "function": r.randrange(3),
            "kind": r.choice([0, 1]),
            "state": r.choice([schema.STATE_WAITING, schema.STATE_DONE_HELD]),
        }
        for i in range(100, 400)
    ]
    forest = plant(made.tasks(rows, texts="abc"), {n.id: n for n in nodes})
    alike: dict[tuple[int, tuple[int, int, bool]], list[int]] = defaultdict(list)
    for i, row in enumerate(rows, 1):
        key = (int(row["kind"]), int(row["function"]), row["state"] == schema.STATE_DONE_HELD)
        alike[int(forest.parents[i]), key].append(i)
    expected = {key: members for key, members in alike.items() if len(members) > FOLD}
    found = {(fold.parent, fold.group): fold.members.tolist() for fold in folds(forest)}
    assert found == expected
    assert folds(forest, least=10_000) == []


def test_sums_are_those_of_a_walk() -> None:
    """By node and by alike children of one group: how many directly and below, tasks, bytes, ended, measured."""
    r = random.Random(1)
    rows: list[Values] = [
        {
            "id": i,
            "parent": r.choice([0, 1, 2, *range(100, i)]),
            "function": r.randrange(3),
            "kind": r.choice([schema.KIND_TASK, schema.KIND_THREAD, schema.KIND_CHILD]),
            "retained": r.choice([-1, r.randrange(1000)]),
        }
        for i in range(100, 250)
    ]
    endings = EndingCounts()
    for _ in range(40):
        endings.add(r.choice([0, 1, 2, 100, 101]), group_number((r.randrange(2), r.randrange(3), False)))
    tasks = made.tasks(rows, texts="ab")
    forest = plant(tasks, {1: node(1), 2: node(2)}, endings.view())
    sums = mark(forest, NOW)
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position in range(1, len(forest.ids)):
        parent = int(forest.ids[forest.parents[position]])
        members[parent].append(position)
        if position <= len(rows):
            row = rows[position - 1]
            members[fold_key(parent, (int(row["kind"]), int(row["function"]), False))].append(position)
    again = sums_from(NOW, by_key(sums))
    assert by_key(again) == by_key(sums) and (again.keys == sums.keys).all()
    assert set(keys(sums)) == set(members) | set(forest.ids.tolist())
    for key in keys(sums):
        found = sums.get(key)
        assert found is not None
        directly = members.get(key, [])
        below = [each for one in directly for each in [one, *forest.below(one).tolist()]]
        assert found[:2] == (len(directly), len(below))
        own = [] if not isinstance(key, int) else [forest.position(key)]
        counted = [rows[at - 1] for at in [*own, *below] if at and at <= len(rows)]
        assert found[2] == sum(row["kind"] == schema.KIND_TASK for row in counted)
        group: GroupKey | None = key[2] if isinstance(key, tuple) else None
        assert found[4] == endings.view().under(key[1] if isinstance(key, tuple) else key, group)
        position = forest.position(key[1] if isinstance(key, tuple) else key)  # type: ignore[arg-type]
        assert position is not None and sums_at(forest, position, group) == found


def test_a_mark_keeps_nodes_and_folds() -> None:
    """What has children is remembered by its id, alike children by their parent and group; bytes are those below."""
    rows: list[Values] = [{"id": i, "parent": 1, "function": 1, "retained": 10} for i in range(100, 112)]
    tasks = made.tasks([*rows, {"id": 5, "retained": 1}], texts=["m.f"])
    sums = mark(plant(tasks, {1: node(1)}), NOW, 100)
    assert keys(sums) == [PROCESS, 1, fold_key(1, (0, 1, False))]
    assert sums.get(PROCESS) == (2, 14, 13, 121, 0, 13)
    assert sums.get(1) == (12, 12, 12, 120, 0, 12) == sums.get(fold_key(1, (0, 1, False)))
    assert sums.get(5) is None and sums.get("text") is None and sums.get(("fold", 9, (0, 1, False))) is None


def test_a_child_process_has_its_own_size() -> None:
    """It is in no sum, and has one itself."""
    forest = plant(made.tasks([{"id": -7, "kind": schema.KIND_CHILD, "retained": 500}]), {})
    sums = mark(forest, NOW)
    assert sums.get(-7) == (0, 0, 0, 500, 0, 1) and sums.get(PROCESS) == (1, 1, 0, 0, 0, 0)


def test_a_mark_can_be_bounded() -> None:
    """The widest stay, always the same of equal ones, and the process always."""
    rows = [{"id": 1000 + i, "parent": 1 + i % 50, "retained": 1} for i in range(60)]
    rows += [{"id": 5000 + i, "parent": 7, "retained": 1} for i in range(20)]
    forest = plant(made.tasks(rows), {n: node(n) for n in range(1, 51)})
    whole, bounded = mark(forest, NOW), mark(forest, NOW, 5)
    assert [key for key in keys(bounded) if isinstance(key, int)] == [PROCESS, 1, 2, 3, 4, 7]
    assert len(bounded) == 11
    assert all(bounded.get(key) == whole.get(key) for key in keys(bounded))


@pytest.mark.parametrize("rows", [0, 100_000])
def test_the_past_is_kept_in_ever_larger_distances(rows: int) -> None:
    """Close together for the last minute, then 10 s, a minute, half an hour apart: a day in a hundred or two."""
    none = np.empty(0, np.int64)
    kept = SumsOverTime()
    for second in range(90_000):
        now = NOW + second
        if kept.is_due(now, rows):
            kept.add(Sums(now, none, none, none.reshape(-1, 6)))
    times = np.array([each.time for each in kept.all()]) - NOW
    assert (np.diff(times) > 0).all() and len(times) <= sum(most for _, most in forest_sums.TIERS)
    assert times[-1] >= 89_995 and times[0] < 7_200
    apart = np.diff(times)
    assert apart.max() <= 1860 and (rows or apart[-20:].max() == 2.0)
    assert rows == 0 or apart.min() >= 5.0
    recent = [each.time - NOW for each in evenly(kept.all(), NOW + 89_999 - 600)]
    assert recent[-1] == times[-1] and len(recent) >= 30
    assert max(np.diff(recent)) <= 21
    kept.clear()
    assert kept.all() == () and kept.is_due(NOW, rows)


def test_numbers_of_keys() -> None:
    """What is no key of the tree is found nowhere."""
    ids, groups = numbered([5, fold_key(7, (1, 2, True)), "text", (1, 2)])
    assert ids.tolist() == [5, 7, 0, 0] and groups.tolist() == [0, group_number((1, 2, True)) + 1, -1, -1]
