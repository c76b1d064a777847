"""The screen about one group: why are there so many, how old, and what do they keep, alone and together?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ...analysis.findings import Finding, Verdict
from ...analysis.format import bytes_text
from ...analysis.group_facts import Scope, group_facts
from ...analysis.group_past import Array, past
from ...model.details import DetailAnswer, GroupAnswer, GroupQuestion
from ...model.snapshot import Snapshot
from ..bar import HEIGHTS, LEVEL_STYLES, StatusLine, TooSmall, TopBar, styled
from ..keys import BACK, HELP, QUIT, WINDOW, Key, KeysLine
from ..view import View
from ..widgets.chart import Chart
from ..widgets.chart_view import ChartSeries, ChartView, Unit
from ..words import place, sized_in_words
from .about import AboutScreen
from .detail import AGAIN, COPY, PAUSE, spawn_words
from .group_blocks import about, ages, functions, line, looked_at, objects, places, shared_words, types
from .help import HelpScreen

PAST = "past"
LEAST_HIGH = HEIGHTS[-1][0]
BLOCKS = ("ages", "functions", "places", "common", "shared", "types")

MEMBERS = Key("members", "m", "m", "members", "the members, each by itself", 8)
KEYS = (HELP, BACK, MEMBERS, AGAIN, WINDOW, COPY, PAUSE, QUIT)


class GroupScreen(AboutScreen):
    """Everything about one group, or one supervisor. What is asked of the target is asked once, and again on a key."""

    DEFAULT_CSS = """
    GroupScreen #past { height: 9; margin-bottom: 1; }
    GroupScreen.-low #past { height: 7; }
    GroupScreen #past Chart { margin-right: 2; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (BACK, MEMBERS, AGAIN, COPY)]

    class Asked(Message):
        """The target is to be asked about the group (again)."""

        def __init__(self, screen: GroupScreen, question: GroupQuestion) -> None:
            super().__init__()
            self.screen, self.question = screen, question

    class SitesAsked(Message):
        """It is to be asked where these rows were made."""

        def __init__(self, screen: GroupScreen, row_ids: Sequence[int]) -> None:
            super().__init__()
            self.screen, self.row_ids = screen, tuple(row_ids)

    class MembersWanted(Message):
        """The user wants to see the members among the tasks."""

        def __init__(self, scope: Scope, title: str) -> None:
            super().__init__()
            self.scope, self.title = scope, title

    def __init__(self, scope: Scope, title: str, snapshot: Snapshot, view: View, place: str = "") -> None:
        """`place` is what is said of where it is in the tree."""
        super().__init__()
        self.scope = scope
        self._title, self._place = title, place
        self._view, self._snapshot = view, snapshot
        self._facts = group_facts(snapshot, scope, view.window)
        self._answer: GroupAnswer | None = None
        self._sites: dict[int, DetailAnswer] = {}
        self._is_asking = False
        self._remark = ""
        self._finding: Finding | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll(can_focus=True):
            names = ["finding", "facts", PAST, "memory", *BLOCKS]
            if self.app.size.height < LEAST_HIGH:  # numbers first, where there is no room for both
                names = ["finding", "facts", "memory", "ages", "functions", "places", PAST, *BLOCKS[3:]]
            for name in names:
                if name == PAST:
                    with Horizontal(id=PAST):
                        yield Chart(id="counts")
                        yield Chart(id="bytes")
                else:
                    yield Static(id=name)
        yield StatusLine()
        yield KeysLine(KEYS)
        yield TooSmall()

    def on_mount(self) -> None:
        self.action_ask_again()
        self._draw()  # also where there is nothing to ask

    def present(self, snapshot: Snapshot, view: View) -> None:
        """Show what is known of the group by now."""
        self._view, self._snapshot = view, snapshot
        self._facts = group_facts(snapshot, self.scope, view.window)
        if self.is_mounted:
            self._draw()

    def answer(self, answer: GroupAnswer) -> None:
        """Show what the target said. A refusal does not wipe out what was said before."""
        self._is_asking = False
        self._remark = ""
        if answer.problem and self._answer is not None and not self._answer.problem:
            self._remark = f"asked again: {answer.problem}"
        else:
            self._answer = answer
        if self.is_mounted:
            self._draw()

    def judge(self, verdict: Verdict) -> None:
        """What was found about the group is said first."""
        alone = self.scope.key is not None and self.scope.node is None
        self._finding = verdict.about("groups", self.scope.key) if alone else None

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _update(self, name: str, lines: list[Content]) -> None:
        widget = self.query_one(f"#{name}", Static)
        widget.display = bool(lines)
        if lines:
            widget.update(Content("\n").join(lines))

    def _draw(self) -> None:
        answer, found = self._answer, self._finding
        self._update("finding", [styled(f"⚠ {found.summary}", LEVEL_STYLES[found.level])] if found else [])
        self._update("facts", [*about(self._title, self._facts, self._place), *self._spawned()])
        self._draw_past()
        self._update("memory", self._memory())
        self._update("ages", ages(self._facts))
        self._update("functions", functions(self._facts) if self.scope.key is None else [])
        self._update("places", places(self._facts))
        known = answer if answer is not None and not answer.refusal else None
        self._update("common", objects("Shared only among them", known.common if known else ()))
        self._update(
            "shared", objects("Shared with others, each with what it retains itself", known.shared if known else ())
        )
        self._update("types", types(known) if known else [])

    def site(self, answer: DetailAnswer) -> None:
        """Show where a row was made, if that is known."""
        self._sites[answer.id] = answer
        if self.is_mounted:
            self._draw()

    def _spawned(self) -> list[Content]:
        """Where it was made itself, and where the newest of its tasks was."""
        lines = []
        for number, answer in self._sites.items():
            if number == self.scope.node and spawn_words(answer):
                lines.append(styled(f"spawned {spawn_words(answer)}", ""))
            elif answer.spawned_at:
                lines.append(styled(f"the newest of them was spawned at {place(answer.spawned_at)}", ""))
        return lines

    def _draw_past(self) -> None:
        """The charts, as soon as there is a line to be drawn."""
        known = past(self._snapshot, self.scope, self._view.window)
        self.query_one(f"#{PAST}").display = len(known.times) > 2
        what = "Children" if self._facts.children is not None else "How many"
        self._show_chart("#counts", what, "count", known.times, known.counts)
        self._show_chart("#bytes", "Memory", "bytes", known.bytes_times, known.bytes)

    def _show_chart(self, name: str, title: str, unit: Unit, xs: Array, ys: Array) -> None:
        now = self._snapshot.taken_at
        begin = max(now - self._view.window, float(xs[0])) if len(xs) > 2 else now - self._view.window
        series = ChartSeries(title, title, 0 if unit == "count" else 1, xs, ys)
        self.query_one(name, Chart).show(
            ChartView((series,), (begin, now), unit, timezone=self._view.tz, from_zero=False)
        )

    def _memory(self) -> list[Content]:
        answer, facts = self._answer, self._facts
        lines = []
        if answer is None or answer.refusal:
            waits = "asking …" if self._is_asking else f"not available: {answer.refusal if answer else 'nobody to ask'}"
            known = (
                "n/a" if facts.bytes is None else ("~" if facts.measured_share < 1 else "") + bytes_text(facts.bytes)
            )
            lines += [line("alone", known), line("together", waits)]
        else:
            lines.append(line("alone", sized_in_words(answer.alone, answer.alone_accuracy, answer.alone_error)))
            together = sized_in_words(answer.together, answer.together_accuracy, answer.together_error)
            lines.append(line("together", together, "bold"))
            lines.append(line("shared", shared_words(answer)))
        if facts.sizes is not None:
            sizes = facts.sizes
            texts = (bytes_text(size) for size in (sizes.least, sizes.median, sizes.most))
            each = "least {}, median {}, most {}".format(*texts)
            lines.append(line("each", each))
        notes = [self._remark, answer.note if answer is not None and not answer.refusal else ""]
        if self._is_asking and answer is not None:
            notes.append("asking again …")
        lines += [line("", note, "grow") for note in notes if note]
        return [styled(f"What they retain{looked_at(answer)}", "dim"), *lines]

    # -- what the user does ------------------------------------------------------------------------------------------

    def action_ask_again(self) -> None:
        """Ask the target once more."""
        question = self.scope.question(self._snapshot)
        self.post_message(self.SitesAsked(self, self.scope.examples(self._snapshot)))
        if question is None:
            self.answer(GroupAnswer(problem=self.scope.why_no_question(self._snapshot)))
            return
        self._is_asking = True
        self._draw()
        self.post_message(self.Asked(self, question))

    def action_members(self) -> None:
        """Leave, and show the members among the tasks."""
        if self.scope.key is None:
            self.notify("they are of several kinds: the tree shows them", timeout=2)
            return
        self.app.post_message(self.MembersWanted(self.scope, self._title))
        self.dismiss()

    def help(self) -> HelpScreen:
        """What explains this screen."""
        explanation = (
            "Everything about one group, or about what hangs under a supervisor: over time, how many and old, where "
            "they wait, and what would be freed if each went away (alone) or all of them did (together: what only they "
            "share counts, once). What others hold too would stay. The target is asked once, about one after the "
            "other, and again when you want it (u)."
        )
        return HelpScreen("All about it", explanation, (), KEYS)
