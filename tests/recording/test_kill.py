"""Whoever records may be killed at any moment: one tick is lost at most, and what is there can always be read."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyobserver.recording.reader import Recording

WRITES = """
import sys
from pathlib import Path
from pyobserver.recording import writer as writing
from pyobserver.recording.writer import RecordingWriter
from tests.recording.made import source_of
writing.KEY_TICKS = 10
source = source_of()
writer = RecordingWriter(Path(sys.argv[1]), {"target": "killed"}, 1 << 20)
for tick in range(1, 100_000):
    source.play(1.0)
    writer.add(source.store.snapshot())
    print(tick, source.clock(), flush=True)
"""


def killed(path: Path, moment: float) -> tuple[int, float]:
    """Record into a file, kill who does it; returns number and time of the last tick that was surely written."""
    with subprocess.Popen([sys.executable, "-c", WRITES, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment)
        process.kill()
        lines = process.stdout.read().decode().split("\n")
    number, at = (lines[-2] if len(lines) > 1 else "1 0").split()
    return int(number), float(at)


def check(path: Path, number: int, at: float) -> None:
    """All of it can be read, up to the tick that was written last."""
    with Recording(path) as recording:
        assert at <= recording.times[-1] <= at + 1.0 or not at
        assert len(recording) >= min(number, 20)
        for place in {0, len(recording) // 2, len(recording) - 1}:
            snapshot = recording.at(place)
            assert len(snapshot.tasks) > 40
            assert snapshot.history.last("rss") is not None
        assert recording.problems == ()


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_a_random_moment(tmp_path: Path, seed: int) -> None:
    """Without a word, while it writes as fast as it can."""
    path = tmp_path / "a.rec"
    check(path, *killed(path, random.Random(seed).uniform(0.0, 0.6)))


@pytest.mark.every
@pytest.mark.parametrize("seed", range(6, 106))
def test_killed_at_a_hundred_random_moments(tmp_path: Path, seed: int) -> None:
    """The same, until it would be noticed."""
    path = tmp_path / "a.rec"
    check(path, *killed(path, random.Random(seed).uniform(0.0, 2.0)))
