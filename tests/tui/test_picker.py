"""The list of processes is read beside the screen, is filtered, and gives back a pid that one can attach to."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from pyobserver.model.readings import PythonProcess
from pyobserver.tui import picker
from pyobserver.tui.picker import PickerApp
from pyobserver.tui.widgets import VirtualTable

from .dashboard import DEADLINE, Dashboard

Listed = Sequence[tuple[PythonProcess, bool, str]]
WHY = "ptrace is not permitted: kernel.yama.ptrace_scope is 1; run as root, or allow it for a while"


def process(pid: int, *command: str, user: str = "rudder") -> PythonProcess:
    return PythonProcess(pid, "3.11.7", "cpython", 3_310_000_000, 273_600.0, command, user)


SOME: Listed = (
    (process(4711, "python3.11", "-m", "rudder.main"), True, ""),
    (process(4720, "python3.11", "-m", "rudder.upload"), True, ""),
    (process(77, "/usr/bin/python3", "/usr/bin/networkd-dispatcher", user="root"), False, WHY),
)


@asynccontextmanager
async def picking(
    listed: Callable[[], Listed], size: tuple[int, int] = (100, 24), pause: float = 0.25
) -> AsyncIterator[tuple[PickerApp, Pilot[int], Dashboard]]:
    app = PickerApp(listed, pause=pause)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot, Dashboard(app, None, pilot)  # type: ignore[arg-type]


async def test_the_list() -> None:
    """What one needs to know to choose, and whether it would work."""
    async with picking(lambda: SOME) as (_app, _, opened):
        line = await opened.until_line("rudder.main")
        for part in ("4711", "3.11.7", "3.31 GB", "3 d 4 h", "rudder", "python3.11 -m rudder.main", "yes"):
            assert part in line
        assert "no: ptrace" in opened.line("python3 /usr/bin/netw")
        assert "3 Python processes, 2 to attach to" in opened.lines()[0]
        for part in ("Enter attach", "/ filter", "q quit"):
            assert part in opened.lines()[-1]


async def test_enter_gives_the_pid() -> None:
    """Of the row under the cursor."""
    async with picking(lambda: SOME) as (app, pilot, opened):
        await opened.until_line("rudder.main")
        await pilot.press("down", "enter")
        await pilot.pause()
    assert app.return_value == 4720


async def test_an_answer_that_comes_while_it_is_being_left() -> None:
    """The list is gone before the last listing, or the last letter, has been taken."""
    async with picking(lambda: SOME) as (app, _, opened):
        await opened.until_line("rudder.main")
        await app.query_one(VirtualTable).remove()
        app._take(SOME, "")
        app.on_virtual_table_cursor_moved()
    app._take(SOME, "")


@pytest.mark.parametrize("key", ["q", "escape"])
async def test_leaving_gives_none(key: str) -> None:
    """Nothing was chosen."""
    async with picking(lambda: SOME) as (app, pilot, _):
        await pilot.press(key)
        await pilot.pause()
    assert app.return_value is None


async def test_what_cannot_be_attached_to_says_why() -> None:
    """The reason stands below as a whole, and Enter says it instead of leaving."""
    async with picking(lambda: SOME) as (app, pilot, opened):
        await opened.until_line("rudder.main")
        await pilot.press("end")
        await opened.until_line("77: ptrace is not permitted")
        assert WHY in " ".join(" ".join(opened.lines()[-3:-1]).split())
        await pilot.press("enter")
        await pilot.pause()
        assert app.is_running
        assert any(WHY in notification.message for notification in app._notifications)


async def test_the_listing_does_not_block_the_screen() -> None:
    """Keys are heard while a listing hangs, and leaving does not wait for it."""
    goes_on = threading.Event()

    def hangs() -> Listed:
        goes_on.wait(DEADLINE)
        return SOME

    async with picking(hangs) as (app, pilot, opened):
        assert "looking for Python processes" in opened.lines()[0]
        await pilot.press("slash", "r", "u")
        assert app.focused is not None
        assert app._filter == "ru"
        await pilot.press("enter", "escape", "q")
        await pilot.pause()
    assert app.return_value is None
    goes_on.set()


async def test_it_is_refreshed() -> None:
    """By itself: what comes is shown, what has ended goes, and the cursor stays on its process."""
    now = [list(SOME)]
    async with picking(lambda: now[0]) as (app, pilot, opened):
        await opened.until_line("rudder.main")
        await pilot.press("down")
        now[0] = [(process(5000, "python3.13", "new.py"), True, ""), *SOME[1:]]
        await opened.until_line("new.py")
        assert "rudder.main" not in opened.text()
        assert app.query_one(VirtualTable).cursor_key == 4720


async def test_it_is_read_again_at_once_when_asked_to() -> None:
    """F5 does not wait for the next time."""
    asked = []

    def listed() -> Listed:
        asked.append(None)
        return SOME

    async with picking(listed, pause=1000.0) as (_, pilot, opened):
        await opened.until_line("rudder.main")
        assert len(asked) == 1
        await pilot.press("f5")
        await opened.until(lambda: len(asked) == 2)


async def test_filter() -> None:
    """Any part of what is shown, in any case; Esc shows all again and does not leave."""
    async with picking(lambda: SOME) as (app, pilot, opened):
        await opened.until_line("rudder.main")
        await pilot.press("slash", *"UPLOAD")
        await opened.until(lambda: "rudder.main" not in opened.text())
        assert "1 with “UPLOAD”" in opened.lines()[0]
        await pilot.press("enter", "enter")
        await pilot.pause()
    assert app.return_value == 4720


async def test_a_filter_that_nothing_matches() -> None:
    """The empty list is explained."""
    async with picking(lambda: SOME) as (app, pilot, opened):
        await opened.until_line("rudder.main")
        await pilot.press("slash", *"zzz", "enter")
        await opened.until_line("no process has “zzz” in it; Esc shows all")
        await pilot.press("escape")
        await opened.until_line("rudder.main")
        assert app.is_running


async def test_none_at_all() -> None:
    """That is said, too."""
    async with picking(list) as (_, pilot, opened):
        await opened.until_line("no Python process can be seen by this user")
        await pilot.press("enter")
        assert "0 Python processes" in opened.lines()[0]


async def test_a_listing_that_fails() -> None:
    """The reason is told, the last list stays, and it is tried again."""
    fails = [False]

    def listed() -> Listed:
        if fails[0]:
            raise PermissionError("/proc is not mounted")
        return SOME

    async with picking(listed) as (_, _pilot, opened):
        await opened.until_line("rudder.main")
        fails[0] = True
        await opened.until_line("they cannot be listed: /proc is not mounted")
        assert "rudder.main" in opened.text()
        fails[0] = False
        await opened.until_line("3 Python processes")


async def test_unknown_and_hostile() -> None:
    """No version, no memory, a command line that means harm."""
    odd = replace(process(9, "py\x1b]0;owned\x07thon", "n" * 10_000, "宽字符" * 30), python=None, rss=None)
    async with picking(lambda: [(odd, False, "\x1b[31mno")]) as (_, _pilot, opened):
        line = await opened.until_line("    9  ?")
        assert "·" in line
        assert all(line.isprintable() for line in opened.lines())


async def test_80_columns() -> None:
    """Pid, version, memory, command and the answer fit."""
    async with picking(lambda: SOME, size=(80, 24)) as (_, _pilot, opened):
        line = await opened.until_line("rudder.main")
        for part in ("4711", "3.11.7", "3.31 GB", "yes"):
            assert part in line


def test_what_the_command_line_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pick_process` runs the picker on the listing, and gives what it gives."""
    seen: list[PickerApp] = []

    def run(app: PickerApp) -> int:
        seen.append(app)
        return 4711

    monkeypatch.setattr(PickerApp, "run", run)
    assert picker.pick_process(lambda: list(SOME)) == 4711
    assert list(seen[0]._listed()) == list(SOME)
