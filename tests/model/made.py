"""Rows, nodes and readings for tests of the model and of the analysis, with only what matters in them spelled out."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

from pyobserver.model.forest import Node
from pyobserver.model.forest_sums import Sums, sums_from
from pyobserver.model.readings import (
    AgentCost,
    AgentFacts,
    Allocator,
    Category,
    ChildProcess,
    Frame,
    MemoryReading,
    ProcessReading,
    ThreadStack,
    Tick,
)
from pyobserver.model.store import Store
from pyobserver.model.task_store import TaskStore
from pyobserver.model.tasks import COLUMNS, Array, Row, Tasks
from pyobserver.protocol import schema

NOW = 1_700_000_000.0
UNKNOWN = {"retained": -1, "accuracy": schema.UNAVAILABLE, "cpu": math.nan, "activity": math.nan, "queue": -1}
Values = Mapping[str, float]


class Clock:
    """Unix time that stands still until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def columns(rows: Sequence[Values], only: Iterable[str] = COLUMNS) -> dict[str, Array]:
    """The rows as the columns of a message; what a row does not say is not known."""
    return {
        name: np.array([row.get(name, UNKNOWN.get(name, 0)) for row in rows]).astype(COLUMNS[name]) for name in only
    }


def tasks(rows: Sequence[Values], names: Sequence[str] | None = None, texts: Sequence[str] = (), **own: float) -> Tasks:
    """A view with these rows. `function` and the like are indices into `texts`, of which the first has number 1."""
    store = TaskStore()
    for text in texts:
        store.intern(text)
    filled = [{"id": i, **row} for i, row in enumerate(rows, 1)]
    store.put(columns(filled), [f"task-{row['id']}" for row in filled] if names is None else names, own.get("at", NOW))
    return store.view(own.get("now", NOW))


def node(number: int, kind: str = "holder", parent: int = 0, label: str = "", edge: str = "holds") -> Node:
    """A node of the tree."""
    return Node(number, kind, label or f"{kind}-{number}", parent, edge, None, "")


def tick(now: float, total: int = 0, measured: int | None = None, complete: bool = True, cpu: float = 0.5) -> Tick:
    """The end of an update."""
    cost = AgentCost(cpu, 0.001, 2_000_000, 0, 0, 1)
    return Tick(now, total, total if measured is None else measured, complete, complete, None, cost)


def facts(**changed: object) -> AgentFacts:
    """What an agent says when it is greeted."""
    values: dict[str, object] = {
        "python": "3.11.7",
        "implementation": "cpython",
        "executable": "/usr/bin/python3",
        "command": ("python3", "-m", "service"),
        "platform": "linux",
        "free_threaded": False,
        "self_check": "ok",
        "capabilities": ("tasks",),
        "switch_interval": 0.005,
        "agent_started_at": NOW,
        "method": "ptrace",
        **changed,
    }
    return AgentFacts(**values)  # type: ignore[arg-type]


def process(at: float = NOW, rss: int | None = 100_000_000, cpu: float = 10.0) -> ProcessReading:
    """A cheap reading."""
    return ProcessReading(at, rss, rss, 0, 0, 0, rss, rss, 4, 20, 1024, cpu, 0, 0, 0, 0, 0, "S", ())


def memory(at: float = NOW, python: tuple[int | None, int | None] = (40, 50), rss: int = 100) -> MemoryReading:
    """A reading with two allocators: Python's with these sizes in use and held, and a C heap of 30 bytes."""
    allocators = (Allocator("python", "Python objects", *python), Allocator("c_heap", "C heap", None, 30))
    categories = (Category("python_live", "live", python[0]), Category("c_live", "live", None))
    return MemoryReading(at, rss, None, None, allocators, categories, (), None, {"c_heap": "not told"}, 0.001, None)


def child(pid: int, rss: int | None = 1000, state: str = "S", command: str = "worker") -> ChildProcess:
    """A child process."""
    return ChildProcess(pid, NOW - 10, ("python3", command), rss, 1.5, state, True)


def stack(thread: int | None, function: str = "", active: bool = False, cpu: float | None = 2.0) -> ThreadStack:
    """A thread from outside, with one frame of Python code if it has a function."""
    frames = (Frame("native", "libc.so", 0, True), Frame(function, "/srv/a.py", 7, False)) if function else ()
    return ThreadStack(thread, None, f"thread-{thread}", active, False, frames, "S", cpu, "futex")


def sums(at: float, by_key: Mapping[Hashable, tuple[int, int]]) -> Sums:
    """Sums of the tree at a moment: (children, bytes) by key."""
    rows = {key: (children, children, children, size, 0, children) for key, (children, size) in by_key.items()}
    return sums_from(at, rows)


def put(store: Store, rows: Sequence[Values], names: Sequence[str | None] | None = None) -> None:
    """The rows into a store, with the agent's text ids."""
    store.put_rows(columns(rows), [f"task-{row['id']}" for row in rows] if names is None else names)


def row(store: Store, number: int) -> Row:
    """Return a row that must be there."""
    found = store.snapshot().tasks.find(number)
    assert found is not None
    return found
