"""A table of any number of rows, of which only the visible ones are asked for and painted."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Protocol

from rich.segment import Segment
from rich.style import Style
from textual.message import Message

from .columns import Cell, Column, Layout, arrange, draw, header_cells
from .virtual_list import VirtualList


class Rows(Protocol):
    """The rows of a table in the order in which they are shown; the table never sorts.

    `find` should be quick, as it is asked at every refresh; `cells` and `style` are asked for visible lines only.
    """

    def __len__(self) -> int: ...

    def key(self, line: int) -> Hashable:
        """What identifies the row across refreshes."""
        ...

    def find(self, key: Hashable) -> int | None:
        """The line of a key, or None when it is not among the rows."""
        ...

    def cells(self, line: int) -> Sequence[Cell]:
        """One cell for each column of the table, in their order."""
        ...

    def style(self, line: int) -> str:
        """The style of the whole line: "", "dim" or "grow"."""
        ...


class NoRows:
    """The rows of a table that has none."""

    def __len__(self) -> int:
        return 0

    def key(self, line: int) -> Hashable:
        raise IndexError(line)

    def find(self, key: Hashable) -> int | None:
        return None

    def cells(self, line: int) -> Sequence[Cell]:
        raise IndexError(line)

    def style(self, line: int) -> str:
        raise IndexError(line)


class VirtualTable(VirtualList):
    """Columns with a header; rows come from `show()`, and what the user wants is posted as messages.

    Columns that do not fit are dropped by their priority; when those that must stay do not fit, the table scrolls
    sideways.
    """

    header_lines = 1

    class RowActivated(Message):
        """Enter was pressed on a row, or it was clicked twice."""

        def __init__(self, table: VirtualTable, key: Hashable) -> None:
            super().__init__()
            self.table, self.key = table, key

        @property
        def control(self) -> VirtualTable:
            return self.table

    class CursorMoved(Message):
        """The cursor is on another row: by a key, a click, or because its row has gone. `key` is None without rows."""

        def __init__(self, table: VirtualTable, key: Hashable | None) -> None:
            super().__init__()
            self.table, self.key = table, key

        @property
        def control(self) -> VirtualTable:
            return self.table

    class SortRequested(Message):
        """The header of a sortable column was clicked; the same column again means the other direction."""

        def __init__(self, table: VirtualTable, column_key: str) -> None:
            super().__init__()
            self.table, self.column_key = table, column_key

        @property
        def control(self) -> VirtualTable:
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty_text: str = "nothing to show",
        loading_text: str = "waiting for data",
        clock: Callable[[], float] = time.monotonic,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(
            empty_text=empty_text, loading_text=loading_text, clock=clock, name=name, id=id, classes=classes
        )
        self._columns = tuple(columns)
        self._layout_for: tuple[int, Layout] | None = None
        self._rows: Rows = NoRows()
        self._sort_key = ""
        self._descending = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, also those that are dropped at this width."""
        return self._columns

    @property
    def visible_columns(self) -> frozenset[str]:
        """The keys of those that are shown at this width."""
        return frozenset(place.column.key for place in self._arranged().places)

    @property
    def cursor_key(self) -> Hashable | None:
        """The key of the row of the cursor, or None when there are no rows."""
        return self._key

    def show(self, rows: Rows, *, sort_key: str = "", descending: bool = False) -> None:
        """Shows `rows` as they are ordered; the column `sort_key` gets the arrow. The cursor stays on its key."""
        self._rows, self._sort_key, self._descending = rows, sort_key, descending
        self.lines_changed()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Takes other columns; `show()` must follow with rows whose cells match them, in the same turn of the loop."""
        self._columns, self._layout_for = tuple(columns), None
        self.measure()
        self.refresh()

    def select(self, key: Hashable) -> bool:
        """Puts the cursor on a row and makes it visible; returns False when there is no such row."""
        return self.go_to_key(key)

    def line_count(self) -> int:
        return len(self._rows)

    def key_at(self, line: int) -> Hashable:
        return self._rows.key(line)

    def line_of(self, key: Hashable) -> int | None:
        return self._rows.find(key)

    def line_width(self) -> int:
        return self._arranged().width

    def cursor_moved(self) -> None:
        self.post_message(self.CursorMoved(self, self._key))

    def action_activate(self) -> None:
        if self._key is not None:
            self.post_message(self.RowActivated(self, self._key))

    def header_clicked(self, x: int) -> None:
        column = self._arranged().at(x)
        if column is not None and column.sortable:
            self.post_message(self.SortRequested(self, column.key))

    def _arranged(self) -> Layout:
        width = self.room
        if self._layout_for is None or self._layout_for[0] != width:
            self._layout_for = (width, arrange(self._columns, width))
        return self._layout_for[1]

    def paint_header(self) -> tuple[list[Segment], Style]:
        style = self.component("header")
        cells = header_cells(self._columns, self._sort_key, self._descending)
        return self._drawn(cells, style, lambda name: style)

    def paint(self, line: int, is_cursor: bool) -> tuple[list[Segment], Style]:
        row = self._rows.style(line)
        style = self.line_style(row, is_cursor)
        return self._drawn(self._rows.cells(line), style, partial(self.cell_style, row=row, is_cursor=is_cursor))

    def _drawn(
        self, cells: Sequence[Cell], style: Style, cell_style: Callable[[str], Style]
    ) -> tuple[list[Segment], Style]:
        return [Segment(" ", style), *draw(self._arranged().places, cells, style, cell_style)], style
