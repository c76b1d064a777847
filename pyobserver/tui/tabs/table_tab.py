"""A tab that shows a table: its order, its filter and its columns are those of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...model.snapshot import Snapshot
from ..view import Tab, View
from ..widgets import Column, VirtualTable
from .ordered import OrderedTable


class TableTab(Tab):
    """Shows one of its tables, and does what the keys for tables say."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None
        self._view = View()
        self._filter = ""

    @property
    def table(self) -> OrderedTable:
        """The table that is shown."""
        raise NotImplementedError

    def main_widget(self) -> OrderedTable:
        return self.table

    def _again(self) -> None:
        """Show what is known in another way."""
        if self._snapshot is not None:
            self.present(self._snapshot, self._view)

    def on_virtual_table_sort_requested(self, event: VirtualTable.SortRequested) -> None:
        event.stop()
        self.sort_by(event.column_key)

    def table_hints(self) -> Mapping[str, str]:
        """The keys that do something with any table."""
        hints = {"filter": "", "sort": "", "reverse": "", "mode": ""}
        return {**hints, "back": "show all"} if self._filter else hints

    def sort_choices(self) -> Sequence[tuple[str, str]]:
        return self.table.choices()

    def sort_by(self, column: str) -> None:
        self.table.sort_by(column)
        self._again()

    @property
    def sorted_by(self) -> str:
        return self.table.sort.column

    def reverse(self) -> None:
        self.table.reverse()
        self._again()

    def filter_by(self, text: str) -> None:
        self._filter = text
        self._again()

    @property
    def filter_text(self) -> str:
        return self._filter

    def help_columns(self) -> Sequence[tuple[Column, bool]]:
        return self.table.explained()

    def row_text(self) -> str:
        return self.table.row_text()
