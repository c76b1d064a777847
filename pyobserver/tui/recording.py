"""Recording from the dashboard: what `r` and `S` do, and what the head of the screen says of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..analysis.format import bytes_text
from ..model.snapshot import Phase, Snapshot
from ..recording.errors import RecordingError
from ..recording.recorder import Recorder, save, unused_path
from .bar import Piece
from .watched import Watched


def begin(watched: Watched, path: Path | None = None, interval: float = 1.0) -> str:
    """Record what is watched from now on; returns what is to be said of it."""
    store = watched.source.store
    path = path or _unused(store.snapshot())
    try:
        watched.recorder = Recorder(store, path, interval=interval, on_problem=store.add_problem)
    except RecordingError as error:
        return f"not recorded: {error}"
    return f"recording into {path}; r ends it"


def end(watched: Watched) -> str:
    """Finish the recording; returns what is to be said of it. May take a moment."""
    recorder, watched.recorder = watched.recorder, None
    if recorder is None:
        return ""
    recorder.stop()
    return recorder.problem or f"recorded: {recorder.path}, {bytes_text(recorder.size)}"


def save_last(snapshot: Snapshot) -> str:
    """Keep the last moment of a target that has ended, and the past of the charts; returns what is to be said of it."""
    path = _unused(snapshot)
    try:
        save(snapshot, path)
    except RecordingError as error:
        return f"not saved: {error}"
    return f"saved the last moment, and the past of the charts: pyobserver replay {path} shows them"


def can_be_saved(snapshot: Snapshot) -> bool:
    """Whether there is something to be kept, of a target that has ended."""
    return snapshot.status.phase is Phase.EXITED and snapshot.identity is not None


def banner(watched: Watched) -> Piece | None:
    """What the head of the screen says while it is recorded, and when that has failed."""
    recorder = watched.recorder
    if recorder is None:
        return None
    if recorder.problem:
        return Piece("REC failed", "limit", 9, gap=" ")
    text = f"{recorder.path.name} {bytes_text(recorder.size)}"
    return Piece(
        f"{'● REC' if recorder.is_running else 'recorded'} {text}", "limit" if recorder.is_running else "", 6, " "
    )


def _unused(snapshot: Snapshot) -> Path:
    pid = snapshot.identity.pid if snapshot.identity is not None else 0
    return unused_path(pid, time.time(), Path(os.path.relpath(os.getcwd())))
