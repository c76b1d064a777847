"""What the agent answers: about a row, a group, places, and what has come of actions; checked as all that it says."""

from __future__ import annotations

from typing import Any

from ..model.actions import Outcome, Progress, Site
from ..model.details import ChainFrame, DetailAnswer, GroupAnswer, SharedObject, Variable
from ..model.places import ContainerPlace, ObjectPlace, PlacesAnswer
from ..protocol import schema
from ..protocol.frames import Frame
from . import fields
from .errors import MessageError
from .fields import MAX_COUNT


def token(frame: Frame) -> int:
    """Return the token of the question that is answered."""
    return fields.whole(frame.head, "token", 0, MAX_COUNT)


def detail(frame: Frame) -> DetailAnswer:
    """Return everything about one row."""
    head = frame.head
    retained = head.get("retained")
    created = fields.optional_number(head, "created_at", fields.MAX_TIME)
    return DetailAnswer(
        id=fields.whole(head, "id", -fields.MAX_ID, fields.MAX_ID),
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
        retained=retained if type(retained) is int and 0 <= retained < fields.MAX_BYTES else None,
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
        alone=fields.whole(head, "alone", 0, fields.MAX_BYTES) if looked_at else None,
        alone_accuracy=_accuracy(head, "alone_accuracy"),
        alone_error=fields.whole(head, "alone_error", 0, MAX_COUNT),
        together=together if type(together) is int and 0 <= together < fields.MAX_BYTES else None,
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
        seconds=fields.number(head, "seconds", fields.MAX_SECONDS),
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
        seconds=fields.number(head, "seconds", fields.MAX_SECONDS),
        note=fields.text(head, "note", 1000),
    )


def action(frame: Frame) -> tuple[int, Progress]:
    """Return (the token of an action, what has come of it)."""
    head = frame.head
    return fields.whole(head, "token", 0, MAX_COUNT), Progress(
        state=schema.ACTION_STATES[fields.whole(head, "state", 0, len(schema.ACTION_STATES) - 1)],
        seconds=fields.number(head, "seconds", fields.MAX_SECONDS),
        final=fields.flag(head, "final"),
        text=fields.text(head, "text"),
        outcome=None if head.get("result") is None else _outcome(fields.mapping(head, "result")),
    )


def _outcome(said: dict[str, Any]) -> Outcome:
    """What an action has done: each has some of the fields, and all have `held`."""
    sites = fields.parts(said, "sites", 4) if "sites" in said else []
    return Outcome(
        held_seconds=fields.number(said, "held", fields.MAX_SECONDS),
        rss_before=fields.length(said.get("rss_before")),
        rss_after=fields.length(said.get("rss_after")),
        found=fields.length(said.get("found")),
        uncollectable=fields.length(said.get("uncollectable")),
        way=fields.text(said, "way", 60) if "way" in said else "",
        traced_seconds=fields.optional_number(said, "traced", fields.MAX_SECONDS),
        bytes=fields.count(said.get("bytes", 0)),
        blocks=fields.count(said.get("blocks", 0)),
        places=fields.count(said.get("places", 0)),
        sites=tuple(
            Site(fields.cleaned(file), fields.count(line), fields.count(size), fields.count(n))
            for file, line, size, n in sites[:50]
        ),
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
