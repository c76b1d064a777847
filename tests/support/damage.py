"""Strategies of hypothesis for what nobody would write: true texts and files that are cut, changed and repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

# What a program may give to a file, a socket or itself as a name, and what readers of lines and words may stumble over.
ODD_NAMES = (
    b" ", b"\t", b"\r", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xc2\x85", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xff\xfe",
    b"\\012", b" (deleted)", b")", b"(", b"\x1b[31m", b"/", b"Rss:", b"Uid:\t0", b"\rRss: 1 kB\r", b"7f00-7f01 r-xp",
)  # fmt: skip

_ODD_NUMBERS = (
    b"", b"0", b"-1", b"18446744073709551616", b"9" * 5000, b"\xc2\xb2", b"0x", b"1e9", b"NaN", b"f" * 17,
)  # fmt: skip


def names(longest: int = 255) -> st.SearchStrategy[bytes]:
    """Names without a line feed and without NUL, odd ones among them."""
    plain = st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"").replace(b"\0", b""))
    parts = st.lists(st.one_of(st.sampled_from(ODD_NAMES), plain), max_size=8)
    return parts.map(lambda found: b"".join(found)[:longest])


@st.composite
def damaged(draw: Callable[..., bytes], originals: Sequence[bytes]) -> bytes:
    """One of the originals, mostly with some damage."""
    raw = bytearray(draw(st.sampled_from(originals)))
    odd = st.one_of(st.sampled_from((*ODD_NAMES, *_ODD_NUMBERS, b"\n", b"\0")), st.binary(max_size=8))
    for _ in range(draw(st.integers(0, 5))):
        at, size = draw(st.integers(0, len(raw))), draw(st.integers(0, 40))
        way = draw(st.sampled_from(("cut", "change", "put in", "take out", "repeat")))
        if way == "cut":
            del raw[at:]
        elif way == "take out":
            del raw[at : at + size]
        elif way == "repeat":
            raw[at:at] = raw[at : at + size] * draw(st.integers(1, 20))
        else:
            raw[at : at + (size if way == "change" else 0)] = draw(odd)
    return bytes(raw)
