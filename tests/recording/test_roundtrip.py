"""What was recorded is there again at every moment: rows, state, and the past of the charts."""

from __future__ import annotations

import dataclasses
import random
import sqlite3
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyobserver.model.actions import Outcome, Progress, Site
from pyobserver.model.readings import ChildProcess
from pyobserver.model.snapshot import Snapshot
from pyobserver.recording import writer as writing
from pyobserver.recording.reader import Recording
from pyobserver.recording.state import OTHERWISE, PLAIN
from pyobserver.recording.values import decoder
from pyobserver.recording.writer import RecordingWriter
from pyobserver.source.story import Story

from .made import assert_same, recorded, source_of

WINDOWS = (60.0, 600.0, 3600.0, 86_400.0)


def test_every_field_of_a_snapshot_is_recorded() -> None:
    """A new field is either of a type that is written by itself, or somebody has thought of it."""
    assert {field.name for field in dataclasses.fields(Snapshot)} == OTHERWISE | PLAIN.keys()
    for kind in PLAIN.values():
        decoder(kind)
    assert typing.get_type_hints(Snapshot).keys() >= PLAIN.keys()


@pytest.mark.parametrize("story", [Story(tasks=40, per_minute=60), Story(tasks=60, fixed=True), Story(empty=True)])
def test_every_moment_is_as_it_was(tmp_path: Path, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever order they are asked for: whole ticks, changes, rows that come, go and move."""
    monkeypatch.setattr(writing, "KEY_TICKS", 9)
    written = recorded(tmp_path / "a.rec", 50, source_of(replace(story, restless=True), churn=0.3))
    with Recording(tmp_path / "a.rec") as recording:
        assert recording.times.tolist() == [each.taken_at for each in written]
        places = [*range(50), *random.Random(1).sample(range(50), 50)]
        for place in places:
            assert_same(written[place], recording.at(place))
        assert recording.problems == ()


def test_what_happens_now_and_then(tmp_path: Path) -> None:
    """Baselines, actions, children, problems, an agent that is replaced, hostile names, a target that ends."""
    source = source_of(Story(tasks=30, hostile=True))
    source.allows_actions = True
    writer = RecordingWriter(tmp_path / "a.rec", {})
    written = []
    for second in range(40):
        source.play(1.0)
        if second == 5:
            source.store.set_baseline()
        if second == 8:
            source.act("cancel", 1000)
            source.act("trace", 0, {"seconds": 5.0, "frames": True})
        if second == 11:
            outcome = Outcome(0.1, traced_seconds=5.0, sites=(Site("a.py", 3, 100, 2),))
            source.store.report_actions([2], Progress("ended", 5.0, True, "done", outcome))
        if second == 14:
            child = ChildProcess(99, source.clock(), ("sh", "-c", "x"), None, 0.5, "S", False)
            source.store.set_children([*source.story.children(), child])
            source.store.add_problem("something was missing")
        if second == 20:
            source._greeted, source._spawned = False, (0, 0)
        if second == 30:
            source.become("killed")
        written.append(source.store.snapshot())
        writer.add(written[-1])
    writer.close()
    with Recording(tmp_path / "a.rec") as recording:
        for place in (39, 0, 6, 9, 12, 15, 21, 29, 31, 39):
            assert_same(written[place], recording.at(place))
        assert recording.at(39).status.signal == 9


def test_the_past_of_the_charts(tmp_path: Path) -> None:
    """Series are as the live history had them, in each window, also from before the recording began."""
    source = source_of()
    source.remember(9000.0, step=1.0)
    source.play(400)
    written = recorded(tmp_path / "a.rec", 200, source)
    last, history = written[-1].taken_at, written[-1].history
    with Recording(tmp_path / "a.rec") as recording:
        found = recording.at(199).history
        assert set(found.names()) == set(history.names())
        for name in history.names():
            for window in WINDOWS:
                was, now = history.curve(name, last - window), found.curve(name, last - window)
                assert now.times.tolist() == was.times.tolist(), (name, window)
                for part in ("low", "mean", "high"):
                    assert np.allclose(getattr(now, part), getattr(was, part), rtol=1e-12), (name, window)
            assert found.last(name) is not None
        assert found.peak("rss") == pytest.approx(history.peak("rss"), rel=1e-6)


def test_nothing_is_known_of_what_comes_later(tmp_path: Path) -> None:
    """The charts of a moment end with it."""
    written = recorded(tmp_path / "a.rec", 150, source_of(past=300.0))
    with Recording(tmp_path / "a.rec") as recording:
        for place in (0, 30, 100, 140):
            at = written[place].taken_at
            for window in WINDOWS:
                curve = recording.at(place).history.curve("rss", at - window)
                assert curve.times[-1] == at
                assert curve.times[0] <= at - min(window, 300.0) + 60.0


def test_the_heap_is_recorded(tmp_path: Path) -> None:
    """Objects by type with what growth is told from, and the large containers."""
    written = recorded(tmp_path / "a.rec", 100)
    with Recording(tmp_path / "a.rec") as recording:
        found, was = recording.at(99), written[-1]
        assert found.heap.newest is not None and was.heap.newest is not None
        assert found.heap.newest.names == was.heap.newest.names
        assert len(found.heap.earlier) >= 2
        assert found.heap.newest.counts.pools.tolist() == was.heap.newest.counts.pools.tolist()
        assert found.containers.newest == was.containers.newest
        assert found.containers.earlier == was.containers.earlier
        assert recording.at(99, with_heap=False).heap.newest is None


def test_what_was_not_recorded_says_so(tmp_path: Path) -> None:
    """No census is not an empty one."""
    source = source_of()
    source.count_objects(False)
    source.look_for_containers(False)
    source.store._now = replace(source.store._now, heap=type(source.store._now.heap)())
    recorded(tmp_path / "a.rec", 3, source)
    with Recording(tmp_path / "a.rec") as recording:
        assert "not counted" in recording.at(2).heap.problem


def test_read_while_it_is_written(tmp_path: Path) -> None:
    """A reader sees whole ticks as soon as they are there, and does not hold up the writer."""
    source = source_of()
    writer = RecordingWriter(tmp_path / "a.rec", {})
    source.play(1.0)
    writer.add(source.store.snapshot())
    with Recording(tmp_path / "a.rec") as recording:
        for second in range(2, 180):
            source.play(1.0)
            writer.add(source.store.snapshot())
            assert recording.refresh()
            assert len(recording) == second
            if second % 20 == 0:
                assert_same(source.store.snapshot(), recording.at(second - 1))
                assert recording.at(second - 1).history.last("rss") == source.store.history.last("rss")
        assert not recording.refresh()
    writer.close()


def test_a_closed_recording_is_one_file(tmp_path: Path) -> None:
    """Nothing is left beside it, and it can be read where nothing can be written."""
    recorded(tmp_path / "a.rec", 5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.rec"]
    assert (tmp_path / "a.rec").stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(tmp_path / "a.rec")
    assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """The moments keep their order."""
    source = source_of()
    writer = RecordingWriter(tmp_path / "a.rec", {})
    for step in (1.0, 1.0, -50.0, 1.0, 1.0):
        source.clock.advance(step)
        source.step()
        writer.add(source.store.snapshot())
    writer.close()
    with Recording(tmp_path / "a.rec") as recording:
        assert len(recording) == 5
        assert (np.diff(recording.times) >= 0).all()
        assert_rows = recording.at(4)
        assert len(assert_rows.tasks) == len(source.store.snapshot().tasks)


@pytest.mark.parametrize(("megabytes", "tasks"), [(1, 1500), (1, 4000)])
def test_the_largest_size(tmp_path: Path, megabytes: int, tasks: int) -> None:
    """The oldest ticks go first, the charts' past stays, and the file is never larger than it may be."""
    source = source_of(Story(tasks=tasks, per_minute=30, restless=True), churn=0.5)
    limit = megabytes << 20
    writer = RecordingWriter(tmp_path / "a.rec", {}, limit)
    largest = 0
    for _ in range(400):
        source.play(1.0)
        writer.add(source.store.snapshot())
        largest = max(largest, writer.size)
    last = source.store.snapshot()
    writer.close()
    assert largest <= limit
    with Recording(tmp_path / "a.rec") as recording:
        assert 20 <= len(recording) < 400
        assert_same(last, recording.at(len(recording) - 1))
        curve = recording.at(len(recording) - 1).history.curve("rss", last.taken_at - 399)
        assert curve.times[0] <= last.taken_at - 395
        recording.at(0)
        assert recording.problems == ()
