"""A real process as a source: joined, left, silent, gone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from pyobserver.model.details import DetailAnswer
from pyobserver.model.places import PlacesAnswer, PlacesQuestion
from pyobserver.model.snapshot import Phase, Snapshot
from pyobserver.source import live
from pyobserver.source.find import find_agent
from pyobserver.source.live import LiveSource, SourceError, remove_agent

from ..agent.mirror import bring
from ..model.made import tick
from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget, launch
from .scripted import wait_for

TASKS = 30


@pytest.fixture(params=interpreters()[-1:], ids=str)
def target(request: pytest.FixtureRequest) -> Iterator[RunningTarget]:
    """A program with tasks that wait, on one interpreter."""
    newest: Interpreter = request.param
    with launch(newest, "parked", "--tasks", TASKS) as found:
        yield found


@contextlib.contextmanager
def observed(target: RunningTarget, **options: object) -> Iterator[LiveSource]:
    source = LiveSource(target.pid, interval=0.1, exit_status=target.process.poll, **options)  # type: ignore[arg-type]
    source.start()
    try:
        yield source
    finally:
        source.stop()


def _status(source: LiveSource, phase: Phase, text: str = "") -> Snapshot:
    def found() -> Snapshot | None:
        snapshot = source.store.snapshot()
        return snapshot if snapshot.status.phase is phase and text in snapshot.status.text else None

    snapshot: Snapshot = wait_for(found, f"{phase.value}: {text}", within=60.0)
    return snapshot


def test_tasks_that_end_before_they_are_measured_are_not_waited_for() -> None:
    """On a busy server there are always some: the picture is whole when no more of them come to be measured."""
    source = LiveSource(os.getpid())
    source._watcher.has_read.set()
    over = threading.Event()

    def updates() -> None:
        measured = 0
        while not over.wait(0.02):
            measured = min(20, measured + 5)
            source.store.add_tick(tick(time.time(), total=50, measured=measured))

    thread = threading.Thread(target=updates)
    thread.start()
    try:
        source.wait_until_known(60.0, settle=3600.0)
    finally:
        over.set()
        thread.join()
    known = source.store.snapshot().tick
    assert known is not None and known.measured == 20


def test_two_observers_see_the_same_tasks_and_the_agent_is_one(target: RunningTarget) -> None:
    with observed(target) as first, observed(target) as second:
        for source in (first, second):
            source.wait_until_known(60.0)
            tasks = source.store.snapshot().tasks
            rows = [tasks.row(position) for position in range(len(tasks))]
            assert sum(row.kind == "asyncio task" and row.name.startswith("parked") for row in rows) == TASKS
            assert source.store.snapshot().status.phase is Phase.LIVE
    assert target.process.poll() is None
    assert remove_agent(target.pid)
    assert not remove_agent(target.pid)


def test_what_was_started_is_not_started_again(target: RunningTarget) -> None:
    """The command line starts the source before there is a screen, and the screen starts its source."""
    with observed(target) as source:
        before = {thread for thread in threading.enumerate() if thread.name.startswith("pyobserver-")}
        source.start()
        after = {thread for thread in threading.enumerate() if thread.name.startswith("pyobserver-")}
        assert len(before) >= 2 and after <= before


def test_a_detail_about_a_task_and_about_what_is_not_there(target: RunningTarget) -> None:
    answers: list[DetailAnswer] = []
    with observed(target) as source:
        source.wait_until_known(60.0)
        tasks = source.store.snapshot().tasks
        wanted = next(row for row in map(tasks.row, range(len(tasks))) if row.name.startswith("parked"))
        source.request_detail(wanted.id, answers.append)
        wait_for(lambda: answers, "the answer")
        assert answers[0].id == wanted.id and answers[0].chain
        source.request_detail(1 << 40, answers.append)
        wait_for(lambda: len(answers) == 2, "the answer about nothing")
    source.request_detail(wanted.id, answers.append)
    wait_for(lambda: len(answers) == 3, "the answer of nobody")
    assert answers[2].problem
    remove_agent(target.pid)


def test_an_agent_that_another_observer_removes_is_not_brought_back(
    target: RunningTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_RETRY_SECONDS", 0.05)
    looks: list[str] = []
    with observed(target) as source:
        source.wait_until_known(60.0)
        assert remove_agent(target.pid)
        _status(source, Phase.OUTSIDE, "has left: asked to")
        source.on_stage = looks.append
        wait_for(lambda: len(looks) >= 3, "looks for another agent")
        assert set(looks) == {"looking for an agent in the target"}
        assert find_agent(target.pid) is None
        with observed(target) as other:  # brings one in: it is joined
            _status(other, Phase.LIVE)
            _status(source, Phase.LIVE)
    remove_agent(target.pid)


def test_detaching_removes_the_agent(target: RunningTarget) -> None:
    with observed(target) as source:
        source.wait_until_known(60.0)
        source.detach()
        wait_for(lambda: find_agent(target.pid) is None, "the end of the agent")
    assert target.process.poll() is None


def test_a_process_that_is_stopped_makes_its_agent_silent(target: RunningTarget) -> None:
    with observed(target) as source:
        source.wait_until_known(60.0)
        with target.halted():
            _status(source, Phase.LIVE, "the agent is silent")
        wait_for(lambda: not source.store.snapshot().status.text, "its voice")
    remove_agent(target.pid)


def test_a_process_that_ends(target: RunningTarget) -> None:
    with observed(target) as source:
        source.wait_until_known(60.0)
        target.process.kill()
        snapshot = _status(source, Phase.EXITED)
        assert snapshot.status.signal == signal.SIGKILL
        assert len(snapshot.tasks) >= TASKS  # what was seen stays
        with pytest.raises(SourceError, match="has ended"):
            source.wait_until_known(1.0)


def test_no_thread_of_ours_stays(target: RunningTarget) -> None:
    with observed(target) as source:
        source.wait_until_known(60.0)
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("pyobserver-")]
    remove_agent(target.pid)


def test_whoever_removes_an_agent_finds_no_socket_afterwards(target: RunningTarget) -> None:
    """Time after time, at once: the agent removes its socket a moment after it has stopped to listen."""
    for _ in range(3):
        bring(target.pid)
        path = wait_for(lambda: find_agent(target.pid), "the agent")
        assert remove_agent(target.pid)
        assert not os.path.lexists(path)
    assert target.stop() == (0, "")


def test_allocations_are_traced_and_garbage_is_collected(target: RunningTarget) -> None:
    """What they have done is in the store; a trace can be ended before its time."""
    with observed(target, allow_actions=True) as source:
        source.wait_until_known()
        source.act("trace", 0, {"seconds": 60, "load": True})
        source.act("collect")
        wait_for(lambda: source.store.snapshot().actions[1].final, "the end of the collection")
        assert source.store.snapshot().actions[0].state == "asked"
        source.enough()
        wait_for(lambda: source.store.snapshot().actions[0].final, "the end of the trace")
        traced, collected = source.store.snapshot().actions
        assert (traced.state, traced.text, traced.settings) == ("ended", "stopped early", {"seconds": 60, "load": True})
        assert traced.outcome is not None and traced.outcome.traced_seconds is not None
        assert collected.state == "ended" and collected.outcome is not None and collected.outcome.found is not None


def test_a_task_is_cancelled(target: RunningTarget) -> None:
    """From the question of a user who has allowed it, to what the store tells of it; without leave nothing is asked."""
    with observed(target, allow_actions=True) as source:
        source.wait_until_known()
        row = next(i for i, name in enumerate(source.store.snapshot().tasks.names) if name == "parked-7")
        number = int(source.store.snapshot().tasks["id"][row])
        source.act("cancel", number)
        wait_for(lambda: source.store.snapshot().actions[0].final, "the end of the task")
        done = source.store.snapshot().actions[0]
        assert (done.state, done.title, done.row_id) == ("ended", "parked-7", number)
    with observed(target) as source:
        source.wait_until_known()
        source.act("cancel", number)
        assert source.store.snapshot().actions == ()


def test_objects_are_counted_and_containers_found_when_they_are_wanted() -> None:
    """Not before; what is found is in the store, from outside and by the agent."""
    with launch(interpreters()[-1], "holding") as holding, observed(holding) as source:
        _status(source, Phase.LIVE)
        assert source.store.snapshot().heap.newest is None
        source.count_objects(True)
        source.look_for_containers(True)
        wait_for(lambda: source.store.snapshot().heap.newest, "a census", within=30.0)
        wait_for(lambda: source.store.snapshot().containers.newest, "the containers", within=60.0)
        snapshot = source.store.snapshot()
        answers: list[PlacesAnswer] = []
        source.request_places(PlacesQuestion(type="__main__.Payload"), answers.append)
        wait_for(lambda: answers, "the holders", within=60.0)
    census, containers = snapshot.heap.newest, snapshot.containers.newest
    assert census is not None and containers is not None
    assert round(census.count[census.names.index("__main__.Payload")]) == 1200 + 300 + 1 + 2000 + 1
    assert containers.items["__main__.SESSIONS", "dict"] == 5000
    assert answers[0].places[0].path == "__main__.keeper: locals.mine"


def test_where_objects_are_without_an_agent() -> None:
    """The reason is the answer."""
    source = LiveSource(os.getpid())
    answers: list[PlacesAnswer] = []
    source.request_places(PlacesQuestion(), answers.append)
    wait_for(lambda: answers, "the answer", within=30.0)
    assert "no agent to ask" in answers[0].problem


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="on a single processor nobody has to be kept beside")
def test_a_thread_that_never_rests_is_told() -> None:
    """For as long as the agent's is kept on its processor."""
    with launch(interpreters()[-1], "restless") as target, observed(target) as source:
        _status(source, Phase.LIVE)
        wait_for(lambda: source.store.snapshot().beside == target.pid, "where it is kept", within=60.0)
        target.ask("rest")
        wait_for(lambda: source.store.snapshot().beside is None, "the end of that", within=60.0)
        target.stop()
