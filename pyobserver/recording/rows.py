"""The rows of a tick as what has changed in them since the tick before: columns by position, and names.

Content (`packed`): {"rows": how many there are now, "columns": [[name, which of the masks], ...], "names": the names of
the rows whose column `named` has changed, in the order of their positions, one a line}. Arrays: from where and to where
rows have moved (two of u4), the positions of all rows that have changed (u4, each as the distance from the one before),
the masks (u1: a bit for each of these rows), and for each column the values in the rows of its mask; those of mask -1
are all. Without a tick before, numbers are 0 and names "".

What no screen shows is not written: `measured_at` is kept to a sixteenth of a second, `activity` to one part in 256
(u2, 65535 where it is not known). Of `id` and `named` the distances from one value to the next are written.
`middle_retained` is written as its distance from `retained`, `base_retained` as that from `middle_retained`: mostly 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..model.task_store import MAX_ROWS
from ..model.tasks import COLUMNS, OWN_COLUMNS, Array, Tasks
from ..protocol import schema
from ..protocol.clean import clean
from .errors import Damaged
from .packing import packed, unpacked
from .values import MAX_TIME

ALL_COLUMNS = {**COLUMNS, **OWN_COLUMNS}
MAX_NAME = 300
MAX_ID = 1 << 50
MAX_BYTES = 1 << 48
MAX_SECONDS = 1e12
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_STEPS = {"measured_at": np.float64(16.0), "activity": np.float32(256.0)}
_NOT_KNOWN = 65_535
_ASCENDING = ("id", "named")
_DISTANCES = {"middle_retained": "retained", "base_retained": "middle_retained"}  # told from what comes before it
_ORDER = (*(name for name in ALL_COLUMNS if name not in _DISTANCES), *_DISTANCES)
_NO_ROWS: dict[str, Array] = {name: np.zeros(0, kind) for name, kind in ALL_COLUMNS.items()}
_MISSING: dict[str, float] = {  # in a file of an older version
    "retained": -1,
    "queue": -1,
    **dict.fromkeys(("cpu", "activity", "ended_at", "base_retained", "base_at"), np.nan),
    **dict.fromkeys(("middle_retained", "middle_at", "marked"), np.nan),
}
_BOUNDS: dict[str, tuple[float, float, float]] = {  # least, most, and what stands for all other numbers
    "id": (-MAX_ID, MAX_ID, 0),
    "created": (0.0, MAX_TIME, 0.0),
    "measured_at": (0.0, MAX_TIME, 0.0),
    "ended_at": (0.0, MAX_TIME, np.nan),
    "base_at": (0.0, MAX_TIME, np.nan),
    "middle_at": (0.0, MAX_TIME, np.nan),
    "retained": (-1, MAX_BYTES, -1),
    "error": (0, MAX_BYTES, 0),
    "base_retained": (0.0, MAX_BYTES, np.nan),
    "middle_retained": (0.0, MAX_BYTES, np.nan),
    "marked": (0.0, MAX_BYTES, np.nan),
    "cpu": (0.0, MAX_SECONDS, np.nan),
    "activity": (0.0, 1.0, np.nan),
    "os_id": (0, 1 << 31, 0),
    "loop": (0, MAX_ID, 0),
    "parent": (-MAX_ID, MAX_ID, 0),
    "queue": (-1, 1 << 31, -1),
}
_TABLES = {"kind": schema.KINDS, "state": schema.STATES, "accuracy": schema.ACCURACIES, "edge": schema.EDGES}


class RowsWriter:
    """Tells what has changed in the rows, tick by tick."""

    def __init__(self) -> None:
        self._before = _NO_ROWS

    def changes(self, now: Tasks, whole: bool = False) -> bytes:
        """Return what has changed since the call before; all of the rows if `whole`."""
        old, columns = _NO_ROWS if whole else self._before, _rounded(now.columns)
        self._before = columns
        count = len(now)
        from_where, to_where = _moves(old["id"], columns["id"])
        differs: dict[str, NDArray[np.bool_]] = {}
        for name, column in columns.items():
            base = np.zeros(count, column.dtype)
            kept = min(count, len(old[name]))
            base[:kept] = old[name][:kept]
            base[to_where] = old[name][from_where]
            bits = _BITS[column.itemsize]
            differs[name] = base.view(bits) != column.view(bits)
        changed = np.flatnonzero(np.logical_or.reduce(list(differs.values())))
        steps = changed.astype(np.uint32)
        steps[1:] -= steps[:-1].copy()
        masks: dict[bytes, tuple[int, Array]] = {}
        values_of: list[Array] = []
        listed: list[tuple[str, int]] = []
        for name in _ORDER:
            mask = differs[name][changed]
            if not mask.any():
                continue
            at, which = changed[mask], -1
            if len(at) < len(changed):
                packed_mask = np.packbits(mask)
                which, _ = masks.setdefault(packed_mask.tobytes(), (len(masks), packed_mask))
            values = columns[name][at]
            if name in _DISTANCES:
                values = values - columns[_DISTANCES[name]][at].astype(values.dtype)
            elif name == "activity":
                shares = values.astype(np.float64) * 256.0
                values = np.where(np.isnan(shares), _NOT_KNOWN, shares).astype(np.uint16)
            elif name in _ASCENDING:
                values = np.diff(values, prepend=values.dtype.type(0))
            listed.append((name, which))
            values_of.append(values)
        names = "\n".join([now.names[position] for position in changed[differs["named"][changed]].tolist()])
        arrays = [from_where, to_where, steps, *(mask for _, mask in masks.values()), *values_of]
        return packed({"rows": count, "columns": listed, "names": names}, arrays)


def _rounded(columns: Mapping[str, Array]) -> dict[str, Array]:
    found = dict(columns)
    for name, steps in _STEPS.items():
        found[name] = np.round(columns[name] * steps) / steps  # type: ignore[operator]
    return found


def _moves(old: Array, new: Array) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """From where and to where rows have moved: the last ones into the gaps that others have left."""
    common = min(len(old), len(new))
    left = np.concatenate([np.flatnonzero(old[:common] != new[:common]), np.arange(common, len(old))])
    came = np.concatenate([np.flatnonzero(old[:common] != new[:common]), np.arange(common, len(new))])
    if not len(left) or not len(came):
        return np.empty(0, np.uint32), np.empty(0, np.uint32)
    wanted = old[left]
    order = np.argsort(wanted)
    found = np.searchsorted(wanted[order], new[came]).clip(max=len(left) - 1)
    moved = wanted[order][found] == new[came]
    return left[order][found][moved].astype(np.uint32), came[moved].astype(np.uint32)


class Rows:
    """The rows of a recording at one moment, moved on by what has changed."""

    def __init__(self) -> None:
        self._columns: dict[str, Array] = {name: np.zeros(64, kind) for name, kind in ALL_COLUMNS.items()}
        self._names: list[str] = []
        self._known: set[str] = set()  # the columns that the file has

    def apply(self, content: object) -> None:
        """Take in what `RowsWriter` has made. Raises Damaged; what is here is of no use then."""
        head, arrays = unpacked(content)
        count, listed, names = _head(head)
        masks = len(arrays) - 3 - len(listed)
        if masks < 0 or any(not -1 <= which < masks for _, which in listed):
            raise Damaged("columns are missing")
        self._resize(count)
        self._move(arrays[0], arrays[1], count)
        del self._names[count:]
        with np.errstate(all="ignore"):
            at = _positions(arrays[2], arrays[3 : 3 + masks], count)
            renamed = self._put([(name, at[which]) for name, which in listed], arrays[3 + masks :])
        self._rename(renamed, names)

    def _put(self, places: list[tuple[str, NDArray[np.int64]]], values_of: list[Array]) -> list[int]:
        """Put the values where they belong; returns which rows have another name."""
        renamed: list[int] = []
        for (name, at), values in zip(places, values_of, strict=True):
            if len(at) != len(values):
                raise Damaged("a column has other positions than values")
            if name in self._columns:
                if name in _DISTANCES:
                    values = values + self._columns[_DISTANCES[name]][at].astype(values.dtype)
                elif name == "activity":
                    values = np.where(values == _NOT_KNOWN, np.nan, values.astype(np.float64) / 256.0)
                elif name in _ASCENDING:
                    values = np.cumsum(values)
                self._columns[name][at] = values
                self._known.add(name)
            if name == "named":
                renamed = at.tolist()
        return renamed

    def _resize(self, count: int) -> None:
        room = len(self._columns["id"])
        if count > room:
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.zeros(max(room, count - room), column.dtype)])
        before = len(self._names)
        for column in self._columns.values():
            column[before:count] = 0
        self._names.extend([""] * (count - before))

    def _move(self, from_where: Array, to_where: Array, count: int) -> None:
        """Rows that have moved; those from behind the end are there still."""
        if len(from_where) != len(to_where):
            raise Damaged("rows that move nowhere")
        if len(from_where):
            source, target = from_where.astype(np.int64), to_where.astype(np.int64)
            if (
                not 0 <= source.min() <= source.max() < len(self._names)
                or not 0 <= target.min() <= target.max() < count
            ):
                raise Damaged("rows that are not there have moved")
            for column in self._columns.values():
                column[target] = column[source]
            names = [self._names[i] for i in source.tolist()]
            for i, name in zip(target.tolist(), names, strict=True):
                self._names[i] = name

    def _rename(self, positions: list[int], names: str) -> None:
        lines = names.split("\n") if positions else []
        if len(lines) != len(positions):
            raise Damaged("names and rows are not as many")
        for position, name in zip(positions, lines, strict=True):
            self._names[position] = name if len(name) <= MAX_NAME and name.isprintable() else clean(name, MAX_NAME)

    def settled(self, texts: int) -> tuple[dict[str, Array], list[str]]:
        """Return columns and names as they are now, every number within its bounds; `texts` is how many there are.

        Rows without an id, or with one that another has, are left out: screens tell rows by them.
        """
        count = len(self._names)
        columns = {name: column[:count].copy() for name, column in self._columns.items()}
        for name in ALL_COLUMNS.keys() - self._known if count else ():
            columns[name][:] = _MISSING.get(name, 0)
        for name, (least, most, otherwise) in _BOUNDS.items():
            _keep_within(columns, name, least, most, otherwise)
        for name in ("function", "waiting", "where"):
            _keep_within(columns, name, 0, texts - 1, 0)
        for name, table in _TABLES.items():
            _keep_within(columns, name, 0, len(table) - 1, 0)
        ids, first = np.unique(columns["id"], return_index=True)
        if len(ids) == count and not (ids == 0).any():
            return columns, self._names.copy()
        kept = np.sort(first[ids != 0])
        return {name: column[kept] for name, column in columns.items()}, [self._names[i] for i in kept.tolist()]


def _positions(steps: Array, masks: list[Array], count: int) -> list[NDArray[np.int64]]:
    """The positions of the rows of each mask; the last are those of all that have changed."""
    changed = np.cumsum(steps.astype(np.int64))
    if len(changed) and not 0 <= changed[-1] < count:
        raise Damaged("positions behind the last row")
    found = []
    for mask in masks:
        if mask.dtype != np.uint8 or len(mask) != (len(changed) + 7) // 8:
            raise Damaged("a mask of other rows")
        found.append(changed[np.unpackbits(mask.astype(np.uint8), count=len(changed)).astype(bool)])
    return [*found, changed]


def _keep_within(columns: dict[str, Array], name: str, least: float, most: float, otherwise: float) -> None:
    column = columns[name]
    with np.errstate(invalid="ignore"):
        fits = (column >= least) & (column <= most)  # type: ignore[operator]
    if not fits.all():
        column[~fits] = otherwise


def _head(head: object) -> tuple[int, list[tuple[str, int]], str]:
    if not isinstance(head, Mapping):
        raise Damaged("rows without a head")
    count, listed, names = head.get("rows"), head.get("columns"), head.get("names")
    if type(count) is not int or not 0 <= count <= MAX_ROWS or type(listed) is not list or type(names) is not str:
        raise Damaged("rows with a head that cannot be")
    for entry in listed:
        if type(entry) is not list or len(entry) != 2 or type(entry[0]) is not str or type(entry[1]) is not int:
            raise Damaged("columns that cannot be told apart")
    return count, [(entry[0], entry[1]) for entry in listed], names
