"""Everything known about one target: updates go in from the source's threads, frozen snapshots come out."""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..protocol import schema
from .forest import Forest, ForestMark, Node, mark, plant
from .groups import GroupKey, group_name, group_sums
from .history import COARSE, History
from .readings import (
    AgentFacts,
    ChildProcess,
    Identity,
    MemoryLimit,
    MemoryReading,
    ProcessReading,
    ThreadStack,
    Tick,
)
from .tasks import NO_TASKS, Array, Tasks, TaskStore

MAX_GROUPS_IN_HISTORY = 100
MAX_PROBLEMS = 20
FOREST_MARKS = 60  # earlier sums of the tree that are kept to tell growth, one every few seconds
FOREST_PERIOD = 5.0


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
    """What stood there when the user set the baseline: allocators' bytes and the groups' (count, bytes)."""

    time: float
    allocators: Mapping[str, int]
    groups: Mapping[GroupKey, tuple[int, float]]
    sums: Mapping[Hashable, tuple[int, int]]


@dataclass(frozen=True)
class Snapshot:
    """All that is known at one moment. `history` is shared and goes on."""

    taken_at: float
    status: Status
    history: History
    updated_at: float = 0.0  # when the agent was last heard
    identity: Identity | None = None
    facts: AgentFacts | None = None
    process: ProcessReading | None = None
    cpu_share: float | None = None  # of one core, over the last readings
    agent_cpu_share: float | None = None
    memory: MemoryReading | None = None
    limit: MemoryLimit | None = None
    tick: Tick | None = None
    tasks: Tasks = NO_TASKS
    nodes: Mapping[int, Node] = field(default_factory=dict)
    stacks: tuple[ThreadStack, ...] = ()
    stacks_problem: str = ""
    children: tuple[ChildProcess, ...] = ()
    problems: tuple[str, ...] = ()
    marks: tuple[ForestMark, ...] = ()
    baseline: Baseline | None = None

    @property
    def forest(self) -> Forest:
        """The tree of this moment, built at the first call."""
        found: Forest | None = self.__dict__.get("_forest")
        if found is None:
            found = self.__dict__["_forest"] = plant(self.tasks, self.nodes)
        return found


def child_row_id(pid: int) -> int:
    """The row id of a child process; the agent gives out positive ones only."""
    return -pid


def thread_row_id(thread_id: int) -> int:
    """The row id of a thread that only the kernel knows."""
    return -(1 << 40) - thread_id


class Store:
    """Takes in what the source reads, on any thread, and gives out snapshots.

    `clock` gives Unix seconds. `changed` is called after each change, on the thread that made it.
    """

    def __init__(self, clock: Callable[[], float], changed: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self.changed = changed
        self.history = History()
        self._lock = threading.RLock()
        self._tasks = TaskStore()
        self._nodes: dict[int, Node] = {}
        self._gone_nodes: dict[int, float] = {}
        self._agent_texts: list[int] = [0]
        self._marks: deque[ForestMark] = deque(maxlen=FOREST_MARKS)
        self._problems: deque[str] = deque(maxlen=MAX_PROBLEMS)
        self._view: Tasks | None = NO_TASKS
        self._now = Snapshot(clock(), Status(Phase.CONNECTING), self.history)

    # -- what the source says ---------------------------------------------------------------------------------------

    def set_status(self, phase: Phase, text: str = "", exit_code: int | None = None, signal: int | None = None) -> None:
        """Say how it stands. An exit is final: only a reconnection could follow, and that is a new store."""
        with self._lock:
            before = self._now.status
            if before.phase is Phase.EXITED:
                return
            since = before.since if before.phase is phase else self._clock()
            self._now = replace(self._now, status=Status(phase, text, since, exit_code, signal))
        self.changed()

    def greet(self, facts: AgentFacts) -> None:
        """A (new) agent has answered: what an earlier one said is forgotten, its history stays."""
        with self._lock:
            self._tasks.clear()
            self._nodes.clear()
            self._agent_texts = [0]
            self._view = None
            self._now = replace(self._now, facts=facts)
        self.changed()

    def set_identity(self, identity: Identity) -> None:
        """Who the target is."""
        with self._lock:
            self._now = replace(self._now, identity=identity)
        self.changed()

    def add_process(self, reading: ProcessReading) -> None:
        """The cheap reading of every second."""
        with self._lock:
            before = self._now.process
            share = self._now.cpu_share
            if before is not None and reading.taken_at > before.taken_at:
                share = (reading.cpu_seconds - before.cpu_seconds) / (reading.taken_at - before.taken_at)
            self._now = replace(self._now, process=reading, cpu_share=share)
            at = reading.taken_at
            self.history.add("rss", at, reading.rss)
            self.history.add("cpu", at, share)
            self.history.add("threads", at, reading.threads)
            self.history.add("fds", at, reading.fds)
        self.changed()

    def add_memory(self, reading: MemoryReading) -> None:
        """Memory by allocator."""
        with self._lock:
            self._now = replace(self._now, memory=reading)
            for allocator in reading.allocators:
                self.history.add(f"allocator/{allocator.name}/in_use", reading.taken_at, allocator.in_use)
                self.history.add(f"allocator/{allocator.name}/held", reading.taken_at, allocator.held)
            held = {a.name: a.held for a in reading.allocators}
            if held.get("python") is not None:
                rest = reading.rss - (held["python"] or 0) - (held.get("c_heap") or 0)
                self.history.add("allocator/rest", reading.taken_at, rest)
            for category in reading.categories:
                self.history.add(f"category/{category.name}", reading.taken_at, category.bytes)
        self.changed()

    def set_limit(self, limit: MemoryLimit) -> None:
        """What ends the growth of memory."""
        with self._lock:
            self._now = replace(self._now, limit=limit)
        self.changed()

    def set_children(self, children: Sequence[ChildProcess]) -> None:
        """The child processes: they are rows too, with their RSS for memory."""
        with self._lock:
            now = self._clock()
            self._now = replace(self._now, children=tuple(children))
            known = {child_row_id(c.pid) for c in children}
            self._tasks.end([n for n in self._tasks.ids_of_kind(schema.KIND_CHILD) if n not in known], now)
            if children:
                self._put_children(children, now)
            self._view = None
        self.changed()

    def _put_children(self, children: Sequence[ChildProcess], now: float) -> None:
        rss = [c.rss for c in children]
        columns: dict[str, Array] = {
            "id": np.array([child_row_id(c.pid) for c in children], np.int64),
            "kind": np.full(len(children), schema.KIND_CHILD, np.uint8),
            "state": np.array([_KERNEL_STATES.get(c.state, schema.STATE_UNKNOWN) for c in children], np.uint8),
            "function": np.array([self._tasks.intern(" ".join(c.command)[:200]) for c in children], np.int32),
            "created": np.array([c.started_at for c in children]),
            "retained": np.array([-1 if r is None else r for r in rss], np.int64),
            "accuracy": np.array([schema.UNAVAILABLE if r is None else schema.EXACT for r in rss], np.uint8),
            "measured_at": np.full(len(children), now),
            "cpu": np.array([c.cpu_seconds for c in children]),
            "os_id": np.array([c.pid for c in children], np.int64),
            "edge": np.full(len(children), schema.EDGE_CHILD, np.uint8),
        }
        self._tasks.put(columns, [f"pid {c.pid}" for c in children], now)

    def set_stacks(self, stacks: Sequence[ThreadStack], problem: str = "") -> None:
        """The threads as seen from outside: they complete the agent's rows, and stand in for them without one."""
        with self._lock:
            now = self._clock()
            self._now = replace(self._now, stacks=tuple(stacks), stacks_problem=problem)
            known = {}
            for number in self._tasks.ids_of_kind(schema.KIND_THREAD):
                os_id = self._tasks.value(number, "os_id")
                if os_id and number > 0:
                    known[int(os_id)] = number
            foreign = [s for s in stacks if s.thread_id is not None and s.thread_id not in known]
            wanted = {thread_row_id(s.thread_id) for s in foreign if s.thread_id is not None}
            stale = [n for n in self._tasks.ids_of_kind(schema.KIND_THREAD) if n < 0 and n not in wanted]
            self._tasks.end(stale, now)
            if foreign:
                self._put_foreign_threads(foreign, now)
            for stack in stacks:
                if stack.thread_id is not None:
                    self._complete_thread(known.get(stack.thread_id, thread_row_id(stack.thread_id)), stack)
            self._view = None
        self.changed()

    def _put_foreign_threads(self, stacks: Sequence[ThreadStack], now: float) -> None:
        columns: dict[str, Array] = {
            "id": np.array([thread_row_id(s.thread_id or 0) for s in stacks], np.int64),
            "kind": np.full(len(stacks), schema.KIND_THREAD, np.uint8),
            "os_id": np.array([s.thread_id for s in stacks], np.int64),
            "function": np.array([self._tasks.intern(_thread_function(s)) for s in stacks], np.int32),
            "edge": np.full(len(stacks), schema.EDGE_RUNS, np.uint8),
        }
        self._tasks.put(columns, [s.name for s in stacks], now)

    def _complete_thread(self, number: int, stack: ThreadStack) -> None:
        state = schema.STATE_RUNNING if stack.active else schema.STATE_WAITING
        self._tasks.set_value(number, "state", state)
        if stack.cpu_seconds is not None:
            self._tasks.set_value(number, "cpu", stack.cpu_seconds)
        own = [f for f in stack.frames if not f.native]
        if own:
            self._tasks.set_value(number, "where", self._tasks.intern(f"{own[0].file}:{own[0].line}"))
        waiting = "" if stack.active else (own[0].function if own else "") or stack.system_call or ""
        self._tasks.set_value(number, "waiting", self._tasks.intern(waiting))

    # -- what the agent says ----------------------------------------------------------------------------------------

    def add_texts(self, first: int, items: Sequence[str]) -> None:
        """Texts with the agent's ids `first`, `first + 1`, ...; a gap cannot be: ids out of order are ignored."""
        with self._lock:
            if first <= len(self._agent_texts):
                del self._agent_texts[first:]
                self._agent_texts.extend(self._tasks.intern(text) for text in items)

    def put_rows(self, columns: Mapping[str, Array], names: Sequence[str | None]) -> None:
        """New or changed rows, with the agent's text ids."""
        with self._lock:
            texts = np.array(self._agent_texts, np.int32)
            mine = dict(columns)
            for column in ("function", "waiting", "where"):
                if column in mine:
                    index = mine[column].astype(np.int64)
                    mine[column] = np.where(
                        (index >= 0) & (index < len(texts)), texts[index.clip(0, len(texts) - 1)], 0
                    )
            kinds, states = mine.get("kind"), mine.get("state")
            if kinds is not None and states is not None and (kinds == schema.KIND_THREAD).any():
                mine = self._keep_outside_facts(mine)
            self._tasks.put(mine, names, self._clock())
            self._view = None

    def _keep_outside_facts(self, columns: dict[str, Array]) -> dict[str, Array]:
        """What the agent cannot know of a thread (state, where, CPU) must not be overwritten with "unknown"."""
        mine = {name: column.copy() for name, column in columns.items()}
        for i in np.flatnonzero(mine["kind"] == schema.KIND_THREAD).tolist():
            number = int(mine["id"][i])
            if number not in self._tasks:
                continue
            for name in ("state", "waiting", "where", "cpu"):
                value = mine[name][i]
                if (value == 0 or value != value) and (old := self._tasks.value(number, name)) is not None:
                    mine[name][i] = old
        return mine

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """New or changed tree nodes."""
        with self._lock:
            for node in nodes:
                self._nodes[node.id] = node
                self._gone_nodes.pop(node.id, None)

    def remove(self, ids: Iterable[int]) -> None:
        """Rows and nodes that are not there any more."""
        with self._lock:
            now = self._clock()
            rows = []
            for number in ids:
                if number in self._nodes:
                    self._gone_nodes[number] = now
                    self._nodes[number] = replace(self._nodes[number], ended=True)
                else:
                    rows.append(number)
            self._tasks.end(rows, now)
            self._view = None

    def add_tick(self, tick: Tick) -> None:
        """The end of one update of the agent: what grows is written into the history."""
        with self._lock:
            now = self._clock()
            before = self._now.tick
            share = self._now.agent_cpu_share
            if before is not None and tick.time > before.time and tick.cost.cpu_seconds >= before.cost.cpu_seconds:
                share = (tick.cost.cpu_seconds - before.cost.cpu_seconds) / (tick.time - before.time)
                if self._now.agent_cpu_share is not None:
                    share = 0.8 * self._now.agent_cpu_share + 0.2 * share
            self._now = replace(self._now, tick=tick, updated_at=now, agent_cpu_share=share)
            self._forget_faded(now)
            self.history.add("tasks", now, tick.total)
            self._record_groups(now)
            settled = tick.complete and tick.holders_complete and tick.measured >= 0.9 * tick.total
            if settled and (not self._marks or now - self._marks[-1].time >= FOREST_PERIOD):
                self._marks.append(mark(plant(self._tasks_view(now), self._nodes), now))
        self.changed()

    def add_problem(self, text: str) -> None:
        """Something that the agent or the source could not do."""
        with self._lock:
            self._problems.append(text)
        self.changed()

    def _forget_faded(self, now: float) -> None:
        self._tasks.sweep(now)
        for number in [n for n, at in self._gone_nodes.items() if now - at > 6.0]:
            del self._gone_nodes[number]
            self._nodes.pop(number, None)
        self._view = None

    def _record_groups(self, now: float) -> None:
        sums = group_sums(self._tasks_view(now))
        largest = sorted(sums.items(), key=lambda item: (item[1].bytes, item[1].count), reverse=True)
        for key, group in largest[:MAX_GROUPS_IN_HISTORY]:
            self.history.add(group_name(key, "count"), now, group.count, COARSE)
            if group.measured:
                self.history.add(group_name(key, "bytes"), now, group.bytes, COARSE)

    # -- what the user does -----------------------------------------------------------------------------------------

    def set_baseline(self) -> None:
        """Remember what stands there now, to be compared with."""
        with self._lock:
            now = self._clock()
            self._tasks.mark()
            self._view = None
            tasks = self._tasks_view(now)
            memory = self._now.memory
            allocators = {a.name: a.held or a.in_use or 0 for a in memory.allocators} if memory else {}
            if self._now.process and self._now.process.rss:
                allocators["total"] = self._now.process.rss
            groups = {key: (group.count, group.bytes) for key, group in group_sums(tasks).items()}
            sums = mark(plant(tasks, self._nodes), now).sums
            self._now = replace(self._now, baseline=Baseline(now, allocators, groups, sums))
        self.changed()

    # -- what comes out ---------------------------------------------------------------------------------------------

    def _tasks_view(self, now: float) -> Tasks:
        if self._view is None:
            self._view = self._tasks.view(now)
        return self._view

    def snapshot(self) -> Snapshot:
        """Return all that is known now."""
        with self._lock:
            now = self._clock()
            return replace(
                self._now,
                taken_at=now,
                tasks=self._tasks_view(now),
                nodes=dict(self._nodes),
                problems=tuple(self._problems),
                marks=tuple(self._marks),
            )


_KERNEL_STATES = {
    "R": schema.STATE_RUNNING,
    "S": schema.STATE_WAITING,
    "D": schema.STATE_WAITING,
    "I": schema.STATE_WAITING,
    "T": schema.STATE_WAITING,
    "t": schema.STATE_WAITING,
    "Z": schema.STATE_DONE_HELD,
}


def _thread_function(stack: ThreadStack) -> str:
    own = [f for f in stack.frames if not f.native]
    return own[-1].function if own else f"{stack.name or 'thread'} (no Python code)"
