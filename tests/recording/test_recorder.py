"""A recorder writes while the store is fed, says when it cannot, and keeps the end of a target."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.model.snapshot import Phase
from pyobserver.recording.errors import RecordingError
from pyobserver.recording.reader import Recording
from pyobserver.recording.recorder import Recorder, notes_of, save, unused_path
from pyobserver.source.fake import FakeSource

from ..support.story import until
from .made import assert_same, source_of


@pytest.fixture
def source() -> Iterator[FakeSource]:
    """A service in real time."""
    found = source_of(past=300.0)
    found.clock.real = True
    yield found


def test_it_writes_until_it_is_stopped(source: FakeSource, tmp_path: Path) -> None:
    """One tick each interval, and the last state at the end."""
    recorder = Recorder(source.store, tmp_path / "a.rec", interval=0.05)
    assert until(lambda: recorder.ticks > 5)
    assert recorder.is_running and recorder.size > 0
    source.step()
    recorder.stop()
    assert not recorder.is_running and recorder.problem == ""
    with Recording(tmp_path / "a.rec") as recording:
        assert len(recording) == recorder.ticks
        assert recording.at(len(recording) - 1).process == source.store.snapshot().process
        assert recording.notes["target"].endswith("pid 4711 on build-07")


def test_the_end_of_the_target_is_the_last_tick(source: FakeSource, tmp_path: Path) -> None:
    """At once, and nothing after it."""
    recorder = Recorder(source.store, tmp_path / "a.rec", interval=0.05)
    assert until(lambda: recorder.ticks > 2)
    source.become("killed")
    assert until(lambda: not recorder.is_running)
    with Recording(tmp_path / "a.rec") as recording:
        statuses = [recording.at(place).status.phase for place in range(len(recording))]
        assert statuses.count(Phase.EXITED) == 1 and statuses[-1] is Phase.EXITED
        assert recording.at(len(recording) - 1).status.signal == 9


def test_a_file_that_is_there_already(source: FakeSource, tmp_path: Path) -> None:
    """It is not touched."""
    path = tmp_path / "a.rec"
    path.write_text("mine")
    with pytest.raises(RecordingError, match="is there already"):
        Recorder(source.store, path)
    with pytest.raises(RecordingError, match="No such file"):
        Recorder(source.store, tmp_path / "nowhere" / "a.rec")
    assert path.read_text() == "mine"


def test_a_disk_that_is_full(source: FakeSource, tmp_path: Path) -> None:
    """It says so, ends, and what was written can be read."""
    said: list[str] = []
    recorder = Recorder(source.store, tmp_path / "a.rec", interval=0.05, on_problem=said.append)
    assert until(lambda: recorder.ticks > 2)
    pages = os.stat(tmp_path / "a.rec").st_size // 1024
    recorder._writer._file.execute(f"PRAGMA max_page_count = {pages + 30}")

    def fills() -> bool:
        source.step()
        return not recorder.is_running

    assert until(fills)
    assert said and "full" in said[0] and said[0] == recorder.problem
    with Recording(tmp_path / "a.rec") as recording:
        recording.at(len(recording) - 1)
        assert recording.problems == ()


def test_what_cannot_be_written_ends_nothing_else(source: FakeSource, tmp_path: Path) -> None:
    """An error of ours is a problem of the recording, not of the dashboard."""
    recorder = Recorder(source.store, tmp_path / "a.rec", interval=0.05)
    source.store._now = type(source.store._now)(**{**source.store._now.__dict__, "stacks": (object(),)})
    assert until(lambda: not recorder.is_running)
    assert "TypeError" in recorder.problem


def test_what_is_known_of_a_target_that_has_ended(tmp_path: Path) -> None:
    """Its last moment, with all of its past in the charts."""
    source = source_of(past=900.0)
    source.play(60)
    source.become("exited")
    snapshot = source.store.snapshot()
    save(snapshot, tmp_path / "a.rec")
    with Recording(tmp_path / "a.rec") as recording:
        assert len(recording) == 1
        found = recording.at(0)
        assert_same(snapshot, found)
        assert found.status.exit_code == 1
        assert len(found.history.curve("rss", snapshot.taken_at - 3600)) > 50


def test_names_that_are_not_taken(tmp_path: Path) -> None:
    """A second one in the same second has a number."""
    first = unused_path(12, 1_790_000_000.0, tmp_path)
    assert first.name.startswith("pyobserver-12-2026") and first.suffix == ".rec"
    first.touch()
    second = unused_path(12, 1_790_000_000.0, tmp_path)
    assert second != first and second.name.endswith("-2.rec")


def test_notes_without_a_target() -> None:
    """A recording may begin before anything is known."""
    source = FakeSource()
    assert notes_of(source.store.snapshot(), 1.0)["target"] == ""
    assert threading.active_count() < 50
