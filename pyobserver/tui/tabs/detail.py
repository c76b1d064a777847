"""The screen about one task: why is it here, what does it keep, and who keeps it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ...analysis.format import bytes_text, count, duration, growth_bytes, percent
from ...model.details import DetailAnswer
from ...model.snapshot import Snapshot
from ...model.tasks import Row
from ..actions import ActionLines
from ..bar import StatusLine, TooSmall, TopBar, styled
from ..keys import BACK, CANCEL, CREATIONS, HELP, QUIT, Key, KeysLine
from ..view import Tab, View
from ..widgets.text import fit
from ..words import NO_FUNCTION, NO_NAME, place, sized_in_words, typed
from .about import AboutScreen
from .help import HelpScreen

SHOWN = 12  # lines of each list
OUTSIDE_KINDS = ("thread", "child process")  # nobody awaits these, and no object keeps them
AWAITED_KINDS = ("asyncio task",)  # of which it is known who awaits them
OWNING_KINDS = ("nursery", "task_group", "gather", "executor")  # of nodes that keep what hangs under them
FRAMES_UNTIL = (3, 10)  # up to here the frames of running functions are objects that are there anyway
BLOCKS = ("owners", "chain", "stack", "variables", "types", "biggest")

IN_TREE = Key("show_in_tree", "t", "t", "in the tree", "its place in the tree", 8)
AGAIN = Key("ask_again", "u", "u", "ask again", "ask the target about it once more", 7)
VALUES = Key("values", "v", "v", "values", "ask for values, too, or no more: this reads data of the program", 6)
COPY = Key("copy", "y", "y", "copy", "copy all that is shown", 5)
PAUSE = Key("pause", "space", "space", "pause", "let the screen stand still, and go on", 4)
KEYS = (HELP, BACK, IN_TREE, AGAIN, VALUES, CANCEL, CREATIONS, COPY, PAUSE, QUIT)


class DetailScreen(AboutScreen):
    """Everything about one row. What is asked of the target is asked once, and again on a key."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (BACK, IN_TREE, AGAIN, VALUES, COPY)]

    class Asked(Message):
        """The details are to be asked for (again)."""

        def __init__(self, row_id: int, values: bool) -> None:
            super().__init__()
            self.row_id, self.values = row_id, values

    def __init__(self, row_id: int, snapshot: Snapshot, view: View, allows_actions: bool = False) -> None:
        super().__init__()
        self._allows_actions = allows_actions
        self.row_id = row_id
        self._view = view
        self._snapshot = snapshot
        self._row = snapshot.tasks.find(row_id)
        self._measured_at = _measured_at(snapshot, row_id)
        self._answer: DetailAnswer | None = None
        self._is_gone = False
        self._with_values = False

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll(can_focus=True):
            for name in ("facts", "note", *BLOCKS):
                yield Static(id=name)
        yield ActionLines()
        yield StatusLine()
        yield KeysLine(self._offered())
        yield TooSmall()

    def on_mount(self) -> None:
        self._draw()
        self.action_ask_again()

    def present(self, snapshot: Snapshot, view: View) -> None:
        """Show what is known of the row by now; a row that has gone keeps what was known."""
        self._view, self._snapshot = view, snapshot
        row = snapshot.tasks.find(self.row_id)
        self._is_gone = row is None
        self._row = row or self._row
        self._measured_at = _measured_at(snapshot, self.row_id) or self._measured_at
        if self.is_mounted:
            self._update("facts", self._facts())
            self._update("stack", _block("Stack, innermost first", self._stack()))
            self._update("owners", self._owners())  # they say how long ago it was created

    def answer(self, answer: DetailAnswer) -> None:
        """Show what the target said. A refusal does not wipe out what was said before."""
        if answer.id != self.row_id:
            return
        if answer.problem and self._answer is not None and not self._answer.problem:
            self._note(f"asked again: {answer.problem}")
            return
        self._answer = answer
        self._draw()

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _update(self, name: str, content: Content | None) -> None:
        widget = self.query_one(f"#{name}", Static)
        widget.display = content is not None
        if content is not None:
            widget.update(content)

    def _draw(self) -> None:
        answer = self._answer
        self._update("facts", self._facts())
        blocks: dict[str, Content | None] = dict.fromkeys(BLOCKS)
        blocks["stack"] = _block("Stack, innermost first", self._stack())
        if answer is None:
            self._note("asking the target …")
        elif answer.problem:
            self._note(f"not available: {answer.problem}")
        else:
            self._note(answer.note)
            blocks["chain"] = _block("Await chain, outermost first", _chain(answer))
            blocks["types"] = _block("Retains, by type", _by_type(answer))
            blocks["biggest"] = _block("The biggest, with their paths", _biggest(answer))
            hint = "" if self._with_values else " (v asks for values: data of the program)"
            blocks["variables"] = _block(f"Variables of the innermost{hint}", _variables(answer))
            blocks["owners"] = self._owners()
        for name, content in blocks.items():
            self._update(name, content)
        self.query_one(KeysLine).show(self._offered())

    def _offered(self) -> tuple[Key, ...]:
        """The keys that do something here."""
        has_values = self._answer is not None and bool(self._answer.variables)
        without = set() if self._allows_actions else {CANCEL, CREATIONS}
        if not has_values:
            without.add(VALUES)
        return tuple(key for key in KEYS if key not in without)

    def _note(self, text: str) -> None:
        self._update("note", styled(text, "grow") if text else None)

    def _facts(self) -> Content:
        row = self._row
        if row is None:
            return styled("this row is not there any more, and nothing is known of it", "grow")
        state = "ended" if row.ended or self._is_gone else row.state
        age = ("≥" if row.age_is_minimum else "") + duration(row.age_seconds)
        waits = (self._answer.waits if self._answer is not None else "") or row.waiting_on
        if waits.split(",")[0] != row.waiting_on:  # it has moved since it was asked
            waits = row.waiting_on
        doing = " ".join(part for part in (state, f"on {waits}" if waits else "") if part)
        if row.where:
            doing += f" at {place(row.where)}"
        first = [
            styled(row.name or NO_NAME, "bold"),
            styled(f"   {row.kind}   {row.function or NO_FUNCTION}", ""),
        ]
        second = [styled(doing, "dim" if state == "ended" else ""), styled(f" · age {age} · ", "")]
        kept = "its RSS is" if row.kind == "child process" else "retains"
        second.append(styled(f"{kept} {self._retains(row)}", "bold"))
        if row.growth:
            second.append(styled(f" · {growth_bytes(row.growth)}/min", "grow" if row.growth > 0 else ""))
        since = _since_baseline(self._snapshot, row)
        if since:
            second.append(styled(f" · {since}", "grow" if since.startswith("new") else ""))
        third = [f"moved in {percent(row.activity)} of our looks" if row.activity is not None else ""]
        if self._answer is not None and self._answer.blocked:
            third.append(f"seen holding its loop {count(self._answer.blocked)} times, 5 ms or longer each")
        third.append(f"CPU {duration(row.cpu_seconds)}" if row.cpu_seconds is not None else "")
        share = self._snapshot.thread_shares.get(row.os_id or 0) if row.kind == "thread" else None
        third.append(f"{percent(share)} of a core" if share is not None else "")
        third.append(f"{count(row.queue)} items wait for it" if row.queue is not None and row.queue else "")
        third.append("only the loop or its own future holds it" if row.unowned else "")
        lines = [Content("").join(first), Content("").join(second)]
        rest = " · ".join(part for part in third if part)
        if rest:
            lines.append(styled(rest, "dim"))
        return Content("\n").join(lines)

    def _retains(self, row: Row) -> str:
        answer = self._answer
        if answer is not None and answer.retained is not None:
            return sized_in_words(answer.retained, answer.accuracy, answer.error, self._age())
        if row.retained is None:
            return f"n/a: {self._why_unknown(row)}"
        return sized_in_words(row.retained, row.accuracy, row.error, self._age())

    def _age(self) -> float | None:
        """How long ago it was measured."""
        return None if not self._measured_at else max(0.0, self._snapshot.taken_at - self._measured_at)

    def _why_unknown(self, row: Row) -> str:
        facts = self._snapshot.facts
        if facts is not None and row.kind == "thread":
            return _why_no_thread(facts.python)
        if facts is None:
            return "there is no agent in the target"
        if facts.self_check != "ok":
            return facts.self_check
        return "it has not been measured yet"

    def _stack(self) -> list[Content]:
        """Where a thread is, as it is seen from outside."""
        row = self._row
        if row is None or row.kind != "thread":
            return []
        found = next((s for s in self._snapshot.stacks if s.thread_id == row.os_id), None)
        if found is None or not found.frames:
            why = self._snapshot.stacks_problem or "no Python code is running in it"
            return [styled(f"  not available: {why}", "dim")]
        lines = [
            Content("").join([styled(f"  {f.function}", ""), styled(f"   {place(f.file)}:{f.line}", "dim")])
            for f in found.frames[: 2 * SHOWN]
        ]
        more = len(found.frames) - len(lines)
        return [*lines, styled(f"  and {more} more", "dim")] if more else lines

    def _owners(self) -> Content | None:
        """Who keeps it, as of the answer, and how old it is by now."""
        answer, row = self._answer, self._row
        if answer is None or answer.problem or row is None or row.kind in OUTSIDE_KINDS:
            return None
        lines = []
        for path, kind, length in answer.holders[:SHOWN]:
            size = f" of {count(length)}" if length is not None else ""
            lines.append(
                Content("").join([styled(f"  held by     {path}", "bold"), styled(f"  ({kind}{size})", "dim")])
            )
        node = self._snapshot.nodes.get(row.parent)
        if node is not None and node.kind in OWNING_KINDS:
            detail = f"  ({place(node.detail)})" if node.detail else ""
            lines.append(Content("").join([styled(f"  owned by    {node.label}", "bold"), styled(detail, "dim")]))
        if row.kind in AWAITED_KINDS:
            waiters = ", ".join(label for _, label in answer.awaited_by[:SHOWN]) or "nobody"
            lines.append(styled(f"  awaited by  {waiters}", ""))
        if answer.created_at is not None:
            ago = duration(max(0.0, self._snapshot.taken_at - answer.created_at))
            lines.append(styled(f"  created     {self._view.date(answer.created_at)}, {ago} ago", ""))
        else:
            lines.append(styled("  created     before we attached", "dim"))
        if answer.spawned_at or answer.spawned_by:
            lines.append(styled(f"  spawned     {spawn_words(answer)}", ""))
        return _block("Who keeps it", lines)

    # -- what the user does ------------------------------------------------------------------------------------------

    def action_ask_again(self) -> None:
        """Ask the target once more."""
        self.post_message(self.Asked(self.row_id, self._with_values))

    def action_values(self) -> None:
        """Ask with values, or without them again."""
        self._with_values = not self._with_values
        if self._with_values:
            self.notify("reading values: what is shown is data of the program; v hides it again", timeout=5)
        self.action_ask_again()

    def action_show_in_tree(self) -> None:
        """Leave, and show the row in the tree."""
        self.app.post_message(Tab.PlaceWanted(self.row_id))
        self.dismiss()

    def help(self) -> HelpScreen:
        """What explains this screen."""
        explanation = (
            "Everything about one task: who keeps it, the coroutines that wait for each other in it, and what would be "
            "freed if it went away. What costs the target something is asked once, and again when you want it (u)."
        )
        return HelpScreen("One task", explanation, (), self._offered())


def _measured_at(snapshot: Snapshot, row_id: int) -> float:
    """When the row was measured, in Unix time; 0 when that is not known."""
    position = snapshot.tasks.position(row_id)
    return 0.0 if position is None else float(snapshot.tasks["measured_at"][position])


def _why_no_thread(python: str) -> str:
    """Why it is not known what a thread retains, on this version of Python."""
    numbers = tuple(int(part) for part in python.split(".")[:2] if part.isdigit())
    if numbers > FRAMES_UNTIL:
        return f"on Python {python} a thread's variables cannot be read without making objects that stay in it"
    return "it has not been measured yet, or runs no Python code"


def spawn_words(answer: DetailAnswer) -> str:
    """Return where something was made and by which task, as far as that is known: "at a.py:71 f, by Task-1"."""
    at = [f"at {place(answer.spawned_at)}"] if answer.spawned_at else []
    return ", ".join([*at, *(f"by {label}" for _, label in answer.spawned_by)])


def _since_baseline(snapshot: Snapshot, row: Row) -> str:
    """What has changed since the baseline was set: the row may be new; "" when there is none, or nothing is known."""
    position = snapshot.tasks.position(row.id)
    if snapshot.baseline is None or position is None:
        return ""
    marked = float(snapshot.tasks["marked"][position])
    if not math.isnan(marked):
        return f"{growth_bytes(row.retained - marked)} since baseline" if row.retained is not None else ""
    created = float(snapshot.tasks["created"][position])
    return "new since baseline" if created >= snapshot.baseline.time else ""


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
        styled(
            f"  {fit(kind, 34, cut='start')} {fit(count(number), 9, 'right')} {fit(bytes_text(size), 10, 'right')}", ""
        )
        for kind, number, size in answer.by_type[:SHOWN]
    ]


def _biggest(answer: DetailAnswer) -> list[Content]:
    lines = []
    for path, kind, length, size, value in answer.biggest[:SHOWN]:
        lines.append(
            Content("").join(
                [
                    styled(f"  {fit(bytes_text(size), 10, 'right')}  {path}: {typed(kind, length)}", ""),
                    styled(f"  {value}" if value else "", "dim"),
                ]
            )
        )
    return lines


def _variables(answer: DetailAnswer) -> list[Content]:
    lines = []
    function = ""
    for each in answer.variables[: 2 * SHOWN]:
        if each.function != function:
            function = each.function
            lines.append(styled(f"  {function}", ""))
        value = f" = {each.value}" if each.value else ""
        kind = styled(f"  {typed(each.type, each.length)}", "dim")
        lines.append(Content("").join([styled(f"    {each.name}{value}", ""), kind]))
    if len(answer.variables) > 2 * SHOWN:
        lines.append(styled(f"  and {len(answer.variables) - 2 * SHOWN} more", "dim"))
    return lines
