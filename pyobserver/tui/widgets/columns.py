"""Columns of the table and the tree: their description, where they stand at a width, and how their cells are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from .text import Align, Cut, fit, width_of

Cell = str | tuple[str, str]
"""Text, or text with the name of a style: "", "dim", "grow", "limit", "good", "accent" or "bold"."""

ALWAYS = 10
"""The priority from which on a column is never dropped; when such columns do not fit, one scrolls sideways."""

GAP = 2  # cells between two columns
MARGIN = 1  # cells at either side


@dataclass(frozen=True)
class Column:
    """One column: `width` is its least width in cells, `flex` its share of the width that is left over.

    `cut` says which end of a long text is lost; names and paths lose their start, as their end tells them apart.
    Columns of the lowest priority go first when the terminal is narrow, the rightmost of equals first; from `ALWAYS` on
    they stay.
    """

    key: str
    label: str
    width: int
    align: Align = "left"
    flex: int = 0
    cut: Cut = "end"
    help: str = ""
    sortable: bool = True
    priority: int = ALWAYS

    @property
    def least(self) -> int:
        """The least width, in which the label fits too, beside the arrow that marks the sorted column."""
        return max(self.width, width_of(self.label) + self.sortable)


@dataclass(frozen=True)
class Place:
    """Where a column stands: its index among all columns, its first cell and its width."""

    index: int
    column: Column
    x: int
    width: int


@dataclass(frozen=True)
class Layout:
    """The columns that are shown at a width, and the width of the line, which is more when they do not fit."""

    places: tuple[Place, ...]
    width: int

    def at(self, x: int) -> Column | None:
        """The column at a cell of the line; the gap behind a column is its own."""
        found = None
        for place in self.places:
            if x >= place.x - MARGIN:
                found = place.column
        return found


def arrange(columns: Sequence[Column], width: int) -> Layout:
    """Drops, places and widens the columns for a line of `width` cells."""
    shown = list(enumerate(columns))

    def needed() -> int:
        return sum(column.least + GAP for _, column in shown) - GAP + 2 * MARGIN

    while len(shown) > 1 and needed() > width:
        lowest = min(column.priority for _, column in shown)
        if lowest >= ALWAYS:
            break
        shown.remove(next(each for each in reversed(shown) if each[1].priority == lowest))
    spare = max(0, width - needed())
    shares = sum(column.flex for _, column in shown)
    places, x = [], MARGIN
    for index, column in shown:
        extra = spare * column.flex // shares if shares else 0
        spare, shares = spare - extra, shares - column.flex
        places.append(Place(index, column, x, column.least + extra))
        x += column.least + extra + GAP
    return Layout(tuple(places), max(x - GAP + MARGIN, width))


def text_and_style(cell: Cell) -> tuple[str, str]:
    """Both parts of a cell; the style is "" when it has none."""
    return (cell, "") if isinstance(cell, str) else cell


def draw(places: Sequence[Place], cells: Sequence[Cell], base: Style, style: Callable[[str], Style]) -> list[Segment]:
    """The cells of a line at their places, each followed by its gap; `cells` has one for every column, shown or not."""
    segments: list[Segment] = []
    plain: list[str] = []
    last = len(places) - 1
    for position, place in enumerate(places):
        text, name = text_and_style(cells[place.index]) if place.index < len(cells) else ("", "")
        fitted = fit(text, place.width, place.column.align, place.column.cut)
        gap = " " * (MARGIN if position == last else GAP)
        if not name:
            plain += (fitted, gap)
            continue
        if plain:
            segments.append(Segment("".join(plain), base))
        segments.append(Segment(fitted, style(name)))
        plain = [gap]
    segments.append(Segment("".join(plain), base))
    return segments


def header_cells(columns: Sequence[Column], sort_key: str, descending: bool) -> list[Cell]:
    """The labels; the arrow of the sorted one stands where it does not move the label from above its values."""
    arrow = "▼" if descending else "▲"
    cells: list[Cell] = []
    for column in columns:
        if column.key != sort_key:
            cells.append(column.label)
        else:
            cells.append(arrow + column.label if column.align == "right" else column.label + arrow)
    return cells
