"""Actions that change the target: the question before one, and the line that tells what has come of it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ..analysis.format import duration
from ..model.actions import ASKED, ENDED, LOST, MOVED, REFUSED, SENT, Action
from ..model.snapshot import Snapshot
from ..model.tasks import Row
from ..protocol import schema
from .bar import Line, TooSmall, styled
from .remedies import REMEDIES, is_told_elsewhere, remedy_words
from .tabs.help import Modal
from .widgets.text import broken, shorten
from .words import NO_FUNCTION, NO_NAME, sized_in_words

CANCEL = "cancel"
MOST_LINES = 3
STAYS_SECONDS = 120.0  # after the last word about an action
SWALLOWED_SECONDS = 2.0  # what still cleans up after so long is told as one that goes on
NOT_ALLOWED = "x cancels a task only when pyobserver was started with --allow-actions"


class CancelQuestion(Modal):
    """Whether a task is to be cancelled; returns "cancel", or None. What is there at first is No."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes", show=False),
        Binding("n", "close", "No", show=False),
    ]

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._row = row

    def compose(self) -> ComposeResult:
        box = OptionList(
            Option(self._text(), disabled=True),
            Option("No, leave it", id="no"),
            Option("Yes, cancel it (y)", id=CANCEL),
        )
        box.border_title = "Cancel this task?"
        box.border_subtitle = "Enter chooses, y: yes, n or Esc: no"
        yield box
        yield TooSmall()

    def on_mount(self) -> None:
        """Begin at No: one more Enter changes nothing."""
        self.query_one(OptionList).highlighted = 1

    def _text(self) -> Content:
        row = self._row
        width = max(30, min(76, self.app.size.width - 8))
        kept = sized_in_words(row.retained, row.accuracy, row.error)
        lines = [
            styled(shorten(row.name or NO_NAME, width), "bold"),
            styled(shorten(row.function or NO_FUNCTION, width), ""),
            styled(f"retains {kept}", ""),
            Content(""),
            *(
                styled(line, "")
                for line in broken("The task gets CancelledError at its next step; the program may catch it.", width)
            ),
        ]
        return Content("\n").join(lines)

    def action_yes(self) -> None:
        """Cancel it."""
        self.dismiss(CANCEL)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(CANCEL if event.option.id == CANCEL else None)


class ActionLines(Line):
    """What has come of the last actions, a line each; nothing while there are none."""

    DEFAULT_CSS = "ActionLines { height: 0; background: $panel; }"

    def show(self, snapshot: Snapshot, now: float) -> None:
        """Show the last ones, until a while after their last word."""
        said = shown_actions(snapshot, now)
        self.change(said)
        if self.styles.height is None or self.styles.height.value != len(said):
            self.styles.height = len(said)

    def render(self) -> Content:
        said = self._shown if isinstance(self._shown, tuple) else ()
        width = max(1, self.size.width - 1)
        return Content("\n").join(styled(f" {shorten(text, width)}", style) for text, style in said)


def shown_actions(snapshot: Snapshot, now: float) -> tuple[tuple[str, str], ...]:
    """Return (text, style) of each action that is to be told of now, the last one last."""
    fresh = [
        a for a in snapshot.actions if (not a.final or now - a.changed_at < STAYS_SECONDS) and not is_told_elsewhere(a)
    ]
    return tuple(action_words(action, snapshot, now) for action in fresh[-MOST_LINES:])


def action_words(action: Action, snapshot: Snapshot, now: float) -> tuple[str, str]:
    """Return (what has come of an action, how it is to be seen)."""
    if action.name in REMEDIES:
        return remedy_words(action, now)
    since = duration(max(0.0, action.seconds if action.final else now - action.asked_at))
    why = f": {action.text}" if action.text else ""
    row = snapshot.tasks.find(action.row_id) if not action.final else None
    waits = f", waiting on {row.waiting_on}" if row is not None and row.waiting_on and not row.ended else ""
    said, style = {
        SENT: (f"asked for {since} ago, no answer yet", "grow"),
        LOST: (f"not known what came of it{why}", "limit"),
        REFUSED: (f"not done{why}", "limit"),
        ENDED: (_ended(action), ""),
        MOVED: (_moved(action, now) + waits, "grow"),
        ASKED: (f"still there after {since}{why}{waits}", "grow"),
    }.get(action.state, (action.state, ""))
    return f"{action.name} {action.title}: {said}", style


def _ended(action: Action) -> str:
    after = f"{action.seconds:.1f} s" if action.seconds < 60 else duration(action.seconds)
    how = {"cancelled": "cancelled", "": "it has ended"}.get(action.text, f"it has ended, but {action.text}")
    return f"{how} after {after}"


def _moved(action: Action, now: float) -> str:
    if not action.final and now - action.changed_at < SWALLOWED_SECONDS:
        return "it has moved, and cleans up or goes on"
    return "swallowed: it has moved and goes on"


def can_be_cancelled(row: Row | None) -> bool:
    """Whether a row is a task that goes on."""
    return (
        row is not None
        and row.kind == schema.KINDS[schema.KIND_TASK]
        and not row.ended
        and row.state != schema.STATES[schema.STATE_DONE_HELD]
    )
