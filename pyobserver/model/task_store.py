"""The store of rows: updates go in, frozen views come out. Costs follow what changes, not what is there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..protocol import schema
from .endings import EndingCounts
from .groups import group_number
from .names import NameOrder
from .tasks import COLUMNS, OWN_COLUMNS, Array, Tasks

FADE_SECONDS = 6.0  # ended rows stay this long, grey
GROWTH_SECONDS = 300.0  # a row's growth is over one to two times this
SETTLE_SECONDS = 15.0  # the agent measures young tasks again within these
MAX_ROWS = 300_000
MAX_TEXTS = 200_000
MAX_LABEL = 300  # characters of a label or a text
TOO_MANY_TEXTS = "(too many texts)"

Slots = NDArray[np.int64]

_ALL_COLUMNS = {**COLUMNS, **OWN_COLUMNS}
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


class TaskStore:
    """Rows by id in growing columns without gaps: a row that goes is replaced by the last.

    All methods belong to one thread; `view` gives out copies.
    """

    def __init__(self) -> None:
        self.texts: list[str] = [""]
        self.ended: dict[tuple[int, int], int] = {}  # (kind, function) -> ended so far
        self.endings = EndingCounts()  # the same by supervisor
        self.refused = 0  # rows that there was no room for
        self._text_ids: dict[str, int] = {"": 0}
        self._slots: dict[int, int] = {}
        self.in_all: int | None = None  # asyncio tasks, when there are more than have rows
        self._names: list[str] = []
        self._columns: dict[str, Array] = {name: np.zeros(64, kind) for name, kind in _ALL_COLUMNS.items()}
        self._named = 1
        self._rolled_at = -math.inf
        self._name_order = NameOrder()

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, number: int) -> bool:
        slot = self._slots.get(number)
        return slot is not None and math.isnan(float(self._columns["ended_at"][slot]))

    def intern(self, text: str) -> int:
        """Return the index of `text` in `texts`."""
        found = self._text_ids.get(text)
        if found is None and len(self.texts) >= MAX_TEXTS:
            text = TOO_MANY_TEXTS
            found = self._text_ids.get(text)
        if found is None:
            found = self._text_ids[text] = len(self.texts)
            self.texts.append(text)
        return found

    # -- changes ----------------------------------------------------------------------------------------------------

    def put(self, columns: Mapping[str, Array], names: Sequence[str | None], now: float) -> None:
        """Add or replace rows: arrays by column name, `id` among them; a missing column keeps or gets its default.

        A name that is None is kept. All arrays and `names` must have the same length.
        """
        slots = self._places(columns["id"].tolist())
        self._name(slots.tolist(), names)
        room = slots >= 0
        full = bool(room.all())
        slots = slots if full else slots[room]
        for column, values in columns.items():
            self._columns[column][slots] = values if full else values[room]
        self._columns["ended_at"][slots] = math.nan
        self._note_first_values(slots, now)

    def _name(self, slots: list[int], names: Sequence[str | None]) -> None:
        changed = []
        for slot, name in zip(slots, names, strict=True):
            if name is not None and slot >= 0 and self._names[slot] != name:
                self._names[slot] = name
                changed.append(slot)
        self._columns["named"][changed] = np.arange(self._named, self._named + len(changed))
        self._named += len(changed)

    def _places(self, ids: list[int]) -> Slots:
        """The slots of rows, new ones among them; -1 where there is no room."""
        found = list(map(self._slots.get, ids))
        if None in found:
            fresh = list(dict.fromkeys(n for n, slot in zip(ids, found, strict=True) if slot is None))
            room = max(0, MAX_ROWS - len(self._slots))
            self.refused += len(fresh[room:])
            self._append(fresh[:room])
            found = [self._slots.get(number, -1) for number in ids]
        return np.array(found, np.int64)

    def _append(self, ids: list[int]) -> None:
        start, end = len(self._names), len(self._names) + len(ids)
        size = len(self._columns["id"])
        if end > size:
            more = max(size, end - size)
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.empty(more, column.dtype)])
        for name, column in self._columns.items():
            column[start:end] = _DEFAULTS.get(name, 0)
        self._columns["id"][start:end] = ids
        self._names.extend([""] * len(ids))
        self._slots.update(zip(ids, range(start, end), strict=True))

    def _note_first_values(self, slots: Slots, now: float) -> None:
        """Growth is told from the first value on; of a row that began before our eyes from when it has settled.

        Until then its creator lets go of what it works on: what it comes to own by that is not growth.
        """
        base, retained = self._columns["base_retained"], self._columns["retained"]
        created = self._columns["created"][slots].astype(np.float64)
        is_exact = (self._columns["flags"][slots].astype(np.int64) & schema.FLAG_AGE_IS_MINIMUM) == 0
        settles = is_exact & (created > 0.0) & (now - created < SETTLE_SECONDS)
        wanted = np.isnan(base[slots].astype(np.float64)) | settles
        first = slots[wanted & (retained[slots].astype(np.int64) >= 0)]
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
        known = {slot for slot in map(self._slots.get, ids) if slot is not None}
        slots = np.fromiter(known, np.int64, len(known))
        ended_at = self._columns["ended_at"]
        slots = slots[np.isnan(ended_at[slots].astype(np.float64))]
        ended_at[slots] = now
        self._columns["state"][slots] = schema.STATE_ENDED
        kinds, functions = self._columns["kind"][slots].tolist(), self._columns["function"][slots].tolist()
        parents = self._columns["parent"][slots].tolist()
        for key, parent in zip(zip(kinds, functions, strict=True), parents, strict=True):
            self.ended[key] = self.ended.get(key, 0) + 1
            self.endings.add(parent, group_number((*key, False)))

    def sweep(self, now: float) -> None:
        """Drop what has faded, and move the beginnings of the growth windows on.

        A clock that was set back must not keep ended rows until it has caught up: the distance counts.
        """
        away = np.abs(now - self._used("ended_at").astype(np.float64))
        self._drop(np.flatnonzero(away > FADE_SECONDS))
        if self._rolled_at == -math.inf:
            self._rolled_at = now
        elif abs(now - self._rolled_at) > GROWTH_SECONDS:
            self._rolled_at = now
            self._roll(now)

    def _drop(self, gone: Slots) -> None:
        """Remove the rows in these slots, ascending; the last rows move into the gaps."""
        if not len(gone):
            return
        ids = self._columns["id"][gone].tolist()
        self.endings.forget(ids)
        for number in ids:
            del self._slots[number]
        left = len(self._names) - len(gone)
        gaps = gone[gone < left]
        moving = np.setdiff1d(np.arange(left, len(self._names)), gone)
        for column in self._columns.values():
            column[gaps] = column[moving]
        for gap, slot in zip(gaps.tolist(), moving.tolist(), strict=True):
            self._names[gap] = self._names[slot]
        self._slots.update(zip(self._columns["id"][gaps].tolist(), gaps.tolist(), strict=True))
        del self._names[left:]

    def _roll(self, now: float) -> None:
        c = {name: self._used(name) for name in OWN_COLUMNS}
        c["base_retained"][:], c["base_at"][:] = c["middle_retained"], c["middle_at"]
        retained = self._used("retained")
        known = retained.astype(np.int64) >= 0
        c["middle_retained"][known] = retained[known]
        c["middle_at"][known] = now

    def mark(self) -> None:
        """Set the baseline: remember what each row retains now."""
        retained = self._used("retained").astype(np.float64)
        self._used("marked")[:] = np.where(retained >= 0, retained, np.nan)

    def clear(self) -> None:
        """Forget all rows, as after the agent was replaced; texts stay."""
        self._slots.clear()
        self._names.clear()
        self.endings.clear()

    # -- questions --------------------------------------------------------------------------------------------------

    def _used(self, column: str) -> Array:
        return self._columns[column][: len(self._names)]

    def ids_of_kind(self, kind: int) -> list[int]:
        """Return the ids of the rows of one kind that have not ended."""
        chosen = (self._used("kind") == kind) & np.isnan(self._used("ended_at").astype(np.float64))
        ids: list[int] = self._used("id")[chosen].tolist()
        return ids

    def view(self, now: float) -> Tasks:
        """Return all rows as they are now."""
        columns = {name: self._used(name).copy() for name in self._columns}
        share = self._known_share()
        return Tasks(now, columns, self._names.copy(), self.texts, dict(self.ended), share, self._name_order)

    def glance(self, now: float) -> Tasks:
        """Return all rows without copying them: what comes out is valid until the next change."""
        columns = {name: self._used(name) for name in self._columns}
        return Tasks(now, columns, self._names, self.texts, known_share=self._known_share())

    def _known_share(self) -> float:
        if self.in_all is None:
            return 1.0
        known = int(np.count_nonzero((self._used("kind") == schema.KIND_TASK) & np.isnan(self._used("ended_at"))))
        return known / self.in_all if 0 < known < self.in_all else 1.0
