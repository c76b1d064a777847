"""Whatever an agent says becomes objects of the model, or a MessageError; and no text of it can do harm on a screen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.protocol import frames, schema
from pyobserver.protocol.frames import Frame
from pyobserver.source import answers, fields, messages, rows
from pyobserver.source.errors import MessageError

from .scripted import ACTION, DETAIL, GROUP, HELLO, PLACES, STRINGS, TICK, TRACED, decoded, node, rows_frame

_ODD = st.sampled_from((-1, 0, 1 << 31, 1 << 53, 1 << 64, -(1 << 63), 1e308, -0.0, "\x1b[2J", "\ud800", "x" * 2000))
_SCALARS = st.one_of(_ODD, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
_NODES: dict[str, Any] = {"t": "nodes", "items": [node(3), node(4, parent=3, queue=2, detail="set")]}
_ALLOCATORS = [["arrow", "mimalloc", 5, None, 7, None, ""], ["cuda", "0", 1, 2, 3, 4, ""]]
READERS: dict[str, tuple[dict[str, Any], list[Callable[[Frame], Any]]]] = {
    "hello": (HELLO, [messages.hello, messages.protocol_version]),
    "strings": (STRINGS, [messages.strings]),
    "nodes": (_NODES, [rows.nodes]),
    "tick": (
        {**TICK, "allocators": _ALLOCATORS},
        [messages.tick, messages.row_limit_is_hit],
    ),
    "detail": (DETAIL, [answers.detail, answers.token]),
    "action": (ACTION, [answers.action]),
    "result": (TRACED, [answers.action]),
    "group": (GROUP, [answers.group, answers.token]),
    "places": (PLACES, [answers.places, answers.token]),
    "problem": ({"t": "problem", "text": "x"}, [messages.problem]),
    "bye": ({"t": "bye", "reason": "x"}, [messages.farewell]),
}


@st.composite
def twisted(draw: st.DrawFn, value: Any) -> Any:
    """A message in which something, at any depth, is something else, or is not there."""
    way = draw(st.integers(0, 9))
    if way == 0:
        return draw(_VALUES)
    if type(value) is dict and value:
        chosen = draw(st.sampled_from(sorted(value)))
        rest = {key: inner for key, inner in value.items() if key != chosen}
        return rest if way == 1 else {**rest, chosen: draw(twisted(value[chosen]))}
    if type(value) is list and value:
        at = draw(st.integers(0, len(value) - 1))
        return value[:at] + ([] if way == 1 else [draw(twisted(value[at]))]) + value[at + 1 :]
    return draw(_VALUES)


def texts(value: Any) -> Iterator[str]:
    """All texts in what was read."""
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def check(read: Callable[[Frame], Any], frame: Frame) -> None:
    try:
        found = read(frame)
    except MessageError:
        return
    assert all(text.isprintable() and len(text) <= 1000 for text in texts(found))


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_any_message(name: str, data: st.DataObject) -> None:
    """True ones with something wrong in them, in the hands of their reader."""
    message, readers = READERS[name]
    head = data.draw(twisted(message))
    for read in readers:
        check(read, Frame(head if type(head) is dict else {}, {}))


@given(st.dictionaries(st.sampled_from(sorted({*HELLO, *TICK, *DETAIL, "items", "text"})), _VALUES), st.data())
def test_any_head_in_any_hands(head: dict[str, Any], data: st.DataObject) -> None:
    readers = [read for _, several in READERS.values() for read in several]
    check(data.draw(st.sampled_from([*readers, rows.changed, rows.gone])), Frame(head, {}))


_COLUMN = st.tuples(st.sampled_from(frames.TYPE_CODES), st.integers(0, 3), st.sampled_from((0, 0x7F, 0x80, 0xFF)))


@given(
    st.dictionaries(st.sampled_from([*schema.ROW_NAMES, "x"]), _COLUMN, max_size=4),
    st.one_of(st.lists(st.one_of(st.none(), st.text()), min_size=2, max_size=2), _VALUES),
)
def test_any_columns(changed: dict[str, tuple[str, int, int]], said: Any) -> None:
    """Of any type, length and content, beside names that may be none."""
    (frame,) = decoded(rows_frame([5, 6], ["a", None]))
    frame.head["names"] = said
    for name, (code, count, byte) in changed.items():
        size = len(frames.pack(code, [0] * count))
        frame.columns[name] = (code, count, bytes([byte]) * size)
    check(rows.changed, frame)
    check(rows.gone, frame)


@given(st.binary(min_size=38, max_size=38))
def test_any_bytes_as_numbers(raw: bytes) -> None:
    """Each column of two rows filled with the same bytes: what cannot be is not known, and what is not ours refused."""
    (frame,) = decoded(rows_frame([5, 6], ["a", None]))
    for name, (code, count, packed) in list(frame.columns.items()):
        if name not in ("id", "kind", "state", "accuracy", "edge"):
            frame.columns[name] = (code, count, raw[: len(packed)])
    columns, _ = rows.changed(frame)
    sizes = columns["retained"].tolist() + columns["error"].tolist()
    assert all(-1 <= size < fields.MAX_BYTES for size in sizes)
