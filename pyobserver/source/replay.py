"""A recording as a source: the same screens, at any moment of it, standing still or playing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..model.actions import Settings
from ..model.details import ChainFrame, DetailAnswer, GroupAnswer, GroupQuestion
from ..model.forest_sums import mark
from ..model.groups import group_sums
from ..model.places import PlacesAnswer, PlacesQuestion
from ..model.snapshot import Baseline, Phase, Snapshot, Status
from ..model.store import Store
from ..recording.errors import RecordingError
from ..recording.reader import Recording
from .base import Source, SourceError

NOT_RECORDED = "not in a recording: what is asked of the process itself can only be asked while it runs"
SPEEDS = (1.0, 10.0, 60.0, 600.0)  # seconds of the recording in a second
_BEAT = 0.1
_REFRESH_SECONDS = 1.0  # between two looks whether the recording has grown
_STILL_SECONDS = 5.0  # after which nothing more is waited for at its end


class ReplayStore(Store):
    """Gives out one moment of a recording. Nothing is fed into it; a baseline is set as in a live store."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._place = len(recording) - 1
        self._with_heap = False
        self._shown: Snapshot | None = None
        self._last: Snapshot | None = None  # that could be read
        self._baseline: Snapshot | None = None
        self._moving = threading.RLock()
        super().__init__(lambda: float(recording.times[self._place]))

    @property
    def place(self) -> int:
        """Which moment is shown, counted from 0."""
        return self._place

    def show(self, place: int) -> None:
        """Show another moment."""
        with self._moving:
            place = min(max(0, place), len(self._recording) - 1)
            if place == self._place:
                return
            self._place = place
            self._shown = None
        self.changed()

    def want_heap(self, wanted: bool) -> None:
        """Say whether the objects by type are to be read."""
        with self._moving:
            if wanted == self._with_heap:
                return
            self._with_heap = wanted
            self._shown = None
        self.changed()

    def snapshot(self) -> Snapshot:
        """Return what was known at the moment that is shown."""
        with self._moving:
            if self._shown is None:
                try:
                    self._shown = self._last = self._compared(self._read())
                except RecordingError as error:  # what was shown before stays
                    if self._last is None:
                        raise
                    self._shown = replace(self._last, problems=(*self._last.problems, str(error)))
            return self._shown

    def _read(self) -> Snapshot:
        snapshot = self._recording.at(self._place, self._with_heap)
        status = snapshot.status
        if status.phase is not Phase.EXITED:
            said = (
                status.text
                if status.phase is Phase.LIVE
                else ": ".join(filter(None, [status.phase.value, status.text]))
            )
            text = f"of {self._recording.path.name}" + (f" · {said}" if said else "")
            status = Status(Phase.REPLAY, text, status.since)
        return replace(snapshot, status=status)

    def set_baseline(self) -> None:
        """Take what is shown for the baseline of all moments."""
        with self._moving:
            self._baseline = self._recording.at(self._place, self._with_heap)
            self._shown = None
        self.changed()

    def _compared(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the baseline that was set in the replay, instead of the recorded one."""
        then = self._baseline
        if then is None:
            return snapshot
        memory, process = then.memory, then.process
        sizes = {a.name: a.in_use if a.held is None else a.held for a in (memory.allocators if memory else ())}
        allocators = {name: size for name, size in sizes.items() if size is not None}
        if process is not None and process.rss is not None:
            allocators["total"] = process.rss
        groups = {key: (group.count, group.bytes) for key, group in group_sums(then.tasks).items()}
        same = then.facts == snapshot.facts  # else the ids are those of another agent
        sums = mark(then.forest, then.taken_at) if same else None
        columns = dict(snapshot.tasks.columns)
        retained = np.full(len(snapshot.tasks), np.nan)
        _, here, there = np.intersect1d(columns["id"], then.tasks["id"], return_indices=True)
        if same:
            before = then.tasks["retained"].astype(np.float64)[there]
            retained[here] = np.where(before >= 0, before, np.nan)
        return replace(
            snapshot,
            tasks=replace(snapshot.tasks, columns={**columns, "marked": retained}),
            baseline=Baseline(then.taken_at, allocators, groups, sums),
            heap=replace(snapshot.heap, baseline=then.heap.newest),
            containers=replace(snapshot.containers, baseline=then.containers.newest),
        )


class ReplaySource:
    """Shows a recording, at first its last moment; between `start` and `stop` it can play, and follows what is added.

    `moved` is called, on any thread, after another moment has come to be shown.
    """

    allows_actions = False

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.is_playing = False
        self.speed = SPEEDS[0]
        self._store = ReplayStore(recording)
        self._at = self._store.snapshot().taken_at  # where playing has come to, between two moments
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def store(self) -> Store:
        """The moment that is shown."""
        return self._store

    @property
    def path(self) -> Path:
        """The file."""
        return self.recording.path

    @property
    def now(self) -> float:
        """The time of the moment that is shown."""
        return float(self.recording.times[self._store.place])

    @property
    def span(self) -> tuple[float, float]:
        """The times of the first and of the last moment."""
        return float(self.recording.times[0]), float(self.recording.times[-1])

    # -- moving ------------------------------------------------------------------------------------------------------

    def seek(self, at: float) -> None:
        """Show the last moment that is not after a time."""
        with self._lock:
            begin, end = self.span
            self._at = min(max(at, begin), end)
            place = self.recording.place(self._at)
        self._store.show(place)

    def step(self, moments: int) -> None:
        """Go on, or back, by moments; stops playing."""
        self.is_playing = False
        place = min(max(0, self._store.place + moments), len(self.recording) - 1)
        self._at = float(self.recording.times[place])
        self._store.show(place)

    def play_or_pause(self) -> None:
        """Play, from the beginning where nothing is left to be played; or stand still."""
        if not self.is_playing and self._store.place == len(self.recording) - 1:
            self.seek(self.span[0])
        self.is_playing = not self.is_playing

    def change_speed(self, steps: int) -> None:
        """Play faster or slower."""
        at = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[min(max(0, at), len(SPEEDS) - 1)]

    def _run(self) -> None:
        last = looked = grown = time.monotonic()
        while not self._stopping.wait(_BEAT):
            now = time.monotonic()
            if now - looked > _REFRESH_SECONDS:
                looked = now
                if self.recording.refresh():
                    grown = now
                    self._store.changed()
            if self.is_playing:
                self.seek(self._at + (now - last) * self.speed)
                if self._at >= self.span[1] and now - grown > _STILL_SECONDS:
                    self.is_playing = False
                    self._store.changed()
            last = now

    # -- what every source has ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let it be played."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pyobserver-replay", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let go of the file."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2.0)
        self._store.snapshot()  # what is shown last stays
        self.recording.close()

    def focus(self, ids: Sequence[int]) -> None:
        """Nobody measures."""

    def count_objects(self, wanted: bool) -> None:
        """Read the objects by type, which takes a moment, only for those who look at them."""
        self._store.want_heap(wanted)

    def look_for_containers(self, wanted: bool, least: int = PlacesQuestion.least) -> None:
        """They are there, or were not recorded."""

    def request_detail(self, row_id: int, answer: Callable[[DetailAnswer], None], values: bool = False) -> None:
        """Tell what is recorded of a row beside its columns: the stack of a thread."""
        snapshot = self._store.snapshot()
        row = snapshot.tasks.find(row_id)
        found = DetailAnswer(row_id, problem=NOT_RECORDED)
        if row is not None and row.kind == "thread":
            for stack in snapshot.stacks:
                if stack.thread_id == row.os_id and stack.frames:
                    chain = tuple(ChainFrame(f.function, f.file, f.line or None) for f in reversed(stack.frames))
                    found = DetailAnswer(row_id, chain=chain, note="as recorded")
        threading.Thread(target=answer, args=(found,), daemon=True).start()

    def act(self, action: str, row_id: int = 0, settings: Settings | None = None) -> None:
        """Nothing can be done to what was."""

    def enough(self) -> None:
        """There is no trace."""

    def request_group(self, asked: GroupQuestion, answer: Callable[[GroupAnswer], None]) -> None:
        """What tasks retain together is not recorded."""
        threading.Thread(target=answer, args=(GroupAnswer(problem=NOT_RECORDED),), daemon=True).start()

    def request_places(self, asked: PlacesQuestion, answer: Callable[[PlacesAnswer], None]) -> None:
        """Where objects are held is not recorded; the large containers are in the snapshots."""
        threading.Thread(target=answer, args=(PlacesAnswer(problem=NOT_RECORDED),), daemon=True).start()

    def child(self, pid: int) -> Source:
        """Child processes have recordings of their own."""
        raise SourceError(f"process {pid} is not in this recording; pyobserver record {pid} makes one of it")

    def detach(self) -> None:
        """There is nothing to be removed."""
        self.stop()
