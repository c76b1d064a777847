"""The screen about one group: why are there so many, how old, and what do they keep, alone and together?"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ...analysis.findings import Finding, Verdict
from ...analysis.format import bytes_text, count, duration, growth_bytes, growth_count, percent
from ...analysis.group_facts import GroupFacts, Scope, ended_words, group_facts
from ...model.details import GroupAnswer, GroupQuestion, SharedObject
from ...model.store import Snapshot
from ..bar import LEVEL_STYLES, StatusLine, TooSmall, TopBar, styled
from ..keys import BACK, HELP, QUIT, Key, KeysLine
from ..view import View
from ..widgets.text import fit
from ..words import UNSURE, changed, place, short_kind, sized_in_words
from .about import AboutScreen
from .detail import AGAIN, COPY, PAUSE
from .help import HelpScreen

SHOWN = 10  # lines of each list
BAR = 30  # cells
BLOCKS = ("ages", "places", "common", "shared", "types")

MEMBERS = Key("members", "m", "m", "members", "the members, each by itself", 8)
KEYS = (HELP, BACK, MEMBERS, AGAIN, COPY, PAUSE, QUIT)


class GroupScreen(AboutScreen):
    """Everything about one group. What is asked of the target is asked once, and again on a key."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (BACK, MEMBERS, AGAIN, COPY)]

    class Asked(Message):
        """The target is to be asked about the group (again)."""

        def __init__(self, screen: GroupScreen, question: GroupQuestion) -> None:
            super().__init__()
            self.screen, self.question = screen, question

    class MembersWanted(Message):
        """The user wants to see the members among the tasks."""

        def __init__(self, scope: Scope, title: str) -> None:
            super().__init__()
            self.scope, self.title = scope, title

    def __init__(self, scope: Scope, title: str, snapshot: Snapshot, view: View) -> None:
        super().__init__()
        self.scope = scope
        self._title = title
        self._view, self._snapshot = view, snapshot
        self._facts = group_facts(snapshot, scope, view.window)
        self._answer: GroupAnswer | None = None
        self._is_asking = False
        self._remark = ""
        self._finding: Finding | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll(can_focus=True):
            for name in ("finding", "facts", "memory", *BLOCKS):
                yield Static(id=name)
        yield StatusLine()
        yield KeysLine(KEYS)
        yield TooSmall()

    def on_mount(self) -> None:
        self.action_ask_again()

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
        self._update("facts", _about(self._title, self._facts))
        self._update("memory", self._memory())
        self._update("ages", _ages(self._facts))
        self._update("places", _places(self._facts))
        known = answer if answer is not None and not answer.problem else None
        self._update("common", _objects("Shared only among them", known.common if known else ()))
        self._update(
            "shared", _objects("Shared with others, each with what it retains itself", known.shared if known else ())
        )
        self._update("types", _types(known) if known else [])

    def _memory(self) -> list[Content]:
        answer, facts = self._answer, self._facts
        lines = []
        if answer is None or answer.problem:
            waits = "asking …" if self._is_asking else f"not available: {answer.problem if answer else 'nobody to ask'}"
            known = (
                "n/a" if facts.bytes is None else ("~" if facts.measured_share < 1 else "") + bytes_text(facts.bytes)
            )
            lines += [_line("alone", known), _line("together", waits)]
        else:
            lines.append(_line("alone", sized_in_words(answer.alone, answer.alone_accuracy, answer.alone_error)))
            together = sized_in_words(answer.together, answer.together_accuracy, answer.together_error)
            lines.append(_line("together", together, "bold"))
            lines.append(_line("shared", _shared_words(answer)))
        if facts.sizes is not None:
            sizes = facts.sizes
            texts = (bytes_text(size) for size in (sizes.least, sizes.median, sizes.most))
            each = "least {}, median {}, most {}".format(*texts)
            lines.append(_line("each", each))
        notes = [self._remark, answer.note if answer is not None else ""]
        if self._is_asking and answer is not None:
            notes.append("asking again …")
        lines += [_line("", note, "grow") for note in notes if note]
        return [styled(f"What they retain{_looked_at(answer)}", "dim"), *lines]

    # -- what the user does ------------------------------------------------------------------------------------------

    def action_ask_again(self) -> None:
        """Ask the target once more."""
        question = self.scope.question(self._snapshot.tasks)
        if question is None:
            self.answer(GroupAnswer(problem="there is no task of them that could be asked about"))
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
            "Everything about one group: how many and how old, where they wait, and what would be freed if each went "
            "away (alone) or all of them did (together: what only they share counts, once). What others hold too would "
            "stay. The target is asked once, a task after the other, and again when you want it (u)."
        )
        return HelpScreen("One group", explanation, (), KEYS)


def _looked_at(answer: GroupAnswer | None) -> str:
    """How many the answer rests on, and what it has cost."""
    if answer is None or answer.problem:
        return ""
    return f": {count(answer.looked_at)} of {count(answer.members)} looked at, {1000 * answer.seconds:.0f} ms of work"


def _shared_words(answer: GroupAnswer) -> str:
    if answer.together is None:
        return "n/a"
    if not answer.shared_objects:
        return "nothing of any size that others hold, too"
    objects = f"{count(answer.shared_objects)} object{'s' if answer.shared_objects != 1 else ''}"
    return f"{bytes_text(answer.shared_bytes)} in {objects} that others hold, too"


def _line(name: str, text: str, style: str = "") -> Content:
    return Content("").join([styled(f"  {fit(name, 10)}", "dim"), styled(text, style)])


def _about(title: str, facts: GroupFacts) -> list[Content]:
    first = [
        styled(title, "bold"),
        styled(f"   {count(facts.count)} {facts.kind}{'s' if facts.count != 1 else ''}", ""),
    ]
    growth = []
    if facts.count_growth is not None:
        growth.append(_grown(f"{growth_count(facts.count_growth)}/min", facts.count_growth))
    if facts.bytes_growth is not None:
        growth.append(_grown(f"{growth_bytes(facts.bytes_growth)}/min", facts.bytes_growth))
    if facts.marked_count is not None:
        size = f", {growth_bytes(facts.marked_bytes)}" if facts.marked_bytes is not None else ""
        growth.append(styled(f"since baseline {changed(facts.marked_count)}{size}", ""))
    lines = [Content("").join(first)]
    if growth:
        lines.append(Content("  ").join(growth))
    longest = duration(facts.longest_ended) if facts.longest_ended is not None else ""
    ended = ended_words(facts, longest)
    if ended:
        lines.append(styled(f"{ended} (in {duration(facts.watched)})", "grow" if facts.never_ends else ""))
    return lines


def _grown(text: str, number: float) -> Content:
    return styled(text, "grow" if number > 0 and text.startswith("+") else "")


def _ages(facts: GroupFacts) -> list[Content]:
    """A bar for each order of magnitude that there are any of, with those between."""
    there = [i for i, bucket in enumerate(facts.ages) if bucket.count]
    if not there:
        return []
    oldest = ("≥" if facts.oldest_is_minimum else "") + duration(facts.oldest)
    minimum = ", ≥ there before us, so at least" if any(bucket.minimum for bucket in facts.ages) else ""
    lines = [styled(f"Age: the oldest {oldest}{minimum}", "dim")]
    most = max(bucket.count for bucket in facts.ages)
    for bucket in facts.ages[there[0] : there[-1] + 1]:
        cells = max(1, round(BAR * bucket.count / most)) if bucket.count else 0
        sign = "≥" if bucket.minimum else " "
        text = f"  {sign}{fit(bucket.label, 9)} {fit(count(bucket.count), 8, 'right')}  "
        share = f" {_share(bucket.count / facts.count)}" if bucket.count else ""
        lines.append(Content("").join([styled(text, ""), styled("█" * cells, "quiet"), styled(share, "dim")]))
    if facts.unknown_ages:
        lines.append(_line("not known", count(facts.unknown_ages), "dim"))
    return lines


def _share(share: float) -> str:
    return percent(share) if share >= 0.005 else "< 1 %"


def _places(facts: GroupFacts) -> list[Content]:
    if not facts.places:
        return []
    lines = [styled("Where they wait", "dim")]
    for at in facts.places:
        line = [styled(f"  {fit(count(at.count), 8, 'right')}  {place(at.where) or '(not known)'}", "")]
        lines.append(Content("").join([*line, styled(f"  {at.waiting}", "dim")]))
    if facts.more_places:
        lines.append(styled(f"  {fit(count(facts.more_places), 8, 'right')}  elsewhere", "dim"))
    return lines


def _objects(title: str, objects: tuple[SharedObject, ...]) -> list[Content]:
    if not objects:
        return []
    lines = [styled(title, "dim")]
    for one in objects[:SHOWN]:
        items = f", {count(one.length)} items" if one.length is not None else ""
        known = f", known to {count(one.members)}"
        text = f"  {fit(bytes_text(one.bytes), 10, 'right')}  {one.path}: {short_kind(one.type)}{items}"
        lines.append(Content("").join([styled(text, ""), styled(known, "dim")]))
    return lines


def _types(answer: GroupAnswer) -> list[Content]:
    if not answer.by_type:
        return []
    is_estimate = answer.by_type_members < answer.members
    sign = UNSURE["sampled"] if is_estimate else ""
    lines = [styled(f"Alone, by type (from {count(answer.by_type_members)} of them)", "dim")]
    for kind, number, size in answer.by_type[:SHOWN]:
        text = f"{fit(sign + count(number), 10, 'right')} {fit(sign + bytes_text(size), 11, 'right')}"
        lines.append(styled(f"  {fit(kind, 34)} {text}", ""))
    return lines
