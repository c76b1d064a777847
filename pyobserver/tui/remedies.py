"""What can be done about memory, and to learn where tasks are made: the question before it says what it costs, a line
what it has done, a table what a trace has found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ..analysis.format import bytes_text, count, duration, percent
from ..model.actions import ASKED, ENDED, LOST, REFUSED, SENT, Action, Outcome, Settings, Site
from ..model.snapshot import Snapshot
from .bar import TooSmall, styled
from .tabs.help import Modal
from .widgets.text import broken, fit, shorten

REMEDIES = {
    "collect": "collecting garbage",
    "trim": "giving memory back",
    "trace": "tracing allocations",
    "creations": "noting where tasks are made",
}
SECONDS = (10, 30, 60)  # that a trace may be asked for
TRACE_RESULT = "last"
OFF = "off"  # the answer that ends the noting of where tasks are made
_TITLES = {
    "collect": "Collect garbage?",
    "trim": "Give memory back?",
    "trace": "Trace allocations?",
    "creations": "Note where tasks are made?",
}
_KEYS = {"collect": "c", "trim": "e", "trace": "l", "creations": "w"}
_COLLECT_SECONDS_PER_BYTE = (0.8e-9, 1.1e-9)  # measured at 120 MB and 1.3 GB in use, half of it tracked objects
_LOADS = (
    "The extension _ctypes will be loaded into the program for it: under a millisecond where its file is at hand, and "
    "0.2 to 0.4 MB stay."
)


def not_allowed(name: str) -> str:
    """What is said to a user who has not allowed actions."""
    return f"{_KEYS[name]} ({REMEDIES[name]}) works only when pyobserver was started with --allow-actions"


def why_not(name: str, snapshot: Snapshot) -> str:
    """Why it cannot be asked for, as far as the agent has said; "" if it can."""
    prospects = snapshot.tick.prospects if snapshot.tick is not None else None
    if prospects is None:
        return "the agent has not said yet what can be done"
    if name == "trace" and prospects.tracing:
        return "the program traces its allocations itself"
    return prospects.collect if name == "collect" else ""


def settings_for(name: str, answer: str) -> Settings:
    """Return what an action is asked for with. The answer is that of its question: "yes", or seconds."""
    if name == "collect":
        return {}
    if name == "creations":
        return {"on": answer != OFF}
    load = {"load": True}  # the question has told so, where it has to be
    return {**load, "seconds": int(answer)} if name == "trace" else load


def is_tracing(snapshot: Snapshot) -> bool:
    """Whether a trace that we have asked for is going on."""
    return any(action.name == "trace" and not action.final for action in snapshot.actions)


def is_noting(snapshot: Snapshot) -> bool:
    """Whether it is noted for us where tasks are made."""
    return any(a.name == "creations" and not a.final and _turns_on(a) for a in snapshot.actions)


def _turns_on(action: Action) -> bool:
    return action.settings is None or action.settings.get("on") is not False


def is_told_elsewhere(action: Action) -> bool:
    """Whether the line about another action says the same: what has ended the noting of tasks, about that."""
    return action.name == "creations" and action.state == ENDED and not _turns_on(action)


def finished_traces(snapshot: Snapshot) -> list[Action]:
    """The traces that are over, with what they have found; the last one last."""
    return [a for a in snapshot.actions if a.name == "trace" and a.state == ENDED and a.outcome is not None]


def remedy_hints(snapshot: Snapshot) -> dict[str, str]:
    """The keys that do something, with what they do."""
    return {"collect": "", "trim": "", "trace": "stop trace" if is_tracing(snapshot) else ""}


# -- before -----------------------------------------------------------------------------------------------------------


class RemedyQuestion(Modal):
    """Whether it is to be done; returns "yes", for a trace its seconds, "last" for the last result, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes", show=False),
        Binding("n", "close", "No", show=False),
    ]

    def __init__(self, name: str, snapshot: Snapshot) -> None:
        super().__init__()
        self._remedy = name
        self._snapshot = snapshot
        self._first_yes = str(SECONDS[0]) if name == "trace" else "yes"

    def compose(self) -> ComposeResult:
        box = OptionList(
            Option(self._text(), disabled=True),
            Option("No, leave it", id="no"),
            *self._choices(),
        )
        box.border_title = _TITLES[self._remedy]
        box.border_subtitle = "Enter chooses, y: yes, n or Esc: no"
        yield box
        yield TooSmall()

    def _choices(self) -> list[Option]:
        if self._remedy != "trace":
            return [Option("Yes, do it (y)", id="yes")]
        options = [Option(f"Yes, for {s} s{' (y)' if s == SECONDS[0] else ''}", id=str(s)) for s in SECONDS]
        if finished_traces(self._snapshot):
            options.append(Option("Show what the last trace has found", id=TRACE_RESULT))
        return options

    def on_mount(self) -> None:
        """Begin at No: one more Enter changes nothing."""
        self.query_one(OptionList).highlighted = 1

    def _text(self) -> Content:
        width = max(30, min(76, self.app.size.width - 8))
        lines = [line for text in question(self._remedy, self._snapshot) for line in [*broken(text, width), ""]]
        return Content("\n").join([styled(line, "") for line in lines[:-1]])

    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(self._first_yes)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(None if event.option.id == "no" else event.option.id)


def question(name: str, snapshot: Snapshot) -> list[str]:
    """What an action does and costs, a paragraph each."""
    told = _QUESTIONS[name](snapshot)
    prospects = snapshot.tick.prospects if snapshot.tick is not None else None
    loads = name in ("trim", "trace") and prospects is not None and not prospects.foreign
    return [*told, _LOADS] if loads else told


def _before_collect(snapshot: Snapshot) -> list[str]:
    told = ["gc.collect() runs in the thread of the program's event loop, with finalizers and gc.callbacks."]
    last = [a.outcome for a in snapshot.actions if a.name == "collect" and a.outcome is not None]
    in_use = _allocator(snapshot, "python")[0]
    if last:
        told.append(f"The program stands still meanwhile: the last time for {_short(last[-1].held_seconds)}.")
    elif in_use is not None:
        least, most = (_short(in_use * rate) for rate in _COLLECT_SECONDS_PER_BYTE)
        told.append(
            f"The program stands still meanwhile: predicted {least} to {most}, from {bytes_text(in_use)} of Python "
            "objects in use; less where most are strings and numbers, up to three times that where most are tiny."
        )
    else:
        told.append("The program stands still meanwhile; for how long cannot be predicted without its objects' size.")
    return told


def _before_trim(snapshot: Snapshot) -> list[str]:
    in_use, held = _allocator(snapshot, "c_heap")
    if in_use is not None and held is not None:
        most = f"at most {bytes_text(max(0, held - in_use))}: what the C heap holds, but nobody uses"
    elif held is not None:
        most = f"less than the {bytes_text(held)} that the C heap holds; how much of that is free is not known"
    else:
        most = "how much is not known"
    return [
        f"malloc gives back to the system what was freed: {most}. What Python holds for small objects is not in it.",
        "It runs in the agent's thread without the interpreter lock, but whoever needs malloc waits: 5 to 130 ms were "
        "measured where it gave back up to 670 MB.",
    ]


def _before_trace(snapshot: Snapshot) -> list[str]:
    return [
        "Python's own tracer is on for that time, with one line for each block. Code that allocates is 5 to 9 times "
        "slower meanwhile, and each block that stays takes about 65 bytes more; at 8 MB it ends early.",
        "At the end the program stands still: 0.2 s were measured at 320,000 blocks. The tracer is off when this "
        "observer goes or the agent ends, too.",
        "What is found: the lines whose blocks were allocated meanwhile and are still there. "
        "Memory that libraries allocate past Python is not seen.",
    ]


def _before_creations(snapshot: Snapshot) -> list[str]:
    prospects = snapshot.tick.prospects if snapshot.tick is not None else None
    seconds = prospects.creation_seconds if prospects is not None else None
    cost = "" if seconds is None else f", about {seconds * 1e6:.1f} µs"
    told = [
        "A task factory is put into each event loop, in front of the program's own. It runs in the program, for each "
        f"task that is made from now on{cost}: the line and the task that make it. Tasks that are there already tell "
        "nothing.",
        "A task's screen and o (about it) show the line, and the tree which task has made it. w ends it; so does the "
        "end of this observer. A factory that the program has wrapped meanwhile stays, and only passes on.",
    ]
    if prospects is not None and prospects.creations:
        told.append("It is noted already, for another observer: that costs nothing more.")
    return told


_QUESTIONS: Mapping[str, Callable[[Snapshot], list[str]]] = {
    "collect": _before_collect,
    "trim": _before_trim,
    "trace": _before_trace,
    "creations": _before_creations,
}


def _allocator(snapshot: Snapshot, name: str) -> tuple[int | None, int | None]:
    """Return bytes (in use, held) of an allocator."""
    found = snapshot.memory.allocators if snapshot.memory is not None else ()
    return next(((a.in_use, a.held) for a in found if a.name == name), (None, None))


# -- meanwhile and after ----------------------------------------------------------------------------------------------


def remedy_words(action: Action, now: float) -> tuple[str, str]:
    """Return (what has come of an action, how it is to be seen)."""
    since = duration(max(0.0, now - action.asked_at))
    why = f": {action.text}" if action.text else ""
    if action.name == "creations":
        return _creations_words(action, since, why)
    said, style = {
        SENT: (f"asked for {since} ago, no answer yet", "grow"),
        LOST: (f"not known what came of it{why}", "limit"),
        REFUSED: (f"not done{why}", "limit"),
        ENDED: (_done(action), ""),
        ASKED: (f"{_left(action, now) or f'not done after {since}'}{why}", "grow"),
    }.get(action.state, (action.state, ""))
    if action.state == ASKED and action.final:
        said, style = f"given up after {since}{why}", "limit"
    return f"{REMEDIES[action.name]}: {said}", style


def _creations_words(action: Action, since: str, why: str) -> tuple[str, str]:
    """The same of noting where tasks are made. What ends it is told by the end of what began it."""
    is_on = _turns_on(action)
    said, style = {
        SENT: (f"asked for {since} ago, no answer yet", "grow"),
        LOST: ("over: the agent is not there any more", "limit"),
        REFUSED: (f"not {'done' if is_on else 'ended'}{why}", "limit"),
        ENDED: (f"ended{why}" if is_on else "ended", ""),
    }.get(action.state, (f"for {since}; w ends it", "grow"))
    return f"{REMEDIES[action.name]}: {said}", style


def _left(action: Action, now: float) -> str:
    """How long a trace goes on."""
    if action.name != "trace" or action.settings is None:
        return ""
    left = float(action.settings.get("seconds", 0.0)) - (now - action.asked_at)
    return f"{left:.0f} s left, l ends it" if left > 0 else "counting what was found"


def _done(action: Action) -> str:
    outcome = action.outcome
    if outcome is None:
        return f"done{': ' + action.text if action.text else ''}"
    if action.name == "trace":
        text = f"; {action.text}" if action.text else ""
        return f"{_trace_words(outcome)}{text}"
    rss = "RSS not known"
    if outcome.rss_before is not None and outcome.rss_after is not None:
        rss = f"RSS {bytes_text(outcome.rss_before)} before, {bytes_text(outcome.rss_after)} after"
    if action.name == "trim":
        return f"done in {_short(outcome.held_seconds)} ({outcome.way}) · {rss}"
    stays = f", {count(outcome.uncollectable)} uncollectable" if outcome.uncollectable else ""
    return f"{count(outcome.found)} objects freed in {_short(outcome.held_seconds)}{stays} · {rss}"


def _trace_words(outcome: Outcome) -> str:
    seconds = outcome.traced_seconds or 0.0
    return (
        f"in {seconds:.1f} s {bytes_text(outcome.bytes)} in {count(outcome.blocks)} blocks were allocated and stayed, "
        f"at {count(outcome.places)} lines; the program stood still for {_short(outcome.held_seconds)}"
    )


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1.0 else f"{max(1.0, seconds * 1000.0):.0f} ms"


class TraceResult(Modal):
    """What a trace has found: a line of the program in each line, the largest first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "Copy", show=False)]

    def __init__(self, action: Action) -> None:
        super().__init__()
        self._action = action
        self._outcome = action.outcome or Outcome(0.0)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True) as box:
            box.border_title = "Allocated in the trace, and still there"
            box.border_subtitle = "y copies, Esc closes"
            yield Static(self._text())
        yield TooSmall()

    def _text(self) -> Content:
        width = max(40, min(110, self.app.size.width - 8))
        lines = [styled(line, "dim") for line in broken(self._about(), width)]
        lines.append(Content(""))
        room = width - 32
        lines.append(styled(fit("Line", room) + f"{'Bytes':>10}{'Blocks':>12}{'Share':>8}", "bold"))
        for site in self._outcome.sites:
            numbers = f"{bytes_text(site.bytes):>10}{count(site.blocks):>12}{percent(self._share(site)):>8}"
            where = fit(shorten(f"{site.file}:{site.line}", room - 1, "start"), room)
            lines.append(styled(where + numbers, ""))
        if not self._outcome.sites:
            lines.append(styled("nothing that was allocated meanwhile is still there", "dim"))
        return Content("\n").join(lines)

    def _about(self) -> str:
        more = self._outcome.places - len(self._outcome.sites)
        rest = (
            f" The {len(self._outcome.sites)} largest of {self._outcome.places:,} lines are shown." if more > 0 else ""
        )
        early = f" It was {self._action.text}." if self._action.text else ""
        words = _trace_words(self._outcome)
        return f"{words[0].upper()}{words[1:]}.{early}{rest}"

    def _share(self, site: Site) -> float:
        return site.bytes / self._outcome.bytes if self._outcome.bytes else 0.0

    def action_copy(self) -> None:
        """Copy the lines, their columns divided by tabs."""
        self.app.copy_to_clipboard(copied(self._outcome.sites))
        self.notify("copied", timeout=2)


def copied(sites: Sequence[Site]) -> str:
    """The lines as text, their columns divided by tabs: whole paths, and bytes as numbers."""
    return "\n".join(f"{site.file}:{site.line}\t{site.bytes}\t{site.blocks}" for site in sites)
