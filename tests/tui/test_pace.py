"""Many changes are one refresh, and showing takes a fifth of the time at most."""

from __future__ import annotations

from pyobserver.model.snapshot import Phase
from pyobserver.model.store import Store
from pyobserver.tui.pace import Pace, is_whole

from ..model import made
from .widgets.stage import Clock


def test_many_news_are_one() -> None:
    """A flag is set, however often; showing takes it down before it looks."""
    clock = Clock()
    pace = Pace(clock)
    for _ in range(1000):
        pace.news()
    assert pace.is_due(0.5)
    with pace.measured():
        pass
    clock.now += 10
    assert not pace.is_due(0.5)


def test_news_during_a_refresh_are_news_again() -> None:
    """What changes after the snapshot was taken is shown the next time."""
    clock = Clock()
    pace = Pace(clock)
    with pace.measured():
        pace.news()
    clock.now += 1
    assert pace.is_due(0.5)


def test_not_before_its_time() -> None:
    """A tab says how often it can be looked at."""
    clock = Clock()
    pace = Pace(clock)
    with pace.measured():
        pass
    pace.news()
    clock.now += 0.9
    assert not pace.is_due(1.0)
    clock.now += 0.2
    assert pace.is_due(1.0)


def test_a_slow_refresh_is_made_less_often() -> None:
    """One that took a second is not repeated before five."""
    clock = Clock()
    pace = Pace(clock)
    with pace.measured():
        clock.now += 1
    pace.news()
    clock.now += 3.5
    assert not pace.is_due(0.5)
    clock.now += 1
    assert pace.is_due(0.5)


def test_verdicts_come_at_longer_intervals() -> None:
    """Every two seconds at most, a dear one less often, and at once after the window was changed."""
    clock = Clock()
    pace = Pace(clock)
    assert pace.is_judging_due()
    with pace.judging():
        clock.now += 0.1
    clock.now += 3
    assert not pace.is_judging_due()
    pace.judge_soon()
    assert pace.is_judging_due()


def test_news_are_urgent_until_the_picture_is_whole() -> None:
    """It is when the memory is known, and the agent has listed everything."""
    store = Store(lambda: made.NOW)
    assert not is_whole(store.snapshot())
    store.add_memory(made.memory())
    store.add_tick(made.tick(made.NOW, complete=False))
    assert not is_whole(store.snapshot())
    store.add_tick(made.tick(made.NOW))
    assert is_whole(store.snapshot())


def test_nothing_is_urgent_when_no_more_will_come() -> None:
    """Without an agent, what is read from outside comes at its own pace."""
    store = Store(lambda: made.NOW)
    store.set_status(Phase.OUTSIDE, "denied")
    assert is_whole(store.snapshot())
