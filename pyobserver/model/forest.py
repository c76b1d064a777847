"""The tree of who owns whom, as arrays: every row and every node with its parent, its children and their sums."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..protocol import schema
from .groups import GroupKey, Ints, distinct, group_key, group_numbers, sorted_by
from .tasks import Tasks

PROCESS = 0  # the id of the root: the target itself
DEEPEST = 256  # levels; what lies deeper begins anew under the process


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
    pids: tuple[int, ...] = ()  # of the child processes that hang under it


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

    What has ended keeps its place until it has faded, but is in no count and no sum. Sums of bytes leave out child
    processes, whose memory is their own.
    """

    tasks: Tasks
    nodes: tuple[Node, ...]
    ids: Ints
    parents: Ints  # positions
    alive: NDArray[np.bool_]
    children: Ints  # counts
    descendants: Ints
    descendant_tasks: Ints
    bytes: Ints  # with its own
    measured: Ints  # rows measured, with its own

    @cached_property
    def _by_id(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.ids, kind="stable")
        return order, self.ids[order]

    def position(self, number: int) -> int | None:
        """Return the position of the row or node with this id, the first where a hostile agent gives one twice."""
        order, ids = self._by_id
        at = int(np.searchsorted(ids, number))
        return int(order[at]) if at < len(ids) and ids[at] == number else None

    @cached_property
    def _by_parent(self) -> tuple[Ints, Ints]:
        order = sorted_by(self.parents[1:]) + 1
        counts = np.bincount(self.parents[1:], minlength=len(self.ids))
        return order, np.concatenate([[0], np.cumsum(counts)])

    def children_of(self, position: int) -> Ints:
        """Positions of the children of the node at `position`, those that have ended among them."""
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
    """Build the forest. What has a parent that is not known, or is part of a circle, hangs under the process.

    A holder under which nothing hangs is left out: its tasks have owners, as those of a task group.
    """
    above, also_above = tasks["parent"], {node.parent for node in nodes.values()}
    listed = tuple(
        node
        for node in nodes.values()
        if node.kind != _HOLDER or node.id in also_above or bool((above == node.id).any())
    )
    ids = np.concatenate([[PROCESS], tasks["id"].astype(np.int64), [n.id for n in listed]]).astype(np.int64)
    wanted = np.concatenate([[PROCESS], tasks["parent"].astype(np.int64), [n.parent for n in listed]]).astype(np.int64)
    parents, depths = _rooted(_parents(ids, wanted))
    n = len(tasks)
    alive = np.concatenate([[True], tasks.alive, [not each.ended for each in listed]]).astype(bool)
    sizes = np.zeros(len(ids), np.int64)
    is_task = np.zeros(len(ids), np.int64)
    measured = np.zeros(len(ids), np.int64)
    retained = tasks["retained"].astype(np.int64)
    counts = (retained >= 0) & (tasks["kind"] != schema.KIND_CHILD) & tasks.alive
    sizes[1 : n + 1] = np.where(counts, retained, 0)
    measured[1 : n + 1] = counts
    is_task[1 : n + 1] = np.isin(tasks["kind"], schema.TASK_KINDS) & tasks.alive
    below = alive.astype(np.int64)
    tasks_below = is_task.copy()
    for at in _levels(depths):
        for sums in (sizes, measured, below, tasks_below):
            np.add.at(sums, parents[at], sums[at])
    children = np.bincount(parents[1:][alive[1:]], minlength=len(ids)).astype(np.int64)
    return Forest(tasks, listed, ids, parents, alive, children, below - alive, tasks_below - is_task, sizes, measured)


def _parents(ids: Ints, wanted: Ints) -> Ints:
    """The position of each one's parent, that of the process where there is no such id."""
    order = np.argsort(ids, kind="stable")
    in_order = ids[order]
    found = np.minimum(np.searchsorted(in_order, wanted), len(ids) - 1)
    parents = np.where(in_order[found] == wanted, order[found], 0)
    parents[0] = 0
    return parents


def _rooted(parents: Ints) -> tuple[Ints, Ints]:
    """Break circles and cut what lies too deep; return the parents that are left, and the depth of each position.

    Each pass looks twice as far up as the one before. Who has not met the root after as many steps as there are
    positions never will, and whoever can be met then is part of a circle.
    """
    above, depths = parents, np.minimum(np.arange(len(parents)), 1)
    steps = 1
    while above.any() and steps < len(parents):
        depths = depths + depths[above]
        above = above[above]
        steps *= 2
    if above.any():
        broken = parents.copy()
        broken[above] = 0
        return _rooted(broken)
    deep = (depths > 1) & (depths % DEEPEST == 1)
    if deep.any():
        return _rooted(np.where(deep, 0, parents))
    return parents, depths


def _levels(depths: Ints) -> list[Ints]:
    """The positions at each depth, the deepest first, without the root."""
    order = sorted_by(depths)
    ends = np.cumsum(np.bincount(depths))
    return [order[ends[depth - 1] : ends[depth]] for depth in range(len(ends) - 1, 0, -1)]


_HOLDER = "holder"
FOLD = 8  # more alike children than this are shown as one line


@dataclass(frozen=True)
class Fold:
    """Alike children of one node: rows of the same group, those that have ended among them."""

    parent: int  # position
    group: GroupKey
    members: Ints  # positions
    living: Ints  # positions


def folds(forest: Forest, least: int = FOLD) -> list[Fold]:
    """All sets of more than `least` alike children, anywhere in the tree; those that fade fold along."""
    n = len(forest.tasks)
    if not n:
        return []
    groups, which = distinct(group_numbers(forest.tasks))
    above, under = distinct(forest.parents[1 : n + 1])
    places, at = distinct(under * len(groups) + which)
    sizes = np.bincount(at)
    if not (sizes > least).any():
        return []
    order = sorted_by(at)
    ends = np.cumsum(sizes)
    found = []
    for i in np.flatnonzero(sizes > least).tolist():
        above_it, group = int(above[places[i] // len(groups)]), group_key(int(groups[places[i] % len(groups)]))
        members = order[ends[i] - sizes[i] : ends[i]] + 1
        found.append(Fold(above_it, group, members, members[forest.alive[members]]))
    return found


def fold_key(parent_id: int, group: GroupKey) -> tuple[str, int, GroupKey]:
    """What names a fold across updates."""
    return ("fold", parent_id, group)


@dataclass(frozen=True)
class ForestMark:
    """The sums of the tree at one moment: (children, bytes) by the id of a node with children, or by a fold's key.

    The process is always there.
    """

    time: float
    sums: Mapping[Hashable, tuple[int, int]]


def mark(forest: Forest, now: float, most: int | None = None) -> ForestMark:
    """Keep the sums of this moment, to tell growth later; if asked, only of the nodes and folds with `most` in them."""
    sizes = forest.children.copy()
    sizes[0] = np.iinfo(np.int64).max
    parents = _largest(np.flatnonzero(sizes), sizes, most)
    ids, children, sums = forest.ids[parents], forest.children[parents], forest.bytes[parents]
    kept: dict[Hashable, tuple[int, int]] = dict(
        zip(ids.tolist(), zip(children.tolist(), sums.tolist(), strict=True), strict=True)
    )
    found = folds(forest)
    lengths = np.array([len(fold.living) for fold in found], np.int64)
    for i in _largest(np.arange(len(found)), lengths, most).tolist():
        fold = found[i]
        key = fold_key(int(forest.ids[fold.parent]), fold.group)
        kept[key] = (len(fold.living), int(forest.bytes[fold.members].sum()))
    return ForestMark(now, kept)


def _largest(positions: Ints, sizes: Ints, most: int | None) -> Ints:
    if most is None or len(positions) <= most:
        return positions
    return positions[np.argpartition(-sizes[positions], most)[:most]]
