"""Whole screens, cell by cell and colour by colour, as they are meant to be.

A screen that was changed on purpose is looked at (`pytest tests/tui/test_snapshots.py` writes snapshot_report.html) and
then taken as the new one with `--snapshot-update`. Clock, time zone and theme are fixed, and only one version of Python
compares, as the order of a dictionary elsewhere is no reason to look at pictures.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest
from textual.app import App
from textual.pilot import Pilot

from pyobserver.source.fake import Situation
from pyobserver.source.story import Story
from pyobserver.tui.app import ObserverApp
from pyobserver.tui.picker import PickerApp
from pyobserver.tui.widgets.chart import Chart

from .dashboard import DEADLINE, StillSource, played, shown
from .test_picker import SOME

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")

Ready = Callable[[Pilot[Any]], Awaitable[None]]


class Compare(Protocol):
    def __call__(
        self, app: Any, *, terminal_size: tuple[int, int] = ..., run_before: Ready | None = ..., press: Any = ...
    ) -> bool: ...


@pytest.fixture(autouse=True)
def no_wishes_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests does not change the pictures."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


def screen(source: StillSource, situation: Situation = "live", after: float = 0.0, **options: Any) -> ObserverApp:
    """The dashboard, not yet open, in a situation that began some seconds ago."""
    if situation != "live":
        source.become(situation)
    source.clock.advance(after)
    app = ObserverApp(source, clock=source.clock, tz=datetime.UTC, **options)
    app.theme = "textual-dark"
    return app


def is_drawing(app: App[Any]) -> bool:
    """Whether a chart that can be seen is not yet the picture of what it was last given."""
    return any(chart._is_drawing or chart._wanted() is not None for chart in app.screen.query(Chart))


def when(part: str, *keys: str) -> Ready:
    """Press keys, then wait until this text is on the screen, and the charts are drawn."""

    async def ready(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await pilot.press(*keys)
        deadline = time.monotonic() + DEADLINE
        while part not in "\n".join(shown(pilot.app)) or is_drawing(pilot.app):
            assert time.monotonic() < deadline, "\n".join(shown(pilot.app))
            await asyncio.sleep(0.02)
        await pilot.pause()
        if isinstance(pilot.app, ObserverApp):
            pilot.app._show_status()  # the last line follows the cursor at the next beat, which may not have come
        await pilot.pause()

    return ready


def test_memory(snap_compare: Compare) -> None:
    """It grows, what grows is marked, and the limit is near."""
    app = screen(played(past=3600, seconds=120))
    assert snap_compare(app, terminal_size=(118, 36), run_before=when("████", "minus", "plus"))


def test_memory_that_is_steady(snap_compare: Compare) -> None:
    """The fixed service: nothing is marked."""
    app = screen(played(Story(fixed=True), past=3600, seconds=120))
    assert snap_compare(app, terminal_size=(100, 30), run_before=when("████", "down"))


def test_memory_in_80_columns(snap_compare: Compare) -> None:
    """The smallest usual terminal."""
    app = screen(played(past=3600, seconds=120))
    assert snap_compare(app, terminal_size=(80, 24), run_before=when("████"))


def test_groups(snap_compare: Compare) -> None:
    """The leak is the first line."""
    app = screen(played(seconds=120))
    assert snap_compare(app, terminal_size=(118, 24), run_before=when("Where most wait", "3"))


def test_members_of_a_group(snap_compare: Compare) -> None:
    """Its tasks, each with its accuracy."""
    app = screen(played(seconds=120))
    assert snap_compare(app, terminal_size=(140, 24), run_before=when("members of", "3", "enter"))


def test_one_task(snap_compare: Compare) -> None:
    """Who keeps it, why it waits, what it keeps."""
    app = screen(played(seconds=120))
    assert snap_compare(app, terminal_size=(100, 34), run_before=when("The biggest", "3", "enter", "enter"))


def test_tree(snap_compare: Compare) -> None:
    """The marks lead to the holder."""
    app = screen(played(seconds=120))
    assert snap_compare(app, terminal_size=(118, 24), run_before=when("sorted by", "4"))


def test_system(snap_compare: Compare) -> None:
    """Facts in two columns."""
    app = screen(played(seconds=120))
    assert snap_compare(app, terminal_size=(118, 36), run_before=when("Garbage collector", "1"))


def test_help(snap_compare: Compare) -> None:
    """On the screen that it explains."""
    app = screen(played(seconds=120))
    assert snap_compare(app, terminal_size=(100, 50), run_before=when("Columns", "4", "question_mark"))


def test_outside_only(snap_compare: Compare) -> None:
    """Threads and processes only, with the reason."""
    app = screen(StillSource(), situation="outside")
    assert snap_compare(app, terminal_size=(80, 24), run_before=when("tasks n/a", "3"))


def test_after_the_end(snap_compare: Compare) -> None:
    """What was seen stays, an hour later."""
    app = screen(played(seconds=120), situation="killed", after=3600.0)
    assert snap_compare(app, terminal_size=(118, 36), run_before=when("████"))


def test_picker(snap_compare: Compare) -> None:
    """The list to choose from, on what cannot be attached to."""
    app = PickerApp(lambda: SOME)
    app.theme = "textual-dark"
    assert snap_compare(app, terminal_size=(100, 18), run_before=when("77: ptrace", "j", "j", "j"))
