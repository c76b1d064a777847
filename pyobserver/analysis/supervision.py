"""The supervision tree as it is shown: alike children folded, growth and its mark, and every row's place."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..model.forest import FOLD, PROCESS, Fold, Forest, fold_key, folds
from ..model.groups import GroupKey
from ..model.store import Snapshot
from ..model.tasks import Row, name_of
from ..protocol import schema
from .growth import TreeGrowth

Sort = Literal["bytes", "growth", "count"]

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class TreeNode:
    """One line of the tree; sizes in bytes, growth per minute, None for what is not known.

    `kind` is one of the protocol's node kinds, or for rows "task", "thread", "child process". A "group" stands for
    alike children; its `children_count` is how many that have not ended, or how many have if all did.
    """

    key: Hashable
    id: int | None  # of the row or node; None for a group
    kind: str
    label: str
    edge: str
    detail: str
    children_count: int
    descendants: int
    tasks: int
    bytes: int | None
    count_growth: float | None
    bytes_growth: float | None
    oldest_age: float | None  # of the children, of the row itself when it has none
    oldest_is_minimum: bool
    ended: bool
    growing: bool
    marked_bytes: int | None
    queue: int | None


class SupervisionTree:
    """Answers what the tree shows, each question when it is asked: only visible lines cost anything.

    A key is a row's or node's id, or a tuple for alike children folded into one line.
    """

    def __init__(self, snapshot: Snapshot, window: float, sort: Sort = "bytes", least: int = FOLD) -> None:
        self._snapshot = snapshot
        self._forest = snapshot.forest
        self._sort = sort
        self._growth = TreeGrowth(snapshot.marks, snapshot.growing_since(window))
        self._folds: dict[Hashable, Fold] = {}
        self._fold_keys: list[Hashable] = []
        self._fold_at = np.full(
            len(self._forest.ids), -1
        )  # position -> place in `_fold_keys` of what it is folded into
        for number, fold in enumerate(folds(self._forest, least)):
            key = fold_key(int(self._forest.ids[fold.parent]), fold.group)
            self._folds[key] = fold
            self._fold_keys.append(key)
            self._fold_at[fold.members] = number
        self._sizes = _sizes(self._forest)
        self._growing = self._with_ancestors(self._growth.growing())
        self._children: dict[Hashable, list[Hashable]] = {}
        structure = (self._forest.ids.tobytes(), self._forest.parents.tobytes(), tuple(self._fold_keys), sort)
        self.version = hash(structure)

    def roots(self) -> list[Hashable]:
        """The process alone."""
        return [PROCESS]

    def has_children(self, key: Hashable) -> bool:
        """Whether anything hangs under `key`."""
        if key in self._folds:
            return True
        position = self._position(key)
        return position is not None and len(self._forest.children_of(position)) > 0

    def children(self, key: Hashable) -> list[Hashable]:
        """The keys under `key`, in the order asked for: supervisors and folds among rows by the same measure."""
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = self._list_children(key)
        return found

    def _list_children(self, key: Hashable) -> list[Hashable]:
        fold = self._folds.get(key)
        if fold is not None:
            return self._ordered(fold.members)[0]
        position = self._position(key)
        if position is None:
            return []
        members = self._forest.children_of(position)
        at = self._fold_at[members]
        singles, measures = self._ordered(members[at < 0])
        folded = [self._fold_keys[i] for i in np.unique(at[at >= 0]).tolist()]
        if not folded:
            return singles
        pairs = [*zip(singles, measures, strict=True), *((key, self._fold_measure(key)) for key in folded)]
        return [key for key, _ in sorted(pairs, key=lambda pair: -pair[1])]

    def _ordered(self, positions: Positions) -> tuple[list[Hashable], list[float]]:
        """The keys of rows and nodes, largest first, and their measures; equal ones in the order of their ids."""
        measures = self._measures(positions)
        order = np.lexsort((self._forest.ids[positions], -measures))
        return self._forest.ids[positions[order]].tolist(), measures[order].tolist()

    def _measures(self, positions: Positions) -> NDArray[np.float64]:
        if self._sort == "count":
            return self._forest.children[positions].astype(np.float64)
        if self._sort == "bytes":
            return self._sizes[positions].astype(np.float64)
        found = np.full(len(positions), np.nan)
        is_row = (positions > 0) & (positions <= len(self._forest.tasks))
        found[is_row] = self._forest.tasks.growth[positions[is_row] - 1]
        for i in np.flatnonzero(self._forest.children[positions]).tolist():
            growth = self._growth.of(int(self._forest.ids[positions[i]]))[1]
            found[i] = np.nan if growth is None else growth
        return np.where(np.isnan(found), -np.inf, found)

    def _fold_measure(self, key: Hashable) -> float:
        members = self._folds[key].members
        if self._sort == "growth":
            growth = self._growth.of(key)[1]
            return -np.inf if growth is None else growth
        return float(len(self._folds[key].living) if self._sort == "count" else self._sizes[members].sum())

    def is_alive(self, key: Hashable) -> bool:
        """Whether the row or node has not ended, or for alike children whether any has not."""
        fold = self._folds.get(key)
        position = self._position(key)
        return len(fold.living) > 0 if fold is not None else position is not None and bool(self._forest.alive[position])

    def parent(self, key: Hashable) -> Hashable | None:
        """The key above `key`; None for the process."""
        if key in self._folds:
            return int(self._forest.ids[self._folds[key].parent])
        position = self._position(key)
        if position is None or position == 0:
            return None
        if self._fold_at[position] >= 0:
            return self._fold_keys[int(self._fold_at[position])]
        return int(self._forest.ids[self._forest.parents[position]])

    def path_to(self, row_id: int) -> Hashable | None:
        """The key of a row's place, if it is in the tree; `parent` leads up from there."""
        return row_id if self._position(row_id) is not None else None

    def node(self, key: Hashable) -> TreeNode | None:
        """All about one line."""
        fold = self._folds.get(key)
        if fold is not None:
            return self._fold_node(key, fold)
        position = self._position(key)
        if position is None:
            return None
        return self._plain_node(int(self._forest.ids[position]), position)

    def _position(self, key: Hashable) -> int | None:
        return self._forest.position(key) if isinstance(key, int) else None

    def _plain_node(self, number: int, position: int) -> TreeNode:
        totals = self._forest.totals(position)
        node = self._forest.node(position)
        row = self._forest.tasks.row(position - 1) if node is None and position else None
        members = self._forest.children_of(position)
        age, is_minimum = self._oldest(members) if len(members) else (None, False)
        if row is not None and not len(members):
            age, is_minimum = row.age_seconds, row.age_is_minimum
        count_growth, bytes_growth = self._growth.of(number)
        size = totals.bytes
        if row is not None and row.kind == "child process":
            size = row.retained
        return TreeNode(
            key=number,
            id=number,
            kind=node.kind if node else _row_kind(row) if row else "process",
            label=node.label if node else _row_label(row) if row else self._process_label(),
            edge=node.edge if node else row.edge if row else "",
            detail=node.detail if node else "",
            children_count=totals.children,
            descendants=totals.descendants,
            tasks=totals.tasks,
            bytes=size,
            count_growth=count_growth,
            bytes_growth=bytes_growth if row is None or len(members) else row.growth,
            oldest_age=age,
            oldest_is_minimum=is_minimum,
            ended=node.ended if node else row.ended if row else False,
            growing=number in self._growing,
            marked_bytes=self._marked(number, size),
            queue=node.queue if node else row.queue if row else None,
        )

    def _fold_node(self, key: Hashable, fold: Fold) -> TreeNode:
        members = fold.members
        measured = int(self._forest.measured[members].sum())
        size = int(self._forest.bytes[members].sum()) if measured else None
        age, is_minimum = self._oldest(members)
        count_growth, bytes_growth = self._growth.of(key)
        edge = int(self._forest.tasks["edge"][members[0] - 1])
        return TreeNode(
            key=key,
            id=None,
            kind="group",
            label=self._fold_label(fold.group),
            edge=name_of(schema.EDGES, edge),
            detail=self._forest.tasks.texts[fold.group[1]],
            children_count=len(fold.living) or len(members),
            descendants=int(self._forest.descendants[members].sum()) + len(fold.living),
            tasks=int(np.isin(self._forest.tasks["kind"][fold.living - 1], schema.TASK_KINDS).sum())
            + int(self._forest.descendant_tasks[members].sum()),
            bytes=size,
            count_growth=count_growth,
            bytes_growth=bytes_growth,
            oldest_age=age,
            oldest_is_minimum=is_minimum,
            ended=not len(fold.living),
            growing=key in self._growing,
            marked_bytes=self._marked(key, size),
            queue=None,
        )

    def _fold_label(self, group: GroupKey) -> str:
        function = self._forest.tasks.texts[group[1]]
        short = function.rsplit(".", 1)[-1] or function
        return f"{short}, done but held" if group[2] else short

    def _process_label(self) -> str:
        identity = self._snapshot.identity
        if identity is None:
            return "process"
        return f"{program_name(identity.command)} (pid {identity.pid})"

    def _oldest(self, positions: Positions) -> tuple[float | None, bool]:
        rows = positions[positions <= len(self._forest.tasks)] - 1
        rows = rows[(rows >= 0) & self._forest.alive[rows + 1]]
        if not len(rows):
            return None, False
        created = self._forest.tasks["created"][rows].astype(np.float64)
        created = np.where(created > 0, created, np.inf)
        first = int(created.argmin())
        if not np.isfinite(created[first]):
            return None, False
        flags = int(self._forest.tasks["flags"][rows[first]])
        age = max(0.0, self._snapshot.taken_at - float(created[first]))
        return age, bool(flags & schema.FLAG_AGE_IS_MINIMUM)

    def _marked(self, key: Hashable, size: int | None) -> int | None:
        baseline = self._snapshot.baseline
        if baseline is None or baseline.sums is None or size is None:
            return None
        return size - baseline.sums.get(key, (0, 0))[1]

    def _with_ancestors(self, keys: set[Hashable]) -> set[Hashable]:
        marked: set[Hashable] = set()
        for key in keys:
            current: Hashable | None = key
            if key not in self._folds and self._position(key) is None:
                continue
            while current is not None and current not in marked:
                marked.add(current)
                current = self.parent(current)
        return marked


def _sizes(forest: Forest) -> Positions:
    """The bytes under each position as they are shown: child processes have theirs, which are in no sum."""
    tasks = forest.tasks
    retained = tasks["retained"].astype(np.int64)
    children = np.flatnonzero((tasks["kind"] == schema.KIND_CHILD) & (retained >= 0))
    if not len(children):
        return forest.bytes
    sizes = forest.bytes.copy()
    sizes[children + 1] = retained[children]
    return sizes


def _row_kind(row: Row) -> str:
    return "task" if row.kind == "asyncio task" else row.kind


def _row_label(row: Row) -> str:
    if row.kind == "child process":
        return f"{row.name}  {row.function}"
    short = row.function.rsplit(".", 1)[-1]
    if row.kind == "thread" or not short or short in row.name:
        return row.name or short
    return f"{row.name}  {short}" if row.name else short


def program_name(command: tuple[str, ...]) -> str:
    """Return what a person calls the program: the module after -m, or the script's name, or the executable's."""
    words = list(command)
    at = 1
    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        word = words[at]
        at += 1
        if word == "--check-hash-based-pycs":
            at += 1
        if word.startswith("--"):
            continue
        for i, letter in enumerate(word[1:], 2):
            if letter == "c":
                return "python -c"
            if letter in "mWX":  # what follows belongs to it, in this word or the next
                value, at = (word[i:], at) if word[i:] else ("".join(words[at : at + 1]), at + 1)
                if letter == "m" and value:
                    return value
                break
    if at < len(words):
        return words[at].rsplit("/", 1)[-1]
    title = words[0] if words else "process"
    return title if " " in title else title.rsplit("/", 1)[-1]  # a title that the program has given itself


def tree(snapshot: Snapshot, window: float, sort: Sort = "bytes", least: int = FOLD) -> SupervisionTree:
    """Return the tree of this snapshot. More than `least` alike children are folded into one line."""
    return SupervisionTree(snapshot, window, sort, least)
