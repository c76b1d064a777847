"""Snapshots in which time stands still: of a screen that is paused, and of a target that has ended."""

from __future__ import annotations

from dataclasses import replace

from ..model.history import Curve, History
from ..model.snapshot import Snapshot


class PastHistory(History):
    """A history in which nothing is newer than a moment."""

    def __init__(self, history: History, until: float) -> None:
        super().__init__()
        self._history = history
        self._until = until

    def curve(self, name: str, since: float) -> Curve:
        """Return the part of the series from `since` to the moment."""
        curve = self._history.curve(name, since)
        seen = curve.times <= self._until
        return Curve(curve.times[seen], curve.low[seen], curve.mean[seen], curve.high[seen])

    def peak(self, name: str) -> float | None:
        """Return the largest value up to the moment."""
        highs = self.curve(name, float("-inf")).high
        return float(highs.max()) if len(highs) else self._history.peak(name)

    def last(self, name: str) -> tuple[float, float] | None:
        """Return the last value before the moment, with its time."""
        curve = self.curve(name, float("-inf"))
        return (float(curve.times[-1]), float(curve.mean[-1])) if len(curve) else None


def standing(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with a history that does not go on, as the one that it shares with the store does."""
    return replace(snapshot, history=PastHistory(snapshot.history, snapshot.taken_at))


def as_it_ended(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of a target that has ended as of then: ages and windows do not go on for what is no more."""
    end = min(snapshot.taken_at, snapshot.status.since)
    return replace(snapshot, taken_at=end, tasks=replace(snapshot.tasks, taken_at=min(end, snapshot.tasks.taken_at)))
