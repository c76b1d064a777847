"""The application: one snapshot at a time to one visible tab, and the keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import tzinfo
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer, Input, Static

from ..analysis.allocators import memory_outlook
from ..analysis.verdict import Verdict, verdict
from ..model.details import DetailAnswer
from ..model.store import Snapshot
from ..source.base import Source
from .bar import StatusLine, TabBar, TopBar
from .pace import Pace
from .tabs.detail import DetailScreen
from .tabs.help import HelpScreen, SortScreen
from .tabs.memory import MemoryTab
from .tabs.singles import Group
from .tabs.system import SystemTab
from .tabs.tasks import TasksTab
from .tabs.tree import TreeTab
from .view import MODE_NAMES, MODES, WINDOWS, Tab, View
from .words import status_words

BEAT = 0.25  # seconds between two looks whether there is something new
LEAST_SIZE = (60, 16)


class FilterInput(Input):
    """The line in which one types what rows must have in them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear the filter", show=False),
        Binding("down", "done", "To the rows", show=False),
    ]

    def action_clear(self) -> None:
        """Show everything again."""
        self.value = ""
        self.action_done()

    def action_done(self) -> None:
        """Back to the rows, with the filter as it is."""
        self.post_message(self.Submitted(self, self.value))


class ObserverApp(App[None]):
    """The dashboard on a source.

    The source changes its store on any thread and at any rate; here a beat looks for what is new, takes one snapshot,
    and gives it to the tab that is visible. The others cost nothing. `clock` gives Unix time and `tz` the time zone of
    what is shown, None the machine's own.
    """

    TITLE = "pyobserver"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(n), f"tab({n})", f"Tab {n}", show=False) for n in range(1, 10)],
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("escape", "back", "Back", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("i", "reverse", "Reverse", show=False),
        Binding("g", "groups", "Groups/single"),
        Binding("t", "jump", "Tree/task"),
        Binding("d", "mode", "Value/growth"),
        Binding("b", "baseline", "Baseline"),
        Binding("plus,equals_sign", "window(1)", "Window", key_display="+ -"),
        Binding("minus", "window(-1)", "Smaller window", show=False),
        Binding("z", "zoom", "Zoom"),
        Binding("y", "copy", "Copy", show=False),
        Binding("space", "pause", "Pause"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(
        self,
        source: Source,
        *,
        clock: Callable[[], float] = time.time,
        tz: tzinfo | None = None,
        window: float = 600.0,
        tab: str = "memory",
    ) -> None:
        super().__init__()
        self.source = source
        self.view = View(window=window, tz=tz)
        self._clock = clock
        self._tab_at_first = tab
        self._tabs: tuple[Tab, ...] = (SystemTab(), MemoryTab(), TasksTab(), TreeTab())
        self._pace = Pace()
        self._snapshot = source.store.snapshot()
        self._verdict = Verdict("", "")
        self._paused_at: float | None = None

    # -- layout ------------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield TabBar([(tab.title, tab.short_title) for tab in self._tabs])
        with ContentSwitcher(initial=self._tab_at_first, id="tabs"):
            yield from self._tabs
        yield FilterInput(placeholder="show what has this in it; Esc clears it", id="filter", compact=True)
        yield StatusLine()
        yield Footer(show_command_palette=False)
        yield Static("", id="tiny")

    def on_mount(self) -> None:
        self.source.store.changed = self._pace.news
        self.source.start()
        self._open(self.tab)
        self.refresh_now()
        self.set_interval(BEAT, self._beat)

    def on_unmount(self) -> None:
        """The target goes on untouched."""
        self.source.store.changed = lambda: None
        self.source.stop()

    def on_resize(self, event: events.Resize) -> None:
        """A terminal in which nothing can be read says so in one line."""
        width, height = LEAST_SIZE
        is_tiny = event.size.width < width or event.size.height < height
        main = self._main
        main.set_class(is_tiny, "-tiny")
        main.set_class(event.size.width < 100, "-narrow")
        main.set_class(event.size.height < 28, "-low")
        size = f"{event.size.width}x{event.size.height}"
        self._main.query_one("#tiny", Static).update(f"{size} is too small: {width}x{height} at least")

    @property
    def tab(self) -> Tab:
        """The tab that is visible."""
        current = self._main.query_one("#tabs", ContentSwitcher).current
        return next(tab for tab in self._tabs if tab.id == current)

    @property
    def _main(self) -> Screen[object]:
        """The screen with the tabs, whatever is open above it."""
        return self.screen_stack[0]

    # -- refreshing --------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Show what is new, if it is time; the status is true also when nothing comes any more."""
        if not self._main.query(TabBar):
            return  # a last beat, while the screen is being taken down
        if self._paused_at is None and self._pace.is_due(self.tab.period):
            self.refresh_now()
        else:
            self._show_status()

    def refresh_now(self) -> None:
        """Take a snapshot, and show it."""
        with self._pace.measured():
            self._snapshot = self.source.store.snapshot()
            self._present()

    def _present(self) -> None:
        """Show the snapshot that is there: also when paused, and the user looks at it in another way."""
        snapshot = self._snapshot
        if self._pace.is_judging_due() or not self._verdict.text:
            with self._pace.judging():
                self._verdict = verdict(snapshot, self.view.window)
        screen = self.screen
        if isinstance(screen, DetailScreen):
            screen.present(snapshot, self.view)
        else:
            self.tab.present(snapshot, self.view)
            if isinstance(self.tab, MemoryTab):
                self.tab.judge(self._verdict)
        self._show_status()

    def _show_status(self) -> None:
        """The lines around the tab, on whatever screen is open."""
        now = self._clock()
        snapshot = self._snapshot
        main = self._main
        outlook = memory_outlook(snapshot, self.view.window)
        for screen in {main, self.screen}:
            for bar in screen.query(TopBar):
                bar.show(snapshot, outlook, self._verdict, snapshot.taken_at if self._paused_at else now)
            for line in screen.query(StatusLine):
                words = status_words(self._newest(), now, self._paused_at)
                line.show(words, snapshot.problems[-1] if snapshot.problems else "")
        notes = [] if self.view.mode == "value" else [f"d: {MODE_NAMES[self.view.mode]}"]
        main.query_one(TabBar).show(self._tabs.index(self.tab), snapshot, " ".join(notes))

    def _newest(self) -> Snapshot:
        """What is true now: when paused that is more than what the screen shows."""
        return self._snapshot if self._paused_at is None else self.source.store.snapshot()

    # -- tabs --------------------------------------------------------------------------------------------------------

    def _open(self, tab: Tab) -> None:
        main = self._main
        main.query_one("#tabs", ContentSwitcher).current = tab.id
        main.query_one(FilterInput).display = bool(tab.filter_text)
        widget = tab.main_widget()
        if widget is not None:
            main.set_focus(widget)
        self.refresh_bindings()

    def action_tab(self, number: int) -> None:
        """Open a tab by its number."""
        if number <= len(self._tabs):
            self._open(self._tabs[number - 1])
            self._present()

    def on_tab_bar_chosen(self, event: TabBar.Chosen) -> None:
        """Open the tab that was clicked."""
        self.action_tab(event.index + 1)

    async def action_back(self) -> None:
        """Leave what was opened."""
        if self._main.has_class("-zoomed"):
            self.action_zoom()
        elif not self.tab.go_back() and self.tab.filter_text:
            self._main.query_one(FilterInput).value = ""
            self._main.query_one(FilterInput).display = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only the keys that do something here."""
        if not self.screen_stack or not self.screen_stack[0].is_mounted:
            return True
        if len(self.screen_stack) > 1:
            return action == "quit"
        tab = self.tab
        offered = {
            "filter": tab.can_filter,
            "sort": bool(tab.sort_choices()),
            "reverse": isinstance(tab, TasksTab),
            "groups": isinstance(tab, TasksTab),
            "jump": isinstance(tab, TasksTab | TreeTab),
            "mode": not isinstance(tab, SystemTab),
            "zoom": not isinstance(tab, SystemTab),
            "copy": not isinstance(tab, SystemTab),
            "window": isinstance(tab, MemoryTab | TasksTab | TreeTab),
        }
        return offered.get(action, True)

    # -- keys that change how it is seen -----------------------------------------------------------------------------

    def _change_view(self, view: View) -> None:
        self.view = view
        self._present()

    def action_mode(self) -> None:
        """Values, growth, change since the baseline."""
        mode = MODES[(MODES.index(self.view.mode) + 1) % len(MODES)]
        if mode == "baseline" and self._snapshot.baseline is None:
            self.notify("there is no baseline yet: b sets it")
            mode = "value"
        self._change_view(View(mode, self.view.window, self.view.tz))

    def action_baseline(self) -> None:
        """Remember what is there now, to compare with."""
        self.source.store.set_baseline()
        self.notify("baseline set: d shows what has changed since")
        if self._paused_at is None:
            self.refresh_now()

    def action_window(self, direction: int) -> None:
        """A longer or a shorter window of the chart."""
        longer = [w for w in WINDOWS if w > self.view.window]
        shorter = [w for w in WINDOWS if w < self.view.window]
        window = longer[0] if direction > 0 and longer else shorter[-1] if direction < 0 and shorter else None
        if window is not None:
            self._pace.judge_soon()
            self._change_view(View(self.view.mode, window, self.view.tz))

    def action_zoom(self) -> None:
        """The main part of the tab alone, and back."""
        self._main.toggle_class("-zoomed")

    def action_pause(self) -> None:
        """Let the screen stand still; the store goes on."""
        if self._paused_at is None:
            self._paused_at = self._clock()
            self._show_status()
        else:
            self._paused_at = None
            self.refresh_now()

    # -- keys for rows -----------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type what rows must have in them."""
        line = self._main.query_one(FilterInput)
        line.display = True
        line.value = self.tab.filter_text
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The rows follow while one types."""
        self.tab.filter_by(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the rows."""
        self._main.query_one(FilterInput).display = bool(event.value)
        widget = self.tab.main_widget()
        if widget is not None:
            widget.focus()

    def action_sort(self) -> None:
        """Choose the column to sort by."""

        def chosen(column: str | None) -> None:
            if column is not None:
                self.tab.sort_by(column)

        self.push_screen(SortScreen(self.tab.sort_choices(), self.tab.sorted_by), chosen)

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.tab.reverse()

    def action_groups(self) -> None:
        """Groups, or single tasks."""
        if isinstance(self.tab, TasksTab):
            self.tab.toggle()

    def action_copy(self) -> None:
        """Copy the row."""
        text = self.tab.row_text()
        if text:
            self.copy_to_clipboard(text)
            self.notify("row copied")

    def action_help(self) -> None:
        """Explain this screen."""
        tab = self.tab
        self.push_screen(HelpScreen(tab.title, tab.explanation, tab.help_columns()))

    # -- from the tasks to the tree and back -------------------------------------------------------------------------

    def _tab_of(self, kind: type[Tab]) -> Tab:
        return next(tab for tab in self._tabs if isinstance(tab, kind))

    def action_jump(self) -> None:
        """The selected task in the tree, or the selected node among the tasks."""
        tab = self.tab
        if isinstance(tab, TasksTab):
            tab.show_in_tree()
        elif isinstance(tab, TreeTab) and not tab.show_among_tasks():
            self.notify("this is no task, and stands for none")

    def _show_in_tree(self, row_id: int, as_group: bool) -> None:
        tree = self._tab_of(TreeTab)
        assert isinstance(tree, TreeTab)
        self._open(tree)
        self._present()
        if not tree.reveal(row_id, as_group):
            self.notify("it is not in the tree any more")

    def _show_among_tasks(self, group: Group | None, row_id: int | None) -> None:
        tasks = self._tab_of(TasksTab)
        assert isinstance(tasks, TasksTab)
        self._open(tasks)
        self._main.query_one(FilterInput).value = ""
        tasks.filter_by("")
        self._present()
        tasks.open_group(group, row_id)
        tasks.main_widget().focus()

    def on_tasks_tab_place_wanted(self, event: TasksTab.PlaceWanted) -> None:
        """Show a task's place in the tree."""
        self._show_in_tree(event.row_id, event.as_group)

    def on_detail_screen_tree_wanted(self, event: DetailScreen.TreeWanted) -> None:
        """The same, from its own screen."""
        self._show_in_tree(event.row_id, False)

    def on_tree_tab_row_wanted(self, event: TreeTab.RowWanted) -> None:
        """Show a node of the tree among the tasks."""
        self._show_among_tasks(None, event.row_id)

    def on_tree_tab_group_wanted(self, event: TreeTab.GroupWanted) -> None:
        """Show what a line of the tree stands for among the tasks."""
        self._show_among_tasks(Group(event.key, event.title), None)

    def on_tasks_tab_visible_rows(self, event: TasksTab.VisibleRows) -> None:
        """What one looks at is measured first."""
        self.source.focus(event.ids)

    # -- details -----------------------------------------------------------------------------------------------------

    def on_tab_task_wanted(self, event: Tab.TaskWanted) -> None:
        """Open the screen of a task."""
        self.push_screen(DetailScreen(event.row_id, self._snapshot, self.view), lambda _: self._present())
        self.source.focus([event.row_id])

    def on_detail_screen_asked(self, event: DetailScreen.Asked) -> None:
        """Ask the target about a task; the answer comes on another thread, and may come when nobody waits any more."""
        self.source.request_detail(event.row_id, lambda answer: self._post_answer(answer))

    def _post_answer(self, answer: DetailAnswer) -> None:
        if self.is_running:
            self.call_later(self._show_answer, answer)

    def _show_answer(self, answer: DetailAnswer) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, DetailScreen):
                screen.answer(answer)
