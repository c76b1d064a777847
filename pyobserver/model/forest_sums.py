"""What the tree sums up to at one moment, by node and by alike children of a node: growth is told from it later."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .forest import Forest
from .groups import GroupKey, Ints, distinct, group_key, group_number, group_numbers, sorted_by

FOLD = 8  # more alike children than this are shown as one line
QUANTITIES = ("children", "below", "tasks", "memory", "ended")
CHILDREN, BELOW, TASKS, MEMORY, ENDED, MEASURED = range(6)  # columns of sums; the last: how many known
NODE = 0  # in the place of a group: the node itself
NOWHERE = -1  # likewise: no key of ours
_SHIFT = 38  # bits for a group: 18 of the function's text, 9 of the kind and whether it is held, and room


@dataclass(frozen=True)
class Fold:
    """Alike children of one node: rows of the same group, those that have ended among them."""

    parent: int  # position
    group: GroupKey
    members: Ints  # positions
    living: Ints  # positions


@dataclass(frozen=True)
class Alike:
    """Every set of alike children, also those of one: `at` says for each row of the tasks to which it belongs."""

    parents: Ints  # positions
    groups: Ints  # numbers
    at: Ints


def alike(forest: Forest) -> Alike:
    """Sort the rows by parent and group."""
    n = len(forest.tasks)
    groups, which = distinct(group_numbers(forest.tasks))
    above, under = distinct(forest.parents[1 : n + 1])
    places, at = distinct(under * max(1, len(groups)) + which)
    return Alike(above[places // max(1, len(groups))], groups[places % max(1, len(groups))], at)


def folds(forest: Forest, least: int = FOLD) -> list[Fold]:
    """All sets of more than `least` alike children, anywhere in the tree; those that fade fold along."""
    if not len(forest.tasks):
        return []
    sets = alike(forest)
    sizes = np.bincount(sets.at)
    if not (sizes > least).any():
        return []
    order = sorted_by(sets.at)
    ends = np.cumsum(sizes)
    found = []
    for i in np.flatnonzero(sizes > least).tolist():
        members = order[ends[i] - sizes[i] : ends[i]] + 1
        living = members[forest.alive[members]]
        found.append(Fold(int(sets.parents[i]), group_key(int(sets.groups[i])), members, living))
    return found


def fold_key(parent_id: int, group: GroupKey) -> tuple[str, int, GroupKey]:
    """What names a fold across updates."""
    return ("fold", parent_id, group)


def numbered(keys: Sequence[Hashable]) -> tuple[Ints, Ints]:
    """Ids and groups of keys: of a node its id and `NODE`, of a fold its parent's id and the group's number plus 1."""
    pairs = []
    for key in keys:
        if isinstance(key, int):
            pairs.append((key, NODE))
        elif isinstance(key, tuple) and len(key) == 3:
            pairs.append((key[1], 1 + group_number(key[2])))
        else:
            pairs.append((0, NOWHERE))
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@dataclass(frozen=True)
class Sums:
    """Sums at one moment, by key; `table` has a column for each of the quantities. The process is always there.

    `keys` are ascending: the place of an id among `ids`, and the group.
    """

    time: float
    ids: Ints  # ascending, different ones
    keys: Ints
    table: Ints

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, ids: Ints, groups: Ints) -> Ints:
        """The line in the table of each key, as `numbered` gives them; -1 where it is not there."""
        if not len(self.keys):
            return np.full(len(ids), -1, np.int64)
        place = np.searchsorted(self.ids, ids).clip(0, len(self.ids) - 1)
        wanted = place << _SHIFT | groups
        line = np.searchsorted(self.keys, wanted).clip(0, len(self.keys) - 1)
        found = (self.ids[place] == ids) & (self.keys[line] == wanted) & (groups >= 0)
        return np.where(found, line, -1)

    @property
    def named(self) -> tuple[Ints, Ints]:
        """Ids and groups of the keys, as `find` wants them."""
        return self.ids[self.keys >> _SHIFT], self.keys & ((1 << _SHIFT) - 1)

    def get(self, key: Hashable) -> tuple[int, ...] | None:
        """The sums of one key, by quantity."""
        line = int(self.find(*numbered([key]))[0])
        return None if line < 0 else tuple(self.table[line].tolist())


def by_key(sums: Sums) -> dict[Hashable, tuple[int, ...]]:
    """The sums as a mapping, for what keeps them elsewhere; `sums_from` turns it back."""
    ids, groups = sums.named
    keys = [
        fold_key(number, group_key(group - 1)) if group else number
        for number, group in zip(ids.tolist(), groups.tolist(), strict=True)
    ]
    return dict(zip(keys, map(tuple, sums.table.tolist()), strict=True))


def sums_from(time: float, mapping: Mapping[Hashable, Sequence[int]]) -> Sums:
    """The sums of a mapping: by the id of a node or a fold's key, a number for each of the columns."""
    table = np.array(list(mapping.values()), np.int64).reshape(-1, MEASURED + 1)
    return sums_of(time, *numbered(list(mapping)), table)


def sums_of(time: float, ids: Ints, groups: Ints, table: Ints) -> Sums:
    """Put sums in order, by keys as `numbered` gives them."""
    different = np.unique(ids)
    keys = np.searchsorted(different, ids) << _SHIFT | groups
    order = np.argsort(keys, kind="stable")
    return Sums(time, different, keys[order], table[order])


def mark(forest: Forest, now: float, most: int | None = None) -> Sums:
    """Keep the sums of this moment, to tell growth later; if asked, only of the nodes and sets with `most` in them.

    Without a bound everything is kept, down to the single row: what is not there did not exist.
    """
    positions = np.arange(len(forest.ids))
    if most is not None:
        positions = np.concatenate([[0], _widest(np.flatnonzero(forest.children[1:]) + 1, forest.descendants, most)])
    groups, pairs = _alike_sums(forest, most)
    ids = np.concatenate([forest.ids[positions], groups[0]])
    kinds = np.concatenate([np.full(len(positions), NODE), groups[1]])
    return sums_of(now, ids, kinds, np.concatenate([node_table(forest)[positions], pairs]))


def node_table(forest: Forest) -> Ints:
    """The sums of every position, by quantity."""
    columns = (forest.children, forest.descendants, forest.descendant_tasks + forest.is_task, forest.sizes)
    return np.column_stack([*columns, forest.ended, forest.sized]).astype(np.int64)


def fold_table(forest: Forest, found: Sequence[Fold], at: Ints) -> Ints:
    """The sums of folds, by quantity; `at` is the fold of each position, -1 for those in none."""
    members = np.flatnonzero(at >= 0)
    groups = np.array([group_number(fold.group) for fold in found], np.int64)
    parents = forest.ids[np.array([fold.parent for fold in found], np.int64)]
    return _summed(forest, members, at[members], parents, groups)


def sums_at(forest: Forest, position: int, group: GroupKey | None = None) -> tuple[int, ...]:
    """The sums under the node at `position`, or of its children of one group."""
    if group is None:
        return tuple(node_table(forest)[position].tolist())
    rows = forest.children_of(position)
    rows = rows[rows <= len(forest.tasks)]
    rows = rows[group_numbers(forest.tasks)[rows - 1] == group_number(group)]
    at, parents = np.zeros(len(rows), np.int64), forest.ids[[position]]
    return tuple(_summed(forest, rows, at, parents, np.array([group_number(group)]))[0].tolist())


def _alike_sums(forest: Forest, most: int | None) -> tuple[tuple[Ints, Ints], Ints]:
    """Sums of sets of alike children: ids of the parents and groups, and the table."""
    sets = alike(forest)
    rows = np.arange(1, len(forest.tasks) + 1)
    ids, size = forest.ids[sets.parents], len(sets.parents)
    table = _summed(forest, rows, sets.at, ids, sets.groups)
    chosen = np.arange(size)
    if most is not None:
        chosen = _widest(np.flatnonzero(table[:, CHILDREN] > 1), table[:, CHILDREN], most)
    return (ids[chosen], sets.groups[chosen] + 1), table[chosen]


def _summed(forest: Forest, rows: Ints, at: Ints, parents: Ints, groups: Ints) -> Ints:
    """The sums of sets of rows (positions), of which `at` tells the set, by quantity."""
    living = forest.alive[rows].astype(np.int64)
    columns = (
        living,
        forest.descendants[rows] + living,
        forest.descendant_tasks[rows] + forest.is_task[rows],
        forest.sizes[rows],
        forest.sized[rows],
    )
    sums = [np.bincount(at, column, len(parents)).astype(np.int64) for column in columns]
    sums.insert(ENDED, _endings(forest, parents, groups))
    return np.column_stack(sums)


def _endings(forest: Forest, ids: Ints, groups: Ints) -> Ints:
    """How many have ended of each set, -1 where that is not counted any more."""
    endings = forest.endings
    if not endings.is_complete:
        return np.full(len(ids), -1, np.int64)
    known = sums_of(0.0, endings.parents, endings.groups + 1, endings.counts[:, None])
    line = known.find(ids, (groups & ~1) + 1)
    return np.where(line < 0, 0, known.table[line, 0]) if len(known) else np.zeros(len(ids), np.int64)


def _widest(positions: Ints, sizes: Ints, most: int) -> Ints:
    """The `most` with the largest size; of equal ones always the same."""
    if len(positions) <= most:
        return positions
    return positions[np.argsort(-sizes[positions], kind="stable")[:most]]


TIERS = ((2.0, 30), (10.0, 54), (60.0, 54), (1800.0, 46))  # (seconds between two, how many): a minute, 10 min, 1 h, 1 d
SLOWER = 20_000  # rows for each second that more of them take


class SumsOverTime:
    """Sums of many moments: close together for the last minute, and ever further apart the older they are."""

    def __init__(self) -> None:
        self._tiers: list[list[Sums]] = [[] for _ in TIERS]

    def is_due(self, now: float, rows: int) -> bool:
        """Whether it is time for the next; with very many rows they are further apart, as they cost more."""
        newest = self._tiers[0]
        return not newest or abs(now - newest[-1].time) >= max(TIERS[0][0], rows / SLOWER)

    def add(self, sums: Sums) -> None:
        """Add those of now. What leaves a tier goes to the next if it is far enough from what is there."""
        moving: Sums | None = sums
        for tier, (period, most) in zip(self._tiers, TIERS, strict=True):
            if moving is None or (tier and abs(moving.time - tier[-1].time) < period):
                return
            tier.append(moving)
            moving = tier.pop(0) if len(tier) > most else None

    def clear(self) -> None:
        """Forget all."""
        for tier in self._tiers:
            tier.clear()

    def all(self) -> tuple[Sums, ...]:
        """All of them, the oldest first."""
        return tuple(sums for tier in reversed(self._tiers) for sums in tier)


def evenly(marks: Iterable[Sums], since: float, parts: int = 60) -> list[Sums]:
    """Those since then, about `parts` at even distances, with the newest: each part of the time counts alike."""
    within = [each for each in marks if each.time >= since]
    if len(within) <= parts:
        return within
    step = (within[-1].time - within[0].time) / parts
    chosen = [within[-1]]
    for each in reversed(within[:-1]):
        if chosen[-1].time - each.time >= step:
            chosen.append(each)
    return chosen[::-1]
