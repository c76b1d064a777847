"""The line in which one types what rows must have in them."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

LONGEST = 200  # characters; what is pasted by mistake may be a whole file


class FilterLine(Input):
    """Posts `Changed` while one types, and `Submitted` when one is done: by Enter, Esc (which clears it) or ↓."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear the filter", show=False),
        Binding("down", "done", "To the rows", show=False),
    ]
    DEFAULT_CSS = """
    FilterLine { display: none; height: 1; border: none; padding: 0 1; background: $boost; }
    FilterLine.-open { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(
            placeholder="show what has this in it; Esc clears it", id="filter", compact=True, max_length=LONGEST
        )

    def open(self, text: str) -> None:
        """Begin to type, with what was filtered by so far."""
        self.add_class("-open")
        self.value = text
        self.focus()

    def settle(self, text: str) -> None:
        """Stay visible as long as something is filtered."""
        if self.value != text:
            self.value = text
        self.set_class(bool(text), "-open")

    def action_clear(self) -> None:
        """Show everything again."""
        self.value = ""
        self.action_done()

    def action_done(self) -> None:
        """Back to the rows, with the filter as it is."""
        self.post_message(self.Submitted(self, self.value))
