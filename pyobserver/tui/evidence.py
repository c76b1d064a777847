"""The way through the evidence of a finding: each of its steps is shown where it is."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from ..analysis.findings import Place
from .findings import SWITCH, EvidenceLine, FindingsScreen, Walk
from .screens import Screens
from .tabs.heap import HeapTab
from .tabs.memory import MemoryTab
from .tabs.singles import Group
from .tabs.system import SystemTab
from .tabs.tree import TreeTab
from .view import Tab

_TABS: dict[str, type[Tab]] = {
    "memory": MemoryTab,
    "tree": TreeTab,
    "types": HeapTab,
    "containers": HeapTab,
    "system": SystemTab,
}


class EvidenceWalk(Screens):
    """The dashboard in which one can list the findings, and walk through the evidence of one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "next_step", show=False, priority=True)]

    _walk: Walk | None = None  # the step at which one is

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter goes on with the evidence while somebody walks through it, and else to what has the focus."""
        if action == "next_step":
            return self._walk is not None and len(self.screen_stack) == 1 and not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    def _present(self) -> None:
        super()._present()
        if isinstance(self.screen, FindingsScreen):
            self.screen.judge(self._watched.verdict)

    def action_findings(self) -> None:
        """List what was found; one that is chosen is walked through."""
        listed = FindingsScreen(self._watched.verdict)

        def chosen(answer: str | None) -> None:
            if answer is None:
                return
            if answer.startswith(SWITCH):
                kind = answer[len(SWITCH) :]
                self._watched.pace.judge_soon()
                self._change_view(replace(self.view, allowed=self.view.allowed ^ {kind}))
                self.action_findings()
            else:
                self._go_to_step(Walk(listed.verdict.findings[int(answer)]))

        self.push_screen(listed, chosen)

    def action_next_step(self) -> None:
        """The next step of the evidence, or the end."""
        if self._walk is not None:
            self._go_to_step(self._walk.following)

    async def action_back(self) -> None:
        """Leave the evidence first."""
        if self._walk is not None:
            self._go_to_step(None)
        else:
            await super().action_back()

    async def action_tab(self, number: int) -> None:
        """Who goes elsewhere has left the evidence."""
        self._go_to_step(None)
        await super().action_tab(number)

    def _go_to_step(self, walk: Walk | None) -> None:
        """Show a step of the evidence where it is; None ends the walk."""
        self._walk = walk
        self._main.query_one(EvidenceLine).show(walk)
        if walk is not None and not self._reveal(walk.step.place):
            self.notify("it is not there any more")
        self._show_keys()

    def _reveal(self, place: Place) -> bool:
        """Open the screen of a place with the cursor on it; False when it is not there any more."""
        if place.screen in ("groups", "members", "row"):
            return self._reveal_task(place)
        tab = self._watched.find(_TABS[place.screen])
        tab.filter_by("")
        self._open(tab)
        if isinstance(tab, HeapTab):
            return self._reveal_in_heap(tab, place)
        self._present()
        if isinstance(tab, TreeTab):
            return isinstance(place.key, int) and tab.reveal(place.key)
        return not isinstance(tab, MemoryTab) or tab.select(place.key)

    def _reveal_task(self, place: Place) -> bool:
        tasks = self._open_tasks()
        if place.screen == "groups":
            tasks.show_groups(place.key)
        elif place.screen == "row" and isinstance(place.key, int):
            tasks.open_group(None, place.key)
        elif self._walk is not None and self._walk.finding.group is not None:
            tasks.open_group(Group(self._walk.finding.group, self._walk.finding.name))
        return True

    def _reveal_in_heap(self, tab: HeapTab, place: Place) -> bool:
        tab.show_containers(place.screen == "containers")
        self._ask_for_heap()
        self._present()
        return tab.select(place.key) or not tab.has_read
