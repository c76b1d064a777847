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
from . import fields, inner
from .errors import MessageError
from .fields import MAX_COUNT, MAX_TEXT

MAX_TEXT_ID = 1 << 20
MAX_ID = 1 << 50
MAX_BYTES = 1 << 48  # no address space is larger
_MAX_TIME = 1e11  # Unix seconds: the year 5138
_MAX_SECONDS = 1e12
MAX_OTHERS = 4  # owners of one row beside its parent
_CODES = dict(schema.ROW_COLUMNS + schema.OTHERS_COLUMNS)
_OTHERS = frozenset(dict(schema.OTHERS_COLUMNS))
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
    followed: float | None  # seconds


def protocol_version(frame: Frame) -> int:
    """Return the version of the protocol that a greeting announces."""
    return fields.whole(frame.head, "protocol", 0, MAX_COUNT)


def hello(frame: Frame) -> Hello:
    """Read the first message, whose protocol is ours."""
    head = frame.head
    return Hello(
        protocol=protocol_version(frame),
        build=fields.text(head, "build", 60),
        pid=fields.whole(head, "pid", 1, 1 << 31),
        python=fields.text(head, "python", 60),
        implementation=fields.text(head, "implementation", 60),
        executable=fields.tail(head, "executable"),
        argv=tuple(clean(word, MAX_TEXT) for word in fields.entries(head, "argv", str)),
        started_at=fields.optional_number(head, "started_at", _MAX_TIME),
        platform=fields.text(head, "platform", 60),
        free_threaded=fields.flag(head, "free_threaded"),
        switch_interval=fields.optional_number(head, "switch_interval", _MAX_SECONDS),
        agent_started_at=fields.number(head, "agent_started_at", _MAX_TIME),
        capabilities=tuple(clean(word, 60) for word in fields.entries(head, "capabilities", str)),
        self_check=fields.text(head, "self_check", 500),
        method=fields.text(head, "method", 60),
        followed=fields.optional_number(head, "followed", _MAX_TIME),
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
        followed_seconds=said.followed,
    )


def strings(frame: Frame) -> tuple[int, list[str]]:
    """Return (the id of the first text, texts); what tells long ones apart is their end."""
    items = fields.entries(frame.head, "items", str)
    return fields.whole(frame.head, "first", 1, MAX_TEXT_ID), [clean_tail(text, MAX_TEXT) for text in items]


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


def other_owners(frame: Frame) -> dict[int, tuple[tuple[int, str], ...]]:
    """Return the owners of rows but their parents, by the row: (the owner's id, the edge's kind), at most four."""
    if all(name not in frame.columns for name in _OTHERS):
        return {}
    length = frame.columns.get(schema.OTHERS_COLUMNS[0][0], ("", 0, b""))[1]
    rows, owners, edges = (_column(frame, name, length).tolist() for name, _ in schema.OTHERS_COLUMNS)
    found: dict[int, list[tuple[int, str]]] = {}
    for row, owner, edge in zip(rows, owners, edges, strict=True):
        if not 0 < row < MAX_ID or not 0 < owner < MAX_ID or edge >= len(schema.EDGES):
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
    return [_node(item) for item in fields.entries(frame.head, "items", dict)]


def _node(item: dict[str, Any]) -> Node:
    queue = item.get("queue")
    return Node(
        id=fields.whole(item, "id", 1, MAX_ID - 1),
        kind=schema.NODE_KINDS[fields.whole(item, "kind", 0, len(schema.NODE_KINDS) - 1)],
        label=fields.tail(item, "label"),
        parent=fields.whole(item, "parent", 0, MAX_ID - 1),
        edge=schema.EDGES[fields.whole(item, "edge", 0, len(schema.EDGES) - 1)],
        queue=queue if type(queue) is int and 0 <= queue <= 1 << 31 else None,
        detail=fields.tail(item, "detail"),
        pids=_pids(item),
    )


def _pids(item: dict[str, Any]) -> tuple[int, ...]:
    if "pids" not in item:  # of an older agent
        return ()
    return tuple(n for n in fields.entries(item, "pids", int, schema.MAX_PIDS) if 0 < n < 1 << 31)


# -- the end of an update -------------------------------------------------------------------------------------------


def tick(frame: Frame) -> Tick:
    """Return what closes an update."""
    head = frame.head
    said = fields.mapping(head, "agent")
    memory = said.get("memory_bytes")
    cost = AgentCost(
        cpu_seconds=fields.number(said, "cpu_seconds", _MAX_SECONDS),
        longest_hold_seconds=fields.number(said, "longest_hold_seconds", _MAX_SECONDS),
        memory_bytes=memory if type(memory) is int and 0 <= memory < MAX_BYTES else None,
        dropped=fields.whole(said, "dropped", 0, MAX_COUNT),
        torn=fields.whole(said, "torn", 0, MAX_COUNT),
        observers=fields.whole(said, "observers", 0, MAX_COUNT),
        stays=fields.flag(said, "stays"),
    )
    return Tick(
        time=fields.number(head, "time", _MAX_TIME),
        total=fields.whole(head, "total", 0, MAX_COUNT),
        measured=fields.whole(head, "measured", 0, MAX_COUNT),
        complete=fields.flag(head, "complete"),
        holders_complete=fields.flag(head, "holders_complete"),
        collector=None if head.get("gc") is None else _collector(fields.mapping(head, "gc")),
        cost=cost,
        is_full=row_limit_is_hit(frame),
        prospects=None if head.get("remedies") is None else _prospects(fields.mapping(head, "remedies")),
        allocators=() if head.get("allocators") is None else inner.allocators(head),
    )


def row_limit_is_hit(frame: Frame) -> bool:
    """Whether there are more tasks than the agent keeps; told with each tick."""
    return fields.flag(fields.mapping(frame.head, "agent"), "rows_limit_hit")


def _prospects(said: dict[str, Any]) -> Prospects:
    return Prospects(
        collect=fields.text(said, "collect"),
        foreign=fields.flag(said, "foreign"),
        tracing=fields.flag(said, "tracing"),
        creations=said.get("creations") is True,
        creation_seconds=fields.optional_number(said, "creation_seconds", _MAX_SECONDS),
    )


def _collector(said: dict[str, Any]) -> Collector:
    return Collector(
        counts=tuple(fields.count(n) for n in fields.entries(said, "counts", int, 10)),
        collections=tuple(fields.count(n) for n in fields.entries(said, "collections", int, 10)),
        collected=fields.whole(said, "collected", 0, MAX_COUNT),
        uncollectable=fields.whole(said, "uncollectable", 0, MAX_COUNT),
        seconds=None if said.get("seconds") is None else _seconds(said),
        garbage=None if said.get("garbage") is None else fields.whole(said, "garbage", 0, MAX_COUNT),
    )


def _seconds(said: dict[str, Any]) -> tuple[float, ...]:
    """How long collections have taken, by generation; one that cannot be makes all of them unknown."""
    found = fields.entries(said, "seconds", float, 10)
    if not all(0.0 <= number <= _MAX_SECONDS for number in found):
        raise MessageError("tick: a time that cannot be")
    return tuple(found)


# -- details and words ----------------------------------------------------------------------------------------------


def token(frame: Frame) -> int:
    """Return the token of the question that is answered."""
    return fields.whole(frame.head, "token", 0, MAX_COUNT)


def detail(frame: Frame) -> DetailAnswer:
    """Return everything about one row."""
    head = frame.head
    retained = head.get("retained")
    created = fields.optional_number(head, "created_at", _MAX_TIME)
    return DetailAnswer(
        id=fields.whole(head, "id", -MAX_ID, MAX_ID),
        chain=tuple(_frame(entry) for entry in fields.parts(head, "chain", 3)),
        waits=fields.text(head, "waits"),
        by_type=tuple(
            (fields.cleaned(t), fields.count(n), fields.count(b)) for t, n, b in fields.parts(head, "by_type", 3)
        ),
        biggest=tuple(
            (fields.cleaned(p), fields.cleaned(t), fields.length(n), fields.count(b), fields.cleaned(v))
            for p, t, n, b, v in fields.parts(head, "biggest", 5)
        ),
        variables=tuple(
            Variable(fields.cleaned(f), fields.cleaned(name), fields.cleaned(t), fields.length(n), fields.cleaned(v))
            for f, name, t, n, v in fields.parts(head, "locals", 5)
        ),
        retained=retained if type(retained) is int and 0 <= retained < MAX_BYTES else None,
        accuracy=_accuracy(head, "accuracy"),
        error=fields.whole(head, "error", 0, MAX_COUNT),
        awaited_by=tuple((fields.count(n), fields.cleaned(label)) for n, label in fields.parts(head, "awaited_by", 2)),
        holders=tuple(
            (fields.cleaned(p), fields.cleaned(t), fields.length(n)) for p, t, n in fields.parts(head, "holders", 3)
        ),
        created_at=created or None,
        spawned_at=fields.tail(head, "spawned_at") if "spawned_at" in head else "",
        spawned_by=tuple((fields.count(n), fields.cleaned(label)) for n, label in fields.parts(head, "spawned_by", 2))
        if "spawned_by" in head
        else (),
        blocked=fields.whole(head, "blocked", 0, MAX_COUNT),
        note=fields.text(head, "note", 1000),
    )


def group(frame: Frame) -> GroupAnswer:
    """Return what the tasks of a group retain together."""
    head = frame.head
    looked_at = fields.whole(head, "looked_at", 0, MAX_COUNT)
    together = head.get("together")
    return GroupAnswer(
        members=fields.whole(head, "members", 0, MAX_COUNT),
        looked_at=looked_at,
        moved=fields.whole(head, "moved", 0, MAX_COUNT),
        ended=fields.whole(head, "ended", 0, MAX_COUNT),
        alone=fields.whole(head, "alone", 0, MAX_BYTES) if looked_at else None,
        alone_accuracy=_accuracy(head, "alone_accuracy"),
        alone_error=fields.whole(head, "alone_error", 0, MAX_COUNT),
        together=together if type(together) is int and 0 <= together < MAX_BYTES else None,
        together_accuracy=_accuracy(head, "together_accuracy"),
        together_error=fields.whole(head, "together_error", 0, MAX_COUNT),
        common=_shared(head, "common"),
        shared_bytes=fields.whole(head, "shared_bytes", 0, MAX_COUNT),
        shared_objects=fields.whole(head, "shared_objects", 0, MAX_COUNT),
        shared=_shared(head, "shared"),
        by_type=tuple(
            (fields.cleaned(t), fields.count(n), fields.count(b)) for t, n, b in fields.parts(head, "by_type", 3)
        ),
        by_type_members=fields.whole(head, "by_type_members", 0, MAX_COUNT),
        seconds=fields.number(head, "seconds", _MAX_SECONDS),
        note=fields.text(head, "note", 1000),
    )


def places(frame: Frame) -> PlacesAnswer:
    """Return where objects are held."""
    head = frame.head
    return PlacesAnswer(
        containers=tuple(
            ContainerPlace(
                fields.cleaned(path),
                fields.cleaned(kind),
                fields.count(number),
                fields.count(items),
                fields.count(largest),
            )
            for path, kind, number, items, largest in fields.parts(head, "containers", 5)
        ),
        places=tuple(
            ObjectPlace(
                fields.cleaned(path),
                fields.cleaned(kind),
                fields.count(number),
                fields.length(length),
                _counts(examples),
            )
            for path, kind, number, length, examples in fields.parts(head, "places", 5)
        ),
        references=fields.whole(head, "references", 0, MAX_COUNT),
        seconds=fields.number(head, "seconds", _MAX_SECONDS),
        note=fields.text(head, "note", 1000),
    )


def _counts(value: Any) -> tuple[int, ...]:
    if type(value) is not list or len(value) > 10:
        raise MessageError("a list of counts is none")
    return tuple(fields.count(each) for each in value)


def _shared(head: dict[str, Any], name: str) -> tuple[SharedObject, ...]:
    return tuple(
        SharedObject(
            fields.cleaned(path), fields.cleaned(kind), fields.length(length), fields.count(size), fields.count(members)
        )
        for path, kind, length, size, members in fields.parts(head, name, 5)
    )


def _accuracy(head: dict[str, Any], name: str) -> str:
    return schema.ACCURACIES[fields.whole(head, name, 0, len(schema.ACCURACIES) - 1)]


def _frame(entry: list[Any]) -> ChainFrame:
    function, file, line = entry
    return ChainFrame(
        fields.cleaned(function), fields.cleaned(file), line if type(line) is int and 0 < line < 1 << 31 else None
    )


def action(frame: Frame) -> tuple[int, Progress]:
    """Return (the token of an action, what has come of it)."""
    head = frame.head
    return fields.whole(head, "token", 0, MAX_COUNT), Progress(
        state=schema.ACTION_STATES[fields.whole(head, "state", 0, len(schema.ACTION_STATES) - 1)],
        seconds=fields.number(head, "seconds", _MAX_SECONDS),
        final=fields.flag(head, "final"),
        text=fields.text(head, "text"),
        outcome=None if head.get("result") is None else _outcome(fields.mapping(head, "result")),
    )


def _outcome(said: dict[str, Any]) -> Outcome:
    """What an action has done: each has some of the fields, and all have `held`."""
    sites = fields.parts(said, "sites", 4) if "sites" in said else []
    return Outcome(
        held_seconds=fields.number(said, "held", _MAX_SECONDS),
        rss_before=fields.length(said.get("rss_before")),
        rss_after=fields.length(said.get("rss_after")),
        found=fields.length(said.get("found")),
        uncollectable=fields.length(said.get("uncollectable")),
        way=fields.text(said, "way", 60) if "way" in said else "",
        traced_seconds=fields.optional_number(said, "traced", _MAX_SECONDS),
        bytes=fields.count(said.get("bytes", 0)),
        blocks=fields.count(said.get("blocks", 0)),
        places=fields.count(said.get("places", 0)),
        sites=tuple(
            Site(fields.cleaned(file), fields.count(line), fields.count(size), fields.count(n))
            for file, line, size, n in sites[:50]
        ),
    )


def problem(frame: Frame) -> str:
    """Return what the agent could not do."""
    return fields.text(frame.head, "text", 500)


def farewell(frame: Frame) -> str:
    """Return why the agent ends."""
    return fields.text(frame.head, "reason", 500)
