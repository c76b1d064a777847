"""The agent keeps what has been: an observer that comes back sees what happened meanwhile, at once."""

from __future__ import annotations

import contextlib
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyobserver.analysis.groups import GroupRow, group_rows
from pyobserver.model.groups import group_name
from pyobserver.model.snapshot import Snapshot
from pyobserver.protocol import schema
from pyobserver.source.find import find_agent
from pyobserver.source.live import LiveSource, remove_agent

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget, launch
from .mirror import Mirror, bring, connect, on_interpreters, on_newest, silence, threads_of, wait_for
from .test_runtime_lifetime import state, wait_until_alone

on_the_newest_first = pytest.mark.parametrize(
    "interpreter",
    [pytest.param(i, id=str(i), marks=() if i is interpreters()[-1] else pytest.mark.every) for i in interpreters()],
)
"""The newest interpreter, and the others with `make test-all`: for what takes most of a minute."""

RATE = 20  # tasks a second that do not end
AWAY_SECONDS = 45.0  # some cells of ten seconds


def leave_to_stay(target: RunningTarget) -> float:
    """An observer comes, says that the agent shall stay, and goes; returns when it had gone."""
    bring(target.pid)
    mirror = Mirror(connect(target.pid))
    mirror.client.stay()
    mirror.wait_until_known()
    mirror.wait(lambda: mirror.ticks[-1]["agent"]["stays"], "its staying")
    mirror.client.close()
    return time.time()


@contextlib.contextmanager
def watching(target: RunningTarget, **options: Any) -> Iterator[LiveSource]:
    source = LiveSource(target.pid, **options)
    source.start()
    try:
        source.wait_until_known()
        yield source
    finally:
        source.stop()


def leaking(snapshot: Snapshot, target: RunningTarget, window: float) -> GroupRow:
    function = target.ask("truth")["function"]
    return next(row for row in group_rows(snapshot, window) if row.function == function)


@on_the_newest_first
def test_who_comes_back_sees_what_happened_meanwhile(interpreter: Interpreter) -> None:
    """The series have cells from while nobody was there, and the growth of groups is told with the first picture."""
    with launch(interpreter, "spawner", "--rate", RATE, "--life", 10_000) as target:
        leave_to_stay(target)
        gone_at = time.time()
        begun = target.ask("truth")
        wait_for(lambda: target.ask("truth")["seconds"] - begun["seconds"] > AWAY_SECONDS, "the time", 90.0)
        back_at, then = time.time(), target.ask("truth")
        with watching(target) as source:
            snapshot = source.store.snapshot()
            row = leaking(snapshot, target, AWAY_SECONDS)
            assert snapshot.watched_since is not None and snapshot.watched_since < gone_at + 15.0
            a_minute = 60 * (then["live"] - begun["live"]) / (then["seconds"] - begun["seconds"])
            assert row.count_growth == pytest.approx(a_minute, rel=0.15)
            # The mark follows: cells of an agent alone are few, and it takes one of the observer's in the last third.
            wait_for(lambda: leaking(source.store.snapshot(), target, AWAY_SECONDS).growing, "the mark")
            assert row.bytes_growth is not None and row.bytes_growth > a_minute * 500
            for name in ("rss", "tasks", "threads", "cpu", group_name(row.key, "count")):
                curve = snapshot.history.curve(name, gone_at)
                between = (curve.times > gone_at) & (curve.times < back_at)
                assert between.sum() >= 3, name
            tasks = snapshot.history.curve("tasks", gone_at)
            assert (np.diff(tasks.mean) >= 0).all()
            assert then["live"] - 5 * RATE < tasks.mean[-1] <= target.ask("truth")["live"] + 5
        remove_agent(target.pid)


@on_interpreters
def test_nothing_stays_behind_of_one_that_stayed(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander", "--tasks", 200, "--threads", 2) as target:
        before, memory = state(target), target.ask("state")["memory"]
        leave_to_stay(target)
        time.sleep(8.0)  # longer than an agent stays that was not asked to
        assert find_agent(target.pid) is not None and state(target)["slot"]
        assert target.ask("state")["threads"] == before["threads"] + 1
        assert remove_agent(target.pid)
        wait_until_alone(target, interpreter, before)
        assert target.ask("state")["memory"] - memory < 10_000_000
        silence(target.stop())


@on_interpreters
def test_forks_and_the_end_while_it_stays(interpreter: Interpreter) -> None:
    """Children have nothing of it, and the program ends as if it were not there."""
    with launch(interpreter, "bystander", "--tasks", 100) as target:
        leave_to_stay(target)
        for _ in range(3):
            told = target.ask("fork")
            assert told["status"] == 7 and not told["child"]["slot"] and told["child"]["collecting"]
        assert target.ask("forks 20")["statuses"] == [7] * 20
        child = target.ask("leave_child")["pid"]
        assert find_agent(child) is None and find_agent(target.pid) is not None
        target.ask("end_child")
        (left,) = [Path(path) for path in [find_agent(target.pid)] if path is not None]
        silence(target.stop())
        assert not left.exists()


@on_interpreters
def test_a_program_that_becomes_another_while_it_stays(interpreter: Interpreter) -> None:
    """The agent is gone with the program, what it leaves is not taken for one, and the next one comes in as ever."""
    with launch(interpreter, "bystander", "--tasks", 20) as target:
        leave_to_stay(target)
        assert target.process.stdin is not None
        target.process.stdin.write(b"become\n")
        target.process.stdin.flush()
        wait_for(lambda: find_agent(target.pid) is None, "the end of the agent")
        assert not remove_agent(target.pid)
        wait_for(lambda: _is_idle(target.pid), "the other program")
        with watching(target) as source:
            assert source.store.snapshot().watched_since is None
        remove_agent(target.pid)
        assert target.stop()[0] == 0


def _is_idle(pid: int) -> bool:
    """Whether a process waits for its input."""
    return "pipe" in Path(f"/proc/{pid}/wchan").read_text() or Path(f"/proc/{pid}/syscall").read_text().startswith("0 ")


@on_newest
def test_a_program_that_is_killed_while_it_stays(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander") as target:
        leave_to_stay(target)
        target.process.send_signal(signal.SIGTERM)
        target.process.wait()
        assert find_agent(target.pid) is None


@on_newest
def test_an_observer_that_does_not_ask_it_to_stay_changes_nothing(interpreter: Interpreter) -> None:
    """Once asked, it stays until it is removed, whoever comes and goes."""
    with launch(interpreter, "bystander", "--tasks", 50) as target:
        leave_to_stay(target)
        threads = threads_of(target.pid)
        for _ in range(3):
            mirror = Mirror(connect(target.pid))
            mirror.turn(3)
            assert mirror.ticks[-1]["agent"]["stays"]
            assert mirror.ticks[-1]["complete"]
            mirror.client.close()
        time.sleep(7.0)
        assert find_agent(target.pid) is not None and threads_of(target.pid) == threads
        remove_agent(target.pid)


@on_newest
def test_a_prepared_program_keeps_what_is_read_at_no_cost(interpreter: Interpreter) -> None:
    """An agent that nobody has asked to stay keeps the series of the process, and says nothing of tasks."""
    with launch(interpreter, "spawner", "--rate", RATE, "--life", 10_000) as target:
        bring(target.pid, linger=None)
        wait_for(lambda: find_agent(target.pid), "its socket")
        spent = target.ask("truth")["seconds"]
        wait_for(lambda: target.ask("truth")["seconds"] - spent > 22.0, "the time")
        client = connect(target.pid)
        assert client.hello.followed is None
        found = {}
        client.watch(0.2)

        def past() -> bool:
            for frame in client.receive(0.1):
                if frame.head["t"] == "history":
                    code, count, packed = frame.columns["mean"]
                    found[frame.head["series"]] = struct.unpack(f"<{count}{code}", packed)
                elif frame.head["t"] == "tick":
                    return True
            return False

        wait_for(past, "the first update")
        assert set(found) == {"rss", "threads", "cpu"} and len(found["rss"]) >= 2
        assert set(found) <= set(schema.PAST_SERIES)
        client.detach()


@on_newest
def test_who_comes_back_sees_no_numbers_of_before(interpreter: Interpreter) -> None:
    """Among tasks that come and go: a picture is complete when all have been met anew, and the ended forgotten."""
    with launch(interpreter, "spawner", "--rate", 50, "--life", 4.0) as target:
        for linger in (5.0, None):
            bring(target.pid, linger=linger)
            mirror = Mirror(connect(target.pid))
            if linger is not None:
                mirror.client.stay()
            mirror.turn(40)
            mirror.client.close()
            time.sleep(6.0)  # longer than any of those that it has seen lives
            bring(target.pid, linger=linger)
            mirror = Mirror(connect(target.pid))
            before = target.ask("truth")["live"]
            mirror.wait(lambda m=mirror: bool(m.ticks) and m.ticks[-1]["complete"], "the first complete picture")
            after = target.ask("truth")["live"]
            for told in (mirror.ticks[-1]["total"], len(mirror.tasks)):
                assert 0.75 * min(before, after) < told < 1.25 * max(before, after)
            mirror.client.detach()
            wait_for(lambda: find_agent(target.pid) is None, "its end")


@pytest.mark.every
@on_newest
def test_where_tasks_come_and_go_too_fast_there_is_a_gap_and_no_wrong_number(interpreter: Interpreter) -> None:
    """Alone it is too sparing to follow 150 new tasks a second: what it tells of them is right, or nothing."""
    with launch(interpreter, "spawner", "--rate", 150, "--life", 5.0) as target:
        wait_for(lambda: target.ask("truth")["seconds"] > 6.0, "the time")
        leave_to_stay(target)
        begun = target.ask("truth")["seconds"]
        wait_for(lambda: target.ask("truth")["seconds"] - begun > AWAY_SECONDS, "the time", 90.0)
        live = target.ask("truth")["live"]
        with watching(target) as source:
            snapshot = source.store.snapshot()
            curve = snapshot.history.curve("tasks", snapshot.taken_at - AWAY_SECONDS - 5.0)
            assert (abs(curve.mean - live) < 0.3 * live).all(), (curve.mean, live)
        remove_agent(target.pid)
