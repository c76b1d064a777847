"""Reads a process from outside at the pace each reading deserves, into the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..model.details import ChainFrame, DetailAnswer
from ..model.readings import ThreadStack
from ..model.snapshot import Phase
from ..model.store import Store
from ..model.tasks import Row
from ..outside import (
    KillWatch,
    MemoryProbe,
    OutsideError,
    ProcessProbe,
    StackProbe,
    TargetGone,
    children,
    memory_limit,
    memory_pressure,
    thread_limit,
)

_MEMORY_SECONDS = 2.0
_FIRST_MEMORY_SECONDS = 1.0  # while the chart is still empty
_CHILDREN_SECONDS = 2.0
_LIMIT_SECONDS = 10.0
_LIMIT_DUTY = 1000.0  # the counters of a group make the kernel add up those of all its processors
_STACKS_SECONDS = 5.0
_STACKS_ALONE_SECONDS = 2.0  # without an agent, stacks are what tells where the process is
_CENSUS_SECONDS = 10.0
_CENSUS_DUTY = 50.0  # a census costs this process; at most one part in so many
_CENSUS_LOOK_SECONDS = 0.5  # between two looks whether somebody wants one
_STACKS_DUTY = 50.0  # stacks cost this process; at most one part in so many


@dataclass
class _Chore:
    """Something to read, and when it is due (monotonic seconds)."""

    read: Callable[[], None]
    period: Callable[[], float]
    due: float = 0.0
    problem: str = ""  # the last one that was told


class Watcher:
    """Reads the process `pid` until it ends. All reading happens on the thread that calls `run`."""

    def __init__(
        self, pid: int, store: Store, interval: float, exit_status: Callable[[], int | None] | None = None
    ) -> None:
        self.pid = pid
        self.has_read = threading.Event()  # everything once, or as much as can be
        self._store = store
        self._exit_status = exit_status
        self._process: ProcessProbe | None = None
        self._memory: MemoryProbe | None = None
        self._stacks: StackProbe | None = None
        self._kills: KillWatch | None = None
        self._stacks_lock = threading.Lock()
        self._memory_reads = 0
        self._census_due = 0.0
        self.wants_census = False  # somebody looks at the objects by type
        self._limit_cost = 0.0
        self._chores = [
            _Chore(self._read_process, lambda: interval),
            _Chore(self._read_memory, lambda: _MEMORY_SECONDS if self._memory_reads > 5 else _FIRST_MEMORY_SECONDS),
            _Chore(self._read_limit, lambda: max(_LIMIT_SECONDS, _LIMIT_DUTY * self._limit_cost)),
            _Chore(self._read_children, lambda: _CHILDREN_SECONDS),
            _Chore(self._read_stacks, self._stacks_period),
            _Chore(self._read_census, lambda: _CENSUS_LOOK_SECONDS),
        ]

    def run(self, stopping: threading.Event) -> None:
        """Read until `stopping` is set. Raises TargetGone when the process ends, OutsideError if it cannot be read."""
        try:
            self._process = ProcessProbe(self.pid)
            self._store.set_identity(self._process.identity)
            self._kills = KillWatch(self.pid)
            self._memory = MemoryProbe(self.pid)
            self._stacks = StackProbe(self.pid)
            self._read(stopping)
        finally:
            self.has_read.set()

    def _read(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            for chore in self._chores:
                if chore.due <= time.monotonic() and not stopping.is_set():
                    self._do(chore)
                    chore.due = time.monotonic() + chore.period()
            self.has_read.set()
            stopping.wait(max(0.01, min(chore.due for chore in self._chores) - time.monotonic()))

    def close(self) -> None:
        """Let go of the process."""
        with self._stacks_lock:
            for probe in (self._process, self._memory, self._stacks):
                if probe is not None:
                    probe.close()
            self._stacks = None

    def ending(self, gone: TargetGone) -> tuple[int | None, int | None]:
        """Return (exit code, signal) as far as they can be known."""
        if self._exit_status is not None:
            deadline = time.monotonic() + 1.0
            while (status := self._exit_status()) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            if status is not None:
                return (status, None) if status >= 0 else (None, -status)
        return gone.exit_code, gone.signal

    def killed_for_memory(self, signal: int | None) -> str:
        """Say whether the kernel has ended it for memory, as far as that is known; "" for nothing."""
        return self._kills.words(signal) if self._kills is not None else ""

    def detail(self, row: Row) -> DetailAnswer:
        """Return what is known from outside about a thread or a child process. Called on any thread."""
        if row.kind == "child process":
            return DetailAnswer(row.id, retained=row.retained, accuracy=row.accuracy, note=_CHILD_NOTE)
        with self._stacks_lock:
            if self._stacks is None:
                return DetailAnswer(row.id, problem="the process is not watched any more")
            try:
                stacks = self._stacks.read()
            except TargetGone as gone:
                return DetailAnswer(row.id, problem=str(gone))
            unavailable = self._stacks.unavailable
        for stack in stacks:
            if stack.thread_id == row.os_id:
                frames = [ChainFrame(f.function, f.file, f.line or None) for f in reversed(stack.frames)]
                note = "" if frames else unavailable or "it runs no Python code"
                return DetailAnswer(row.id, chain=tuple(frames), note="; ".join(filter(None, (note, _THREAD_NOTE))))
        return DetailAnswer(row.id, problem="the thread has ended")

    def _do(self, chore: _Chore) -> None:
        """Read something. What cannot be read is told once; the rest goes on."""
        try:
            chore.read()
        except TargetGone:
            raise
        except OutsideError as error:
            if str(error) != chore.problem:
                chore.problem = str(error)
                self._store.add_problem(chore.problem)

    # -- chores -----------------------------------------------------------------------------------------------------

    def _read_process(self) -> None:
        assert self._process is not None
        self._store.add_process(self._process.read())

    def _read_memory(self) -> None:
        assert self._memory is not None
        self._memory_reads += 1
        self._store.add_memory(self._memory.read())

    def _read_limit(self) -> None:
        begun = time.perf_counter()
        self._store.set_limit(memory_limit(self.pid))
        self._store.set_pressure(memory_pressure(self.pid))
        known = self._store.snapshot()
        if known.process is not None and known.identity is not None:
            self._store.set_thread_limit(thread_limit(self.pid, known.process.limits, known.identity.uid))
        if self._kills is not None:
            self._kills.look()
        self._limit_cost = time.perf_counter() - begun

    def _read_children(self) -> None:
        self._store.set_children(children(self.pid))

    def _read_census(self) -> None:
        """Take a census if one is wanted, and the last one is old enough."""
        now = time.monotonic()
        if not self.wants_census or now < self._census_due:
            return
        assert self._memory is not None
        began = time.thread_time()
        try:
            self._store.add_census(self._memory.census())
        except TargetGone:
            raise
        except OutsideError as error:
            self._store.set_census_problem(str(error))
        self._census_due = now + max(_CENSUS_SECONDS, _CENSUS_DUTY * (time.thread_time() - began))

    def _read_stacks(self) -> None:
        with self._stacks_lock:
            if self._stacks is not None:
                stacks = [stack for stack in self._stacks.read() if not _is_agent(stack)]
                self._store.set_stacks(stacks, self._stacks.unavailable or "")

    def _stacks_period(self) -> float:
        status = self._store.snapshot().status
        alone = status.phase is not Phase.LIVE or bool(status.text)  # a text says that the agent is silent
        cost = self._stacks.cost_seconds if self._stacks is not None else 0.0
        return max(_STACKS_ALONE_SECONDS if alone else _STACKS_SECONDS, _STACKS_DUTY * cost)


def _is_agent(stack: ThreadStack) -> bool:
    """Whether a thread is the agent's: what it costs is shown by itself, it is not part of the program."""
    return any(frame.file.startswith("<pyobserver") for frame in stack.frames)


_CHILD_NOTE = "its memory is its RSS, which is not part of this process"
_THREAD_NOTE = "what a thread retains is not measured: its locals cannot be read without leaving traces in the target"
