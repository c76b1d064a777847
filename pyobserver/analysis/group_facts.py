"""All about one group at a glance: how many, how old, where they wait, what one of them retains, whether any has ended.

A group is all rows of one kind and function, or all rows under one supervisor, or of its children those that are alike.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.details import GroupQuestion
from ..model.forest import PROCESS
from ..model.forest_sums import BELOW, CHILDREN, MEASURED, MEMORY, fold_key, sums_at
from ..model.groups import GroupKey, distinct, group_key, group_number, group_numbers
from ..model.snapshot import Snapshot
from ..model.tasks import Tasks, name_of
from ..protocol import schema
from .groups import group_rows
from .growth import TreeGrowth

Mask = NDArray[np.bool_]

AGE_EDGES = (1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0)  # seconds: from the youngest to the oldest
AGE_LABELS = ("< 1 s", "< 10 s", "< 1 min", "< 10 min", "< 1 h", "< 1 d", "older")
MOST_PLACES = 5
MOST_FUNCTIONS = 8
MOST_LIKE = 16
MOST_IDS = 4096  # that the agent takes in one question
ENOUGH_MEMBERS = 5  # of fewer, it says nothing that none has ended
ENOUGH_SECONDS = 60.0  # and in less time


@dataclass(frozen=True)
class Scope:
    """Which rows are meant: those of the group `key`, or of them the children of the node `node`; without a key all
    that hangs under the node, at any depth."""

    key: GroupKey | None = None
    node: int | None = None

    def rows(self, snapshot: Snapshot) -> Mask:
        """Return which rows these are; those that have ended are among them until they fade."""
        tasks = snapshot.tasks
        if self.key is None and self.node is not None:
            return self._below(snapshot, self.node)
        chosen = np.ones(len(tasks), bool)
        if self.key is not None:
            chosen &= group_numbers(tasks) == group_number(self.key)
        if self.node is not None:
            chosen &= tasks["parent"].astype(np.int64) == self.node
        return chosen

    def _below(self, snapshot: Snapshot, node: int) -> Mask:
        chosen = np.zeros(len(snapshot.tasks), bool)
        position = snapshot.forest.position(node)
        if position is not None:
            below = snapshot.forest.below(position)
            chosen[below[below <= len(chosen)] - 1] = True
        return chosen

    def question(self, snapshot: Snapshot) -> GroupQuestion | None:
        """Return what to ask the target, None when there is nothing that it could be asked about."""
        tasks = snapshot.tasks
        is_its_own = (tasks["kind"] != schema.KIND_CHILD) & (tasks["id"].astype(np.int64) > 0)
        living = self.rows(snapshot) & tasks.alive & is_its_own
        if self.key is None:
            living &= tasks["state"] != schema.STATE_DONE_HELD
        ids = tasks["id"][living].tolist()
        if not ids:
            return None
        if self.key is not None:
            return GroupQuestion(like=tuple(ids[:MOST_LIKE]), node=self.node, done=self.key[2])
        directly = tasks["parent"][living] == self.node
        if bool(directly.all()) or (len(ids) > MOST_IDS and bool(directly.any())):
            return GroupQuestion(node=self.node)
        if len(ids) <= MOST_IDS:
            return GroupQuestion(ids=tuple(ids))
        return GroupQuestion() if self.node == PROCESS else None

    def why_no_question(self, snapshot: Snapshot) -> str:
        """Return why there is nothing to ask: none of them is left, they are too many, or not the target's own."""
        kinds = snapshot.tasks["kind"][self.rows(snapshot) & snapshot.tasks.alive]
        if not len(kinds):
            return "none of them is left"
        if bool((kinds == schema.KIND_CHILD).all()):
            return "a child process has its own memory, and shares it by pages, not by objects"
        if bool((kinds == schema.KIND_THREAD).all()):
            return "Python does not know of these threads"
        return f"these are more than the {MOST_IDS:,} that can be asked about in one question"

    def examples(self, snapshot: Snapshot) -> list[int]:
        """Return the rows of which it is worth to know where they were made: the node, if it is a task, and the newest
        of its tasks."""
        tasks = snapshot.tasks
        is_task = tasks["kind"] == schema.KIND_TASK
        position = tasks.position(self.node) if self.node is not None else None
        found = [] if position is None or not is_task[position] or self.node is None else [self.node]
        living = np.flatnonzero(self.rows(snapshot) & tasks.alive & is_task)
        if len(living):
            found.append(int(tasks["id"][living[tasks["created"][living].argmax()]]))
        return found

    @property
    def tree_key(self) -> Hashable | None:
        """What names it among the sums of the tree."""
        if self.node is None:
            return None
        return self.node if self.key is None else fold_key(self.node, self.key)


@dataclass(frozen=True)
class AgeBucket:
    """How many are younger than the next edge. Of `minimum` of them it is only known that they are as old at least."""

    label: str
    count: int
    minimum: int


@dataclass(frozen=True)
class WaitingPlace:
    """Where some wait, "file:line", on what, and how many."""

    where: str
    waiting: str
    count: int


@dataclass(frozen=True)
class FunctionShare:
    """How many run a function, and what those that are measured retain; `held` are done, but still held."""

    function: str
    kind: str
    held: bool
    count: int
    bytes: int | None


@dataclass(frozen=True)
class Sizes:
    """What single ones retain, in bytes, of the `measured` ones."""

    least: float
    median: float
    most: float
    measured: int


@dataclass(frozen=True)
class GroupFacts:
    """What is known of a group without asking. Sizes in bytes, growth per minute, None for what is not known.

    `bytes` is estimated from the measured ones where some are not: then `measured_share` is less than 1. `ended` is
    how many have been seen to end since we look, `watched` for how many seconds; of those that ended lately the one
    that lived longest did so for `longest_ended` seconds.
    """

    count: int
    kind: str
    count_growth: float | None
    bytes: float | None
    bytes_growth: float | None
    measured_share: float
    marked_count: int | None
    marked_bytes: float | None
    ages: tuple[AgeBucket, ...]
    unknown_ages: int
    oldest: float | None
    oldest_is_minimum: bool
    children: int | None  # of a supervisor, directly under it
    functions: tuple[FunctionShare, ...]
    more_functions: int
    ended: int | None  # of a supervisor its children; None where it is not counted
    longest_ended: float | None
    watched: float
    waiting: int  # how many of them wait
    places: tuple[WaitingPlace, ...]
    more_places: int
    sizes: Sizes | None

    @property
    def never_ends(self) -> bool:
        """Whether nothing suggests that any of them ever ends: enough, for long enough, and all of them wait."""
        enough = (self.children or self.count) >= ENOUGH_MEMBERS and self.watched >= ENOUGH_SECONDS
        return enough and self.ended == 0 and self.waiting == self.count and self.longest_ended is None


def group_facts(snapshot: Snapshot, scope: Scope, window: float) -> GroupFacts:
    """Return what is known of the rows of `scope`; growth is that of the last `window` seconds."""
    tasks = snapshot.tasks
    every = scope.rows(snapshot)
    chosen = every & tasks.alive
    number = int(chosen.sum())
    retained = tasks["retained"].astype(np.float64)[chosen]
    known = retained[retained >= 0]
    growths = _growth(snapshot, scope, window)
    oldest, is_minimum = _oldest(tasks, chosen, snapshot.taken_at)
    buckets, unknown = age_buckets(tasks, chosen, snapshot.taken_at)
    places, more = waiting_places(tasks, chosen)
    functions, more_functions = functions_of(tasks, chosen)
    kinds = np.unique(tasks["kind"][chosen]).tolist()
    return GroupFacts(
        count=number,
        kind=schema.KINDS[kinds[0]] if len(kinds) == 1 and kinds[0] < len(schema.KINDS) else "",
        count_growth=growths[0],
        bytes=float(known.mean()) * number if len(known) else None,
        bytes_growth=growths[1],
        measured_share=len(known) / number if number else 1.0,
        marked_count=growths[2],
        marked_bytes=growths[3],
        ages=buckets,
        unknown_ages=unknown,
        oldest=oldest,
        oldest_is_minimum=is_minimum,
        children=_children(snapshot, scope),
        functions=functions,
        more_functions=more_functions,
        ended=_ended(snapshot, scope),
        longest_ended=_longest_ended(tasks, every & ~tasks.alive),
        watched=_watched(snapshot),
        waiting=int((tasks["state"][chosen] == schema.STATE_WAITING).sum()),
        places=places,
        more_places=more,
        sizes=sizes_of(known),
    )


def age_buckets(tasks: Tasks, chosen: Mask, now: float) -> tuple[tuple[AgeBucket, ...], int]:
    """Return how many of the `chosen` rows are how old, the youngest first, and of how many that is not known."""
    created = tasks["created"].astype(np.float64)[chosen]
    is_minimum = (tasks["flags"].astype(np.int64)[chosen] & schema.FLAG_AGE_IS_MINIMUM) != 0
    known = (created > 0) & np.isfinite(created)
    places = np.searchsorted(AGE_EDGES, np.maximum(0.0, now - created[known]), side="right")
    counts = np.bincount(places, minlength=len(AGE_LABELS))
    minimum = np.bincount(places[is_minimum[known]], minlength=len(AGE_LABELS))
    rows = zip(AGE_LABELS, counts.tolist(), minimum.tolist(), strict=True)
    return tuple(AgeBucket(*row) for row in rows), int((~known).sum())


def waiting_places(tasks: Tasks, chosen: Mask, most: int = MOST_PLACES) -> tuple[tuple[WaitingPlace, ...], int]:
    """Return where most of the `chosen` rows are and on what they wait, and how many rows are elsewhere."""
    where = tasks["where"].astype(np.int64)[chosen]
    waiting = tasks["waiting"].astype(np.int64)[chosen]
    if not len(where):
        return (), 0
    pairs, which = distinct(where * len(tasks.texts) + waiting)
    counts = np.bincount(which)
    first = np.argsort(-counts, kind="stable")[:most]
    found = tuple(
        WaitingPlace(tasks.texts[pair // len(tasks.texts)], tasks.texts[pair % len(tasks.texts)], number)
        for pair, number in zip(pairs[first].tolist(), counts[first].tolist(), strict=True)
    )
    return found, len(where) - sum(place.count for place in found)


def functions_of(tasks: Tasks, chosen: Mask, most: int = MOST_FUNCTIONS) -> tuple[tuple[FunctionShare, ...], int]:
    """Return what most of the `chosen` rows run, and how many run something else."""
    numbers = group_numbers(tasks)[chosen]
    if not len(numbers):
        return (), 0
    groups, which = distinct(numbers)
    retained = tasks["retained"].astype(np.float64)[chosen]
    known = retained >= 0
    counts, measured = np.bincount(which), np.bincount(which[known], minlength=len(groups))
    sizes = np.bincount(which[known], retained[known], len(groups))
    found = []
    for i in np.argsort(-counts, kind="stable")[:most].tolist():
        kind, function, held = group_key(int(groups[i]))
        size = int(sizes[i]) if measured[i] else None
        found.append(FunctionShare(tasks.texts[function], name_of(schema.KINDS, kind), held, int(counts[i]), size))
    return tuple(found), int(counts.sum()) - sum(each.count for each in found)


def sizes_of(retained: NDArray[np.float64]) -> Sizes | None:
    """Return least, median and most of these sizes, None when there are none."""
    if not len(retained):
        return None
    return Sizes(float(retained.min()), float(np.median(retained)), float(retained.max()), len(retained))


def ended_words(facts: GroupFacts, age: str) -> str:
    """Return in a sentence whether any has ended. `age` is how long the longest-lived of those lived, as text."""
    if facts.ended is None:
        return ""
    if not facts.ended:
        words = "none has been seen to end"
        return f"{words}, and all of them wait: nothing suggests that they ever end" if facts.never_ends else words
    in_all = facts.ended + (facts.count if facts.children is None else facts.children)
    words = f"{facts.ended:,} of {in_all:,} have been seen to end"
    return f"{words}; of the last of them the longest lived {age}" if facts.longest_ended is not None else words


def _growth(
    snapshot: Snapshot, scope: Scope, window: float
) -> tuple[float | None, float | None, int | None, float | None]:
    """(count per minute, bytes per minute, count since the baseline, bytes since the baseline)"""
    if scope.tree_key is not None:
        growth = TreeGrowth(snapshot.marks, snapshot.growing_since(window)).of(scope.tree_key)
        changes = _since_baseline(snapshot, scope)
        return growth[CHILDREN], growth[MEMORY], *changes
    row = next((row for row in group_rows(snapshot, window) if row.key == scope.key), None)
    if row is None:
        return None, None, None, None
    return row.count_growth, row.bytes_growth, row.marked_count, row.marked_bytes


def _oldest(tasks: Tasks, chosen: Mask, now: float) -> tuple[float | None, bool]:
    created = tasks["created"].astype(np.float64)[chosen]
    created = np.where(created > 0, created, np.inf)
    if not len(created) or not np.isfinite(created.min()):
        return None, False
    flags = tasks["flags"].astype(np.int64)[chosen][int(created.argmin())]
    return max(0.0, now - float(created.min())), bool(flags & schema.FLAG_AGE_IS_MINIMUM)


def _since_baseline(snapshot: Snapshot, scope: Scope) -> tuple[int | None, int | None]:
    """The change of a supervisor's children, and of its bytes, None where that is not known."""
    sums = snapshot.baseline.sums if snapshot.baseline is not None else None
    now = sums_now(snapshot, scope)
    if sums is None or now is None or scope.tree_key is None:
        return None, None
    before = sums.get(scope.tree_key)
    if before is None:
        return now[CHILDREN], now[MEMORY]
    is_known = before[MEASURED] > 0 or not before[BELOW]
    return now[CHILDREN] - before[CHILDREN], now[MEMORY] - before[MEMORY] if is_known else None


def sums_now(snapshot: Snapshot, scope: Scope) -> tuple[int, ...] | None:
    """Return the sums under a supervisor by quantity, of a group what is alike; None when it is not there any more."""
    if scope.node is None:
        return None
    position = snapshot.forest.position(scope.node)
    if position is None:
        return None
    return sums_at(snapshot.forest, position, scope.key)


def _children(snapshot: Snapshot, scope: Scope) -> int | None:
    now = sums_now(snapshot, scope)
    return None if now is None or scope.key is not None else now[CHILDREN]


def _ended(snapshot: Snapshot, scope: Scope) -> int | None:
    if scope.node is not None:
        return snapshot.endings.under(scope.node, scope.key)
    if scope.key is None:
        return None
    return snapshot.tasks.ended_by_function.get((scope.key[0], scope.key[1]), 0)


def _longest_ended(tasks: Tasks, ended: Mask) -> float | None:
    created = tasks["created"].astype(np.float64)[ended]
    lived = (tasks["ended_at"].astype(np.float64)[ended] - created)[(created > 0) & np.isfinite(created)]
    return max(0.0, float(lived.max())) if len(lived) else None


def _watched(snapshot: Snapshot) -> float:
    """For how many seconds the target has been looked at since the first picture was complete."""
    return 0.0 if snapshot.settled_at is None else max(0.0, snapshot.taken_at - snapshot.settled_at)
