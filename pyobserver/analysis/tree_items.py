"""What can be a line of the supervision tree: rows, nodes and folds of alike children, with their figures and order."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..model.forest_sums import (
    BELOW,
    CHILDREN,
    ENDED,
    MEASURED,
    MEMORY,
    NODE,
    QUANTITIES,
    fold_key,
    fold_table,
    folds,
    node_table,
)
from ..model.groups import group_number
from ..model.names import natural
from ..model.snapshot import Snapshot
from ..protocol import schema
from .growth import TreeGrowth

Items = NDArray[np.int64]
Figures = NDArray[np.float64]

TEXTS = ("label", "edge")  # columns that are read from A on
GROWTH, MARKED = "_growth", "_marked"  # behind a quantity: its change per minute, and since the baseline


class TreeItems:
    """Items by number: first the positions of the forest, then the folds. Their figures are arrays.

    A figure that is not known is NaN. `parents` are the items under which they are shown.
    """

    def __init__(self, snapshot: Snapshot, growth: TreeGrowth, least: int) -> None:
        self._snapshot = snapshot
        self._growth = growth
        forest = self.forest = snapshot.forest
        self.positions = len(forest.ids)
        self.folds = folds(forest, least)
        self.fold_keys: list[Hashable] = [fold_key(int(forest.ids[f.parent]), f.group) for f in self.folds]
        self._fold_items = {key: self.positions + i for i, key in enumerate(self.fold_keys)}
        self.fold_at = np.full(self.positions, -1)  # the fold of each position
        for number, fold in enumerate(self.folds):
            self.fold_at[fold.members] = number
        shown_under = np.where(self.fold_at >= 0, self.positions + self.fold_at, forest.parents)
        self.parents = np.concatenate([shown_under, np.array([f.parent for f in self.folds], np.int64)])
        of_folds = fold_table(forest, self.folds, self.fold_at) if self.folds else np.empty((0, MEASURED + 1), np.int64)
        self.table = np.concatenate([node_table(forest), of_folds])

    def __len__(self) -> int:
        return len(self.parents)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def find(self, key: Hashable) -> int | None:
        """The item of a key: the id of a row or node, or what `fold_key` gives."""
        return self.forest.position(key) if isinstance(key, int) else self._fold_items.get(key)

    def key(self, item: int) -> Hashable:
        """The key of an item."""
        return int(self.forest.ids[item]) if item < self.positions else self.fold_keys[item - self.positions]

    def keys(self, items: Items) -> list[Hashable]:
        """The keys of items."""
        if not len(items) or int(items.max()) < self.positions:
            found: list[Hashable] = self.forest.ids[items].tolist()
            return found
        return [self.key(item) for item in items.tolist()]

    @cached_property
    def _named(self) -> tuple[Items, Items]:
        """Ids and groups of the items, as sums have them."""
        parents = self.forest.ids[[fold.parent for fold in self.folds]] if self.folds else np.empty(0, np.int64)
        groups = np.array([1 + group_number(fold.group) for fold in self.folds], np.int64)
        nodes = np.full(self.positions, NODE, np.int64)
        return np.concatenate([self.forest.ids, parents]), np.concatenate([nodes, groups])

    # -- figures -------------------------------------------------------------------------------------------------------

    def values(self, items: Items) -> Figures:
        """The quantities of items, a line for each."""
        table = self.table[items]
        found = table[:, :MEASURED].astype(np.float64)
        found[table[:, MEASURED] == 0, MEMORY] = np.nan
        found[found[:, ENDED] < 0, ENDED] = np.nan
        return found

    def growths(self, items: Items) -> Figures:
        """The growth of these quantities per minute."""
        ids, groups = self._named
        found = self._growth.table(ids[items], groups[items])
        rows = self._is_leaf(items)
        found[rows] = np.nan
        found[rows, MEMORY] = self.forest.tasks.growth[items[rows] - 1]
        return found

    def marked(self, items: Items) -> Figures:
        """The change of these quantities since the baseline.

        What was not there then has begun at nothing; what had not been measured then has no change of its memory.
        """
        baseline = self._snapshot.baseline
        found = np.full((len(items), MEASURED), np.nan)
        if baseline is None or baseline.sums is None:
            return found
        ids, groups = self._named
        line = baseline.sums.find(ids[items], groups[items])
        there = line >= 0
        before = np.zeros((len(items), MEASURED))
        before[there] = baseline.sums.table[line[there], :MEASURED]
        before[before[:, ENDED] < 0, ENDED] = np.nan
        unknown = np.zeros(len(items), bool)
        unknown[there] = baseline.sums.table[line[there], MEASURED] == 0
        unknown[there] &= baseline.sums.table[line[there], MEMORY] == 0
        before[unknown & self._has_rows(items), MEMORY] = np.nan
        return self.values(items) - before

    def _has_rows(self, items: Items) -> NDArray[np.bool_]:
        is_row = (items > 0) & (items <= len(self.forest.tasks))
        return np.asarray(is_row | (self.table[items, BELOW] > 0), bool)

    def _is_leaf(self, items: Items) -> NDArray[np.bool_]:
        """Which are rows with nothing under them: their growth is their own."""
        is_row = (items > 0) & (items <= len(self.forest.tasks))
        return np.asarray(is_row & (self.table[items, CHILDREN] == 0), bool)

    @cached_property
    def _begun(self) -> Figures:
        """When the oldest child of each item was created, or a row itself that has none; NaN when it is not known."""
        tasks, n = self.forest.tasks, len(self.forest.tasks)
        created = tasks["created"].astype(np.float64)
        created = np.where((created > 0) & np.isfinite(created), created, np.inf)
        living = np.where(tasks.alive, created, np.inf)
        first = np.full(len(self), np.inf)
        np.minimum.at(first, self.forest.parents[1 : n + 1], living)
        folded = np.flatnonzero(self.fold_at >= 0)
        np.minimum.at(first, self.positions + self.fold_at[folded], living[folded - 1])
        rows = np.arange(1, n + 1)
        leaves = rows[self.table[rows, CHILDREN] == 0]
        first[leaves] = created[leaves - 1]
        return np.where(np.isinf(first), np.nan, first)

    # -- order ---------------------------------------------------------------------------------------------------------

    def measures(self, column: str) -> Figures:
        """What items are ordered by in a column; NaN for what is not known."""
        every = np.arange(len(self))
        if column in TEXTS:
            return self._label_ranks() if column == "label" else self._edges()
        if column == "oldest":
            return self._snapshot.taken_at - self._begun
        for ending, figures in ((GROWTH, self.growths), (MARKED, self.marked), ("", self.values)):
            if column.endswith(ending):
                return figures(every)[:, QUANTITIES.index(column.removesuffix(ending))]
        raise ValueError(column)

    def _label_ranks(self) -> Figures:
        """Supervisors by their labels, then folds by their functions, then rows by their names."""
        forest, texts, n = self.forest, self.forest.tasks.texts, len(self.forest.tasks)
        found = np.zeros(len(self))
        others = [(0, natural(node.label), n + 1 + i) for i, node in enumerate(forest.nodes)]
        others += [(1, natural(texts[fold.group[1]]), self.positions + i) for i, fold in enumerate(self.folds)]
        for rank, (_, _, item) in enumerate(sorted(others)):
            found[item] = rank
        found[1 : n + 1] = len(others) + forest.tasks.name_ranks
        return found

    def _edges(self) -> Figures:
        found = np.full(len(self), np.nan)
        edges = {edge: float(i) for i, edge in enumerate(sorted(schema.EDGES))}
        by_number = np.array([edges[edge] for edge in schema.EDGES])
        n = len(self.forest.tasks)
        found[1 : n + 1] = by_number[self.forest.tasks["edge"].astype(np.int64).clip(0, len(by_number) - 1)]
        for i, node in enumerate(self.forest.nodes):
            found[n + 1 + i] = edges.get(node.edge, np.nan)
        for i, fold in enumerate(self.folds):
            found[self.positions + i] = found[fold.members[0]]
        return found

    def ordered(self, measures: Figures, descending: bool, kept: NDArray[np.bool_] | None) -> Items:
        """The items behind their parents, ordered there by what they measure; what is not known comes last either way.

        Equal ones are in the order of their ids. With `kept` only those.
        """
        unknown = np.isnan(measures)
        key = np.where(unknown, 0.0, -measures if descending else measures)
        chosen = np.arange(1, len(self)) if kept is None else np.flatnonzero(kept)
        chosen = chosen[chosen > 0]
        ids = self._named[0][chosen]
        return chosen[np.lexsort((ids, key[chosen], unknown[chosen], self.parents[chosen]))]
