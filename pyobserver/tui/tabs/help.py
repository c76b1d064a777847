"""Help on the screen one is on: its keys, and every column in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ..bar import TooSmall, styled
from ..keys import Key
from ..widgets import Column
from ..widgets.text import broken, fit
from ..words import SIGNS

MOVING = (("↑ ↓ PgUp PgDn", "move; also k and j, Home and End"), ("1 2 3 4 5", "the tabs; a click opens one, too"))


class Modal(ModalScreen[str | None]):
    """A box in the middle that Esc closes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", show=False),
        Binding("question_mark", "close", "Close", show=False),
    ]
    DEFAULT_CSS = """
    Modal { align: center middle; }
    Modal > VerticalScroll, Modal > OptionList {
        width: auto; min-width: 40; max-width: 96%; height: auto; max-height: 90%;
        border: round $foreground 40%; background: $surface; padding: 0 1;
    }
    Modal > VerticalScroll > Static { width: auto; height: auto; }
    """

    def action_close(self) -> None:
        """Close without having chosen."""
        self.dismiss(None)


class HelpScreen(Modal):
    """The keys that do something on the screen below, the signs, and its columns."""

    def __init__(
        self,
        title: str,
        explanation: str,
        columns: Sequence[tuple[Column, bool]],
        keys: Sequence[Key],
        rows: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`columns` come with whether they are visible at this width; `rows` are those that are always there."""
        super().__init__()
        self._title = title
        self._explanation = explanation
        self._columns = [
            (column.label, column.help + ("" if visible else " (hidden: the terminal is too narrow for it)"))
            for column, visible in columns
            if column.label and column.help
        ]
        self._rows = list(rows)
        self._keys = [(key.label, key.help) for key in keys]

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True) as box:
            box.border_title = f"{self._title}: help"
            box.border_subtitle = "↓ more, Esc closes"
            yield Static(self._text())
        yield TooSmall()

    def _text(self) -> Content:
        width = max(30, min(100, self.app.size.width - 12))
        lines = [*(styled(line, "") for line in broken(self._explanation, width)), Content("")]
        sections = (
            ("Keys", [*self._keys, *MOVING]),
            ("Rows", self._rows),
            ("Columns", self._columns),
            ("Signs", SIGNS),
        )
        for title, pairs in sections:
            if pairs:
                lines.append(styled(title, "bold"))
                lines += [line for name, text in pairs for line in _explained(name, text, width)]
                lines.append(Content(""))
        return Content("\n").join(lines[:-1])


def _explained(name: str, text: str, width: int) -> list[Content]:
    margin = 18
    first, *rest = broken(text, width - margin)
    lines = [Content("").join([styled(fit(f"  {name}", margin), "bold"), styled(first, "")])]
    return lines + [styled(" " * margin + line, "") for line in rest]


class SortScreen(Modal):
    """The columns to choose from; returns the key of the chosen one."""

    def __init__(self, choices: Sequence[tuple[str, str]], current: str) -> None:
        super().__init__()
        self._choices = tuple(choices)
        self._current = current

    def compose(self) -> ComposeResult:
        options = [Option(styled(label, ""), id=key) for key, label in self._choices]
        box = OptionList(*options)
        box.border_title = "Sort by"
        box.border_subtitle = "Enter chooses, the same again reverses"
        yield box
        yield TooSmall()

    def on_mount(self) -> None:
        """Begin at what it is sorted by now."""
        keys = [key for key, _ in self._choices]
        self.query_one(OptionList).highlighted = keys.index(self._current) if self._current in keys else 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option.id)
