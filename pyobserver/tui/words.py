"""What the screens say in words: how exact a size is, how it stands with the target, what observing costs."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..analysis.format import UNKNOWN, bytes_text, count, duration, percent
from ..model.snapshot import Phase, Snapshot, Status
from .widgets import Cell
from .widgets.text import printable

STALE_AFTER = 4.0  # seconds without a word of the agent
NOT_AVAILABLE = "n/a"
NO_FUNCTION = "(function not known)"
NO_NAME = "(no name)"
KINDS = {  # in one word, where there is a column for it
    "asyncio task": "task",
    "child process": "child",
    "trio task": "trio",
    "greenlet": "green",
    "executor job": "job",
    "async generator": "agen",
    "coroutine never awaited": "coro",
}
MANY = {  # where it is not one with an s
    "child process": "child processes",
    "coroutine never awaited": "coroutines never awaited",
}
GROUP_KINDS = {  # behind the function that they all run
    "child process": "child",
    "trio task": "trio",
    "executor job": "waiting job",
    "coroutine never awaited": "never awaited",
}
UNSURE = {"sampled": "~", "at_least": "≥", "stale": "*"}
SIGNS = (
    ("▲", "it grows, by more than noise"),
    ("7.02 MB", "exact: freed if it went away"),
    ("~7.02 MB", "sampled or estimated"),
    ("≥7.02 MB", "at least: some of it could not be followed"),
    ("*7.02 MB", "not measured lately; Enter tells how long ago"),
    ("done, held", "it has ended, and somebody still keeps it"),
    ("dim", "ended, or old, or beside the point"),
    ("·, n/a", "not known; never a zero"),
)


def sized(size: float | None, accuracy: str) -> Cell:
    """Return a size with the sign of its accuracy: 7.02 MB, ~7.02 MB, ≥7.02 MB, *7.02 MB; n/a when it is not known."""
    if size is None or accuracy == "unavailable":
        return (NOT_AVAILABLE, "dim")
    text = UNSURE.get(accuracy, "") + bytes_text(size)
    return (text, "dim") if accuracy == "stale" else text


def sized_in_words(size: float | None, accuracy: str, error: float = 0.0, age: float | None = None) -> str:
    """Return a size with its accuracy spelled out, where there is room for it. `age` is how old the measurement is."""
    if size is None or accuracy == "unavailable":
        return "n/a"
    text = UNSURE.get(accuracy, "") + bytes_text(size)
    if accuracy == "exact":
        return f"{text} exact"
    if accuracy == "sampled":
        return f"{text} ± {bytes_text(error)}, sampled"
    if accuracy == "at_least":
        return f"{text}, at least: some of it could not be followed"
    if accuracy == "stale":
        return f"{text}, not measured " + ("lately" if age is None else f"for {duration(age)}")
    return f"{text}, {accuracy}"


def changed(number: int | None) -> str:
    """Return by how many a count has changed: whole things, unlike a growth per minute."""
    return UNKNOWN if number is None else f"{number:+,}" if number else "0"


_PASSIVE = {"runs": "run", "owns": "owned", "awaits": "awaited", "holds": "held", "spawned": "spawned"}


def counted(number: int, kind: str) -> str:
    """Return how many there are of a kind: 1 greenlet, 2 coroutines never awaited."""
    return f"{count(number)} {kind if number == 1 else MANY.get(kind, f'{kind}s')}"


def edge_words(edge: str, owner: str) -> str:
    """Return an edge from below: "held by Task-1"."""
    return f"{_PASSIVE.get(edge, edge)} by {owner}" if edge in _PASSIVE else f"{edge} of {owner}"


def others_words(
    pairs: Sequence[tuple[str, str]], most: int, passive: bool, in_all: Mapping[str, int] | None = None
) -> list[str]:
    """Return what is said of second owners: "also awaited by Task-1", or of an owner "also awaits Task-7 and 2 more".

    `pairs` are edges and names; `most` names are said for each edge. `in_all` says how many there are by edge, where
    not all are named.
    """
    by_edge: dict[str, list[str]] = {}
    for edge, name in pairs:
        by_edge.setdefault(edge, []).append(name)
    found = []
    for edge, names in by_edge.items():
        more = (in_all or {}).get(edge, len(names)) - min(most, len(names))
        said = ", ".join(names[:most]) + (f" and {count(more)} more" if more else "")
        found.append(f"also {edge_words(edge, said)}" if passive else f"also {edge} {said}")
    return found


def short_kind(kind: str) -> str:
    """Return a kind of row in one word."""
    return KINDS.get(kind, kind)


def group_kind(kind: str) -> str:
    """Return what the rows of a group are, to be read behind the function that they run."""
    return GROUP_KINDS.get(kind, kind)


def typed(kind: str, length: int | None) -> str:
    """Return the type of an object, and how long it is."""
    of = "characters" if kind == "str" else "items"
    return short_kind(kind) + (f", {count(length)} {of}" if length is not None else "")


def place(where: str) -> str:
    """Return "file:line" without the folders."""
    return where.rsplit("/", 1)[-1]


def waiting_at(waiting: str, where: str) -> str:
    """Return where something waits and on what, in one cell: the line comes first, as it is what one looks up."""
    return "  ".join(text for text in (place(where), waiting) if text)


@dataclass(frozen=True)
class StatusWords:
    """The status line. `level` is "" when all is well, "grow" when something is missing, "limit" when it is over."""

    text: str
    level: str = ""


def status_words(snapshot: Snapshot, now: float, paused_at: float | None = None) -> StatusWords:
    """Return how it stands between us and the target at `now`."""
    said = _standing(snapshot, now)
    if paused_at is not None and snapshot.status.phase is not Phase.EXITED:
        text = f"PAUSED for {duration(now - paused_at)}: the screen stands still, reading goes on · {said.text}"
        return StatusWords(text, said.level or "grow")
    return said


def _standing(snapshot: Snapshot, now: float) -> StatusWords:
    status = snapshot.status
    text = printable(status.text)
    if status.phase is Phase.EXITED:
        why = f" · {text}" if text else ""
        return StatusWords(
            f"{exit_words(status)} {duration(now - status.since)} ago{why} · what was seen stays", "limit"
        )
    if status.phase is Phase.CONNECTING:
        waited = now - status.since if status.since else 0.0  # 0 before anybody has said how it stands
        waiting = f" for {duration(waited)}" if waited >= 1 else ""
        return StatusWords(f"connecting{waiting}: {text or 'attaching'}", "grow")
    if status.phase is Phase.OUTSIDE:
        return StatusWords(f"outside only, without tasks: {text}", "grow")
    if status.phase is Phase.REPLAY:
        return StatusWords(f"replay {text}".strip())
    silent = now - snapshot.updated_at
    if snapshot.tick is not None and silent > STALE_AFTER:
        why = text or "the agent does not answer, what is read from outside goes on"
        return StatusWords(f"stale for {duration(silent)}: {why}", "grow")
    if text:
        return StatusWords(text, "grow")
    return StatusWords(f"connected{_progress(snapshot)}")


def _progress(snapshot: Snapshot) -> str:
    tick = snapshot.tick
    if tick is None:
        return ", waiting for the first tasks"
    if not tick.complete:
        return f", still looking at all {count(tick.total)} tasks"
    if tick.is_full:
        return (
            f", showing {percent(snapshot.tasks.known_share)} of {count(tick.total)} tasks: there is no room for more"
        )
    if tick.cost.dropped:
        return f", {count(tick.cost.dropped)} updates were dropped"
    return ""


def exit_words(status: Status) -> str:
    """Return how a process has ended, as far as that is known."""
    if status.signal is not None:
        try:
            name = signal.Signals(status.signal).name
        except ValueError:
            name = f"signal {status.signal}"
        return f"EXITED by {name}"
    if status.exit_code is not None:
        return f"EXITED with code {status.exit_code}"
    return "EXITED"


def cost_words(snapshot: Snapshot, short: bool = False) -> str:
    """Return what observing costs the target, in one line."""
    tick = snapshot.tick
    if tick is None:
        return "observer: no agent in the target" if not short else "no agent"
    parts = []
    if snapshot.agent_cpu_share is not None:
        parts.append(f"{percent(snapshot.agent_cpu_share, 1)} cpu")
    parts.append(f"{tick.cost.longest_hold_seconds * 1000:.1f} ms" + ("" if short else " hold"))
    if tick.cost.memory_bytes is not None and not short:
        parts.append(f"agent {bytes_text(tick.cost.memory_bytes)}")
    return ("" if short else "observer: ") + ", ".join(parts)
