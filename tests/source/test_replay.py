"""A recording is a source like any other: it shows a moment, goes to others, plays, and compares them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pyobserver.model.details import DetailAnswer, GroupAnswer, GroupQuestion
from pyobserver.model.places import PlacesAnswer, PlacesQuestion
from pyobserver.model.snapshot import Phase, Snapshot
from pyobserver.recording.reader import Recording
from pyobserver.recording.writer import RecordingWriter
from pyobserver.source.base import SourceError
from pyobserver.source.replay import NOT_RECORDED, SPEEDS, ReplaySource
from pyobserver.source.story import MAIN_THREAD, Story

from ..recording.made import recorded, source_of
from ..support.story import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is."""
    return tmp_path / "a.rec"


@pytest.fixture
def written(path: Path) -> list[Snapshot]:
    """What is in it: a minute and a half."""
    return recorded(path, 90)


@pytest.fixture
def source(path: Path, written: list[Snapshot]) -> Iterator[ReplaySource]:
    """The recording as a source."""
    found = ReplaySource(Recording(path))
    yield found
    found.stop()


def test_the_last_moment_comes_first(source: ReplaySource, written: list[Snapshot]) -> None:
    """With its time, and a status that says what it is."""
    snapshot = source.store.snapshot()
    assert snapshot.taken_at == source.now == written[-1].taken_at
    assert snapshot.status.phase is Phase.REPLAY
    assert snapshot.status.text == "of a.rec"
    assert source.store.snapshot() is snapshot


def test_moving(source: ReplaySource, written: list[Snapshot]) -> None:
    """By moments and by time, never beyond the ends; whoever listens is told."""
    told: list[float] = []
    source.store.changed = lambda: told.append(source.now)
    source.step(-1)
    assert source.now == written[-2].taken_at
    source.step(5)
    assert source.now == written[-1].taken_at
    source.seek(written[10].taken_at + 0.4)
    assert source.store.snapshot().taken_at == written[10].taken_at
    source.seek(0.0)
    assert source.now == source.span[0]
    source.seek(source.now + 60.0)
    assert source.now == written[60].taken_at
    assert told == [written[i].taken_at for i in (-2, -1, 10, 0, 60)]


def test_playing(source: ReplaySource, written: list[Snapshot]) -> None:
    """From the end it begins anew, at the speed that was chosen, and comes to the end."""
    source.start()
    source.change_speed(10)
    assert source.speed == SPEEDS[-1]
    source.play_or_pause()
    assert source.now < written[-1].taken_at
    assert until(lambda: source.now == written[-1].taken_at, 20.0)
    assert until(lambda: not source.is_playing, 20.0)
    source.change_speed(-10)
    assert source.speed == SPEEDS[0]


def test_a_recording_that_grows_is_followed(path: Path) -> None:
    """New moments are there a second after they were written."""
    live = source_of()
    writer = RecordingWriter(path, {})
    live.play(1.0)
    writer.add(live.store.snapshot())
    source = ReplaySource(Recording(path))
    source.start()
    live.play(1.0)
    writer.add(live.store.snapshot())
    try:
        assert until(lambda: source.span[1] == live.clock(), 20.0)
    finally:
        source.stop()
        writer.close()


def test_a_baseline(source: ReplaySource, written: list[Snapshot]) -> None:
    """What is shown is compared with any moment: as a live source would have compared."""
    source.seek(written[20].taken_at)
    source.store.set_baseline()
    assert source.store.snapshot().baseline is not None
    source.seek(written[80].taken_at)
    snapshot = source.store.snapshot()
    assert snapshot.baseline is not None and snapshot.baseline.time == written[20].taken_at
    assert snapshot.baseline.sums is not None
    before = {
        int(n): float(size) for n, size in zip(written[20].tasks["id"], written[20].tasks["retained"], strict=True)
    }
    for number, marked in zip(snapshot.tasks["id"].tolist(), snapshot.tasks["marked"].tolist(), strict=True):
        assert np.isnan(marked) or marked == before[number]
    assert np.isfinite(snapshot.tasks["marked"]).sum() > 30


def test_how_it_ended(tmp_path: Path) -> None:
    """A target that has ended has ended in the replay, with its signal."""
    live = source_of(Story(tasks=10))
    writer = RecordingWriter(tmp_path / "b.rec", {})
    for situation in ("live", "stale", "outside", "killed"):
        live.become(situation)  # type: ignore[arg-type]
        live.clock.advance(1.0)
        writer.add(live.store.snapshot())
    writer.close()
    source = ReplaySource(Recording(tmp_path / "b.rec"))
    status = source.store.snapshot().status
    assert (status.phase, status.signal) == (Phase.EXITED, 9)
    assert "killed for memory" in status.text
    source.step(-1)
    assert "outside only: ptrace is not permitted" in source.store.snapshot().status.text
    source.stop()


def asked(ask: Callable[[Callable[[object], None]], None]) -> object:
    answers: list[object] = []
    come = threading.Event()

    def take(answer: object) -> None:
        answers.append(answer)
        come.set()

    ask(take)
    assert come.wait(60.0)
    return answers[0]


def test_what_only_the_process_knows(source: ReplaySource) -> None:
    """It is said that it was not recorded; of threads the stack was."""
    detail = asked(lambda take: source.request_detail(1000, take))
    assert isinstance(detail, DetailAnswer) and detail.problem == NOT_RECORDED
    thread = asked(lambda take: source.request_detail(MAIN_THREAD, take))
    assert isinstance(thread, DetailAnswer) and [frame.function for frame in thread.chain] == ["run_forever", "select"]
    group = asked(lambda take: source.request_group(GroupQuestion(), take))
    assert isinstance(group, GroupAnswer) and group.problem == NOT_RECORDED
    places = asked(lambda take: source.request_places(PlacesQuestion(), take))
    assert isinstance(places, PlacesAnswer) and places.problem == NOT_RECORDED
    with pytest.raises(SourceError, match="not in this recording"):
        source.child(4720)
    assert not source.allows_actions


def test_objects_by_type_are_read_when_somebody_looks(source: ReplaySource) -> None:
    """They take a moment."""
    assert source.store.snapshot().heap.newest is None
    source.count_objects(True)
    assert source.store.snapshot().heap.newest is not None


def test_a_moment_that_cannot_be_read(path: Path, written: list[Snapshot]) -> None:
    """What was shown before stays, and it is said."""
    source = ReplaySource(Recording(path))
    last = source.store.snapshot()
    source.recording._keys[:] = False
    source.seek(0.0)
    assert source.store.snapshot().taken_at == last.taken_at
    assert "damaged" in source.store.snapshot().problems[-1]
    source.stop()
