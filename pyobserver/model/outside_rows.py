"""Rows made of what is read from outside: child processes, and threads as the kernel knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..protocol import schema
from .readings import ChildProcess, ThreadStack
from .task_store import TaskStore
from .tasks import Array

Intern = Callable[[str], int]

_MAX_COMMAND = 200
_KERNEL_STATES = {
    "R": schema.STATE_RUNNING,
    "S": schema.STATE_WAITING,
    "D": schema.STATE_WAITING,
    "I": schema.STATE_WAITING,
    "T": schema.STATE_WAITING,
    "t": schema.STATE_WAITING,
    "Z": schema.STATE_DONE_HELD,
}


def child_row_id(pid: int) -> int:
    """The row id of a child process; the agent gives out positive ones only."""
    return -pid


def thread_row_id(thread_id: int) -> int:
    """The row id of a thread that only the kernel knows."""
    return -(1 << 40) - thread_id


def put_children(tasks: TaskStore, children: Sequence[ChildProcess], parents: Mapping[int, int], now: float) -> None:
    """Make the rows of child processes those of `children`: with their RSS for memory; the others have ended.

    `parents` are the ids of the nodes that they hang under, by pid; the others hang under the process.
    """
    known = {child_row_id(c.pid) for c in children}
    tasks.end([n for n in tasks.ids_of_kind(schema.KIND_CHILD) if n not in known], now)
    if children:
        columns = _child_columns(children, parents, tasks.intern, now)
        tasks.put(columns, [f"pid {c.pid}" for c in children], now)


def put_threads(tasks: TaskStore, stacks: Sequence[ThreadStack], now: float) -> None:
    """Complete the agent's rows of threads by what is seen from outside, which stands in for them without an agent."""
    known = {}
    for number in tasks.ids_of_kind(schema.KIND_THREAD):
        os_id = tasks.value(number, "os_id")
        if os_id and number > 0:
            known[int(os_id)] = number
    foreign = [s for s in stacks if s.thread_id is not None and s.thread_id not in known]
    wanted = {thread_row_id(s.thread_id) for s in foreign if s.thread_id is not None}
    stale = [n for n in tasks.ids_of_kind(schema.KIND_THREAD) if n < 0 and n not in wanted]
    tasks.end(stale, now)
    if foreign:
        tasks.put(_thread_columns(foreign, tasks.intern), [s.name for s in foreign], now)
    for stack in stacks:
        if stack.thread_id is not None:
            number = known.get(stack.thread_id, thread_row_id(stack.thread_id))
            for column, value in _thread_values(stack, tasks.intern).items():
                tasks.set_value(number, column, value)


def _child_columns(
    children: Sequence[ChildProcess], parents: Mapping[int, int], intern: Intern, now: float
) -> dict[str, Array]:
    """The columns of rows that are child processes: their RSS is what they retain."""
    rss = [c.rss for c in children]
    return {
        "id": np.array([child_row_id(c.pid) for c in children], np.int64),
        "kind": np.full(len(children), schema.KIND_CHILD, np.uint8),
        "state": np.array([_KERNEL_STATES.get(c.state, schema.STATE_UNKNOWN) for c in children], np.uint8),
        "function": np.array([intern(" ".join(c.command)[:_MAX_COMMAND]) for c in children], np.int32),
        "created": np.array([c.started_at for c in children]),
        "retained": np.array([-1 if r is None else r for r in rss], np.int64),
        "accuracy": np.array([schema.UNAVAILABLE if r is None else schema.EXACT for r in rss], np.uint8),
        "measured_at": np.array([0.0 if r is None else now for r in rss]),
        "cpu": np.array([c.cpu_seconds for c in children]),
        "os_id": np.array([c.pid for c in children], np.int64),
        "parent": np.array([parents.get(c.pid, 0) for c in children], np.int64),
        "edge": np.full(len(children), schema.EDGE_CHILD, np.uint8),
    }


def _thread_columns(stacks: Sequence[ThreadStack], intern: Intern) -> dict[str, Array]:
    """The columns of rows that are threads which the agent does not know, or of all of them without an agent."""
    return {
        "id": np.array([thread_row_id(s.thread_id or 0) for s in stacks], np.int64),
        "kind": np.full(len(stacks), schema.KIND_THREAD, np.uint8),
        "os_id": np.array([s.thread_id for s in stacks], np.int64),
        "function": np.array([intern(_thread_function(s)) for s in stacks], np.int32),
        "edge": np.full(len(stacks), schema.EDGE_RUNS, np.uint8),
    }


def _thread_values(stack: ThreadStack, intern: Intern) -> dict[str, float]:
    """What a stack tells of a thread beyond what the agent knows, by column."""
    values: dict[str, float] = {"state": schema.STATE_RUNNING if stack.active else schema.STATE_WAITING}
    if stack.cpu_seconds is not None:
        values["cpu"] = stack.cpu_seconds
    own = [f for f in stack.frames if not f.native]
    if own:
        values["where"] = intern(f"{own[0].file}:{own[0].line}")
    waiting = "" if stack.active else (own[0].function if own else "") or stack.system_call or ""
    values["waiting"] = intern(waiting)
    return values


def _thread_function(stack: ThreadStack) -> str:
    own = [f for f in stack.frames if not f.native]
    return own[-1].function if own else f"{stack.name or 'thread'} (no Python code)"
