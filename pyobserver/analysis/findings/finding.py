"""What a diagnosis consists of: a finding with its evidence, or why there is none yet."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, Protocol

from ...model.groups import GroupKey
from .look import Look

Level = Literal["limit", "leak", "growing", "notice"]
LEVELS: tuple[Level, ...] = ("limit", "leak", "growing", "notice")  # the most serious first
LEVEL_WORDS = {"limit": "near its limit", "leak": "leak", "growing": "growing", "notice": "notice"}
Screen = Literal["memory", "groups", "members", "row", "tree", "types", "containers", "system"]


@dataclass(frozen=True)
class Place:
    """Where something can be seen: a screen, and what is to be selected there.

    The key is an allocator's name, a group's key, the id of a row or node, a type's name, or a container's key.
    """

    screen: Screen
    key: Hashable = None


@dataclass(frozen=True)
class Step:
    """One sentence of the evidence, and where it can be seen."""

    text: str
    place: Place


@dataclass(frozen=True)
class Finding:
    """One diagnosed problem. Sizes in bytes, growth per minute, None for what is not known or is none.

    `name` is what it is about: a function, a container's path, a type, an allocator. `reason` says why it is not called
    more than it is. `explains` is the part of the growth of all memory that it accounts for.
    """

    kind: str
    level: Level
    summary: str
    name: str
    steps: tuple[Step, ...]
    window: float  # seconds that were looked at
    function: str | None = None
    holder: str | None = None
    bytes_growth: float | None = None
    seconds_to_limit: float | None = None
    reason: str = ""
    explains: float | None = None
    group: GroupKey | None = None
    holder_id: int | None = None
    allocator: str = ""
    leads: bool = False  # it has a name in the program, and may well explain all of the growth

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others, and finds it in the next verdict."""
        return self.kind, self.name

    @property
    def evidence(self) -> tuple[str, ...]:
        """The sentences of the evidence."""
        return tuple(step.text for step in self.steps)


@dataclass(frozen=True)
class TooEarly:
    """Nothing can be said yet; the text says what is waited for, or why it is never told, `for_good`."""

    reason: str
    for_good: bool = False


class Check(Protocol):
    """Looks for one kind of problem. `about` says in a sentence what, and from when on it counts."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return what is found, the most serious first; nothing when all is well, or when it cannot be seen."""
