"""Jobs take turns in slices, begin together, rest while the program does, and what fails is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyobserver.agent.schedule import WHOLE, Job, Schedule, Slice, on_beat


class Clock:
    """A clock that stands still until it is moved; `ran` is the processor time of the program."""

    def __init__(self) -> None:
        self.now = 1000.003
        self.ran = 5.0

    def __call__(self) -> float:
        return self.now


def made(*names: str, rests: bool = False) -> tuple[Clock, Schedule, list[str], dict[str, Job]]:
    """A schedule of jobs with a period of a second that note their names."""
    clock, done = Clock(), []  # type: ignore[var-annotated]

    def work(name: str) -> object:
        def note(now: Slice) -> Iterator[None]:
            done.append(name)
            yield from ()

        return note

    schedule = Schedule(clock, done.append, lambda: clock.ran)
    jobs = {name: Job(name, 1.0, work(name), rests=rests) for name in names}
    schedule.jobs = list(jobs.values())
    return clock, schedule, done, jobs


def test_rounds_begin_together() -> None:
    """What has begun a bit behind a beat is due at the next one, and not at the one behind that."""
    clock, schedule, done, jobs = made("a", "b")
    schedule.work(0.001)
    clock.now = 1000.4
    jobs["b"].hurry()
    schedule.work(0.001)
    assert [job.due for job in jobs.values()] == [1001.0, 1001.0]
    assert schedule.wait(clock.now) == pytest.approx(0.6)
    assert done == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("period", "due"), [(1.0, 1001.0), (0.5, 1001.5), (0.2, 1001.7), (0.25, 1001.77), (1.5, 1001.5), (2.0, 1001.0)]
)
def test_a_beat_goes_into_the_period(period: float, due: float) -> None:
    """So nothing comes more often than it should; what no beat goes into is due when it is."""
    assert on_beat(1001.77, period) == pytest.approx(due)


def test_who_is_expensive_comes_later() -> None:
    """A round that has taken a tenth of a second gets a hundredth of the time, and begins at a beat all the same."""
    clock, schedule, _done, jobs = made("teller", "a")

    def work(now: Slice) -> Iterator[None]:
        clock.now += 0.1
        yield from ()

    jobs["a"] = schedule.jobs[1] = Job("a", 1.0, work, duty=0.01)
    schedule.work(0.001)
    assert jobs["a"].due == 1011.0


def test_what_others_take_meanwhile_is_not_its_own() -> None:
    """Where the processor has been somebody else's for a tenth of a second, a job has not become expensive."""
    clock, _, _, _ = made("teller")
    spent = 0.0
    schedule = Schedule(clock, list, lambda: clock.ran, lambda: spent)

    def work(now: Slice) -> Iterator[None]:
        nonlocal spent
        clock.now += 0.1
        spent += 0.001
        yield from ()

    schedule.jobs = [Job("teller", 1.0, work), Job("a", 1.0, work, duty=0.01)]
    schedule.work(0.001)
    assert schedule.jobs[1].due == 1001.0


def test_the_first_tells_what_the_others_have_just_found() -> None:
    """It comes behind them, but if no time was left for it, before them in the next slice."""
    clock, schedule, done, jobs = made("teller", "a", "b")
    schedule.work(0.001)
    assert done[-1] == "teller" and sorted(done) == ["a", "b", "teller"]
    done.clear()
    clock.now = 1001.001

    def long(now: Slice) -> Iterator[None]:
        done.append("long")
        clock.now += 0.01
        yield from ()

    schedule.jobs[1] = Job("long", 1.0, long)
    jobs["b"].due = 2000.0
    schedule.work(0.001)
    assert done == ["long"]
    schedule.jobs[1].hurry()
    schedule.work(0.001)
    assert done == ["long", "teller", "long"]


def test_a_whole_slice_is_not_one_that_others_have_used() -> None:
    """What has asked for it is passed by when another one has taken some of the slice, and is first in the next."""
    clock, schedule, done, _jobs = made("teller", "a", "b")

    def whole(now: Slice) -> Iterator[object]:
        done.append("asks")
        now = yield WHOLE
        done.append("whole at %.1f" % ((now.clock() - now.begun) * 1000.0))

    def some(now: Slice) -> Iterator[None]:
        while True:
            done.append("some")
            clock.now += 0.0005
            yield

    schedule.jobs = [Job("teller", 1.0, some), Job("a", 1.0, whole)]
    schedule.work(0.001)
    assert done == ["asks", "some"]
    schedule.work(0.001)
    assert done[2:] == ["some"]
    schedule.work(0.001)
    assert done[3:] == ["whole at 0.0", "some"]


def test_jobs_rest_while_the_program_does() -> None:
    """A round is left out while the program has not run, for some seconds at most; how many were is told."""
    clock, schedule, done, jobs = made("a", rests=True)
    schedule.may_rest = True
    schedule.work(0.001)
    for second in range(1, 5):
        clock.now = 1000.004 + second
        assert schedule.wait(clock.now) == 0.0
        schedule.work(0.001)
    assert done == ["a"]
    clock.now = 1005.004
    schedule.work(0.001)
    assert done == ["a", "a"] and jobs["a"].left_out == 4
    clock.now, clock.ran = 1006.004, 5.00005
    schedule.work(0.001)
    assert done == ["a", "a", "a"] and jobs["a"].left_out == 0


def test_who_is_in_a_hurry_does_not_rest() -> None:
    """Somebody waits for the next round, whether the program runs or not."""
    _clock, schedule, done, jobs = made("a", rests=True)
    schedule.may_rest = True
    schedule.work(0.001)
    jobs["a"].hurry()
    schedule.work(0.001)
    assert done == ["a", "a"]


def test_all_turns_come() -> None:
    """Of jobs that each take a whole slice, each gets its turn."""
    clock, schedule, done, _jobs = made("teller")

    def endless(name: str) -> object:
        def work(now: Slice) -> Iterator[None]:
            while True:
                done.append(name)
                clock.now += 0.01
                yield

        return work

    schedule.jobs += [Job(name, 1.0, endless(name)) for name in "abc"]
    for _ in range(40):
        schedule.work(0.001)
    assert min(done.count(name) for name in "abc") >= 10


def test_a_job_that_is_given_up_is_told_to_who_comes_later() -> None:
    """Who was there has heard of it; the others see what was true before it, and have to know."""
    now = 0.0
    told: list[str] = []
    schedule = Schedule(lambda: now, told.append, lambda: 0.0)

    def fail(_slice: Any) -> Any:
        raise ValueError("no good")

    schedule.jobs = [Job("broken", 0.0, fail)]
    for _ in range(5):
        now += 60.0
        schedule.work(0.001)
    assert not schedule.jobs
    assert told[-1] == "broken is given up" and len(told) == 4
    assert len(schedule.given_up) == 1
    assert schedule.given_up[0].startswith("broken is given up: broken: ValueError no good")
