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

from ..bar import styled
from ..widgets import Column
from ..widgets.text import fit

KEYS = (
    ("1 … 4", "the tabs"),
    ("↑ ↓ PgUp PgDn Home End", "move; also j and k"),
    ("Enter, Esc", "into a row, and back"),
    ("/", "filter: what has the text in it stays; Esc clears it"),
    ("s, i", "choose the column to sort by (or click a header), reverse the order"),
    ("d", "numbers as values, as growth per minute, as change since the baseline"),
    ("b", "set the baseline now"),
    ("g", "groups, or single tasks"),
    ("t", "the selected task in the tree, and back among the tasks"),
    ("space", "pause the screen; recording goes on"),
    ("z", "the main part alone, and back"),
    ("+ -", "the window of the chart, over which growth is told, too: 1 min to 24 h"),
    ("y", "copy the row"),
    ("q", "quit; the target goes on untouched"),
)
SIGNS = (
    ("▲", "it grows, by more than noise"),
    ("7.02 MB", "exact: freed if it went away"),
    ("~7.02 MB", "sampled or estimated"),
    ("≥7.02 MB", "at least: some of it could not be followed"),
    ("dim", "ended, or not measured lately"),
    ("·, n/a", "not known; never a zero"),
)


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
    """The keys, the signs, and the columns of the tab that was open."""

    def __init__(self, title: str, explanation: str, columns: Sequence[Column]) -> None:
        super().__init__()
        self._title = title
        self._explanation = explanation
        self._columns = tuple(column for column in columns if column.label and column.help)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True) as box:
            box.border_title = f"{self._title}: help"
            box.border_subtitle = "Esc closes"
            yield Static(self._text())

    def _text(self) -> Content:
        width = max(30, min(100, self.app.size.width - 12))
        lines = [*_wrapped(self._explanation, width), Content("")]
        for title, pairs in (
            ("Columns", [(column.label, column.help) for column in self._columns]),
            ("Signs", SIGNS),
            ("Keys", KEYS),
        ):
            if pairs:
                lines.append(styled(title, "bold"))
                lines += [line for name, text in pairs for line in _explained(name, text, width)]
                lines.append(Content(""))
        return Content("\n").join(lines[:-1])


def _explained(name: str, text: str, width: int) -> list[Content]:
    margin = 16 if len(name) < 15 else 26
    first, *rest = _broken(text, width - margin)
    lines = [Content("").join([styled(fit(f"  {name}", margin), "bold"), styled(first, "")])]
    return lines + [styled(" " * margin + line, "") for line in rest]


def _wrapped(text: str, width: int) -> list[Content]:
    return [styled(line, "") for line in _broken(text, width)]


def _broken(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > max(10, width):
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


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

    def on_mount(self) -> None:
        """Begin at what it is sorted by now."""
        keys = [key for key, _ in self._choices]
        self.query_one(OptionList).highlighted = keys.index(self._current) if self._current in keys else 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option.id)
