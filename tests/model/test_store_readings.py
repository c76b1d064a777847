"""The store: what comes from outside, and what is written down of it all to tell growth."""

from __future__ import annotations

import itertools
import math

import pytest

from pyobserver.model import store as store_module
from pyobserver.model.forest import PROCESS
from pyobserver.model.outside_rows import thread_row_id
from pyobserver.model.places import ContainerPlace, PlacesAnswer, items_name
from pyobserver.model.readings import ThreadLimit
from pyobserver.model.store import MAX_MARKED, Store
from pyobserver.model.task_store import FADE_SECONDS
from pyobserver.model.tasks import Row
from pyobserver.protocol import schema

from . import made
from .made import NOW, Clock, node


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock)


def row(store: Store, number: int) -> Row:
    found = store.snapshot().tasks.find(number)
    assert found is not None
    return found


# -- from outside -------------------------------------------------------------------------------------------------


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


def test_the_agent_does_not_forget_what_it_never_knew(store: Store) -> None:
    """A thread that the agent sends again, not knowing where it is, stays where the stacks saw it."""
    thread = {"id": 5, "kind": schema.KIND_THREAD, "os_id": 60}
    made.put(store, [thread, {"id": 6, "state": schema.STATE_READY}])
    store.set_stacks([made.stack(60, "g", cpu=3.5)])
    made.put(store, [thread, {"id": 6}])
    assert (row(store, 5).state, row(store, 5).where, row(store, 5).cpu_seconds) == ("waiting", "/srv/a.py:7", 3.5)
    assert row(store, 6).state == "unknown"
    partly = made.columns([thread], only=("id", "kind", "state", "os_id"))
    store.put_rows(partly, [None])
    assert row(store, 5).where == "/srv/a.py:7"


def test_the_share_of_a_processor(store: Store) -> None:
    """It is the processor time between two readings; one reading tells none, nor does one that is not newer."""
    store.add_process(made.process(NOW, cpu=10.0))
    assert store.snapshot().cpu_share is None
    store.add_process(made.process(NOW + 2, cpu=11.0))
    assert store.snapshot().cpu_share == 0.5
    store.add_process(made.process(NOW + 2, cpu=11.0))
    assert store.snapshot().cpu_share == 0.5


def test_what_was_not_read_is_not_in_the_history(store: Store) -> None:
    """None is no reading: no point, and never a zero."""
    store.add_process(made.process(rss=None))
    store.add_memory(made.memory(python=(None, None)))
    assert len(store.history.curve("rss", 0)) == 0
    assert len(store.history.curve("allocator/python/in_use", 0)) == 0
    assert len(store.history.curve("allocator/rest", 0)) == 0
    assert len(store.history.curve("category/c_live", 0)) == 0
    assert store.history.last("allocator/c_heap/held") == (NOW, 30.0)
    store.add_memory(made.memory(python=(40, 50), rss=100))
    assert store.history.last("allocator/rest") == (NOW, 20.0)


# -- what is written down -----------------------------------------------------------------------------------------


def test_groups_are_recorded(store: Store, clock: Clock) -> None:
    """With each update the count of each group, and its bytes where any are known."""
    store.add_texts(1, ["m.f", "m.g"])
    for i in range(1, 11):
        made.put(store, [{"id": i, "function": 1, "retained": 100}, {"id": 100 + i, "function": 2}])
        store.add_tick(made.tick(clock.now))
        clock.now += 2
    number = store.snapshot().tasks.texts.index("m.f")
    curve = store.history.curve(f"group/0/{number}/0/bytes", 0)
    assert curve.high.tolist() == [100.0 * i for i in range(1, 11)]
    other = store.snapshot().tasks.texts.index("m.g")
    assert len(store.history.curve(f"group/0/{other}/0/bytes", 0)) == 0
    assert store.history.last(f"group/0/{other}/0/count") == (NOW + 18, 10.0)


def test_containers_are_recorded(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many items the largest of them have had, by path and type; an answer that failed changes nothing."""
    monkeypatch.setattr(store_module, "MAX_CONTAINERS_IN_HISTORY", 1)
    for items in (1000, 1200):
        places = (ContainerPlace("m.large", "dict", 1, items, items), ContainerPlace("m.small", "list", 1, 900, 900))
        store.add_containers(PlacesAnswer(places))
        clock.now += 10
    store.add_containers(PlacesAnswer(problem="no answer"))
    curve = store.history.curve(items_name(("m.large", "dict")), NOW - 5)
    assert curve.mean.tolist() == [1000, 1200]
    assert not len(store.history.curve(items_name(("m.small", "list")), NOW - 5))


def test_the_room_for_threads(store: Store) -> None:
    """Is what was read last; None where nothing limits them."""
    store.set_thread_limit(ThreadLimit(100, "RLIMIT_NPROC", None))
    assert store.snapshot().thread_limit == ThreadLimit(100, "RLIMIT_NPROC", None)
    store.set_thread_limit(None)
    assert store.snapshot().thread_limit is None


def test_of_many_groups_the_largest_are_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history stays bounded however many functions there are."""
    monkeypatch.setattr(store_module, "MAX_GROUPS_IN_HISTORY", 3)
    store.add_texts(1, [f"f{i}" for i in range(1, 21)])
    made.put(store, [{"id": i, "function": i, "retained": 1000 * i} for i in range(1, 21)])
    store.add_tick(made.tick(NOW))
    texts = store.snapshot().tasks.texts
    recorded = [i for i in range(1, 21) if store.history.last(f"group/0/{texts.index(f'f{i}')}/0/bytes")]
    assert recorded == [18, 19, 20]


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
