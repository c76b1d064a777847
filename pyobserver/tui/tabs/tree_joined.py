"""The trees of child processes at their places in the tree of their parent, as they were seen last."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from ...analysis.supervision import TreeNode
from ...model.forest import PROCESS
from ..view import View
from ..widgets import Cell, Column
from .tree_lines import Arrangement, TreeLines


class Inside(NamedTuple):
    """The key of a line in the tree of a child process: the row of the process, and the key there."""

    process: int
    key: Hashable


class JoinedLines:
    """The lines of a process with those of its child processes: these do not change, and are made once."""

    def __init__(self, lines: TreeLines, inner: Mapping[int, TreeLines]) -> None:
        self._lines = lines
        self._inner = {row: each for row, each in inner.items() if lines.node(row) is not None}
        self.version = hash((lines.version, *((row, each.version) for row, each in self._inner.items())))

    def roots(self) -> Sequence[Hashable]:
        """Those of the process."""
        return self._lines.roots()

    def children(self, key: Hashable) -> Sequence[Hashable]:
        """What hangs under a line; under a child process what hangs under it there."""
        inner = self._at(key)
        if inner is None:
            return self._lines.children(key)
        process, lines, there = inner
        return [Inside(process, each) for each in lines.children(there)]

    def has_children(self, key: Hashable) -> bool:
        """Whether anything does."""
        inner = self._at(key)
        return self._lines.has_children(key) if inner is None else inner[1].has_children(inner[2])

    def parent(self, key: Hashable) -> Hashable | None:
        """What a line hangs under."""
        if not isinstance(key, Inside):
            return self._lines.parent(key)
        inner = self._inner.get(key.process)
        above = inner.parent(key.key) if inner is not None else None
        return None if above is None else key.process if above == PROCESS else Inside(key.process, above)

    def _at(self, key: Hashable) -> tuple[int, TreeLines, Hashable] | None:
        """The process whose lines hang under a key, its lines, and the key there; None for lines of the parent."""
        if isinstance(key, Inside):
            inner = self._inner.get(key.process)
            return None if inner is None else (key.process, inner, key.key)
        if isinstance(key, int) and key in self._inner:
            return key, self._inner[key], PROCESS
        return None

    def node(self, key: Hashable) -> TreeNode | None:
        """All about a line."""
        lines, there = self._of(key)
        return lines.node(there)

    def label(self, key: Hashable) -> list[Cell]:
        """What a line is called."""
        lines, there = self._of(key)
        return lines.label(there)

    def cells(self, key: Hashable) -> list[Cell]:
        """One cell for each column."""
        lines, there = self._of(key)
        return lines.cells(there)

    def style(self, key: Hashable) -> str:
        """What is not read any more is dim."""
        return "dim" if isinstance(key, Inside) else self._lines.style(key)

    def is_growing(self, key: Hashable) -> bool:
        """Whether it grows, or anything under it."""
        lines, there = self._of(key)
        return lines.is_growing(there)

    def _of(self, key: Hashable) -> tuple[TreeLines, Hashable]:
        if isinstance(key, Inside) and key.process in self._inner:
            return self._inner[key.process], key.key
        return self._lines, key


class SeenTrees:
    """Makes the lines of processes that have been left, again only when they are to be shown in another way."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[object, TreeLines]] = {}

    def lines(
        self, lines: TreeLines, view: View, arrangement: Arrangement, columns: tuple[Column, ...]
    ) -> TreeLines | JoinedLines:
        """Return the lines of a process with those of the child processes that have been seen in it."""
        if not lines.seen:
            return lines
        for row, seen in lines.seen.items():
            asked = (seen, view, arrangement)
            if row not in self._made or self._made[row][0] != asked:
                self._made[row] = (asked, TreeLines(seen.snapshot, view, arrangement, columns, {}))
        return JoinedLines(lines, {row: made for row, (_, made) in self._made.items()})
