"""The store: shares and marks that are told from one reading to the next, and the baseline."""

from __future__ import annotations

import itertools
import math

import pytest

from pyobserver.model.forest import PROCESS
from pyobserver.model.readings import ThreadLimit
from pyobserver.model.store import MAX_MARKED, Store

from . import made
from .made import NOW, Clock, node


def test_the_share_of_a_processor(store: Store) -> None:
    """It is the processor time between two readings; one reading tells none, nor does one that is not newer."""
    store.add_process(made.process(NOW, cpu=10.0))
    assert store.snapshot().cpu_share is None
    store.add_process(made.process(NOW + 2, cpu=11.0))
    assert store.snapshot().cpu_share == 0.5
    store.add_process(made.process(NOW + 2, cpu=11.0))
    assert store.snapshot().cpu_share == 0.5


def test_the_room_for_threads(store: Store) -> None:
    """Is what was read last; None where nothing limits them."""
    store.set_thread_limit(ThreadLimit(100, "RLIMIT_NPROC", None))
    assert store.snapshot().thread_limit == ThreadLimit(100, "RLIMIT_NPROC", None)
    store.set_thread_limit(None)
    assert store.snapshot().thread_limit is None


def test_marks_are_set_now_and_then_once_it_is_settled(store: Store, clock: Clock) -> None:
    """Growth of the tree is told from complete updates only, some seconds apart, and so many of them."""
    made.put(store, [{"id": 1, "parent": 2, "retained": 5}])
    store.put_nodes([node(2)])
    store.add_tick(made.tick(clock.now, 1, complete=False))
    store.add_tick(made.tick(clock.now, 10, measured=8))
    assert store.snapshot().marks == ()
    for _ in range(1000):
        store.add_tick(made.tick(clock.now, 1))
        clock.now += 1.0
    marks = store.snapshot().marks
    assert len(marks) < 200 and marks[0].time == NOW
    assert {b.time - a.time for a, b in itertools.pairwise(marks[-30:])} == {2.0}
    assert marks[-1].get(PROCESS) == (1, 2, 1, 5, 0, 1) and marks[-1].get(2) == (1, 1, 1, 5, 0, 1)


def test_marks_wait_until_nearly_all_is_measured(store: Store, clock: Clock) -> None:
    """What is measured for the first time is no growth; some are never measured where tasks come and go."""
    made.put(store, [{"id": 1, "retained": 5}])
    store.add_tick(made.tick(clock.now, 100, measured=92))
    assert store.snapshot().settled_at is not None and store.snapshot().marks == ()
    clock.now += 20.0
    store.add_tick(made.tick(clock.now, 100, measured=95))
    assert store.snapshot().marks == ()
    clock.now += 20.0
    store.add_tick(made.tick(clock.now, 100, measured=95))
    assert len(store.snapshot().marks) == 1


def test_marks_are_bounded(store: Store) -> None:
    """A tree of ten thousand owners leaves the widest in each mark."""
    made.put(store, [{"id": 20_000 + i, "parent": 1 + i} for i in range(10_000)])
    store.put_nodes(node(1 + i) for i in range(10_000))
    store.add_tick(made.tick(NOW, 1))
    assert len(store.snapshot().marks[0]) <= 2 * MAX_MARKED + 1


def test_the_baseline(store: Store, clock: Clock) -> None:
    """It keeps what stood there; what was not known then is not there, rather than zero."""
    store.add_texts(1, ["m.f"])
    store.set_baseline()
    early = store.snapshot().baseline
    assert early is not None and (early.allocators, early.groups) == ({}, {})
    assert early.sums is not None and early.sums.get(PROCESS) == (0, 0, 0, 0, 0, 0)
    store.add_process(made.process(rss=0))
    store.add_memory(made.memory(python=(None, 0)))
    made.put(store, [{"id": 1, "function": 1, "retained": 50}, {"id": 2, "function": 1}])
    clock.now += 3
    store.set_baseline()
    baseline = store.snapshot().baseline
    assert baseline is not None and baseline.time == NOW + 3
    assert baseline.allocators == {"python": 0, "c_heap": 30, "total": 0}
    assert list(baseline.groups.values()) == [(2, 100.0)]
    assert baseline.sums is not None and baseline.sums.get(PROCESS) == (2, 2, 2, 50, 0, 1)
    assert baseline.sums.get(1) == (0, 0, 1, 50, 0, 1) and baseline.sums.get(2) == (0, 0, 1, 0, 0, 0)
    made.put(store, [{"id": 1, "retained": 70}, {"id": 3, "retained": 70}])
    tasks = store.snapshot().tasks
    marked = {n: float(tasks["marked"][tasks.position(n)]) for n in (1, 2, 3)}
    assert marked[1] == 50 and math.isnan(marked[2]) and math.isnan(marked[3])
    store.add_memory(made.memory(python=(None, None)))
    store.set_baseline()
    baseline = store.snapshot().baseline
    assert baseline is not None and "python" not in baseline.allocators


def test_the_agents_own_cost(store: Store, clock: Clock) -> None:
    """Its share of a processor comes from its own clock, smoothed; an agent that begins anew has no negative one."""
    for i, cpu in enumerate((0.0, 0.1, 0.2)):
        store.add_tick(made.tick(NOW + i, cpu=cpu))
    assert store.snapshot().agent_cpu_share == pytest.approx(0.1)
    store.add_tick(made.tick(NOW + 3, cpu=0.0))
    assert store.snapshot().agent_cpu_share == pytest.approx(0.1)
