"""The supervision tree as it is shown: alike children folded, growth and its mark, and every row's place."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..model.forest import PROCESS
from ..model.forest_sums import FOLD, MEMORY, Fold, fold_key
from ..model.groups import GroupKey, group_key
from ..model.snapshot import Snapshot
from ..model.tasks import Row, name_of
from ..protocol import schema
from .growth import NOTICED_BYTES, TreeGrowth
from .second_owners import SecondOwners
from .tree_filter import Found, Mask, find
from .tree_items import Figures, Items, TreeItems

GROWING_SHARE = 0.25  # of the growth of a supervisor, from which on one of its rows is marked


class Quantities(NamedTuple):
    """Figures of one line, or their changes; None for what is not known. Bytes, and counts of things."""

    children: float | None
    below: float | None
    tasks: float | None
    memory: float | None
    ended: float | None


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
    ended_count: int | None  # children that have been seen to end; of a group, those of its function here
    growth: Quantities
    marked: Quantities  # since the baseline
    oldest_age: float | None  # of the children, of the row itself when it has none
    oldest_is_minimum: bool
    ended: bool
    growing: bool
    queue: int | None

    @property
    def count_growth(self) -> float | None:
        """Children more per minute."""
        return self.growth.children

    @property
    def bytes_growth(self) -> float | None:
        """Bytes more per minute."""
        return self.growth.memory

    @property
    def marked_bytes(self) -> float | None:
        """Bytes more than at the baseline."""
        return self.marked.memory


class Order(NamedTuple):
    """How the lines under each other are ordered, of what they are, and which there are.

    `column` is "label", "edge", "oldest", one of the quantities, or one of these with "_growth" or "_marked" behind it.
    More than `least` alike children are folded into one line; lines have `text` in them, or above or below them.
    """

    column: str = "memory"
    descending: bool = True
    least: int = FOLD
    text: str = ""


class SupervisionTree:
    """Answers what the tree shows, each question when it is asked: only visible lines cost anything.

    A key is a row's or node's id, or a tuple for alike children folded into one line. Who shows one tree after the
    other gives the one `before`: what has not changed is not made anew. With `steady` the lines keep its order, and
    what is new comes last.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        window: float,
        order: Order = Order(),  # noqa: B008  (immutable)
        before: SupervisionTree | None = None,
        steady: bool = False,
    ) -> None:
        self.snapshot = snapshot
        self._forest = snapshot.forest
        since = snapshot.growing_since(window)
        self._growth: TreeGrowth = (
            before._growth.again(snapshot.marks, since) if before is not None else TreeGrowth(snapshot.marks, since)
        )
        self.items = TreeItems(snapshot, self._growth, order.least)
        self.found = find(snapshot, order.text) if order.text.strip() else None
        self._place(order, before if steady else None)
        self._growing = self._with_ancestors()
        self._growing |= self._rows_that_grow()
        self._children: dict[Hashable, list[Hashable]] = {}
        self.second_owners: SecondOwners = SecondOwners(snapshot, before.second_owners if before is not None else None)

    def _place(self, order: Order, before: SupervisionTree | None) -> None:
        items = self.items
        if before is None:
            measures, descending = items.measures(order.column), order.descending
        else:
            measures, descending = self._places_in(before), False
        kept = None if self.found is None else _kept_items(items, self.found)
        self._order = items.ordered(measures, descending, kept)
        counts = np.bincount(items.parents[self._order], minlength=len(items))
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        ids = np.concatenate([self._forest.ids, -1 - np.arange(len(items.folds))])[self._order]
        self.version = hash((ids.tobytes(), self._starts.tobytes(), tuple(items.fold_keys), self._is_empty))

    def _places_in(self, before: SupervisionTree) -> Figures:
        """Where the items were in another tree's order; NaN for what was not there."""
        found = np.full(len(self.items), np.nan)
        old = before.items
        ranks = np.full(len(old), np.nan)
        ranks[before._order] = np.arange(len(before._order))
        by_id = np.argsort(old.forest.ids, kind="stable")
        ids = old.forest.ids[by_id]
        at = np.searchsorted(ids, self._forest.ids).clip(0, len(ids) - 1)
        found[: self.items.positions] = np.where(ids[at] == self._forest.ids, ranks[by_id[at]], np.nan)
        for number, key in enumerate(self.items.fold_keys, self.items.positions):
            item = old.find(key)
            found[number] = np.nan if item is None else ranks[item]
        return found

    # -- structure ---------------------------------------------------------------------------------------------------

    @property
    def _is_empty(self) -> bool:
        return self.found is not None and not self.found.kept.any()

    def roots(self) -> list[Hashable]:
        """The process alone; nothing when nothing has the text in it."""
        return [] if self._is_empty else [PROCESS]

    def has_children(self, key: Hashable) -> bool:
        """Whether anything hangs under `key`."""
        item = self.items.find(key)
        return item is not None and bool(self._starts[item + 1] > self._starts[item])

    def children(self, key: Hashable) -> list[Hashable]:
        """The keys under `key`, in the order asked for: supervisors and folds among rows by the same measure."""
        found = self._children.get(key)
        if found is None:
            item = self.items.find(key)
            below = self._order[self._starts[item] : self._starts[item + 1]] if item is not None else self._order[:0]
            found = self._children[key] = self.items.keys(below)
        return found

    def is_alive(self, key: Hashable) -> bool:
        """Whether the row or node has not ended, or for alike children whether any has not."""
        fold, item = self._fold(key), self.items.find(key)
        return len(fold.living) > 0 if fold is not None else item is not None and bool(self._forest.alive[item])

    def parent(self, key: Hashable) -> Hashable | None:
        """The key above `key`; None for the process."""
        item = self.items.find(key)
        return None if not item else self.items.key(int(self.items.parents[item]))

    def is_growing(self, key: Hashable) -> bool:
        """Whether it grows, or anything under it."""
        item = self.items.find(key)
        return item is not None and item in self._growing

    def growing_ends(self) -> list[Hashable]:
        """Where the marks begin: what grows while nothing under it does, the fastest first."""
        ends = np.array(self._ends(), np.int64)
        growth = np.nan_to_num(self.items.growths(ends)[:, MEMORY])
        return self.items.keys(ends[np.argsort(-growth, kind="stable")])

    def _ends(self) -> list[int]:
        return sorted(self._growing - {int(self.items.parents[item]) for item in self._growing if item})

    def _rows_that_grow(self) -> set[int]:
        """Rows, and the folds that they are in, that make a good part of the growth of what they hang under.

        The sums of the tree tell of supervisors only; that they grow goes on is known from these.
        """
        found: set[int] = set()
        tasks = self._forest.tasks
        for item in self._ends():
            total = float(self.items.growths(np.array([item]))[0, MEMORY])
            if not total > NOTICED_BYTES:
                continue
            is_fold = item >= self.items.positions
            rows = self.items.folds[item - self.items.positions].members if is_fold else self._forest.children_of(item)
            rows = rows[(rows <= len(tasks)) & (self._forest.children[rows] == 0)]
            rows = rows[tasks.growth[rows - 1] > max(NOTICED_BYTES, GROWING_SHARE * total)]
            found.update(
                rows.tolist(), (self.items.positions + at for at in self.items.fold_at[rows].tolist() if at >= 0)
            )
        return found

    def _with_ancestors(self) -> set[int]:
        marked: set[int] = set()
        for number, group in zip(*(each.tolist() for each in self._growth.growing()), strict=True):
            item = self.items.find(fold_key(number, group_key(group - 1)) if group else number)
            while item is not None and item not in marked:
                marked.add(item)
                item = int(self.items.parents[item]) if item else None
        return marked

    # -- one line ----------------------------------------------------------------------------------------------------

    def _fold(self, key: Hashable) -> Fold | None:
        item = None if isinstance(key, int) else self.items.find(key)
        return None if item is None else self.items.folds[item - self.items.positions]

    def node(self, key: Hashable) -> TreeNode | None:
        """All about one line."""
        item = self.items.find(key)
        if item is None:
            return None
        fold = self._fold(key)
        return self._fold_node(key, item, fold) if fold is not None else self._plain_node(item)

    def _changes(self, item: int) -> tuple[Quantities, Quantities]:
        """Per minute, and since the baseline."""
        one = np.array([item])
        growth, marked = self.items.growths(one)[0], self.items.marked(one)[0]
        return Quantities(*map(_known, growth.tolist())), Quantities(*map(_known, marked.tolist()))

    def _plain_node(self, position: int) -> TreeNode:
        number = int(self._forest.ids[position])
        totals = self._forest.totals(position)
        node = self._forest.node(position)
        row = self._forest.tasks.row(position - 1) if node is None and position else None
        members = self._forest.children_of(position)
        age, is_minimum = self._oldest(members) if len(members) else (None, False)
        if row is not None and not len(members):
            age, is_minimum = row.age_seconds, row.age_is_minimum
        growth, marked = self._changes(position)
        ended = int(self._forest.ended[position])
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
            bytes=row.retained if row is not None and row.kind == "child process" else totals.bytes,
            ended_count=None if ended < 0 else ended,
            growth=growth,
            marked=marked,
            oldest_age=age,
            oldest_is_minimum=is_minimum,
            ended=not self._forest.alive[position],
            growing=position in self._growing,
            queue=node.queue if node else row.queue if row else None,
        )

    def _fold_node(self, key: Hashable, item: int, fold: Fold) -> TreeNode:
        children, below, tasks, memory, ended = map(_known, self.items.values(np.array([item]))[0].tolist())
        age, is_minimum = self._oldest(fold.members)
        growth, marked = self._changes(item)
        edge = int(self._forest.tasks["edge"][fold.members[0] - 1])
        return TreeNode(
            key=key,
            id=None,
            kind="group",
            label=self._fold_label(fold.group),
            edge=name_of(schema.EDGES, edge),
            detail=self._forest.tasks.texts[fold.group[1]],
            children_count=int(children or len(fold.members)),
            descendants=int(below or 0),
            tasks=int(tasks or 0),
            bytes=None if memory is None else int(memory),
            ended_count=None if ended is None else int(ended),
            growth=growth,
            marked=marked,
            oldest_age=age,
            oldest_is_minimum=is_minimum,
            ended=not len(fold.living),
            growing=item in self._growing,
            queue=None,
        )

    def _fold_label(self, group: GroupKey) -> str:
        function = self._forest.tasks.texts[group[1]]
        short = function.rsplit(".", 1)[-1] or function
        return f"{short}, done but held" if group[2] else short

    def _process_label(self) -> str:
        identity = self.snapshot.identity
        if identity is None:
            return "process"
        return f"{program_name(identity.command)} (pid {identity.pid})"

    def _oldest(self, positions: Items) -> tuple[float | None, bool]:
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
        age = max(0.0, self.snapshot.taken_at - float(created[first]))
        return age, bool(flags & schema.FLAG_AGE_IS_MINIMUM)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _kept_items(items: TreeItems, found: Found) -> Mask:
    """A fold is kept with any of its members."""
    kept = np.zeros(len(items), bool)
    kept[: items.positions] = found.kept
    folded = np.flatnonzero(found.kept & (items.fold_at >= 0))
    kept[items.positions + items.fold_at[folded]] = True
    return kept


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


def tree(snapshot: Snapshot, window: float, sort: str = "memory", least: int = FOLD) -> SupervisionTree:
    """Return the tree of this snapshot, largest first. More than `least` alike children are folded into one line."""
    return SupervisionTree(snapshot, window, Order(sort, least=least))
