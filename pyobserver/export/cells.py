"""Text in columns of a terminal, where some characters take two cells and some none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

ELLIPSIS = "…"
GAP = "  "
Side = Literal["start", "end"]


@dataclass(frozen=True)
class Column:
    """One column: its title, its width in cells, the side its texts stand on, and the end they lose when too long."""

    title: str
    width: int
    align: Literal["left", "right"] = "left"
    cut: Side = "end"


def cells(text: str) -> int:
    """How many cells of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, width: int, align: Literal["left", "right"] = "left", cut: Side = "end") -> str:
    """Return `text` in exactly `width` cells: padded, or cut with an ellipsis where something is missing."""
    width = max(1, width)
    taken = cells(text)
    if taken > width:
        text = _cut(text, width - 1) + ELLIPSIS if cut == "end" else ELLIPSIS + _cut(text[::-1], width - 1)[::-1]
        taken = cells(text)
    padding = " " * (width - taken)
    return padding + text if align == "right" else text + padding


def _cut(text: str, width: int) -> str:
    taken = 0
    for i, character in enumerate(text):
        taken += _cells(character)
        if taken > width:
            return text[:i]
    return text


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int) -> list[str]:
    """Return the titles and one line for each row, without blanks at the end, none wider than `width`.

    The mark in front of a cut text stays: leading blanks and signs are not part of what is cut.
    """
    lines = []
    for row in ([column.title for column in columns], *rows):
        parts = [_cell(text, column) for text, column in zip(row, columns, strict=True)]
        lines.append(fit(GAP.join(parts), width).rstrip())
    return lines


def _cell(text: str, column: Column) -> str:
    if column.cut == "end":
        return fit(text, column.width, column.align)
    lead, rest = text[:2], text[2:]
    return lead + fit(rest, column.width - len(lead), column.align, "start")
