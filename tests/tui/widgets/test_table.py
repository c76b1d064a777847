"""The table shows any rows, keeps the cursor on its key and its line, and posts what the user wants."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from pyobserver.tui.widgets import Cell, Column, VirtualTable

from .stage import Clock, lines, stage

COLUMNS = (
    Column("name", "Name", 12, flex=1, cut="start"),
    Column("count", "Count", 6, align="right"),
    Column("where", "Where", 10, priority=2, sortable=False),
)


class Listed:
    """Rows in a given order, which count how often a line was asked for."""

    def __init__(self, keys: Sequence[Hashable], names: dict[Hashable, str] | None = None) -> None:
        self.keys = list(keys)
        self.names = names or {}
        self.asked = 0

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, line: int) -> Hashable:
        return self.keys[line]

    def find(self, key: Hashable) -> int | None:
        return self.keys.index(key) if key in self.keys else None

    def cells(self, line: int) -> Sequence[Cell]:
        self.asked += 1
        key = self.keys[line]
        return [self.names.get(key, f"task-{key}"), str(key), ("here", "dim")]

    def style(self, line: int) -> str:
        return "dim" if self.keys[line] == "ended" else ""


def table(clock: Clock | None = None) -> VirtualTable:
    return VirtualTable(COLUMNS, empty_text="no tasks", clock=clock or Clock())


def screen_line(widget: VirtualTable) -> int:
    """The line of the widget on which the cursor is painted."""
    assert widget.cursor_line is not None
    return widget.cursor_line - widget.scroll_offset.y + 1


async def test_lines() -> None:
    """A header with the arrow of the sorted column, and the rows in the order in which they were given."""
    widget = table()
    async with stage(widget, size=(40, 5)) as (pilot, _):
        widget.show(Listed([3, 1, 2]), sort_key="count", descending=True)
        await pilot.pause()
        assert lines(widget) == [
            " Name                ▼Count  Where      ",
            " task-3                   3  here       ",
            " task-1                   1  here       ",
            " task-2                   2  here       ",
            "                                        ",
        ]


async def test_before_the_first_rows_it_says_that_it_waits_and_without_rows_that_there_are_none() -> None:
    """An empty table is not mistaken for one whose rows have not come yet."""
    widget = table()
    async with stage(widget, VirtualTable.CursorMoved, VirtualTable.RowActivated) as (pilot, posted):
        assert "waiting for data" in "\n".join(lines(widget))
        widget.show(Listed([]))
        await pilot.press("down", "pagedown", "end", "home", "enter")
        assert "no tasks" in "\n".join(lines(widget))
        widget.empty_text = "not available: the agent is silent"
        assert "not available: the agent is silent" in "\n".join(lines(widget))
        assert widget.cursor_key is None
        assert posted == []


async def test_only_visible_rows_are_asked_for() -> None:
    """A refresh of 100,000 rows asks for as many as the screen has lines."""
    widget = table()
    async with stage(widget) as (pilot, _):
        rows = Listed(range(100_000))
        widget.show(rows)
        await pilot.pause()
        assert 0 < rows.asked <= 4 * widget.size.height


async def test_a_move_of_the_cursor_paints_two_lines() -> None:
    """And not the others, which have not changed."""
    widget = table()
    async with stage(widget) as (pilot, _):
        rows = Listed(range(100))
        widget.show(rows)
        await pilot.pause()
        rows.asked = 0
        await pilot.press("down")
        await pilot.pause()
        assert rows.asked == 2


async def test_keys_move_the_cursor() -> None:
    """By lines, pages and to both ends, which scrolls as far as is needed."""
    widget = table()
    async with stage(widget, VirtualTable.CursorMoved) as (pilot, posted):
        widget.show(Listed(range(100)))
        await pilot.press("up", "down", "down")
        assert (widget.cursor_key, widget.scroll_offset.y) == (2, 0)
        await pilot.press("pagedown")
        assert (widget.cursor_key, widget.scroll_offset.y) == (12, 2)
        await pilot.press("pageup")
        assert (widget.cursor_key, widget.scroll_offset.y) == (2, 2)
        await pilot.press("end")
        assert (widget.cursor_key, widget.scroll_offset.y) == (99, 89)
        assert "task-99" in lines(widget)[-1]
        await pilot.press("down", "pagedown")
        assert widget.cursor_key == 99
        await pilot.press("home")
        assert (widget.cursor_key, widget.scroll_offset.y) == (0, 0)
        assert [message.key for message in posted if isinstance(message, VirtualTable.CursorMoved)] == [
            *(0, 1, 2, 12, 2, 99, 0)
        ]


async def test_the_cursor_and_its_line_of_the_screen_stay_when_rows_move() -> None:
    """New rows above, another order and rows that leave: the eye stays where it was."""
    widget = table()
    async with stage(widget) as (pilot, _):
        widget.show(Listed(range(100)))
        await pilot.press("pagedown", "pagedown")
        key, line = widget.cursor_key, screen_line(widget)
        for order in (
            [*range(1000, 1007), *range(100)],
            list(range(5, 100)),
            list(range(99, -1, -1)),
            [*range(50, 100), *range(50)],
        ):
            widget.show(Listed(order))
            await pilot.pause()
            assert (widget.cursor_key, screen_line(widget)) == (key, line)
            assert f"task-{key} " in lines(widget)[line]


async def test_at_the_ends_the_cursor_moves_on_the_screen_rather_than_leaving_its_row() -> None:
    """There is nothing above the first line to scroll to."""
    widget = table()
    async with stage(widget) as (pilot, _):
        widget.show(Listed(range(100)))
        await pilot.press("pagedown")
        widget.show(Listed([10, *range(10), *range(11, 100)]))
        await pilot.pause()
        assert (widget.cursor_key, screen_line(widget), widget.scroll_offset.y) == (10, 1, 0)


async def test_who_watches_the_top_sees_what_comes_in_at_the_top() -> None:
    """Before a user has moved the cursor, and after Home, new first rows are not hidden above the view."""
    widget = table()
    async with stage(widget) as (pilot, _):
        for keys in ([], ["down", "home"]):
            widget.show(Listed(range(100)))
            await pilot.press(*keys)
            widget.show(Listed([*range(500, 503), *range(100)]))
            await pilot.pause()
            assert widget.scroll_offset.y == 0
            assert widget.cursor_key == 0
            assert widget.cursor_line == 3


async def test_when_its_row_is_gone_the_cursor_stays_on_its_line() -> None:
    """The next row moves under it, the last one when there is no next, and the new key is told."""
    widget = table()
    async with stage(widget, VirtualTable.CursorMoved) as (pilot, posted):
        widget.show(Listed("abcde"))
        await pilot.press("down", "down")
        widget.show(Listed("abde"))
        await pilot.pause()
        assert widget.cursor_key == "d"
        widget.show(Listed("a"))
        await pilot.pause()
        assert widget.cursor_key == "a"
        widget.show(Listed(""))
        await pilot.pause()
        assert widget.cursor_key is None
        assert [message.key for message in posted if isinstance(message, VirtualTable.CursorMoved)] == [
            *("a", "b", "c", "d", "a", None)
        ]


async def test_rows_settle_for_a_second_after_a_key() -> None:
    """So that the caller can hold back a new order while someone is aiming."""
    clock = Clock()
    widget = table(clock)
    async with stage(widget) as (pilot, _):
        widget.show(Listed(range(9)))
        assert not widget.is_settling
        await pilot.press("down")
        assert widget.is_settling
        clock.now += 0.99
        assert widget.is_settling
        clock.now += 0.02
        assert not widget.is_settling
        await pilot.press("x")
        assert widget.is_settling


async def test_enter_and_a_double_click_activate_a_row() -> None:
    """A single click only takes the cursor there."""
    widget = table()
    async with stage(widget, VirtualTable.RowActivated) as (pilot, posted):
        widget.show(Listed(range(9)))
        await pilot.press("down", "enter")
        await pilot.click(widget, offset=(3, 5))
        assert widget.cursor_key == 4
        await pilot.click(widget, offset=(3, 3), times=2)
        await pilot.click(widget, offset=(3, 11))
        assert [message.key for message in posted if isinstance(message, VirtualTable.RowActivated)] == [1, 2]


async def test_a_click_on_a_header_asks_for_its_order() -> None:
    """Except on a column that has none; the table itself orders nothing."""
    widget = table()
    async with stage(widget, VirtualTable.SortRequested) as (pilot, posted):
        widget.show(Listed([2, 1]))
        header = lines(widget)[0]
        for label in ("Name", "Count", "Where"):
            await pilot.click(widget, offset=(header.index(label) + 1, 0))
        keys = [message.column_key for message in posted if isinstance(message, VirtualTable.SortRequested)]
        assert keys == ["name", "count"]
        assert widget.cursor_key == 2


async def test_hostile_names_are_only_odd_to_read() -> None:
    """Escape sequences, line breaks, ten thousand characters, wide ones: each line stays a line of its width."""
    names: dict[Hashable, str] = {
        1: "a\x1b]0;pwned\x07",
        2: "x" * 10_000 + ".the_end",
        3: "日本語のタスク名です" * 9 + "終",
        4: "new\nline\r\x9b2J",
    }
    widget = table()
    async with stage(widget, size=(30, 8)) as (pilot, _):
        widget.show(Listed([1, 2, 3, 4], names))
        await pilot.pause()
        text = "".join(lines(widget))
        assert text.isprintable()
        assert ".the_end" in lines(widget)[2]
        assert "終" in lines(widget)[3]


async def test_any_size_of_terminal_can_be_painted() -> None:
    """Down to a cell, with the least important columns left out and the others reached by scrolling sideways."""
    for size in ((80, 24), (24, 5), (10, 3), (3, 2), (1, 1)):
        widget = table()
        async with stage(widget, size=size) as (pilot, _):
            widget.show(Listed(range(50)))
            await pilot.press("down", "end", "home", "down")
            assert widget.cursor_key == 1
            shown = lines(widget)
            assert ("Where" in shown[0]) == (size[0] >= 36)
    widget = table()
    async with stage(widget, size=(16, 6)) as (pilot, _):
        widget.show(Listed(range(3)))
        await pilot.pause()
        assert "Count" not in lines(widget)[0]
        await pilot.press("right", "right", "right", "right", "right", "right", "right")
        assert "Count" in lines(widget)[0]


async def test_select_shows_a_row_or_says_that_it_is_not_there() -> None:
    """From anywhere in the list."""
    widget = table()
    async with stage(widget) as (pilot, _):
        widget.show(Listed(range(1000)))
        assert widget.select(700)
        await pilot.pause()
        assert widget.cursor_key == 700
        assert any("task-700" in line for line in lines(widget))
        assert not widget.select("no such")
        assert widget.cursor_key == 700


async def test_other_columns_can_be_shown() -> None:
    """Groups and single tasks are one table."""
    widget = table()
    async with stage(widget) as (pilot, _):
        widget.show(Listed(range(3)))
        widget.set_columns(COLUMNS[:2])
        widget.show(Listed(range(3)))
        await pilot.pause()
        assert lines(widget)[0].split() == ["Name", "Count"]


async def test_the_cursor_can_be_seen_and_follows_the_theme() -> None:
    """Its line differs from the others by its colours, also after the theme has changed."""
    widget = table()
    async with stage(widget) as (pilot, _):
        widget.show(Listed(["a", "ended", "c"]))
        await pilot.pause()

        def colours(y: int) -> str:
            return str(next(iter(widget.render_line(y))).style)

        before = colours(1)
        assert before != colours(3)
        assert colours(2) != colours(3), "an ended row is dimmed"
        pilot.app.theme = "textual-light"
        await pilot.pause()
        assert colours(1) not in (before, colours(3))


async def test_the_bar_for_scrolling_covers_nothing() -> None:
    """With more rows than lines the columns make room for it, and none appears at the bottom; nor does one stay."""
    widget = table()
    async with stage(widget, size=(60, 12)) as (pilot, _):
        widget.show(Listed(range(3)))
        await pilot.pause()
        assert widget.room == 60
        widget.show(Listed(range(100)))
        await pilot.pause()
        await pilot.pause()
        assert widget.show_vertical_scrollbar
        assert not widget.show_horizontal_scrollbar
        assert widget.room == 59
        assert [line[-2:] for line in lines(widget)] == ["  "] * 12
        assert widget.page == 11
        await pilot.press("end")
        assert "task-99" in lines(widget)[-1]
        widget.show(Listed(range(3)))
        await pilot.pause()
        await pilot.pause()
        assert widget.room == 60
