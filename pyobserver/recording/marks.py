"""The sums of the tree by which its growth is told, one after the other, as trees of JSON and back.

{time; keys, one text of all keys in their order, or null where they are those of the sums before; table, one text of
all numbers, line by line; more, whether these are the differences from the sums before}. A key is the id of a node, or
"parent/kind/function/held" for alike children in one line. From second to second few numbers change, and those little:
as differences in one text they take least, and are read at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from ..model.forest_sums import MEASURED, TIERS, Sums, by_key, fold_key, numbered, sums_of
from ..model.groups import GroupKey, Ints
from .errors import Damaged
from .values import read

MAX_MARKS = sum(most for _, most in TIERS)
MAX_KEYS = 1_000_000
MAX_SUM = 10**15


def key_text(key: Hashable) -> str:
    """Return a key of sums as text."""
    if isinstance(key, tuple):
        _, parent, (kind, function, held) = key
        return f"{parent}/{kind}/{function}/{int(held)}"
    return str(key)


@lru_cache(50_000)
def key_of(text: str) -> Hashable:
    """Return the key of which this is the text. Raises Damaged."""
    parent, *group = text.split("/")
    numbers = [part.removeprefix("-") for part in (parent, *group)]
    if len(group) not in (0, 3) or not all(part.isdecimal() and len(part) < 20 for part in numbers):
        raise Damaged("a key of sums that is none")
    return int(parent) if not group else fold_key(int(parent), group_key_of("/".join(group)))


def group_key_of(text: str) -> GroupKey:
    """Return the key of a group, of its kind, function and whether it is held. Raises Damaged."""
    parts = text.split("/")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 20 for part in parts):
        raise Damaged("a key of a group that is none")
    return int(parts[0]), int(parts[1]), parts[2] != "0"


class MarkWriter:
    """Makes trees of marks, each after the first of what has changed since the one before."""

    def __init__(self) -> None:
        self._before: Sums | None = None

    def following(self, mark: Sums) -> Any:
        """Return one that follows what was made before; the first needs none before it."""
        before, self._before = self._before, mark
        same = before is not None and np.array_equal(before.keys, mark.keys) and np.array_equal(before.ids, mark.ids)
        table = mark.table - before.table if same and before is not None else mark.table
        return {
            "time": mark.time,
            "keys": None if same else " ".join(map(key_text, by_key(mark))),
            "table": " ".join(map(str, table.ravel().tolist())),
            "more": bool(same),
        }


class MarkReader:
    """Reads what a `MarkWriter` has made, in the same order. After Damaged it begins anew with a whole one."""

    def __init__(self) -> None:
        self._before: Sums | None = None

    def read(self, tree: Any) -> Sums:
        """Return the sums. Raises Damaged."""
        before, self._before = self._before, None
        if type(tree) is not dict or type(tree.get("table")) is not str:
            raise Damaged("sums of the tree that are none")
        time, numbers = read(float, tree.get("time")), _numbers(tree["table"])
        if tree.get("more") is True:
            if before is None or numbers.shape != before.table.shape:
                raise Damaged("sums of the tree without those before them")
            table = before.table + numbers
            if np.abs(table).max(initial=0) > MAX_SUM:
                raise Damaged("sums that cannot be")
            self._before = Sums(time, before.ids, before.keys, table)
        else:
            keys = tree.get("keys")
            if type(keys) is not str or len(keys) > 40 * MAX_KEYS:
                raise Damaged("sums of the tree without keys")
            names = keys.split()
            if len(names) != len(numbers) or len(set(names)) != len(names):
                raise Damaged("sums of the tree with other keys")
            self._before = sums_of(time, *numbered([key_of(name) for name in names]), numbers)
        return self._before


def _numbers(text: str) -> Ints:
    try:
        found: Ints = np.array(text.split(), np.str_).astype(np.int64).reshape(-1, MEASURED + 1)
    except (ValueError, OverflowError) as error:
        raise Damaged("sums that are none") from error
    if np.abs(found).max(initial=0) > MAX_SUM:
        raise Damaged("sums that cannot be")
    return found


def chained(marks: Iterable[Sums]) -> list[Any]:
    """Return several marks as one list, the oldest first."""
    writer = MarkWriter()
    return [writer.following(mark) for mark in marks]


def unchained(trees: Any) -> list[Sums]:
    """Return the marks of such a list. Raises Damaged."""
    if type(trees) is not list or len(trees) > MAX_MARKS:
        raise Damaged("too many sums of the tree")
    reader = MarkReader()
    return [reader.read(each) for each in trees]
