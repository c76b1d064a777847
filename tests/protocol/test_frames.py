"""Frames: what was sent arrives, and nothing that anybody sends can do more than end the connection."""

from __future__ import annotations

import importlib.util
import math
import random
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyobserver.protocol import frames, schema
from pyobserver.protocol.frames import Decoder, ProtocolError
from tests.support.interpreters import Interpreter

from . import rounds


def framed(head: bytes, body: bytes = b"") -> bytes:
    """A frame with any head."""
    return struct.pack("<II", 4 + len(head) + len(body), len(head)) + head + body


def refused(stream: bytes) -> str:
    """Why the decoder refuses the stream."""
    with pytest.raises(ProtocolError) as caught:
        Decoder().feed(stream)
    return str(caught.value)


@contextmanager
def peak_below(limit: int) -> Iterator[None]:
    """Fails when the block makes Python hold more than `limit` bytes more at any time."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < limit


@pytest.mark.parametrize("seed", range(5))
def test_random_messages_arrive_as_they_were_sent(seed: int) -> None:
    """Any head and any columns survive the way, in whatever pieces the stream comes."""
    rounds.round_trips(seed, 100)


@pytest.mark.parametrize("seed", range(5))
def test_damage_raises_protocol_errors_only(seed: int) -> None:
    """Changed, lost and inserted bytes end the connection or go unnoticed; nothing else is raised."""
    assert rounds.survives_damage(seed, 200) > 50


def test_noise_raises_protocol_errors_only() -> None:
    """Random bytes end the connection."""
    rounds.survives_noise(7, 1000)


def test_every_interpreter_writes_the_same_bytes(interpreter: Interpreter) -> None:
    """The protocol runs inside the target too: each version passes the same checks and writes the same frames."""
    scratch = interpreter.scratch("protocol")
    try:
        package = scratch / "pyobserver"
        package.mkdir()
        (package / "__init__.py").write_text("")
        shutil.copytree(Path(frames.__file__).parent, package / "protocol", ignore=shutil.ignore_patterns("__pyc*"))
        shutil.copy(rounds.__file__, scratch / "rounds.py")
        ran = subprocess.run(
            [*interpreter.command, "-I", "-c", _RUN, interpreter.inside(scratch)],
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        shutil.rmtree(scratch)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-1] == rounds.round_trips(1, 150)


_RUN = "import sys; sys.path.insert(0, sys.argv[1]); import rounds; rounds.main()"


def test_without_the_json_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter without `_json` understands the others, is understood, and refuses the same things."""
    monkeypatch.setitem(sys.modules, "_json", None)
    spec = importlib.util.spec_from_file_location("frames_without_accelerator", frames.__file__)
    assert spec is not None and spec.loader is not None
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert plain._json is None and frames._json is not None
    r = random.Random(11)
    for _ in range(200):
        head, columns = rounds.message(r)
        for writer, reader in ((plain, frames), (frames, plain)):
            (frame,) = reader.Decoder().feed(writer.encode(head, columns))
            rounds.check_frame(frame, head, columns)
    for text in ("", "NaN", "1e999", "[1] 2", "[" * 50_000, "{'a':1}", "tru"):
        with pytest.raises(plain.ProtocolError):
            plain.loads(text)


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf],
)
def test_what_is_not_finite_becomes_null_in_a_head(value: float) -> None:
    """JSON has no NaN: it is sent as null, wherever it is."""
    assert frames.loads(frames.dumps({"a": value, "b": [value]})) == {"a": None, "b": [None]}


class _Text(str):
    pass


@pytest.mark.parametrize("value", [_Text("x"), b"x", {1}, object(), [1j], {"a": [_Text("x")]}])
def test_only_exact_types_are_sent(value: Any) -> None:
    """A subclass could run code of the target while it is written; it is a mistake to send one."""
    with pytest.raises(TypeError):
        frames.dumps(value)


@pytest.mark.parametrize(
    ("length", "head_length"),
    [(0, 0), (3, 0), (4, 1), (10, 7), (frames.MAX_FRAME + 1, 4), (0xFFFFFFFF, 0xFFFFFFFF), (100, 0xFFFFFFFF)],
)
def test_impossible_lengths_are_refused_at_once(length: int, head_length: int) -> None:
    """The prefix alone is enough: nobody waits for four gigabytes that were promised."""
    assert "frame length" in refused(struct.pack("<II", length, head_length))


def test_a_head_may_not_fill_the_frame() -> None:
    """The head has a bound of its own."""
    size = frames.MAX_HEAD + 1
    refused(struct.pack("<II", size + 4, size))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"t"',
        b"{}",
        b'{"t":1}',
        b'{"t":null}',
        b'{"t":["x"]}',
        b'{"t":"x"',
        b'{"t":"x"}}',
        b'{"t":"x"} ',
        b'{"t":"x","a":NaN}',
        b'{"t":"x","a":Infinity}',
        b'{"t":"x","a":-Infinity}',
        b'{"t":"x","a":1e999}',
        b'{"t":"x","a":-1e999}',
        b'{"t":"x","a":tru}',
        b'{"t":"x","a":"\n"}',
        b'{"t":"x","a":"\\u12"}',
        b'{"t":"x","a":01}',
        b"{'t':'x'}",
        '{"t":"ü"}'.encode(),
        b'{"t":"x","a":"\xff"}',
        b"[" * 150_000,
        b'{"t":' * 30_000,
        b'{"t":"x","a":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
        b'{"t":"x","a":' + b"9" * 100_000 + b"}",
    ],
)
def test_heads_that_are_not_messages(head: bytes) -> None:
    """What is not one JSON object with a name, finite and of bearable depth, is refused."""
    refused(framed(head))


@pytest.mark.parametrize(
    ("columns", "body"),
    [
        ("1", b""),
        ("{}", b""),
        ("null", b""),
        ("[1]", b""),
        ("[[]]", b""),
        ('[["a","q"]]', b""),
        ('[["a","q",1,1]]', b"\0" * 8),
        ('[[1,"q",0]]', b""),
        ('[["a",1,0]]', b""),
        ('[["a","",0]]', b""),
        ('[["a","qq",1]]', b"\0" * 16),
        ('[["a","s",8]]', b"\0" * 8),
        ('[["a","P",1]]', b"\0" * 8),
        ('[["a","x",8]]', b"\0" * 8),
        ('[["a","q",-1]]', b""),
        ('[["a","q",1.0]]', b"\0" * 8),
        ('[["a","q",true]]', b"\0" * 8),
        ('[["a","q","1"]]', b"\0" * 8),
        ('[["a","q",1]]', b"\0" * 7),
        ('[["a","q",1]]', b"\0" * 9),
        ('[["a","q",1]]', b""),
        ('[["a","b",99999999999999999999]]', b"\0"),
        ('[["a","q",2],["b","q",1]]', b"\0" * 16),
        ('[["a","b",1],["a","b",1]]', b"\0" * 2),
        ("[]", b"\0"),
        ("[" + ",".join(f'["{i}","b",0]' for i in range(frames.MAX_COLUMNS + 1)) + "]", b""),
    ],
)
def test_columns_that_are_not_what_they_say(columns: str, body: bytes) -> None:
    """The list of columns must account for every byte behind the head."""
    refused(framed(b'{"t":"rows","c":' + columns.encode() + b"}", body))


def test_a_truncated_frame_waits() -> None:
    """Every beginning of a frame is awaited silently, and the last byte brings it."""
    frame = frames.encode({"t": "gone"}, [("id", "q", [1, 2, 3])])
    decoder = Decoder()
    for i in range(len(frame) - 1):
        assert decoder.feed(frame[i : i + 1]) == []
    (received,) = decoder.feed(frame[-1:])
    assert received.columns["id"] == ("q", 3, struct.pack("<3q", 1, 2, 3))


def test_frames_before_a_bad_one_do_not_hide_it() -> None:
    """A bad frame ends the connection however many good ones came with it, and it stays ended."""
    decoder = Decoder()
    with pytest.raises(ProtocolError):
        decoder.feed(frames.encode({"t": "a"}) + b"\xff" * 8)
    with pytest.raises(ProtocolError):
        decoder.feed(b"")


def test_what_is_too_large_is_not_sent() -> None:
    """Who writes cuts messages; a frame beyond the bound is a mistake there."""
    with pytest.raises(ProtocolError):
        frames.encode({"t": "x", "a": "a" * frames.MAX_HEAD})
    with pytest.raises(ProtocolError):
        frames.encode({"t": "x"}, [("a", "q", [0] * (frames.MAX_FRAME // 8))])
    with pytest.raises(ProtocolError):
        frames.encode({"t": "x"}, [(str(i), "b", []) for i in range(frames.MAX_COLUMNS + 1)])
    largest = frames.MAX_FRAME - 4 - len(frames.dumps({"t": "x", "c": [["a", "B", 200_000]]}))
    frame = frames.encode({"t": "x"}, [("a", "B", [0] * largest)])
    assert len(frame) == 4 + frames.MAX_FRAME
    assert len(Decoder().feed(frame)) == 1


@pytest.mark.parametrize(
    "head",
    [
        b'{"t":"x","a":[' + b"[]," * 60_000 + b"0]}",
        b'{"t":"x","a":[' + b"{}," * 60_000 + b"0]}",
        b'{"t":"x","a":{' + b",".join(b'"%d":0' % i for i in range(15_000)) + b"}}",
        b'{"t":"x","a":[' + b'"a",' * 45_000 + b"0]}",
    ],
    ids=["lists", "objects", "members", "texts"],
)
def test_a_head_of_many_small_things_costs_little(head: bytes) -> None:
    """The largest head that is allowed cannot be blown up to more than a few megabytes."""
    assert len(head) < frames.MAX_HEAD
    with peak_below(16_000_000):
        Decoder().feed(framed(head))


def test_memory_is_bounded_however_much_is_sent() -> None:
    """Fifty megabytes in frames and pieces of frames never occupy more than a frame or two."""
    frame = frames.encode({"t": "rows"}, [("id", "q", list(range(30_000)))])
    decoder = Decoder()
    stream = frame * 3
    with peak_below(6 * frames.MAX_FRAME):
        received = 0
        for _ in range(70):
            for at in range(0, len(stream), 65_536):
                received += len(decoder.feed(stream[at : at + 65_536]))
    assert received == 210


def test_an_unfinished_frame_holds_no_more_than_a_frame() -> None:
    """A sender who stops in the middle, or trickles, holds at most one frame."""
    frame = frames.encode({"t": "x"}, [("a", "B", [0] * 250_000)])
    decoder = Decoder()
    with peak_below(3 * frames.MAX_FRAME):
        for at in range(0, len(frame) - 1, 1000):
            decoder.feed(frame[at : at + 1000][: len(frame) - 1 - at])


def test_names_of_the_columns_fit_their_types() -> None:
    """Every column of a row has a type that the frames know, and no name twice."""
    assert all(code in frames.TYPE_CODES for _, code in schema.ROW_COLUMNS)
    assert len(set(schema.ROW_NAMES)) == len(schema.ROW_COLUMNS) <= frames.MAX_COLUMNS
    assert len(schema.NODE_KINDS) == 11 and schema.NODE_KINDS[schema.NODE_GROUP] == "group"
    assert schema.KINDS[schema.KIND_CHILD] == "child process"
    assert schema.STATES[schema.STATE_ENDED] == "ended"
    assert schema.EDGES[schema.EDGE_CHILD] == "child process"
    assert schema.ACCURACIES[schema.UNAVAILABLE] == "unavailable"


def test_numbers_are_packed_alike_in_whichever_form_they_come() -> None:
    """A list, a view of the same numbers, and one number that stands for all."""
    for code in frames.TYPE_CODES:
        numbers = [3.0] * 5 if code in "fd" else [3] * 5
        block = memoryview(bytearray(frames.pack(code, numbers))).cast(code)
        assert frames.pack(code, numbers) == frames.pack(code, block) == frames.pack(code, frames.Alike(numbers[0], 5))
        if code not in "fd":  # a view of another type is packed as a list is
            assert frames.pack("q", block) == frames.pack("q", [3] * 5)
