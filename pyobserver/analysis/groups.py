"""Rows by what they run: how many, how much they retain, where most wait, how many have ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.groups import (
    GroupKey,
    GroupSums,
    distinct,
    group_key,
    group_name,
    group_number,
    group_numbers,
    group_sums,
)
from ..model.snapshot import Snapshot
from ..model.tasks import Tasks, name_of
from ..protocol import schema
from .growth import NOTICED_BYTES, NOTICED_COUNT, grows, per_minute

LISTS_NO_DONE = (3, 14)


@dataclass(frozen=True)
class GroupRow:
    """All rows of one kind and function. Sizes in bytes, growth per minute, None for what is not known.

    `bytes` is the measured ones' mean times the count: exact when `measured_share` is 1. `count` is an estimate where
    not all tasks have been met, or there are too many to keep all.
    """

    key: GroupKey
    kind: str
    kind_index: int
    function: str
    held: bool  # done, but still held by somebody
    count: int
    count_growth: float | None
    bytes: float | None
    bytes_growth: float | None
    mean: float | None
    measured_share: float
    oldest_age: float | None
    oldest_is_minimum: bool
    ended: int  # seen to end so far
    waiting: str  # what most wait on
    where: str  # where most wait, "file:line"
    growing: bool
    marked_count: int | None  # change since the baseline
    marked_bytes: float | None
    count_is_estimate: bool = False
    count_is_minimum: bool = False  # others may be there that nobody could see

    @property
    def count_sign(self) -> str:
        """What stands before the count: "~" when it is an estimate, "≥" when it is at least."""
        return "~" if self.count_is_estimate else "≥" if self.count_is_minimum else ""


def group_rows(snapshot: Snapshot, window: float) -> list[GroupRow]:
    """Return one row per kind and function, in no particular order. `window` is in seconds back from now."""
    tasks = snapshot.tasks
    sums = group_sums(tasks)
    if not sums:
        return []
    facts = _member_facts(tasks)
    return [_row(snapshot, key, group, facts[key], window) for key, group in sums.items()]


def misses_done_tasks(snapshot: Snapshot) -> bool:
    """Whether done tasks are known only if they were met before: from Python 3.14 on asyncio lists none of them."""
    if snapshot.facts is None:
        return False
    return tuple(int(part) for part in snapshot.facts.python.split(".")[:2] if part.isdigit()) >= LISTS_NO_DONE


@dataclass(frozen=True)
class _Facts:
    created: float  # of the oldest, 0 when not known
    is_minimum: bool
    where: str
    waiting: str


def _member_facts(tasks: Tasks) -> dict[GroupKey, _Facts]:
    """The oldest of each group, and where most of it waits."""
    alive = np.flatnonzero(tasks.alive)
    groups, which = distinct(group_numbers(tasks)[alive])
    oldest = _oldest(tasks["created"].astype(np.float64)[alive], which, len(groups))
    usual = _usual(tasks["where"].astype(np.int64)[alive], which, len(groups))
    found: dict[GroupKey, _Facts] = {}
    for number, first, example in zip(groups.tolist(), alive[oldest].tolist(), alive[usual].tolist(), strict=True):
        created = float(tasks["created"][first])
        found[group_key(number)] = _Facts(
            created if 0 < created < math.inf else 0.0,
            bool(int(tasks["flags"][first]) & schema.FLAG_AGE_IS_MINIMUM),
            tasks.texts[int(tasks["where"][example])],
            tasks.texts[int(tasks["waiting"][example])],
        )
    return found


def _oldest(created: NDArray[np.float64], which: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """The place of the oldest of each group; what has no known beginning is younger than all that has."""
    created = np.where(created > 0, created, np.inf)
    first = np.full(groups, np.inf)
    np.minimum.at(first, which, created)
    places = np.empty(groups, np.int64)
    candidates = np.flatnonzero(created == first[which])[::-1]
    places[which[candidates]] = candidates
    return places


def _usual(where: NDArray[np.int64], which: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """The place of one of each group that waits where most of the group wait."""
    pairs, pair = distinct(where * groups + which)
    counts = np.bincount(pair)
    example = np.empty(len(pairs), np.int64)
    example[pair[::-1]] = np.arange(len(pair))[::-1]
    order = np.argsort(counts, kind="stable")  # the most frequent is written last
    places = np.empty(groups, np.int64)
    places[pairs[order] % groups] = example[order]
    return places


def _row(snapshot: Snapshot, key: GroupKey, group: GroupSums, facts: _Facts, window: float) -> GroupRow:
    since = snapshot.growing_since(window)
    counts = snapshot.history.curve(group_name(key, "count"), since)
    sizes = snapshot.history.curve(group_name(key, "bytes"), since)
    size = group.bytes if group.measured else None
    before = snapshot.baseline.groups.get(key, (0, 0.0)) if snapshot.baseline else None
    return GroupRow(
        key=key,
        kind=name_of(schema.KINDS, key[0]),
        kind_index=key[0],
        function=snapshot.tasks.texts[key[1]],
        held=key[2],
        count=group.count,
        count_is_estimate=group.is_estimate,
        count_is_minimum=key[2] and key[0] == schema.KIND_TASK and misses_done_tasks(snapshot),
        count_growth=per_minute(counts),
        bytes=size,
        bytes_growth=per_minute(sizes),
        mean=size / group.count if size is not None else None,
        measured_share=group.measured / group.count,
        oldest_age=max(0.0, snapshot.taken_at - facts.created) if facts.created else None,
        oldest_is_minimum=facts.is_minimum,
        ended=snapshot.tasks.ended_by_function.get((key[0], key[1]), 0),
        waiting=facts.waiting,
        where=facts.where,
        growing=grows(sizes, size, NOTICED_BYTES) or grows(counts, 4.0 * group.count, NOTICED_COUNT),
        marked_count=group.count - before[0] if before is not None else None,
        marked_bytes=size - before[1] if before is not None and size is not None else None,
    )


_SORTS: dict[str, Callable[[GroupRow], float | str | None]] = {
    "kind": lambda row: row.kind,
    "function": lambda row: row.function.casefold() or None,
    "count": lambda row: row.count,
    "count_growth": lambda row: row.count_growth,
    "memory": lambda row: row.bytes,
    "growth": lambda row: row.bytes_growth,
    "mean": lambda row: row.mean,
    "age": lambda row: row.oldest_age,
    "ended": lambda row: row.ended,
    "waiting": lambda row: row.waiting.casefold() or None,
    "where": lambda row: row.where.casefold() or None,
    "marked_count": lambda row: row.marked_count,
    "marked_bytes": lambda row: row.marked_bytes,
}
GROUP_COLUMNS = tuple(_SORTS)


def sort_groups(rows: list[GroupRow], column: str, descending: bool, text: str = "") -> list[GroupRow]:
    """Return the rows that have `text` somewhere, ordered by `column`; what is not known comes last either way."""
    text = text.strip().casefold()
    kept = [r for r in rows if text in " ".join((r.function, r.kind, r.where, r.waiting)).casefold()] if text else rows
    value = _SORTS.get(column, _SORTS["memory"])
    known = sorted((r for r in kept if value(r) is not None), key=lambda r: r.function)
    known.sort(key=lambda r: value(r), reverse=descending)  # type: ignore[arg-type,return-value]
    return known + sorted((r for r in kept if value(r) is None), key=lambda r: r.function)


def members(tasks: Tasks, key: GroupKey) -> NDArray[np.bool_]:
    """Return which rows belong to a group; those that have ended belong to it until they fade."""
    return np.asarray(group_numbers(tasks) == group_number(key), bool)


def kind_counts(tasks: Tasks) -> dict[str, int]:
    """Return how many there are that have not ended, by kind, without the kinds that there are none of.

    Of asyncio tasks it is all of them, also where not all have rows.
    """
    counts = np.bincount(tasks["kind"].astype(np.int64)[tasks.alive])
    found = {name_of(schema.KINDS, kind): n for kind, n in enumerate(counts.tolist()) if n}
    task = schema.KINDS[schema.KIND_TASK]
    if task in found:
        found[task] = round(found[task] / tasks.known_share)
    return found
