"""What the agent says, as the model's objects. It comes from a foreign process: checked, bounded and cleaned here.

A message that is not as the contract has it raises MessageError; the connection ends then, as nothing behind it can be
trusted either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.details import ChainFrame, DetailAnswer
from ..model.forest import Node
from ..model.readings import AgentCost, AgentFacts, Collector, Tick
from ..protocol import schema
from ..protocol.clean import clean, clean_tail
from ..protocol.frames import Frame

MAX_TEXT = 300
MAX_LIST = 5000  # entries of any list within a message
MAX_TEXT_ID = 1 << 20
MAX_ID = 1 << 50
_TYPES = {name: np.dtype("<" + code) for name, code in schema.ROW_COLUMNS}
_BOUNDS = {
    "kind": len(schema.KINDS),
    "state": len(schema.STATES),
    "accuracy": len(schema.ACCURACIES),
    "edge": len(schema.EDGES),
}
Array = NDArray[np.generic]


class MessageError(Exception):
    """A message is not as the contract has it; the text says which part."""


@dataclass(frozen=True)
class Hello:
    """The greeting of an agent: `facts` without how it came in, and what a connection needs to know."""

    protocol: int
    build: str
    pid: int
    facts: AgentFacts


def hello(frame: Frame) -> Hello:
    """Read the first message."""
    head = frame.head
    facts = AgentFacts(
        python=_text(head, "python", 60),
        implementation=_text(head, "implementation", 60),
        executable=clean_tail(_raw_text(head, "executable"), MAX_TEXT),
        command=tuple(clean(word, MAX_TEXT) for word in _list(head, "argv", str)),
        platform=_text(head, "platform", 60),
        free_threaded=bool(head.get("free_threaded")),
        self_check=_text(head, "self_check"),
        capabilities=tuple(clean(word, 60) for word in _list(head, "capabilities", str)),
        switch_interval=_number(head, "switch_interval"),
        agent_started_at=_number(head, "agent_started_at") or 0.0,
        method=_text(head, "method", 60),
    )
    return Hello(_whole(head, "protocol"), _text(head, "build", 60), _whole(head, "pid"), facts)


def strings(frame: Frame) -> tuple[int, list[str]]:
    """Return (the id of the first text, texts)."""
    items = _list(frame.head, "items", str)
    return _whole(frame.head, "first", 0, MAX_TEXT_ID), [clean_tail(text, MAX_TEXT) for text in items]


def rows(frame: Frame) -> tuple[dict[str, Array], list[str | None]]:
    """Return (columns, names) of rows that are new or have changed; values out of range become "unknown"."""
    names = frame.head.get("names")
    if not isinstance(names, list):
        raise MessageError("names of rows")
    columns: dict[str, Array] = {}
    for name, code in schema.ROW_COLUMNS:
        found = frame.columns.get(name)
        if found is None or found[0] != code or found[1] != len(names):
            raise MessageError(f"column {name} of rows")
        columns[name] = np.frombuffer(found[2], _TYPES[name]).astype(_TYPES[name].newbyteorder("="))
    ids = columns["id"].astype(np.int64)
    if len(ids) and not ((ids > 0) & (ids < MAX_ID)).all():
        raise MessageError("ids of rows")
    for name, bound in _BOUNDS.items():
        if len(ids) and int(columns[name].astype(np.int64).max()) >= bound:
            raise MessageError(f"column {name} of rows")
    columns["retained"] = columns["retained"].astype(np.int64).clip(-1, 1 << 50)
    columns["error"] = columns["error"].astype(np.int64).clip(0, 1 << 50)
    for name in ("created", "measured_at"):
        seconds = columns[name].astype(np.float64)
        columns[name] = np.where(np.isfinite(seconds) & (seconds >= 0) & (seconds < 1e11), seconds, 0.0)
    columns["activity"] = columns["activity"].astype(np.float32).clip(0.0, 1.0)
    return columns, [_name(name) for name in names]


def _name(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise MessageError("name of a row")
    return clean(value, MAX_TEXT)


def gone(frame: Frame) -> list[int]:
    """Return the ids of rows and nodes that are no more."""
    found = frame.columns.get("id")
    if found is None or found[0] != "q":
        raise MessageError("ids of what is gone")
    return [int(n) for n in np.frombuffer(found[2], "<i8") if 0 < n < MAX_ID]


def nodes(frame: Frame) -> list[Node]:
    """Return nodes of the tree that are new or have changed."""
    return [_node(item) for item in _list(frame.head, "items", dict)]


def _node(item: dict[str, Any]) -> Node:
    queue = item.get("queue")
    return Node(
        id=_whole(item, "id", 1, MAX_ID),
        kind=schema.NODE_KINDS[_whole(item, "kind", 0, len(schema.NODE_KINDS) - 1)],
        label=clean_tail(_raw_text(item, "label"), MAX_TEXT),
        parent=_whole(item, "parent", 0, MAX_ID),
        edge=schema.EDGES[_whole(item, "edge", 0, len(schema.EDGES) - 1)],
        queue=queue if type(queue) is int and 0 <= queue < MAX_ID else None,
        detail=clean_tail(_raw_text(item, "detail"), MAX_TEXT),
    )


def tick(frame: Frame) -> Tick:
    """Return what closes an update."""
    head = frame.head
    said = head.get("agent")
    if not isinstance(said, dict):
        raise MessageError("cost of the agent")
    memory = said.get("memory_bytes")
    cost = AgentCost(
        cpu_seconds=_number(said, "cpu_seconds") or 0.0,
        longest_hold_seconds=_number(said, "longest_hold_seconds") or 0.0,
        memory_bytes=memory if type(memory) is int and 0 <= memory < MAX_ID else None,
        dropped=_whole(said, "dropped", 0, MAX_ID),
        torn=_whole(said, "torn", 0, MAX_ID),
        observers=_whole(said, "observers", 0, MAX_ID),
    )
    return Tick(
        time=_number(head, "time") or 0.0,
        total=_whole(head, "total", 0, MAX_ID),
        measured=_whole(head, "measured", 0, MAX_ID),
        complete=bool(head.get("complete")),
        holders_complete=bool(head.get("holders_complete")),
        collector=_collector(head.get("gc")),
        cost=cost,
    )


def _collector(said: Any) -> Collector | None:
    if not isinstance(said, dict):
        return None
    counts = tuple(n for n in _list(said, "counts", int)[:10] if 0 <= n < MAX_ID)
    collections = tuple(n for n in _list(said, "collections", int)[:10] if 0 <= n < MAX_ID)
    return Collector(
        counts, collections, _whole(said, "collected", 0, 1 << 62), _whole(said, "uncollectable", 0, 1 << 62)
    )


def detail(frame: Frame) -> tuple[int, DetailAnswer]:
    """Return (token, everything about one row)."""
    head = frame.head
    retained = head.get("retained")
    created = _number(head, "created_at")
    answer = DetailAnswer(
        id=_whole(head, "id", 0, MAX_ID),
        chain=tuple(_frame(entry) for entry in _lists(head, "chain", 3)),
        by_type=tuple((_cleaned(t), _count(n), _count(b)) for t, n, b in _lists(head, "by_type", 3)),
        biggest=tuple((_cleaned(p), _cleaned(t), _length(n), _count(b)) for p, t, n, b in _lists(head, "biggest", 4)),
        retained=retained if type(retained) is int and 0 <= retained < MAX_ID else None,
        accuracy=schema.ACCURACIES[_whole(head, "accuracy", 0, len(schema.ACCURACIES) - 1)],
        error=_whole(head, "error", 0, MAX_ID),
        awaited_by=tuple((_count(n), _cleaned(label)) for n, label in _lists(head, "awaited_by", 2)),
        holders=tuple((_cleaned(p), _cleaned(t), _length(n)) for p, t, n in _lists(head, "holders", 3)),
        created_at=created if created is not None and created > 0 else None,
        note=_text(head, "note", 1000),
    )
    return _whole(head, "token"), answer


def _frame(entry: list[Any]) -> ChainFrame:
    function, file, line = entry
    return ChainFrame(_cleaned(function), _cleaned(file), line if type(line) is int and 0 < line < 1 << 31 else None)


def problem(frame: Frame) -> str:
    """Return what the agent could not do."""
    return _text(frame.head, "text", 500)


def farewell(frame: Frame) -> str:
    """Return why the agent ends."""
    return _text(frame.head, "reason", 500)


# -- parts of messages ----------------------------------------------------------------------------------------------


def _raw_text(head: dict[str, Any], name: str) -> str:
    value = head.get(name)
    if not isinstance(value, str):
        raise MessageError(name)
    return value


def _text(head: dict[str, Any], name: str, limit: int = MAX_TEXT) -> str:
    return clean(_raw_text(head, name), limit)


def _cleaned(value: Any) -> str:
    if not isinstance(value, str):
        raise MessageError("text in a list")
    return clean_tail(value, MAX_TEXT)


def _whole(head: dict[str, Any], name: str, least: int = -MAX_ID, most: int = MAX_ID) -> int:
    value = head.get(name)
    if type(value) is not int or not least <= value <= most:
        raise MessageError(name)
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MAX_ID:
        raise MessageError("number in a list")
    return value


def _length(value: Any) -> int | None:
    return None if value is None else _count(value)


def _number(head: dict[str, Any], name: str) -> float | None:
    """A finite number, None where it is not known."""
    value = head.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not abs(value) < 1e15 or not math.isfinite(value):
        raise MessageError(name)
    return float(value)


def _list(head: dict[str, Any], name: str, kind: type) -> list[Any]:
    value = head.get(name)
    if not isinstance(value, list) or len(value) > MAX_LIST or not all(type(entry) is kind for entry in value):
        raise MessageError(name)
    return value


def _lists(head: dict[str, Any], name: str, length: int) -> list[list[Any]]:
    value = _list(head, name, list)
    if not all(len(entry) == length for entry in value):
        raise MessageError(name)
    return value
