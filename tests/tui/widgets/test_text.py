"""Text fits its cells exactly, and nothing of it reaches the terminal as a command."""

from __future__ import annotations

import random

import pytest
from rich.cells import cell_len

from pyobserver.tui.widgets.text import Align, Cut, fit, printable, shorten


@pytest.mark.parametrize(
    ("text", "width", "align", "cut", "result"),
    [
        ("abc", 5, "left", "end", "abc  "),
        ("abc", 5, "right", "end", "  abc"),
        ("abcdef", 4, "left", "end", "abc…"),
        ("rudder.pipeline.Spawner.push_hash", 20, "left", "start", "…e.Spawner.push_hash"),
        ("日本語", 6, "left", "end", "日本語"),
        ("日本語のタスク", 6, "left", "end", "日本… "),
        ("日本語のタスク", 6, "left", "start", "…スク "),
        ("日本", 3, "right", "end", "日…"),
        ("abc", 0, "left", "end", ""),
        ("abc", 1, "left", "start", "…"),
        ("e\u0301te\u0301", 3, "left", "end", "e\u0301te\u0301"),
    ],
)
def test_fitting(text: str, width: int, align: Align, cut: Cut, result: str) -> None:
    """Wide and combining characters count for what they take on the screen."""
    assert fit(text, width, align, cut) == result


def test_the_width_is_always_exact() -> None:
    """For any mixture of narrow, wide, combining and forbidden characters."""
    chance = random.Random(2)
    letters = "abc 日本語のﾀｽｸ\u0301\u200d😀👩‍👩‍👧\x1b\x07\n\t\u202e\ud800\x9b…é"
    for _ in range(3000):
        text = "".join(chance.choice(letters) for _ in range(chance.randrange(40)))
        width = chance.randrange(25)
        for cut in ("end", "start"):
            fitted = fit(text, width, "left", cut)
            assert cell_len(fitted) == width
            assert fitted.isprintable()


def test_escape_sequences_become_visible() -> None:
    """A name that would set the window's title is only odd to read."""
    assert printable("a\x1b]0;pwned\x07b") == "a\ufffd]0;pwned\ufffdb"
    assert shorten("\x9b31mred", 20) == "\ufffd31mred"
    assert printable("abc\u202edef") == "abc\ufffddef"


def test_a_long_text_costs_no_more_than_a_short_one() -> None:
    """Of ten million characters only what could be shown is looked at."""

    class Counted(str):
        asked = 0

        def isprintable(self) -> bool:
            Counted.asked += 1
            return super().isprintable()

    text = Counted("x" * 10_000_000 + "end")
    assert shorten(text, 5, "start") == "…xend"
    assert shorten(text, 5, "end") == "xxxx…"
    assert Counted.asked == 0
