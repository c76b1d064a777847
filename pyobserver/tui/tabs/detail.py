"""The screen about one task: why is it here, what does it keep, and who keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from ...analysis.format import bytes_text, count, duration, growth_bytes, percent
from ...model.details import DetailAnswer
from ...model.store import Snapshot
from ...model.tasks import Row
from ..bar import StatusLine, TopBar, styled
from ..view import View
from ..widgets.text import fit
from ..words import place, short_kind, sized_in_words

SHOWN = 12  # lines of each list


class DetailScreen(Screen[None]):
    """Everything about one row. What is asked of the target is asked once, and again on a key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("t", "show_in_tree", "In the tree"),
        Binding("u", "ask_again", "Ask again"),
        Binding("y", "copy", "Copy"),
    ]
    DEFAULT_CSS = """
    DetailScreen > VerticalScroll { height: 1fr; padding: 0 1; }
    DetailScreen Static { height: auto; margin-bottom: 1; }
    """

    class Asked(Message):
        """The details are to be asked for (again)."""

        def __init__(self, row_id: int) -> None:
            super().__init__()
            self.row_id = row_id

    class TreeWanted(Message):
        """The user wants to see the row in the tree."""

        def __init__(self, row_id: int) -> None:
            super().__init__()
            self.row_id = row_id

    def __init__(self, row_id: int, snapshot: Snapshot, view: View) -> None:
        super().__init__()
        self.row_id = row_id
        self._view = view
        self._snapshot = snapshot
        self._row = snapshot.tasks.find(row_id)
        self._answer: DetailAnswer | None = None
        self._answered_at: float | None = None
        self._is_gone = False

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll(can_focus=True):
            for name in ("facts", "chain", "types", "biggest", "owners", "note"):
                yield Static(id=name)
        yield StatusLine()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._draw()
        self.action_ask_again()

    def present(self, snapshot: Snapshot, view: View) -> None:
        """Show what is known of the row by now; a row that has gone keeps what was known."""
        self._view, self._snapshot = view, snapshot
        row = snapshot.tasks.find(self.row_id)
        self._is_gone = row is None
        self._row = row or self._row
        if self.is_mounted:
            self.query_one("#facts", Static).update(self._facts())

    def answer(self, answer: DetailAnswer) -> None:
        """Show what the target said. A refusal does not wipe out what was said before."""
        if answer.id != self.row_id:
            return
        if answer.problem and self._answer is not None and not self._answer.problem:
            self._note(f"asked again: {answer.problem}")
            return
        self._answer, self._answered_at = answer, self._snapshot.taken_at
        self._draw()

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        answer = self._answer
        self.query_one("#facts", Static).update(self._facts())
        blocks: dict[str, Content | None] = dict.fromkeys(("chain", "types", "biggest", "owners"))
        if answer is None:
            self._note("asking the target …")
        else:
            self._note(answer.problem or answer.note)
            blocks = {
                "chain": _block("Await chain, outermost first", _chain(answer)),
                "types": _block("Retains, by type", _by_type(answer)),
                "biggest": _block("The biggest, with their paths", _biggest(answer)),
                "owners": _block("Who keeps it", self._owners(answer)),
            }
        for name, content in blocks.items():
            widget = self.query_one(f"#{name}", Static)
            widget.display = content is not None
            if content is not None:
                widget.update(content)

    def _note(self, text: str) -> None:
        note = self.query_one("#note", Static)
        note.display = bool(text)
        note.update(styled(text, "grow"))

    def _facts(self) -> Content:
        row = self._row
        if row is None:
            return styled("this row is not there any more", "grow")
        state = "ended" if row.ended or self._is_gone else row.state
        age = ("≥" if row.age_is_minimum else "") + duration(row.age_seconds)
        doing = " ".join(part for part in (state, f"on {row.waiting_on}" if row.waiting_on else "") if part)
        first = [
            styled(row.name or "(no name)", "bold"),
            styled(f"   {row.kind}   {row.function}", ""),
        ]
        second = [styled(doing, "dim" if state == "ended" else ""), styled(f" · age {age} · ", "")]
        second.append(styled(f"retains {self._retains(row)}", "bold"))
        if row.growth:
            second.append(styled(f" · {growth_bytes(row.growth)}/min", "grow" if row.growth > 0 else ""))
        third = [f"moved in {percent(row.activity)} of our looks" if row.activity is not None else ""]
        third.append(f"CPU {duration(row.cpu_seconds)}" if row.cpu_seconds is not None else "")
        third.append("only the loop or its own future holds it" if row.unowned else "")
        lines = [Content("").join(first), Content("").join(second)]
        rest = " · ".join(part for part in third if part)
        if rest:
            lines.append(styled(rest, "dim"))
        return Content("\n").join(lines)

    def _retains(self, row: Row) -> str:
        answer = self._answer
        if answer is not None and answer.retained is not None:
            return sized_in_words(answer.retained, answer.accuracy, answer.error)
        return sized_in_words(row.retained, row.accuracy, row.error)

    def _owners(self, answer: DetailAnswer) -> list[Content]:
        lines = []
        for path, kind, length in answer.holders[:SHOWN]:
            size = f" of {count(length)}" if length is not None else ""
            lines.append(Content("").join([styled(f"  held by  {path}", "bold"), styled(f"  ({kind}{size})", "dim")]))
        waiters = ", ".join(label for _, label in answer.awaited_by[:SHOWN]) or "nobody"
        lines.append(styled(f"  awaited by  {waiters}", ""))
        if answer.created_at is not None:
            ago = duration(self._snapshot.taken_at - answer.created_at)
            lines.append(styled(f"  created  {self._view.date(answer.created_at)}, {ago} ago", ""))
        else:
            lines.append(styled("  created  before we attached", "dim"))
        return lines

    # -- what the user does ------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Back to where one came from."""
        self.dismiss()

    def action_ask_again(self) -> None:
        """Ask the target once more."""
        self.post_message(self.Asked(self.row_id))

    def action_show_in_tree(self) -> None:
        """Leave, and show the row in the tree."""
        self.app.post_message(self.TreeWanted(self.row_id))
        self.dismiss()

    def action_copy(self) -> None:
        """Copy what is known as text."""
        self.app.copy_to_clipboard(self.text())
        self.notify("copied")

    def text(self) -> str:
        """All that is shown, as plain text."""
        shown = [static for static in self.query("VerticalScroll Static").results(Static) if static.display]
        return "\n\n".join(str(static.render()) for static in shown)


def _block(title: str, lines: Sequence[Content]) -> Content | None:
    return Content("\n").join([styled(title, "dim"), *lines]) if lines else None


def _chain(answer: DetailAnswer) -> list[Content]:
    lines = []
    for depth, frame in enumerate(answer.chain[: 2 * SHOWN]):
        at = place(frame.file) + (f":{frame.line}" if frame.line is not None else " (line not known)")
        lead = "  " + "  " * depth + ("└ " if depth else "")
        lines.append(Content("").join([styled(lead, "dim"), styled(frame.function, ""), styled(f"   {at}", "dim")]))
    if len(answer.chain) > 2 * SHOWN:
        lines.append(styled(f"  and {len(answer.chain) - 2 * SHOWN} more", "dim"))
    return lines


def _by_type(answer: DetailAnswer) -> list[Content]:
    return [
        styled(f"  {fit(kind, 34)} {fit(count(number), 9, 'right')} {fit(bytes_text(size), 10, 'right')}", "")
        for kind, number, size in answer.by_type[:SHOWN]
    ]


def _biggest(answer: DetailAnswer) -> list[Content]:
    lines = []
    for path, kind, length, size in answer.biggest[:SHOWN]:
        items = f", {count(length)} items" if length is not None else ""
        lines.append(styled(f"  {fit(bytes_text(size), 10, 'right')}  {path}: {short_kind(kind)}{items}", ""))
    return lines
