"""Messages become the model's objects, or are refused: every field, with everything that it must not be."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from pyobserver.protocol import frames
from pyobserver.source import answers, fields, messages, rows
from pyobserver.source.errors import MessageError

from .scripted import (
    ACTION,
    DETAIL,
    GROUP,
    HELLO,
    PLACES,
    STRINGS,
    TICK,
    changed,
    frame,
    node,
    row_columns,
)

ESCAPES = "\x1b]0;owned\x07\u202e\nend"


# -- what is right --------------------------------------------------------------------------------------------------


def test_a_tick() -> None:
    tick = messages.tick(frame(TICK))
    assert (tick.total, tick.measured, tick.complete, tick.holders_complete) == (2, 2, True, True)
    assert tick.collector is not None and tick.collector.collections == (4, 5, 6) and tick.collector.garbage == 2
    older = messages.tick(frame(changed(TICK, "gc.garbage", None)))
    assert older.collector is not None and older.collector.garbage is None
    assert (tick.cost.cpu_seconds, tick.cost.memory_bytes) == (0.5, 2_000_000)
    unknown = messages.tick(frame(changed(changed(TICK, "gc", None), "agent.memory_bytes", None)))
    assert unknown.collector is None and unknown.cost.memory_bytes is None


def test_what_could_be_done_is_told_with_an_update() -> None:
    said = {"collect": "no loop\x1b[2J", "foreign": True, "tracing": False}
    prospects = messages.tick(frame({**TICK, "remedies": said})).prospects
    assert prospects is not None and prospects.foreign and not prospects.tracing and "\x1b" not in prospects.collect
    assert not prospects.creations and prospects.creation_seconds is None
    more = messages.tick(frame({**TICK, "remedies": {**said, "creations": True, "creation_seconds": 1e-6}})).prospects
    assert more is not None and more.creations and more.creation_seconds == 1e-6
    assert messages.tick(frame(TICK)).prospects is None


def test_who_has_held_a_loop_is_told_with_an_update() -> None:
    """By function, with how many of its tasks; an agent of before does not tell."""
    said = messages.tick(frame({**TICK, "blocking": [["m.an\x1bswer", 12]]})).blocking
    assert [(each.function, each.tasks) for each in said] == [("m.an\ufffdswer", 12)]
    assert messages.tick(frame(TICK)).blocking == ()
    for wrong in ([["m.answer"]], [["m.answer", -1]], [[1, 1]], [["m", 1]] * 17):
        with pytest.raises(MessageError):
            messages.tick(frame({**TICK, "blocking": wrong}))


def test_allocators_of_libraries_are_told_with_an_update() -> None:
    """Arrow's by its back-end, a GPU's within no allocator of the process; a size that cannot be is not known."""
    said = [
        ["arrow", "mimalloc", 5, None, 7, None, ""],
        ["arrow", "system", 5, None, 7, None, ""],
        ["cuda", "1", -1, 8, 9, 2, "x"],
    ]
    mapped, from_malloc, gpu = messages.tick(frame({**TICK, "allocators": said})).allocators
    assert (mapped.name, mapped.label, mapped.within) == ("arrow", "Arrow (mimalloc)", "native_other")
    assert (mapped.in_use, mapped.held, mapped.peak, mapped.why) == (5, None, 7, "")
    assert from_malloc.within == "c_heap"
    assert (gpu.name, gpu.within, gpu.in_use, gpu.held, gpu.split, gpu.why) == ("cuda:1", "", None, 8, 2, "x")
    assert messages.tick(frame(TICK)).allocators == ()


@pytest.mark.parametrize(
    "said",
    [
        7,
        [7],
        [["arrow", "", 1, 2, 3]],
        [["gold", "", 1, 2, 3, None, ""]],
        [[["arrow"], "", 1, 2, 3, None, ""]],
        [["arrow", 1, 1, 2, 3, None, ""]],
        [["arrow", "", 1, 2, 3, None, None]],
        [["arrow", "", 1, 2, 3, None, ""]] * 65,
    ],
)
def test_allocators_that_are_none(said: Any) -> None:
    with pytest.raises(MessageError):
        messages.tick(frame({**TICK, "allocators": said}))


def test_the_greeting_and_how_the_agent_came_in() -> None:
    said = messages.hello(frame({**HELLO, "started_at": 12.5, "method": "preloaded"}))
    assert (said.started_at, said.build, said.capabilities) == (12.5, "0123456789abcdef", ("tasks", "detail", "places"))
    assert messages.facts(said, "existing", 0.1, 0.0).method == "preloaded"
    assert messages.facts(said, "ptrace", 0.1, 0.01).method == "ptrace"
    facts = messages.facts(messages.hello(frame(HELLO)), "existing", 0.1, 0.0)
    assert (facts.method, facts.command, facts.attach_seconds) == ("existing", ("python3", "-m", "rudder"), 0.1)


def test_what_is_gone_and_new_texts() -> None:
    assert rows.gone(frame({"t": "gone"}, [("id", "q", [1, 1 << 40])])) == [1, 1 << 40]
    assert messages.strings(frame(STRINGS)) == (1, ["app.work", "sleep", "/srv/app.py:12"])


# -- what is wrong --------------------------------------------------------------------------------------------------


Read = Callable[[frames.Frame], object]
_NODES = {"t": "nodes", "items": [node(3)]}
_READERS: list[tuple[Read, dict[str, Any]]] = [
    (messages.hello, HELLO),
    (messages.strings, STRINGS),
    (rows.nodes, _NODES),
    (messages.tick, TICK),
    (answers.detail, DETAIL),
    (answers.action, ACTION),
    (messages.problem, {"t": "problem", "text": "a"}),
    (messages.farewell, {"t": "bye", "reason": "a"}),
]
_OPTIONAL = {
    "started_at",
    "switch_interval",
    "followed",
    "created_at",
    "gc",
    "garbage",
    "seconds",
    "memory_bytes",
    "retained",
    "queue",
}
_UNREAD = {"t", "seq", "loops", "token", "rows_limit_hit"}  # of no interest here, or read by itself
_LENGTHS = {"chain.1.2", "biggest.0.2", "locals.0.3", "holders.0.2"}  # where null is "not known"


_ANYTHING: list[Any] = [None, True, 5, -5, 1.5, -1.5, 10**300, "text", [], [[]], [5, [None]], {}, {"a": 5}]


def _paths(value: Any, path: str = "") -> list[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, each in inner:
        here = f"{path}{key}"
        if str(key) not in _UNREAD:
            found += [here, *_paths(each, here + ".")]
    return found


@pytest.mark.parametrize(
    ("read", "message", "path"),
    [
        pytest.param(read, message, path, id=f"{message['t']} {path}")
        for read, message in _READERS
        for path in _paths(message)
    ],
)
def test_every_field_with_every_type_that_it_must_not_have(read: Read, message: dict[str, Any], path: str) -> None:
    """A wrong type is refused; a size that is not known may also come as something else, and stays not known."""
    read(frame(message))
    last = path.split(".")[-1]
    inner: Any = message
    for part in path.split("."):
        inner = inner[int(part) if part.isdigit() else part]
    for value in _ANYTHING:
        if type(value) is type(inner) or (type(inner) is float and type(value) is int and 0 <= value < 1e11):
            continue
        is_optional = last in _OPTIONAL or path in _LENGTHS or path == "chain.0.2"
        try:
            read(frame(changed(message, path, value)))
        except MessageError as error:
            assert str(error).isprintable()
        else:
            assert is_optional or (type(inner) is list and value == []), f"{path} may be {value!r}"


@pytest.mark.parametrize("value", [True, None, -1, 0.5, "x", 1 << 70])
def test_numbers_out_of_range(value: Any) -> None:
    for read, message, path in (
        (messages.tick, TICK, "total"),
        (messages.tick, TICK, "agent.observers"),
        (messages.tick, TICK, "gc.collected"),
        (answers.detail, DETAIL, "error"),
        (answers.detail, DETAIL, "accuracy"),
        (answers.detail, DETAIL, "by_type.0.1"),
        (answers.action, ACTION, "token"),
        (answers.action, ACTION, "state"),
        (answers.token, DETAIL, "token"),
        (answers.group, GROUP, "members"),
        (answers.group, GROUP, "together_accuracy"),
        (answers.group, GROUP, "common.0.3"),
        (answers.group, GROUP, "shared.0.4"),
        (answers.places, PLACES, "references"),
        (answers.places, PLACES, "containers.0.3"),
        (answers.places, PLACES, "places.1.4"),
        (rows.nodes, _NODES, "items.0.kind"),
        (rows.nodes, _NODES, "items.0.edge"),
        (rows.nodes, _NODES, "items.0.parent"),
        (messages.protocol_version, HELLO, "protocol"),
    ):
        with pytest.raises(MessageError):
            read(frame(changed(message, path, value)))
    with pytest.raises(MessageError):
        messages.strings(frame({**STRINGS, "first": 0}))


def test_whether_the_agent_keeps_all_rows() -> None:
    assert not messages.row_limit_is_hit(frame(TICK))
    assert messages.row_limit_is_hit(frame(changed(TICK, "agent.rows_limit_hit", True)))
    for value in (None, 1, "yes"):
        with pytest.raises(MessageError):
            messages.row_limit_is_hit(frame(changed(TICK, "agent.rows_limit_hit", value)))


def test_lists_that_are_too_long() -> None:
    for path, entry in (("chain", ["f", "g", 1]), ("awaited_by", [1, "a"]), ("holders", ["a", "b", 1])):
        with pytest.raises(MessageError):
            answers.detail(frame(changed(DETAIL, path, [entry] * (fields.MAX_LIST + 1))))


# -- texts ----------------------------------------------------------------------------------------------------------


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        return [text for each in value for text in _texts(each)]
    return _texts(list(vars(value).values())) if hasattr(value, "__dict__") else []


def test_no_text_can_move_the_cursor_or_fill_the_screen() -> None:
    """Every text of every message, replaced by one with control characters, and by a very long one."""
    tested = 0
    for read, message in [*_READERS, (_row_names, {"t": "rows", "names": ["w"]})]:
        for path in _paths(message):
            for text in (ESCAPES, "x" * 50_000, "\ud800", "\x00"):
                try:
                    found = read(frame(changed(message, path, text)))
                except MessageError:
                    continue
                for shown in _texts(found):
                    tested += 1
                    assert shown.isprintable() and len(shown) <= 1000, path
    assert tested > 200


def _row_names(message: frames.Frame) -> object:
    found = frame(message.head, row_columns([5]))
    return rows.changed(found)[1]


def test_long_names_keep_what_tells_them_apart() -> None:
    long = "/srv/" + "a/" * 500
    _, texts = messages.strings(frame({**STRINGS, "items": [long + "one.py:1", long + "two.py:1"]}))
    assert texts[0].endswith("one.py:1") and texts[1].endswith("two.py:1")


# -- chance ---------------------------------------------------------------------------------------------------------

_VALUES: list[Any] = [None, True, -1, 0, 1, 7, 1 << 62, 10**400, 0.5, 1e308, "", "x", ESCAPES, [], [[]], {}, {"id": 1}]


def test_random_messages_raise_nothing_else() -> None:
    """Messages with several fields changed to anything, from a fixed seed."""
    chance = random.Random(11)
    refused = 0
    for _ in range(3000):
        read, message = chance.choice(_READERS)
        found = copy.deepcopy(message)
        for _ in range(chance.randint(1, 3)):
            found = changed(found, chance.choice(_paths(message)).split(".")[0], chance.choice(_VALUES))
        try:
            read(frame(found))
        except MessageError:
            refused += 1
    assert refused > 1000
