"""Tasks, threads and child processes in columns: all rows at one moment, and one row spelled out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..protocol import schema
from .names import NameOrder

_NUMPY = {"B": np.uint8, "H": np.uint16, "i": np.int32, "q": np.int64, "f": np.float32, "d": np.float64}
COLUMNS: dict[str, type] = {name: _NUMPY[code] for name, code in schema.ROW_COLUMNS}
OWN_COLUMNS: dict[str, type] = {
    "named": np.int64,  # a number for each time that a row got a name, 0 while it has none
    "ended_at": np.float64,  # NaN while it lives
    "base_retained": np.float64,  # what it retained at `base_at`; NaN before the first measurement
    "base_at": np.float64,
    "middle_retained": np.float64,
    "middle_at": np.float64,
    "marked": np.float64,  # what it retained when the baseline was set; NaN when it was not there
}
Array = NDArray[np.generic]


@dataclass(frozen=True)
class Row:
    """One row, spelled out."""

    id: int
    kind: str
    name: str
    function: str
    state: str
    waiting_on: str
    where: str  # "file:line" with the file's whole path, or ""
    where_is_def: bool  # the line is the function's first, as the current one could not be read
    age_seconds: float | None
    age_is_minimum: bool
    retained: int | None
    accuracy: str
    error: int
    cpu_seconds: float | None
    activity: float | None
    os_id: int | None
    parent: int
    edge: str
    queue: int | None
    ended: bool
    unowned: bool
    blocking: bool  # it was seen holding its loop lately
    growth: float | None  # bytes per minute


@dataclass(frozen=True)
class Tasks:
    """All rows at one moment: arrays of equal length, one entry per row, in no particular order.

    Text columns (`function`, `waiting`, `where`) are indices into `texts`. `retained` is -1 where it is not known.
    """

    taken_at: float
    columns: dict[str, Array]
    names: list[str]
    texts: Sequence[str]
    ended_by_function: dict[tuple[int, int], int] = field(default_factory=dict)  # (kind, function) -> ended so far
    known_share: float = 1.0  # of the asyncio tasks that there are, those that have a row: less while they are counted
    name_order: NameOrder = field(default_factory=NameOrder, compare=False, repr=False)  # shared with other moments

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, column: str) -> NDArray[np.generic]:
        return self.columns[column]

    @cached_property
    def alive(self) -> NDArray[np.bool_]:
        """Which rows have not ended."""
        return np.isnan(self.columns["ended_at"].astype(np.float64))

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in the order of the ids, and the ids in order: a dictionary of all rows would cost far more."""
        ids = self.columns["id"].astype(np.int64)
        order = np.argsort(ids, kind="stable")
        return order, ids[order]

    @cached_property
    def name_ranks(self) -> NDArray[np.float64]:
        """The place of each row's name among all names, equal for equal names; NaN where there is none."""
        return self.name_order.ranks(self.names, self.columns["named"].astype(np.int64))

    @cached_property
    def growth(self) -> NDArray[np.float64]:
        """Bytes per minute of each row; NaN where it has not been measured for at least a few seconds."""
        c = self.columns
        with np.errstate(invalid="ignore", divide="ignore"):
            elapsed = self.taken_at - c["base_at"].astype(np.float64)
            change = c["retained"].astype(np.float64) - c["base_retained"].astype(np.float64)
            known = (c["retained"].astype(np.int64) >= 0) & (elapsed > 5.0)
            return np.where(known, change / elapsed * 60.0, np.nan)

    def row(self, position: int) -> Row:
        """Spell out the row at `position`."""
        c = {name: column[position] for name, column in self.columns.items()}
        flags = int(c["flags"])
        end = float(c["ended_at"])
        created = float(c["created"])
        growth = float(self.growth[position])
        return Row(
            id=int(c["id"]),
            kind=name_of(schema.KINDS, int(c["kind"])),
            name=self.names[position],
            function=self.texts[int(c["function"])],
            state=name_of(schema.STATES, int(c["state"])),
            waiting_on=self.texts[int(c["waiting"])],
            where=self.texts[int(c["where"])],
            where_is_def=bool(flags & schema.FLAG_LINE_IS_DEF),
            age_seconds=max(0.0, (self.taken_at if math.isnan(end) else end) - created) if created > 0 else None,
            age_is_minimum=bool(flags & schema.FLAG_AGE_IS_MINIMUM),
            retained=int(c["retained"]) if int(c["retained"]) >= 0 else None,
            accuracy=name_of(schema.ACCURACIES, int(c["accuracy"])),
            error=int(c["error"]),
            cpu_seconds=_optional(c["cpu"]),
            activity=_optional(c["activity"]),
            os_id=int(c["os_id"]) or None,
            parent=int(c["parent"]),
            edge=name_of(schema.EDGES, int(c["edge"])),
            queue=int(c["queue"]) if int(c["queue"]) >= 0 else None,
            ended=not math.isnan(end),
            unowned=bool(flags & schema.FLAG_UNOWNED),
            blocking=bool(flags & schema.FLAG_BLOCKING) and math.isnan(end),
            growth=None if math.isnan(growth) else growth,
        )

    def find(self, number: int) -> Row | None:
        """Return the row with this id, if it is there."""
        position = self.position(number)
        return None if position is None else self.row(position)

    def position(self, number: int) -> int | None:
        """Return the position of the row with this id, if it is there."""
        order, ids = self._by_id
        at = int(np.searchsorted(ids, number))
        return int(order[at]) if at < len(ids) and ids[at] == number else None


def _optional(value: object) -> float | None:
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def name_of(names: Sequence[str], index: int) -> str:
    """Return the name at `index`, or one that says that a newer agent sent something not known here."""
    return names[index] if index < len(names) else f"#{index}"


NO_TASKS = Tasks(0.0, {name: np.empty(0, kind) for name, kind in {**COLUMNS, **OWN_COLUMNS}.items()}, [], ("",))
