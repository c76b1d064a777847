"""The tab of the tree: who owns whom, and whose children grow."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, get_args

from textual.app import ComposeResult
from textual.message import Message
from textual.widget import Widget

from ...analysis import supervision
from ...analysis.format import bytes_text, count, duration, growth_bytes, growth_count
from ...analysis.growth import Mode
from ...analysis.supervision import SupervisionTree, TreeNode
from ...model.groups import GroupKey
from ...model.store import Snapshot
from ..view import Tab, View, copied
from ..widgets import Cell, Column, VirtualTree

ROW_KINDS = ("task", "thread", "child process", "trio task", "greenlet")
SORTS: dict[supervision.Sort, str] = {
    "bytes": "by memory   the largest first",
    "growth": "by growth   what grows fastest first",
    "count": "by count    the most children first",
}
OPEN_AT_FIRST = 3  # levels

_CHILDREN = Column("children", "Children", 8, "right", help="How many hang directly under it.")
_CHILDREN_GROWTH = Column("children_growth", "+/min", 7, "right", priority=7, help="Children more each minute.")
_TASKS = Column("tasks", "Tasks", 7, "right", priority=5, help="How many tasks there are under it, at any depth.")
_MEMORY = Column(
    "memory",
    "Memory",
    9,
    "right",
    help="What has been measured of it and of everything under it. A child process is not added.",
)
_GROWTH = Column("growth", "+/min", 9, "right", priority=8, help="Bytes more each minute, itself and under it.")
_MARKED = Column("marked", "Δ Memory", 9, "right", help="Bytes more than at the baseline.")
_OLDEST = Column("oldest", "Oldest", 11, "right", priority=4, help="The age of the oldest child, or its own.")
_LABEL = Column("label", "Supervisor", 24, help="What owns, holds or runs. ▲ marks what grows, up to the root.")

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_CHILDREN, _CHILDREN_GROWTH, _TASKS, _MEMORY, _GROWTH, _OLDEST),
    "growth": (_CHILDREN_GROWTH, _GROWTH, _OLDEST),
    "baseline": (_CHILDREN, _TASKS, _MEMORY, _MARKED, _OLDEST),
}


class TreeLines:
    """The tree for the widget: structure from the analysis, texts for what is visible."""

    def __init__(self, tree: SupervisionTree, columns: Sequence[Column]) -> None:
        self._tree = tree
        self._columns = columns
        self._nodes: dict[Hashable, TreeNode | None] = {}

    @property
    def version(self) -> int:
        """Changes with the structure."""
        return self._tree.version

    def roots(self) -> Sequence[Hashable]:
        """The process."""
        return self._tree.roots()

    def children(self, key: Hashable) -> Sequence[Hashable]:
        """What hangs under a node."""
        return self._tree.children(key)

    def has_children(self, key: Hashable) -> bool:
        """Whether anything does."""
        return self._tree.has_children(key)

    def parent(self, key: Hashable) -> Hashable | None:
        """What a node hangs under."""
        return self._tree.parent(key)

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
            parts += [(node.label, "bold"), f" × {count(node.children_count)}"]
            if node.count_growth is not None and node.growing and node.count_growth >= 0.05:
                parts.append((f" ({growth_count(node.count_growth)}/min)", "grow"))
            return parts
        if _needs_kind(node):
            parts.append((node.kind.replace("_", " ") + " ", "dim"))
        parts.append((node.label, "bold") if node.kind in ("process", "holder") else node.label)
        if node.detail:
            parts.append((f" ({node.detail})", "dim"))
        if node.queue:
            parts.append(f" queue {count(node.queue)}")
        if node.ended:
            parts.append((" ended", "dim"))
        return parts

    def cells(self, key: Hashable) -> list[Cell]:
        """One cell for each column."""
        node = self.node(key)
        if node is None:
            return [""] * len(self._columns)
        cells: dict[str, Cell] = {
            "children": count(node.children_count) if node.children_count else "",
            "children_growth": _grown(node, growth_count(node.count_growth)) if node.children_count else "",
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


class TreeTab(Tab):
    """The tree of supervisors with sums; what grows is marked, and the mark climbs to the root."""

    title = "Supervision Tree"
    short_title = "Tree"
    period = 1.0
    explanation: ClassVar[str] = (
        "Who runs, owns, awaits or holds whom. Alike children are folded into one line. Right and left open and close, "
        "* opens all below, Enter tells all about a task, t shows it among the tasks."
    )

    class RowWanted(Message):
        """The user wants to see this row among the tasks."""

        def __init__(self, row_id: int) -> None:
            super().__init__()
            self.row_id = row_id

    class GroupWanted(Message):
        """The user wants to see the members of a group among the tasks."""

        def __init__(self, key: GroupKey, title: str) -> None:
            super().__init__()
            self.key, self.title = key, title

    def __init__(self) -> None:
        super().__init__(id="tree")
        self._lines: TreeLines | None = None
        self._shown: tuple[Snapshot, View] | None = None
        self._sort: supervision.Sort = "bytes"
        self._columns = COLUMNS["value"]
        self._widget = VirtualTree(
            COLUMNS["value"],
            "Supervisor",
            label_cut="end",
            open_at_first=self._is_open_at_first,
            loading_text="waiting for the first tasks",
        )

    def compose(self) -> ComposeResult:
        yield self._widget

    def main_widget(self) -> Widget:
        return self._widget

    def present(self, snapshot: Snapshot, view: View) -> None:
        self._shown = (snapshot, view)
        if snapshot.identity is None and not len(snapshot.tasks):
            return
        if COLUMNS[view.mode] is not self._columns:
            self._columns = COLUMNS[view.mode]
            self._widget.set_columns(self._columns)
        self._lines = TreeLines(supervision.tree(snapshot, view.window, self._sort), self._columns)
        self._widget.show(self._lines)

    def _is_open_at_first(self, key: Hashable, depth: int) -> bool:
        node = self._lines.node(key) if self._lines is not None else None
        return node is not None and node.kind != "group" and (depth < OPEN_AT_FIRST or node.growing)

    def reveal(self, row_id: int, as_group: bool = False) -> bool:
        """Put the cursor on a row, or on the line that it is folded into; False when it is not in the tree."""
        if self._lines is None:
            return False
        above = self._lines.parent(row_id)
        node = self._lines.node(above) if above is not None else None
        key: Hashable = above if as_group and node is not None and node.kind == "group" else row_id
        return self._widget.expand_to(key)

    def show_among_tasks(self) -> bool:
        """Ask to see the selected node among the tasks; False when it is no task, and stands for none."""
        key = self._widget.cursor_key
        node = self._lines.node(key) if self._lines is not None and key is not None else None
        if node is None:
            return False
        if isinstance(key, tuple) and len(key) == 3:
            self.post_message(self.GroupWanted(key[2], node.detail or node.label))
            return True
        if node.kind in ROW_KINDS and node.id is not None:
            self.post_message(self.RowWanted(node.id))
            return True
        return False

    def on_virtual_tree_node_activated(self, event: VirtualTree.NodeActivated) -> None:
        event.stop()
        node = self._lines.node(event.key) if self._lines is not None else None
        if node is None:
            return
        if node.kind in ROW_KINDS and node.id is not None:
            self.post_message(self.TaskWanted(node.id))
        elif self._lines is not None and self._lines.has_children(event.key):
            self._widget.toggle(event.key)

    def sort_choices(self) -> Sequence[tuple[str, str]]:
        return list(SORTS.items())

    def sort_by(self, column: str) -> None:
        found = next((sort for sort in get_args(supervision.Sort) if sort == column), None)
        if found is not None and self._shown is not None:
            self._sort = found
            self.present(*self._shown)

    @property
    def sorted_by(self) -> str:
        return self._sort

    def help_columns(self) -> Sequence[Column]:
        return (_LABEL, *self._columns)

    def row_text(self) -> str:
        key = self._widget.cursor_key
        if self._lines is None or key is None:
            return ""
        label = "".join(part if isinstance(part, str) else part[0] for part in self._lines.label(key))
        return f"{label}\t{copied(self._columns, self._lines.cells(key))}"
