"""Everything known about one target: updates go in from the source's threads, frozen snapshots come out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ..protocol.clean import clean
from .actions import Actions, Progress, Settings
from .agent_rows import AgentRows
from .census import Census
from .forest import Node, plant
from .forest_sums import SumsOverTime, mark
from .groups import group_name, group_sums
from .history import COARSE, TIERS, History
from .node_store import NodeStore
from .outside_rows import child_row_id, put_children, put_threads
from .owners import NO_OWNERS, OtherOwners, Owners, parents_of_children
from .past import PastSeries
from .places import PlacesAnswer
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
from .series_writer import SeriesWriter
from .snapshot import Baseline, Phase, Snapshot, Status
from .task_store import MAX_LABEL, MAX_ROWS, TaskStore
from .tasks import NO_TASKS, Array, Tasks
from .thread_shares import ThreadShares

MAX_PROBLEMS = 20
MAX_MARKED = 1000  # nodes and as many folds, the widest, in each of the marks that tell growth
UNMEASURED_SECONDS = 30.0  # after the first picture, from when on the tasks that are not measured are always some


class Store:
    """Takes in what the source reads, on any thread, and gives out snapshots.

    `clock` gives Unix seconds. `changed` is called after each change, on the thread that made it.
    """

    def __init__(self, clock: Callable[[], float], changed: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self.changed = changed
        self.history = History()
        self._series = SeriesWriter(self.history)
        self._lock = threading.RLock()
        self._tasks = TaskStore()
        self._agent_rows = AgentRows(self._tasks)
        self._nodes = NodeStore(self._tasks.endings)
        self._others = OtherOwners()
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
            self._now = replace(self._now, status=Status(phase, clean(text, MAX_LABEL), since, exit_code, signal))
        self.changed()

    def greet(self, facts: AgentFacts) -> None:
        """A (new) agent has answered: what an earlier one said is forgotten, its history stays.

        Its ids mean something else, so what was remembered by id goes too.
        """
        with self._lock:
            self._tasks.clear()
            self._nodes.clear()
            self._others.clear()
            self._marks.clear()
            self._agent_rows.clear()
            self._view = None
            baseline, followed = self._now.baseline, facts.followed_seconds
            self._now = replace(
                self._now,
                facts=facts,
                settled_at=None,
                watched_since=None if followed is None else self._clock() - followed,
                tick=None,
                agent_cpu_share=None,
                beside=None,
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
            self._series.write_process(reading, share)
        self.changed()

    def add_memory(self, reading: MemoryReading) -> None:
        """Memory by allocator."""
        with self._lock:
            self._now = replace(self._now, memory=reading)
            self._series.write_memory(reading)
        self.changed()

    def add_census(self, census: Census) -> None:
        """Live objects by type."""
        with self._lock:
            self._now = replace(self._now, heap=self._now.heap.with_census(census))
            self._series.write_census(census)
        self.changed()

    def set_census_problem(self, why: str) -> None:
        """Say why there is no (newer) census."""
        with self._lock:
            self._now = replace(self._now, heap=replace(self._now.heap, problem=clean(why, MAX_LABEL)))
        self.changed()

    def add_containers(self, found: PlacesAnswer) -> None:
        """The large containers, or why they could not be looked for."""
        with self._lock:
            now = self._clock()
            self._now = replace(self._now, containers=self._now.containers.with_answer(found, now))
            self._series.write_containers(found.containers, now)
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
        parents = parents_of_children(self._nodes.by_id.values())
        put_children(self._tasks, self._now.children, parents, self._clock())
        self._view = None

    def set_stacks(self, stacks: Sequence[ThreadStack], problem: str = "") -> None:
        """The threads as seen from outside: they complete the agent's rows, and stand in for them without one."""
        with self._lock:
            shares = self._shares.add(stacks, self._clock())
            self._now = replace(self._now, stacks=tuple(stacks), stacks_problem=problem, thread_shares=shares)
            self._put_threads()
        self.changed()

    def _put_threads(self) -> None:
        put_threads(self._tasks, self._now.stacks, self._clock())
        self._view = None

    # -- what the agent says ----------------------------------------------------------------------------------------

    def set_beside(self, thread: int | None) -> None:
        """The thread, if any, that never rests, and beside which the agent's is kept."""
        with self._lock:
            if thread == self._now.beside:
                return
            self._now = replace(self._now, beside=thread)
        self.changed()

    def add_texts(self, first: int, items: Sequence[str]) -> None:
        """Texts with the agent's ids `first`, `first + 1`, ...; a gap cannot be: ids out of order are ignored."""
        with self._lock:
            self._agent_rows.add_texts(first, items)

    def put_rows(
        self, columns: Mapping[str, Array], names: Sequence[str | None], others: Mapping[int, Owners] = NO_OWNERS
    ) -> None:
        """New or changed rows, with the agent's text ids; unknown columns and ids that are not positive are left out.

        `others` are the owners of these rows beside their parents.
        Raises ValueError, and changes nothing, when there are no ids, the lengths differ, or a type does not fit.
        """
        with self._lock:
            refused = self._tasks.refused
            ids = self._agent_rows.put(columns, names, self._clock())
            self._others.put(ids, others)
            self._view = None
            if self._tasks.refused and not refused:
                self._problems.append(f"there are more than {MAX_ROWS:,} rows: the rest is not shown")

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """New or changed tree nodes."""
        with self._lock:
            for node in self._nodes.put(nodes):
                for pid in node.pids:
                    self._tasks.set_value(child_row_id(pid), "parent", node.id)
                    self._view = None

    def remove(self, ids: Iterable[int]) -> None:
        """Rows and nodes that are not there any more."""
        with self._lock:
            now = self._clock()
            rows = self._nodes.end(ids, now)
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
            self._series.write_collector(tick, before, now)
            self._series.write_inner(tick.allocators, now)
            self._tasks.in_all = None if tick.complete and not tick.is_full else tick.total
            if tick.complete and (before is None or not before.complete):
                self._put_children()  # the greeting has forgotten them, and the agent's rows are completed by them
                self._put_threads()
            self._tasks.sweep(now)
            self._nodes.sweep(now)
            self._view = None
            if self._now.settled_at is None and tick.complete and tick.measured >= 0.9 * tick.total:
                self._now = replace(self._now, settled_at=now)
            if self._now.settled_at is not None:
                self._series.write_tasks(tick.total, self._tasks.glance(now), now)
            if tick.holders_complete and self._is_measured(tick, now) and self._marks.is_due(now, len(self._tasks)):
                forest = plant(self._tasks.glance(now), self._nodes.by_id, self._tasks.endings.view())
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
                key = (kind, self._tasks.intern(clean(function, MAX_LABEL)), held)
                name, tiers = group_name(key, past.series), COARSE
            self.history.fill(name, past.at(self._clock()), tiers)
        self.changed()

    def add_problem(self, text: str) -> None:
        """Something that the agent or the source could not do."""
        with self._lock:
            text = clean(text, MAX_LABEL)
            if text in self._problems:  # said before: once more is not news
                self._problems.remove(text)
            self._problems.append(text)
        self.changed()

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
            sums = mark(plant(tasks, self._nodes.by_id, self._tasks.endings.view()), now)
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
                nodes=dict(self._nodes.by_id),
                other_owners=self._others.view(),
                problems=tuple(self._problems),
                actions=self._actions.all(),
                endings=self._tasks.endings.view(),
                marks=self._marks.all(),
            )
