"""Sums of the tree, one after the other, are read as they were written; what does not fit is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pyobserver.model.forest_sums import MEASURED, Sums, by_key, numbered, sums_of
from pyobserver.recording.errors import Damaged
from pyobserver.recording.marks import MAX_MARKS, MarkReader, MarkWriter, chained, unchained


def sums(time: float, *keys: Any, seed: int = 0) -> Sums:
    table = np.random.default_rng(seed).integers(-1, 1 << 40, (len(keys), MEASURED + 1))
    return sums_of(time, *numbered(list(keys)), table)


SEVERAL = [
    sums(1.0, 0, 7, -3, ("fold", 7, (0, 5, False)), seed=1),
    sums(3.0, 0, 7, -3, ("fold", 7, (0, 5, False)), seed=2),
    sums(5.0, 0, 7, ("fold", 7, (0, 5, True)), seed=3),
    sums(7.0, seed=4),
    sums(9.0, 0, seed=5),
]


def plain(marks: list[Sums]) -> list[Any]:
    return [(each.time, by_key(each)) for each in marks]


def test_what_is_written_is_read() -> None:
    """Whole ones, and those of which only the differences are written."""
    trees = json.loads(json.dumps(chained(SEVERAL)))
    assert [tree["more"] for tree in trees] == [False, True, False, False, False]
    assert plain(unchained(trees)) == plain(SEVERAL)


def test_differences_need_what_was_before_them() -> None:
    """A reader that begins in the middle says so, and goes on with the next whole one."""
    writer, reader = MarkWriter(), MarkReader()
    trees = [writer.following(each) for each in SEVERAL]
    with pytest.raises(Damaged):
        reader.read(trees[1])
    assert plain([reader.read(trees[2])]) == plain(SEVERAL[2:3])


@pytest.mark.parametrize(
    "tree",
    [
        None,
        {},
        {"time": 1.0, "keys": "0", "table": "1 2 3 4 5", "more": False},
        {"time": 1.0, "keys": "0 0", "table": "1 2 3 4 5 6 " * 2, "more": False},
        {"time": 1.0, "keys": "0 1", "table": "1 2 3 4 5 6", "more": False},
        {"time": 1.0, "keys": "x", "table": "1 2 3 4 5 6", "more": False},
        {"time": 1.0, "keys": "0/1/2", "table": "1 2 3 4 5 6", "more": False},
        {"time": 1.0, "keys": None, "table": "1 2 3 4 5 6", "more": False},
        {"time": 1.0, "keys": "0", "table": "1 2 3 4 5 x", "more": False},
        {"time": 1.0, "keys": "0", "table": f"1 2 3 4 5 {10**16}", "more": False},
        {"time": 1.0, "keys": "0", "table": f"1 2 3 4 5 {10**30}", "more": False},
        {"time": None, "keys": "0", "table": "1 2 3 4 5 6", "more": False},
    ],
)
def test_what_does_not_fit_is_refused(tree: Any) -> None:
    """With one error, whatever it is."""
    with pytest.raises(Damaged):
        MarkReader().read(tree)


def test_differences_do_not_add_up_for_ever() -> None:
    """Sums that cannot be are refused, too, when they come little by little."""
    reader = MarkReader()
    reader.read({"time": 1.0, "keys": "0", "table": f"1 2 3 4 5 {10**15}", "more": False})
    with pytest.raises(Damaged):
        reader.read({"time": 2.0, "keys": None, "table": "0 0 0 0 0 1", "more": True})


def test_too_many() -> None:
    """There are never more than the model keeps."""
    with pytest.raises(Damaged):
        unchained([None] * (MAX_MARKS + 1))
