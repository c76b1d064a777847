"""Any bytes on the socket become frames as the contract has them, or end the connection with a ProtocolError."""

from __future__ import annotations

import itertools
import json
import random
import struct

from hypothesis import given
from hypothesis import strategies as st

from pyobserver.protocol import frames
from pyobserver.protocol.frames import MAX_FRAME, Decoder, Frame, ProtocolError

from ..support.damage import damaged
from . import rounds
from .test_frames import framed, peak_below

_STREAMS = [
    b"".join(frames.encode(*rounds.message(random.Random(10 * seed + n))) for n in range(3)) for seed in range(20)
]
_HEADS = [b'{"t":"x","c":[["a","q",2],["b","d",1]],"n":[1,2.5,null,true,{"k":"v"}]}', b'{"t":"x"}']
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(-1e308, 1e308), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=4)),
    max_leaves=8,
)


def fed(pieces: list[bytes]) -> list[Frame]:
    """The frames up to the end of the connection; each is one of the protocol's."""
    decoder, found = Decoder(), []
    try:
        for piece in pieces:
            found += decoder.feed(piece)
            assert len(decoder._buffer) <= MAX_FRAME + 4
    except ProtocolError:
        pass
    for frame in found:
        assert type(frame.head) is dict and type(frame.head["t"]) is str
        for code, count, packed in frame.columns.values():
            assert code in frames.TYPE_CODES and len(packed) == struct.calcsize(f"<{count}{code}")
    return found


@given(damaged(_STREAMS), st.lists(st.integers(0, 2000), max_size=6))
def test_damaged_streams_in_any_pieces(stream: bytes, cuts: list[int]) -> None:
    """The pieces change nothing: what is read is what would have been read at once."""
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[low:high] for low, high in itertools.pairwise(bounds)]
    in_pieces, at_once = fed(pieces), fed([stream])
    assert [frame.head for frame in at_once] == [frame.head for frame in in_pieces][: len(at_once)]


@given(damaged(_HEADS), st.binary(max_size=40))
def test_damaged_heads(head: bytes, body: bytes) -> None:
    fed([framed(head, body)])


@given(_VALUES, st.binary(max_size=16))
def test_any_value_as_the_list_of_columns(value: object, body: bytes) -> None:
    fed([framed(json.dumps({"t": "x", "c": value}).encode(), body)])
    fed([framed(json.dumps({"t": "x", "c": [value]}).encode(), body)])
    fed([framed(json.dumps({"t": "x", "c": [["a", "q", value], [value, "B", 1]]}).encode(), body)])


@given(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1), st.binary(max_size=64))
def test_any_lengths(length: int, head_length: int, rest: bytes) -> None:
    """Those that promise much take no memory until it is there."""
    with peak_below(200_000):
        fed([struct.pack("<II", length, head_length) + rest])


@given(_VALUES)
def test_what_is_written_is_read(value: object) -> None:
    assert frames.loads(frames.dumps(value)) == json.loads(json.dumps(value))
