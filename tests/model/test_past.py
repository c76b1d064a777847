"""What an agent has kept comes into the history as if it had been read here, and never in place of what was."""

from __future__ import annotations

import numpy as np
import pytest

from pyobserver.analysis.groups import group_rows
from pyobserver.analysis.growth import per_minute
from pyobserver.model.history import COARSE, TIERS, History, Tiers
from pyobserver.model.past import Cells, PastSeries, within
from pyobserver.model.store import Store
from pyobserver.protocol import schema

from .made import NOW, Clock, columns, facts, tick

HOUR = 3600.0


def past(since: float, until: float, seconds: float, slope: float = 1.0) -> Cells:
    """Cells of something that is `slope` times the seconds since `NOW`, whose middle has the mean."""
    starts = np.arange(since, until, seconds)
    values = slope * (starts - NOW)
    return np.column_stack(
        [starts, np.full(len(starts), seconds), values, values + slope * seconds / 2, values + slope * seconds]
    )


def joined(*parts: Cells) -> Cells:
    return np.concatenate(parts)


def as_told() -> Cells:
    """What an agent tells after a day: a day by ten minutes, an hour by the minute, some minutes by ten seconds."""
    return joined(
        past(NOW - 24 * HOUR, NOW - HOUR, 600.0), past(NOW - HOUR, NOW - 420, 60.0), past(NOW - 420, NOW, 10.0)
    )


@pytest.mark.parametrize("tiers", [TIERS, COARSE], ids=["fine", "coarse"])
@pytest.mark.parametrize("window", [120.0, 600.0, HOUR, 20 * HOUR])
def test_growth_is_told_at_once_over_any_window(tiers: Tiers, window: float) -> None:
    """Whatever lengths the cells had, and however they lie in those of the history: the slope is the true one."""
    history = History()
    history.fill("rss", as_told(), tiers)
    curve = history.curve("rss", NOW - window)
    assert curve.times[0] <= NOW - window + 600.0
    assert per_minute(curve) == pytest.approx(60.0, rel=0.03)
    assert (curve.low <= curve.mean).all() and (curve.mean <= curve.high).all()
    for second in range(300):
        history.add("rss", NOW + second, float(second), tiers)
        curve = history.curve("rss", NOW + second - window)
        assert (np.diff(curve.times) > 0).all()
        assert per_minute(curve) == pytest.approx(60.0, rel=0.03)


def test_what_was_read_here_stays_as_it_is() -> None:
    """Before it, and in a gap between two connections, the agent's cells are taken; beside it they are not."""
    history, alone = History(), History()
    for second in [*range(100), *range(700, 800)]:
        for each in (history, alone):
            each.add("rss", NOW + second, 5.0)
    history.fill("rss", past(NOW - 300, NOW + 790, 10.0))
    own, both = alone.curve("rss", NOW), history.curve("rss", NOW)
    assert len(own) == 200 and set(own.times.tolist()) <= set(both.times.tolist())
    assert (both.mean[np.isin(both.times, own.times)] == own.mean).all()
    assert ((both.times > NOW + 100) & (both.times < NOW + 700)).sum() >= 50
    both = history.curve("rss", NOW - 5000)
    assert both.times[0] == pytest.approx(NOW - 300, abs=60)
    assert ((both.times > NOW + 100) & (both.times < NOW + 700)).sum() >= 50
    assert history.last("rss") == (NOW + 799, 5.0)


@pytest.mark.parametrize("tiers", [TIERS, COARSE], ids=["fine", "coarse"])
def test_a_tier_stays_within_its_bound(tiers: Tiers) -> None:
    """More than there is room for, once and again; the newest stay, and what follows is added as ever."""
    history = History()
    for turn in range(3):
        history.fill("rss", past(NOW - 30 * HOUR, NOW + turn * HOUR, 1.0), tiers)
        for second in range(1500):
            history.add("rss", NOW + turn * HOUR + second, float(turn), tiers)
        for seconds, bound in tiers:
            curve = history.curve("rss", NOW + turn * HOUR + 1500 - seconds * bound)
            assert len(curve) <= bound
            assert (np.diff(curve.times) > 0).all()
    assert history.last("rss") == (NOW + 2 * HOUR + 1499, 2.0)


def test_a_series_that_is_only_the_past() -> None:
    history = History()
    history.fill("rss", past(NOW - 30, NOW, 10.0))
    history.fill("nothing", np.empty((0, 5)))
    assert history.last("rss") == (NOW, -5.0) and history.peak("rss") == 0.0
    assert history.last("nothing") is None and len(history.curve("nothing", 0.0)) == 0


def test_the_newest_cell_ends_now() -> None:
    """It is not over yet: its second half is no time that has passed."""
    told = PastSeries("rss", None, np.array([[14.0, 10.0, 1.0, 2.0, 3.0], [4.0, 10.0, 4.0, 5.0, 6.0]]))
    assert told.at(NOW)[:, :2].tolist() == [[NOW - 14, 10.0], [NOW - 4, 4.0]]
    for seconds in (1.0, 2.0, 10.0, 60.0):
        assert within(told.at(NOW), seconds)[-1, 0] <= NOW


def _leaking(store: Store, count: int) -> None:
    rows = [
        {"id": n, "kind": schema.KIND_TASK, "function": 1, "state": schema.STATE_WAITING, "retained": 1_000_000}
        for n in range(1, count + 1)
    ]
    store.put_rows(columns(rows), [f"w-{n}" for n in range(count)])
    store.add_tick(tick(count, count))


def test_the_growth_of_a_group_is_told_with_the_first_update() -> None:
    """An agent that has followed it for ten minutes knows; the observer need not watch for seconds first."""
    clock = Clock()
    store = Store(clock)
    store.greet(facts(followed_seconds=600.0))
    store.add_texts(1, ["app.leak"])
    for series, slope in (("count", 0.1), ("bytes", 100_000.0)):
        cells = past(NOW - 600, NOW, 10.0, slope)
        cells[:, 2:] += slope * 1000.0
        cells[:, 0] = NOW - cells[:, 0]
        store.add_past(PastSeries(series, (schema.KIND_TASK, "app.leak", False), cells))
    _leaking(store, 100)
    snapshot = store.snapshot()
    assert snapshot.watched_since == NOW - 600 and snapshot.growing_since(300.0) == NOW - 300
    assert snapshot.growing_since(5000.0) == NOW - 600
    (row,) = group_rows(snapshot, 600.0)
    assert row.growing and row.count_growth == pytest.approx(6.0, rel=0.05)
    assert row.bytes_growth == pytest.approx(6e6, rel=0.05)


def test_an_agent_without_a_past_is_as_ever() -> None:
    """Growth is told from the first complete picture on."""
    clock = Clock()
    store = Store(clock)
    store.greet(facts())
    assert store.snapshot().growing_since(600.0) == NOW
    clock.now += 5.0
    _leaking(store, 3)
    clock.now += 5.0
    assert store.snapshot().growing_since(600.0) == NOW + 5.0 and store.snapshot().watched_since is None
