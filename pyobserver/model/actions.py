"""What the target was asked to do, and what has come of it so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..protocol import schema

MAX_ACTIONS = 50
Settings = Mapping[str, float | bool]  # what an action is asked for with, as in `protocol/schema.py`

SENT = "sent"  # nobody has answered yet
LOST = "lost"  # nobody will answer any more, and it is not known whether it was done
ASKED, MOVED, ENDED, REFUSED = schema.ACTION_STATES


@dataclass(frozen=True)
class Site:
    """A line, and what was allocated there in the time of a trace and was still there at its end."""

    file: str
    line: int
    bytes: int
    blocks: int


@dataclass(frozen=True)
class Outcome:
    """What an action on memory has done; None and empty where that does not belong to it, or is not known."""

    held_seconds: float  # that a collection took in its thread, giving back took, or the program stood still
    rss_before: int | None = None
    rss_after: int | None = None
    found: int | None = None  # objects freed
    uncollectable: int | None = None
    way: str = ""  # whose malloc gave memory back
    traced_seconds: float | None = None
    bytes: int = 0  # of all blocks that a trace has found
    blocks: int = 0
    places: int = 0  # lines that they are from
    sites: tuple[Site, ...] = ()  # the largest, largest first


@dataclass(frozen=True)
class Prospects:
    """What the agent says of actions on memory before one is asked for."""

    collect: str  # why garbage cannot be collected, "" if it can
    foreign: bool  # whether C functions can be called without loading _ctypes into the program
    tracing: bool  # whether the program traces its allocations itself
    creations: bool = False  # whether it is noted where tasks are made
    creation_seconds: float | None = None  # what that takes in the program for each task, where it was measured


@dataclass(frozen=True)
class Progress:
    """One message about an action. `seconds` is how long after it was done that is so."""

    state: str  # ASKED, MOVED, ENDED, REFUSED, or LOST
    seconds: float
    final: bool
    text: str  # why it was refused, or what more is known, cleaned
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Action:
    """One action. `asked_at` and `changed_at` are Unix seconds of the observer's clock."""

    key: int
    name: str  # one of schema.ACTIONS
    row_id: int
    title: str  # what a person calls the row, "" where it is about none
    asked_at: float
    changed_at: float
    state: str = SENT
    seconds: float = 0.0
    final: bool = False
    text: str = ""
    outcome: Outcome | None = None
    settings: Settings | None = None


class Actions:
    """The last actions, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._known: deque[Action] = deque(maxlen=MAX_ACTIONS)
        self._keys = 0

    def begin(self, name: str, row_id: int, title: str, now: float, settings: Settings | None = None) -> int:
        """Take note of an action that is asked for now; returns the key by which to report on it."""
        self._keys += 1
        self._known.append(Action(self._keys, name, row_id, title, now, now, settings=settings))
        return self._keys

    def report(self, keys: Iterable[int], progress: Progress, now: float) -> None:
        """Take note of what has come of actions; nothing more is heard of those that are over."""
        wanted = set(keys)
        for position, action in enumerate(self._known):
            if action.key in wanted and not action.final:
                self._known[position] = replace(
                    action,
                    state=progress.state,
                    seconds=progress.seconds,
                    final=progress.final,
                    text=progress.text,
                    outcome=progress.outcome,
                    changed_at=now,
                )

    def all(self) -> tuple[Action, ...]:
        """All that are known."""
        return tuple(self._known)
