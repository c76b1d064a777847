"""Arrays and trees of JSON as compressed bytes, and back with bounds: a few bytes must not become gigabytes."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Damaged

MAX_UNPACKED = 256 << 20
LEVEL = 6
_KINDS = {kind: np.dtype(f"<{kind}") for kind in ("u1", "u2", "u4", "u8", "i4", "i8", "f4", "f8")}
Array = NDArray[Any]


def packed(head: Any, arrays: list[Array] | None = None, level: int = LEVEL) -> bytes:
    """Return a tree of JSON and arrays as bytes.

    The bytes of each array lie with the first byte of all numbers first, then the second: so alike ones come together.
    """
    arrays = arrays or []
    kinds = [[array.dtype.str[1:], len(array)] for array in arrays]
    text = json.dumps([head, kinds] if arrays else [head], separators=(",", ":"), ensure_ascii=False)
    first = text.encode("utf-8", "surrogatepass")
    parts = [len(first).to_bytes(4, "little"), first]
    for array in arrays:
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        parts.append(plain.view(np.uint8).reshape(len(plain), -1).T.tobytes() if len(plain) else b"")
    return zlib.compress(b"".join(parts), level)


def unpacked(content: Any, most: int = MAX_UNPACKED) -> tuple[Any, list[Array]]:
    """Return the tree and the arrays. Raises Damaged for what `packed` did not make, or is larger than `most` bytes."""
    if not isinstance(content, bytes):
        raise Damaged("nothing is there")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(content, most)
    except zlib.error as error:
        raise Damaged(f"it cannot be decompressed: {error}") from None
    if not inflater.eof or inflater.unconsumed_tail:
        raise Damaged("it is not whole, or too large")
    size = int.from_bytes(plain[:4], "little")
    try:
        head = json.loads(plain[4 : 4 + size].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise Damaged("its head cannot be read") from None
    if type(head) is not list or not 1 <= len(head) <= 2:
        raise Damaged("it has no head")
    return head[0], _arrays(plain, 4 + size, head[1] if len(head) > 1 else [])


def _arrays(plain: bytes, at: int, kinds: Any) -> list[Array]:
    found: list[Array] = []
    if type(kinds) is not list:
        raise Damaged("its arrays cannot be read")
    for entry in kinds:
        if type(entry) is not list or len(entry) != 2 or type(entry[1]) is not int or entry[1] < 0:
            raise Damaged("its arrays cannot be read")
        kind = _KINDS.get(entry[0]) if type(entry[0]) is str else None
        if kind is None or at + kind.itemsize * entry[1] > len(plain):
            raise Damaged("its arrays cannot be read")
        count = entry[1]
        raw = np.frombuffer(plain, np.uint8, kind.itemsize * count, at)
        found.append(np.ascontiguousarray(raw.reshape(kind.itemsize, count).T).view(kind).reshape(count))
        at += kind.itemsize * count
    return found
