"""The table of single tasks, threads and child processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...analysis.format import UNKNOWN, count, duration, growth_bytes, percent
from ...analysis.groups import members
from ...analysis.growth import Mode
from ...analysis.ordering import Positions, matches, order
from ...model.groups import GroupKey
from ...model.snapshot import Snapshot
from ...model.tasks import NO_TASKS, Row, Tasks
from ...protocol import schema
from ..view import View
from ..widgets import Cell, Column
from ..words import NO_FUNCTION, NO_NAME, place, short_kind, sized
from .ordered import OrderedTable

HELD = schema.STATES[schema.STATE_DONE_HELD]
TEXT_COLUMNS = ("kind", "name", "function", "state", "waiting", "where")

_KIND = Column("kind", "Kind", 6, priority=4, help="A task of asyncio or trio, a thread, a child process, a job, ...")
_NAME = Column("name", "Name", 14, flex=1, help="The name that the program gave it.")
_FUNCTION = Column(
    "function", "Function", 16, flex=2, cut="start", priority=7, help="What it runs: module and qualified name."
)
_STATE = Column(
    "state",
    "State",
    10,
    priority=5,
    help='Running, ready, waiting, "blocking": it was seen keeping its loop from all others in the last 10 s, or '
    '"done, held": it has ended, but somebody keeps it.',
)
_WAITING = Column("waiting", "Waiting on", 12, flex=1, priority=6, help="What it waits for.")
_WHERE = Column(
    "where",
    "Where",
    15,
    cut="start",
    priority=3,
    help="The line in which it is; “def” when only the function's first line is known.",
)
_AGE = Column("age", "Age", 11, "right", priority=8, help="How long ago it was created; ≥ when it was there before us.")
_MEMORY = Column(
    "memory",
    "Memory",
    8,
    "right",
    help="Bytes that would be freed if it went away. ~ sampled, ≥ at least, * not measured lately.",
)
_GROWTH = Column("growth", "+/min", 8, "right", priority=9, help="Bytes more each minute, over some minutes.")
_MARKED = Column("marked", "Δ Memory", 8, "right", sortable=False, help="Bytes more than at the baseline.")
_CPU = Column("cpu", "CPU", 8, "right", priority=1, help="Processor time so far, of threads and processes.")
_ACTIVITY = Column("activity", "Active", 6, "right", priority=2, help="In how many of our looks it had moved on.")
_QUEUE = Column("queue", "Queue", 5, "right", priority=0, help="How many items wait for it.")
_FIRST = (_KIND, _NAME, _FUNCTION, _STATE, _WAITING, _WHERE, _AGE)
_LAST = (_CPU, _ACTIVITY, _QUEUE)

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (*_FIRST, _MEMORY, _GROWTH, *_LAST),
    "growth": (*_FIRST, _GROWTH, *_LAST),
    "baseline": (*_FIRST, _MEMORY, _MARKED, *_LAST),
}
SORT_IN_MODE: dict[Mode, dict[str, str]] = {
    "value": {},
    "growth": {"memory": "growth"},
    "baseline": {"growth": "memory"},
}


@dataclass(frozen=True)
class Group:
    """The members of one group: what Enter on a group opens."""

    key: GroupKey
    title: str


def kept_order(before: Positions, tasks: Tasks, chosen: Positions) -> Positions:
    """Return the positions `chosen` in the order that the ids `before` had; what is new comes last.

    While keys are being pressed nothing may jump, whatever the values do.
    """
    ids = tasks["id"].astype(np.int64)[chosen]
    by_id = np.argsort(ids, kind="stable")
    at = np.searchsorted(ids[by_id], before).clip(0, max(0, len(ids) - 1))
    if not len(ids):
        return chosen
    found = by_id[at][ids[by_id[at]] == before]
    rest = np.ones(len(ids), bool)
    rest[found] = False
    return np.asarray(chosen[np.concatenate([found, np.flatnonzero(rest)])], np.int64)


class TaskLines:
    """The rows at `order` (positions in `tasks`) for the table. Only what is painted is spelled out."""

    def __init__(self, tasks: Tasks, order: Positions, columns: Sequence[Column]) -> None:
        self.tasks = tasks
        self.order = order
        self._columns = columns
        self._spelled: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self.order)

    def key(self, line: int) -> Hashable:
        """The id of the row."""
        return int(self.tasks["id"][self.order[line]])

    def find(self, key: Hashable) -> int | None:
        """The line of an id: two passes over arrays, a fraction of a millisecond at 100,000 rows."""
        at = np.flatnonzero(self.tasks["id"] == key)
        line = np.flatnonzero(self.order == at[0]) if len(at) else at
        return int(line[0]) if len(line) else None

    def ids(self, first: int, last: int) -> list[int]:
        """The ids of the rows from line `first` to before `last`."""
        return [int(number) for number in self.tasks["id"][self.order[first:last]]]

    def row(self, line: int) -> Row:
        """The row at a line."""
        found = self._spelled.get(line)
        if found is None:
            found = self._spelled[line] = self.tasks.row(int(self.order[line]))
        return found

    def style(self, line: int) -> str:
        """Ended rows are dim."""
        return "dim" if self.row(line).ended else ""

    def cells(self, line: int) -> list[Cell]:
        """One cell for each column."""
        row = self.row(line)
        return [self._marked(line) if c.key == "marked" else _CELLS[c.key](row) for c in self._columns]

    def _marked(self, line: int) -> Cell:
        retained = self.row(line).retained
        before = float(self.tasks["marked"][self.order[line]])
        if retained is None or math.isnan(before):
            return ("new", "grow") if retained is not None and math.isnan(before) else UNKNOWN
        return growth_bytes(retained - before)


def _memory(row: Row) -> Cell:
    return sized(row.retained, row.accuracy)


def _state(row: Row) -> Cell:
    if row.blocking:
        return ("blocking", "limit")
    return "ended" if row.ended else (row.state, "grow") if row.state == HELD else row.state


def _where(row: Row) -> Cell:
    text = place(row.where)
    return (f"{text} def", "dim") if text and row.where_is_def else text


_CELLS: dict[str, Callable[[Row], Cell]] = {
    "kind": lambda row: (short_kind(row.kind), "dim"),
    "name": lambda row: row.name or NO_NAME,
    "function": lambda row: row.function or NO_FUNCTION,
    "state": _state,
    "waiting": lambda row: row.waiting_on,
    "where": _where,
    "age": lambda row: ("≥" if row.age_is_minimum else "") + duration(row.age_seconds),
    "memory": _memory,
    "growth": lambda row: growth_bytes(row.growth),
    "cpu": lambda row: duration(row.cpu_seconds),
    "activity": lambda row: percent(row.activity),
    "queue": lambda row: count(row.queue),
}


class SingleTable(OrderedTable):
    """All rows or the members of a group, in an order that keeps still while keys are being pressed."""

    by_mode = COLUMNS
    replaced = SORT_IN_MODE
    texts: ClassVar[Sequence[str]] = TEXT_COLUMNS

    def __init__(self) -> None:
        super().__init__(sort="memory", id="singles", loading_text="waiting for the first tasks")
        self._order: tuple[object, Positions] = (None, np.empty(0, np.int64))
        self.lines = TaskLines(NO_TASKS, np.empty(0, np.int64), self.columns)
        self.group: Group | None = None

    def columns_in(self, mode: Mode) -> tuple[Column, ...]:
        """Among the members of one group the function is the same in all rows, and said above them."""
        columns = self.by_mode[mode]
        return columns if self.group is None else tuple(c for c in columns if c.key not in ("kind", "function"))

    def present(self, snapshot: Snapshot, view: View, text: str) -> None:
        """Show the rows that have `text` in them, of the chosen group or all."""
        self.follow(view.mode)
        tasks = snapshot.tasks
        mask = matches(tasks, text)
        if self.group is not None:
            mask &= members(tasks, self.group.key)
        asked = (self.sort, text, self.group)
        if self.is_settling and self._order[0] == asked:
            chosen = kept_order(self._order[1], tasks, np.flatnonzero(mask))
        else:
            chosen = order(tasks, self.sort.column, self.sort.descending, mask)
        self._order = (asked, tasks["id"].astype(np.int64)[chosen])
        self.lines = TaskLines(tasks, chosen, self.columns)
        self.put(self.lines)

    def visible_ids(self) -> list[int]:
        """The ids of the rows on the screen."""
        top = int(self.scroll_offset.y)
        return self.lines.ids(top, top + self.page)
