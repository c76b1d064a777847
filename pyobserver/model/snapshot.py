"""Everything known about one target at one moment, frozen."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from .actions import Action
from .census import NO_CENSUS, HeapRecord
from .endings import NO_ENDINGS, Endings
from .forest import Forest, Node, plant
from .forest_sums import Sums
from .groups import GroupKey
from .history import History
from .owners import Owners
from .places import NO_CONTAINERS, ContainerRecord
from .readings import (
    AgentFacts,
    ChildProcess,
    Identity,
    MemoryLimit,
    MemoryPressure,
    MemoryReading,
    ProcessReading,
    ThreadLimit,
    ThreadStack,
    Tick,
)
from .tasks import NO_TASKS, Tasks


class Phase(enum.Enum):
    """How it stands between us and the target."""

    CONNECTING = "connecting"
    LIVE = "connected"
    OUTSIDE = "outside only"  # no agent: what can be read from outside goes on
    EXITED = "EXITED"
    REPLAY = "replay"


@dataclass(frozen=True)
class Status:
    """The phase with its explanation: what we wait for, why there is no agent, or how the target ended."""

    phase: Phase
    text: str = ""
    since: float = 0.0
    exit_code: int | None = None
    signal: int | None = None


@dataclass(frozen=True)
class Baseline:
    """What stood there when the user set the baseline: allocators' bytes and the groups' (count, bytes).

    `sums` are those of the whole tree; None when the agent was replaced since, and with it all ids.
    """

    time: float
    allocators: Mapping[str, int]
    groups: Mapping[GroupKey, tuple[int, float]]
    sums: Sums | None


@dataclass(frozen=True)
class Snapshot:
    """All that is known at one moment. `history` is shared and goes on."""

    taken_at: float
    status: Status
    history: History
    updated_at: float = 0.0  # when the agent was last heard
    settled_at: float | None = None  # when the agent's first picture was complete
    watched_since: float | None = None  # from when on an agent has kept the history that it has told us
    identity: Identity | None = None
    facts: AgentFacts | None = None
    process: ProcessReading | None = None
    cpu_share: float | None = None  # of one core, over the last readings
    agent_cpu_share: float | None = None
    beside: int | None = None  # the thread, by the kernel's number, that never rests and has the agent beside it
    memory: MemoryReading | None = None
    limit: MemoryLimit | None = None
    pressure: MemoryPressure | None = None
    thread_limit: ThreadLimit | None = None
    tick: Tick | None = None
    tasks: Tasks = NO_TASKS
    nodes: Mapping[int, Node] = field(default_factory=dict)
    other_owners: Mapping[int, Owners] = field(default_factory=dict)  # by row: all but its parent
    stacks: tuple[ThreadStack, ...] = ()
    stacks_problem: str = ""
    thread_shares: Mapping[int, float] = field(default_factory=dict)  # of one core, by the kernel's number of a thread
    children: tuple[ChildProcess, ...] = ()
    problems: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()  # that the target was asked for, the last one last
    endings: Endings = NO_ENDINGS  # what has been seen to end, by supervisor
    marks: tuple[Sums, ...] = ()  # earlier sums of the tree, the oldest first
    baseline: Baseline | None = None
    heap: HeapRecord = NO_CENSUS
    containers: ContainerRecord = NO_CONTAINERS

    def growing_since(self, window: float) -> float:
        """Return from when on growth is told, `window` seconds back at most.

        What grows before the first picture is complete is what we know, and what the agent takes for itself. That
        picture may be an earlier one, when the agent has told what it has seen since.
        """
        begun = self.taken_at - window
        if self.facts is None:
            return begun
        known = [each for each in (self.settled_at, self.watched_since) if each is not None]
        return max(begun, min(known, default=self.taken_at))

    @property
    def forest(self) -> Forest:
        """The tree of this moment, built at the first call."""
        found: Forest | None = self.__dict__.get("_forest")
        if found is None:
            found = self.__dict__["_forest"] = plant(self.tasks, self.nodes, self.endings)
        return found
