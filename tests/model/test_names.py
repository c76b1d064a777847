"""The order of names: as sorting all of them, however little has changed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pyobserver.model.names import NameOrder, natural


def expected(names: list[str]) -> list[float]:
    """The rank of each name among the different keys, by sorting."""
    keys = sorted({natural(name) for name in names})
    return [float("nan") if not name else float(keys.index(natural(name))) for name in names]


def places(ranks: np.ndarray) -> list[float]:
    """Ranks made comparable: equal stay equal, smaller stay smaller."""
    known = sorted({r for r in ranks.tolist() if r == r})
    return [known.index(r) if r == r else float("nan") for r in ranks.tolist()]


def normal(ranks: list[float]) -> list[float]:
    return places(np.array(ranks))


@pytest.mark.parametrize(
    ("first", "second"),
    [("Task-2", "Task-10"), ("task-9", "TASK-10"), ("a", "B"), ("b", "C"), ("x", "x1"), ("7", "20"), ("x1", "y")],
)
def test_people_read_numbers(first: str, second: str) -> None:
    """Names of one stem go by the number at their end; case does not matter."""
    assert sorted([second, first], key=natural) == [first, second]


def test_a_number_longer_than_any_counter_is_still_a_name() -> None:
    """Digits without end neither fail nor disturb the others."""
    assert natural("x" + "9" * 5000) == "x" + "9" * 5000
    assert natural("") == ""


@pytest.mark.parametrize("seed", range(12))
def test_as_sorting_everything(seed: int) -> None:
    """Rows that come, go, move and are renamed: the ranks are those of sorting all names anew."""
    r = random.Random(seed)
    order = NameOrder()
    names: list[str] = []
    versions: list[int] = []
    counter = 1

    def fresh() -> str:
        return r.choice(["Task-", "task-", "", "ü", "\U0001f600", "a"]) + r.choice(["", str(r.randrange(40))])

    for _ in range(40):
        for _ in range(r.choice([0, 1, 3, 60])):
            names.append(fresh())
            versions.append(counter)
            counter += 1
        for _ in range(r.choice([0, 1, 2, 5])):
            if names:
                at = r.randrange(len(names))
                names[at], versions[at] = fresh(), counter
                counter += 1
        if names and r.random() < 0.5:  # a row goes, the last one takes its place
            at = r.randrange(len(names))
            names[at], versions[at] = names[-1], versions[-1]
            names.pop()
            versions.pop()
        if r.random() < 0.05:
            names, versions = [], []
        ranks = order.ranks(list(names), np.array(versions, np.int64))
        assert str(places(ranks)) == str(normal(expected(names)))


def test_names_that_did_not_change_are_not_looked_at() -> None:
    """The versions decide: it is they who make an order of 100,000 names cheap."""
    order = NameOrder()
    versions = np.arange(1, 1001)
    names = [f"task-{i * 7919 % 1000}" for i in range(1000)]
    before = order.ranks(names, versions)
    after = order.ranks(["never looked at"] * 1000, versions)
    np.testing.assert_array_equal(before, after)


def test_two_orders_do_not_disturb_each_other() -> None:
    """Views of different moments in turns, as two screens ask for them, get right answers each."""
    order = NameOrder()
    early, late = ["b", "a", "c"], ["b", "d", "c", "a"]
    for _ in range(3):
        assert places(order.ranks(early, np.array([1, 2, 3]))) == [1, 0, 2]
        assert places(order.ranks(late, np.array([1, 4, 3, 5]))) == [1, 3, 2, 0]
