"""What the agent says, as the model's objects. It comes from a foreign process: checked, bounded and cleaned here.

A message that is not as the contract has it raises MessageError; the connection ends then, as nothing behind it can be
trusted either. A measured number that cannot be becomes "not known".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.actions import Outcome, Progress, Prospects, Site
from ..model.details import ChainFrame, DetailAnswer, GroupAnswer, SharedObject, Variable
from ..model.forest import Node
from ..model.places import ContainerPlace, ObjectPlace, PlacesAnswer
from ..model.readings import AgentCost, AgentFacts, Collector, Tick
from ..protocol import schema
from ..protocol.clean import clean, clean_tail
from ..protocol.frames import Frame
from .errors import MessageError

MAX_TEXT = 300
MAX_LIST = 5000  # entries of any list within a message
MAX_TEXT_ID = 1 << 20
MAX_ID = 1 << 50
MAX_BYTES = 1 << 48  # no address space is larger
MAX_COUNT = (1 << 53) - 1
_MAX_TIME = 1e11  # Unix seconds: the year 5138
_MAX_SECONDS = 1e12
_CODES = dict(schema.ROW_COLUMNS)
_TABLES = {"kind": schema.KINDS, "state": schema.STATES, "accuracy": schema.ACCURACIES, "edge": schema.EDGES}
Array = NDArray[np.generic]


@dataclass(frozen=True)
class Hello:
    """The greeting of an agent: every field of the message, texts cleaned. `method` is how it says that it came in."""

    protocol: int
    build: str
    pid: int  # as the target knows itself
    python: str
    implementation: str
    executable: str
    argv: tuple[str, ...]
    started_at: float | None
    platform: str
    free_threaded: bool
    switch_interval: float | None
    agent_started_at: float
    capabilities: tuple[str, ...]
    self_check: str
    method: str


def protocol_version(frame: Frame) -> int:
    """Return the version of the protocol that a greeting announces."""
    return _whole(frame.head, "protocol", 0, MAX_COUNT)


def hello(frame: Frame) -> Hello:
    """Read the first message, whose protocol is ours."""
    head = frame.head
    return Hello(
        protocol=protocol_version(frame),
        build=_text(head, "build", 60),
        pid=_whole(head, "pid", 1, 1 << 31),
        python=_text(head, "python", 60),
        implementation=_text(head, "implementation", 60),
        executable=_tail(head, "executable"),
        argv=tuple(clean(word, MAX_TEXT) for word in _list(head, "argv", str)),
        started_at=_optional_number(head, "started_at", _MAX_TIME),
        platform=_text(head, "platform", 60),
        free_threaded=_flag(head, "free_threaded"),
        switch_interval=_optional_number(head, "switch_interval", _MAX_SECONDS),
        agent_started_at=_number(head, "agent_started_at", _MAX_TIME),
        capabilities=tuple(clean(word, 60) for word in _list(head, "capabilities", str)),
        self_check=_text(head, "self_check", 500),
        method=_text(head, "method", 60),
    )


def facts(said: Hello, method: str, attach_seconds: float | None, held_seconds: float | None) -> AgentFacts:
    """Return what is to be known of an agent. `method` is how it came in, unless it was "existing" and says more."""
    return AgentFacts(
        python=said.python,
        implementation=said.implementation,
        executable=said.executable,
        command=said.argv,
        platform=said.platform,
        free_threaded=said.free_threaded,
        self_check=said.self_check,
        capabilities=said.capabilities,
        switch_interval=said.switch_interval,
        agent_started_at=said.agent_started_at,
        method=said.method if method == "existing" and said.method not in ("", "auto") else method,
        attach_seconds=attach_seconds,
        held_seconds=held_seconds,
    )


def strings(frame: Frame) -> tuple[int, list[str]]:
    """Return (the id of the first text, texts); what tells long ones apart is their end."""
    items = _list(frame.head, "items", str)
    return _whole(frame.head, "first", 1, MAX_TEXT_ID), [clean_tail(text, MAX_TEXT) for text in items]


# -- rows and nodes -------------------------------------------------------------------------------------------------


def rows(frame: Frame) -> tuple[dict[str, Array], list[str | None]]:
    """Return (columns, names) of rows that are new or have changed."""
    names = frame.head.get("names")
    if type(names) is not list:
        raise MessageError("rows: no names")
    columns = {name: _column(frame, name, len(names)) for name, _ in schema.ROW_COLUMNS}
    ids = columns["id"].astype(np.int64)
    if not ((ids > 0) & (ids < MAX_ID)).all():
        raise MessageError("rows: an id that no agent gives out")
    for name, table in _TABLES.items():
        if (columns[name].astype(np.int64) >= len(table)).any():
            raise MessageError(f"rows: a {name} that this protocol does not know")
    _settle_sizes(columns)
    for name in ("created", "measured_at"):
        _keep_within(columns, name, 0.0, _MAX_TIME, 0.0)
    _keep_within(columns, "cpu", 0.0, _MAX_SECONDS, np.nan)
    _keep_within(columns, "activity", 0.0, 1.0, np.nan)
    _keep_within(columns, "os_id", 0, 1 << 31, 0)
    for name in ("loop", "parent", "function", "waiting", "where"):
        _keep_within(columns, name, 0, MAX_ID, 0)
    _keep_within(columns, "queue", 0, 1 << 31, -1)
    return columns, [_name(name) for name in names]


def _column(frame: Frame, name: str, length: int) -> Array:
    code, count, packed = frame.columns.get(name, ("", 0, b""))
    if code != _CODES[name] or count != length:
        raise MessageError(f"rows: column {name}")
    kind = np.dtype("<" + code)
    return np.frombuffer(packed, kind).astype(kind.newbyteorder("="))


def _settle_sizes(columns: dict[str, Array]) -> None:
    """A size that cannot be, or an error that cannot be, is no measurement."""
    retained, error = columns["retained"].astype(np.int64), columns["error"].astype(np.int64)
    known = (retained >= 0) & (retained < MAX_BYTES) & (error >= 0) & (error < MAX_BYTES)
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
    return clean(value, MAX_TEXT)


def gone(frame: Frame) -> list[int]:
    """Return the ids of rows and nodes that are no more."""
    code, _, packed = frame.columns.get("id", ("", 0, b""))
    if code != "q":
        raise MessageError("gone: column id")
    ids: list[int] = np.frombuffer(packed, "<i8").tolist()
    if any(not 0 < number < MAX_ID for number in ids):
        raise MessageError("gone: an id that no agent gives out")
    return ids


def nodes(frame: Frame) -> list[Node]:
    """Return nodes of the tree that are new or have changed."""
    return [_node(item) for item in _list(frame.head, "items", dict)]


def _node(item: dict[str, Any]) -> Node:
    queue = item.get("queue")
    return Node(
        id=_whole(item, "id", 1, MAX_ID - 1),
        kind=schema.NODE_KINDS[_whole(item, "kind", 0, len(schema.NODE_KINDS) - 1)],
        label=_tail(item, "label"),
        parent=_whole(item, "parent", 0, MAX_ID - 1),
        edge=schema.EDGES[_whole(item, "edge", 0, len(schema.EDGES) - 1)],
        queue=queue if type(queue) is int and 0 <= queue <= 1 << 31 else None,
        detail=_tail(item, "detail"),
    )


# -- the end of an update -------------------------------------------------------------------------------------------


def tick(frame: Frame) -> Tick:
    """Return what closes an update."""
    head = frame.head
    said = _object(head, "agent")
    memory = said.get("memory_bytes")
    cost = AgentCost(
        cpu_seconds=_number(said, "cpu_seconds", _MAX_SECONDS),
        longest_hold_seconds=_number(said, "longest_hold_seconds", _MAX_SECONDS),
        memory_bytes=memory if type(memory) is int and 0 <= memory < MAX_BYTES else None,
        dropped=_whole(said, "dropped", 0, MAX_COUNT),
        torn=_whole(said, "torn", 0, MAX_COUNT),
        observers=_whole(said, "observers", 0, MAX_COUNT),
    )
    return Tick(
        time=_number(head, "time", _MAX_TIME),
        total=_whole(head, "total", 0, MAX_COUNT),
        measured=_whole(head, "measured", 0, MAX_COUNT),
        complete=_flag(head, "complete"),
        holders_complete=_flag(head, "holders_complete"),
        collector=None if head.get("gc") is None else _collector(_object(head, "gc")),
        cost=cost,
        is_full=row_limit_is_hit(frame),
        prospects=None if head.get("remedies") is None else _prospects(_object(head, "remedies")),
    )


def row_limit_is_hit(frame: Frame) -> bool:
    """Whether there are more tasks than the agent keeps; told with each tick."""
    return _flag(_object(frame.head, "agent"), "rows_limit_hit")


def _prospects(said: dict[str, Any]) -> Prospects:
    return Prospects(_text(said, "collect"), _flag(said, "foreign"), _flag(said, "tracing"))


def _collector(said: dict[str, Any]) -> Collector:
    return Collector(
        counts=tuple(_count(n) for n in _list(said, "counts", int, 10)),
        collections=tuple(_count(n) for n in _list(said, "collections", int, 10)),
        collected=_whole(said, "collected", 0, MAX_COUNT),
        uncollectable=_whole(said, "uncollectable", 0, MAX_COUNT),
    )


# -- details and words ----------------------------------------------------------------------------------------------


def token(frame: Frame) -> int:
    """Return the token of the question that is answered."""
    return _whole(frame.head, "token", 0, MAX_COUNT)


def detail(frame: Frame) -> DetailAnswer:
    """Return everything about one row."""
    head = frame.head
    retained = head.get("retained")
    created = _optional_number(head, "created_at", _MAX_TIME)
    return DetailAnswer(
        id=_whole(head, "id", -MAX_ID, MAX_ID),
        chain=tuple(_frame(entry) for entry in _lists(head, "chain", 3)),
        waits=_text(head, "waits"),
        by_type=tuple((_cleaned(t), _count(n), _count(b)) for t, n, b in _lists(head, "by_type", 3)),
        biggest=tuple(
            (_cleaned(p), _cleaned(t), _length(n), _count(b), _cleaned(v))
            for p, t, n, b, v in _lists(head, "biggest", 5)
        ),
        variables=tuple(
            Variable(_cleaned(f), _cleaned(name), _cleaned(t), _length(n), _cleaned(v))
            for f, name, t, n, v in _lists(head, "locals", 5)
        ),
        retained=retained if type(retained) is int and 0 <= retained < MAX_BYTES else None,
        accuracy=_accuracy(head, "accuracy"),
        error=_whole(head, "error", 0, MAX_COUNT),
        awaited_by=tuple((_count(n), _cleaned(label)) for n, label in _lists(head, "awaited_by", 2)),
        holders=tuple((_cleaned(p), _cleaned(t), _length(n)) for p, t, n in _lists(head, "holders", 3)),
        created_at=created or None,
        blocked=_whole(head, "blocked", 0, MAX_COUNT),
        note=_text(head, "note", 1000),
    )


def group(frame: Frame) -> GroupAnswer:
    """Return what the tasks of a group retain together."""
    head = frame.head
    looked_at = _whole(head, "looked_at", 0, MAX_COUNT)
    together = head.get("together")
    return GroupAnswer(
        members=_whole(head, "members", 0, MAX_COUNT),
        looked_at=looked_at,
        moved=_whole(head, "moved", 0, MAX_COUNT),
        ended=_whole(head, "ended", 0, MAX_COUNT),
        alone=_whole(head, "alone", 0, MAX_BYTES) if looked_at else None,
        alone_accuracy=_accuracy(head, "alone_accuracy"),
        alone_error=_whole(head, "alone_error", 0, MAX_COUNT),
        together=together if type(together) is int and 0 <= together < MAX_BYTES else None,
        together_accuracy=_accuracy(head, "together_accuracy"),
        together_error=_whole(head, "together_error", 0, MAX_COUNT),
        common=_shared(head, "common"),
        shared_bytes=_whole(head, "shared_bytes", 0, MAX_COUNT),
        shared_objects=_whole(head, "shared_objects", 0, MAX_COUNT),
        shared=_shared(head, "shared"),
        by_type=tuple((_cleaned(t), _count(n), _count(b)) for t, n, b in _lists(head, "by_type", 3)),
        by_type_members=_whole(head, "by_type_members", 0, MAX_COUNT),
        seconds=_number(head, "seconds", _MAX_SECONDS),
        note=_text(head, "note", 1000),
    )


def places(frame: Frame) -> PlacesAnswer:
    """Return where objects are held."""
    head = frame.head
    return PlacesAnswer(
        containers=tuple(
            ContainerPlace(_cleaned(path), _cleaned(kind), _count(number), _count(items), _count(largest))
            for path, kind, number, items, largest in _lists(head, "containers", 5)
        ),
        places=tuple(
            ObjectPlace(_cleaned(path), _cleaned(kind), _count(number), _length(length), _counts(examples))
            for path, kind, number, length, examples in _lists(head, "places", 5)
        ),
        references=_whole(head, "references", 0, MAX_COUNT),
        seconds=_number(head, "seconds", _MAX_SECONDS),
        note=_text(head, "note", 1000),
    )


def _counts(value: Any) -> tuple[int, ...]:
    if type(value) is not list or len(value) > 10:
        raise MessageError("a list of counts is none")
    return tuple(_count(each) for each in value)


def _shared(head: dict[str, Any], name: str) -> tuple[SharedObject, ...]:
    return tuple(
        SharedObject(_cleaned(path), _cleaned(kind), _length(length), _count(size), _count(members))
        for path, kind, length, size, members in _lists(head, name, 5)
    )


def _accuracy(head: dict[str, Any], name: str) -> str:
    return schema.ACCURACIES[_whole(head, name, 0, len(schema.ACCURACIES) - 1)]


def _frame(entry: list[Any]) -> ChainFrame:
    function, file, line = entry
    return ChainFrame(_cleaned(function), _cleaned(file), line if type(line) is int and 0 < line < 1 << 31 else None)


def action(frame: Frame) -> tuple[int, Progress]:
    """Return (the token of an action, what has come of it)."""
    head = frame.head
    return _whole(head, "token", 0, MAX_COUNT), Progress(
        state=schema.ACTION_STATES[_whole(head, "state", 0, len(schema.ACTION_STATES) - 1)],
        seconds=_number(head, "seconds", _MAX_SECONDS),
        final=_flag(head, "final"),
        text=_text(head, "text"),
        outcome=None if head.get("result") is None else _outcome(_object(head, "result")),
    )


def _outcome(said: dict[str, Any]) -> Outcome:
    """What an action has done: each has some of the fields, and all have `held`."""
    sites = _lists(said, "sites", 4) if "sites" in said else []
    return Outcome(
        held_seconds=_number(said, "held", _MAX_SECONDS),
        rss_before=_length(said.get("rss_before")),
        rss_after=_length(said.get("rss_after")),
        found=_length(said.get("found")),
        uncollectable=_length(said.get("uncollectable")),
        way=_text(said, "way", 60) if "way" in said else "",
        traced_seconds=_optional_number(said, "traced", _MAX_SECONDS),
        bytes=_count(said.get("bytes", 0)),
        blocks=_count(said.get("blocks", 0)),
        places=_count(said.get("places", 0)),
        sites=tuple(Site(_cleaned(file), _count(line), _count(size), _count(n)) for file, line, size, n in sites[:50]),
    )


def problem(frame: Frame) -> str:
    """Return what the agent could not do."""
    return _text(frame.head, "text", 500)


def farewell(frame: Frame) -> str:
    """Return why the agent ends."""
    return _text(frame.head, "reason", 500)


# -- parts of messages ----------------------------------------------------------------------------------------------


def _raw_text(head: dict[str, Any], name: str) -> str:
    value = head.get(name)
    if type(value) is not str:
        raise MessageError(f"{name} is no text")
    return value


def _text(head: dict[str, Any], name: str, limit: int = MAX_TEXT) -> str:
    return clean(_raw_text(head, name), limit)


def _tail(head: dict[str, Any], name: str) -> str:
    return clean_tail(_raw_text(head, name), MAX_TEXT)


def _cleaned(value: Any) -> str:
    if type(value) is not str:
        raise MessageError("a text in a list is none")
    return clean_tail(value, MAX_TEXT)


def _flag(head: dict[str, Any], name: str) -> bool:
    value = head.get(name)
    if type(value) is not bool:
        raise MessageError(f"{name} is neither true nor false")
    return value


def _whole(head: dict[str, Any], name: str, least: int, most: int) -> int:
    value = head.get(name)
    if type(value) is not int or not least <= value <= most:
        raise MessageError(f"{name} is no whole number from {least} to {most}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise MessageError("a count in a list is none")
    return value


def _length(value: Any) -> int | None:
    return None if value is None else _count(value)


def _number(head: dict[str, Any], name: str, most: float) -> float:
    value: Any = head.get(name)
    if type(value) not in (int, float) or not 0 <= value <= most:  # NaN is not, either
        raise MessageError(f"{name} is no number from 0 to {most:g}")
    return float(value)


def _optional_number(head: dict[str, Any], name: str, most: float) -> float | None:
    return None if head.get(name) is None else _number(head, name, most)


def _object(head: dict[str, Any], name: str) -> dict[str, Any]:
    value = head.get(name)
    if type(value) is not dict:
        raise MessageError(f"{name} is no object")
    return value


def _list(head: dict[str, Any], name: str, kind: type, most: int = MAX_LIST) -> list[Any]:
    value = head.get(name)
    if type(value) is not list or len(value) > most or not all(type(entry) is kind for entry in value):
        raise MessageError(f"{name} is no list of at most {most} {kind.__name__}")
    return value


def _lists(head: dict[str, Any], name: str, length: int) -> list[list[Any]]:
    value: list[list[Any]] = _list(head, name, list)
    if not all(len(entry) == length for entry in value):
        raise MessageError(f"{name}: an entry has not {length} parts")
    return value
