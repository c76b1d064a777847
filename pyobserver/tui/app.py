"""The application: the dashboard with what opens from it, and what is done by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from ..analysis.findings import Place
from ..model.details import DetailAnswer, GroupAnswer
from ..model.places import PlacesAnswer
from ..model.tasks import Row
from . import recording
from .actions import CANCEL, NOT_ALLOWED, CancelQuestion, can_be_cancelled
from .bar import Piece
from .dashboard import Dashboard
from .findings import SWITCH, EvidenceLine, FindingsScreen, Walk
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
from .tabs.allocator import AllocatorScreen
from .tabs.detail import DetailScreen
from .tabs.group import GroupScreen
from .tabs.heap import HeapTab
from .tabs.memory import MemoryTab
from .tabs.singles import Group
from .tabs.system import SystemTab
from .tabs.tasks import TasksTab
from .tabs.tree import TreeTab
from .tabs.type_places import TypeScreen
from .view import Tab

Answer = TypeVar("Answer")
_TABS: dict[str, type[Tab]] = {
    "memory": MemoryTab,
    "tree": TreeTab,
    "types": HeapTab,
    "containers": HeapTab,
    "system": SystemTab,
}


class ObserverApp(Dashboard):
    """The dashboard, the screens about a task, a group, a type or an allocator, and actions on the target.

    What is asked of the target is answered on another thread, and perhaps when nobody waits for it any more.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "next_step", show=False, priority=True)]

    record_into: Path | None = None  # a file for a recording that begins with the dashboard
    record_interval = 1.0  # seconds
    interrupt_code = 0  # the exit status after Ctrl-C
    _seen_traces = 0  # the key of the last action whose result was opened
    _walk: Walk | None = None  # through the evidence of a finding

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

    def _present(self) -> None:
        super()._present()
        if isinstance(self.screen, FindingsScreen):
            self.screen.judge(self._watched.verdict)

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
        """Keep what is known of a target that has ended."""
        snapshot = self._watched.snapshot
        if recording.can_be_saved(snapshot):
            self.notify(await asyncio.to_thread(recording.save_last, snapshot), timeout=10)
        else:
            self.notify("S keeps what is known when the target has ended; r records while it runs", timeout=4)

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

    # -- findings ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter goes on with the evidence while somebody walks through it, and else to what has the focus."""
        if action == "next_step":
            return self._walk is not None and len(self.screen_stack) == 1 and not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

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

    # -- from the tasks to the tree and back -------------------------------------------------------------------------

    def action_jump(self) -> None:
        """What is selected, at its place on another tab."""
        if self._offers("jump"):
            why_not = self.tab.jump()
            if why_not:
                self.notify(why_not)

    def action_next_owner(self) -> None:
        """The next owner of what is selected."""
        if self._offers("next_owner"):
            why_not = self.tab.next_owner()
            if why_not:
                self.notify(why_not)

    def on_tab_place_wanted(self, event: Tab.PlaceWanted) -> None:
        """Show a row's or a node's place in the tree."""
        tree = self._watched.find(TreeTab)
        self._open(tree)
        tree.filter_by("")
        self._present()
        if not tree.reveal(event.id, event.as_group):
            self.notify("it is not in the tree any more")

    def on_tab_row_wanted(self, event: Tab.RowWanted) -> None:
        """Show a node of the tree among the tasks."""
        tasks = self._open_tasks()
        tasks.open_group(None, event.row_id)

    def on_tab_group_wanted(self, event: Tab.GroupWanted) -> None:
        """Show a group among the groups, or its members."""
        tasks = self._open_tasks()
        if event.members and event.key is not None:
            tasks.open_group(Group(event.key, event.title))
        else:
            tasks.show_groups(event.key)

    def on_tab_container_wanted(self, event: Tab.ContainerWanted) -> None:
        """Show a container in the heap."""
        heap = self._watched.find(HeapTab)
        heap.show_container(event.path, event.items, self._watched.snapshot.taken_at)
        self._open(heap)
        self._present()

    def _open_tasks(self) -> TasksTab:
        tasks = self._watched.find(TasksTab)
        tasks.filter_by("")
        self._open(tasks)
        self._present()
        return tasks

    def on_tasks_tab_visible_rows(self, event: TasksTab.VisibleRows) -> None:
        """What one looks at is measured first."""
        self.source.focus(event.ids)

    # -- details -----------------------------------------------------------------------------------------------------

    def on_tab_task_wanted(self, event: Tab.TaskWanted) -> None:
        """Open the screen of a task."""
        self._open_details(event.row_id)

    def _open_details(self, row_id: int) -> None:
        self.push_screen(
            DetailScreen(row_id, self._watched.snapshot, self.view, self.source.allows_actions),
            lambda _: self._present(),
        )
        self.source.focus([row_id])
        self._show_status()

    def on_tab_allocator_wanted(self, event: Tab.AllocatorWanted) -> None:
        """Open the screen of an allocator."""
        screen = AllocatorScreen(event.name, self._watched.snapshot, self.view)
        self.push_screen(screen, lambda _: self._present())
        self._show_status()

    def on_allocator_screen_tasks_wanted(self) -> None:
        """Show the tasks, with the cursor on what grows."""
        found = self._watched.verdict.of_memory
        self._open_tasks().show_groups(found.group if found is not None else None)

    def action_about(self) -> None:
        """All about the group that is selected."""
        if self._offers("about"):
            why_not = self.tab.about()
            if why_not:
                self.notify(why_not)

    def on_tab_about_wanted(self, event: Tab.AboutWanted) -> None:
        """Open the screen of a group."""
        screen = GroupScreen(event.scope, event.title, self._watched.snapshot, self.view, event.place)
        self.push_screen(screen, lambda _: self._present())
        self._show_status()

    def on_group_screen_asked(self, event: GroupScreen.Asked) -> None:
        """Ask the target about a group; the answer comes on another thread, and may come when nobody waits any more."""

        def post(answer: GroupAnswer) -> None:
            if self.is_running:
                self.call_later(self._hand_over, event.screen, event.screen.answer, answer)

        self.source.request_group(event.question, post)

    def _hand_over(self, screen: Screen[None], show: Callable[[Answer], None], answer: Answer) -> None:
        """Show an answer on the screen that has asked, unless it was left meanwhile."""
        if screen in self.screen_stack:
            show(answer)

    def on_group_screen_sites_asked(self, event: GroupScreen.SitesAsked) -> None:
        """Ask the target where rows were made; likewise."""

        def post(answer: DetailAnswer) -> None:
            if self.is_running:
                self.call_later(self._hand_over, event.screen, event.screen.site, answer)

        for number in event.row_ids:
            self.source.request_detail(number, post)

    def on_group_screen_members_wanted(self, event: GroupScreen.MembersWanted) -> None:
        """Show the members of a group among the tasks."""
        if event.scope.key is not None:
            self._open_tasks().open_group(Group(event.scope.key, event.title))

    def on_tab_type_wanted(self, event: Tab.TypeWanted) -> None:
        """Open the screen of a type."""
        self.push_screen(TypeScreen(event.name, self._watched.snapshot, self.view), lambda _: self._present())
        self._show_status()

    def on_type_screen_asked(self, event: TypeScreen.Asked) -> None:
        """Ask the target who holds objects; the answer comes on another thread, perhaps when nobody waits any more."""

        def post(answer: PlacesAnswer) -> None:
            if self.is_running:
                self.call_later(self._hand_over, event.screen, event.screen.answer, answer)

        self.source.request_places(event.question, post)

    def on_detail_screen_asked(self, event: DetailScreen.Asked) -> None:
        """Ask the target about a task; the answer comes on another thread, and may come when nobody waits any more."""
        self.source.request_detail(event.row_id, self._post_answer, event.values)

    def _post_answer(self, answer: DetailAnswer) -> None:
        if self.is_running:
            self.call_later(self._show_answer, answer)

    def _show_answer(self, answer: DetailAnswer) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, DetailScreen):
                screen.answer(answer)
