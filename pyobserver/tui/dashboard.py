"""The frame of the application: one snapshot at a time to one visible tab, what is around it, and the tabs' keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from ..analysis.allocators import memory_outlook
from ..analysis.format import duration
from ..model.places import PlacesQuestion
from ..model.snapshot import Snapshot
from ..source.base import Source
from .actions import ActionLines
from .bar import HEIGHTS, STYLES_FILE, WIDTHS, Piece, StatusLine, TabBar, TooSmall, TopBar
from .filter_line import FilterLine
from .findings import EvidenceLine
from .keys import KEYS, SMALLER_WINDOW, Key, KeysLine, offered
from .tabs.about import AboutScreen
from .tabs.help import HelpScreen, SortScreen
from .view import MODE_NAMES, Tab, View
from .watched import Watched
from .words import status_words

BEAT = 0.25  # seconds between two looks whether there is something new
ON_DETAILS = frozenset(
    {"quit", "help", "pause", "baseline", "tab", "cancel", "window", "record", "save", "creations"}
)  # keys of the tabs that work above them


class Dashboard(App[None]):
    """The dashboard on a source.

    A source changes its store on any thread and at any rate; here a beat looks for what is new, takes one snapshot,
    and gives it to the tab that is visible. The others cost nothing. `clock` gives Unix time and `tz` the time zone of
    what is shown, None the machine's own.
    """

    TITLE = "pyobserver"
    CSS_PATH = STYLES_FILE
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(n), f"tab({n})", show=False) for n in range(1, 10)],
        *[key.binding() for key in KEYS if key.name != "open"],  # to Enter listens whatever has the focus
        SMALLER_WINDOW,
    ]

    all_keys: Sequence[Key] = KEYS  # what the last line and the help are made of

    def __init__(
        self,
        source: Source,
        *,
        clock: Callable[[], float] = time.time,
        tz: tzinfo | None = None,
        window: float = 600.0,
        tab: str = "memory",
        allowed: Collection[str] = (),
    ) -> None:
        """`allowed` are the findings that are not told, by kind or name."""
        super().__init__()
        self.view = View(window=window, tz=tz, allowed=frozenset(allowed))
        self._clock = clock
        self._watched = Watched(source, tab)

    # -- layout ------------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield TabBar([(tab.title, tab.short_title) for tab in self._watched.tabs])
        yield self._watched
        yield EvidenceLine()
        yield FilterLine()
        yield ActionLines()
        yield StatusLine()
        yield KeysLine()
        yield TooSmall()

    def on_mount(self) -> None:
        self._watched.begin()
        self._open(self.tab)
        self.refresh_now()
        self.set_interval(BEAT, self._beat)

    def on_unmount(self) -> None:
        """The target goes on untouched."""
        self._watched.end()

    @property
    def source(self) -> Source:
        """What is on the screen."""
        return self._watched.source

    @property
    def tab(self) -> Tab:
        """The tab that is visible."""
        return self._watched.tab

    @property
    def _main(self) -> Screen[object]:
        """The screen with the tabs, whatever is open above it."""
        return self.screen_stack[0]

    @property
    def _is_open(self) -> bool:
        """Whether there is a screen: a last beat, or a last letter, may come while it is being taken down."""
        return bool(self.screen_stack) and bool(self._main.query(TabBar))

    # -- refreshing --------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Show what is new, if it is time; the status is true also when nothing comes any more."""
        if not self._is_open:
            return
        if self._watched.is_due:
            self.refresh_now()
        else:
            self._show_status()

    def refresh_now(self) -> None:
        """Take a snapshot, and show it."""
        with self._watched.pace.measured():
            self._watched.renew()
            self._present()

    def _present(self) -> None:
        """Show the snapshot that is there: also when paused, and the user looks at it in another way."""
        self._judge()
        snapshot = self._watched.snapshot
        screen = self.screen
        if isinstance(screen, AboutScreen):
            screen.judge(self._watched.verdict)
            screen.present(snapshot, self.view)
        else:
            self.tab.present(snapshot, self.view)
            self.tab.judge(self._watched.verdict)
        self._show_status()

    def _judge(self) -> None:
        """Make a verdict, when it is time for one, and look for what it is missing."""
        before = self._watched.verdict
        self._watched.judge(self.view)
        if self._watched.verdict.wants_evidence != before.wants_evidence:
            self._ask_for_heap()

    def _show_status(self) -> None:
        """The lines around the tab, on whatever screen is open."""
        now = self._clock()
        watched = self._watched
        snapshot, paused_at = watched.snapshot, watched.paused_at
        main = self._main
        outlook = memory_outlook(snapshot, self.view.window)
        newest = self._newest()
        words = status_words(newest, now, paused_at)
        above, banner = self._opened_from(), self._banner()
        for screen in {main, self.screen}:
            for bar in screen.query(TopBar):
                bar.show(snapshot, outlook, watched.verdict, snapshot.taken_at if paused_at else now, above, banner)
            for lines in screen.query(ActionLines):
                lines.show(newest, now)
            for line in screen.query(StatusLine):
                line.show(words, snapshot.problems[-1] if snapshot.problems else "")
        note = "" if self.view.mode == "value" else f"d: {MODE_NAMES[self.view.mode]}"
        main.query_one(TabBar).show(watched.tabs.index(self.tab), snapshot, note)
        self._show_keys()

    def _banner(self) -> Piece | None:
        """What the head of the screen says first, if something is unusual."""
        return None

    def _opened_from(self) -> list[str]:
        """The programs from which this one was opened, the first one first."""
        return []

    def _show_keys(self) -> None:
        """The last line: it follows the cursor and whatever a key has changed, at once."""
        if self._is_open:
            self._main.query_one(KeysLine).show(self._offered())

    def on_virtual_table_cursor_moved(self) -> None:
        """Another row may offer other keys."""
        self._show_keys()

    def on_virtual_tree_cursor_moved(self) -> None:
        """The same in the tree."""
        self._show_keys()

    def _newest(self) -> Snapshot:
        """What is true now: when paused that is more than what the screen shows."""
        return self._watched.snapshot if self._watched.paused_at is None else self.source.store.snapshot()

    # -- which keys do something ---------------------------------------------------------------------------------------

    def _hints(self) -> dict[str, str]:
        """The keys that do something on this tab as it is, by their names, with what they do."""
        paused = "pause" if self._watched.paused_at is None else "go on"
        window = f"window {duration(self.view.window)}"
        common = {
            "help": "",
            "findings": "",
            "baseline": "",
            "window": window,
            "zoom": "",
            "copy": "",
            "pause": paused,
            "quit": "",
        }
        if above := self._opened_from():
            common["back"] = f"to {above[-1]}"
        hints = {**common, **self.tab.hints()}
        if "areas" in hints:
            hints["areas"] = "lines" if self.view.areas else "areas"
        if "mode" in hints:
            names = {"value": "values", "growth": "growth", "baseline": "since baseline"}
            hints["mode"] = names[self.view.following_mode]
        return hints

    def _offered(self) -> list[Key]:
        return offered(self._hints(), self.all_keys)

    def _offers(self, name: str) -> bool:
        """Whether a key does something here; when it does not, the user is told."""
        if name in self._hints():
            return True
        label = next(key.label for key in self.all_keys if key.name == name)
        self.notify(f"{label} has nothing to do here; ? tells what has", timeout=2)
        return False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keep the keys of the tabs from what lies above them."""
        if len(self.screen_stack) < 2:
            return True
        if isinstance(self.screen, ModalScreen):
            return False
        return action in ON_DETAILS

    # -- tabs --------------------------------------------------------------------------------------------------------

    def _open(self, tab: Tab) -> None:
        main = self._main
        self._watched.current = tab.id
        self._ask_for_heap()
        main.query_one(FilterLine).settle(tab.filter_text)
        widget = tab.main_widget()
        if widget is not None:
            main.set_focus(widget)

    def _ask_for_heap(self) -> None:
        """What only one tab shows is read only for it, and where something grows of which it may tell more."""
        is_evidence = self._watched.verdict.wants_evidence
        self.source.count_objects(self.tab.counts_objects or is_evidence)
        least = self.tab.looks_for_containers
        self.source.look_for_containers(least > 0 or is_evidence, least or PlacesQuestion.least)

    async def action_tab(self, number: int) -> None:
        """Open a tab by its number; a task that is open above it is left."""
        if number > len(self._watched.tabs):
            return
        if isinstance(self.screen, AboutScreen):
            await self.screen.dismiss()
        self._open(self._watched.tabs[number - 1])
        self._present()

    async def on_tab_bar_chosen(self, event: TabBar.Chosen) -> None:
        """Open the tab that was clicked."""
        await self.action_tab(event.index + 1)

    async def action_back(self) -> None:
        """Leave what was opened: the zoom, the members of a group, the filter, then the process."""
        if self._main.has_class("-zoomed"):
            self.action_zoom()
        elif self.tab.go_back():
            pass
        elif self.tab.filter_text:
            self._main.query_one(FilterLine).settle("")
        else:
            await self._leave()
        self._show_keys()

    async def _leave(self) -> None:
        """Go back to where this was opened from; here it was opened from nowhere."""

    # -- keys that change how it is seen -----------------------------------------------------------------------------

    def _change_view(self, view: View) -> None:
        self.view = view
        self._present()

    def action_mode(self) -> None:
        """Values, growth, change since the baseline."""
        if not self._offers("mode"):
            return
        mode = self.view.following_mode
        if mode == "baseline" and self._watched.snapshot.baseline is None:
            self.notify("there is no baseline yet: b sets it")
            mode = "value"
        self._change_view(replace(self.view, mode=mode))

    def action_baseline(self) -> None:
        """Remember what is there now, to compare with."""
        self.source.store.set_baseline()
        self.notify("baseline set: d shows what has changed since")
        if self._watched.paused_at is None:
            self.refresh_now()

    def action_window(self, direction: int) -> None:
        """A longer or a shorter window of the chart."""
        window = self.view.window_beside(direction)
        if window is None:
            self.notify(f"the window is {duration(self.view.window)} already", timeout=2)
        else:
            self._change_view(replace(self.view, window=window))

    def action_areas(self) -> None:
        """Areas that add up, or lines."""
        if self._offers("areas"):
            self._change_view(replace(self.view, areas=not self.view.areas))

    def action_zoom(self) -> None:
        """The main part of the tab alone, and back."""
        self._main.toggle_class("-zoomed")

    def action_pause(self) -> None:
        """Let the screen stand still; the store goes on."""
        if self._watched.paused_at is None:
            self._watched.pause(self._clock())
            self._show_status()
        else:
            self._watched.paused_at = None
            self.refresh_now()

    # -- keys for rows -----------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type what rows must have in them."""
        if self._offers("filter"):
            self._main.query_one(FilterLine).open(self.tab.filter_text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The rows follow while one types."""
        if self._is_open:
            self.tab.filter_by(event.value)
            self._show_keys()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the rows."""
        self._main.query_one(FilterLine).settle(event.value)
        widget = self.tab.main_widget()
        if widget is not None:
            widget.focus()
        self._show_keys()

    def action_sort(self) -> None:
        """Choose the column to sort by."""

        def chosen(column: str | None) -> None:
            if column is not None:
                self.tab.sort_by(column)
                self._show_keys()

        if self._offers("sort"):
            self.push_screen(SortScreen(self.tab.sort_choices(), self.tab.sorted_by), chosen)

    def action_reverse(self) -> None:
        """Turn the order round."""
        if self._offers("reverse"):
            self.tab.reverse()

    def action_groups(self) -> None:
        """Groups, or single tasks."""
        if self._offers("groups"):
            self.tab.toggle()
            self._ask_for_heap()
            self._show_keys()

    def action_copy(self) -> None:
        """Copy the row."""
        text = self.tab.row_text()
        if text:
            self.copy_to_clipboard(text)
        self.notify("copied" if text else "there is nothing to copy", timeout=2)

    def action_help(self) -> None:
        """Explain this screen."""
        if isinstance(self.screen, AboutScreen):
            self.push_screen(self.screen.help())
        else:
            tab = self.tab
            self.push_screen(
                HelpScreen(tab.title, tab.explanation, tab.help_columns(), self._offered(), tab.help_rows())
            )
