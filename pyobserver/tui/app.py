"""The application: the dashboard, and what is done by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual.screen import ModalScreen

from ..model.tasks import Row
from . import recording
from .actions import CANCEL, NOT_ALLOWED, CancelQuestion, can_be_cancelled
from .bar import Piece
from .evidence import EvidenceWalk
from .remedies import (
    OFF,
    REMEDIES,
    TRACE_RESULT,
    RemedyQuestion,
    TraceResult,
    finished_traces,
    is_noting,
    is_tracing,
    not_allowed,
    remedy_hints,
    settings_for,
    why_not,
)
from .tabs.detail import DetailScreen
from .tabs.memory import MemoryTab
from .tabs.tasks import TasksTab
from .tabs.tree import TreeTab


class ObserverApp(EvidenceWalk):
    """The dashboard with all that opens from it, recordings of the target, and actions on it."""

    record_into: Path | None = None  # a file for a recording that begins with the dashboard
    record_interval = 1.0  # seconds
    interrupt_code = 0  # the exit status after Ctrl-C
    _seen_traces = 0  # the key of the last action whose result was opened

    def action_help_quit(self) -> None:
        """Ctrl-C, where there is nothing to copy, ends a program."""
        if self.interrupt_code:
            self.exit(return_code=self.interrupt_code)
        else:
            super().action_help_quit()

    def _beat(self) -> None:
        if self._is_open:
            super()._beat()
            self._open_results()

    def _hints(self) -> dict[str, str]:
        hints = super()._hints()
        if self.source.allows_actions and can_be_cancelled(self._selected()):
            hints["cancel"] = "cancel"
        if self.source.allows_actions and isinstance(self.tab, MemoryTab):
            hints.update(remedy_hints(self._watched.snapshot))
        if self.source.allows_actions and isinstance(self.tab, (TasksTab, TreeTab)):
            hints["creations"] = "end noting" if is_noting(self._watched.snapshot) else ""
        hints["record"] = "record" if self._watched.recorder is None else "end recording"
        if recording.can_be_saved(self._watched.snapshot):
            hints["save"] = ""
        return hints

    # -- recordings --------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Record from the beginning, if that was asked for."""
        if self.record_into is not None:
            self.notify(recording.begin(self._watched, self.record_into, self.record_interval))

    def _banner(self) -> Piece | None:
        return recording.banner(self._watched)

    async def action_record(self) -> None:
        """Begin to record what is watched, or end it."""
        watched = self._watched
        if watched.recorder is None:
            self.notify(recording.begin(watched, None, self.record_interval), timeout=6)
        else:
            self.notify(await asyncio.to_thread(recording.end, watched), timeout=8)
        self._show_status()

    async def action_save(self) -> None:
        """Keep the last moment of a target that has ended."""
        snapshot = self._watched.snapshot
        if recording.can_be_saved(snapshot):
            self.notify(await asyncio.to_thread(recording.save_last, snapshot), timeout=10)
        else:
            self.notify("S keeps the last moment of a target that has ended; r records all while it runs", timeout=4)

    # -- actions -----------------------------------------------------------------------------------------------------

    def _selected(self) -> Row | None:
        """The single row that keys are for: of the screen of one task, or the one under the cursor."""
        screen = self.screen
        number = screen.row_id if isinstance(screen, DetailScreen) else self.tab.selected_row()
        return None if number is None else self._watched.snapshot.tasks.find(number)

    def action_cancel(self) -> None:
        """Ask whether to cancel the task, and do it."""
        row = self._selected()
        source = self.source
        if not source.allows_actions:
            self.notify(NOT_ALLOWED, severity="warning", timeout=6)
        elif row is None or not can_be_cancelled(row):
            self.notify("x cancels a single asyncio task that goes on: select one", timeout=4)
        else:
            number = row.id

            def answered(answer: str | None) -> None:
                if answer == CANCEL:
                    source.act(CANCEL, number)
                    self._show_status()

            self.push_screen(CancelQuestion(row), answered)

    def action_collect(self) -> None:
        """Ask whether to collect garbage, and do it."""
        self._ask_remedy("collect")

    def action_trim(self) -> None:
        """Ask whether to give memory back, and do it."""
        self._ask_remedy("trim")

    def action_trace(self) -> None:
        """Ask whether to trace allocations, and do it; or end the trace that is going on."""
        if self.source.allows_actions and is_tracing(self._newest()):
            self.source.enough()
        else:
            self._ask_remedy("trace")

    def action_creations(self) -> None:
        """Ask whether to note where tasks are made, and do it; or end it."""
        if self.source.allows_actions and is_noting(self._newest()):
            self.source.act("creations", 0, settings_for("creations", OFF))
            self._show_status()
        else:
            self._ask_remedy("creations")

    def _ask_remedy(self, name: str) -> None:
        source, newest = self.source, self._newest()
        tabs = (TasksTab, TreeTab) if name == "creations" else (MemoryTab,)
        if not isinstance(self.tab, tabs):
            self._offers(name)
        elif not source.allows_actions:
            self.notify(not_allowed(name), severity="warning", timeout=6)
        elif refused := why_not(name, newest):
            self.notify(f"{REMEDIES[name]}: {refused}", severity="warning", timeout=8)
        else:

            def answered(answer: str | None) -> None:
                if answer == TRACE_RESULT:
                    self.push_screen(TraceResult(finished_traces(newest)[-1]))
                elif answer is not None:
                    source.act(name, 0, settings_for(name, answer))
                    self._show_status()

            self.push_screen(RemedyQuestion(name, newest), answered)

    def _open_results(self) -> None:
        """Open what a trace has found when it is over, and nothing else is being asked."""
        if isinstance(self.screen, ModalScreen):
            return
        for action in finished_traces(self._newest()):
            if action.key > self._seen_traces:
                self._seen_traces = action.key
                self.push_screen(TraceResult(action))
