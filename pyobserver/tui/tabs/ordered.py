"""A table whose user chooses the order, and whose columns follow the mode."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from ...analysis.findings import NO_VERDICT, Finding, Screen
from ...analysis.growth import Mode
from ..bar import LEVEL_STYLES
from ..view import SortState, copied
from ..widgets import Cell, Column, Rows, VirtualTable


class OrderedTable(VirtualTable):
    """Knows its order. A subclass shows its rows by `put`, and shows them again when `OrderChanged` is posted."""

    by_mode: ClassVar[Mapping[Mode, tuple[Column, ...]]]
    replaced: ClassVar[Mapping[Mode, Mapping[str, str]]]  # what is sorted by instead of a column that a mode leaves out
    texts: ClassVar[Sequence[str]]  # columns that are read from A on; numbers begin with the largest

    def __init__(self, *, sort: str, id: str, loading_text: str) -> None:
        super().__init__(self.by_mode["value"], id=id, loading_text=loading_text)
        self.sort = SortState(sort)
        self._mode: Mode = "value"
        self._rows_shown: Rows | None = None

    def follow(self, mode: Mode) -> None:
        """Take the columns of a mode; rows must be put in the same turn of the loop."""
        if mode != self._mode:
            self._mode = mode
            column = self.replaced[mode].get(self.sort.column, self.sort.column)
            self.sort = SortState(column, self.sort.descending)
        wanted = self.columns_in(mode)
        if wanted != self.columns:
            self.set_columns(wanted)

    def columns_in(self, mode: Mode) -> tuple[Column, ...]:
        """The columns of a mode, as things are."""
        return self.by_mode[mode]

    def put(self, rows: Rows) -> None:
        """Show rows that are in the table's order."""
        self._rows_shown = rows
        self.show(rows, sort_key=self.sort.column, descending=self.sort.descending)

    def sort_by(self, column: str) -> None:
        """Order by a column; the same one again means the other way round."""
        self.sort = self.sort.chosen(column, self.texts)

    def reverse(self) -> None:
        """Turn the order round."""
        self.sort = SortState(self.sort.column, not self.sort.descending)

    def choices(self) -> list[tuple[str, str]]:
        """The columns that can be chosen, as (key, label with what it means)."""
        return [(c.key, f"{c.label:10} {c.help}") for c in self.columns if c.sortable]

    def explained(self) -> list[tuple[Column, bool]]:
        """All columns, each with whether it is visible at this width."""
        visible = self.visible_columns
        return [(column, column.key in visible) for column in self.columns]

    def sorted_words(self) -> str:
        """By what the rows are sorted, in words."""
        label = next((c.label for c in self.columns if c.key == self.sort.column), self.sort.column)
        return f"sorted by {label} {'▼' if self.sort.descending else '▲'}"

    def row_text(self) -> str:
        """The selected row as text to be copied."""
        if self._rows_shown is None or self.cursor_key is None:
            return ""
        line = self._rows_shown.find(self.cursor_key)
        return "" if line is None else copied(self.columns, self._rows_shown.cells(line))


Row = TypeVar("Row")


class ListedLines(Generic[Row]):
    """A list of rows for the table, in the order given; only what is painted is made into cells."""

    def __init__(self, rows: Sequence[Row], table: ListedTable[Row]) -> None:
        self.rows = rows
        self._table = table
        self._columns = table.columns
        self._verdict = table.verdict
        self._lines: dict[Hashable, int] = {table.key_of(row): i for i, row in enumerate(rows)}

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, line: int) -> Hashable:
        """The key of a row."""
        return self._table.key_of(self.rows[line])

    def find(self, key: Hashable) -> int | None:
        """The line of a key."""
        return self._lines.get(key)

    def style(self, line: int) -> str:
        """The style of a whole line."""
        return self._table.style_of(self.rows[line])

    def cells(self, line: int) -> list[Cell]:
        """One cell for each column."""
        row, table = self.rows[line], self._table
        cells = {column.key: table.row_cells[column.key](row) for column in self._columns}
        found = self._verdict.about(table.found_on, table.key_of(row))
        if found is not None and found.level in ("leak", "limit"):
            table.mark(cells, found)
        return list(cells.values())


class ListedTable(OrderedTable, Generic[Row]):
    """A table of a list of rows, whose order keeps still while keys are being pressed."""

    found_on: ClassVar[Screen]  # by which findings name it
    row_cells: ClassVar[Mapping[str, Callable[[Any], Cell]]]  # by column, from a row

    def __init__(self, *, sort: str, id: str, loading_text: str) -> None:
        super().__init__(sort=sort, id=id, loading_text=loading_text)
        self._order: tuple[object, dict[Hashable, int]] = (None, {})
        self.verdict = NO_VERDICT
        self.lines: ListedLines[Row] = ListedLines((), self)
        self.in_all = 0

    def key_of(self, row: Row) -> Hashable:
        """What tells a row from others."""
        raise NotImplementedError

    def style_of(self, row: Row) -> str:
        """The style of its line."""
        return ""

    def mark(self, cells: dict[str, Cell], found: Finding) -> None:
        """Change the cells of a row, by column, that something serious was found about."""
        cells["mark"] = ("⚠", LEVEL_STYLES[found.level])

    def list_rows(self, rows: list[Row], text: str) -> None:
        """Show rows that are in the table's order, and have `text` in them."""
        asked = (self.sort, text)
        if self.is_settling and self._order[0] == asked:
            places = self._order[1]
            rows.sort(key=lambda row: places.get(self.key_of(row), len(places)))
        self._order = (asked, {self.key_of(row): i for i, row in enumerate(rows)})
        self.lines = ListedLines(rows, self)
        self.put(self.lines)

    def selected(self) -> Row | None:
        """The row under the cursor."""
        line = self.lines.find(self.cursor_key)
        return None if line is None else self.lines.rows[line]
