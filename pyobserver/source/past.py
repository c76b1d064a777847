"""What an agent says of what has been, checked as all that it says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.past import PastSeries
from ..protocol import schema
from ..protocol.frames import Frame
from . import fields
from .errors import MessageError
from .fields import MAX_BYTES

MOST_MESSAGES = len(schema.PAST_SERIES) + schema.MOST_PAST_GROUPS * len(schema.PAST_GROUP_SERIES)
_MOST_AGE = 2 * 86_400.0  # seconds
_ROUNDING = 1e-5
_MOST = {"rss": MAX_BYTES, "bytes": MAX_BYTES, "cpu": 1e6}  # of all others as many as there may be rows, and more
_MOST_COUNT = 1e9


def history(frame: Frame) -> PastSeries:
    """Return one series of what has been."""
    head = frame.head
    group = None if head.get("group") is None else _group(head["group"])
    series = fields.text(head, "series", 60)
    if series not in (schema.PAST_SERIES if group is None else schema.PAST_GROUP_SERIES):
        raise MessageError("history: a series that this protocol does not know")
    ages, lengths, low, mean, high = (_column(frame, name, code) for name, code in schema.PAST_COLUMNS)
    if len({len(ages), len(lengths), len(low), len(mean), len(high)}) != 1 or not len(ages):
        raise MessageError("history: columns of different lengths, or without cells")
    if not ((ages >= 0) & (ages <= _MOST_AGE)).all() or not (np.diff(ages) < 0).all():
        raise MessageError("history: ages that cannot be")
    if not ((lengths > 0) & (lengths <= _MOST_AGE)).all():
        raise MessageError("history: lengths that cannot be")
    most = _MOST.get(series, _MOST_COUNT)
    room = _ROUNDING * np.abs(high)
    if not ((low >= 0) & (low <= high) & (high <= most) & (mean >= low - room) & (mean <= high + room)).all():
        raise MessageError("history: values that cannot be")
    return PastSeries(series, group, np.column_stack([ages, lengths, low, mean.clip(low, high), high]))


def _group(value: Any) -> tuple[int, str, bool]:
    if type(value) is not list or len(value) != 3:
        raise MessageError("history: a group that is none")
    kind, function, held = value
    if type(kind) is not int or not 0 <= kind < len(schema.KINDS) or type(held) is not bool:
        raise MessageError("history: a group of no kind")
    return kind, fields.cleaned(function), held


def _column(frame: Frame, name: str, code: str) -> NDArray[np.float64]:
    told, count, packed = frame.columns.get(name, ("", 0, b""))
    if told != code or count > schema.MOST_PAST_CELLS:
        raise MessageError(f"history: column {name}")
    return np.frombuffer(packed, "<" + code).astype(np.float64)
