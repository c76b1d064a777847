"""The tree of who owns whom, as arrays: every row and every node with its parent, its children and their sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..protocol import schema
from .endings import NO_ENDINGS, Endings
from .groups import Ints, sorted_by
from .tasks import Tasks

PROCESS = 0  # the id of the root: the target itself
DEEPEST = 256  # levels; what lies deeper begins anew under the process

_GATHER = "gather"
_EMPTIED = frozenset({"holder", _GATHER})  # kinds of nodes that are nothing without something under them


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
    is_task: Ints  # 1 for a task that has not ended
    endings: Endings = NO_ENDINGS

    @cached_property
    def ended(self) -> Ints:
        """How many children have been seen to end, by position; -1 where they are not counted any more."""
        counts = np.full(len(self.ids), 0 if self.endings.is_complete else -1, np.int64)
        order, ids = self._by_id
        at = np.searchsorted(ids, self.endings.parents).clip(0, len(ids) - 1)
        found = ids[at] == self.endings.parents
        here, which = np.unique(order[at[found]], return_inverse=True)
        counts[here] = np.bincount(which, self.endings.counts[found], len(here))
        return counts

    @cached_property
    def sizes(self) -> Ints:
        """The bytes of each position as they are shown: child processes have theirs, which are in no sum."""
        sizes = self.bytes.copy()
        sizes[self._child_processes] = self.tasks["retained"][self._child_processes - 1]
        return sizes

    @cached_property
    def sized(self) -> Ints:
        """How many sizes those are made of: of no position that has 0 is the size known."""
        known = self.measured.copy()
        known[self._child_processes] = 1
        return known

    @cached_property
    def _child_processes(self) -> Ints:
        is_child = self.tasks["kind"] == schema.KIND_CHILD
        return np.flatnonzero(is_child & (self.tasks["retained"].astype(np.int64) >= 0)) + 1

    @cached_property
    def _by_id(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.ids, kind="stable")
        return order, self.ids[order]

    def position(self, number: int) -> int | None:
        """Return the position of the row or node with this id, the first where a hostile agent gives one twice."""
        order, ids = self._by_id
        at = int(ids.searchsorted(number))
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

    def below(self, position: int) -> Ints:
        """Positions of all that hangs under the node at `position`, at any depth, ascending."""
        found: list[Ints] = []
        level = self.children_of(position)
        while len(level):
            found.append(level)
            parents = level[self._is_parent[level]].tolist()
            level = np.concatenate([_NONE, *(self.children_of(each) for each in parents)])
        return np.sort(np.concatenate(found)) if found else _NONE

    @cached_property
    def _is_parent(self) -> NDArray[np.bool_]:
        _, starts = self._by_parent
        return np.diff(starts) > 0

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


_NONE: Ints = np.empty(0, np.int64)


def plant(tasks: Tasks, nodes: Mapping[int, Node], endings: Endings = NO_ENDINGS) -> Forest:
    """Build the forest. What has a parent that is not known, or is part of a circle, hangs under the process.

    A holder under which nothing hangs is left out: its tasks have owners, as those of a task group. So is a gather, and
    one under which nothing lives has ended: the garbage collector may leave what is over there for a while.
    """
    owners = {node.parent for node in nodes.values()}
    if any(node.kind in _EMPTIED for node in nodes.values()):
        owners.update(np.unique(tasks["parent"]).tolist())
    listed = tuple(node for node in nodes.values() if node.kind not in _EMPTIED or node.id in owners)
    ids = np.concatenate([[PROCESS], tasks["id"].astype(np.int64), [n.id for n in listed]]).astype(np.int64)
    wanted = np.concatenate([[PROCESS], tasks["parent"].astype(np.int64), [n.parent for n in listed]]).astype(np.int64)
    parents, depths = _rooted(_parents(ids, wanted))
    n = len(tasks)
    alive = np.concatenate([[True], tasks.alive, [not each.ended for each in listed]]).astype(bool)
    levels = _levels(depths)
    alive &= ~_is_over(listed, alive, parents, levels, n)
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
    for at in levels:
        for sums in (sizes, measured, below, tasks_below):
            np.add.at(sums, parents[at], sums[at])
    children = np.bincount(parents[1:][alive[1:]], minlength=len(ids)).astype(np.int64)
    below, tasks_below = below - alive, tasks_below - is_task
    return Forest(
        *(tasks, listed, ids, parents, alive, children, below, tasks_below, sizes, measured, is_task), endings
    )


def _is_over(
    nodes: tuple[Node, ...], alive: NDArray[np.bool_], parents: Ints, levels: list[Ints], rows: int
) -> NDArray[np.bool_]:
    """Which positions are gathers without a living row under them."""
    over = np.zeros(len(alive), bool)
    over[rows + 1 :] = [node.kind == _GATHER for node in nodes]
    if over.any():
        living = alive.astype(np.int64)
        living[rows + 1 :] = 0
        for at in levels:
            np.add.at(living, parents[at], living[at])
        over &= living == 0
    return over


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
