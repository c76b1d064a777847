"""What the agent says of rows and of the tree's nodes, checked as all that it says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.forest import Node
from ..model.tasks import Array
from ..protocol import schema
from ..protocol.clean import clean
from ..protocol.frames import Frame
from . import fields
from .errors import MessageError

MAX_OTHERS = 4  # owners of one row beside its parent
_CODES = dict(schema.ROW_COLUMNS + schema.OTHERS_COLUMNS)
_OTHERS = frozenset(dict(schema.OTHERS_COLUMNS))
_TABLES = {"kind": schema.KINDS, "state": schema.STATES, "accuracy": schema.ACCURACIES, "edge": schema.EDGES}


def changed(frame: Frame) -> tuple[dict[str, Array], list[str | None]]:
    """Return (columns, names) of rows that are new or have changed."""
    names = frame.head.get("names")
    if type(names) is not list:
        raise MessageError("rows: no names")
    columns = {name: _column(frame, name, len(names)) for name, _ in schema.ROW_COLUMNS}
    ids = columns["id"].astype(np.int64)
    if not ((ids > 0) & (ids < fields.MAX_ID)).all():
        raise MessageError("rows: an id that no agent gives out")
    for name, table in _TABLES.items():
        if (columns[name].astype(np.int64) >= len(table)).any():
            raise MessageError(f"rows: a {name} that this protocol does not know")
    _settle_sizes(columns)
    for name in ("created", "measured_at"):
        _keep_within(columns, name, 0.0, fields.MAX_TIME, 0.0)
    _keep_within(columns, "cpu", 0.0, fields.MAX_SECONDS, np.nan)
    _keep_within(columns, "activity", 0.0, 1.0, np.nan)
    _keep_within(columns, "os_id", 0, 1 << 31, 0)
    for name in ("loop", "parent", "function", "waiting", "where"):
        _keep_within(columns, name, 0, fields.MAX_ID, 0)
    _keep_within(columns, "queue", 0, 1 << 31, -1)
    return columns, [_name(name) for name in names]


def other_owners(frame: Frame) -> dict[int, tuple[tuple[int, str], ...]]:
    """Return the owners of rows but their parents, by the row: (the owner's id, the edge's kind), at most four."""
    if all(name not in frame.columns for name in _OTHERS):
        return {}
    length = frame.columns.get(schema.OTHERS_COLUMNS[0][0], ("", 0, b""))[1]
    rows, owners, edges = (_column(frame, name, length).tolist() for name, _ in schema.OTHERS_COLUMNS)
    found: dict[int, list[tuple[int, str]]] = {}
    for row, owner, edge in zip(rows, owners, edges, strict=True):
        if not 0 < row < fields.MAX_ID or not 0 < owner < fields.MAX_ID or edge >= len(schema.EDGES):
            raise MessageError("rows: an owner that cannot be")
        entry = (owner, schema.EDGES[edge])
        of_row = found.setdefault(row, [])
        if len(of_row) < MAX_OTHERS and entry not in of_row:
            of_row.append(entry)
    return {row: tuple(entries) for row, entries in found.items()}


def _column(frame: Frame, name: str, length: int) -> Array:
    code, count, packed = frame.columns.get(name, ("", 0, b""))
    if code != _CODES[name] or count != length:
        raise MessageError(f"rows: column {name}")
    kind = np.dtype("<" + code)
    return np.frombuffer(packed, kind).astype(kind.newbyteorder("="))


def _settle_sizes(columns: dict[str, Array]) -> None:
    """A size that cannot be, or an error that cannot be, is no measurement."""
    retained, error = columns["retained"].astype(np.int64), columns["error"].astype(np.int64)
    known = (retained >= 0) & (retained < fields.MAX_BYTES) & (error >= 0) & (error < fields.MAX_BYTES)
    columns["retained"] = np.where(known, retained, -1)
    columns["error"] = np.where(known, error, 0)
    columns["accuracy"] = np.where(known, columns["accuracy"], schema.UNAVAILABLE).astype(np.uint8)


def _keep_within(columns: dict[str, Array], name: str, least: float, most: float, otherwise: float) -> None:
    """Replace what is not a number from `least` to `most`."""
    column: NDArray[Any] = columns[name]
    with np.errstate(invalid="ignore"):
        columns[name] = np.where((column >= least) & (column <= most), column, otherwise).astype(column.dtype)


def _name(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is not str:
        raise MessageError("rows: a name that is no text")
    return clean(value, fields.MAX_TEXT)


def gone(frame: Frame) -> list[int]:
    """Return the ids of rows and nodes that are no more."""
    code, _, packed = frame.columns.get("id", ("", 0, b""))
    if code != "q":
        raise MessageError("gone: column id")
    ids: list[int] = np.frombuffer(packed, "<i8").tolist()
    if any(not 0 < number < fields.MAX_ID for number in ids):
        raise MessageError("gone: an id that no agent gives out")
    return ids


def nodes(frame: Frame) -> list[Node]:
    """Return nodes of the tree that are new or have changed."""
    return [_node(item) for item in fields.entries(frame.head, "items", dict)]


def _node(item: dict[str, Any]) -> Node:
    queue = item.get("queue")
    return Node(
        id=fields.whole(item, "id", 1, fields.MAX_ID - 1),
        kind=schema.NODE_KINDS[fields.whole(item, "kind", 0, len(schema.NODE_KINDS) - 1)],
        label=fields.tail(item, "label"),
        parent=fields.whole(item, "parent", 0, fields.MAX_ID - 1),
        edge=schema.EDGES[fields.whole(item, "edge", 0, len(schema.EDGES) - 1)],
        queue=queue if type(queue) is int and 0 <= queue <= 1 << 31 else None,
        detail=fields.tail(item, "detail"),
        pids=_pids(item),
    )


def _pids(item: dict[str, Any]) -> tuple[int, ...]:
    if "pids" not in item:  # of an older agent
        return ()
    return tuple(n for n in fields.entries(item, "pids", int, schema.MAX_PIDS) if 0 < n < 1 << 31)
