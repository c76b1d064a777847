"""Rows of what is read from outside: child processes and threads, with an agent and without."""

from __future__ import annotations

from dataclasses import replace

from pyobserver.model.outside_rows import thread_row_id
from pyobserver.model.store import Store
from pyobserver.model.task_store import FADE_SECONDS
from pyobserver.protocol import schema

from . import made
from .made import Clock, node, row


def test_child_processes_are_rows(store: Store, clock: Clock) -> None:
    """Their RSS is what they retain; one that is gone has ended; what cannot be read is not known."""
    store.set_children([made.child(50, rss=1000), made.child(51, rss=None), made.child(52, state="Z")])
    assert (row(store, -50).retained, row(store, -50).accuracy) == (1000, "exact")
    assert (row(store, -51).retained, row(store, -51).accuracy) == (None, "unavailable")
    assert row(store, -52).state == "done, held" and row(store, -50).age_seconds == 10.0
    assert row(store, -50).name == "pid 50" and row(store, -50).function == "python3 worker"
    store.set_children([made.child(51, rss=5)])
    assert row(store, -50).ended and not row(store, -51).ended and row(store, -51).retained == 5
    store.set_children([])
    assert all(row(store, n).ended for n in (-50, -51, -52))


def test_threads_without_an_agent(store: Store) -> None:
    """The stacks stand in for rows, and go when the thread is not seen any more."""
    store.set_stacks([made.stack(60, "f", active=True), made.stack(61), made.stack(None, "lost")])
    first, second = row(store, thread_row_id(60)), row(store, thread_row_id(61))
    assert (first.kind, first.state, first.where, first.function) == ("thread", "running", "/srv/a.py:7", "f")
    assert (second.state, second.waiting_on, second.cpu_seconds, second.where) == ("waiting", "futex", 2.0, "")
    assert first.retained is None
    store.set_stacks([made.stack(61)], "f is gone")
    assert row(store, thread_row_id(60)).ended and store.snapshot().stacks_problem == "f is gone"


def test_threads_of_the_agent_are_completed_from_outside(store: Store, clock: Clock) -> None:
    """One row per thread: what the agent knows, and where it is and what it costs from the stacks."""
    store.set_stacks([made.stack(60, "f")])
    store.add_texts(1, ["threading.main"])
    thread = {"id": 5, "kind": schema.KIND_THREAD, "os_id": 60, "function": 1}
    made.put(store, [thread], ["MainThread"])
    store.set_stacks([made.stack(60, "g", cpu=3.5)])
    clock.now += FADE_SECONDS + 1
    store.add_tick(made.tick(clock.now))
    assert store.snapshot().tasks["id"].tolist() == [5]
    found = row(store, 5)
    assert (found.name, found.function, found.waiting_on, found.cpu_seconds) == (
        "MainThread",
        "threading.main",
        "g",
        3.5,
    )


def test_child_processes_under_nodes(store: Store) -> None:
    """They hang there whichever is told first, and under the process when the node has gone."""
    store.set_children([made.child(50)])
    assert row(store, -50).parent == 0
    store.put_nodes([replace(node(3, kind="executor"), pids=(50, 51))])
    assert row(store, -50).parent == 3
    store.set_children([made.child(50), made.child(51), made.child(52)])
    assert [row(store, -pid).parent for pid in (50, 51, 52)] == [3, 3, 0]
    assert row(store, -51).edge == "child process"
    store.remove([3])
    store.set_children([made.child(50)])
    assert row(store, -50).parent == 0
