"""What is marked in the time bar of a replay: the moments at which something was found, looked for from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..analysis.verdict import verdict
from ..recording.errors import RecordingError
from ..recording.reader import Recording
from .timebar import Mark

MOMENTS = 48  # that are looked at
_REST = 0.05  # seconds between two of them, in which the screens have the processor

Marks = Callable[[Path, float], Iterator[Mark]]  # of a recording's file, by what is found in the last so many seconds


def found_marks(path: Path, window: float) -> Iterator[Mark]:
    """Look for findings, moment by moment; one is marked where it was not found the moment before."""
    before = ""
    try:
        with Recording(path) as recording:
            for at in np.linspace(0, len(recording) - 1, min(MOMENTS, len(recording))).astype(int).tolist():
                snapshot = recording.at(at, with_heap=False)
                found = verdict(snapshot, window)
                about = (
                    f"{found.level} {found.group.function if found.group else found.allocator}" if found.level else ""
                )
                if about and about != before:
                    yield Mark(snapshot.taken_at, found.level, found.text)
                before = about
                time.sleep(_REST)
    except RecordingError:
        return
