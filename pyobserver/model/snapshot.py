"""Everything known about one target at one moment, frozen."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from .actions import Action
from .census import NO_CENSUS, HeapRecord
from .forest import Forest, ForestMark, Node, plant
from .groups import GroupKey
from .history import History
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

    `sums` are those of the tree, as in a `ForestMark`; None when the agent was replaced since, and with it all ids.
    """

    time: float
    allocators: Mapping[str, int]
    groups: Mapping[GroupKey, tuple[int, float]]
    sums: Mapping[Hashable, tuple[int, int]] | None


@dataclass(frozen=True)
class Snapshot:
    """All that is known at one moment. `history` is shared and goes on."""

    taken_at: float
    status: Status
    history: History
    updated_at: float = 0.0  # when the agent was last heard
    settled_at: float | None = None  # when the agent's first picture was complete
    identity: Identity | None = None
    facts: AgentFacts | None = None
    process: ProcessReading | None = None
    cpu_share: float | None = None  # of one core, over the last readings
    agent_cpu_share: float | None = None
    memory: MemoryReading | None = None
    limit: MemoryLimit | None = None
    pressure: MemoryPressure | None = None
    thread_limit: ThreadLimit | None = None
    tick: Tick | None = None
    tasks: Tasks = NO_TASKS
    nodes: Mapping[int, Node] = field(default_factory=dict)
    stacks: tuple[ThreadStack, ...] = ()
    stacks_problem: str = ""
    thread_shares: Mapping[int, float] = field(default_factory=dict)  # of one core, by the kernel's number of a thread
    children: tuple[ChildProcess, ...] = ()
    problems: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()  # that the target was asked for, the last one last
    marks: tuple[ForestMark, ...] = ()
    baseline: Baseline | None = None
    heap: HeapRecord = NO_CENSUS
    containers: ContainerRecord = NO_CONTAINERS

    def growing_since(self, window: float) -> float:
        """Return from when on growth is told, `window` seconds back at most.

        What grows before the first picture is complete is what we know, and what the agent takes for itself.
        """
        begun = self.taken_at - window
        if self.facts is None:
            return begun
        return max(begun, self.taken_at if self.settled_at is None else self.settled_at)

    @property
    def forest(self) -> Forest:
        """The tree of this moment, built at the first call."""
        found: Forest | None = self.__dict__.get("_forest")
        if found is None:
            found = self.__dict__["_forest"] = plant(self.tasks, self.nodes)
        return found
