"""The whole dashboard on a made-up source that goes on only when it is told to."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from pyobserver.source.fake import FakeSource, Situation
from pyobserver.source.story import Story
from pyobserver.tui.app import ObserverApp

DEADLINE = 60.0  # seconds; reached only when something is wrong


class StillSource(FakeSource):
    """A story that stands still between two calls of `play`."""

    stopped = 0

    def start(self) -> None:
        """It has been played already."""

    def stop(self) -> None:
        """Remember that the dashboard has left."""
        self.stopped += 1


@dataclass
class Dashboard:
    """The program under test, what it observes, and the hand on its keys."""

    app: ObserverApp
    source: StillSource
    pilot: Pilot[None]

    def lines(self) -> list[str]:
        """What is on the screen, line by line, each checked to be as wide as the terminal."""
        return shown(self.app)

    def text(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines())

    def line(self, part: str) -> str:
        """The first line with this text in it."""
        found = [line for line in self.lines() if part in line]
        assert found, f"{part!r} is not on the screen:\n{self.text()}"
        return found[0]

    def cursor(self) -> object:
        """The key under the cursor of the visible tab."""
        widget: Any = self.app.tab.main_widget()
        return widget.cursor_key

    async def press(self, *keys: str) -> None:
        """Press keys, and wait for what they do."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Put text into the line that has the keys, all at once, as a terminal pastes it."""
        assert isinstance(self.app.focused, Input)
        self.app.focused.post_message(Paste(text))
        await self.pilot.pause()
        await self.pilot.pause()

    async def play(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, and see what is new."""
        self.source.play(seconds, step)
        await self.renew()

    async def renew(self) -> None:
        """See what is new now rather than at the next beat."""
        if self.app._watched.paused_at is None:
            self.app.refresh_now()
        await self.pilot.pause()

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + DEADLINE
        while not is_so():
            assert time.monotonic() < deadline, f"it did not come to be:\n{self.text()}"
            await self.pilot.pause()
            await asyncio.sleep(0.02)

    async def until_line(self, part: str) -> str:
        """Wait until a line has this text in it, and return it."""
        await self.until(lambda: part in self.text())
        return self.line(part)


def shown(app: Any, checked: bool = True) -> list[str]:
    """What an application has on its screen, as the compositor gives it to the terminal; each line as wide as that."""
    lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
    for line in lines:
        assert not checked or cell_len(line) == app.size.width, line
    return lines


def played(story: Story | None = None, seconds: float = 60.0, past: float = 600.0, **options: Any) -> StillSource:
    """A source with some time behind it: `past` seconds of memory only, then `seconds` of everything."""
    source = StillSource(story or Story(), **options)
    if past:
        source.remember(past)
    if seconds:
        source.count_objects(True)  # as if somebody had looked at the heap
        source.play(seconds)
        source.count_objects(False)
    return source


@asynccontextmanager
async def dashboard(
    source: StillSource | None = None,
    *keys: str,
    size: tuple[int, int] = (118, 36),
    situation: Situation = "live",
    **options: Any,
) -> AsyncIterator[Dashboard]:
    """Opens the dashboard, brings about a situation, and presses some keys."""
    source = source or played()
    if situation != "live":
        source.become(situation)
    app = ObserverApp(source, clock=source.clock, tz=datetime.UTC, **options)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        opened = Dashboard(app, source, pilot)
        if keys:
            await opened.press(*keys)
        yield opened
