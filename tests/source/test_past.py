"""What an agent says of the past is taken as it is meant, or refused; and what it may say is bounded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.model.groups import group_name
from pyobserver.model.store import Store
from pyobserver.protocol import frames, schema
from pyobserver.protocol.frames import Frame
from pyobserver.source import past
from pyobserver.source.errors import MessageError

from .scripted import Peer, ScriptedAgent, decoded, update, wait_for
from .test_listener import listening, until_the_end

CELLS: dict[str, list[float]] = {
    "age": [630.0, 30.0, 20.0, 8.0],
    "length": [600.0, 10.0, 10.0, 10.0],
    "low": [1.0, 2.0, 3.0, 4.0],
    "mean": [1.5, 2.5, 3.0, 4.0],
    "high": [2.0, 3.0, 3.0, 4.0],
}
GROUP = [schema.KIND_TASK, "app.work", False]


def said(series: Any = "rss", group: Any = None, codes: str = "fffff", **changed: list[float]) -> bytes:
    """A message about the past with something changed."""
    columns = {**CELLS, **changed}
    named = [(name, code, columns[name]) for (name, _), code in zip(schema.PAST_COLUMNS, codes, strict=True)]
    encoded: bytes = frames.encode({"t": "history", "series": series, "group": group}, named)
    return encoded


def one(data: bytes) -> Frame:
    (found,) = decoded(data)
    return found


def test_a_series_as_it_was_meant() -> None:
    found = past.history(one(said("count", GROUP)))
    assert (found.series, found.group) == ("count", (schema.KIND_TASK, "app.work", False))
    assert found.cells.tolist() == [list(cell) for cell in zip(*CELLS.values(), strict=True)]
    assert past.history(one(said())).group is None


def test_names_are_cleaned() -> None:
    found = past.history(one(said("bytes", [0, "a\x1b[2J\n" + "x" * 1000, True])))
    assert found.group is not None and found.group[1].isprintable() and len(found.group[1]) <= 300


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    "wrong",
    [
        {"series": "secrets"},
        {"series": "count"},
        {"series": "rss", "group": GROUP},
        {"series": None},
        {"group": "app.work", "series": "count"},
        {"group": [*GROUP, 1], "series": "count"},
        {"group": [99, "app.work", False], "series": "count"},
        {"group": [True, "app.work", False], "series": "count"},
        {"group": [0, None, False], "series": "count"},
        {"group": [0, "app.work", 1], "series": "count"},
        {"codes": "dffff"},
        {"age": [1.0]},
        {name: [] for name in CELLS},
        {name: [1.0] * 3000 for name in CELLS},
        {"age": [30.0, 30.0, 20.0, 8.0]},
        {"age": [8.0, 20.0, 30.0, 630.0]},
        {"age": [630.0, 30.0, 20.0, -8.0]},
        {"age": [1e9, 30.0, 20.0, 8.0]},
        {"age": [NAN, 30.0, 20.0, 8.0]},
        {"age": [INFINITE, 30.0, 20.0, 8.0]},
        {"length": [600.0, 10.0, 0.0, 10.0]},
        {"length": [600.0, 10.0, NAN, 10.0]},
        {"length": [1e30, 10.0, 10.0, 10.0]},
        {"low": [-1.0, 2.0, 3.0, 4.0]},
        {"low": [1.0, 2.0, 3.5, 4.0]},
        {"mean": [2.5, 2.5, 3.0, 4.0]},
        {"mean": [NAN, 2.5, 3.0, 4.0]},
        {"high": [2.0, 3.0, 3.0, INFINITE]},
        {"high": [2.0, 3.0, 3.0, 1e17]},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match=r"^(history|series|a text)"):
        past.history(one(said(**wrong)))


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(MessageError, match="column"):
        past.history(one(frames.encode({"t": "history", "series": "rss", "group": None})))


_NUMBERS = st.floats(width=32) | st.sampled_from([0.0, 1.0, 10.0, 20.0])


@given(st.lists(st.tuples(*[_NUMBERS] * 5), min_size=1, max_size=6), st.booleans())
def test_whatever_comes_is_refused_or_harmless(cells: list[tuple[float, ...]], is_told_in_order: bool) -> None:
    """What is taken can be drawn: finite, in order, none of it in the future."""
    if is_told_in_order:
        cells = sorted(cells, reverse=True)
    columns = dict(zip(CELLS, map(list, zip(*cells, strict=True)), strict=True))
    try:
        found = past.history(one(said(**columns)))
    except MessageError:
        return
    store = Store(time.time)
    store.add_past(found)
    store.history.add("rss", time.time(), 1.0)
    curve = store.history.curve("rss", 0.0)
    assert np.isfinite([curve.times, curve.low, curve.mean, curve.high]).all()
    assert (np.diff(curve.times) > 0).all() and curve.times[-1] <= time.time()
    assert (curve.low <= curve.mean).all() and (curve.mean <= curve.high).all()


def test_it_is_in_the_store_before_the_first_update_is_over(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.greet(followed=600.0)
        peer.next()
        peer.say(said(), said("count", GROUP), update())
        until_the_end(peer)

    with ScriptedAgent(tmp_path, script) as agent, listening(agent) as found:
        wait_for(found.is_live, "the first update")
        snapshot = found.store.snapshot()
        assert snapshot.watched_since == pytest.approx(time.time() - 600.0, abs=30.0)
        assert len(snapshot.history.curve("rss", 0.0)) == 4
        number = snapshot.tasks.texts.index("app.work")
        curve = snapshot.history.curve(group_name((schema.KIND_TASK, number, False), "count"), 0.0)
        assert curve.mean[:4].tolist() == [1.5, 2.5, 3.0, 4.0]
        assert not found.store.snapshot().problems


@pytest.mark.parametrize("what", ["broken", "endless"])
def test_an_agent_that_lies_about_the_past_is_not_heard_any_more(tmp_path: Path, what: str) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.next()
        if what == "broken":
            peer.say(said(age=[1.0, 2.0, 3.0, 4.0]))
        for number in range(past.MOST_MESSAGES + 1 if what == "endless" else 0):
            peer.say(said("count", [0, f"app.f{number}", False]))
        until_the_end(peer)

    with ScriptedAgent(tmp_path, script) as agent, listening(agent) as found:
        assert isinstance(found.ended(), MessageError)
        assert "histor" in str(found.ended())


def test_the_agent_is_asked_to_stay_when_that_is_wanted(tmp_path: Path) -> None:
    for wanted in (True, False):
        folder = tmp_path / str(wanted)
        folder.mkdir()
        with ScriptedAgent(folder) as agent, listening(agent, leaves_agent=wanted) as found:
            wait_for(found.is_live, "the first update")
            assert ("stay" in agent.words()) is wanted
