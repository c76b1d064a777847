"""Recordings of a made-up service, and what must be the same in a snapshot that was recorded and read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from pyobserver.model.endings import Endings
from pyobserver.model.forest_sums import by_key
from pyobserver.model.snapshot import Baseline, Snapshot
from pyobserver.recording.writer import RecordingWriter
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story

ROUNDED = {"measured_at": 1 / 16, "activity": 1 / 256}  # columns, with how far off they may be


def source_of(story: Story | None = None, past: float = 0.0, churn: float = 0.05) -> FakeSource:
    """A service with some past, of which everything is read that can be."""
    source = FakeSource(story or Story(tasks=40, per_minute=30, restless=True), churn=churn)
    source.remember(past)
    source.step()
    source.count_objects(True)
    source.look_for_containers(True)
    return source


def recorded(path: Path, seconds: int = 30, source: FakeSource | None = None, **options: int | None) -> list[Snapshot]:
    """Record so many seconds of a service; returns what was written, moment by moment."""
    source = source or source_of()
    writer = RecordingWriter(path, {"target": "made up"}, options.get("max_bytes"))
    written = []
    for _ in range(seconds):
        source.play(1.0)
        written.append(source.store.snapshot())
        writer.add(written[-1])
    writer.close()
    return written


def _counted(endings: Endings) -> tuple[bool, dict[tuple[int, int], int]]:
    pairs = zip(endings.parents.tolist(), endings.groups.tolist(), strict=True)
    return endings.is_complete, dict(zip(pairs, endings.counts.tolist(), strict=True))


def _plain(baseline: Baseline | None) -> object:
    if baseline is None or baseline.sums is None:
        return baseline
    return dataclasses.replace(baseline, sums=None), by_key(baseline.sums)


def assert_same(was: Snapshot, found: Snapshot) -> None:
    """Every field that screens use is as it was, and of the rows every column and name."""
    apart = {"history", "tasks", "endings", "marks", "baseline", "heap", "containers"}
    for field in dataclasses.fields(Snapshot):
        if field.name not in apart:
            assert getattr(found, field.name) == getattr(was, field.name), field.name
    assert [(each.time, by_key(each)) for each in found.marks] == [(each.time, by_key(each)) for each in was.marks]
    assert _counted(found.endings) == _counted(was.endings)
    assert _plain(found.baseline) == _plain(was.baseline)
    assert found.tasks.names == was.tasks.names
    assert found.tasks.taken_at == was.taken_at
    assert found.tasks.ended_by_function == was.tasks.ended_by_function
    assert found.tasks.known_share == was.tasks.known_share
    assert list(found.tasks.texts)[: len(was.tasks.texts)] == list(was.tasks.texts)[: len(found.tasks.texts)]
    for name, column in was.tasks.columns.items():
        close = np.isclose(found.tasks[name], column, rtol=0, atol=ROUNDED.get(name, 0.0), equal_nan=True)
        assert close.all(), name
