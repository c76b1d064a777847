"""A series as a few block characters, for the cell of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
FLAT = "▄"  # a series that does not move: a quiet line in the middle, neither empty nor full
STEADY = 0.005  # of the largest value: what moves less is drawn flat, so that noise does not look like growth


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Returns exactly `width` characters, the newest value at the right; None and NaN leave a space.

    More values than characters are averaged, fewer leave the left side empty. The lowest value is the lowest block and
    the highest the highest: the shape is shown, not the size, for which the table has numbers.
    """
    cells = _averaged(values, max(0, width))
    known = [value for value in cells if value is not None]
    if not known:
        return " " * len(cells)
    low, high = min(known), max(known)
    if high / 2 - low / 2 <= STEADY / 2 * max(abs(low), abs(high)):
        return "".join(" " if value is None else FLAT for value in cells)
    span = high / 2 - low / 2  # halves, as the whole of two huge values could overflow
    top = len(BLOCKS) - 1
    return "".join(" " if value is None else BLOCKS[round((value / 2 - low / 2) / span * top)] for value in cells)


def _averaged(values: Sequence[float | None], width: int) -> list[float | None]:
    """`width` values: the means of equal stretches, or the values behind as many empty places as are missing."""
    clean = [None if value is None or not math.isfinite(value) else float(value) for value in values]
    if len(clean) <= width:
        return [None] * (width - len(clean)) + clean
    cells: list[float | None] = []
    for cell in range(width):
        stretch = clean[cell * len(clean) // width : (cell + 1) * len(clean) // width]
        known = [value for value in stretch if value is not None]
        cells.append(math.fsum(value / len(known) for value in known) if known else None)
    return cells
