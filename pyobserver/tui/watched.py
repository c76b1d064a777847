"""One process on the screen: its source, its tabs, and what is shown in them."""

from __future__ import annotations

from typing import TypeVar

from textual.widgets import ContentSwitcher

from ..analysis.findings import NO_VERDICT, verdict
from ..analysis.supervision import program_name
from ..model.snapshot import Phase
from ..recording.recorder import Recorder
from ..source.base import Source
from .pace import Pace, is_whole
from .seen import seen
from .standstill import as_it_ended, standing
from .tabs.heap import HeapTab
from .tabs.memory import MemoryTab
from .tabs.system import SystemTab
from .tabs.tasks import TasksTab
from .tabs.tree import TreeTab
from .view import Tab, View

Kind = TypeVar("Kind", bound=Tab)


class Watched(ContentSwitcher):
    """A process that is watched, one tab of it visible.

    The application shows one of these at a time. Those from which it was opened keep their place, and go on being read.
    `snapshot` is what is shown, `verdict` what is said of it; `paused_at` is since when both stand still.
    """

    DEFAULT_CSS = "Watched { height: 1fr; }"

    def __init__(self, source: Source, tab: str = "memory", row_id: int = 0) -> None:
        """`row_id` is its row in the process from which it was opened."""
        self.tabs: tuple[Tab, ...] = (SystemTab(), MemoryTab(), TasksTab(), TreeTab(), HeapTab())
        super().__init__(*self.tabs, initial=tab)
        self.source = source
        self.row_id = row_id
        self.pace = Pace()
        self.snapshot = source.store.snapshot()
        self.verdict = NO_VERDICT
        self.paused_at: float | None = None
        self.recorder: Recorder | None = None  # that writes what comes of it into a file

    @property
    def tab(self) -> Tab:
        """The tab that is visible."""
        return next(tab for tab in self.tabs if tab.id == self.current)

    @property
    def program(self) -> str:
        """What a person calls the process."""
        identity = self.snapshot.identity
        return program_name(identity.command) if identity is not None else "process"

    def find(self, kind: type[Kind]) -> Kind:
        """The tab of a kind."""
        return next(tab for tab in self.tabs if isinstance(tab, kind))

    @property
    def is_due(self) -> bool:
        """Whether there is something new to show, and it is time for it."""
        period = self.tab.period if is_whole(self.snapshot) else 0.0
        return self.paused_at is None and self.pace.is_due(period)

    def remember(self, child: Watched) -> None:
        """Keep what was seen of a child process that is left: it is told at its place in the tree."""
        known = seen(child.source.store.snapshot(), child.verdict)
        if known is not None:
            self.find(TreeTab).seen_processes[child.row_id] = known

    def begin(self) -> None:
        """Let the source feed its store."""
        self.source.store.changed = self.pace.news
        self.source.start()

    def end(self) -> None:
        """Leave the process; it goes on untouched. May take a moment, and be done on any thread."""
        self.source.store.changed = lambda: None
        if self.recorder is not None:
            self.recorder.stop()
        self.source.stop()

    def renew(self) -> None:
        """Take a snapshot."""
        snapshot = self.source.store.snapshot()
        self.snapshot = as_it_ended(snapshot) if snapshot.status.phase is Phase.EXITED else snapshot

    def judge(self, view: View) -> None:
        """Make a verdict, when it is time for one."""
        if self.pace.is_judging_due() or not self.verdict.text:
            with self.pace.judging():
                self.verdict = verdict(self.snapshot, view.allowed)

    def pause(self, now: float) -> None:
        """Let what is shown stand still; the store goes on."""
        self.paused_at = now
        self.snapshot = standing(self.snapshot)
