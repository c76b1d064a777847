"""The first line of a tab: how many of what there are, what is shown of them, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from ..bar import Line, Piece, fitted, styled


class Summary(Line):
    """How many of what there are, which of them are shown, and in which order."""

    def show(self, pieces: Sequence[Piece]) -> None:
        """Show these pieces, as many as fit."""
        self.change(tuple(pieces))

    def render(self) -> Content:
        pieces = self._shown if isinstance(self._shown, tuple) else ()
        parts = []
        for piece in fitted(pieces, self.size.width):
            parts += [Content(piece.gap), styled(piece.text, piece.style)]
        return Content("").join(parts)
