"""A made-up service for screens, tests and measurements: what a reading of it would be at any moment.

It is the service of the demonstration, in numbers: a spawner that starts a task for every specimen. In the growing
variant none of them ends; in the fixed one each ends after a few seconds. Everything follows from the second that is
asked for, so that two runs show the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..model.census import Census
from ..model.forest import Node
from ..model.readings import (
    AgentFacts,
    Allocator,
    CArena,
    Category,
    CHeap,
    ChildProcess,
    Collector,
    Frame,
    Holding,
    Identity,
    Limit,
    MemoryLimit,
    MemoryPressure,
    MemoryReading,
    ProcessReading,
    ThreadStack,
)
from ..model.tasks import Array
from ..protocol import schema
from ..protocol.clean import clean
from .story_heap import census

MB = 1_000_000
LIFE_OF_FIXED = 20.0  # seconds that a task of the fixed variant lives
UP_BEFORE = 273_600.0  # seconds that the service ran before it was looked at: 3 d 4 h
FIRST_CHILD = 1000  # row id of the first task of the spawner
CHILD_PID = 4720  # of the one child process

LOOP, HOLDER, GROUP, UNOWNED, EXECUTOR, GATHER = 2, 3, 4, 5, 6, 7
MAIN_THREAD, MAIN_TASK, LISTENER = 20, 21, 22
FIRST_FEED, RESOLVED = 40, 60  # the first of three, and of two

HOSTILE = (
    "\x1b]0;owned\x07\x1b[31mred",
    "line\nbreak\ttab\rreturn",
    "\u202eright to left",
    "宽字符任务名称" * 4,
    "e\u0301\u0301\u0301 combined",
    "[bold]markup[/bold] [/]",
    "n" * 10_000,
    "",
)


@dataclass(frozen=True)
class Story:
    """The made-up service. `tasks` is how many the spawner holds at second 0, `per_minute` how many it adds."""

    tasks: int = 412
    per_minute: float = 3.1
    fixed: bool = False
    hostile: bool = False  # names and functions that try to reach the terminal
    empty: bool = False  # no asyncio at all, one thread
    pid: int = 4711
    begin: float = 1_790_000_000.0  # Unix time of second 0
    limit: int = 4_000 * MB
    payload: int = 7_020_000  # bytes that each task of the spawner retains
    census_shift: int = 0  # one pool in 2**this is read to count the objects by type
    restless: bool = False  # every task of the spawner retains something else each second

    def alive(self, second: float) -> tuple[int, int]:
        """Return the numbers of the first and one after the last task of the spawner that lives at this second."""
        if self.empty:
            return 0, 0
        if self.fixed:
            newest = self.tasks + math.floor(second * self.tasks / LIFE_OF_FIXED)
            return newest - self.tasks, newest
        return 0, self.tasks + math.floor(second * self.per_minute / 60)

    def live_bytes(self, second: float) -> int:
        """Bytes in use by Python objects."""
        first, end = self.alive(second)
        breath = 0.4 * MB * math.sin(second / 7)
        return int(22 * MB + (end - first) * self.payload + breath)

    # -- readings from outside ---------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Who it is."""
        return Identity(
            pid=self.pid,
            pid_inside=self.pid,
            parent=1,
            started_at=self.begin - UP_BEFORE,
            command=("python3.11", "-m", "rudder.main", "--feeds", "archive,live,partner"),
            executable="/usr/bin/python3.11",
            cwd="/srv/rudder",
            root="/",
            host="build-07",
            uid=1000,
            user="rudder",
            python="3.11.7",
            implementation="cpython",
            free_threaded=False,
        )

    def memory_limit(self) -> MemoryLimit:
        """What ends its growth."""
        return MemoryLimit(self.limit, "cgroup /system.slice/rudder.service memory.max", None, 0)

    def memory_pressure(self) -> MemoryPressure:
        """How close to being out of memory it has been."""
        return MemoryPressure("/system.slice/rudder.service", 0, 12, 0, 0, "cgroup", 0.0, 0.0, 1.4, 0.9)

    def process(self, second: float) -> ProcessReading:
        """The cheap reading."""
        rss = self.memory(second).rss
        return ProcessReading(
            taken_at=self.begin + second,
            rss=rss,
            rss_anon=rss - 74 * MB,
            rss_file=74 * MB,
            rss_shmem=0,
            swap=0,
            peak_rss=rss + 2 * MB,
            vms=2 * rss,
            threads=1 if self.empty else 6,
            fds=38 + int(second) % 3,
            fd_limit=1024,
            cpu_seconds=9_120.0 + 0.034 * second,
            minor_faults=int(48_211 + 3 * second),
            major_faults=17,
            voluntary_switches=int(1_201_332 + 40 * second),
            involuntary_switches=int(9_812 + second),
            oom_score=667,
            state="S",
            limits=(
                Limit("Max open files", 1024, 524_288, "files"),
                Limit("Max address space", None, None, "bytes"),
                Limit("Max processes", 63_450, 63_450, "processes"),
                Limit("Max locked memory", 8_388_608, 8_388_608, "bytes"),
            ),
        )

    def memory(self, second: float) -> MemoryReading:
        """Memory by allocator."""
        live = self.live_bytes(second)
        free = int(live * 0.018)
        wave = int(0.3 * MB * math.sin(second / 11))
        large, native = 96 * MB, 41 * MB
        c_live, c_free, stacks, files = 193 * MB + wave, 19 * MB, int(1.2 * MB), 74 * MB
        parts = {
            "python_live": live,
            "python_free": free,
            "c_live": c_live,
            "c_free": c_free,
            "large_blocks": large,
            "native_other": native,
            "stacks": stacks,
            "files": files,
            "shared": 0,
        }
        return MemoryReading(
            taken_at=self.begin + second,
            rss=sum(v or 0 for v in parts.values()),
            pss=None,
            uss=None,
            allocators=(
                Allocator("python", "Python objects", live, live + free),
                Allocator("c_heap", "C heap", c_live, c_live + c_free),
                Allocator("large_blocks", "Large blocks", large, large),
                Allocator("native_other", "Other native memory", None, native),
                Allocator("stacks", "Thread stacks", None, stacks),
                Allocator("files", "Code and mapped files", None, files),
                Allocator("shared", "Shared memory", None, 0),
            ),
            categories=tuple(Category(name, name, size) for name, size in parts.items()),
            size_classes=((32, 91_022, 92_400), (64, 412_881, 415_000), (512, 12_090, 12_800)),
            python_in_use_error=int(live * 0.004),
            unavailable={},
            cost_seconds=0.004,
            partition_age=2.0,
            c_heap=_c_heap(c_live, c_free),
            holdings=_HOLDINGS,
        )

    def census(self, second: float) -> Census:
        """Its small objects, by type."""
        first, end = self.alive(second)
        names = tuple(clean(name) for name in HOSTILE[:4]) if self.hostile else ()
        return census(self.begin + second, end - first, self.census_shift, names)

    def stacks(self, second: float) -> tuple[ThreadStack, ...]:
        """The threads, as they are seen from outside."""
        selector = Frame("select", "/usr/lib/python3.11/selectors.py", 468, False)
        run = Frame("run_forever", "/usr/lib/python3.11/asyncio/base_events.py", 608, False)
        waits = Frame("_worker", "/usr/lib/python3.11/concurrent/futures/thread.py", 81, False)
        main = ThreadStack(
            self.pid, 1, "MainThread", False, False, (selector, run), "S", 9_000.0 + 0.03 * second, "epoll"
        )
        if self.empty:
            return (main,)
        pool = [
            ThreadStack(4712 + i, 2 + i, f"pool_{i}", False, False, (waits,), "S", 20.0 + i, "futex") for i in range(4)
        ]
        return (main, *pool)

    def children(self) -> tuple[ChildProcess, ...]:
        """Its child processes."""
        if self.empty or self.pid == CHILD_PID:
            return ()
        command = ("python3.11", "-m", "rudder.upload")
        return (ChildProcess(CHILD_PID, self.begin - 5_000.0, command, 61 * MB, 12.5, "S", True),)

    def collector(self, second: float) -> Collector:
        """The counters of its garbage collector."""
        return Collector((312, 4, 2), (48_122, 4_370, int(397 + second / 60)), 91_233, 0)

    def facts(self) -> AgentFacts:
        """What its agent says about itself."""
        return AgentFacts(
            python="3.11.7",
            implementation="cpython",
            executable="/usr/bin/python3.11",
            command=("python3.11", "-m", "rudder.main", "--feeds", "archive,live,partner"),
            platform="linux x86_64",
            free_threaded=False,
            self_check="ok",
            capabilities=("tasks", "retained", "holders", "detail"),
            switch_interval=0.005,
            agent_started_at=self.begin,
            method="ptrace",
            attach_seconds=0.31,
            held_seconds=0.0011,
        )

    # -- rows and nodes of the agent ---------------------------------------------------------------------------------

    def nodes(self) -> tuple[Node, ...]:
        """The tree above the rows."""
        if self.empty:
            return ()
        return (
            Node(LOOP, "loop", "loop MainThread", MAIN_THREAD, "runs", 0, ""),
            Node(HOLDER, "holder", self._text("rudder.pipeline.Spawner._children"), LOOP, "holds", None, "set"),
            Node(GROUP, "task_group", "task group in Listener._round", LISTENER, "owns", None, "discover.py:57"),
            Node(UNOWNED, "unowned", "Unowned tasks", LOOP, "holds", None, ""),
            Node(EXECUTOR, "executor", "ThreadPoolExecutor-0", 0, "owns", 0, "4 workers"),
        )

    def other_owners(self) -> dict[int, tuple[tuple[int, str], ...]]:
        """What is awaited by somebody else, too: the first lookup that is done, by the main task and by a feed."""
        return {} if self.empty else {RESOLVED: ((MAIN_TASK, "awaits"), (FIRST_FEED, "holds"))}

    def fixtures(self, second: float) -> tuple[dict[str, Array], list[str]]:
        """The rows beside the spawner's: the service's own tasks and its threads."""
        rows = list(self._fixtures(second))
        columns: dict[str, Array] = {
            name: np.array([row.get(name, _NEUTRAL[name]) for _, row in rows]).astype(_TYPES[code])
            for name, code in schema.ROW_COLUMNS
        }
        return columns, [name for name, _ in rows]

    def _fixtures(self, second: float) -> Iterator[tuple[str, dict[str, float]]]:
        """Names and values of the rows; a column that is not named has its neutral value."""
        start = self.begin - UP_BEFORE
        thread: dict[str, float] = {
            "kind": schema.KIND_THREAD,
            "state": schema.STATE_WAITING,
            "flags": 1,
            "created": start,
        }
        yield "MainThread", {"id": MAIN_THREAD, "function": T["main"], "os_id": self.pid, **thread}
        if self.empty:
            return
        pool: dict[str, float] = {"function": T["worker"], "parent": EXECUTOR, "edge": schema.EDGE_OWNS, **thread}
        for i in range(4):
            yield f"pool_{i}", {"id": 30 + i, "os_id": 4712 + i, **pool}
        task: dict[str, float] = {
            "loop": LOOP,
            "parent": LOOP,
            "edge": schema.EDGE_RUNS,
            "created": start,
            "flags": 1,
            "state": schema.STATE_WAITING,
            "measured_at": self.begin + second,
        }
        own: dict[str, float] = {**task, "function": T["run"], "waiting": T["wait"], "where": T["main.py"]}
        yield "Task-1", {**own, "id": MAIN_TASK, "retained": 8_412, "accuracy": schema.EXACT, "flags": 5}
        listens: dict[str, float] = {**task, "function": T["listen"], "waiting": T["sleep"], "where": T["discover.py"]}
        listens.update(retained=12_400_000, accuracy=schema.SAMPLED, error=310_000, activity=0.8)
        yield "listener", {**listens, "id": LISTENER}
        for i, feed in enumerate(("archive", "live", "partner")):
            asks: dict[str, float] = {**task, "function": T["ask"], "waiting": T["recv"], "where": T["discover.py:71"]}
            asks.update(parent=GROUP, edge=schema.EDGE_OWNS, created=self.begin + second - second % 5, flags=0)
            yield f"ask-{feed}", {**asks, "id": FIRST_FEED + i, "retained": 66_000, "accuracy": schema.AT_LEAST}
        flush: dict[str, float] = {**task, "function": T["flush"], "waiting": T["sleep"], "where": T["metrics.py"]}
        flush.update(parent=UNOWNED, edge=schema.EDGE_HOLDS, flags=2, activity=0.2, created=self.begin + second - 12)
        for i in range(4):
            accuracy = schema.STALE if i == 3 else schema.EXACT
            yield f"flush-{i}", {**flush, "id": 50 + i, "retained": 53_000, "accuracy": accuracy}
        for i in range(2):
            done: dict[str, float] = {**task, "function": T["resolve"], "state": schema.STATE_DONE_HELD}
            yield f"resolve-{i}", {**done, "id": RESOLVED + i, "retained": 410_000, "accuracy": schema.EXACT}

    def spawned(self, numbers: Array, second: float) -> tuple[dict[str, Array], list[str]]:
        """The rows of the spawner's tasks with these numbers."""
        count = len(numbers)
        number = numbers.astype(np.int64)
        scatter = (number * 2_654_435_761 % 1000).astype(np.float64) / 1000
        columns: dict[str, Array] = {
            name: np.full(count, _NEUTRAL[name], _TYPES[code]) for name, code in schema.ROW_COLUMNS
        }
        columns["id"] = number + FIRST_CHILD
        columns["function"][:] = T["push_hash"]
        columns["waiting"][:] = T["wait"]
        columns["where"][:] = T["pipeline.py"]
        columns["state"][:] = schema.STATE_WAITING
        columns["loop"][:] = LOOP
        columns["parent"][:] = HOLDER
        columns["edge"][:] = schema.EDGE_HOLDS
        columns["created"] = self._created(number)
        columns["flags"][:] = np.where(
            columns["created"].astype(np.float64) < self.begin, schema.FLAG_AGE_IS_MINIMUM, 0
        )
        moves = 1.0 + 0.02 * np.sin(second / 9.0 + scatter * 6.28) if self.restless else 1.0
        columns["retained"] = (self.payload * (0.99 + 0.02 * scatter) * moves).astype(np.int64)
        columns["accuracy"][:] = np.where(number % 40 == 7, schema.SAMPLED, schema.EXACT)
        columns["error"][:] = np.where(number % 40 == 7, 90_000, 0)
        columns["measured_at"][:] = self.begin + second
        columns["activity"][:] = 0.0
        columns["queue"][:] = 0
        names = [f"push_hash-{i}" for i in number.tolist()]
        if self.hostile:
            names = [HOSTILE[i] if i < len(HOSTILE) else name for i, name in zip(number.tolist(), names, strict=True)]
            columns["function"][:] = np.where(number < len(HOSTILE), T["hostile"] + number, T["push_hash"])
        return columns, names

    def _created(self, number: Array) -> Array:
        """Unix time at which each task was created; those of second 0 have come over the days before."""
        n = number.astype(np.float64)
        if self.fixed:
            return self.begin + (n - self.tasks) * LIFE_OF_FIXED / max(self.tasks, 1)
        later = self.begin + (n - self.tasks + 1) * 60 / max(self.per_minute, 1e-9)
        before = self.begin - UP_BEFORE * (1 - n / max(self.tasks, 1))
        return np.where(n < self.tasks, before, later)

    def _text(self, text: str) -> str:
        return HOSTILE[0] + text if self.hostile else text


def _c_heap(live: int, free: int) -> CHeap:
    """Two arenas with these bytes in use and free."""
    parts = (("main", 0.8, 214), ("arena 1", 0.2, 31))
    arenas = [
        CArena(
            name=name,
            heaps=1,
            size=int((live + free) * share),
            in_use=int(live * share),
            free=int(free * share),
            unread=0,
            resident=int((live + free) * share),
            free_resident=int(free * share),
            free_chunks=chunks,
            largest_free=int(free * share / 4),
            trimmable=int(free * share * 0.3),
        )
        for name, share, chunks in parts
    ]
    return CHeap(tuple(arenas), False, 0.05)


_HOLDINGS = (
    Holding("large_blocks", "8003584", 12, 12 * 8_003_584, 96 * MB, None),
    Holding("native_other", "anonymous memory at 7f2a10000000", 1, 1 << 30, 27 * MB, None),
    Holding("native_other", "", 14, 16 * MB, 14 * MB, None),
    Holding("stacks", "main thread", 1, 139_264, 98_304, None),
    Holding("stacks", "thread 4712", 1, 8 * MB, 1_101_696, None),
    Holding("files", "/usr/bin/python3.11", 5, 7 * MB, 6 * MB, 3 * MB),
    Holding("files", "/srv/rudder/lib/libarrow.so.1500", 4, 60 * MB, 52 * MB, 52 * MB),
    Holding("files", "", 61, 30 * MB, 16 * MB, 5 * MB),
)

_WORDS = {  # short names of the texts, for the rows above
    "push_hash": "rudder.pipeline.Spawner.push_hash",
    "wait": "Event.wait",
    "pipeline.py": "/srv/rudder/rudder/pipeline.py:88",
    "main": "rudder.main.main",
    "worker": "concurrent.futures.thread._worker",
    "run": "rudder.main.run",
    "main.py": "/srv/rudder/rudder/main.py:31",
    "listen": "rudder.discover.Listener.run",
    "sleep": "sleep 5 s",
    "discover.py": "/srv/rudder/rudder/discover.py:41",
    "ask": "rudder.discover.Listener.ask",
    "recv": "recv, socket 14",
    "discover.py:71": "/srv/rudder/rudder/discover.py:71",
    "flush": "rudder.metrics.flush",
    "metrics.py": "/srv/rudder/rudder/metrics.py:22",
    "resolve": "rudder.discover.Lookups.resolve",
}
TEXTS = (*_WORDS.values(), *HOSTILE)
T = {word: number for number, word in enumerate((*_WORDS, "hostile"), 1)}  # 0 is no text

_TYPES: dict[str, type] = {
    "B": np.uint8,
    "H": np.uint16,
    "i": np.int32,
    "q": np.int64,
    "f": np.float32,
    "d": np.float64,
}
_NEUTRAL: dict[str, float] = {
    **{name: 0 for name, _ in schema.ROW_COLUMNS},
    "retained": -1,
    "accuracy": schema.UNAVAILABLE,
    "cpu": math.nan,
    "activity": math.nan,
    "queue": -1,
}
