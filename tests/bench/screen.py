"""What a user sees of a command, timed from the start of its process."""

from __future__ import annotations

import time

from tests.support.commands import terminal

IS_THERE = "Supervision Tree"  # the last of the tabs: when it is painted, keys do something


def seconds_until(text: str, pid: int, *options: str, key: str = "", cwd: str | None = None) -> float:
    """Seconds from the start of `pyobserver attach` in a terminal until `text` is on the screen, which is then left.

    The `key` is pressed as soon as there is a screen. In the folder `cwd` there may be another version of the package.
    """
    begun = time.perf_counter()
    with terminal("attach", pid, *options, cwd=cwd) as screen:
        if key:
            screen.read_until(IS_THERE)
            screen.press(key)
        screen.read_until(text)
        seconds = time.perf_counter() - begun
        screen.press("q")
        screen.status()
    return seconds
