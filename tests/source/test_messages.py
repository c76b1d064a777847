"""Messages become the model's objects, or are refused: every field, with everything that it must not be."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyobserver.model.actions import Outcome, Progress, Site
from pyobserver.model.details import ChainFrame, Variable
from pyobserver.model.forest import Node
from pyobserver.protocol import frames, schema
from pyobserver.source import fields, messages
from pyobserver.source.errors import MessageError

from .scripted import (
    ACTION,
    DETAIL,
    GROUP,
    HELLO,
    PLACES,
    STRINGS,
    TICK,
    TRACED,
    decoded,
    node,
    row_columns,
    rows_frame,
)

ESCAPES = "\x1b]0;owned\x07\u202e\nend"


def frame(head: dict[str, Any], columns: Any = ()) -> frames.Frame:
    return decoded(frames.encode(head, columns))[0]


def changed(message: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a message with one field changed: "agent.torn", "chain.0.1"."""
    found = copy.deepcopy(message)
    *above, last = path.split(".")
    inner: Any = found
    for part in above:
        inner = inner[int(part) if part.isdigit() else part]
    inner[int(last) if last.isdigit() else last] = value
    return found


# -- what is right --------------------------------------------------------------------------------------------------


def test_rows() -> None:
    columns, names = messages.rows(decoded(rows_frame([5, 6], ["a", None], kind=[0, 1], error=20, cpu=[1.5, 2.0]))[0])
    assert names == ["a", None]
    assert set(columns) == set(schema.ROW_NAMES)
    assert columns["id"].tolist() == [5, 6]
    assert columns["kind"].tolist() == [0, 1]
    assert columns["cpu"].tolist() == [1.5, 2.0]
    assert columns["retained"].tolist() == [1000, 1000]
    assert columns["error"].tolist() == [20, 20]
    assert all(column.dtype.isnative and column.flags.writeable for column in columns.values())


def others(*entries: tuple[int, int, int]) -> list[tuple[str, str, list[int]]]:
    """The columns that tell of other owners: (row, owner, edge)."""
    return [(name, code, [e[at] for e in entries]) for at, (name, code) in enumerate(schema.OTHERS_COLUMNS)]


def test_the_other_owners_of_rows() -> None:
    """They have a length of their own; of a row at most four are kept, each once."""
    columns = [*row_columns([5, 6]), *others((5, 9, schema.EDGE_HOLDS), (5, 6, schema.EDGE_AWAITS), (5, 6, 2))]
    told = frame({"t": "rows", "names": [None, None]}, columns)
    assert messages.other_owners(told) == {5: ((9, "holds"), (6, "awaits"))}
    assert messages.rows(told)[0]["id"].tolist() == [5, 6]
    assert messages.other_owners(frame({"t": "rows", "names": [None]}, row_columns([5]))) == {}
    many = frame({"t": "rows", "names": []}, others(*[(5, n, 0) for n in range(1, 20)]))
    assert len(messages.other_owners(many)[5]) == 4
    for wrong in ((0, 9, 0), (5, -1, 0), (5, 1 << 50, 0), (5, 9, 99)):
        with pytest.raises(MessageError):
            messages.other_owners(frame({"t": "rows", "names": []}, others(wrong)))
    with pytest.raises(MessageError):
        messages.other_owners(frame({"t": "rows", "names": []}, others((5, 9, 0))[:2]))


def test_no_rows_at_all() -> None:
    columns, names = messages.rows(frame({"t": "rows", "names": []}, row_columns([])))
    assert names == [] and all(len(column) == 0 for column in columns.values())


def test_nodes() -> None:
    said = node(3, parent=2, queue=4, detail="set", kind=schema.NODE_HOLDER, edge=schema.EDGE_HOLDS)
    assert messages.nodes(frame({"t": "nodes", "items": [said]})) == [Node(3, "holder", "loop", 2, "holds", 4, "set")]


def test_the_child_processes_under_a_node() -> None:
    """An agent that does not know of them says nothing; what is no number of a process is left out."""
    said = {**node(3), "pids": [12, 0, 13, -4]}
    assert messages.nodes(frame({"t": "nodes", "items": [said]}))[0].pids == (12, 13)
    assert messages.nodes(frame({"t": "nodes", "items": [node(3)]}))[0].pids == ()
    with pytest.raises(MessageError):
        messages.nodes(frame({"t": "nodes", "items": [{**node(3), "pids": ["12"]}]}))


def test_a_tick() -> None:
    tick = messages.tick(frame(TICK))
    assert (tick.total, tick.measured, tick.complete, tick.holders_complete) == (2, 2, True, True)
    assert tick.collector is not None and tick.collector.collections == (4, 5, 6) and tick.collector.garbage == 2
    older = messages.tick(frame(changed(TICK, "gc.garbage", None)))
    assert older.collector is not None and older.collector.garbage is None
    assert (tick.cost.cpu_seconds, tick.cost.memory_bytes) == (0.5, 2_000_000)
    unknown = messages.tick(frame(changed(changed(TICK, "gc", None), "agent.memory_bytes", None)))
    assert unknown.collector is None and unknown.cost.memory_bytes is None


def test_a_detail() -> None:
    answer = messages.detail(frame(DETAIL))
    assert answer.id == 7
    assert answer.chain == (ChainFrame("app.main", "/srv/app.py", 10), ChainFrame("app.wait", "/srv/app.py", None))
    assert answer.by_type == (("dict", 2, 900),)
    assert answer.biggest == (("self.cache", "dict", 4, 800, ""),)
    assert answer.variables == (Variable("app.wait", "count", "int", None, "12"),)
    assert answer.blocked == 3
    assert (answer.retained, answer.accuracy, answer.error) == (1000, "sampled", 20)
    assert answer.awaited_by == ((8, "Task-2  app.main"),)
    assert answer.holders == (("app._tasks", "set", 12),)
    assert answer.created_at == 1_700_000_000.5
    assert messages.detail(frame(changed(DETAIL, "retained", None))).retained is None
    assert (answer.spawned_at, answer.spawned_by) == ("", ())
    more = {**DETAIL, "spawned_at": "/srv/app.py:3 App.start", "spawned_by": [[9, "Task-3  app.main"]]}
    assert messages.detail(frame(more)).spawned_at == "/srv/app.py:3 App.start"
    assert messages.detail(frame(more)).spawned_by == ((9, "Task-3  app.main"),)


def test_what_an_action_on_memory_has_done() -> None:
    """Each action has some of the fields; more lines than there may be are left out."""
    sites = (Site("/srv/app/main.py", 12, 4_000, 10), Site("/srv/app/other.py", 3, 1_000, 2))
    outcome = Outcome(0.1, 9_000_000, None, 3, 0, "glibc", 10.0, 5_000, 12, 2, sites)
    assert messages.action(frame(TRACED))[1].outcome == outcome
    few = {**ACTION, "result": {"held": 0.5, "found": 7}}
    assert messages.action(frame(few))[1].outcome == Outcome(0.5, found=7)
    many = {**TRACED, "result": {**TRACED["result"], "sites": [["a", 1, 2, 3]] * 60}}
    told = messages.action(frame(many))[1].outcome
    assert told is not None and len(told.sites) == 50
    for wrong in ({"held": -1.0}, {"sites": [["a", 1, 2]]}, {"found": -1}, {"bytes": "5"}, {"sites": None}):
        with pytest.raises(MessageError):
            messages.action(frame({**TRACED, "result": {**TRACED["result"], **wrong}}))


def test_what_could_be_done_is_told_with_an_update() -> None:
    said = {"collect": "no loop\x1b[2J", "foreign": True, "tracing": False}
    prospects = messages.tick(frame({**TICK, "remedies": said})).prospects
    assert prospects is not None and prospects.foreign and not prospects.tracing and "\x1b" not in prospects.collect
    assert not prospects.creations and prospects.creation_seconds is None
    more = messages.tick(frame({**TICK, "remedies": {**said, "creations": True, "creation_seconds": 1e-6}})).prospects
    assert more is not None and more.creations and more.creation_seconds == 1e-6
    assert messages.tick(frame(TICK)).prospects is None


def test_allocators_of_libraries_are_told_with_an_update() -> None:
    """Arrow's by its back-end, a GPU's within no allocator of the process; a size that cannot be is not known."""
    said = [["arrow", "mimalloc", 5, None, 7, ""], ["arrow", "system", 5, None, 7, ""], ["cuda", "1", -1, 8, 9, "x"]]
    mapped, from_malloc, gpu = messages.tick(frame({**TICK, "allocators": said})).allocators
    assert (mapped.name, mapped.label, mapped.within) == ("arrow", "Arrow (mimalloc)", "native_other")
    assert (mapped.in_use, mapped.held, mapped.peak, mapped.why) == (5, None, 7, "")
    assert from_malloc.within == "c_heap"
    assert (gpu.name, gpu.within, gpu.in_use, gpu.held, gpu.why) == ("cuda:1", "", None, 8, "x")
    assert messages.tick(frame(TICK)).allocators == ()


@pytest.mark.parametrize(
    "said",
    [
        7,
        [7],
        [["arrow", "", 1, 2, 3]],
        [["gold", "", 1, 2, 3, ""]],
        [[["arrow"], "", 1, 2, 3, ""]],
        [["arrow", 1, 1, 2, 3, ""]],
        [["arrow", "", 1, 2, 3, None]],
        [["arrow", "", 1, 2, 3, ""]] * 65,
    ],
)
def test_allocators_that_are_none(said: Any) -> None:
    with pytest.raises(MessageError):
        messages.tick(frame({**TICK, "allocators": said}))


def test_what_has_come_of_an_action() -> None:
    assert messages.action(frame({**ACTION, "text": "a b"})) == (1, Progress("asked", 0.25, False, "a b"))
    assert messages.action(frame({**ACTION, "state": schema.ACTION_ENDED, "final": True}))[1].final


def test_the_greeting_and_how_the_agent_came_in() -> None:
    said = messages.hello(frame({**HELLO, "started_at": 12.5, "method": "preloaded"}))
    assert (said.started_at, said.build, said.capabilities) == (12.5, "0123456789abcdef", ("tasks", "detail", "places"))
    assert messages.facts(said, "existing", 0.1, 0.0).method == "preloaded"
    assert messages.facts(said, "ptrace", 0.1, 0.01).method == "ptrace"
    facts = messages.facts(messages.hello(frame(HELLO)), "existing", 0.1, 0.0)
    assert (facts.method, facts.command, facts.attach_seconds) == ("existing", ("python3", "-m", "rudder"), 0.1)


def test_what_is_gone_and_new_texts() -> None:
    assert messages.gone(frame({"t": "gone"}, [("id", "q", [1, 1 << 40])])) == [1, 1 << 40]
    assert messages.strings(frame(STRINGS)) == (1, ["app.work", "sleep", "/srv/app.py:12"])


# -- what cannot be, and becomes "not known" ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("created", math.nan, 0.0),
        ("created", -1.0, 0.0),
        ("created", 1e300, 0.0),
        ("created", math.inf, 0.0),
        ("measured_at", -math.inf, 0.0),
        ("retained", -5, -1),
        ("retained", (1 << 63) - 1, -1),
        ("parent", -7, 0),
        ("loop", -(1 << 62), 0),
        ("os_id", -3, 0),
        ("os_id", 1 << 40, 0),
        ("queue", -2, -1),
        ("function", -1, 0),
    ],
)
def test_numbers_that_cannot_be(column: str, value: float, expected: float) -> None:
    columns, _ = messages.rows(decoded(rows_frame([5], None, **{column: value}))[0])
    assert columns[column].tolist() == [expected]


@pytest.mark.parametrize("column", ["cpu", "activity"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e30])
def test_shares_and_seconds_that_cannot_be(column: str, value: float) -> None:
    columns, _ = messages.rows(decoded(rows_frame([5], None, **{column: value}))[0])
    assert math.isnan(columns[column].tolist()[0])


@pytest.mark.parametrize("values", [{"retained": 1 << 60}, {"error": -1}, {"error": 1 << 60}, {"retained": -1}])
def test_a_size_that_cannot_be_is_no_measurement(values: dict[str, int]) -> None:
    columns, _ = messages.rows(decoded(rows_frame([5], None, **values))[0])
    assert columns["retained"].tolist() == [-1]
    assert columns["accuracy"].tolist() == [schema.UNAVAILABLE]


# -- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, -1, -(1 << 40), 1 << 60])
def test_an_id_that_no_agent_gives_out(number: int) -> None:
    for say in (lambda: rows_frame([5, number]), lambda: frames.encode({"t": "gone"}, [("id", "q", [5, number])])):
        message = decoded(say())[0]
        with pytest.raises(MessageError, match="an id"):
            (messages.rows if message.head["t"] == "rows" else messages.gone)(message)


@pytest.mark.parametrize("column", ["kind", "state", "accuracy", "edge"])
def test_a_number_of_no_table(column: str) -> None:
    with pytest.raises(MessageError, match=column):
        messages.rows(decoded(rows_frame([5, 6], None, **{column: [0, 200]}))[0])


def test_columns_that_are_not_there_or_not_what_they_should_be() -> None:
    head = {"t": "rows", "names": ["a"]}
    whole = row_columns([5])
    for position, (name, code, values) in enumerate(whole):
        wrong: list[tuple[str, str, list[Any]]] = [
            (name + "x", code, values),
            (name, "b" if code != "b" else "B", [0]),
            (name, code, []),
            (name, code, values * 2),
        ]
        if code == "q":
            wrong.append((name, "d", [math.nan]))
        for instead in wrong:
            columns = [*whole[:position], instead, *whole[position + 1 :]]
            with pytest.raises(MessageError, match=f"column {name}"):
                messages.rows(frame(head, columns))
    anything: tuple[Any, ...] = (None, "a", [], ["a", "b"], [5], [["a"]], {})
    for names in anything:
        with pytest.raises(MessageError):
            messages.rows(frame({"t": "rows", "names": names}, whole))
    with pytest.raises(MessageError):
        messages.gone(frame({"t": "gone"}))
    with pytest.raises(MessageError):
        messages.gone(frame({"t": "gone"}, [("id", "d", [math.nan])]))


Read = Callable[[frames.Frame], object]
_NODES = {"t": "nodes", "items": [node(3)]}
_READERS: list[tuple[Read, dict[str, Any]]] = [
    (messages.hello, HELLO),
    (messages.strings, STRINGS),
    (messages.nodes, _NODES),
    (messages.tick, TICK),
    (messages.detail, DETAIL),
    (messages.action, ACTION),
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
        (messages.detail, DETAIL, "error"),
        (messages.detail, DETAIL, "accuracy"),
        (messages.detail, DETAIL, "by_type.0.1"),
        (messages.action, ACTION, "token"),
        (messages.action, ACTION, "state"),
        (messages.token, DETAIL, "token"),
        (messages.group, GROUP, "members"),
        (messages.group, GROUP, "together_accuracy"),
        (messages.group, GROUP, "common.0.3"),
        (messages.group, GROUP, "shared.0.4"),
        (messages.places, PLACES, "references"),
        (messages.places, PLACES, "containers.0.3"),
        (messages.places, PLACES, "places.1.4"),
        (messages.nodes, _NODES, "items.0.kind"),
        (messages.nodes, _NODES, "items.0.edge"),
        (messages.nodes, _NODES, "items.0.parent"),
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
            messages.detail(frame(changed(DETAIL, path, [entry] * (fields.MAX_LIST + 1))))


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
    return messages.rows(found)[1]


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


def test_random_columns_raise_nothing_else() -> None:
    """Any bits in the columns of rows are read, or refused."""
    chance = np.random.default_rng(3)
    sizes = {code: np.dtype(code).itemsize for _, code in schema.ROW_COLUMNS}
    for _ in range(300):
        columns = {name: (code, 3, chance.bytes(3 * sizes[code])) for name, code in schema.ROW_COLUMNS}
        columns["id"] = ("q", 3, np.array([1, 2, 3], "<i8").tobytes())
        for name, table in (("kind", 5), ("state", 6), ("accuracy", 5), ("edge", 5)):
            columns[name] = ("B", 3, bytes(chance.integers(0, table, 3).tolist()))
        found, _ = messages.rows(frames.Frame({"t": "rows", "names": ["a", "b", "c"]}, columns))
        assert all(share != share or 0.0 <= share <= 1.0 for share in found["activity"].tolist())
        assert all(-1 <= size < messages.MAX_BYTES for size in found["retained"].tolist())
