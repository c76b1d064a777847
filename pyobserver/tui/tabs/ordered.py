"""A table whose user chooses the order, and whose columns follow the mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ...analysis.growth import Mode
from ..view import SortState, copied
from ..widgets import Column, Rows, VirtualTable


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
