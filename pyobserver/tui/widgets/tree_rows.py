"""What a tree shows: nodes by their keys, as they are handed to the widget, and the lines that it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol

from .columns import Cell, text_and_style
from .text import shorten, width_of

Part = tuple[str, str]
"""Text and the name of its style."""


class TreeRows(Protocol):
    """The nodes of a tree, by keys that stay the same across refreshes; each key is in the tree once.

    `version` changes whenever the structure does (nodes, their order, or who has children), and never otherwise: two
    rows with the same version have the same structure. `label`, `cells` and `style` are asked for visible nodes only.
    """

    @property
    def version(self) -> int: ...

    def roots(self) -> Sequence[Hashable]: ...

    def children(self, key: Hashable) -> Sequence[Hashable]:
        """The children in their order; empty also while they are not loaded yet."""
        ...

    def has_children(self, key: Hashable) -> bool: ...

    def parent(self, key: Hashable) -> Hashable | None:
        """The parent; None for a root, and for a key that is not in the tree."""
        ...

    def label(self, key: Hashable) -> Cell | Sequence[Cell]:
        """The text at the left: one cell, or a list of cells, which are written one behind the other."""
        ...

    def cells(self, key: Hashable) -> Sequence[Cell]:
        """One cell for each of the columns at the right."""
        ...

    def style(self, key: Hashable) -> str:
        """The style of the whole line: "", "dim" or "grow"."""
        ...


class NoTree:
    """The rows of a tree without nodes."""

    version = 0

    def roots(self) -> Sequence[Hashable]:
        return ()

    def children(self, key: Hashable) -> Sequence[Hashable]:
        return ()

    def has_children(self, key: Hashable) -> bool:
        return False

    def parent(self, key: Hashable) -> Hashable | None:
        return None

    def label(self, key: Hashable) -> Cell | Sequence[Cell]:
        return ""

    def cells(self, key: Hashable) -> Sequence[Cell]:
        return ()

    def style(self, key: Hashable) -> str:
        return ""


class More(NamedTuple):
    """The key of the line behind the shown children of a node with very many."""

    parent: Hashable


class Loading(NamedTuple):
    """The key of the line in the place of children that are not loaded yet."""

    parent: Hashable


class Line(NamedTuple):
    """One line: `lead` is what is drawn before the marker, `below` what is drawn before the lines of its children."""

    key: Hashable
    depth: int
    lead: str
    below: str


def label_parts(label: Cell | Sequence[Cell]) -> list[Part]:
    """The parts of a label, each with its style; "" where it has none."""
    if isinstance(label, str):
        return [(label, "")]
    if isinstance(label, tuple) and len(label) == 2 and isinstance(label[0], str) and isinstance(label[1], str):
        return [(label[0], label[1])]
    return [text_and_style(cell) for cell in label]


def fitted_label(parts: Sequence[Part], width: int) -> list[Part]:
    """The parts of a label in at most `width` cells.

    What is dim goes first, from the end on; then the longest part loses its start, as the end of a name tells it apart.
    A mark before it and a number behind it stay.
    """
    kept = [(shorten(text, max(1, width), "start"), style) for text, style in parts if text]
    while len(kept) > 1 and _width(kept) > width:
        dim = [i for i, (_, style) in enumerate(kept) if style == "dim"]
        if not dim:
            break
        del kept[dim[-1]]
    over = _width(kept) - width
    if over > 0:
        longest = max(range(len(kept)), key=lambda i: width_of(kept[i][0]))
        text, style = kept[longest]
        kept[longest] = (shorten(text, max(1, width_of(text) - over), "start"), style)
    return _cut(kept, width)


def _width(parts: Sequence[Part]) -> int:
    return sum(width_of(text) for text, _ in parts)


def _cut(parts: Sequence[Part], width: int) -> list[Part]:
    """The parts as far as they fit: only a very narrow label has still too much."""
    found = []
    for text, style in parts:
        text = shorten(text, width)
        width -= width_of(text)
        found.append((text, style))
    return found


def is_above(depth: int) -> Callable[[Hashable, int], bool]:
    """What opens the nodes above a depth."""
    return lambda key, at: at < depth
