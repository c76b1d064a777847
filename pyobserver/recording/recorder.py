"""Records a store while it is fed: a thread that takes a snapshot each second and writes it."""

from __future__ import annotations

import datetime
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..model.snapshot import Phase, Snapshot
from ..model.store import Store
from .errors import RecordingError
from .writer import RecordingWriter

_CLOSING_SECONDS = 10.0
_BEAT = 0.2  # seconds between two looks whether the target has ended


def unused_path(pid: int, now: float, folder: Path) -> Path:
    """Return where a recording without a name goes: pyobserver-PID-DATE.rec, with a number where that is taken."""
    day = datetime.datetime.fromtimestamp(now).strftime("%Y%m%d-%H%M%S")
    path, number = folder / f"pyobserver-{pid}-{day}.rec", 1
    while os.path.lexists(path):
        number += 1
        path = folder / f"pyobserver-{pid}-{day}-{number}.rec"
    return path


def notes_of(snapshot: Snapshot, interval: float) -> dict[str, str]:
    """What is kept with a recording beside its ticks."""
    identity = snapshot.identity
    target = f"{' '.join(identity.command)}, pid {identity.pid} on {identity.host}" if identity else ""
    return {"target": target, "begun": f"{snapshot.taken_at:.3f}", "interval": f"{interval:g}"}


def save(snapshot: Snapshot, path: Path) -> None:
    """Write one moment, and the past of all series, into a new recording. Raises RecordingError.

    What tasks and nodes there were before is not known any more.
    """
    writer = RecordingWriter(path, notes_of(snapshot, 0.0))
    try:
        writer.add(snapshot)
    finally:
        writer.close()


class Recorder:
    """Writes a store into the new file `path`, every `interval` seconds, until `stop` or until the target has ended.

    The file is made at once: raises RecordingError where that cannot be. What goes wrong later is the `problem`, and
    ends the recording; what is in the file until then can be read.
    """

    def __init__(
        self,
        store: Store,
        path: Path,
        *,
        interval: float = 1.0,
        max_bytes: int | None = None,
        on_problem: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.path = path
        self.problem = ""
        self.ticks = 0
        self._store = store
        self._interval = interval
        self._on_problem = on_problem
        self._writer = RecordingWriter(path, notes_of(store.snapshot(), interval), max_bytes)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pyobserver-recorder", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it goes on writing."""
        return self._thread.is_alive()

    @property
    def size(self) -> int:
        """The bytes on the disk so far."""
        return self._writer.size

    def stop(self) -> None:
        """Write what is known now, and finish the file."""
        self._stopping.set()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        try:
            self._record()
        except RecordingError as error:
            self.problem = f"the recording has ended: {error}"
            self._on_problem(self.problem)
        except Exception as error:  # the dashboard goes on, whatever a snapshot has that cannot be written
            self.problem = f"the recording has ended: {type(error).__name__}: {error}"
            self._on_problem(self.problem)
        finally:
            self._writer.close()

    def _record(self) -> None:
        due = time.monotonic()
        is_over = False
        while not is_over:
            is_over = self._wait_until(due)
            self._writer.add(self._store.snapshot())
            self.ticks += 1
            due = max(due + self._interval, time.monotonic() + 0.1 * self._interval)

    def _wait_until(self, due: float) -> bool:
        """Wait for the next tick; returns whether it is the last one, which comes at once when the target has ended."""
        while True:
            if self._has_ended():
                return True
            left = due - time.monotonic()
            if self._stopping.wait(max(0.0, min(_BEAT, left))):
                return True
            if left <= _BEAT and time.monotonic() >= due:
                return self._has_ended()

    def _has_ended(self) -> bool:
        return self._store.snapshot().status.phase is Phase.EXITED
