"""The screen about one type: how many objects of it there are, whether they become more, and who holds them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ...analysis.format import count
from ...analysis.heap import TypeRow, type_rows
from ...model.places import ObjectPlace, PlacesAnswer, PlacesQuestion
from ...model.snapshot import Snapshot
from ..bar import StatusLine, TooSmall, TopBar, styled
from ..keys import BACK, HELP, QUIT, KeysLine
from ..view import View
from ..widgets.text import fit
from .about import AboutScreen
from .detail import AGAIN, COPY, PAUSE
from .help import HelpScreen
from .types import exactly

SHOWN = 40  # places
NO_CONTAINERS = 1 << 40  # items: none is so large
SINGLE = {"attribute": "an attribute", "local": "a variable"}

KEYS = (HELP, BACK, AGAIN, COPY, PAUSE, QUIT)


class TypeScreen(AboutScreen):
    """Where objects of a type hang. The target is asked once, and again on a key."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (BACK, AGAIN, COPY)]

    class Asked(Message):
        """The target is to be asked who holds objects of the type (again)."""

        def __init__(self, screen: TypeScreen, question: PlacesQuestion) -> None:
            super().__init__()
            self.screen, self.question = screen, question

    def __init__(self, name: str, snapshot: Snapshot, view: View) -> None:
        super().__init__()
        self._type = name
        self._row = _row(name, snapshot, view)
        self._seen = (snapshot.heap, view.window)
        self._answer: PlacesAnswer | None = None
        self._is_asking = False

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll(can_focus=True):
            yield Static(id="facts")
            yield Static(id="holders")
        yield StatusLine()
        yield KeysLine(KEYS)
        yield TooSmall()

    def on_mount(self) -> None:
        self.action_ask_again()

    def present(self, snapshot: Snapshot, view: View) -> None:
        """Show what is known of the type by now."""
        if snapshot.heap is not self._seen[0] or view.window != self._seen[1]:  # a new census, or another look at it
            self._row = _row(self._type, snapshot, view) or self._row
            self._seen = (snapshot.heap, view.window)
        if self.is_mounted:
            self._draw()

    def answer(self, answer: PlacesAnswer) -> None:
        """Show what the target said. A refusal does not wipe out what was said before."""
        self._is_asking = False
        if not answer.problem or self._answer is None:
            self._answer = answer
        else:
            self.notify(answer.problem, severity="warning")
        if self.is_mounted:
            self._draw()

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        facts = [styled(self._type, "bold")]
        if self._row is not None:
            facts.append(styled(exactly(self._row), "grow" if self._row.growing else ""))
        self.query_one("#facts", Static).update(Content("\n").join(facts))
        self.query_one("#holders", Static).update(Content("\n").join(self._holders()))

    def _holders(self) -> list[Content]:
        answer = self._answer
        lines = [styled(f"Who holds them{_looked_at(answer)}", "dim")]
        if answer is not None:
            lines += [_line(place) for place in answer.places[:SHOWN]]
            if not answer.places:
                lines.append(styled(f"  {answer.problem or answer.note or NOWHERE}", "grow"))
            elif answer.note:
                lines.append(styled(f"  {answer.note}", "grow"))
        if self._is_asking:
            lines.append(styled("  asking: the agent walks through the heap, a millisecond at a time …", "dim"))
        return lines

    # -- what the user does ------------------------------------------------------------------------------------------

    def action_ask_again(self) -> None:
        """Ask the target once more."""
        if self._is_asking:
            return
        self._is_asking = True
        self._draw()
        self.post_message(self.Asked(self, PlacesQuestion(NO_CONTAINERS, self._type)))

    def help(self) -> HelpScreen:
        """What explains this screen."""
        explanation = (
            "Who holds the objects of one type, and how often they were met there: containers and attributes by their "
            "path from a module, and the variables of tasks. An object that is held in several places counts in each "
            "that the walk has met; one that is only held inside another object of the type, or by a library in C, is "
            "not met. The agent walks through the heap once, in slices of a millisecond, and again on u."
        )
        return HelpScreen("One type", explanation, (), KEYS)


NOWHERE = "none was met: not on a way from a module or a task, or only inside one another"


def _row(name: str, snapshot: Snapshot, view: View) -> TypeRow | None:
    return next((row for row in type_rows(snapshot, view.window) if row.name == name), None)


def _looked_at(answer: PlacesAnswer | None) -> str:
    """How many the answer rests on, and what it has cost."""
    if answer is None or answer.problem:
        return ""
    return f": {count(answer.references)} met, {answer.seconds * 1000:.0f} ms of work there"


def _line(place: ObjectPlace) -> Content:
    kind = SINGLE.get(place.type) or place.type + (f" of {count(place.length)}" if place.length is not None else "")
    parts = [styled(f"  {fit(count(place.references), 9, 'right')}  {place.path}", ""), styled(f"  {kind}", "dim")]
    if place.examples:
        parts.append(styled(f"  lengths {', '.join(map(count, place.examples))}", "dim"))
    return Content("").join(parts)
