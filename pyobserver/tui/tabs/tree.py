"""The tab of the tree: who owns whom, and whose children grow."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult

from ...analysis.format import count, growth_bytes, growth_count
from ...analysis.group_facts import Scope
from ...analysis.growth import NOTICED_COUNT, Mode
from ...analysis.supervision import TreeNode
from ...model.forest import PROCESS
from ...model.snapshot import Phase, Snapshot
from ..bar import Piece
from ..seen import SeenProcess
from ..view import CHILD, Tab, View, copied
from ..widgets import Column, VirtualTree
from ..widgets.tree_rows import NoTree
from .summary import Summary
from .tree_columns import COLUMNS, LABEL, instead
from .tree_joined import Inside, JoinedLines, SeenTrees
from .tree_lines import ROW_KINDS, Arrangement, TreeLines

OPEN_AT_FIRST = 3  # levels
OPEN_WHEN_FILTERED = 12
HOLDER = "holder"
LEAST_LABEL, LABEL_SHARE = 38, 0.42  # cells, and of the width: room for the path of a holder before columns are shown


class TreeTab(Tab):
    """The tree of supervisors with sums; what grows is marked, and the mark climbs to the root."""

    title = "Supervision Tree"
    short_title = "Tree"
    period = 1.0
    explanation: ClassVar[str] = (
        "Who runs, owns, awaits or holds whom. Alike children are folded into one line (g unfolds them). → and ← open "
        "and close, * opens all below, Enter tells all about a task, or attaches to a child process; what was seen "
        "there hangs under it afterwards. o tells all about a supervisor: its children over time, how old they are, "
        "what they run, and where they wait. t shows a task among the tasks, and what a holder is in the heap. What "
        "has several owners is under one of them; n goes on to the next, and back."
    )

    def __init__(self) -> None:
        super().__init__(id="tree")
        self._lines: TreeLines | None = None
        self._joined: TreeLines | JoinedLines | None = None  # with the trees of child processes
        self._seen_trees = SeenTrees()
        self._shown: tuple[Snapshot, View] | None = None
        self._arrangement = Arrangement()
        self._mode: Mode = "value"
        self.seen_processes: dict[int, SeenProcess] = {}  # child processes that have been watched, by row
        self._round: tuple[int, ...] = ()  # a row and its owners, through which one key goes
        self._widget = VirtualTree(
            COLUMNS["value"],
            LABEL.label,
            least_label=LEAST_LABEL,
            label_share=LABEL_SHARE,
            open_at_first=self._is_open_at_first,
            loading_text="waiting for the first tasks",
        )

    def compose(self) -> ComposeResult:
        yield Summary()
        yield self._widget

    def main_widget(self) -> VirtualTree:
        return self._widget

    @property
    def _columns(self) -> tuple[Column, ...]:
        return COLUMNS[self._mode]

    # -- showing -----------------------------------------------------------------------------------------------------

    def present(self, snapshot: Snapshot, view: View) -> None:
        self._shown = (snapshot, view)
        if snapshot.identity is None and not len(snapshot.tasks):
            if snapshot.status.phase is Phase.EXITED:
                self._widget.empty_text = "the process has ended before its tasks were read"
                self._widget.show(NoTree())
            return
        if view.mode != self._mode:
            self._mode = view.mode
            sort = self._arrangement.sort
            self._arrangement = self._arrangement._replace(sort=replace(sort, column=instead(sort.column, view.mode)))
            self._widget.set_columns(self._columns)
        self._lines = TreeLines(
            snapshot,
            view,
            self._arrangement,
            self._columns,
            self.seen_processes,
            self._lines,
            self._widget.is_settling,
        )
        sort, text = self._arrangement.sort, self._arrangement.text
        self._widget.empty_text = f"nothing has “{text}” in it; Esc shows all"
        self._joined = self._seen_trees.lines(self._lines, view, self._arrangement, self._columns)
        self._widget.show(self._joined, sort_key=sort.column, descending=sort.descending)
        self.query_one(Summary).show(self._summary(snapshot, self._lines))

    def _summary(self, snapshot: Snapshot, lines: TreeLines) -> list[Piece]:
        """How many tasks, how many have the text that is asked for, and what grows."""
        process = lines.node(PROCESS)
        assert process is not None
        tasks = "tasks n/a"
        if snapshot.tick is not None:
            tasks = f"{count(process.tasks)} {'task' if process.tasks == 1 else 'tasks'}"
        pieces = [Piece(tasks, "bold", 9, gap=" ")]
        found = lines.matches
        if found is not None:
            pieces.append(Piece(f"{count(found)} with “{self._arrangement.text}”", "bold", 8))
        ends = lines.tree.growing_ends()
        if ends:
            pieces.append(Piece(_growing(lines, ends[0]), "grow", 7))
            pieces.append(Piece(f"and {count(len(ends) - 1)} more" if len(ends) > 1 else "", "grow", 6, gap=" "))
        else:
            is_known = process.count_growth is not None
            quiet = "nothing grows" if is_known else "too early to tell what grows" if snapshot.marks else ""
            pieces.append(Piece(quiet, "dim", 5))
        column = next((c for c in (LABEL, *self._columns) if c.key == self._arrangement.sort.column), LABEL)
        arrow = "▼" if self._arrangement.sort.descending else "▲"
        return [*pieces, Piece(f"sorted by {column.label} {arrow}", "dim", 4)]

    def _arrange(self, arrangement: Arrangement) -> None:
        self._arrangement = arrangement
        if self._shown is not None:
            self.present(*self._shown)

    def _is_open_at_first(self, key: Hashable, depth: int) -> bool:
        if self._joined is None or isinstance(key, Inside):
            return self._joined is not None and self._joined.is_growing(key)
        if not isinstance(key, int) or self._lines is None or key in self.seen_processes:
            return False
        return depth < (OPEN_WHEN_FILTERED if self._arrangement.text else OPEN_AT_FIRST) or self._lines.is_growing(key)

    def reveal(self, number: int, as_group: bool = False) -> bool:
        """Put the cursor on a row or node, or on the line that it is folded into; False when it is not in the tree."""
        if self._lines is None:
            return False
        above = self._lines.parent(number)
        folded = as_group and isinstance(above, tuple)
        return self._widget.expand_to(above if folded and above is not None else number)

    # -- what the user does ------------------------------------------------------------------------------------------

    def _selected(self) -> TreeNode | None:
        """The line under the cursor, if it is of this process."""
        key = self._widget.cursor_key
        if self._lines is None or key is None or isinstance(key, Inside):
            return None
        return self._lines.node(key)

    def jump(self) -> str:
        node = self._selected()
        if node is not None and isinstance(node.key, tuple):
            self.post_message(self.GroupWanted(node.key[2], node.detail or node.label, members=True))
        elif node is not None and node.kind in ROW_KINDS and node.id is not None:
            self.post_message(self.RowWanted(node.id))
        elif node is not None and node.kind == HOLDER:
            self.post_message(self.ContainerWanted(node.label, node.children_count))
        else:
            return "this is no task, and stands for none"
        return ""

    def about(self) -> str:
        node = self._selected()
        if node is not None and isinstance(node.key, tuple):
            place = self._lines.place(node) if self._lines is not None else ""
            self.post_message(self.AboutWanted(Scope(node.key[2], node.key[1]), node.detail or node.label, place))
        elif node is not None and node.children_count and node.id is not None and self._lines is not None:
            self.post_message(self.AboutWanted(Scope(node=node.id), self._lines.name(node.id), self._lines.place(node)))
        else:
            return "this has no children that could be told about"
        return ""

    def next_owner(self) -> str:
        node = self._selected()
        if node is None or node.id is None or self._lines is None:
            return "this has no other owner"
        if node.id not in self._round or not self._has_others(self._round[0]):
            owners = self._lines.tree.second_owners
            others = [*owners.of(node.id), *owners.owned_by(node.id)[0]]
            if not others:
                return "this has no other owner"
            self._round = (node.id, *(number for number, _ in others))
        following = self._round[(self._round.index(node.id) + 1) % len(self._round)]
        if not self._widget.expand_to(following):  # what is filtered away is shown again
            self.post_message(self.PlaceWanted(following))
        return ""

    def _has_others(self, number: int) -> bool:
        return self._lines is not None and self._lines.tree.second_owners.has_several(number)

    def on_virtual_tree_node_activated(self, event: VirtualTree.NodeActivated) -> None:
        event.stop()
        if isinstance(event.key, Inside) and self._shown is not None:
            self.ask_for(self._shown[0], event.key.process)
            return
        node = self._lines.node(event.key) if self._lines is not None else None
        if node is None:
            return
        if node.kind in ROW_KINDS and node.id is not None and self._shown is not None:
            self.ask_for(self._shown[0], node.id)
        elif self._lines is not None and self._lines.has_children(event.key):
            self._widget.toggle(event.key)

    def on_virtual_tree_sort_requested(self, event: VirtualTree.SortRequested) -> None:
        event.stop()
        self.sort_by(event.column_key)

    def hints(self) -> Mapping[str, str]:
        node = self._selected()
        hints = {
            **({"open": _opens(node)} if node is not None else {}),
            "filter": "",
            "sort": "",
            "reverse": "",
            "groups": "fold alike" if self._arrangement.single else "unfold alike",
            "mode": "",
        }
        if isinstance(self._widget.cursor_key, Inside):
            hints["open"] = "attach to it"
        if node is not None and (node.kind in ROW_KINDS or node.kind in ("group", HOLDER)):
            hints["jump"] = "in the heap" if node.kind == HOLDER else "among tasks"
        if node is not None and (node.kind == "group" or node.children_count):
            hints["about"] = ""
        if node is not None and node.id is not None and self._has_others(node.id):
            hints["next_owner"] = ""
        return {**hints, "back": "show all"} if self._arrangement.text else hints

    def toggle(self) -> None:
        self._arrange(self._arrangement._replace(single=not self._arrangement.single))

    def sort_choices(self) -> Sequence[tuple[str, str]]:
        return [(column.key, f"{column.label:12} {column.help}") for column in (LABEL, *self._columns)]

    def sort_by(self, column: str) -> None:
        self._arrange(self._arrangement.sorted_by(column))

    @property
    def sorted_by(self) -> str:
        return self._arrangement.sort.column

    def reverse(self) -> None:
        self._arrange(self._arrangement.sorted_by(self._arrangement.sort.column))

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
        node = self._selected()
        return node.id if node is not None and node.kind in ROW_KINDS else None

    def row_text(self) -> str:
        key = self._widget.cursor_key
        if self._joined is None or key is None:
            return ""
        label = "".join(part if isinstance(part, str) else part[0] for part in self._joined.label(key))
        return f"{label}\t{copied(self._columns, self._joined.cells(key))}"


def _growing(lines: TreeLines, key: Hashable) -> str:
    """What grows, by how much; of alike children their supervisor."""
    key = (lines.parent(key) if isinstance(key, tuple) else key) or PROCESS
    node = lines.node(key)
    children = node.growth.children if node is not None else None
    by = f" {growth_count(children)} children/min" if children and children >= NOTICED_COUNT else ""
    if not by and node is not None and node.growth.memory:
        by = f" {growth_bytes(node.growth.memory)}/min"
    return f"▲ {lines.name(key)}{by}"


def _opens(node: TreeNode) -> str:
    """What Enter does with a line, in a word."""
    if node.kind == CHILD:
        return "attach to it"
    return "details" if node.kind in ROW_KINDS else "open, close"
