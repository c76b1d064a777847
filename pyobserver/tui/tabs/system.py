"""The tab of the system: what the process is, what it uses, and what observing costs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from ...analysis.format import UNKNOWN, bytes_text, count, duration, percent
from ...analysis.groups import kind_counts
from ...model.readings import Limit, ThreadStack
from ...model.snapshot import Phase, Snapshot
from ..bar import CLOSE_SHARE, styled
from ..view import Tab, View
from ..widgets.text import broken, fit, printable, shorten
from ..words import exit_words, place

LABEL_WIDTH = 17
WAITING_SHARE = 0.1  # of the time that tasks wait for memory: from here on it is marked
MOST_LINES = 6  # of a value that says what is wrong, and of the command
METHODS = {
    "pep768": "safe external debugger interface (PEP 768)",
    "ptrace": "ptrace, one thread for a moment",
    "preloaded": "loaded with the program",
    "existing": "joined an agent that was there",
}
THREAD_STATES = {"R": "running", "S": "sleeping", "D": "in the kernel", "T": "stopped", "t": "traced", "Z": "ended"}


@dataclass(frozen=True)
class Fact:
    """A line of a block: a label, a value, and how the value is to be seen."""

    label: str
    value: str
    style: str = ""

    @property
    def most_lines(self) -> int:
        """A problem, the command and what limits the memory are said to their end; other values are cut."""
        return MOST_LINES if self.style in ("grow", "limit") or self.label in ("command", "memory") else 1


class Block(Widget):
    """A title with facts under it, as high as they need at the width that there is."""

    DEFAULT_CSS = "Block { height: auto; margin: 0 1 1 1; }"

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(id=id)
        self._title = title
        self._facts: tuple[Fact, ...] = ()

    def show(self, facts: Sequence[Fact], text: str = "") -> None:
        """Show the facts that have `text` in them; drawn again only when one has changed."""
        found = tuple(fact for fact in facts if text in f"{fact.label} {fact.value}".casefold())
        self.display = bool(found)
        if found != self._facts:
            self._facts = found
            self.refresh(layout=True)

    def text(self) -> str:
        """All of it as plain text."""
        return "\n".join([self._title, *(f"{fact.label}\t{fact.value}" for fact in self._facts)])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """How many lines it needs."""
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.size.width))

    def _lines(self, width: int) -> list[Content]:
        lines = [styled(self._title, "bold")]
        for fact in self._facts:
            label = fit(fact.label, LABEL_WIDTH) if fact.label else "  "
            room, most = max(8, width - len(label) - 1), fact.most_lines
            for i, text in enumerate([shorten(fact.value, room)] if most == 1 else broken(fact.value, room, most)):
                lead = label if i == 0 else " " * len(label)
                lines.append(Content("").join([styled(lead, "dim"), styled(text, fact.style)]))
        return lines


class SystemTab(Tab):
    """Facts in two columns, one on a narrow terminal."""

    title = "System"
    short_title = "System"
    period = 1.0
    explanation: ClassVar[str] = (
        "What the process is and what it uses against its limits; its threads with the line in which each is, and what "
        "being observed has cost it so far."
    )
    DEFAULT_CSS = """
    SystemTab Horizontal { height: auto; }
    SystemTab .facts { width: 1fr; height: auto; }
    """

    def __init__(self) -> None:
        super().__init__(id="system")
        self._filter = ""
        self._shown: tuple[Snapshot, View] | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            with Horizontal(id="columns"):
                with VerticalScroll(classes="facts", can_focus=False):
                    yield Block("Process", id="process")
                    yield Block("Uses", id="uses")
                    yield Block("Limits", id="limits")
                with VerticalScroll(classes="facts", can_focus=False):
                    yield Block("Observer, and what it costs the target", id="cost")
                    yield Block("Garbage collector", id="collector")
                    yield Block("Threads", id="threads")
            yield Block("What could not be done", id="problems")
            yield Static("  nothing has the text of the filter in it; Esc shows all", id="nothing")

    def main_widget(self) -> Widget:
        return self.query_one(VerticalScroll)

    def present(self, snapshot: Snapshot, view: View) -> None:
        self._shown = (snapshot, view)
        blocks = {
            "process": process_facts(snapshot, view),
            "uses": use_facts(snapshot),
            "limits": limit_facts(snapshot),
            "cost": cost_facts(snapshot, view),
            "collector": collector_facts(snapshot),
            "threads": thread_facts(snapshot),
            "problems": [Fact("", text) for text in snapshot.problems[-5:]],
        }
        text = self._filter.strip().casefold()
        for name, facts in blocks.items():
            self.query_one(f"#{name}", Block).show(facts, text)
        self.query_one("#nothing").display = not any(block.display for block in self.query(Block))

    def hints(self) -> Mapping[str, str]:
        return {"filter": "", "copy": "copy all", **({"back": "show all"} if self._filter else {})}

    def filter_by(self, text: str) -> None:
        self._filter = text
        if self._shown is not None:
            self.present(*self._shown)

    @property
    def filter_text(self) -> str:
        return self._filter

    def row_text(self) -> str:
        return "\n\n".join(block.text() for block in self.query(Block) if block.display)


def process_facts(snapshot: Snapshot, view: View) -> list[Fact]:
    """Who it is."""
    identity = snapshot.identity
    if identity is None:
        return [Fact("", "not read yet", "dim")]
    inside = f" (in its container {identity.pid_inside})" if identity.pid_inside != identity.pid else ""
    facts = [
        Fact("pid", f"{identity.pid}{inside}, parent {identity.parent}"),
        Fact("command", " ".join(identity.command)),
        Fact("Python", _python(snapshot)),
        Fact("executable", identity.executable or UNKNOWN),
        Fact("folder", identity.cwd or UNKNOWN),
        Fact("host, user", f"{identity.host}, {identity.user}"),
        Fact("started", f"{view.date(identity.started_at)}, {duration(snapshot.taken_at - identity.started_at)} ago"),
    ]
    if identity.root not in (None, "/"):
        facts.append(Fact("root folder", identity.root or ""))
    if snapshot.status.exit_code is not None or snapshot.status.signal is not None:
        facts.append(Fact("ended", exit_words(snapshot.status), "limit"))
    return facts


def _python(snapshot: Snapshot) -> str:
    identity, facts = snapshot.identity, snapshot.facts
    if identity is None:
        return UNKNOWN
    parts = [identity.python or "version not known", identity.implementation or ""]
    if identity.free_threaded:
        parts.append("free-threaded")
    if facts is not None:
        parts.append(f"on {facts.platform}")
    return " ".join(part for part in parts if part)


def use_facts(snapshot: Snapshot) -> list[Fact]:
    """What it uses now."""
    process = snapshot.process
    if process is None:
        return [Fact("", "not read yet", "dim")]
    memory = snapshot.memory
    facts = [
        Fact("CPU", f"{percent(snapshot.cpu_share, 1)} of a core, {duration(process.cpu_seconds)} in all"),
        Fact("resident memory", f"{bytes_text(process.rss)}, at most {bytes_text(process.peak_rss)} so far"),
        Fact("of these", f"anonymous {bytes_text(process.rss_anon)}, files {bytes_text(process.rss_file)}"),
        Fact("swap", f"{bytes_text(process.swap)}; OOM score {count(process.oom_score)} (the highest is killed first)"),
    ]
    if memory is not None and memory.uss is not None:
        facts.append(Fact("its own alone", f"{bytes_text(memory.uss)} (PSS {bytes_text(memory.pss)})"))
    files = f"{count(process.fds)} of {count(process.fd_limit)}" if process.fd_limit else count(process.fds)
    close = bool(process.fds and process.fd_limit and process.fds > CLOSE_SHARE * process.fd_limit)
    facts += [
        Fact("file descriptors", files + (" ▲ near the limit" if close else ""), "limit" if close else ""),
        Fact("threads", count(process.threads)),
        Fact("page faults", f"{count(process.minor_faults)}, {count(process.major_faults)} of them from disk"),
        Fact(
            "switches", f"{count(process.voluntary_switches)} by itself, {count(process.involuntary_switches)} forced"
        ),
    ]
    return facts


def limit_facts(snapshot: Snapshot) -> list[Fact]:
    """What it may use."""
    facts = []
    limit = snapshot.limit
    if limit is not None:
        size = bytes_text(limit.bytes) if limit.bytes is not None else "none"
        facts.append(Fact("memory", f"{size}, {limit.source}"))
        if limit.oom_kills:
            facts.append(Fact("", f"▲ {count(limit.oom_kills)} processes of its group were killed for memory", "limit"))
    facts += pressure_facts(snapshot)
    if snapshot.process is not None:
        facts += [
            Fact(each.name.removeprefix("Max "), _limit(each)) for each in snapshot.process.limits if _matters(each)
        ]
    return facts or [Fact("", "not read yet", "dim")]


def pressure_facts(snapshot: Snapshot) -> list[Fact]:
    """How close to being out of memory it is and has been, as far as the kernel tells: what is zero is not listed."""
    pressure = snapshot.pressure
    if pressure is None:
        return []
    told = (
        (pressure.oom_kills, "killed"),
        (pressure.oom, "out of memory"),
        (pressure.at_limit, "at the limit"),
        (pressure.high, "slowed down"),
    )
    facts = []
    counted = ", ".join(f"{count(number)} × {words}" for number, words in told if number)
    if counted:
        bad = bool(pressure.oom or pressure.oom_kills)
        facts.append(Fact("its group", ("▲ " if bad else "") + counted, "limit" if bad else ""))
    if pressure.some is not None:
        who = "its group" if pressure.waited_in == "cgroup" else "the machine"
        waits = pressure.some >= WAITING_SHARE
        share = f"{percent(pressure.some, 1)} of 10 s tasks of {who} waited"
        facts.append(Fact("memory pressure", ("▲ " if waits else "") + share, "limit" if waits else ""))
    return facts


def _matters(limit: Limit) -> bool:
    return limit.soft is not None and limit.name in (
        "Max open files",
        "Max processes",
        "Max address space",
        "Max resident set",
        "Max locked memory",
        "Max data size",
        "Max stack size",
        "Max cpu time",
    )


def _limit(limit: Limit) -> str:
    def said(value: int | None) -> str:
        if value is None:
            return "unlimited"
        return bytes_text(value) if limit.unit == "bytes" else f"{count(value)} {limit.unit}"

    return said(limit.soft) if limit.soft == limit.hard else f"{said(limit.soft)} (can be raised to {said(limit.hard)})"


def cost_facts(snapshot: Snapshot, view: View) -> list[Fact]:
    """What the agent is and what it costs."""
    facts, tick = snapshot.facts, snapshot.tick
    if facts is None:
        if snapshot.status.phase is Phase.EXITED:
            return [Fact("agent", "none: the process ended before one was in it", "grow")]
        why = snapshot.status.text or "there is no agent in the target yet"
        return [Fact("agent", why, "grow"), Fact("read from outside", "goes on, at no cost to the target")]
    found = [Fact("came in", METHODS.get(facts.method, facts.method)), Fact("since", view.date(facts.agent_started_at))]
    if facts.attach_seconds is not None:
        held = f", one thread held {facts.held_seconds * 1000:.1f} ms" if facts.held_seconds is not None else ""
        found.append(Fact("attaching took", f"{facts.attach_seconds:.2f} s{held}"))
    check = facts.self_check
    found.append(
        Fact("self-check", "ok" if check == "ok" else f"▲ memory n/a: {check}", "" if check == "ok" else "grow")
    )
    if tick is not None:
        cost = tick.cost
        share = percent(snapshot.agent_cpu_share, 1)
        found += [
            Fact("CPU", f"{share} of a core, {cost.cpu_seconds:.2f} s in all"),
            Fact("longest hold", f"{cost.longest_hold_seconds * 1000:.1f} ms of the interpreter lock"),
            Fact("memory", bytes_text(cost.memory_bytes)),
            Fact("updates", f"{count(cost.dropped)} dropped, {count(cost.torn)} repeated"),
            Fact("observers", count(cost.observers)),
        ]
        if snapshot.beside is not None:
            found.append(Fact("kept beside", f"thread {snapshot.beside}, which never rests"))
        if cost.stays:
            found.append(Fact("without observers", "it keeps watching, until pyobserver detach"))
    return found


def collector_facts(snapshot: Snapshot) -> list[Fact]:
    """The counters of the garbage collector."""
    collector = snapshot.tick.collector if snapshot.tick is not None else None
    if collector is None:
        return [Fact("", "not known", "dim")]
    facts = [
        Fact(f"generation {i}", f"{count(runs)} collections, {count(now)} counted now")
        for i, (runs, now) in enumerate(zip(collector.collections, collector.counts, strict=False))
    ]
    bad = collector.uncollectable > 0
    facts.append(Fact("collected", f"{count(collector.collected)} objects"))
    facts.append(Fact("uncollectable", count(collector.uncollectable), "limit" if bad else ""))
    return facts


def thread_facts(snapshot: Snapshot) -> list[Fact]:
    """Where each thread is: above all who has the interpreter lock."""
    if snapshot.stacks_problem and not snapshot.stacks:
        return [Fact("", f"stacks are not available: {snapshot.stacks_problem}", "grow")]
    facts = _loop_facts(snapshot) + _greenlet_facts(snapshot)
    for stack in sorted(snapshot.stacks, key=lambda s: not s.owns_gil)[:30]:
        name = printable(stack.name or f"thread {stack.thread_id}")
        style = "grow" if stack.owns_gil else ""
        facts.append(Fact(name, _doing(stack), style))
        if stack.owns_gil:
            facts += [Fact("  called from", f"{f.function}  {place(f.file)}:{f.line}") for f in stack.frames[1:6]]
    if len(snapshot.stacks) > 30:
        facts.append(Fact("", f"and {len(snapshot.stacks) - 30} more"))
    return facts or [Fact("", "not read yet", "dim")]


def _loop_facts(snapshot: Snapshot) -> list[Fact]:
    """What the thread of each loop uses of a processor, where that has been measured."""
    facts = []
    for node in snapshot.nodes.values():
        thread = snapshot.tasks.find(node.parent) if node.kind == "loop" and not node.ended else None
        share = snapshot.thread_shares.get(thread.os_id or 0) if thread is not None else None
        if share is not None:
            facts.append(Fact(printable(node.label), f"{percent(share)} of a core"))
    return facts[:10]


def _greenlet_facts(snapshot: Snapshot) -> list[Fact]:
    """How many greenlets are known, and that this need not be all: nothing lists them."""
    number = kind_counts(snapshot.tasks).get("greenlet", 0)
    if not number:
        return []
    return [Fact("greenlets", f"{count(number)} found; there may be more: nothing lists them")]


def _doing(stack: ThreadStack) -> str:
    parts = [THREAD_STATES.get(stack.state or "", "running" if stack.active else "waiting")]
    if stack.owns_gil:
        parts.append("has the interpreter lock")
    if stack.frames:
        frame = stack.frames[0]
        parts.append(f"{frame.function}  {place(frame.file)}:{frame.line}")
    elif stack.system_call:
        parts.append(f"in {stack.system_call}, without Python code")
    return " · ".join(parts)
