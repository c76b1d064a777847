"""Tasks, threads and child processes in columns: the store that updates go into, and the frozen view of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..protocol import schema

FADE_SECONDS = 6.0  # ended rows stay this long, grey
GROWTH_SECONDS = 300.0  # a row's growth is over one to two times this
MAX_ROWS = 300_000
MAX_TEXTS = 200_000

_NUMPY = {"B": np.uint8, "H": np.uint16, "i": np.int32, "q": np.int64, "f": np.float32, "d": np.float64}
COLUMNS: dict[str, type] = {name: _NUMPY[code] for name, code in schema.ROW_COLUMNS}
OWN_COLUMNS: dict[str, type] = {
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
    growth: float | None  # bytes per minute


@dataclass(frozen=True)
class Tasks:
    """All rows at one moment: arrays of equal length, one entry per row, in no particular order.

    Text columns (`function`, `waiting`, `where`) are indices into `texts`. `retained` is -1 where it is not known.
    """

    taken_at: float
    columns: dict[str, Array]
    names: Sequence[str]
    texts: Sequence[str]
    ended_by_function: dict[tuple[int, int], int] = field(default_factory=dict)  # (kind, function) -> ended so far

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, column: str) -> NDArray[np.generic]:
        return self.columns[column]

    @cached_property
    def positions(self) -> dict[int, int]:
        """Position of each row by its id."""
        return {number: i for i, number in enumerate(self.columns["id"].tolist())}

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
            growth=None if math.isnan(growth) else growth,
        )

    def find(self, number: int) -> Row | None:
        """Return the row with this id, if it is there."""
        position = self.positions.get(number)
        return None if position is None else self.row(position)


def _optional(value: object) -> float | None:
    number = float(value)  # type: ignore[arg-type]
    return None if math.isnan(number) else number


def name_of(names: Sequence[str], index: int) -> str:
    """Return the name at `index`, or one that says that a newer agent sent something not known here."""
    return names[index] if index < len(names) else f"#{index}"


NO_TASKS = Tasks(0.0, {name: np.empty(0, kind) for name, kind in {**COLUMNS, **OWN_COLUMNS}.items()}, (), ("",))


class TaskStore:
    """Rows by id in growing columns. All methods belong to one thread; `view` gives out copies."""

    def __init__(self) -> None:
        self.texts: list[str] = [""]
        self._text_ids: dict[str, int] = {"": 0}
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._names: list[str] = []
        self._columns: dict[str, Array] = {n: np.zeros(64, k) for n, k in {**COLUMNS, **OWN_COLUMNS}.items()}
        self._fading: dict[int, float] = {}
        self._rolled_at = -math.inf
        self.ended: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, number: int) -> bool:
        return number in self._slots and number not in self._fading

    def intern(self, text: str) -> int:
        """Return the index of `text` in `texts`."""
        found = self._text_ids.get(text)
        if found is None and len(self.texts) >= MAX_TEXTS:
            text = "(too many texts)"
            found = self._text_ids.get(text)
        if found is None:
            found = self._text_ids[text] = len(self.texts)
            self.texts.append(text)
        return found

    def put(self, columns: dict[str, Array], names: Sequence[str | None], now: float) -> None:
        """Add or replace rows: arrays by column name, `id` among them; a missing column keeps or gets its default."""
        ids = columns["id"].tolist()
        everywhere = [self._slot(number) for number in ids]
        for slot, name in zip(everywhere, names, strict=True):
            if slot >= 0 and name is not None:
                self._names[slot] = name
        slots = np.array(everywhere, np.int64)
        kept = slots >= 0
        slots = slots[kept]
        for column, values in columns.items():
            self._columns[column][slots] = values[kept]
        self._columns["ended_at"][slots] = np.nan
        for number in ids:
            self._fading.pop(number, None)
        self._note_first_values(slots, now)

    def _slot(self, number: int) -> int:
        slot = self._slots.get(number)
        if slot is not None:
            return slot
        if self._free:
            slot = self._free.pop()
        elif len(self._names) >= MAX_ROWS:
            return -1
        else:
            slot = len(self._names)
            self._names.append("")
            if slot >= len(self._columns["id"]):
                for name, column in self._columns.items():
                    self._columns[name] = np.concatenate([column, np.zeros(len(column), column.dtype)])
        self._slots[number] = slot
        self._names[slot] = ""
        for name, column in self._columns.items():
            column[slot] = _DEFAULTS.get(name, 0)
        self._columns["id"][slot] = number
        return slot

    def _note_first_values(self, slots: NDArray[np.int64], now: float) -> None:
        base, retained = self._columns["base_retained"], self._columns["retained"]
        first = slots[np.isnan(base[slots].astype(np.float64)) & (retained[slots].astype(np.int64) >= 0)]
        for prefix in ("base", "middle"):
            self._columns[f"{prefix}_retained"][first] = retained[first]
            self._columns[f"{prefix}_at"][first] = now

    def set_value(self, number: int, column: str, value: float) -> None:
        """Set one value of a row that is there."""
        slot = self._slots.get(number)
        if slot is not None:
            self._columns[column][slot] = value

    def value(self, number: int, column: str) -> float | None:
        """Return one value of a row, None when it is not there."""
        slot = self._slots.get(number)
        return None if slot is None else float(self._columns[column][slot])

    def end(self, ids: Iterable[int], now: float) -> None:
        """Mark rows as ended; they stay for a few seconds."""
        for number in ids:
            slot = self._slots.get(number)
            if slot is None or number in self._fading:
                continue
            self._columns["ended_at"][slot] = now
            self._columns["state"][slot] = schema.STATE_ENDED
            self._fading[number] = now
            key = (int(self._columns["kind"][slot]), int(self._columns["function"][slot]))
            self.ended[key] = self.ended.get(key, 0) + 1

    def sweep(self, now: float) -> None:
        """Drop what has faded, and move the beginnings of the growth windows on."""
        for number in [n for n, at in self._fading.items() if now - at > FADE_SECONDS]:
            del self._fading[number]
            self._free.append(self._slots.pop(number))
        if self._rolled_at == -math.inf:
            self._rolled_at = now
        elif now - self._rolled_at > GROWTH_SECONDS:
            self._rolled_at = now
            c = self._columns
            c["base_retained"][:], c["base_at"][:] = c["middle_retained"], c["middle_at"]
            known = c["retained"].astype(np.int64) >= 0
            c["middle_retained"][known] = c["retained"][known]
            c["middle_at"][known] = now

    def mark(self) -> None:
        """Set the baseline: remember what each row retains now."""
        retained = self._columns["retained"].astype(np.float64)
        self._columns["marked"][:] = np.where(retained >= 0, retained, np.nan)

    def clear(self) -> None:
        """Forget all rows, as after the agent was replaced; texts stay."""
        self._slots.clear()
        self._fading.clear()
        self._free = list(range(len(self._names)))

    def ids_of_kind(self, kind: int) -> list[int]:
        """Return the ids of the rows of one kind that have not ended."""
        kinds = self._columns["kind"]
        return [n for n, slot in self._slots.items() if kinds[slot] == kind and n not in self._fading]

    def view(self, now: float) -> Tasks:
        """Return all rows as they are now."""
        slots = np.fromiter(self._slots.values(), np.int64, len(self._slots))
        names = self._names
        return Tasks(
            now,
            {name: column[slots] for name, column in self._columns.items()},
            [names[slot] for slot in slots.tolist()],
            self.texts,
            dict(self.ended),
        )


_DEFAULTS: dict[str, float] = {
    "retained": -1,
    "accuracy": schema.UNAVAILABLE,
    "cpu": math.nan,
    "activity": math.nan,
    "queue": -1,
    "ended_at": math.nan,
    "base_retained": math.nan,
    "base_at": math.nan,
    "middle_retained": math.nan,
    "middle_at": math.nan,
    "marked": math.nan,
}
