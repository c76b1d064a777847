"""What is marked in the time bar of a replay: the moments at which something was found, looked for from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np

from ..analysis.findings import verdict
from ..recording.errors import RecordingError
from ..recording.reader import Recording
from .timebar import Mark

MOMENTS = 48  # that are looked at
_REST = 0.05  # seconds between two of them, in which the screens have the processor

Marks = Callable[[Path, Collection[str]], Iterator[Mark]]  # of a recording's file, without what is allowed


def found_marks(path: Path, allowed: Collection[str]) -> Iterator[Mark]:
    """Look for findings, moment by moment; one is marked where it was not found, or was less, the moment before."""
    before: set[tuple[str, ...]] = set()
    try:
        with Recording(path) as recording:
            for at in np.linspace(0, len(recording) - 1, min(MOMENTS, len(recording))).astype(int).tolist():
                snapshot = recording.at(at)
                found = [each for each in verdict(snapshot, allowed).findings if each.level != "notice"]
                for each in found:
                    if (each.level, *each.key) not in before:
                        yield Mark(snapshot.taken_at, each.level, each.summary)
                before = {(each.level, *each.key) for each in found}
                time.sleep(_REST)
    except RecordingError:
        return
