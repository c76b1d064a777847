"""The first line of a tab: how many of what there are, what is shown of them, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from ..bar import Piece, PiecesLine


class Summary(PiecesLine):
    """How many of what there are, which of them are shown, and in which order."""

    def show(self, pieces: Sequence[Piece]) -> None:
        """Show these pieces, as many as fit."""
        self.change(tuple(pieces))
