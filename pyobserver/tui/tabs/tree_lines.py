"""The tree as it is shown: its structure from the analysis, and texts for what is visible."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from ...analysis.format import count, percent
from ...analysis.supervision import Order, SupervisionTree, TreeNode
from ...analysis.tree_items import TEXTS
from ...model.forest_sums import FOLD
from ...model.snapshot import Snapshot
from ...protocol import schema
from ..seen import SeenProcess
from ..view import SortState, View
from ..widgets import Cell, Column
from ..words import NO_NAME, edge_words, others_words
from .tree_columns import cells

ROW_KINDS = ("task", *schema.KINDS)
HELD = schema.STATES[schema.STATE_DONE_HELD]
NEVER = 1 << 62  # more alike children than there can be: none are folded
MOST_NAMED = 2  # owners that a line names


class Arrangement(NamedTuple):
    """How the user wants to see the tree."""

    sort: SortState = SortState("memory")
    single: bool = False  # alike children each by itself
    text: str = ""  # what the lines must have in them

    @property
    def order(self) -> Order:
        """The same for the analysis."""
        return Order(self.sort.column, self.sort.descending, NEVER if self.single else FOLD, self.text)

    def sorted_by(self, column: str) -> Arrangement:
        """By another column, or the same one the other way round."""
        return self._replace(sort=self.sort.chosen(column, TEXTS))


class TreeLines:
    """The tree for the widget. Lines that were there `before` keep their order while it is `steady`."""

    def __init__(
        self,
        snapshot: Snapshot,
        view: View,
        arrangement: Arrangement,
        columns: tuple[Column, ...],
        seen_processes: Mapping[int, SeenProcess],
        before: TreeLines | None = None,
        steady: bool = False,
    ) -> None:
        self._snapshot = snapshot
        self.arrangement: Arrangement = arrangement
        is_alike = before is not None and before.arrangement == arrangement
        old: SupervisionTree | None = before.tree if before is not None else None
        self.tree: SupervisionTree = SupervisionTree(snapshot, view.window, arrangement.order, old, steady and is_alike)
        self._columns = columns
        self.seen = dict(seen_processes)
        self._nodes: dict[Hashable, TreeNode | None] = {}
        self.version = self.tree.version
        self.roots = self.tree.roots
        self.children = self.tree.children
        self.has_children = self.tree.has_children
        self.parent = self.tree.parent
        self.is_growing = self.tree.is_growing

    @property
    def matches(self) -> int | None:
        """How many have the text in them that is asked for; None when none is."""
        return self.tree.found.count if self.tree.found is not None else None

    def node(self, key: Hashable) -> TreeNode | None:
        """All about a node."""
        if key not in self._nodes:
            self._nodes[key] = self.tree.node(key)
        return self._nodes[key]

    def style(self, key: Hashable) -> str:
        """What has ended is dim."""
        node = self.node(key)
        return "dim" if node is None or node.ended else ""

    def cells(self, key: Hashable) -> list[Cell]:
        """One cell for each column."""
        node = self.node(key)
        return [""] * len(self._columns) if node is None else cells(node, self._columns)

    def name(self, key: Hashable) -> str:
        """What to call a node in a sentence."""
        node = self.node(key)
        if node is None:
            return "what has gone"
        name = node.label.partition("  ")[0] or NO_NAME
        return f"{_kind(node)} {name}" if _needs_kind(node) and node.kind not in ROW_KINDS else name

    def place(self, node: TreeNode) -> str:
        """How it hangs in the tree, in words: "set · held by loop MainThread · also awaited by Task-1"."""
        above = self.parent(node.key)
        owner = [edge_words(node.edge, self.name(above))] if above is not None and node.edge else []
        detail = [node.detail] if node.detail and node.kind != "group" else []
        return " · ".join([*detail, *owner, *self.owners_words(node)])

    def label(self, key: Hashable) -> list[Cell]:
        """The mark, what kind of thing it is, its name, and how many alike ones it stands for."""
        node = self.node(key)
        if node is None:
            return [("gone", "dim")]
        parts: list[Cell] = [("▲ ", "grow")] if node.growing else []
        if node.kind == "group":
            return [*parts, (node.label, "bold"), f" × {count(node.children_count)}", *_never_ended(node)]
        if _needs_kind(node):
            parts.append((_kind(node) + " ", "dim"))
        name, gap, rest = node.label.partition("  ")  # of a row: its name, and what it runs
        parts.append((name or NO_NAME, "bold") if node.kind in ("process", "holder") else name or NO_NAME)
        seen = self.seen.get(node.id) if node.id is not None else None
        if seen is not None:
            parts += [gap, (seen.words(self._snapshot.taken_at), "accent"), (f" {rest}", "dim")]
        elif rest:
            parts += [gap, rest]
        if node.detail:
            parts.append((f" ({node.detail})", "dim"))
        if node.queue:
            parts.append(f" queue {count(node.queue)}")
        share = self._loop_share(node)
        if share is not None:
            parts.append((f" {percent(share)} of a core", "dim"))
        if node.ended:
            parts.append(" ended")
        elif self._is_held(node):
            parts.append((f" {HELD}", "grow"))
        return [*parts, *((f" {words}", "dim") for words in self.owners_words(node))]

    def owners_words(self, node: TreeNode) -> list[str]:
        """Who has it too, and what it has that hangs elsewhere."""
        if node.id is None:
            return []
        others = self.tree.second_owners.of(node.id)
        also, in_all = self.tree.second_owners.owned_by(node.id)
        passive = others_words([(edge, self.name(owner)) for owner, edge in others], MOST_NAMED, True)
        return [*passive, *others_words([(edge, self.name(row)) for row, edge in also], MOST_NAMED, False, in_all)]

    def _loop_share(self, node: TreeNode) -> float | None:
        """What the thread of a loop uses of a processor: measured for the thread, as it cannot be for a task."""
        known = self._snapshot.nodes.get(node.id) if node.kind == "loop" and node.id is not None else None
        thread = self._snapshot.tasks.find(known.parent) if known is not None and not known.ended else None
        return self._snapshot.thread_shares.get(thread.os_id or 0) if thread is not None else None

    def _is_held(self, node: TreeNode) -> bool:
        if node.kind not in ROW_KINDS or node.id is None:
            return False
        position = self._snapshot.tasks.position(node.id)
        return position is not None and int(self._snapshot.tasks["state"][position]) == schema.STATE_DONE_HELD


def _kind(node: TreeNode) -> str:
    return node.kind.replace("_", " ")


def _needs_kind(node: TreeNode) -> bool:
    """Whether the label alone does not tell what it is."""
    return node.kind not in ("process", "task", "unowned") and not node.label.casefold().startswith(_kind(node))


def _never_ended(node: TreeNode) -> Sequence[Cell]:
    """Whether any of those that are folded into a growing line has ever ended."""
    if not node.growing or node.ended_count is None:
        return []
    return [(f"  {count(node.ended_count)} seen to end" if node.ended_count else "  none seen to end", "dim")]
