"""The findings: the list of them, and the walk through the evidence of one, each step on its own screen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ..analysis.findings import LEVEL_WORDS, Answer, Finding, Step, Verdict
from .bar import LEVEL_STYLES, Line, TooSmall, styled
from .tabs.help import Modal
from .widgets.text import broken

SWITCH = "switch "  # before the kind, in what the list returns when one is to be switched off or on
LEVEL_CELLS = 16
KEYS_CELLS = 28  # beside a step: which keys go on
_STATES = {
    "nothing": "nothing found",
    "too early": "too early",
    "not available": "not available",
    "switched off": "switched off (--allow)",
}


class FindingsScreen(Modal):
    """All that was found, then what was looked for in vain; returns the number of the finding that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "close", "Close", show=False),
        Binding("x", "switch", "Switch off", show=False),
    ]

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict
        self._kinds: list[str] = []  # of the lines

    def compose(self) -> ComposeResult:
        box = OptionList(*self._options())
        box.border_title = self._title()
        box.border_subtitle = "Enter walks through the evidence, x switches a kind off and on, Esc closes"
        yield box
        yield TooSmall()

    def judge(self, verdict: Verdict) -> None:
        """Show another verdict: the cursor stays on what it is on, as long as that is told."""
        before, self.verdict = self.verdict, verdict
        if verdict == before or not self.is_mounted:
            return
        box = self.query_one(OptionList)
        at = box.highlighted
        place = before.findings[at].key if at is not None and at < len(before.findings) else None
        box.clear_options().add_options(self._options())
        keys = [each.key for each in verdict.findings]
        box.highlighted = keys.index(place) if place in keys else min(at or 0, box.option_count - 1)
        box.border_title = self._title()

    def _title(self) -> str:
        number = len(self.verdict.findings)
        return "Nothing found" if not number else "1 finding" if number == 1 else f"{number} findings"

    def _options(self) -> list[Option]:
        width = max(40, min(104, self.app.size.width - 12))
        options = []
        self._kinds = []
        for number, finding in enumerate(self.verdict.findings):
            self._kinds.append(finding.kind)
            options.append(Option(_found(finding, width), id=str(number)))
        for answer in self.verdict.answers:
            if not answer.findings:
                self._kinds.append(answer.check.name)
                options.append(Option(_answered(answer, width), id=f"{SWITCH}{answer.check.name}"))
        return options

    def on_mount(self) -> None:
        """Begin at the most serious."""
        self.query_one(OptionList).highlighted = 0

    def action_switch(self) -> None:
        """Switch the kind under the cursor off, or on again."""
        at = self.query_one(OptionList).highlighted
        if at is not None and at < len(self._kinds):
            self.dismiss(SWITCH + self._kinds[at])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        chosen = event.option.id or ""
        if not chosen.startswith(SWITCH):
            self.dismiss(chosen)


def _found(finding: Finding, width: int) -> Content:
    """A finding in some lines: how serious, which kind, and the sentence."""
    style = LEVEL_STYLES[finding.level]
    sentence = broken(finding.summary, width - LEVEL_CELLS)
    lead = f"⚠ {LEVEL_WORDS[finding.level]}".ljust(LEVEL_CELLS)
    lines = [Content("").join([styled(lead, style), styled(sentence[0], "")])]
    second = finding.kind.replace("_", " ")
    for place, line in enumerate(sentence[1:]):
        margin = f"  {second}".ljust(LEVEL_CELLS) if place == 0 else " " * LEVEL_CELLS
        lines.append(Content("").join([styled(margin, "dim"), styled(line, "")]))
    if finding.reason:
        for line in broken(f"not more than that: {finding.reason}", width - LEVEL_CELLS):
            lines.append(styled(" " * LEVEL_CELLS + line, "dim"))
    return Content("\n").join(lines)


def _answered(answer: Answer, width: int) -> Content:
    """What was looked for, and why nothing is told of it."""
    text = f"{_STATES[answer.state]}: {answer.waits or answer.check.about}"
    name = answer.check.name.replace("_", " ").ljust(LEVEL_CELLS)
    first, *rest = broken(text, width - LEVEL_CELLS)
    lines = [styled(f"{name}{first}", "dim"), *(styled(" " * LEVEL_CELLS + line, "dim") for line in rest)]
    return Content("\n").join(lines)


@dataclass(frozen=True)
class Walk:
    """A walk through the evidence of a finding, at one of its steps."""

    finding: Finding
    at: int = 0

    @property
    def step(self) -> Step:
        """The step that is shown."""
        return self.finding.steps[self.at]

    @property
    def following(self) -> Walk | None:
        """The walk at its next step, None behind the last."""
        return replace(self, at=self.at + 1) if self.at + 1 < len(self.finding.steps) else None

    @property
    def words(self) -> str:
        """What the step says, and which it is."""
        return f"evidence {self.at + 1} of {len(self.finding.steps)}: {self.step.text}"


class EvidenceLine(Line):
    """The step of the evidence that is shown; nothing while nobody walks."""

    DEFAULT_CSS = "EvidenceLine { height: 0; background: $boost; }"

    def show(self, walk: Walk | None) -> None:
        """Show a step, or nothing."""
        self.change(walk)
        self._fit()

    def on_resize(self) -> None:
        """The same words may need another line now."""
        self._fit()

    def _fit(self) -> None:
        height = len(self._lines(self.app.size.width))
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height

    def _lines(self, width: int) -> list[str]:
        walk = self._shown
        return broken(walk.words, max(20, width - KEYS_CELLS), 2) if isinstance(walk, Walk) else []

    def render(self) -> Content:
        walk = self._shown
        if not isinstance(walk, Walk):
            return Content("")
        keys = "Enter: next, Esc: leave" if walk.following is not None else "Enter or Esc: done"
        first, *rest = self._lines(self.size.width)
        style = LEVEL_STYLES[walk.finding.level]
        lines = [Content("").join([styled(f" {first}", style), styled(f"   {keys}", "dim")])]
        return Content("\n").join([*lines, *(styled(f" {line}", style) for line in rest)])
