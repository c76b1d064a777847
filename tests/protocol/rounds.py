"""Random messages and random damage for the protocol, on any interpreter from 3.8 on, without a test framework.

Run as a program, it prints a digest of every frame that it wrote: all interpreters must write the same bytes.
"""

import hashlib
import math
import random
import struct

from pyobserver.protocol import clean, frames

LIMITS = {
    "b": (-(1 << 7), (1 << 7) - 1),
    "B": (0, (1 << 8) - 1),
    "h": (-(1 << 15), (1 << 15) - 1),
    "H": (0, (1 << 16) - 1),
    "i": (-(1 << 31), (1 << 31) - 1),
    "I": (0, (1 << 32) - 1),
    "q": (-(1 << 63), (1 << 63) - 1),
    "Q": (0, (1 << 64) - 1),
}
ODD_TEXTS = (
    '"',
    "\\",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "\udfff",
    "\U0001f600",
    "\u5bbd",
    "\x7f",
    "\n",
    "e\u0301",
)
ODD_FLOATS = (0.0, -0.0, 1e308, -1e308, 5e-324, 1.7976931348623157e308, 0.1, 1e22)


def text(r, longest=12):
    """A text of ordinary and of odd pieces."""
    pieces = []
    for _ in range(r.randrange(longest)):
        pieces.append(ODD_TEXTS[r.randrange(len(ODD_TEXTS))] if r.random() < 0.3 else chr(97 + r.randrange(26)))
    joined = "".join(pieces)
    # A high surrogate before a low one is one character to whoever reads the JSON, as the standard has it.
    return joined if "\ud800\udfff" not in joined else "pair"


def value(r, depth=0):
    """Anything that a head may hold."""
    kind = r.randrange(8 if depth < 4 else 6)
    if kind == 0:
        return None
    if kind == 1:
        return r.random() < 0.5
    if kind == 2:
        return r.randrange(-(1 << 64), 1 << 64) if r.random() < 0.3 else r.randrange(-1000, 1000)
    if kind == 3:
        return ODD_FLOATS[r.randrange(len(ODD_FLOATS))] if r.random() < 0.4 else r.random() * 10 ** r.randrange(-20, 20)
    if kind in (4, 5):
        return text(r)
    if kind == 6:
        return [value(r, depth + 1) for _ in range(r.randrange(5))]
    return {text(r): value(r, depth + 1) for _ in range(r.randrange(5))}


def numbers(r, code, count):
    """Numbers of one type code, its limits among them; for the floating ones NaN and infinities too."""
    if code in "fd":
        odd = [math.nan, math.inf, -math.inf, 0.0, -0.0]
        return [odd[r.randrange(5)] if r.random() < 0.2 else float(r.randrange(-1000, 1000)) / 8 for _ in range(count)]
    low, high = LIMITS[code]
    return [(low, high)[r.randrange(2)] if r.random() < 0.2 else r.randrange(low, high + 1) for _ in range(count)]


def message(r):
    """A head and its columns."""
    head = {text(r): value(r) for _ in range(r.randrange(6))}
    head.pop("c", None)
    head["t"] = text(r)
    codes = frames.TYPE_CODES
    columns = []
    for i in range(r.randrange(6)):
        code = codes[r.randrange(len(codes))]
        columns.append((text(r) + str(i), code, numbers(r, code, r.randrange(30))))
    return head, columns


def check_frame(frame, head, columns):
    """The frame says what was sent, bit by bit."""
    assert same(frame.head, head), (frame.head, head)
    assert list(frame.columns) == [name for name, _, _ in columns]
    for name, code, sent in columns:
        got_code, count, packed = frame.columns[name]
        assert (got_code, count) == (code, len(sent))
        assert packed == struct.pack("<" + str(count) + code, *sent)


def same(a, b):
    """Equality that tells 1 from 1.0 and from True, and -0.0 from 0.0."""
    if type(a) is not type(b):
        return False
    if type(a) is dict:
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if type(a) is list:
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def chunks(r, stream):
    """The stream cut at random places, single bytes among them."""
    at = 0
    while at < len(stream):
        size = 1 if r.random() < 0.3 else r.randrange(1, 400)
        yield stream[at : at + size]
        at += size


def round_trips(seed, times):
    """Messages through the decoder in random pieces; returns the digest of what was written."""
    r = random.Random(seed)
    digest = hashlib.sha256()
    for _ in range(times):
        sent = [message(r) for _ in range(r.randrange(1, 5))]
        stream = b"".join([frames.encode(head, columns) for head, columns in sent])
        digest.update(stream)
        decoder = frames.Decoder()
        received = [frame for piece in chunks(r, stream) for frame in decoder.feed(piece)]
        assert len(received) == len(sent)
        for frame, (head, columns) in zip(received, sent):  # noqa: B905 (Python 3.8)
            check_frame(frame, head, columns)
    return digest.hexdigest()


def damage(r, stream):
    """The stream with bytes changed, lost, doubled, or put in."""
    broken = bytearray(stream)
    for _ in range(r.randrange(1, 6)):
        at = r.randrange(len(broken))
        way = r.randrange(4)
        if way == 0:
            broken[at] = r.randrange(256)
        elif way == 1 and len(broken) > 1:
            del broken[at]
        elif way == 2:
            broken[at:at] = bytes([r.randrange(256) for _ in range(r.randrange(1, 9))])
        else:
            broken[at : at + 1] = b'"[]{},:0-9eENaI\\'[r.randrange(16) :][:1]
    return bytes(broken)


def feed_all(decoder, pieces):
    """Feed until the decoder refuses; returns (frames, whether it refused). Any other exception is a failure."""
    received = []
    for piece in pieces:
        try:
            received.extend(decoder.feed(piece))
        except frames.ProtocolError:
            return received, True
    return received, False


def survives_damage(seed, times):
    """Damaged streams raise nothing but ProtocolError; returns how many were refused."""
    r = random.Random(seed)
    refused = 0
    for _ in range(times):
        stream = b"".join([frames.encode(*message(r)) for _ in range(r.randrange(1, 4))])
        received, ended = feed_all(frames.Decoder(), chunks(r, damage(r, stream)))
        refused += ended
        for frame in received:
            assert type(frame.head) is dict and type(frame.head["t"]) is str
            for code, count, packed in frame.columns.values():
                assert len(packed) == count * struct.calcsize("<" + code)
    return refused


def survives_noise(seed, times):
    """Random bytes raise nothing but ProtocolError, also behind a prefix that promises a frame."""
    r = random.Random(seed)
    for _ in range(times):
        noise = bytes([r.randrange(256) for _ in range(r.randrange(1, 300))])
        feed_all(frames.Decoder(), [noise])
        head = noise[: r.randrange(len(noise))]
        feed_all(frames.Decoder(), [struct.pack("<II", 4 + len(noise), len(head)) + noise])


def cleaning(seed, times):
    """What `clean` returns can be printed and is short enough, and what is harmless it leaves alone."""
    r = random.Random(seed)
    for _ in range(times):
        dirty = "".join([chr(r.randrange(0x110000)) for _ in range(r.randrange(40))]) + text(r, 30)
        limit = r.randrange(1, 60)
        for cleaned in (clean.clean(dirty, limit), clean.clean_tail(dirty, limit)):
            assert cleaned.isprintable() and len(cleaned) <= limit, (dirty, cleaned)
            cleaned.encode("utf-8")
            assert clean.clean(cleaned, limit) == cleaned
        if dirty.isprintable() and len(dirty) <= limit:
            assert clean.clean(dirty, limit) == dirty


def main():
    digest = round_trips(1, 150)
    assert survives_damage(2, 300) > 100
    survives_noise(3, 300)
    cleaning(4, 300)
    print(digest)


if __name__ == "__main__":
    main()
