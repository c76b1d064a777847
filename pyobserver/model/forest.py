"""The tree of who owns whom, as arrays: every row and every node with its parent, its children and their sums."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..protocol import schema
from .groups import GroupKey, group_key, group_numbers
from .tasks import Tasks

PROCESS = 0  # the id of the root: the target itself
_DEEPEST = 64

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Node:
    """A tree node that is not a row: a loop, a task group, a gather, a holder, the unowned, an executor."""

    id: int
    kind: str
    label: str
    parent: int
    edge: str
    queue: int | None
    detail: str
    ended: bool = False


@dataclass(frozen=True)
class Totals:
    """What hangs under one node. `bytes` is what has been measured, None when nothing was."""

    children: int
    descendants: int
    tasks: int
    bytes: int | None


@dataclass(frozen=True)
class Forest:
    """Position 0 is the process; then come the rows of `tasks` in their order, then the nodes in theirs.

    `own` is a row's retained bytes (0 where unknown); sums leave out child processes, whose memory is their own.
    """

    tasks: Tasks
    nodes: tuple[Node, ...]
    ids: Ints
    parents: Ints  # positions
    children: Ints  # counts
    descendants: Ints
    descendant_tasks: Ints
    bytes: Ints  # with its own
    measured: Ints  # rows measured, with its own

    @cached_property
    def positions(self) -> dict[int, int]:
        """Position by id."""
        return {number: i for i, number in enumerate(self.ids.tolist())}

    @cached_property
    def _by_parent(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.parents[1:], kind="stable") + 1
        return order, np.concatenate([[0], np.cumsum(self.children)])

    def children_of(self, position: int) -> Ints:
        """Positions of the children of the node at `position`."""
        order, starts = self._by_parent
        return order[starts[position] : starts[position + 1]]

    def totals(self, position: int) -> Totals:
        """The sums of the node at `position`."""
        return Totals(
            int(self.children[position]),
            int(self.descendants[position]),
            int(self.descendant_tasks[position]),
            int(self.bytes[position]) if self.measured[position] else None,
        )

    def node(self, position: int) -> Node | None:
        """The node at `position`, None for the process and for rows."""
        index = position - 1 - len(self.tasks)
        return self.nodes[index] if index >= 0 else None


def plant(tasks: Tasks, nodes: Mapping[int, Node]) -> Forest:
    """Build the forest. A parent that is not known, or a circle, puts a node under the process."""
    listed = tuple(nodes.values())
    ids = np.concatenate([[PROCESS], tasks["id"].astype(np.int64), [n.id for n in listed]]).astype(np.int64)
    wanted = np.concatenate([[PROCESS], tasks["parent"].astype(np.int64), [n.parent for n in listed]]).astype(np.int64)
    order = np.argsort(ids, kind="stable")
    found = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    parents = np.where(ids[order][found] == wanted, order[found], 0)
    parents[parents == np.arange(len(ids))] = 0
    depths = _depths(parents)
    n = len(tasks)
    own = np.zeros(len(ids), np.int64)
    is_task = np.zeros(len(ids), np.int64)
    measured = np.zeros(len(ids), np.int64)
    retained = tasks["retained"].astype(np.int64)
    counts = (retained >= 0) & (tasks["kind"] != schema.KIND_CHILD)
    own[1 : n + 1] = np.where(counts, retained, 0)
    measured[1 : n + 1] = counts
    is_task[1 : n + 1] = tasks["kind"] == schema.KIND_TASK
    below = np.ones(len(ids), np.int64)
    tasks_below = is_task.copy()
    for depth in range(int(depths.max(initial=0)), 0, -1):
        at = np.flatnonzero(depths == depth)
        for sums in (own, measured, below, tasks_below):
            np.add.at(sums, parents[at], sums[at])
    children = np.bincount(parents[1:], minlength=len(ids)).astype(np.int64)
    return Forest(tasks, listed, ids, parents, children, below - 1, tasks_below - is_task, own, measured)


def _depths(parents: Ints) -> Ints:
    """Depth of every position; what lies in a circle or too deep is moved under the root, in place."""
    depths = np.zeros(len(parents), np.int64)
    above = parents.copy()
    for _ in range(_DEEPEST):
        climbing = np.arange(len(parents)) != 0
        climbing &= above != 0
        if not climbing.any():
            break
        depths[climbing] += 1
        above = np.where(climbing, parents[above], 0)
    else:
        lost = above != 0
        parents[lost] = 0
        return _depths(parents)
    depths[1:] += 1
    return depths


FOLD = 8  # more alike children than this are shown as one line


@dataclass(frozen=True)
class Fold:
    """Alike children of one node: rows of the same group."""

    parent: int  # position
    group: GroupKey
    members: Ints  # positions


def folds(forest: Forest, least: int = FOLD) -> list[Fold]:
    """All sets of more than `least` alike children, anywhere in the tree. Ended rows do not count, but fold along."""
    n = len(forest.tasks)
    if not n:
        return []
    parents = forest.parents[1 : n + 1]
    order = np.lexsort((group_numbers(forest.tasks), parents))
    numbers = group_numbers(forest.tasks)[order]
    sorted_parents = parents[order]
    starts = np.flatnonzero(np.r_[True, (numbers[1:] != numbers[:-1]) | (sorted_parents[1:] != sorted_parents[:-1])])
    ends = np.r_[starts[1:], n]
    wide = ends - starts > least
    return [
        Fold(int(sorted_parents[start]), group_key(int(numbers[start])), order[start:end] + 1)
        for start, end in zip(starts[wide].tolist(), ends[wide].tolist(), strict=True)
    ]


def fold_key(parent_id: int, group: GroupKey) -> tuple[str, int, GroupKey]:
    """What names a fold across updates."""
    return ("fold", parent_id, group)


@dataclass(frozen=True)
class ForestMark:
    """The sums of the tree at one moment: (children, bytes) by the id of a node with children, or by a fold's key."""

    time: float
    sums: Mapping[Hashable, tuple[int, int]]


def mark(forest: Forest, now: float) -> ForestMark:
    """Keep the sums of this moment, to tell growth later."""
    parents = np.flatnonzero(forest.children)
    ids, children, sums = forest.ids[parents], forest.children[parents], forest.bytes[parents]
    kept: dict[Hashable, tuple[int, int]] = dict(
        zip(ids.tolist(), zip(children.tolist(), sums.tolist(), strict=True), strict=True)
    )
    for fold in folds(forest):
        key = fold_key(int(forest.ids[fold.parent]), fold.group)
        kept[key] = (len(fold.members), int(forest.bytes[fold.members].sum()))
    return ForestMark(now, kept)
