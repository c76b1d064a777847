"""A source that makes everything up, for screens, tests and measurements. It reads nothing and nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..model.actions import Prospects, Settings
from ..model.details import ChainFrame, DetailAnswer, GroupAnswer, GroupQuestion, SharedObject
from ..model.places import PlacesAnswer, PlacesQuestion
from ..model.readings import AgentCost, Tick
from ..model.snapshot import Phase
from ..model.store import Store
from ..protocol import schema
from .base import Source, SourceError
from .story import FIRST_CHILD, LISTENER, MAIN_TASK, TEXTS, Story
from .story_heap import places

Situation = Literal["live", "connecting", "locked", "stale", "outside", "exited", "killed"]

WAITING = {
    "connecting": "looking at the process",
    "locked": "waiting for the interpreter lock",
}
CENSUS_SECONDS = 10.0
CONTAINERS_SECONDS = 30.0
NO_AGENT = "ptrace is not permitted (kernel.yama.ptrace_scope is 1); what is read from outside goes on"


@dataclass
class FakeClock:
    """Unix time that goes on when it is told to, or by itself while it is `real`."""

    now: float
    real: bool = False

    def __call__(self) -> float:
        return time.time() if self.real else self.now

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        self.now += seconds


class FakeSource:
    """Plays a `Story`. Tests move it on with `play`; with `start` it goes on by itself, once per `interval`.

    `situation` is how it stands between us and the made-up target: in every one but "live" the agent is silent from
    then on, and in "exited" and "killed" everything is.
    """

    def __init__(
        self,
        story: Story | None = None,
        *,
        clock: FakeClock | None = None,
        situation: Situation = "live",
        interval: float = 1.0,
        churn: float = 0.02,
        allows_actions: bool = False,
    ) -> None:
        self.story = story or Story()
        self.clock = clock or FakeClock(self.story.begin)
        self.interval = interval
        self.focused: tuple[int, ...] = ()
        self.detached = False
        self.allows_actions = allows_actions
        self.counts_objects = self.looks_for_containers = False
        self._least = PlacesQuestion.least
        self.acted: list[tuple[str, int, int]] = []  # (action, row, the store's key), which tests report on
        self.settings: list[Settings | None] = []  # of each of these
        self.enoughs = 0
        self._churn = churn
        self._store = Store(self.clock)
        self._situation: Situation = situation
        self._spawned = (0, 0)
        self._steps = 0
        self._greeted = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._step_lock = threading.Lock()

    @property
    def store(self) -> Store:
        """Everything made up so far."""
        return self._store

    def start(self) -> None:
        """Go on by itself, in step with the clock, until `stop`."""
        self.step()
        self._thread = threading.Thread(target=self._run, name="fake source", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop going on by itself."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def child(self, pid: int) -> Source:
        """The one child plays the repaired story."""
        if pid not in {child.pid for child in self.story.children()}:
            raise SourceError(f"there is no process {pid}")
        return type(self)(replace(self.story, pid=pid, fixed=True), clock=self.clock)

    def enough(self) -> None:
        """Remember that this was asked for."""
        self.enoughs += 1

    def detach(self) -> None:
        """Remember that this was asked for, and stop."""
        self.detached = True
        self.stop()

    def act(self, action: str, row_id: int = 0, settings: Settings | None = None) -> None:
        """Remember what was asked for."""
        if self.allows_actions:
            self.settings.append(settings)
            self.acted.append((action, row_id, self._store.begin_action(action, row_id, settings)))

    def focus(self, ids: Sequence[int]) -> None:
        """Remember which rows are on the screen."""
        self.focused = tuple(ids)

    def count_objects(self, wanted: bool) -> None:
        """Count the objects by type from now on, or no longer."""
        self.counts_objects = wanted
        if wanted and self._store.snapshot().heap.newest is None:
            self._count_objects(self.clock() - self.story.begin)

    def look_for_containers(self, wanted: bool, least: int = PlacesQuestion.least) -> None:
        """Look for the containers of so many items from now on, or no longer."""
        self.looks_for_containers = wanted
        is_less, self._least = least < self._least, least
        if wanted and (is_less or self._store.snapshot().containers.newest is None):
            self._store.add_containers(self.places(PlacesQuestion(least)))

    def request_places(self, asked: PlacesQuestion, answer: Callable[[PlacesAnswer], None]) -> None:
        """Answer where objects are held on another thread, as a real source does."""
        threading.Thread(target=lambda: answer(self.places(asked)), daemon=True).start()

    def places(self, asked: PlacesQuestion) -> PlacesAnswer:
        """Where objects are held, made up."""
        if self._situation != "live":
            return PlacesAnswer(problem="the agent does not answer")
        first, end = self.story.alive(self.clock() - self.story.begin)
        return places(asked, end - first)

    def _count_objects(self, second: float) -> None:
        if self._situation not in ("exited", "killed"):
            self._store.add_census(self.story.census(second))

    def _run(self) -> None:
        while not self._stopping.wait(self.interval):
            self.step()

    # -- time --------------------------------------------------------------------------------------------------------

    def play(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass in steps, with a reading after each."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.step()

    def remember(self, seconds: float, step: float = 10.0) -> None:
        """Fill the history as if the memory had been read for so long already, without playing all of it."""
        now = self.clock() - self.story.begin
        for i in range(round(seconds / step), 0, -1):
            self._store.add_process(self.story.process(now - i * step))
            self._store.add_memory(self.story.memory(now - i * step))

    def become(self, situation: Situation) -> None:
        """Change how it stands with the target."""
        self._situation = situation
        self.step()

    def step(self) -> None:
        """One reading of everything that can be read in this situation."""
        with self._step_lock:
            second = self.clock() - self.story.begin
            self._set_status()
            if self._situation in ("exited", "killed"):
                return
            if self._situation == "live":
                self._hear_agent(second)
            self._read_outside(second)

    def _set_status(self) -> None:
        set_status = self._store.set_status
        if self._situation in WAITING:
            set_status(Phase.CONNECTING, WAITING[self._situation])
        elif self._situation == "outside":
            set_status(Phase.OUTSIDE, NO_AGENT)
        elif self._situation == "exited":
            set_status(Phase.EXITED, "the process has ended", exit_code=1)
        elif self._situation == "killed":
            set_status(Phase.EXITED, "killed for memory: its group's oom_kill count went up", signal=9)
        else:
            set_status(Phase.LIVE)

    def _read_outside(self, second: float) -> None:
        if not self._steps:
            self._store.set_identity(self.story.identity())
            self._store.set_limit(self.story.memory_limit())
            self._store.set_pressure(self.story.memory_pressure())
        self._steps += 1
        self._store.add_process(self.story.process(second))
        self._store.add_memory(self.story.memory(second))
        self._store.set_stacks(self.story.stacks(second))
        self._store.set_children(self.story.children())
        containers = self._store.snapshot().containers.newest
        if self.looks_for_containers and (
            containers is None or self.clock() - containers.taken_at >= CONTAINERS_SECONDS
        ):
            self._store.add_containers(self.places(PlacesQuestion(self._least)))
        newest = self._store.snapshot().heap.newest
        if self.counts_objects and (newest is None or self.clock() - newest.taken_at >= CENSUS_SECONDS):
            self._count_objects(second)

    def _hear_agent(self, second: float) -> None:
        first, end = self.story.alive(second)
        before_first, before_end = self._spawned
        if not self._greeted:
            self._greeted = True
            self._store.greet(self.story.facts())
            self._store.add_texts(1, TEXTS)
            self._store.put_nodes(self.story.nodes())
        columns, names = self.story.fixtures(second)
        self._store.put_rows(columns, names, self.story.other_owners())
        fresh = np.arange(max(before_end, first), end)
        if len(fresh):
            self._store.put_rows(*self.story.spawned(fresh, second))
        if changed := self._changed(max(first, before_first), before_end):
            columns, _ = self.story.spawned(np.array(changed), second)
            self._store.put_rows(columns, [None] * len(changed))
        self._store.remove(range(FIRST_CHILD + before_first, FIRST_CHILD + min(first, before_end)))
        self._spawned = (first, end)
        self._store.add_tick(self._tick(second, len(names) + end - first))

    def _changed(self, first: int, end: int) -> list[int]:
        """The tasks that are measured anew with this update: a different part each time."""
        if end <= first or not self._churn:
            return []
        stride = max(1, round(1 / self._churn))
        return list(range(first + self._steps % stride, end, stride))

    def _tick(self, second: float, total: int) -> Tick:
        cost = AgentCost(0.4 + 0.006 * second, 0.0011, 2_000_000, 0, 0, 1)
        collector = self.story.collector(second)
        return Tick(
            self.story.begin + second, total, total, True, True, collector, cost, prospects=Prospects("", True, False)
        )

    # -- details -----------------------------------------------------------------------------------------------------

    def request_detail(self, row_id: int, answer: Callable[[DetailAnswer], None], values: bool = False) -> None:
        """Answer about a row on another thread, as a real source does."""
        threading.Thread(target=lambda: answer(self.detail(row_id)), daemon=True).start()

    def detail(self, row_id: int) -> DetailAnswer:
        """Everything about a row, made up."""
        row = self._store.snapshot().tasks.find(row_id)
        if row is None or row.ended:
            return DetailAnswer(row_id, problem="this task has ended")
        if row.kind != schema.KINDS[schema.KIND_TASK]:
            return DetailAnswer(row_id, problem=f"there is nothing more to tell about a {row.kind}")
        if self._situation != "live":
            return DetailAnswer(row_id, problem="the agent does not answer")
        answer = DetailAnswer(row_id, retained=row.retained, accuracy=row.accuracy, error=row.error)
        if row_id == LISTENER:
            return replace(
                answer,
                chain=(ChainFrame("rudder.discover.Listener.run", "/srv/rudder/rudder/discover.py", 41),),
                by_type=(("dict", 256, 9_400_000), ("bytes", 250, 3_000_000)),
                biggest=(("self._lookups._answers", "collections.OrderedDict", 256, 9_400_000, ""),),
                awaited_by=((MAIN_TASK, "Task-1 rudder.main.run"),),
                note="one object was too large to follow within the agent's limits",
            )
        return replace(
            answer,
            chain=(
                ChainFrame("rudder.pipeline.Spawner.push_hash", "/srv/rudder/rudder/pipeline.py", 88),
                ChainFrame("rudder.agent.Agent.serve", "/srv/rudder/rudder/agent.py", 41),
                ChainFrame("asyncio.locks.Event.wait", "/usr/lib/python3.11/asyncio/locks.py", 213),
            ),
            by_type=(("bytearray", 1, 6_990_000), ("dict", 3, 18_000), ("str", 212, 14_000)),
            biggest=(
                ("locals specimen.payload", "bytearray", 6_990_000, 6_990_000, ""),
                ("locals specimen.urls", "list", 96, 9_000, ""),
            ),
            holders=(("rudder.pipeline.Spawner._children", "set", self._spawned[1] - self._spawned[0]),),
            created_at=None if row.age_is_minimum else self.clock() - (row.age_seconds or 0.0),
            spawned_at="" if row.age_is_minimum else "/srv/rudder/rudder/pipeline.py:71 Spawner.start",
            spawned_by=() if row.age_is_minimum else ((MAIN_TASK, "Task-1 rudder.main.run"),),
        )

    # -- groups ------------------------------------------------------------------------------------------------------

    def request_group(self, asked: GroupQuestion, answer: Callable[[GroupAnswer], None]) -> None:
        """Answer about a group on another thread, as a real source does."""
        threading.Thread(target=lambda: answer(self.group(asked)), daemon=True).start()

    def group(self, asked: GroupQuestion) -> GroupAnswer:
        """What a group retains together, made up: each retains what its row says, and all share a little."""
        if self._situation != "live":
            return GroupAnswer(problem="the agent does not answer")
        tasks = self._store.snapshot().tasks
        kind = schema.KIND_TASK
        chosen = tasks.alive
        if asked.like:
            position = tasks.position(asked.like[0])
            if position is None:
                return GroupAnswer(note="none of them lives any more")
            kind = tasks["kind"][position]
            chosen = chosen & (tasks["function"] == tasks["function"][position])
        chosen = chosen & (tasks["kind"] == kind)
        if asked.node is not None:
            chosen &= tasks["parent"] == asked.node
        if asked.ids:
            chosen &= np.isin(tasks["id"], asked.ids)
        members = int(chosen.sum())
        alone = int(tasks["retained"][chosen].clip(min=0).sum())
        return GroupAnswer(
            members=members,
            looked_at=members,
            alone=alone,
            alone_accuracy="sampled",
            alone_error=alone // 500,
            together=alone + 1_204_000,
            together_accuracy="sampled",
            together_error=alone // 500,
            common=(SharedObject("locals of Agent.serve: self.batch", "list", 40, 1_200_000, members),),
            shared_bytes=310_000,
            shared_objects=4,
            shared=(
                SharedObject("locals: config", "dict", 18, 301_000, members),
                SharedObject("locals: self.pool", "rudder.pool.Pool", None, 9_000, members),
            ),
            by_type=(("bytearray", members, alone - alone // 200), ("dict", 3 * members, alone // 400)),
            by_type_members=6,
            seconds=0.41,
        )


def source_in_real_time(story: Story, situation: Situation = "live") -> FakeSource:
    """Return a source that goes on in real time once it is started, with an hour of its past known already."""
    now = time.time()
    clock = FakeClock(now - 60.0)
    source = FakeSource(replace(story, begin=now - 60.0), clock=clock)
    source.remember(3600.0)
    source.play(60.0)
    clock.real = True
    source.become(situation)
    return source
