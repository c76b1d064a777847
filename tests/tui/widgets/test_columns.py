"""Columns find their places at every width, and the important ones stay."""

from __future__ import annotations

import random

from rich.cells import cell_len
from rich.style import Style

from pyobserver.tui.widgets import ALWAYS, Column
from pyobserver.tui.widgets.columns import arrange, draw, header_cells

NAME = Column("name", "Function", 20, flex=2, cut="start")
COUNT = Column("count", "Count", 6, align="right")
GROWTH = Column("growth", "+/min", 8, align="right", priority=5)
WHERE = Column("where", "Where", 12, flex=1, priority=3)
COLUMNS = (NAME, COUNT, GROWTH, WHERE)


def keys(width: int) -> list[str]:
    return [place.column.key for place in arrange(COLUMNS, width).places]


def test_the_least_important_columns_go_first() -> None:
    """With less and less width, columns leave by their priority until only those are left that always stay."""
    assert keys(54) == ["name", "count", "growth", "where"]
    assert keys(53) == ["name", "count", "growth"]
    assert keys(39) == ["name", "count"]
    assert keys(5) == ["name", "count"]


def test_what_must_stay_but_does_not_fit_makes_the_line_wider() -> None:
    """Then one scrolls sideways."""
    assert arrange(COLUMNS, 20).width == 1 + 20 + 2 + 6 + 1
    assert arrange(COLUMNS, 100).width == 100


def test_of_equals_the_rightmost_goes_first() -> None:
    """What is further left was put there because it matters more."""
    columns = [Column(str(n), str(n), 10, priority=1) for n in range(3)]
    assert [place.column.key for place in arrange(columns, 30).places] == ["0", "1"]
    assert [place.column.key for place in arrange(columns, 3).places] == ["0"]


def test_spare_width_is_shared_to_the_last_cell() -> None:
    """By the shares of the columns that have one."""
    widths = [place.width for place in arrange(COLUMNS, 64).places]
    assert widths == [20 + 6, 6, 8, 12 + 4]


def test_a_column_has_room_for_its_label_and_the_arrow() -> None:
    """So that the header never loses the mark of the sorted column."""
    column = Column("m", "Memory", 3, align="right")
    assert column.least == 7
    assert header_cells([column], "m", True) == ["▼Memory"]
    assert header_cells([NAME], "name", False) == ["Function▲"]
    assert header_cells([NAME], "other", False) == ["Function"]


def test_a_click_finds_its_column() -> None:
    """The gap right of a column belongs to it, up to the half."""
    layout = arrange(COLUMNS, 54)
    assert layout.at(0) is NAME
    assert layout.at(21) is NAME
    assert layout.at(22) is COUNT
    assert layout.at(28) is COUNT
    assert layout.at(53) is WHERE


def test_a_line_is_as_wide_as_its_layout() -> None:
    """Whatever the cells hold, and also when there are fewer of them than columns."""
    chance = random.Random(3)
    for _ in range(300):
        layout = arrange(COLUMNS, chance.randrange(120))
        cells = [
            ("日本\x1b[31mx" * chance.randrange(9), chance.choice(["", "grow"])) for _ in range(chance.randrange(5))
        ]
        segments = draw(layout.places, cells, Style(), lambda name: Style(bold=True))
        assert 1 + sum(cell_len(segment.text) for segment in segments) <= layout.width
        assert "\x1b" not in "".join(segment.text for segment in segments)
        last = layout.places[-1]
        assert 1 + sum(cell_len(segment.text) for segment in segments) == last.x + last.width + 1


def test_styles_stay_in_their_cells() -> None:
    """Only the cell that asks for a style has it, not the gap beside it."""
    segments = draw(
        arrange(COLUMNS, 54).places, ["f", "3", ("+1", "grow"), "w"], Style(), lambda name: Style(bold=True)
    )
    assert [segment.text for segment in segments if segment.style and segment.style.bold] == ["      +1"]


def test_columns_stay_by_default() -> None:
    """Who gives no priority means a column to be there."""
    assert Column("a", "A", 3).priority == ALWAYS
