"""The screens on a recording show what they showed live, and keys move in its time."""

from __future__ import annotations

import asyncio
import datetime
import re
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pyobserver.recording.reader import Recording
from pyobserver.recording.recorder import save
from pyobserver.recording.writer import RecordingWriter
from pyobserver.source.replay import ReplaySource
from pyobserver.source.story import Story
from pyobserver.tui.replay import REPLAY_KEYS, ReplayApp
from pyobserver.tui.replay_marks import found_marks
from pyobserver.tui.timebar import Mark, Position, TimeBar, following

from .dashboard import Dashboard, StillSource, dashboard, played, shown

SECONDS = 100


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StillSource]:
    """A recording of a leaking service, and the service at the moment in which it ended."""
    path = tmp_path_factory.mktemp("replay") / "a.rec"
    source = played(Story(per_minute=30), seconds=600, past=0)
    source.count_objects(True)
    source.look_for_containers(True)
    writer = RecordingWriter(path, {})
    for _ in range(SECONDS):
        source.play(1.0)
        writer.add(source.store.snapshot())
    writer.close()
    return path, source


@asynccontextmanager
async def replay(path: Path, *keys: str, size: tuple[int, int] = (140, 40)) -> AsyncIterator[Dashboard]:
    """Opens a replay without marks, and presses some keys."""
    source = ReplaySource(Recording(path))
    app = ReplayApp(source, tz=datetime.UTC, marks=None)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        opened = Dashboard(app, source, pilot)  # type: ignore[arg-type]
        if keys:
            await opened.press(*keys)
        yield opened


def body(lines: list[str]) -> list[str]:
    """What a tab shows, without the lines around it, and without a chart: there is one line less for it."""
    return [line.rstrip() for line in lines[2:] if not re.search(r"[┤┴┬└│┄█]|14:15", line) and line.strip()]


@pytest.mark.parametrize("tab", ["1", "2", "3", "4", "5"])
async def test_each_tab_shows_what_it_showed(live: tuple[Path, StillSource], tab: str) -> None:
    """The same numbers and words; there is one line less for them."""
    path, source = live
    async with dashboard(source, tab, size=(140, 40)) as opened:
        await opened.renew()
        was = body(opened.lines()[:-2])
    async with replay(path, tab) as opened:
        opened.app.refresh_now()
        await opened.pilot.pause()
        now = body(opened.lines()[:-3])
    missing = [line for line in now if line not in was and "replay of" not in line]
    assert not missing, "\n".join([*missing, "--- live", *was])
    assert len(now) >= len(was) - 3


async def test_the_head_and_the_line_of_the_time(live: tuple[Path, StillSource]) -> None:
    """They say that this is a replay, of when, and where in it."""
    async with replay(live[0]) as opened:
        assert "REPLAY 2026-09-21 14:25:00" in opened.lines()[0]
        assert "1 min 39 s of 1 min 39 s" in opened.lines()[-2]
        assert "replay of a.rec" in opened.text()
        assert "r record" not in opened.lines()[-1]


async def test_keys_move_in_time(live: tuple[Path, StillSource]) -> None:
    """A minute, a moment, and all of it; every screen is of that moment."""
    async with replay(live[0], "3") as opened:
        count = await opened.until_line("push_hash · limit")  # what is said of it comes a moment later
        await opened.press("left_square_bracket")
        assert "14:24:00" in opened.lines()[-2]
        assert opened.line("push_hash") != count
        await opened.press("comma", "comma")
        assert "14:23:58" in opened.lines()[-2]
        await opened.press("full_stop")
        assert "14:23:59" in opened.lines()[-2]
        await opened.press("right_square_bracket", "right_square_bracket")
        assert "14:25:00" in opened.lines()[-2]
        await opened.until(lambda: opened.line("push_hash") == count)


async def test_a_single_moment(live: tuple[Path, StillSource], tmp_path: Path) -> None:
    """What S has kept has no other moments: it says so, and offers no keys that lead there. The charts have a past."""
    path = tmp_path / "saved.rec"
    save(live[1].store.snapshot(), path)
    async with replay(path, "2") as opened:
        assert "a single moment; only the charts have a past" in opened.text()
        for key in ("play", "minute", "moment ", "speed"):
            assert key not in opened.lines()[-1]
        await opened.press("full_stop", "comma", "right_square_bracket", "space", "space")
        assert "▁" in opened.text() or "█" in opened.text() or "▄" in opened.text()


async def test_what_s_keeps_is_told() -> None:
    """In the help, and when it is pressed before the target has ended."""
    async with dashboard(played(), "2", size=(140, 60)) as opened:
        await opened.press("S")
        assert any("S keeps the last moment of a target that has ended" in n.message for n in opened.app._notifications)
    async with dashboard(played(), "2", size=(140, 60), situation="killed") as opened:
        await opened.press("question_mark")
        assert "keep the last moment of what has ended, and the charts' past, in a file" in opened.text()


async def test_playing(live: tuple[Path, StillSource]) -> None:
    """Space begins anew at the end, and stops."""
    async with replay(live[0], "greater_than_sign", "space") as opened:
        assert "▶" in opened.lines()[-2] and "×10" in opened.lines()[-2]
        await opened.until(lambda: "14:23:3" in opened.text())
        await opened.press("space")
        assert "‖" in opened.lines()[-2]
        now = opened.lines()[-2]
        await asyncio.sleep(0.5)
        assert opened.lines()[-2] == now


async def test_findings_are_marked_and_jumped_to(live: tuple[Path, StillSource]) -> None:
    """What looks for them gives them one by one."""
    path, source = live
    begin = source.clock() - SECONDS + 1

    def marks(file: Path, allowed: Collection[str]) -> Iterator[Mark]:
        assert (file, allowed) == (path, frozenset())
        yield Mark(begin + 20, "growing", "it grows")
        yield Mark(begin + 60, "limit", "it is nearly full")

    app = ReplayApp(ReplaySource(Recording(path)), tz=datetime.UTC, marks=marks)
    async with app.run_test(size=(140, 40)) as pilot:
        opened = Dashboard(app, source, pilot)
        await opened.until(lambda: "2 marked" in opened.text())
        assert opened.lines()[-2].count("▲") == 2
        await opened.press("left_parenthesis")
        assert app._replay.now == begin + 60
        await opened.press("left_parenthesis")
        assert app._replay.now == begin + 20
        assert any("it grows" in notice.message for notice in app._notifications)
        await opened.press("right_parenthesis")
        assert app._replay.now == begin + 60
        await opened.press("right_parenthesis")
        assert app._replay.now == begin + 60


def test_what_is_found_in_a_leaking_service(live: tuple[Path, StillSource]) -> None:
    """The leak and a growing container are found once each, not in every moment."""
    marks = list(found_marks(live[0], ()))
    assert ["push_hash" in mark.text for mark in marks] == [True, False]
    assert "rudder.pipeline.Spawner._seen" in marks[1].text


async def test_the_keys_are_explained(live: tuple[Path, StillSource]) -> None:
    """All of them, in the help."""
    async with replay(live[0], "question_mark", size=(140, 60)) as opened:
        for key in REPLAY_KEYS[:4]:
            assert key.help[:30] in opened.text()


async def test_a_click_on_the_time(live: tuple[Path, StillSource]) -> None:
    """It goes there."""
    async with replay(live[0]) as opened:
        bar = opened.app.query_one(TimeBar)
        await opened.pilot.click(TimeBar, offset=(bar._bar[0], 0))
        await opened.pilot.pause()
        assert opened.app._replay.now == opened.app._replay.span[0]  # type: ignore[attr-defined]
        first, width = bar._bar
        await opened.pilot.click(TimeBar, offset=(first + width - 1, 0))
        await opened.pilot.pause()
        assert opened.app._replay.now == opened.app._replay.span[1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (200, 50)])
async def test_it_fits(live: tuple[Path, StillSource], size: tuple[int, int]) -> None:
    """In any terminal; each line is as wide as that."""
    async with replay(live[0], size=size) as opened:
        shown(opened.app)
        assert "14:25:00" in opened.lines()[-2]


def test_marks_around_a_moment() -> None:
    """The next one and the one before."""
    marks = [Mark(1.0, "", "a"), Mark(5.0, "", "b")]
    assert following(marks, 1.0, 1) == marks[1]
    assert following(marks, 5.0, -1) == marks[0]
    assert following(marks, 5.0, 1) is None
    assert Position(0, "", 0, 0, False, 1.0).marks == ()
