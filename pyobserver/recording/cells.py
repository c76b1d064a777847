"""Cells of the series of a history as bytes, and back: beginning, least, sum, greatest, and number of readings of each.

Content (`packed`): {"begin": Unix seconds, "series": [[number, seconds of a cell, how many cells], ...]}. Arrays, of
all series one after the other: the distance of each beginning from `begin` in seconds (f4), the numbers of readings
(u4), the sums (f8), and the least and the greatest values (u8), their bits differing from those of the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Damaged
from .packing import packed, unpacked
from .values import MAX_TIME

Cells = NDArray[np.float64]
NO_CELLS: Cells = np.empty((0, 5))
_FIELDS = 5


def packed_cells(begin: float, series: Mapping[int, tuple[float, Cells]], level: int = 6) -> bytes:
    """Return the cells of series by number, each with the seconds of its cells."""
    listed = [[number, seconds, len(cells)] for number, (seconds, cells) in series.items()]
    table = np.concatenate([NO_CELLS, *(cells for _, cells in series.values())])
    sums = np.ascontiguousarray(table[:, 2])
    bits = sums.view(np.uint64)
    arrays: list[NDArray[Any]] = [
        (table[:, 0] - begin).astype(np.float32),
        table[:, 4].astype(np.uint32),
        sums,
        np.ascontiguousarray(table[:, 1]).view(np.uint64) ^ bits,
        np.ascontiguousarray(table[:, 3]).view(np.uint64) ^ bits,
    ]
    return packed({"begin": begin, "series": listed}, arrays, level)


def unpacked_cells(content: object) -> dict[int, Cells]:
    """Return the cells by the number of their series. Raises Damaged."""
    head, arrays = unpacked(content)
    if type(head) is not dict or type(head.get("series")) is not list or len(arrays) != _FIELDS:
        raise Damaged("cells without a head")
    begin = head.get("begin")
    if not isinstance(begin, (int, float)) or not abs(begin) < MAX_TIME:
        raise Damaged("cells without a beginning")
    offsets, readings, sums, low, high = arrays
    length = len(offsets)
    if any(len(array) != length for array in arrays) or any(array.dtype.itemsize != 8 for array in arrays[2:]):
        raise Damaged("cells of different lengths")
    bits = np.ascontiguousarray(sums).view(np.uint64)
    table = np.empty((length, _FIELDS))
    table[:, 0] = begin + offsets.astype(np.float64)
    table[:, 1] = (low.view(np.uint64) ^ bits).view(np.float64)
    table[:, 2] = sums.view(np.float64)
    table[:, 3] = (high.view(np.uint64) ^ bits).view(np.float64)
    table[:, 4] = np.maximum(readings, 1)
    if not np.isfinite(table).all():
        raise Damaged("cells with numbers that are none")
    return _divided(head["series"], table)


def _divided(series: list[Any], table: Cells) -> dict[int, Cells]:
    found: dict[int, Cells] = {}
    at = 0
    for entry in series:
        if type(entry) is not list or len(entry) != 3 or type(entry[0]) is not int or type(entry[2]) is not int:
            raise Damaged("series that cannot be told apart")
        number, _, count = entry
        if count < 0 or at + count > len(table):
            raise Damaged("a series with more cells than there are")
        found[number] = table[at : at + count]
        at += count
    return found


def coarser(cells: Cells, seconds: float) -> Cells:
    """Return the cells put together to longer ones, which begin at multiples of `seconds`."""
    if not len(cells):
        return cells
    starts = np.floor(cells[:, 0] / seconds) * seconds
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(starts) > 0]))
    found = np.empty((len(firsts), _FIELDS))
    found[:, 0] = starts[firsts]
    found[:, 1] = np.minimum.reduceat(cells[:, 1], firsts)
    found[:, 2] = np.add.reduceat(cells[:, 2], firsts)
    found[:, 3] = np.maximum.reduceat(cells[:, 3], firsts)
    found[:, 4] = np.add.reduceat(cells[:, 4], firsts)
    return found
