"""A tree of any number of nodes, of which only the visible ones are asked for their text and painted.

The widget owns what the user decided (which nodes are open) and the flat list of lines that follows from it; labels,
numbers and styles are read from the rows when a line is painted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message

from .columns import ALWAYS, GAP, MARGIN, Column, Layout, arrange, draw, header_cells
from .tree_rows import Line, Loading, More, NoTree, Part, TreeRows, fitted_label, is_above, label_parts
from .virtual_list import VirtualList

CHILDREN_AT_ONCE = 200
LEAST_LABEL = 24  # cells that a label gets before columns are dropped
LABEL_KEY = "label"


class VirtualTree(VirtualList):
    """Labels with guides at the left, columns at the right; nodes come from `show()`, wishes are posted as messages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "open", "Open, then into", show=False),
        Binding("left,h", "close", "Close, then out", show=False),
        Binding("asterisk", "open_all", "Open all below", show=False),
    ]

    class NodeActivated(Message):
        """Enter was pressed on a node, or it was clicked twice."""

        def __init__(self, tree: VirtualTree, key: Hashable) -> None:
            super().__init__()
            self.tree, self.key = tree, key

        @property
        def control(self) -> VirtualTree:
            return self.tree

    class CursorMoved(Message):
        """The cursor is on another node; `key` is None on a line that is no node, and without nodes."""

        def __init__(self, tree: VirtualTree, key: Hashable | None) -> None:
            super().__init__()
            self.tree, self.key = tree, key

        @property
        def control(self) -> VirtualTree:
            return self.tree

    class SortRequested(Message):
        """The header of a sortable column was clicked; the same column again means the other direction."""

        def __init__(self, tree: VirtualTree, column_key: str) -> None:
            super().__init__()
            self.tree, self.column_key = tree, column_key

        @property
        def control(self) -> VirtualTree:
            return self.tree

    class NodeExpanded(Message):
        """The user opened a node; who loads children lazily does so now."""

        def __init__(self, tree: VirtualTree, key: Hashable) -> None:
            super().__init__()
            self.tree, self.key = tree, key

        @property
        def control(self) -> VirtualTree:
            return self.tree

    def __init__(
        self,
        columns: Sequence[Column],
        label_header: str = "",
        *,
        least_label: int = LEAST_LABEL,
        label_share: float = 0.0,
        open_at_first: int | Callable[[Hashable, int], bool] = 1,
        children_at_once: int = CHILDREN_AT_ONCE,
        empty_text: str = "nothing to show",
        loading_text: str = "waiting for data",
        clock: Callable[[], float] = time.monotonic,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`open_at_first` tells which nodes are open before the user decides: those above a depth, or what a function
        of key and depth says; roots have depth 0. A label gets `least_label` cells, and that share of the width,
        before columns are dropped."""
        super().__init__(
            empty_text=empty_text, loading_text=loading_text, clock=clock, name=name, id=id, classes=classes
        )
        self.header_lines = 1 if label_header or columns else 0
        label = Column(LABEL_KEY, label_header, least_label, flex=1, sortable=False, priority=ALWAYS)
        self._label_share = label_share
        self._columns = (label, *columns)
        self._layout_for: tuple[int, Layout] | None = None
        self._opens = open_at_first if callable(open_at_first) else is_above(open_at_first)
        self._at_once = children_at_once
        self._rows: TreeRows = NoTree()
        self._sort_key = ""
        self._descending = True
        self._version: int | None = None
        self._lines: list[Line] = []
        self._decided: dict[Hashable, bool] = {}
        self._shown_children: dict[Hashable, int] = {}

    @property
    def cursor_key(self) -> Hashable | None:
        """The key of the node of the cursor, or None when it is on no node."""
        return None if isinstance(self._key, More | Loading) else self._key

    @property
    def visible_columns(self) -> frozenset[str]:
        """The keys of the columns that are shown at this width, with that of the label."""
        return frozenset(place.column.key for place in self._arranged().places)

    def show(self, rows: TreeRows, *, sort_key: str = "", descending: bool = True) -> None:
        """Shows the nodes of `rows` as they are ordered; the column `sort_key` gets the arrow.

        What is open stays open, and the cursor stays on its key; when that has moved to where nothing is open, on what
        is above it there.
        """
        self._rows, self._sort_key, self._descending = rows, sort_key, descending
        if rows.version != self._version:
            self._version = rows.version
            self._lines = self._flat()
            if self._key is not None and self.line_of(self._key) is None:
                self._follow(self._key)
        self.lines_changed()

    def _follow(self, key: Hashable) -> None:
        """Find the line for a cursor whose key is not on any: it may be on a later page, or under what is closed."""
        path: list[Hashable] = [key]
        while (above := self._rows.parent(path[-1])) is not None and above not in path:
            path.append(above)
            at = self.line_of(above)
            if at is None:
                continue
            children = list(self._rows.children(above))
            if not self.is_open(above, self._lines[at].depth) or path[-2] not in children:
                self._take_key(above)
                return
            self._shown_children[above] = max(
                children.index(path[-2]) + 1, self._shown_children.get(above, self._at_once)
            )
            self._lines = self._flat()
            if self.line_of(key) is None:
                below = next(each for each in path[-2::-1] if self.line_of(each) is not None)
                self._take_key(below)
            return

    def is_open(self, key: Hashable, depth: int) -> bool:
        """Whether a node at a depth shows its children: as the user decided, else as at first.

        Without a user's wish nothing is opened whose children would have to be loaded.
        """
        decided = self._decided.get(key)
        return self._opens(key, depth) and bool(self._rows.children(key)) if decided is None else decided

    def open_node(self, key: Hashable) -> None:
        """Opens a node, whether it is visible or not."""
        self._decide(key, True)

    def close_node(self, key: Hashable) -> None:
        """Closes a node; what was open below it is remembered."""
        self._decide(key, False)

    def toggle(self, key: Hashable) -> None:
        """Opens a closed node and closes an open one; a node that is not visible stays as it is."""
        at = self.line_of(key)
        if at is not None:
            self._decide(key, not self.is_open(key, self._lines[at].depth))

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Takes other columns; `show()` must follow with rows whose cells match them, in the same turn of the loop."""
        self._columns, self._layout_for = (self._columns[0], *columns), None
        self.measure()
        self.refresh()

    def expand_to(self, key: Hashable) -> bool:
        """Opens all ancestors of a node and puts the cursor on it; returns False when it is not in the tree."""
        path, at = [], self._rows.parent(key)
        while at is not None and at not in path:
            path.append(at)
            at = self._rows.parent(at)
        if (path[-1] if path else key) not in self._rows.roots():
            return False
        for child, parent in zip([key, *path], path, strict=False):
            self._decided[parent] = True
            children = list(self._rows.children(parent))
            if child not in children:
                return False
            if children.index(child) >= self._shown_children.get(parent, self._at_once):
                self._shown_children[parent] = children.index(child) + 1
        self._lines = self._flat()
        self.lines_changed()
        return self.go_to_key(key)

    # Structure.

    def _flat(self) -> list[Line]:
        roots = [Line(key, 0, "", "") for key in self._rows.roots()]
        return self._unfolded(roots, set())

    def _unfolded(self, lines: Iterable[Line], seen: set[Hashable]) -> list[Line]:
        """The lines with everything below them that is open; what has been `seen` is not listed a second time, so that
        a tree that runs in a circle ends."""
        found: list[Line] = []
        stack = list(lines)[::-1]
        rows, is_open = self._rows, self.is_open
        while stack:
            line = stack.pop()
            if line.key in seen:
                continue
            seen.add(line.key)
            found.append(line)
            if type(line.key) not in (More, Loading) and rows.has_children(line.key) and is_open(line.key, line.depth):
                stack += reversed(self._below(line))
        return found

    def _below(self, line: Line) -> list[Line]:
        """The lines of the children of a node, as many as are shown of them."""
        children = self._rows.children(line.key)
        depth, last = line.depth + 1, len(children) - 1
        limit = self._shown_children.get(line.key, self._at_once)
        joint, onward = line.below + "├─", line.below + "│ "
        lines = [Line(key, depth, joint, onward) for key in children[:limit]]
        if last < 0:
            lines.append(Line(Loading(line.key), depth, line.below + "└─", line.below + "  "))
        elif last >= limit:
            lines.append(Line(More(line.key), depth, line.below + "└─", line.below + "  "))
        else:
            lines[-1] = Line(children[last], depth, line.below + "└─", line.below + "  ")
        return lines

    def _end_of(self, at: int) -> int:
        """The number of the first line behind a line and everything below it."""
        depth, end = self._lines[at].depth, at + 1
        while end < len(self._lines) and self._lines[end].depth > depth:
            end += 1
        return end

    def _unfold_again(self, at: int) -> None:
        """Replaces a line and everything below it by what is open there now."""
        end = self._end_of(at)
        outside = {line.key for line in self._lines[:at]}
        outside.update(line.key for line in self._lines[end:])
        self._lines[at:end] = self._unfolded([self._lines[at]], outside)
        self.lines_changed()

    def _decide(self, key: Hashable, is_open: bool) -> None:
        self._decided[key] = is_open
        at = self.line_of(key)
        if at is None:
            return
        if not is_open and at < self._line < self._end_of(at):
            self.go_to(at)
        self._unfold_again(at)

    def _show_more(self, parent: Hashable) -> None:
        """Shows more children of a wide node; the cursor was on the line that offered them and is on the first then."""
        shown, children = self._shown_children.get(parent, self._at_once), self._rows.children(parent)
        self._shown_children[parent] = shown + self._at_once
        at = self.line_of(parent)
        if at is not None and shown < len(children):
            self._take_key(children[shown])
            self._unfold_again(at)

    # What the list asks.

    def line_count(self) -> int:
        return len(self._lines)

    def key_at(self, line: int) -> Hashable:
        return self._lines[line].key

    def line_of(self, key: Hashable) -> int | None:
        if self._line < len(self._lines) and self._lines[self._line].key == key:
            return self._line
        return next((at for at, line in enumerate(self._lines) if line.key == key), None)

    def line_width(self) -> int:
        return self._arranged().width

    def cursor_moved(self) -> None:
        self.post_message(self.CursorMoved(self, self.cursor_key))

    # What the user does.

    def action_activate(self) -> None:
        if isinstance(self._key, More):
            self._show_more(self._key.parent)
        elif self.cursor_key is not None:
            self.post_message(self.NodeActivated(self, self.cursor_key))

    def action_open(self) -> None:
        """Opens the node, or goes to its first child when it is open."""
        self._touched()
        key = self.cursor_key
        if key is None or not self._rows.has_children(key):
            return
        if self.is_open(key, self._lines[self._line].depth):
            self.go_to(self._line + 1)
        else:
            self._decide(key, True)
            self.post_message(self.NodeExpanded(self, key))

    def action_close(self) -> None:
        """Closes the node, or goes to its parent when it is closed."""
        self._touched()
        if not self._lines:
            return
        line, key = self._lines[self._line], self.cursor_key
        if key is not None and self._rows.has_children(key) and self.is_open(key, line.depth):
            self._decide(key, False)
            return
        above = (at for at in range(self._line - 1, -1, -1) if self._lines[at].depth < line.depth)
        self.go_to(next(above, self._line))

    def action_open_all(self) -> None:
        """Opens the node and everything below it."""
        self._touched()
        if self.cursor_key is None:
            return
        below, seen = [self.cursor_key], set()
        while below:
            key = below.pop()
            if key not in seen and self._rows.has_children(key):
                seen.add(key)
                self._decided[key] = True
                below += self._rows.children(key)
        self._unfold_again(self._line)

    def header_clicked(self, x: int) -> None:
        column = self._arranged().at(x)
        if column is not None and column.sortable:
            self.post_message(self.SortRequested(self, column.key))

    def line_clicked(self, line: int, x: int, clicks: int) -> None:
        at = self._lines[line]
        on_marker = x <= len(at.lead) + 2
        if not on_marker:
            super().line_clicked(line, x, clicks)
        elif isinstance(at.key, More):
            self.action_activate()
        elif self._rows.has_children(at.key):
            opens = not self.is_open(at.key, at.depth)
            self._decide(at.key, opens)
            if opens:
                self.post_message(self.NodeExpanded(self, at.key))

    # Painting.

    def _arranged(self) -> Layout:
        width = self.room
        if self._layout_for is None or self._layout_for[0] != width:
            label, *others = self._columns
            roomy = replace(label, width=max(label.width, int(self._label_share * width)))
            self._layout_for = (width, arrange((roomy, *others), width))
        return self._layout_for[1]

    def paint_header(self) -> tuple[list[Segment], Style]:
        style = self.component("header")
        labels = header_cells(self._columns, self._sort_key, self._descending)
        return [Segment(" ", style), *draw(self._arranged().places, labels, style, lambda name: style)], style

    def paint(self, line: int, is_cursor: bool) -> tuple[list[Segment], Style]:
        at, places = self._lines[line], self._arranged().places
        is_node = not isinstance(at.key, More | Loading)
        row = self._rows.style(at.key) if is_node else "dim"
        base = self.line_style(row, is_cursor)
        style = partial(self.cell_style, row=row, is_cursor=is_cursor)
        width = places[0].width if is_node else self.line_width() - 2 * MARGIN
        segments = [Segment(" ", base), *self._label(at, width, base, style)]
        if is_node and len(places) > 1:
            segments += [Segment(" " * GAP, base), *draw(places[1:], ["", *self._rows.cells(at.key)], base, style)]
        return segments, base

    def _label(self, at: Line, width: int, base: Style, style: Callable[[str], Style]) -> list[Segment]:
        """Guides, marker and label in exactly `width` cells; a deep node loses guides before it loses its label."""
        guides = at.lead + self._marker(at)
        most = width // 2
        if len(guides) > most:
            guides = "…" + guides[len(guides) - most + 1 :]
        fitted = fitted_label(self._label_parts(at.key), width - len(guides))
        segments = [Segment(text, style(name) if name else base) for text, name in fitted]
        left = width - len(guides) - sum(segment.cell_length for segment in segments)
        return [Segment(guides, style("guide")), *segments, Segment(" " * left, base)]

    def _marker(self, at: Line) -> str:
        if isinstance(at.key, More | Loading) or not self._rows.has_children(at.key):
            return "─ " if at.depth else "  "
        return "▾ " if self.is_open(at.key, at.depth) else "▸ "

    def _label_parts(self, key: Hashable) -> list[Part]:
        if isinstance(key, Loading):
            return [("loading …", "")]
        if isinstance(key, More):
            shown = self._shown_children.get(key.parent, self._at_once)
            rest = len(self._rows.children(key.parent)) - shown
            return [(f"… {rest:,} more, Enter shows {min(rest, self._at_once):,} more", "")]
        return label_parts(self._rows.label(key))
