"""The list of Python processes to choose from, when none was named."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer

from ...analysis.format import bytes_text, duration
from ...model.readings import PythonProcess
from ..bar import Line, styled
from ..widgets import Cell, Column, VirtualTable

COLUMNS = (
    Column("pid", "PID", 8, "right", sortable=False, help="Its number."),
    Column("python", "Python", 8, sortable=False, help="The version that it runs."),
    Column("rss", "Memory", 8, "right", sortable=False, help="Its resident memory."),
    Column("age", "Age", 10, "right", sortable=False, priority=6, help="How long ago it was started."),
    Column("user", "User", 9, sortable=False, priority=5, help="Whose it is."),
    Column("command", "Command", 20, flex=2, sortable=False, help="What was started."),
    Column("why", "Attachable", 14, flex=1, sortable=False, help="Whether one can attach to it, and why not."),
)


@dataclass(frozen=True)
class Choice:
    """One process. `refusal` says why one cannot attach to it, and is empty when one can."""

    process: PythonProcess
    refusal: str = ""


class ChoiceLines:
    """The rows for the table."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.choices = choices

    def __len__(self) -> int:
        return len(self.choices)

    def key(self, line: int) -> Hashable:
        """The pid."""
        return self.choices[line].process.pid

    def find(self, key: Hashable) -> int | None:
        """The line of a pid."""
        return next((i for i, choice in enumerate(self.choices) if choice.process.pid == key), None)

    def style(self, line: int) -> str:
        """What one cannot attach to is dim."""
        return "dim" if self.choices[line].refusal else ""

    def cells(self, line: int) -> list[Cell]:
        """One cell for each column."""
        choice = self.choices[line]
        process = choice.process
        return [
            str(process.pid),
            process.python or "?",
            bytes_text(process.rss),
            duration(process.age_seconds),
            process.user,
            " ".join(process.command),
            choice.refusal or "yes",
        ]


class PickerApp(App[int]):
    """Shows the processes; `run()` returns the pid that was chosen, or None."""

    TITLE = "pyobserver"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Attach"),
        Binding("f5", "read_again", "Read again"),
        Binding("q,escape", "quit", "Quit"),
    ]
    DEFAULT_CSS = "PickerApp #said { background: $panel; text-style: bold; }"

    class Said(Line):
        """A line of text."""

        def render(self) -> Content:
            return styled(f" {self._shown or ''}", "")

    def __init__(self, read: Callable[[], Sequence[Choice]]) -> None:
        """`read` gives the processes; it is called again when the user asks for it."""
        super().__init__()
        self._read = read

    def compose(self) -> ComposeResult:
        yield self.Said(id="said")
        yield VirtualTable(COLUMNS, empty_text="no Python process can be seen", id="processes")
        yield Footer()

    def on_mount(self) -> None:
        self.action_read_again()

    def action_read_again(self) -> None:
        """Read the list once more."""
        choices = self._read()
        self.query_one(VirtualTable).show(ChoiceLines(choices))
        possible = sum(not choice.refusal for choice in choices)
        said = f"pyobserver: {len(choices)} Python processes, {possible} to attach to. Enter attaches."
        self.query_one("#said", self.Said).change(said)

    def action_choose(self) -> None:
        """Return the pid of the selected process, if one can attach to it."""
        key = self.query_one(VirtualTable).cursor_key
        if isinstance(key, int):
            self._choose(key)

    def on_virtual_table_row_activated(self, event: VirtualTable.RowActivated) -> None:
        if isinstance(event.key, int):
            self._choose(event.key)

    def _choose(self, pid: int) -> None:
        choice = next((c for c in self._read() if c.process.pid == pid), None)
        if choice is None:
            self.notify(f"process {pid} has ended")
            self.action_read_again()
        elif choice.refusal:
            self.notify(choice.refusal, severity="warning")
        else:
            self.exit(pid)
