"""Jobs take turns in slices, and what fails is told."""

from __future__ import annotations

from typing import Any

from pyobserver.agent.schedule import Job, Schedule


def test_a_job_that_is_given_up_is_told_to_who_comes_later() -> None:
    """Who was there has heard of it; the others see what was true before it, and have to know."""
    now = 0.0
    told: list[str] = []
    schedule = Schedule(lambda: now, told.append)

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
