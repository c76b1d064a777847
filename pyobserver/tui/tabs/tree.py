"""The tab of the tree: who owns whom, and whose children grow."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.widget import Widget

from ...analysis import supervision
from ...analysis.group_facts import Scope
from ...model.store import Phase, Snapshot
from ..view import CHILD, Tab, View, copied
from ..widgets import Column, VirtualTree
from ..widgets.tree_rows import NoTree
from .tree_lines import COLUMNS, LABEL, ROW_KINDS, Arrangement, TreeLines

SORTS: dict[supervision.Sort, tuple[str, str]] = {  # with what it means, and the column that shows it
    "bytes": ("by memory   the largest first", "memory"),
    "growth": ("by growth   what grows fastest first", "growth"),
    "count": ("by count    the most children first", "children"),
}
WORDS = {"bytes": "by memory", "growth": "by growth", "count": "by count"}
OPEN_AT_FIRST = 3  # levels
OPEN_WHEN_FILTERED = 12
LEAST_LABEL = 38  # cells: room for the path of a holder before columns are shown


class TreeTab(Tab):
    """The tree of supervisors with sums; what grows is marked, and the mark climbs to the root."""

    title = "Supervision Tree"
    short_title = "Tree"
    period = 1.0
    explanation: ClassVar[str] = (
        "Who runs, owns, awaits or holds whom. Alike children are folded into one line (g unfolds them). → and ← open "
        "and close, * opens all below, Enter tells all about a task, or attaches to a child process. t shows it among "
        "the tasks."
    )

    def __init__(self) -> None:
        super().__init__(id="tree")
        self._lines: TreeLines | None = None
        self._shown: tuple[Snapshot, View] | None = None
        self._arrangement = Arrangement()
        self._columns = COLUMNS["value"]
        self._widget = VirtualTree(
            COLUMNS["value"],
            LABEL.label,
            least_label=LEAST_LABEL,
            open_at_first=self._is_open_at_first,
            loading_text="waiting for the first tasks",
        )

    def compose(self) -> ComposeResult:
        yield self._widget

    def main_widget(self) -> Widget:
        return self._widget

    # -- showing -----------------------------------------------------------------------------------------------------

    def present(self, snapshot: Snapshot, view: View) -> None:
        self._shown = (snapshot, view)
        if snapshot.identity is None and not len(snapshot.tasks):
            if snapshot.status.phase is Phase.EXITED:
                self._widget.empty_text = "the process has ended before its tasks were read"
                self._widget.show(NoTree())
            return
        if COLUMNS[view.mode] is not self._columns:
            self._columns = COLUMNS[view.mode]
            self._widget.set_columns(self._columns)
        arrangement = self._arrangement
        self._lines = TreeLines(snapshot, view, arrangement, self._columns)
        self._widget.empty_text = f"nothing has “{arrangement.text}” in it; Esc shows all"
        self._widget.show(self._lines, sort_key=SORTS[arrangement.sort][1], descending=not arrangement.reversed)

    def _arrange(self, arrangement: Arrangement) -> None:
        self._arrangement = arrangement
        if self._shown is not None:
            self.present(*self._shown)

    def _is_open_at_first(self, key: Hashable, depth: int) -> bool:
        node = self._lines.node(key) if self._lines is not None else None
        if node is None or node.kind == "group":
            return False
        return depth < (OPEN_WHEN_FILTERED if self._arrangement.text else OPEN_AT_FIRST) or node.growing

    def reveal(self, number: int, as_group: bool = False) -> bool:
        """Put the cursor on a row or node, or on the line that it is folded into; False when it is not in the tree."""
        if self._lines is None:
            return False
        above = self._lines.parent(number)
        node = self._lines.node(above) if above is not None else None
        key: Hashable = above if as_group and node is not None and node.kind == "group" else number
        return self._widget.expand_to(key)

    # -- what the user does ------------------------------------------------------------------------------------------

    def jump(self) -> str:
        key = self._widget.cursor_key
        node = self._lines.node(key) if self._lines is not None and key is not None else None
        if node is not None and isinstance(key, tuple) and len(key) == 3:
            self.post_message(self.GroupWanted(key[2], node.detail or node.label, members=True))
        elif node is not None and node.kind in ROW_KINDS and node.id is not None:
            self.post_message(self.RowWanted(node.id))
        else:
            return "this is no task, and stands for none"
        return ""

    def about(self) -> str:
        key = self._widget.cursor_key
        node = self._lines.node(key) if self._lines is not None and key is not None else None
        if node is not None and isinstance(key, tuple) and len(key) == 3:
            self.post_message(self.AboutWanted(Scope(key[2], key[1]), node.detail or node.label))
        elif node is not None and _has_group(node) and node.id is not None:
            self.post_message(self.AboutWanted(Scope(node=node.id), node.label))
        else:
            return "this has no children whose memory could be told"
        return ""

    def on_virtual_tree_node_activated(self, event: VirtualTree.NodeActivated) -> None:
        event.stop()
        node = self._lines.node(event.key) if self._lines is not None else None
        if node is None:
            return
        if node.kind in ROW_KINDS and node.id is not None and self._shown is not None:
            self.ask_for(self._shown[0], node.id)
        elif self._lines is not None and self._lines.has_children(event.key):
            self._widget.toggle(event.key)

    def on_virtual_tree_sort_requested(self, event: VirtualTree.SortRequested) -> None:
        event.stop()
        for sort, (_, column) in SORTS.items():
            if column == event.column_key:
                self.sort_by(sort)

    def hints(self) -> Mapping[str, str]:
        key = self._widget.cursor_key
        node = self._lines.node(key) if self._lines is not None and key is not None else None
        arrangement = self._arrangement
        hints = {
            **({"open": _opens(node)} if node is not None else {}),
            "filter": "",
            "sort": WORDS[arrangement.sort],
            "reverse": "",
            "groups": "fold alike" if arrangement.single else "unfold alike",
            "jump": "among tasks",
            "mode": "",
        }
        if node is not None and _has_group(node):
            hints["about"] = "about it"
        return {**hints, "back": "show all"} if arrangement.text else hints

    def toggle(self) -> None:
        self._arrange(self._arrangement._replace(single=not self._arrangement.single))

    def sort_choices(self) -> Sequence[tuple[str, str]]:
        return [(sort, text) for sort, (text, _) in SORTS.items()]

    def sort_by(self, column: str) -> None:
        found = next((sort for sort in SORTS if sort == column), None)
        if found is not None:
            again = found == self._arrangement.sort
            self._arrange(self._arrangement._replace(sort=found, reversed=again and not self._arrangement.reversed))

    @property
    def sorted_by(self) -> str:
        return self._arrangement.sort

    def reverse(self) -> None:
        self._arrange(self._arrangement._replace(reversed=not self._arrangement.reversed))

    def filter_by(self, text: str) -> None:
        if text != self._arrangement.text:
            self._arrange(self._arrangement._replace(text=text))

    @property
    def filter_text(self) -> str:
        return self._arrangement.text

    def help_columns(self) -> Sequence[tuple[Column, bool]]:
        visible = self._widget.visible_columns
        return [(column, column.key in visible) for column in (LABEL, *self._columns)]

    def selected_row(self) -> int | None:
        key = self._widget.cursor_key
        node = self._lines.node(key) if self._lines is not None and key is not None else None
        return node.id if node is not None and node.kind in ROW_KINDS else None

    def row_text(self) -> str:
        key = self._widget.cursor_key
        if self._lines is None or key is None:
            return ""
        label = "".join(part if isinstance(part, str) else part[0] for part in self._lines.label(key))
        return f"{label}\t{copied(self._columns, self._lines.cells(key))}"


def _has_group(node: supervision.TreeNode) -> bool:
    """Whether a line stands for several tasks, or holds some."""
    return node.kind == "group" or (node.kind not in ROW_KINDS and node.kind != "process" and node.children_count > 0)


def _opens(node: supervision.TreeNode) -> str:
    """What Enter does with a line, in a word."""
    if node.kind == CHILD:
        return "attach to it"
    return "details" if node.kind in ROW_KINDS else "open, close"
