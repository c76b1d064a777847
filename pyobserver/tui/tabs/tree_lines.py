"""The tree as it is shown: texts for what is visible, the order turned round, and only what has a text in it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...analysis import supervision
from ...analysis.format import bytes_text, count, duration, growth_bytes, growth_count, percent
from ...analysis.growth import NOTICED_COUNT, Mode
from ...analysis.ordering import matches
from ...analysis.supervision import SupervisionTree, TreeNode
from ...model.forest import FOLD
from ...model.store import Snapshot
from ...protocol import schema
from ..view import View
from ..widgets import Cell, Column
from ..words import NO_NAME

ROW_KINDS = ("task", *schema.KINDS)
HELD = schema.STATES[schema.STATE_DONE_HELD]
NEVER = 1 << 62  # more alike children than there can be: none are folded

_CHILDREN = Column("children", "Children", 7, "right", help="How many hang directly under it.")
_CHILDREN_GROWTH = Column(
    "children_growth",
    "+/min",
    6,
    "right",
    sortable=False,
    priority=7,
    help="Children more each minute, over the window (+ and -).",
)
_TASKS = Column(
    "tasks", "Tasks", 7, "right", sortable=False, priority=3, help="How many tasks there are under it, at any depth."
)
_MEMORY = Column(
    "memory",
    "Memory",
    8,
    "right",
    help="What has been measured of it and of everything under it. A child process is not added.",
)
_GROWTH = Column("growth", "+/min", 8, "right", priority=8, help="Bytes more each minute, itself and under it.")
_MARKED = Column("marked", "Δ Memory", 8, "right", sortable=False, help="Bytes more than at the baseline.")
_OLDEST = Column(
    "oldest", "Oldest", 11, "right", sortable=False, priority=4, help="The age of the oldest child, or its own."
)

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_CHILDREN, _CHILDREN_GROWTH, _TASKS, _MEMORY, _GROWTH, _OLDEST),
    "growth": (_CHILDREN_GROWTH, _GROWTH, _OLDEST),
    "baseline": (_CHILDREN, _TASKS, _MEMORY, _MARKED, _OLDEST),
}
LABEL = Column("label", "Supervisor", 24, help="What owns, holds or runs. ▲ marks what grows, up to the root.")


class Arrangement(NamedTuple):
    """How the user wants to see the tree."""

    sort: supervision.Sort = "bytes"
    reversed: bool = False
    single: bool = False  # alike children each by itself
    text: str = ""  # what the lines must have in them


class TreeLines:
    """The tree for the widget: structure from the analysis, texts for what is visible."""

    def __init__(self, snapshot: Snapshot, view: View, arrangement: Arrangement, columns: Sequence[Column]) -> None:
        least = NEVER if arrangement.single else FOLD
        self._snapshot = snapshot
        self._tree: SupervisionTree = supervision.tree(snapshot, view.window, arrangement.sort, least)
        self._arrangement = arrangement
        self._columns = columns
        self._nodes: dict[Hashable, TreeNode | None] = {}
        self._kept = _kept(snapshot, arrangement.text) if arrangement.text.strip() else None
        kept = b"" if self._kept is None else self._kept.tobytes()
        self.version = hash((self._tree.version, arrangement, kept))

    # -- structure ---------------------------------------------------------------------------------------------------

    def roots(self) -> Sequence[Hashable]:
        """The process; nothing when nothing has the text in it."""
        return self._tree.roots() if self._kept is None or self._kept.any() else ()

    def children(self, key: Hashable) -> Sequence[Hashable]:
        """What hangs under a node."""
        found: Sequence[Hashable] = self._tree.children(key)
        if self._kept is not None:
            found = [child for child in found if self._keeps(child)]
        return found[::-1] if self._arrangement.reversed else found

    def has_children(self, key: Hashable) -> bool:
        """Whether anything does."""
        return self._tree.has_children(key) if self._kept is None else bool(self.children(key))

    def parent(self, key: Hashable) -> Hashable | None:
        """What a node hangs under."""
        return self._tree.parent(key)

    def _keeps(self, key: Hashable) -> bool:
        assert self._kept is not None
        if isinstance(key, int):
            position = self._snapshot.forest.position(key)
            return position is not None and bool(self._kept[position])
        return any(self._keeps(child) for child in self._tree.children(key))

    # -- texts -------------------------------------------------------------------------------------------------------

    def node(self, key: Hashable) -> TreeNode | None:
        """All about a node."""
        if key not in self._nodes:
            self._nodes[key] = self._tree.node(key)
        return self._nodes[key]

    def style(self, key: Hashable) -> str:
        """What has ended is dim."""
        node = self.node(key)
        return "dim" if node is None or node.ended else ""

    def label(self, key: Hashable) -> list[Cell]:
        """The mark, what kind of thing it is, its name, and how many alike ones it stands for."""
        node = self.node(key)
        if node is None:
            return [("gone", "dim")]
        parts: list[Cell] = [("▲ ", "grow")] if node.growing else []
        if node.kind == "group":
            return [*parts, (node.label, "bold"), f" × {count(node.children_count)}", *self._ended(key, node)]
        if _needs_kind(node):
            parts.append((node.kind.replace("_", " ") + " ", "dim"))
        name, gap, rest = node.label.partition("  ")  # of a row: its name, and what it runs
        parts.append((name or NO_NAME, "bold") if node.kind in ("process", "holder") else name or NO_NAME)
        if rest:
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
        return parts

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

    def _ended(self, key: Hashable, node: TreeNode) -> list[Cell]:
        """Whether any of those that are folded into a growing line has ever ended."""
        if not node.growing or not isinstance(key, tuple) or len(key) != 3:
            return []
        kind, function, _ = key[2]
        ended = self._snapshot.tasks.ended_by_function.get((kind, function), 0)
        return [(f"  {count(ended)} seen to end" if ended else "  none seen to end", "dim")]

    def cells(self, key: Hashable) -> list[Cell]:
        """One cell for each column."""
        node = self.node(key)
        if node is None:
            return [""] * len(self._columns)
        has_children = bool(node.children_count)
        cells: dict[str, Cell] = {
            "children": count(node.children_count) if has_children else "",
            "children_growth": _multiplying(node) if has_children else "",
            "tasks": count(node.tasks) if node.tasks else "",
            "memory": bytes_text(node.bytes),
            "growth": _grown(node, growth_bytes(node.bytes_growth)),
            "marked": _grown(node, growth_bytes(node.marked_bytes)),
            "oldest": ("≥" if node.oldest_is_minimum else "") + duration(node.oldest_age),
        }
        return [cells[column.key] for column in self._columns]


def _needs_kind(node: TreeNode) -> bool:
    """Whether the label alone does not tell what it is."""
    word = node.kind.replace("_", " ")
    return node.kind not in ("process", "task", "unowned") and not node.label.casefold().startswith(word)


def _grown(node: TreeNode, text: str) -> Cell:
    return (text, "grow") if node.growing and text.startswith("+") else text


def _multiplying(node: TreeNode) -> Cell:
    text = growth_count(node.count_growth)
    return (text, "grow") if node.growing and (node.count_growth or 0.0) >= NOTICED_COUNT else text


def _kept(snapshot: Snapshot, text: str) -> NDArray[np.bool_]:
    """Which positions of the forest have the text in them, with all that is above and below them."""
    forest, wanted = snapshot.forest, text.strip().casefold()
    hits = np.zeros(len(forest.ids), bool)
    rows = len(snapshot.tasks)
    hits[1 : rows + 1] = matches(snapshot.tasks, text)
    for position, node in enumerate(forest.nodes, rows + 1):
        hits[position] = wanted in f"{node.kind} {node.label} {node.detail}".casefold()
    above, below = hits.copy(), hits.copy()
    for _ in range(len(forest.ids)):  # once per level; parents form no circles, and if they did this would end
        more_above, more_below = above.copy(), below | below[forest.parents]
        more_above[forest.parents[above]] = True
        if (more_above == above).all() and (more_below == below).all():
            break
        above, below = more_above, more_below
    kept = above | below
    kept[0] |= kept.any()
    return np.asarray(kept, bool)
