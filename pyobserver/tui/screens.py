"""What the tabs lead to: a place on another tab, and the screens about a task, a group, a type or an allocator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from textual.screen import Screen

from ..model.details import DetailAnswer, GroupAnswer
from ..model.places import PlacesAnswer
from .children import ChildProcesses
from .tabs.allocator import AllocatorScreen
from .tabs.detail import DetailScreen
from .tabs.group import GroupScreen
from .tabs.heap import HeapTab
from .tabs.singles import Group
from .tabs.tasks import TasksTab
from .tabs.tree import TreeTab
from .tabs.type_places import TypeScreen
from .view import Tab

Answer = TypeVar("Answer")


class Screens(ChildProcesses):
    """The dashboard with what opens from it.

    What is asked of the target is answered on another thread, and perhaps when nobody waits for it any more.
    """

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
