"""What the user has chosen to see, and what every tab has in common."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from ..analysis.findings import Verdict
from ..analysis.group_facts import Scope
from ..analysis.growth import Mode
from ..model.groups import GroupKey
from ..model.snapshot import Snapshot
from ..protocol import schema
from .widgets import Column

CHILD = schema.KINDS[schema.KIND_CHILD]
WINDOWS = (60.0, 300.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)  # seconds
MODES: tuple[Mode, ...] = ("value", "growth", "baseline")
MODE_NAMES = {"value": "values", "growth": "growth per minute", "baseline": "change since the baseline"}


@dataclass(frozen=True)
class View:
    """What all tabs follow: `window` is how many seconds back charts and growth look, `tz` None is local time.

    `areas` is whether the chart of the memory has areas that add up, or lines. `allowed` are the kinds of findings that
    are not looked for, and the names of which nothing is told.
    """

    mode: Mode = "value"
    window: float = 600.0
    tz: datetime.tzinfo | None = None
    areas: bool = True
    allowed: frozenset[str] = frozenset()

    @property
    def following_mode(self) -> Mode:
        """What comes after this mode, round and round."""
        return MODES[(MODES.index(self.mode) + 1) % len(MODES)]

    def window_beside(self, direction: int) -> float | None:
        """Return the next longer window, with a negative `direction` the next shorter; None at the end."""
        longer = [w for w in WINDOWS if w > self.window]
        shorter = [w for w in WINDOWS if w < self.window]
        return longer[0] if direction > 0 and longer else shorter[-1] if direction < 0 and shorter else None

    def time_of_day(self, at: float) -> str:
        """Return a Unix time as the clock on the wall shows it."""
        return datetime.datetime.fromtimestamp(at, self.tz).strftime("%H:%M:%S")

    def date(self, at: float) -> str:
        """Return a Unix time with its day."""
        return datetime.datetime.fromtimestamp(at, self.tz).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class SortState:
    """By which column a table is ordered."""

    column: str
    descending: bool = True

    def chosen(self, column: str, texts: Sequence[str]) -> SortState:
        """Return the order after `column` was asked for: the same one again means the other way round."""
        if column == self.column:
            return SortState(column, not self.descending)
        return SortState(column, column not in texts)


class Tab(Vertical):
    """One screenful that answers one question. The application calls `present` while it is visible, and only then."""

    title: ClassVar[str] = ""
    short_title: ClassVar[str] = ""
    period: ClassVar[float] = 0.5  # least seconds between two refreshes
    explanation: ClassVar[str] = ""
    counts_objects: ClassVar[bool] = False  # whether the objects are to be counted while it is visible

    class TaskWanted(Message):
        """The user wants to see everything about a task."""

        def __init__(self, row_id: int) -> None:
            super().__init__()
            self.row_id = row_id

    class ProcessWanted(Message):
        """The user wants to see everything of a child process; `row_id` is its row."""

        def __init__(self, pid: int, row_id: int) -> None:
            super().__init__()
            self.pid, self.row_id = pid, row_id

    class PlaceWanted(Message):
        """The user wants to see a row or a node in the tree; with `as_group` the line that it is folded into."""

        def __init__(self, id: int, as_group: bool = False) -> None:
            super().__init__()
            self.id, self.as_group = id, as_group

    class RowWanted(Message):
        """The user wants to see a row among the tasks."""

        def __init__(self, row_id: int) -> None:
            super().__init__()
            self.row_id = row_id

    class GroupWanted(Message):
        """The user wants to see a group among the tasks, or with `members` what is in it; None for any."""

        def __init__(self, key: GroupKey | None, title: str = "", members: bool = False) -> None:
            super().__init__()
            self.key, self.title, self.members = key, title, members

    class ContainerWanted(Message):
        """The user wants to see a container in the heap: its path, and how many tasks are known to be in it."""

        def __init__(self, path: str, items: int) -> None:
            super().__init__()
            self.path, self.items = path, items

    class AllocatorWanted(Message):
        """The user wants to see what an allocator holds."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class AboutWanted(Message):
        """The user wants to see all about a group, or about a supervisor at a `place` of the tree."""

        def __init__(self, scope: Scope, title: str, place: str = "") -> None:
            super().__init__()
            self.scope, self.title, self.place = scope, title, place

    class TypeWanted(Message):
        """The user wants to see who holds the objects of a type."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def ask_for(self, snapshot: Snapshot, row_id: int) -> None:
        """Ask for everything about a row, by a message: a child process is watched as this one is."""
        row = snapshot.tasks.find(row_id)
        if row is not None and row.kind == CHILD and row.os_id and not row.ended:
            self.post_message(self.ProcessWanted(row.os_id, row_id))
        else:
            self.post_message(self.TaskWanted(row_id))

    def present(self, snapshot: Snapshot, view: View) -> None:
        """Show what is known. Called again with the same snapshot when the view has changed."""
        raise NotImplementedError

    def judge(self, verdict: Verdict) -> None:
        """Show the verdict, where there is a place for it. It is made at longer intervals."""

    def main_widget(self) -> Widget | None:
        """What gets the keys when the tab is opened."""
        return None

    def hints(self) -> Mapping[str, str]:
        """The keys that do something here beside those that do everywhere, by name, with what they do in a word."""
        return {}

    def go_back(self) -> bool:
        """Leave what Enter has opened; False when there is nothing to leave."""
        return False

    @property
    def looks_for_containers(self) -> int:
        """From how many items on containers are to be looked for as long as it is visible; 0 for not at all."""
        return 0

    def jump(self) -> str:
        """Ask for what is selected to be shown on another tab, by a message; returns why that cannot be, or ""."""
        return ""

    def about(self) -> str:
        """Ask for all about the group that is selected, by a message; returns why that cannot be, or ""."""
        return ""

    def next_owner(self) -> str:
        """Go to the next owner of what is selected, and at last back to it; returns why that cannot be, or ""."""
        return ""

    def toggle(self) -> None:
        """Change between alike ones in one line and each by itself."""

    def sort_choices(self) -> Sequence[tuple[str, str]]:
        """The columns to choose from, as (key, label); empty when nothing can be sorted."""
        return ()

    def sort_by(self, column: str) -> None:
        """Order by a column; the same one again means the other way round."""

    @property
    def sorted_by(self) -> str:
        """The column that is sorted by now."""
        return ""

    def reverse(self) -> None:
        """Turn the order round."""

    def filter_by(self, text: str) -> None:
        """Show only what has `text` in it; all when it is empty."""

    @property
    def filter_text(self) -> str:
        """What is filtered by now."""
        return ""

    def help_rows(self) -> Sequence[tuple[str, str]]:
        """The rows to explain, as (label, sentence), where they are always the same."""
        return ()

    def help_columns(self) -> Sequence[tuple[Column, bool]]:
        """The columns to explain, each with whether it is visible at this width."""
        return ()

    def selected_row(self) -> int | None:
        """The id of the single row under the cursor, if there is one."""
        return None

    def row_text(self) -> str:
        """The selected row as text to be copied, columns divided by tabs."""
        return ""


def copied(columns: Sequence[Column], cells: Sequence[str | tuple[str, str]]) -> str:
    """Return a row as text for other programs, columns divided by tabs; columns without a label are left out."""
    texts = [cell if isinstance(cell, str) else cell[0] for cell in cells]
    return "\t".join(text for column, text in zip(columns, texts, strict=True) if column.label)
