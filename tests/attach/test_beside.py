"""Which thread ours is kept beside, and until when: on made-up readings of a process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pyobserver.attach import beside
from pyobserver.attach.beside import Beside, Running

PID, OURS = 100, 190
FREE = {0, 1, 2, 3}
SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """Threads that run for shares of the time, and where each may run."""

    def __init__(self) -> None:
        self.now = 0.0
        self.threads = {PID: Running(PID, False, 0, 0), 120: Running(120, False, 1, 0), 121: Running(121, False, 2, 0)}
        self.allowed = {PID: FREE, OURS: FREE}
        self.may = True

    def passes(self, seconds: float, shares: dict[int, float], asleep: bool = False) -> None:
        self.now += seconds
        for tid, before in self.threads.items():
            share = shares.get(tid, 0.0)
            runs = share > 0.0 and not asleep
            self.threads[tid] = Running(tid, runs, before.processor, before.ticks + int(SECOND * share * seconds))

    def moves(self, tid: int, processor: int) -> None:
        before = self.threads[tid]
        self.threads[tid] = Running(tid, before.runs, processor, before.ticks)

    def bind(self, tid: int, processors: set[int]) -> bool:
        if self.may:
            self.allowed[tid] = set(processors)
        return self.may


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    found = Process()
    monkeypatch.setattr(beside, "thread_ids", lambda pid: [*found.threads, OURS])
    monkeypatch.setattr(beside, "running", lambda pid, tid: found.threads.get(tid))
    monkeypatch.setattr(beside, "_affinity", lambda tid: found.allowed.get(tid, set()))
    monkeypatch.setattr(beside, "_bind", found.bind)
    yield found


def waiting(process: Process) -> Beside:
    """It is waited for, and has been looked at once."""
    keeper = Beside(PID, lambda: [OURS], lambda: process.now)
    keeper.look()
    return keeper


def test_one_look_alone_says_nothing(process: Process) -> None:
    keeper = waiting(process)
    assert process.allowed[OURS] == FREE and keeper.near is None


def test_it_goes_to_who_never_rests_and_follows(process: Process) -> None:
    """The main thread before others, wherever that goes, until it rests."""
    keeper = waiting(process)
    process.passes(0.5, {PID: 0.9, 121: 0.9})
    keeper.look()
    assert process.allowed[OURS] == {0} and keeper.near == PID
    process.moves(PID, 3)
    process.passes(1.5, {PID: 0.9})
    keeper.follow()
    assert process.allowed[OURS] == {3}
    process.passes(1.5, {PID: 0.1})
    keeper.follow()
    assert process.allowed[OURS] == FREE and keeper.near is None


def test_who_rests_now_and_then_is_left(process: Process) -> None:
    """A service that works much of the time does not keep anybody from the lock."""
    keeper = waiting(process)
    process.passes(0.5, {PID: 0.9})
    keeper.look()
    process.passes(1.5, {PID: 0.6}, asleep=True)
    keeper.follow()
    assert process.allowed[OURS] == {0}
    process.passes(1.5, {PID: 0.6}, asleep=True)
    keeper.follow()
    assert process.allowed[OURS] == FREE


def test_where_it_is_no_help_the_next_one_is_tried(process: Process) -> None:
    keeper = waiting(process)
    gone_to = []
    for _ in range(7):
        process.passes(0.5, {PID: 0.9, 121: 0.9})
        keeper.look()
        gone_to.append(keeper.near)
    assert gone_to == [PID] * 3 + [121] * 3 + [PID]


def test_one_that_was_made_beside_is_let_go_when_nobody_keeps_it(process: Process) -> None:
    """A thread may run where the one that has made it might."""
    process.allowed[OURS] = {0}
    keeper = Beside(PID, lambda: [OURS], lambda: process.now)
    keeper.follow()
    process.passes(1.5, {PID: 0.9})
    keeper.follow()
    assert process.allowed[OURS] == {0} and keeper.near == PID
    process.passes(1.5, {})
    keeper.follow()
    assert process.allowed[OURS] == FREE


def test_where_it_may_not_nothing_is_said_to_be_so(process: Process) -> None:
    process.may = False
    keeper = waiting(process)
    process.passes(0.5, {PID: 0.9})
    keeper.look()
    keeper.end()
    assert process.allowed[OURS] == FREE and keeper.near is None


def test_no_thread_of_ours(process: Process) -> None:
    keeper = Beside(PID, list, lambda: process.now)
    for seconds in (0.5, 1.5, 1.5):
        process.passes(seconds, {PID: 0.9})
        keeper.look()
        keeper.follow()
    assert process.allowed == {PID: FREE, OURS: FREE}


def test_this_very_process() -> None:
    """The readings are the kernel's."""
    found = beside.running(os.getpid(), os.getpid())
    assert found is not None and found.processor in os.sched_getaffinity(0) and found.ticks > 0
    assert beside.running(os.getpid(), 1) is None
