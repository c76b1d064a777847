"""Text that fits a number of terminal cells exactly, and holds nothing that a terminal would obey.

What comes from the target was cleaned when it arrived. It is cleaned again here, because a segment of the line API goes
to the terminal as it is, and one forgotten path would let a task's name rewrite the user's screen.
"""

from __future__ import annotations

from typing import Literal

from rich.cells import cell_len, set_cell_size

Align = Literal["left", "right"]
Cut = Literal["end", "start"]

REPLACEMENT = "\ufffd"
ELLIPSIS = "…"


def printable(text: str) -> str:
    """The text with everything that a terminal could take for a command replaced by U+FFFD."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else REPLACEMENT for c in text)


def width_of(text: str) -> int:
    """How many cells the (printable) text takes: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else cell_len(text)


def shorten(text: str, width: int, cut: Cut = "end") -> str:
    """The text in at most `width` cells, with an ellipsis where `cut` says that it was cut."""
    if len(text) > 4 * width + 8:  # measuring ten thousand characters to show twenty would be felt
        text = text[: 4 * width + 8] if cut == "end" else text[-4 * width - 8 :]
    text = printable(text)
    if width_of(text) <= width:
        return text
    if width <= 0:
        return ""
    if text.isascii():
        return text[: width - 1] + ELLIPSIS if cut == "end" else ELLIPSIS + text[len(text) - width + 1 :]
    if cut == "end":
        return set_cell_size(text, width - 1).rstrip(" ") + ELLIPSIS
    start, taken = len(text), 0
    while start and taken + cell_len(text[start - 1]) <= width - 1:
        start -= 1
        taken += cell_len(text[start])
    return ELLIPSIS + text[start:]


def fit(text: str, width: int, align: Align = "left", cut: Cut = "end") -> str:
    """The text in exactly `width` cells: cut where `cut` says, filled with spaces where `align` says."""
    text = shorten(text, width, cut)
    fill = " " * (width - width_of(text))
    return fill + text if align == "right" else text + fill


def broken(text: str, width: int, most: int | None = None) -> list[str]:
    """The text in lines of at most `width` cells, broken between words; of more than `most` lines the rest is cut.

    A word that is too long for a line is cut.
    """
    lines: list[str] = []
    words = printable(text[:4000]).split()
    while words and (most is None or len(lines) < max(1, most)):
        line = words.pop(0)
        while words and width_of(line) + 1 + width_of(words[0]) <= width:
            line += " " + words.pop(0)
        lines.append(line)
    if words:
        lines[-1] += " " + " ".join(words)
    return [shorten(line, width) for line in lines]
