"""Records a process without screens, for as long as was asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..model.snapshot import Phase, Status
from ..recording.errors import RecordingError
from ..recording.recorder import Recorder
from .base import SourceError
from .live import LiveSource

_BEAT = 0.1
_SAYING_SECONDS = 1.0


@dataclass(frozen=True)
class Kept:
    """What has been recorded: for how long, bytes of the file, and how it stood with the process at the end."""

    path: Path
    seconds: float
    size: int
    status: Status


def keep(
    source: LiveSource,
    path: Path,
    *,
    interval: float = 1.0,
    duration: float | None = None,
    until_exit: bool = False,
    max_bytes: int | None = None,
    with_heap: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> Kept:
    """Record until the process ends, for `duration` seconds, or until a KeyboardInterrupt.

    Where no agent can be brought in, raises SourceError and leaves no file; with `until_exit` what can be read from
    outside is recorded all the same. Raises RecordingError when the file cannot be made, or not be written any more.
    """
    recorder = Recorder(source.store, path, interval=interval, max_bytes=max_bytes)
    begun = time.monotonic()
    try:
        source.count_objects(with_heap)
        source.look_for_containers(with_heap)
        source.start()
        if not until_exit:
            _wait_for_agent(source, recorder)
        _wait_for_end(source, recorder, None if duration is None else begun + duration, say)
    except KeyboardInterrupt:
        pass  # the usual way to end it
    except SourceError:
        recorder.stop()
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        recorder.stop()
        source.stop()
    if recorder.problem:
        raise RecordingError(recorder.problem)
    return Kept(path, time.monotonic() - begun, recorder.size, source.store.snapshot().status)


def _wait_for_agent(source: LiveSource, recorder: Recorder) -> None:
    """Wait until tasks are known. Raises SourceError when they will not be; a process that has ended was recorded."""
    try:
        source.wait_until_known()
    except SourceError:
        snapshot = source.store.snapshot()
        if snapshot.status.phase is not Phase.EXITED or snapshot.process is None:
            raise


def _wait_for_end(source: LiveSource, recorder: Recorder, until: float | None, say: Callable[[str], None]) -> None:
    begun = said = time.monotonic()
    while recorder.is_running and source.store.snapshot().status.phase is not Phase.EXITED:
        now = time.monotonic()
        if until is not None and now >= until:
            return
        if now - said >= _SAYING_SECONDS:
            said = now
            say(f"recording process {source.pid} for {now - begun:.0f} s, {recorder.size / 1e6:.1f} MB; Ctrl-C ends it")
        time.sleep(_BEAT)
