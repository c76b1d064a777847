"""A tree of any number of nodes, of which only the visible ones are asked for their text and painted.

The widget owns what the user decided (which nodes are open) and the flat list of lines that follows from it; labels,
numbers and styles are read from the rows when a line is painted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, NamedTuple, Protocol

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message

from .columns import ALWAYS, GAP, MARGIN, Cell, Column, Layout, arrange, draw, text_and_style
from .text import Cut, fit, shorten, width_of
from .virtual_list import VirtualList

CHILDREN_AT_ONCE = 200
LEAST_LABEL = 24  # cells that a label gets before columns are dropped
LABEL_KEY = "label"


class TreeRows(Protocol):
    """The nodes of a tree, by keys that stay the same across refreshes; each key is in the tree once.

    `version` changes whenever the structure does (nodes, their order, or who has children), and never otherwise: two
    rows with the same version have the same structure. `label`, `cells` and `style` are asked for visible nodes only.
    """

    @property
    def version(self) -> int: ...

    def roots(self) -> Sequence[Hashable]: ...

    def children(self, key: Hashable) -> Sequence[Hashable]:
        """The children in their order; empty also while they are not loaded yet."""
        ...

    def has_children(self, key: Hashable) -> bool: ...

    def parent(self, key: Hashable) -> Hashable | None:
        """The parent; None for a root, and for a key that is not in the tree."""
        ...

    def label(self, key: Hashable) -> Cell | Sequence[Cell]:
        """The text at the left: one cell, or a list of cells, which are written one behind the other."""
        ...

    def cells(self, key: Hashable) -> Sequence[Cell]:
        """One cell for each of the columns at the right."""
        ...

    def style(self, key: Hashable) -> str:
        """The style of the whole line: "", "dim" or "grow"."""
        ...


class NoTree:
    """The rows of a tree without nodes."""

    version = 0

    def roots(self) -> Sequence[Hashable]:
        return ()

    def children(self, key: Hashable) -> Sequence[Hashable]:
        return ()

    def has_children(self, key: Hashable) -> bool:
        return False

    def parent(self, key: Hashable) -> Hashable | None:
        return None

    def label(self, key: Hashable) -> Cell | Sequence[Cell]:
        return ""

    def cells(self, key: Hashable) -> Sequence[Cell]:
        return ()

    def style(self, key: Hashable) -> str:
        return ""


class More(NamedTuple):
    """The key of the line behind the shown children of a node with very many."""

    parent: Hashable


class Loading(NamedTuple):
    """The key of the line in the place of children that are not loaded yet."""

    parent: Hashable


class Line(NamedTuple):
    """One line: `lead` is what is drawn before the marker, `below` what is drawn before the lines of its children."""

    key: Hashable
    depth: int
    lead: str
    below: str


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
        label_cut: Cut = "start",
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
        of key and depth says; roots have depth 0."""
        super().__init__(
            empty_text=empty_text, loading_text=loading_text, clock=clock, name=name, id=id, classes=classes
        )
        self.header_lines = 1 if label_header or columns else 0
        label = Column(LABEL_KEY, label_header, LEAST_LABEL, flex=1, cut=label_cut, sortable=False, priority=ALWAYS)
        self._columns = (label, *(replace(column, sortable=False) for column in columns))
        self._layout_for: tuple[int, Layout] | None = None
        self._opens = open_at_first if callable(open_at_first) else partial(_is_above, open_at_first)
        self._at_once = children_at_once
        self._rows: TreeRows = NoTree()
        self._version: int | None = None
        self._lines: list[Line] = []
        self._decided: dict[Hashable, bool] = {}
        self._shown_children: dict[Hashable, int] = {}

    @property
    def cursor_key(self) -> Hashable | None:
        """The key of the node of the cursor, or None when it is on no node."""
        return None if isinstance(self._key, More | Loading) else self._key

    def show(self, rows: TreeRows) -> None:
        """Shows the nodes of `rows`; what is open stays open, and the cursor stays on its key."""
        self._rows = rows
        if rows.version != self._version:
            self._version = rows.version
            self._lines = self._flat()
        self.lines_changed()

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
        width = self.size.width
        if self._layout_for is None or self._layout_for[0] != width:
            self._layout_for = (width, arrange(self._columns, width))
        return self._layout_for[1]

    def paint_header(self) -> tuple[list[Segment], Style]:
        style = self.component("header")
        labels = [column.label for column in self._columns]
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
        segments = [Segment(guides, style("guide"))]
        left = width - len(guides)
        parts = self._label_parts(at.key)
        if self._columns[0].cut == "start":
            parts.reverse()
        fitted = []
        for text, name in parts:
            text = shorten(text, left, self._columns[0].cut)
            left -= width_of(text)
            fitted.append(Segment(text, style(name) if name else base))
        if self._columns[0].cut == "start":
            fitted.reverse()
        return [*segments, *fitted, Segment(fit("", left), base)]

    def _marker(self, at: Line) -> str:
        if isinstance(at.key, More | Loading) or not self._rows.has_children(at.key):
            return "─ " if at.depth else "  "
        return "▾ " if self.is_open(at.key, at.depth) else "▸ "

    def _label_parts(self, key: Hashable) -> list[tuple[str, str]]:
        if isinstance(key, Loading):
            return [("loading …", "")]
        if isinstance(key, More):
            shown = self._shown_children.get(key.parent, self._at_once)
            rest = len(self._rows.children(key.parent)) - shown
            return [(f"… {rest:,} more, Enter shows {min(rest, self._at_once):,} more", "")]
        label = self._rows.label(key)
        if isinstance(label, str):
            return [(label, "")]
        if isinstance(label, tuple) and len(label) == 2 and isinstance(label[0], str) and isinstance(label[1], str):
            return [text_and_style((label[0], label[1]))]
        return [text_and_style(cell) for cell in label]


def _is_above(depth: int, key: Hashable, at: int) -> bool:
    return at < depth
