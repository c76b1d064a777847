"""The list of Python processes to choose from, when none was named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from ..analysis.format import bytes_text, duration
from ..model.readings import PythonProcess
from .bar import HEIGHTS, STYLES_FILE, WIDTHS, Line, TooSmall, styled
from .filter_line import FilterLine
from .keys import FILTER, QUIT, Key, KeysLine
from .widgets import Cell, Column, VirtualTable
from .widgets.text import broken, width_of

Listed = Callable[[], Sequence[tuple[PythonProcess, bool, str]]]

PAUSE = 2.0  # seconds between the end of one listing and the beginning of the next

COLUMNS = (
    Column("pid", "PID", 7, "right", sortable=False, help="Its number."),
    Column("python", "Python", 8, sortable=False, help="The version that it runs."),
    Column("rss", "Memory", 8, "right", sortable=False, help="Its resident memory."),
    Column("age", "Age", 10, "right", sortable=False, priority=6, help="How long ago it was started."),
    Column("user", "User", 9, sortable=False, priority=5, help="Whose it is."),
    Column("command", "Command", 24, flex=3, sortable=False, help="What was started."),
    Column("why", "Attach", 7, flex=1, sortable=False, help="Whether one can attach to it, and why not."),
)
CHOOSE = Key("choose", "enter", "Enter", "attach", "attach to the process", 9)
AGAIN = Key("read_again", "f5", "F5", "now", "list them again now, not only every two seconds", 3)
LEAVE = Key("quit", "q", "q", "quit", QUIT.help, 10)


class ProcessLines:
    """The rows for the table."""

    def __init__(self, listed: Sequence[tuple[PythonProcess, bool, str]]) -> None:
        self._listed = tuple(listed)
        self._lines: dict[Hashable, int] = {process.pid: i for i, (process, _, _) in enumerate(self._listed)}

    def __len__(self) -> int:
        return len(self._listed)

    def key(self, line: int) -> Hashable:
        """The pid."""
        return self._listed[line][0].pid

    def find(self, key: Hashable) -> int | None:
        """The line of a pid."""
        return self._lines.get(key)

    def style(self, line: int) -> str:
        """What one cannot attach to is dim."""
        return "" if self._listed[line][1] else "dim"

    def refusal(self, key: Hashable) -> str:
        """Why one cannot attach to a pid; empty when one can."""
        line = self._lines.get(key)
        if line is None:
            return "it has ended"
        _, ok, why = self._listed[line]
        return "" if ok else why or "it cannot be attached to"

    def cells(self, line: int) -> list[Cell]:
        """One cell for each column."""
        process, ok, why = self._listed[line]
        return [
            str(process.pid),
            process.python or "?",
            bytes_text(process.rss),
            duration(process.age_seconds),
            process.user,
            _called(process.command),
            ("yes", "good") if ok else f"no: {why}" if why else "no",
        ]

    def with_text(self, text: str) -> ProcessLines:
        """Those that have `text` in what is shown of them, in any case."""
        wanted = text.strip().casefold()
        shown = [
            " ".join(cell if isinstance(cell, str) else cell[0] for cell in self.cells(i)) for i in range(len(self))
        ]
        return ProcessLines([self._listed[i] for i, line in enumerate(shown) if wanted in line.casefold()])


def _called(command: Sequence[str]) -> str:
    """The command without the folder of the interpreter, which would take the place of what tells it apart."""
    return " ".join([command[0].rsplit("/", 1)[-1], *command[1:]]) if command else ""


class Reason(Line):
    """Why one cannot attach to the selected process, in whole; two lines, as it also says what would help."""

    DEFAULT_CSS = "Reason { height: 2; color: $foreground 75%; }"

    def render(self) -> Content:
        pid, why = self._shown if isinstance(self._shown, tuple) else ("", "")
        if not why:
            return Content("")
        lead = f" {pid}: "
        lines = broken(why, self.size.width - width_of(lead), self.size.height)
        return styled(lead, "grow").append(Content("\n" + " " * len(lead)).join(styled(line, "") for line in lines))


class Said(Line):
    """The first line: how many there are."""

    DEFAULT_CSS = "Said { background: $panel; }"

    def render(self) -> Content:
        text, style = self._shown if isinstance(self._shown, tuple) else ("", "")
        return Content(" ").append(styled("pyobserver", "bold")).append(styled(f"  {text}", style))


class PickerApp(App[int]):
    """Shows the processes; `run()` returns the pid that was chosen, or None.

    `listed` may take long, so it is called on a thread of its own, again and again, and the thread is not waited for.
    """

    TITLE = "pyobserver"
    CSS_PATH = STYLES_FILE
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        FILTER.binding(),
        AGAIN.binding(),
        LEAVE.binding(),
        Binding("escape", "back", show=False),
    ]

    def __init__(self, listed: Listed, *, pause: float = PAUSE) -> None:
        super().__init__()
        self._listed = listed
        self._pause = pause
        self._lines = ProcessLines(())
        self._shown = self._lines
        self._filter = ""
        self._stopping = False
        self._wanted = threading.Event()

    def compose(self) -> ComposeResult:
        yield Said()
        yield VirtualTable(COLUMNS, loading_text="looking for Python processes", id="processes")
        yield Reason()
        yield FilterLine()
        yield KeysLine([CHOOSE, FILTER, AGAIN, LEAVE])
        yield TooSmall()

    @property
    def table(self) -> VirtualTable:
        """The list."""
        return self.query_one(VirtualTable)

    @property
    def _is_open(self) -> bool:
        """Whether there is a list: a last answer, or a last letter, may come while the screen is being taken down."""
        return bool(self.screen_stack) and all(self.query(kind) for kind in (VirtualTable, Said, Reason))

    def on_mount(self) -> None:
        self.query_one(Said).change(("looking for Python processes", "dim"))
        self.table.focus()
        threading.Thread(target=self._read, name="process list", daemon=True).start()

    def on_unmount(self) -> None:
        self._stopping = True
        self._wanted.set()

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """List the processes until the screen is left."""
        while not self._stopping:
            self._wanted.clear()
            try:
                found: Sequence[tuple[PythonProcess, bool, str]] | None = self._listed()
                problem = ""
            except Exception as error:  # the list stays as it was, and says why
                found, problem = None, f"they cannot be listed: {error}"
            if not self._stopping:
                self.call_later(self._take, found, problem)
            self._wanted.wait(self._pause)

    def _take(self, found: Sequence[tuple[PythonProcess, bool, str]] | None, problem: str) -> None:
        if found is not None:
            self._lines = ProcessLines(found)
        self._show(problem)

    def _show(self, problem: str = "") -> None:
        self._shown = self._lines.with_text(self._filter) if self._filter else self._lines
        if not self._is_open:
            return
        table = self.table
        table.empty_text = "no Python process can be seen by this user"
        if self._filter and len(self._lines):
            table.empty_text = f"no process has “{self._filter}” in it; Esc shows all"
        table.show(self._shown)
        possible = sum(not self._lines.refusal(self._lines.key(i)) for i in range(len(self._lines)))
        said = f"{len(self._lines)} Python process{'es' * (len(self._lines) != 1)}, {possible} to attach to"
        if self._filter:
            said += f" · {len(self._shown)} with “{self._filter}”"
        self.query_one(Said).change((problem or said, "grow" if problem else ""))
        self._explain()

    def _explain(self) -> None:
        key = self.table.cursor_key
        why = self._shown.refusal(key) if key is not None else ""
        self.query_one(Reason).change((key, why))

    # -- keys --------------------------------------------------------------------------------------------------------

    def action_read_again(self) -> None:
        """List them once more, now."""
        self._wanted.set()

    def action_filter(self) -> None:
        """Type what a process must have in it."""
        self.query_one(FilterLine).open(self._filter)

    async def action_back(self) -> None:
        """Show all again; when all are shown, leave."""
        if self._filter:
            self.query_one(FilterLine).settle("")
        else:
            self.exit()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The list follows while one types."""
        self._filter = event.value
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the list."""
        self.query_one(FilterLine).settle(event.value)
        self.table.focus()

    def on_virtual_table_cursor_moved(self) -> None:
        if self._is_open:
            self._explain()

    def on_virtual_table_row_activated(self, event: VirtualTable.RowActivated) -> None:
        """Return the pid, if one can attach to it."""
        why = self._shown.refusal(event.key)
        if why:
            self.notify(why, title=f"not attached to {event.key}", severity="warning", markup=False)
        elif isinstance(event.key, int):
            self.exit(event.key)


def pick_process(listed: Listed) -> int | None:
    """Let the user choose from what `listed` returns: (process, whether one can attach, why not), again and again.

    Returns the pid, or None when the user left without choosing one.
    """
    return PickerApp(listed).run()
