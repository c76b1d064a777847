"""The keys: what each is called, what it does, and the line that lists those that do something here.

Bindings, the line at the bottom and the help are made from the same list, so that none of them can say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from textual import events
from textual.binding import Binding
from textual.content import Content

from .bar import Line, Piece, fitted, styled
from .widgets.text import width_of


@dataclass(frozen=True)
class Key:
    """One key. `hint` is what it does, in a word or two for the last line; `help` says it in a sentence.

    Keys of the lowest priority leave the line first when the terminal is narrow.
    """

    name: str  # also that of the action, up to its parameters
    keys: str  # as Textual calls them, divided by commas
    label: str  # as the user reads it
    hint: str
    help: str
    priority: int = 5
    parameters: str = ""

    def binding(self) -> Binding:
        """Return what makes an application or a screen listen to it."""
        return Binding(self.keys, self.name + self.parameters, self.hint, show=False)


HELP = Key("help", "question_mark", "?", "help", "this screen's keys, signs and columns", 10)
BACK = Key("back", "escape", "Esc", "back", "back to where you came from; in the filter: show everything again", 9)
OPEN = Key("open", "enter", "Enter", "open", "into the row; a double click does it, too", 9)
FILTER = Key("filter", "slash", "/", "filter", "what has the text in it stays; Esc clears it", 8)
JUMP = Key(
    "jump",
    "t",
    "t",
    "tree",
    "the selected task in the tree, and back among the tasks; a holder in the heap, and back",
    8,
)
COPY = Key("copy", "y", "y", "copy", "copy the row, its columns divided by tabs", 2)
CANCEL = Key("cancel", "x", "x", "cancel", "cancel the task, after a question; only with --allow-actions", 6)
COLLECT = Key("collect", "c", "c", "collect", "collect garbage, after a question; only with --allow-actions", 6)
TRIM = Key("trim", "e", "e", "give back", "give freed memory back to the system, after a question; likewise", 6)
TRACE = Key("trace", "l", "l", "trace", "trace allocations for some seconds, after a question; likewise", 6)
CREATIONS = Key(
    "creations",
    "w",
    "w",
    "where made",
    "note where tasks are made from now on, after a question, and end it; only with --allow-actions",
    3,
)
WINDOW = Key(
    "window", "plus,equals_sign", "+ -", "window", "how far back charts and growth look: 1 min to 24 h", 4, "(1)"
)
FINDINGS = Key("findings", "f", "f", "findings", "what was found, and its evidence step by step, each where it is", 3)
RECORD = Key("record", "r", "r", "record", "record into a file from now on, and end it; pyobserver replay shows it", 1)
SAVE = Key("save", "S", "S", "save", "keep the last moment of what has ended, and the charts' past, in a file", 8)
QUIT = Key("quit", "q", "q", "quit", "quit; the target goes on untouched", 10)

KEYS = (  # in the order of the line at the bottom
    HELP,
    OPEN,
    BACK,
    FILTER,
    Key("sort", "s", "s", "sort", "choose the column to sort by; a click on a header does it, too", 7),
    Key("reverse", "i", "i", "reverse", "turn the order round", 2),
    Key(
        "groups",
        "g",
        "g",
        "groups",
        "alike ones in one line, or each by itself; of the heap, types or large containers",
        6,
    ),
    JUMP,
    Key("next_owner", "n", "n", "next owner", "to the next owner of what has several, and at last back to it", 7),
    Key(
        "about",
        "o",
        "o",
        "about it",
        "all about a group or a supervisor: over time, ages, memory together",
        6,
    ),
    Key("mode", "d", "d", "growth", "numbers as values, as growth per minute, as change since the baseline", 7),
    FINDINGS,
    Key("baseline", "b", "b", "baseline", "set the baseline now; d compares with it", 5),
    WINDOW,
    Key("areas", "a", "a", "areas", "the chart as areas that add up, or as lines", 4),
    Key("zoom", "z", "z", "zoom", "the main part alone, and back", 3),
    COPY,
    CANCEL,
    CREATIONS,
    COLLECT,
    TRIM,
    TRACE,
    Key("pause", "space", "space", "pause", "let the screen stand still, and go on; reading goes on meanwhile", 6),
    RECORD,
    SAVE,
    QUIT,
)
SMALLER_WINDOW = Binding("minus", "window(-1)", show=False)


def offered(hints: Mapping[str, str], keys: Sequence[Key] = KEYS) -> list[Key]:
    """Return the keys that are named in `hints`, each with its hint from there, or its own where that is empty."""
    return [replace(key, hint=hints[key.name] or key.hint) for key in keys if key.name in hints]


class KeysLine(Line):
    """The last line: the keys that do something here. A click on one presses it."""

    DEFAULT_CSS = "KeysLine { background: $panel; }"

    def __init__(self, keys: Sequence[Key] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown = tuple(keys)
        self._ends: list[tuple[int, Key]] = []

    def show(self, keys: Sequence[Key]) -> None:
        """List these keys, as many as fit."""
        self.change(tuple(keys))

    def render(self) -> Content:
        keys = self._shown if isinstance(self._shown, tuple) else ()
        by_piece = {Piece(f"{key.label} {key.hint}", "", key.priority, "  "): key for key in keys}
        parts: list[Content] = []
        at = 0
        self._ends = []
        for piece in fitted(list(by_piece), self.size.width):
            key = by_piece[piece]
            gap = "  " if parts else " "
            parts += [Content(gap), styled(key.label, "bold"), styled(f" {key.hint}", "quiet")]
            at += width_of(gap + piece.text)
            self._ends.append((at, key))
        return Content("").join(parts)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        for end, key in self._ends:
            if event.x < end:
                self.app.simulate_key(key.keys.split(",")[0])
                return
