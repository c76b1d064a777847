"""Everything known about one target: updates go in from the source's threads, frozen snapshots come out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..protocol import schema
from ..protocol.clean import clean
from .actions import Actions, Progress, Settings
from .census import Census
from .forest import Node, plant
from .forest_sums import SumsOverTime, mark
from .groups import group_name, group_sums
from .history import COARSE, TIERS, History
from .outside_rows import child_columns, child_row_id, thread_columns, thread_row_id, thread_values
from .owners import NO_OWNERS, OtherOwners, Owners, parents_of_children
from .past import PastSeries
from .places import PlacesAnswer, items_name
from .readings import (
    AgentFacts,
    ChildProcess,
    Identity,
    InnerAllocator,
    MemoryLimit,
    MemoryPressure,
    MemoryReading,
    ProcessReading,
    ThreadLimit,
    ThreadStack,
    Tick,
)
from .snapshot import Baseline, Phase, Snapshot, Status
from .task_store import FADE_SECONDS, MAX_ROWS, TaskStore
from .tasks import COLUMNS, NO_TASKS, Array, Tasks
from .thread_shares import ThreadShares

__all__ = ["Baseline", "Phase", "Snapshot", "Status", "Store"]

MAX_GROUPS_IN_HISTORY = 100
MAX_CONTAINERS_IN_HISTORY = 60
MAX_PROBLEMS = 20
MAX_NODES = 100_000
MAX_AGENT_TEXTS = 100_000
MAX_MARKED = 1000  # nodes and as many folds, the widest, in each of the marks that tell growth
UNMEASURED_SECONDS = 30.0  # after the first picture, from when on the tasks that are not measured are always some
MAX_GENERATIONS = 4
CHARTED = frozenset({"python_live", "python_free", "c_live", "c_free", "large_blocks"})  # the others are "rest"
_LABEL = 300  # characters of a label or a text
_FITTING = {kind: "iubf" if issubclass(kind, np.floating) else "iub" for kind in set(COLUMNS.values())}


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
        self._others = OtherOwners()
        self._divided_at = 0.0  # when the memory was last divided
        self._agent_texts = np.zeros(1, np.int32)  # the agent's text ids -> those of the rows here
        self._marks = SumsOverTime()
        self._actions = Actions()
        self._shares = ThreadShares()
        self._problems: deque[str] = deque(maxlen=MAX_PROBLEMS)
        self._view: Tasks | None = NO_TASKS
        now = clock()
        self._now = Snapshot(now, Status(Phase.CONNECTING, since=now), self.history)

    # -- what the source says ---------------------------------------------------------------------------------------

    def set_status(self, phase: Phase, text: str = "", exit_code: int | None = None, signal: int | None = None) -> None:
        """Say how it stands. An exit is final: only a reconnection could follow, and that is a new store."""
        with self._lock:
            before = self._now.status
            if before.phase is Phase.EXITED:
                return
            since = before.since if before.phase is phase else self._clock()
            self._now = replace(self._now, status=Status(phase, clean(text, _LABEL), since, exit_code, signal))
        self.changed()

    def greet(self, facts: AgentFacts) -> None:
        """A (new) agent has answered: what an earlier one said is forgotten, its history stays.

        Its ids mean something else, so what was remembered by id goes too.
        """
        with self._lock:
            self._tasks.clear()
            self._nodes.clear()
            self._gone_nodes.clear()
            self._others.clear()
            self._marks.clear()
            self._agent_texts = np.zeros(1, np.int32)
            self._view = None
            baseline, followed = self._now.baseline, facts.followed_seconds
            self._now = replace(
                self._now,
                facts=facts,
                settled_at=None,
                watched_since=None if followed is None else self._clock() - followed,
                tick=None,
                agent_cpu_share=None,
                baseline=replace(baseline, sums=None) if baseline else None,
            )
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
            charted = {c.name: c.bytes for c in reading.categories if c.name in CHARTED}
            if any(charted.values()):
                rest = reading.rss - sum(size or 0 for size in charted.values())
                self.history.add("category/rest", reading.taken_at, rest)
            self._record_division(reading)
            self._record_inner(reading.inner, reading.taken_at)
        self.changed()

    def _record_inner(self, allocators: Iterable[InnerAllocator], at: float) -> None:
        """What allocators of libraries have; those of one name, as the agent and as we see it, are different series."""
        for each in allocators:
            if each.in_use is not None:
                self.history.add(f"inner/{each.name}/in_use", at, each.in_use)
            if each.held is not None:
                self.history.add(f"inner/{each.name}/held", at, each.held)

    def _record_division(self, reading: MemoryReading) -> None:
        """Between two divisions of the memory the parts are carried on: their growth is told from the divisions."""
        if reading.partition_age is None:
            return
        divided_at = reading.taken_at - reading.partition_age
        if divided_at < self._divided_at + 1.0:
            return
        self._divided_at = divided_at
        for allocator in reading.allocators:
            self.history.add(f"division/{allocator.name}", reading.taken_at, allocator.held)
            self.history.add(f"division/{allocator.name}/in_use", reading.taken_at, allocator.in_use)

    def add_census(self, census: Census) -> None:
        """Live objects by type."""
        with self._lock:
            self._now = replace(self._now, heap=self._now.heap.with_census(census))
            if census.arrays is not None:
                self.history.add("inner/numpy mapped/in_use", census.taken_at, census.arrays.mapped, COARSE)
                self.history.add("inner/numpy heap/in_use", census.taken_at, census.arrays.in_heap, COARSE)
        self.changed()

    def set_census_problem(self, why: str) -> None:
        """Say why there is no (newer) census."""
        with self._lock:
            self._now = replace(self._now, heap=replace(self._now.heap, problem=clean(why, _LABEL)))
        self.changed()

    def add_containers(self, found: PlacesAnswer) -> None:
        """The large containers, or why they could not be looked for."""
        with self._lock:
            now = self._clock()
            self._now = replace(self._now, containers=self._now.containers.with_answer(found, now))
            for place in found.containers[:MAX_CONTAINERS_IN_HISTORY]:
                self.history.add(items_name((place.path, place.type)), now, place.items, COARSE)
        self.changed()

    def set_limit(self, limit: MemoryLimit) -> None:
        """What ends the growth of memory."""
        with self._lock:
            self._now = replace(self._now, limit=limit)
        self.changed()

    def set_thread_limit(self, limit: ThreadLimit | None) -> None:
        """How many threads there may be, None where nothing limits them."""
        with self._lock:
            self._now = replace(self._now, thread_limit=limit)
        self.changed()

    def set_pressure(self, pressure: MemoryPressure) -> None:
        """How close to being out of memory it has been."""
        with self._lock:
            self._now = replace(self._now, pressure=pressure)
        self.changed()

    def set_children(self, children: Sequence[ChildProcess]) -> None:
        """The child processes: they are rows too, with their RSS for memory."""
        with self._lock:
            self._now = replace(self._now, children=tuple(children))
            self._put_children()
        self.changed()

    def _put_children(self) -> None:
        now, children = self._clock(), self._now.children
        known = {child_row_id(c.pid) for c in children}
        self._tasks.end([n for n in self._tasks.ids_of_kind(schema.KIND_CHILD) if n not in known], now)
        if children:
            columns = child_columns(children, parents_of_children(self._nodes.values()), self._tasks.intern, now)
            self._tasks.put(columns, [f"pid {c.pid}" for c in children], now)
        self._view = None

    def set_stacks(self, stacks: Sequence[ThreadStack], problem: str = "") -> None:
        """The threads as seen from outside: they complete the agent's rows, and stand in for them without one."""
        with self._lock:
            shares = self._shares.add(stacks, self._clock())
            self._now = replace(self._now, stacks=tuple(stacks), stacks_problem=problem, thread_shares=shares)
            self._put_threads()
        self.changed()

    def _put_threads(self) -> None:
        now, stacks = self._clock(), self._now.stacks
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
            self._tasks.put(thread_columns(foreign, self._tasks.intern), [s.name for s in foreign], now)
        for stack in stacks:
            if stack.thread_id is not None:
                number = known.get(stack.thread_id, thread_row_id(stack.thread_id))
                for column, value in thread_values(stack, self._tasks.intern).items():
                    self._tasks.set_value(number, column, value)
        self._view = None

    # -- what the agent says ----------------------------------------------------------------------------------------

    def add_texts(self, first: int, items: Sequence[str]) -> None:
        """Texts with the agent's ids `first`, `first + 1`, ...; a gap cannot be: ids out of order are ignored."""
        with self._lock:
            if 0 < first <= len(self._agent_texts):
                mine = [self._tasks.intern(clean(text, _LABEL)) for text in items[: MAX_AGENT_TEXTS - first]]
                self._agent_texts = np.concatenate([self._agent_texts[:first], np.array(mine, np.int32)])

    def put_rows(
        self, columns: Mapping[str, Array], names: Sequence[str | None], others: Mapping[int, Owners] = NO_OWNERS
    ) -> None:
        """New or changed rows, with the agent's text ids; unknown columns and ids that are not positive are left out.

        `others` are the owners of these rows beside their parents.
        Raises ValueError, and changes nothing, when there are no ids, the lengths differ, or a type does not fit.
        """
        with self._lock:
            mine = {name: values for name, values in columns.items() if name in COLUMNS}
            if "id" not in mine or any(len(values) != len(names) for values in mine.values()):
                raise ValueError("rows without ids, or columns of different lengths")
            if any(values.dtype.kind not in _FITTING[COLUMNS[name]] for name, values in mine.items()):
                raise ValueError("a column of whole numbers has others")
            right = mine["id"].astype(np.int64) > 0
            if not right.all():
                mine = {name: values[right] for name, values in mine.items()}
                names = [name for name, ok in zip(names, right.tolist(), strict=True) if ok]
            for column in ("function", "waiting", "where"):
                if column in mine:
                    mine[column] = self._own_texts(mine[column])
            kinds, states = mine.get("kind"), mine.get("state")
            if kinds is not None and states is not None and (kinds == schema.KIND_THREAD).any():
                mine = self._keep_outside_facts(mine)
            refused = self._tasks.refused
            cleaned = [None if name is None else clean(name, _LABEL) for name in names]
            self._tasks.put(mine, cleaned, self._clock())
            self._others.put(mine["id"].tolist(), others)
            self._view = None
            if self._tasks.refused and not refused:
                self._problems.append(f"there are more than {MAX_ROWS:,} rows: the rest is not shown")

    def _own_texts(self, numbers: Array) -> Array:
        index = numbers.astype(np.int64)
        known = len(self._agent_texts)
        return np.where((index >= 0) & (index < known), self._agent_texts[index.clip(0, known - 1)], 0)

    def _keep_outside_facts(self, columns: dict[str, Array]) -> dict[str, Array]:
        """What the agent cannot know of a thread (state, where, CPU) must not be overwritten with "unknown"."""
        mine = {name: column.copy() for name, column in columns.items()}
        for i in np.flatnonzero(mine["kind"] == schema.KIND_THREAD).tolist():
            number = int(mine["id"][i])
            if number not in self._tasks:
                continue
            for name in ("state", "waiting", "where", "cpu"):
                if name not in mine:
                    continue
                value = mine[name][i]
                if (value == 0 or value != value) and (old := self._tasks.value(number, name)) is not None:
                    mine[name][i] = old
        return mine

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """New or changed tree nodes."""
        with self._lock:
            for node in nodes:
                if node.id > 0 and (len(self._nodes) < MAX_NODES or node.id in self._nodes):
                    label, detail = clean(node.label, _LABEL), clean(node.detail, _LABEL)
                    self._nodes[node.id] = replace(node, label=label, detail=detail)
                    self._gone_nodes.pop(node.id, None)
                    for pid in node.pids:
                        self._tasks.set_value(child_row_id(pid), "parent", node.id)
                        self._view = None

    def remove(self, ids: Iterable[int]) -> None:
        """Rows and nodes that are not there any more."""
        with self._lock:
            now = self._clock()
            rows = []
            for number in ids:
                if number in self._nodes:
                    if number not in self._gone_nodes:
                        self._tasks.endings.add(self._nodes[number].parent)
                    self._gone_nodes[number] = now
                    self._nodes[number] = replace(self._nodes[number], ended=True)
                else:
                    rows.append(number)
            self._tasks.end(rows, now)
            self._others.remove(rows)
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
            if tick.collector is not None:
                for generation, runs in enumerate(tick.collector.collections[:MAX_GENERATIONS]):
                    self.history.add(f"collector/{generation}", now, runs, COARSE)
                if before is not None:
                    self.history.add("pause", now, tick.collector.pause_since(before.collector), COARSE)
            self._record_inner(tick.allocators, now)
            self._tasks.in_all = None if tick.complete and not tick.is_full else tick.total
            if tick.complete and (before is None or not before.complete):
                self._put_children()  # the greeting has forgotten them, and the agent's rows are completed by them
                self._put_threads()
            self._forget_faded(now)
            if self._now.settled_at is None and tick.complete and tick.measured >= 0.9 * tick.total:
                self._now = replace(self._now, settled_at=now)
            if self._now.settled_at is not None:
                self.history.add("tasks", now, tick.total)
                self._record_groups(now)
            if tick.holders_complete and self._is_measured(tick, now) and self._marks.is_due(now, len(self._tasks)):
                forest = plant(self._tasks.glance(now), self._nodes, self._tasks.endings.view())
                self._marks.add(mark(forest, now, MAX_MARKED))
        self.changed()

    def _is_measured(self, tick: Tick, now: float) -> bool:
        """Whether sums of what the tree's tasks retain can be compared from now on.

        Unlike the groups' they are not told from a part: what is measured for the first time would look like growth.
        Where tasks come and go faster than they are measured, that part stays the same, and does no harm.
        """
        settled_at = self._now.settled_at
        if settled_at is None:
            return False
        return bool(self._marks.all()) or tick.measured >= 0.99 * tick.total or now - settled_at >= UNMEASURED_SECONDS

    def add_past(self, past: PastSeries) -> None:
        """What the agent has kept of one series: it completes the history where nothing was read here."""
        with self._lock:
            name, tiers = past.series, TIERS
            if past.group is not None:
                kind, function, held = past.group
                key = (kind, self._tasks.intern(clean(function, _LABEL)), held)
                name, tiers = group_name(key, past.series), COARSE
            self.history.fill(name, past.at(self._clock()), tiers)
        self.changed()

    def add_problem(self, text: str) -> None:
        """Something that the agent or the source could not do."""
        with self._lock:
            text = clean(text, _LABEL)
            if text in self._problems:  # said before: once more is not news
                self._problems.remove(text)
            self._problems.append(text)
        self.changed()

    def _forget_faded(self, now: float) -> None:
        self._tasks.sweep(now)
        faded = [n for n, at in self._gone_nodes.items() if abs(now - at) > FADE_SECONDS]
        self._tasks.endings.forget(faded)
        for number in faded:
            del self._gone_nodes[number]
            self._nodes.pop(number, None)
        self._view = None

    def _record_groups(self, now: float) -> None:
        sums = group_sums(self._tasks.glance(now))
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
            tasks = self._tasks.glance(now)
            memory = self._now.memory
            sizes = {a.name: a.in_use if a.held is None else a.held for a in (memory.allocators if memory else ())}
            inner = (*(self._now.tick.allocators if self._now.tick else ()), *(memory.inner if memory else ()))
            sizes |= {a.name: a.in_use if a.held is None else a.held for a in inner}
            allocators = {name: size for name, size in sizes.items() if size is not None}
            if self._now.process and self._now.process.rss is not None:
                allocators["total"] = self._now.process.rss
            groups = {key: (group.count, group.bytes) for key, group in group_sums(tasks).items()}
            sums = mark(plant(tasks, self._nodes, self._tasks.endings.view()), now)
            self._now = replace(self._now, baseline=Baseline(now, allocators, groups, sums))
            self._now = replace(self._now, heap=self._now.heap.marked(), containers=self._now.containers.marked())
        self.changed()

    def begin_action(self, name: str, row_id: int, settings: Settings | None = None) -> int:
        """Take note of an action that is asked for now; returns the key by which to report on it."""
        with self._lock:
            now = self._clock()
            row = self._tasks_view(now).find(row_id)
            title = (row.name or row.function) if row is not None else ""
            key = self._actions.begin(name, row_id, title, now, settings)
        self.changed()
        return key

    def report_actions(self, keys: Iterable[int], progress: Progress) -> None:
        """Take note of what has come of actions."""
        with self._lock:
            self._actions.report(keys, progress, self._clock())
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
                other_owners=self._others.view(),
                problems=tuple(self._problems),
                actions=self._actions.all(),
                endings=self._tasks.endings.view(),
                marks=self._marks.all(),
            )
