"""What was seen in a child process while it was watched: it stays at its place in the tree of its parent."""

from __future__ import annotations

from dataclasses import dataclass

from ..analysis.findings import Verdict
from ..analysis.format import bytes_text, count, duration
from ..model.forest import PROCESS
from ..model.snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class SeenProcess:
    """Its figures when it was left: tasks, their bytes (None when not measured), and how much was found.

    `snapshot` is all that was known of it then.
    """

    snapshot: Snapshot
    at: float
    tasks: int
    bytes: int | None
    findings: int

    def words(self, now: float) -> str:
        """The same as text: "41 tasks with 12.0 MB, 1 finding, 2 min ago"."""
        tasks = f"{count(self.tasks)} task{'s' if self.tasks != 1 else ''}"
        size = f" with {bytes_text(self.bytes)}" if self.bytes is not None else ""
        found = f", ⚠ {count(self.findings)} finding{'s' if self.findings != 1 else ''}" if self.findings else ""
        return f"{tasks}{size}{found}, {duration(now - self.at)} ago"


def seen(snapshot: Snapshot, verdict: Verdict) -> SeenProcess | None:
    """Return what is known of a process, None when its tasks have never been seen."""
    if snapshot.tick is None:
        return None
    position = snapshot.forest.position(PROCESS) or 0
    totals = snapshot.forest.totals(position)
    return SeenProcess(snapshot, snapshot.updated_at, totals.tasks, totals.bytes, len(verdict.findings))
