"""The store: whatever the sources say in whatever order, a snapshot tells what is known and nothing else."""

from __future__ import annotations

import random
import threading

import pytest

from pyobserver.model import store as store_module
from pyobserver.model import task_store
from pyobserver.model.outside_rows import child_row_id, thread_row_id
from pyobserver.model.readings import MemoryLimit
from pyobserver.model.snapshot import Phase
from pyobserver.model.store import Store
from pyobserver.model.task_store import FADE_SECONDS
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story

from . import made
from .made import NOW, Clock, node, row

# -- how it stands ------------------------------------------------------------------------------------------------


def test_before_anything_is_known(store: Store) -> None:
    """The first snapshot is empty, and says that we are connecting."""
    snapshot = store.snapshot()
    assert snapshot.status.phase is Phase.CONNECTING
    assert (snapshot.identity, snapshot.facts, snapshot.process, snapshot.memory, snapshot.tick) == (None,) * 5
    assert len(snapshot.tasks) == 0 and snapshot.forest.totals(0).children == 0


def test_an_exit_is_final(store: Store, clock: Clock) -> None:
    """Nothing that comes late, from whatever thread, makes a dead process alive again."""
    store.set_status(Phase.LIVE)
    clock.now += 5
    store.set_status(Phase.EXITED, "killed for memory", signal=9)
    clock.now += 5
    for phase in Phase:
        store.set_status(phase, "late")
    status = store.snapshot().status
    assert (status.phase, status.text, status.signal, status.since) == (Phase.EXITED, "killed for memory", 9, NOW + 5)


def test_since_when_it_stands_so(store: Store, clock: Clock) -> None:
    """The time is that of the phase, not of its last explanation."""
    store.set_status(Phase.OUTSIDE, "no agent")
    clock.now += 10
    store.set_status(Phase.OUTSIDE, "still no agent")
    assert (store.snapshot().status.since, store.snapshot().status.text) == (NOW, "still no agent")


def test_changes_are_told(clock: Clock) -> None:
    """Each end of an update calls back once, outside of the lock."""
    told: list[int] = []
    store = Store(clock, lambda: told.append(len(store.snapshot().tasks)))
    made.put(store, [{"id": 1}])
    assert told == []
    store.add_tick(made.tick(NOW))
    store.add_process(made.process())
    store.set_status(Phase.LIVE)
    assert told == [1, 1, 1]


# -- the agent's rows ---------------------------------------------------------------------------------------------


def test_texts_from_the_target_are_harmless(store: Store) -> None:
    """Names, texts, labels, problems and explanations cannot reach the terminal, however they come in."""
    evil = "\x1b]0;owned\x07\u202e\ud800\n" + "x" * 10_000
    store.add_texts(1, [evil])
    made.put(store, [{"id": 1, "function": 1, "waiting": 1, "where": 1}], [evil])
    store.put_nodes([node(2, label=evil)])
    store.add_problem(evil)
    store.set_status(Phase.OUTSIDE, evil)
    snapshot, found = store.snapshot(), row(store, 1)
    texts = [found.name, found.function, found.waiting_on, found.where, snapshot.nodes[2].label]
    for text in [*texts, *snapshot.problems, snapshot.status.text]:
        assert text.isprintable() and len(text) <= 300
        text.encode("utf-8")


def test_other_owners_of_rows(store: Store) -> None:
    """They are told with the row, whole; those of a row that is gone go with it, and a snapshot does not change."""
    rows = made.columns([{"id": 1}, {"id": 2}])
    store.put_rows(rows, ["a", "b"], {1: ((7, "holds"),), 2: ((8, "awaits"), (9, "holds"))})
    first = store.snapshot()
    assert first.other_owners == {1: ((7, "holds"),), 2: ((8, "awaits"), (9, "holds"))}
    store.put_rows(made.columns([{"id": 1}]), [None])
    store.remove([2])
    assert store.snapshot().other_owners == {} and len(first.other_owners) == 2
    store.put_rows(rows, ["a", "b"], {1: ((7, "holds"),)})
    store.greet(made.facts())
    assert store.snapshot().other_owners == {}


def test_what_ended_fades(store: Store, clock: Clock) -> None:
    """Rows and nodes that are gone stay for some seconds, marked, and what comes back is alive."""
    made.put(store, [{"id": 1, "function": 0}, {"id": 2}])
    store.put_nodes([node(3), node(4)])
    store.remove([1, 2, 3, 4, 5, -7])
    assert row(store, 1).ended and row(store, 1).state == "ended" and store.snapshot().nodes[3].ended
    made.put(store, [{"id": 2}])
    store.put_nodes([node(4)])
    clock.now += FADE_SECONDS + 1
    store.add_tick(made.tick(clock.now))
    snapshot = store.snapshot()
    assert snapshot.tasks["id"].tolist() == [2] and list(snapshot.nodes) == [4]
    assert not row(store, 2).ended and not snapshot.nodes[4].ended
    assert snapshot.tasks.ended_by_function == {(0, 0): 2}


def test_too_many_rows_are_told_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be shown is said, once."""
    monkeypatch.setattr(task_store, "MAX_ROWS", 10)
    for _ in range(3):
        made.put(store, [{"id": i} for i in range(1, 30)])
    assert len(store.snapshot().tasks) == 10
    (problem,) = store.snapshot().problems
    assert "rows" in problem


def test_problems_are_bounded_and_not_repeated(store: Store) -> None:
    """The same problem again and again is one; of many the last stay."""
    for i in range(100):
        store.add_problem("always")
        store.add_problem(f"number {i}")
    problems = store.snapshot().problems
    assert len(problems) == store_module.MAX_PROBLEMS and len(set(problems)) == len(problems)
    assert problems[-2:] == ("always", "number 99")


# -- reconnecting -------------------------------------------------------------------------------------------------


def test_a_new_agent_begins_anew(store: Store, clock: Clock) -> None:
    """Rows, nodes, texts and sums by id are those of the new agent; histories and the baseline of groups stay."""
    store.greet(made.facts())
    store.add_texts(1, ["m.f", "m.g"])
    made.put(store, [{"id": 1, "function": 1, "retained": 100}, {"id": 2, "function": 2}])
    store.put_nodes([node(3), node(4)])
    store.remove([4])
    store.add_tick(made.tick(NOW, 2))
    store.set_baseline()
    assert len(store.snapshot().marks) == 1
    clock.now += 1
    store.greet(made.facts(agent_started_at=clock.now))
    empty = store.snapshot()
    assert (len(empty.tasks), dict(empty.nodes), empty.marks, empty.tick) == (0, {}, (), None)
    assert empty.baseline is not None and empty.baseline.sums is None and empty.baseline.groups
    store.add_texts(1, ["m.g"])
    made.put(store, [{"id": 1, "function": 1}, {"id": 9, "function": 2}])
    store.put_nodes([node(4, label="another")])
    clock.now += FADE_SECONDS + 1
    store.add_tick(made.tick(clock.now, 1))
    assert (row(store, 1).function, row(store, 9).function) == ("m.g", "")
    assert store.snapshot().nodes[4].label == "another"
    assert len(store.history.curve("tasks", 0)) == 2


def test_a_greeting_keeps_what_is_known_from_outside(store: Store) -> None:
    """Readings go on; the rows of children and threads come back with their next reading."""
    store.add_process(made.process())
    store.set_children([made.child(50)])
    store.set_stacks([made.stack(60, "f")])
    store.greet(made.facts())
    snapshot = store.snapshot()
    assert snapshot.process is not None and len(snapshot.children) == len(snapshot.stacks) == 1
    store.set_children([made.child(50)])
    store.set_stacks([made.stack(60, "f")])
    assert sorted(store.snapshot().tasks["id"].tolist()) == [thread_row_id(60), child_row_id(50)]


# -- snapshots ----------------------------------------------------------------------------------------------------


def test_a_snapshot_is_frozen(store: Store) -> None:
    """What comes later is in later snapshots only."""
    made.put(store, [{"id": 1, "retained": 5}], ["a"])
    store.put_nodes([node(2)])
    store.add_problem("one")
    before = store.snapshot()
    made.put(store, [{"id": 1, "retained": 6}, {"id": 3}], ["b", "c"])
    store.put_nodes([node(4)])
    store.remove([2])
    store.add_problem("two")
    store.set_limit(MemoryLimit(5, "host", None))
    assert (before.tasks.names, before.tasks["retained"].tolist()) == (["a"], [5])
    assert list(before.nodes) == [2] and not before.nodes[2].ended
    assert before.problems == ("one",) and before.limit is None


def test_many_threads_at_once() -> None:
    """Sources on their threads, screens on theirs: no snapshot is ever torn, and nothing is lost."""
    source = FakeSource(Story(tasks=50, per_minute=600))
    store = source.store
    failures: list[BaseException] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                snapshot = store.snapshot()
                tasks = snapshot.tasks
                assert len({len(column) for column in tasks.columns.values()} | {len(tasks.names)}) == 1
                assert len(set(tasks["id"].tolist())) == len(tasks)
                assert int(tasks["function"].max(initial=0)) < len(tasks.texts)
                assert int(snapshot.forest.descendants[0]) == int(snapshot.forest.alive.sum()) - 1
                tasks.name_ranks.sum()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    r = random.Random(1)
    for _ in range(150):
        source.play(1.0)
        if r.random() < 0.1:
            store.set_baseline()
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    snapshot = store.snapshot()
    alive = snapshot.tasks["kind"][snapshot.tasks.alive] == schema.KIND_TASK
    assert int(alive.sum()) == 50 + 1500 + 11
