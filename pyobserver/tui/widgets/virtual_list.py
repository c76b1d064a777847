"""The list under the table and the tree: a cursor, scrolling and painting of the visible lines only.

Its cost does not depend on how many lines there are: with 100,000 rows a full refresh costs what 50 rows cost, where a
widget that keeps a cell per value needs seconds. The cursor is the key of a line, never its number, so that it stays on
its row however the rows are sorted, filtered or joined by new ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .text import fit

SETTLING = 1.0  # seconds after a key press in which rows should keep their order

STYLE_NAMES = ("dim", "grow", "limit", "good", "accent", "bold", "guide")


class VirtualList(ScrollView, can_focus=True):
    """Lines of one height, painted when they are visible; a base class for the table and the tree.

    A subclass says how many lines there are (`line_count`), which key a line has (`key_at`), where a key is (`line_of`)
    and what a line looks like (`paint`), and calls `lines_changed()` whenever any of this may have changed. With
    `header_lines` of 1 it also paints the line that stays on top (`paint_header`).

    `loading_text` is shown until the first `lines_changed()`, `empty_text` when there are no lines.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "list--header",
        "list--cursor",
        "list--message",
        *(f"list--{name}" for name in STYLE_NAMES),
    }
    DEFAULT_CSS = """
    VirtualList {
        width: 1fr; height: 1fr; overflow-x: auto; overflow-y: auto;
        scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
        & > .list--header { background: $panel; color: $foreground; text-style: bold; }
        & > .list--cursor { background: $block-cursor-blurred-background; color: $block-cursor-blurred-foreground; }
        &:focus > .list--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
        & > .list--message { color: $foreground 60%; }
        & > .list--dim { color: $foreground 50%; }
        & > .list--guide { color: $foreground 35%; }
        & > .list--grow { color: $text-warning; text-style: bold; }
        & > .list--limit { color: $text-error; text-style: bold; }
        & > .list--good { color: $text-success; }
        & > .list--accent { color: $text-accent; }
        & > .list--bold { text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Line up", show=False),
        Binding("down,j", "move(1)", "Line down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "first", "First line", show=False),
        Binding("end", "last", "Last line", show=False),
        Binding("enter", "activate", "Open", show=False),
    ]
    header_lines = 0

    def __init__(
        self,
        *,
        empty_text: str = "nothing to show",
        loading_text: str = "waiting for data",
        clock: Callable[[], float] = time.monotonic,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._empty_text = empty_text
        self._loading_text = loading_text
        self._clock = clock
        self._shown = False
        self._key: Hashable | None = None
        self._line = 0
        self._follows = False  # whether the viewport keeps the cursor on its line of the screen
        self._touched_at = float("-inf")
        self._style_cache: dict[tuple[str, ...], Style] = {}

    # What a subclass says.

    def line_count(self) -> int:
        """How many lines there are, without the header."""
        raise NotImplementedError

    def key_at(self, line: int) -> Hashable:
        """The key of a line."""
        raise NotImplementedError

    def line_of(self, key: Hashable) -> int | None:
        """Where a key is, or None when it is not among the lines."""
        raise NotImplementedError

    def line_width(self) -> int:
        """How many cells wide the lines are; when that is more than there is room for, one scrolls sideways."""
        return self.room

    def paint(self, line: int, is_cursor: bool) -> tuple[list[Segment], Style]:
        """The segments of a line, and the style of what is right of them."""
        raise NotImplementedError

    def paint_header(self) -> tuple[list[Segment], Style]:
        """The same for the line on top."""
        raise NotImplementedError

    def cursor_moved(self) -> None:
        """Called when another key has become the cursor's."""

    def action_activate(self) -> None:
        """What Enter does on the line of the cursor."""

    # The cursor.

    @property
    def cursor_line(self) -> int | None:
        """The line of the cursor, or None when there are no lines."""
        return self._line if self.line_count() else None

    @property
    def is_settling(self) -> bool:
        """Whether a key was pressed less than a second ago, so that rows had better keep their order."""
        return self._clock() - self._touched_at < SETTLING

    @property
    def empty_text(self) -> str:
        """What is shown when there are no lines."""
        return self._empty_text

    @empty_text.setter
    def empty_text(self, text: str) -> None:
        self._empty_text = text
        self.refresh()

    @property
    def page(self) -> int:
        """How many lines are visible, without the header; at least 1."""
        return max(1, self.size.height - self.header_lines - self.show_horizontal_scrollbar)

    @property
    def room(self) -> int:
        """How many cells a line has beside the scroll bar, which is there when there are more lines than fit.

        That is foreseen rather than asked for: as long as lines were as wide as the widget, the bar at the right would
        cover their end, and call for another one at the bottom.
        """
        overflows = self.line_count() + self.header_lines > self.size.height
        return max(0, self.size.width - (self.styles.scrollbar_size_vertical if overflows else 0))

    def lines_changed(self) -> None:
        """Looks up the cursor's key among the lines as they are now, keeps the view steady, and paints.

        When the key is gone, the cursor stays on its line of the list. While the widget has the focus and a user has
        moved the cursor, its row also keeps its line of the screen, and what is around it moves.
        """
        count, top = self.line_count(), self.scroll_offset.y
        was_at, was_visible = self._line, top <= self._line < top + self.page
        self._shown = True
        found = None if self._key is None else self.line_of(self._key)
        self._line = max(0, min(self._line, count - 1)) if found is None else found
        self.measure()
        if found is not None and found != was_at and was_visible and self._follows and self.has_focus:
            self._scroll_to_line(top + found - was_at)
        elif found is None and was_visible and count:
            self._reveal()
        self.refresh()
        self._take_key(self.key_at(self._line) if count else None)

    def measure(self) -> None:
        """Tells Textual the size of all lines, when it has changed: telling it causes a layout."""
        size = Size(self.line_width(), self.line_count() + self.header_lines)
        if size != self.virtual_size:
            self.virtual_size = size

    def _take_key(self, key: Hashable | None) -> None:
        if key != self._key:
            self._key = key
            self.cursor_moved()

    def go_to(self, line: int) -> None:
        """Puts the cursor on a line, as near as there is one, and makes it visible."""
        count = self.line_count()
        if not count:
            return
        old, self._line = self._line, max(0, min(count - 1, line))
        for one in {old, self._line}:
            y = one - self.scroll_offset.y + self.header_lines
            self.refresh(Region(0, y, self.size.width, 1))
        self._reveal()
        self._take_key(self.key_at(self._line))

    def go_to_key(self, key: Hashable) -> bool:
        """Puts the cursor on a key; returns False, and does nothing, when no line has it."""
        line = self.line_of(key)
        if line is None:
            return False
        self._follows = True
        self.go_to(line)
        return True

    def _reveal(self) -> None:
        top = self.scroll_offset.y
        if self._line < top:
            self._scroll_to_line(self._line)
        elif self._line >= top + self.page:
            self._scroll_to_line(self._line - self.page + 1)

    def _scroll_to_line(self, top: int) -> None:
        """Makes a line the first visible one; by force, as the scroll bar of new lines is only there after a layout."""
        self.scroll_to(y=top, animate=False, force=True)

    def _touched(self) -> None:
        self._touched_at = self._clock()
        self._follows = True

    def action_move(self, lines: int) -> None:
        """Moves the cursor by some lines."""
        self._touched()
        self.go_to(self._line + lines)

    def action_page(self, direction: int) -> None:
        """Moves the cursor by what is visible, less one line for the eye to hold on to."""
        self._touched()
        self.go_to(self._line + direction * max(1, self.page - 1))

    def action_first(self) -> None:
        """Moves to the first line, and from then on watches the top of the list rather than one row."""
        self._touched()
        self._follows = False
        self.go_to(0)

    def action_last(self) -> None:
        """Moves to the last line."""
        self._touched()
        self.go_to(self.line_count() - 1)

    # Events.

    async def _on_key(self, event: events.Key) -> None:
        self._touched_at = self._clock()

    def _on_resize(self, event: events.Resize) -> None:
        self.measure()
        self.refresh()

    async def _on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None:
            return
        self._touched_at = self._clock()
        x, line = place.x + self.scroll_offset.x, self.scroll_offset.y + place.y - self.header_lines
        if place.y < self.header_lines:
            self.header_clicked(x)
        elif line < self.line_count():
            self._follows = True
            self.go_to(line)
            self.line_clicked(line, x, event.chain)

    def header_clicked(self, x: int) -> None:
        """Called for a click on the header, at a cell of the line."""

    def line_clicked(self, line: int, x: int, clicks: int) -> None:
        """Called for a click on a line, which has the cursor by now; the second of a double click has `clicks` 2."""
        if clicks == 2:
            self.action_activate()

    # Painting.

    def notify_style_update(self) -> None:
        self._style_cache.clear()
        super().notify_style_update()

    def component(self, name: str) -> Style:
        """The style of a part: header, cursor or message."""
        style = self._style_cache.get((name,))
        if style is None:
            style = self._style_cache[(name,)] = self.get_component_rich_style(f"list--{name}")
        return style

    def line_style(self, name: str, is_cursor: bool) -> Style:
        """The style of a whole line whose row asks for `name`."""
        return self.component("cursor") if is_cursor else self.cell_style(name, "", False)

    def cell_style(self, name: str, row: str, is_cursor: bool) -> Style:
        """The style of a cell in a line with the style `row`: its own foreground, except on the cursor."""
        cache_key = (name, row, "cursor" if is_cursor else "")
        style = self._style_cache.get(cache_key)
        if style is None:
            style = self.component("cursor") if is_cursor else self.rich_style
            for each in (row, name):
                if each in STYLE_NAMES:
                    own = self.component(each)
                    style += Style(color=None if is_cursor else own.color, bold=own.bold or None)
            self._style_cache[cache_key] = style
        return style

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y < self.header_lines:
            segments, style = self.paint_header()
        else:
            count, line = self.line_count(), self.scroll_offset.y + y - self.header_lines
            if not self._shown or not count:
                return self._message(y - self.header_lines)
            if line >= count:
                return Strip.blank(width, self.rich_style)
            segments, style = self.paint(line, line == self._line)
        x = self.scroll_offset.x
        return Strip(segments).crop_extend(x, x + width, style)

    def _message(self, y: int) -> Strip:
        """What stands in the place of lines; in the second one, where a header leaves room for the eye."""
        width = self.size.width
        if y != min(1, self.page - 1):
            return Strip.blank(width, self.rich_style)
        text = self._empty_text if self._shown else self._loading_text
        return Strip([Segment(fit("  " + text, width), self.component("message"))], width)
