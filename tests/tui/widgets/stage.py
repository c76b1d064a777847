"""Puts one widget on a screen of a given size, without the program around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget


class Stage(App[None]):
    """The widget alone; the messages that it posts are kept in the order in which they arrive."""

    def __init__(self, widget: Widget, *kinds: type[Message]) -> None:
        super().__init__()
        self.widget = widget
        self.kinds = kinds
        self.posted: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.widget

    async def _dispatch_message(self, message: Message) -> None:
        if isinstance(message, self.kinds):
            self.posted.append(message)
        await super()._dispatch_message(message)


@asynccontextmanager
async def stage(
    widget: Widget, *kinds: type[Message], size: tuple[int, int] = (60, 12)
) -> AsyncIterator[tuple[Pilot[None], list[Message]]]:
    """Shows `widget` with the focus; gives the pilot and the list of messages of these kinds."""
    app = Stage(widget, *kinds)
    async with app.run_test(size=size) as pilot:
        if widget.focusable:
            widget.focus()
        await pilot.pause()
        yield pilot, app.posted


def lines(widget: Widget) -> list[str]:
    """What the widget shows, line by line; each line is checked to have the width of the widget."""
    shown = [widget.render_line(y).text for y in range(widget.size.height)]
    for line in shown:
        assert cell_len(line) == widget.size.width, line
    return shown


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
