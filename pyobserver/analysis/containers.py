"""Large containers by path: the rows of the table, and which of them grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..model.places import Containers
from ..model.snapshot import Snapshot
from .growth import goes_on, is_growing, slope_per_minute

NOTICED_ITEMS = 10.0  # each minute, below which growth is not worth a mark


@dataclass(frozen=True)
class ContainerRow:
    """The containers of one type at one path; `items` are those of all of them. Growth is per minute, None for new."""

    path: str
    type: str
    containers: int
    items: int
    largest: int
    growth: float | None
    marked: int | None  # items more than at the baseline
    growing: bool

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others, and finds it in the next reading."""
        return self.path, self.type


def container_rows(snapshot: Snapshot, window: float) -> list[ContainerRow]:
    """Return a row for each path of the newest reading. `window` is in seconds back from it."""
    record = snapshot.containers
    now = record.newest
    if now is None:
        return []
    since = max(now.taken_at - window, snapshot.growing_since(window))
    readings = [each for each in record.earlier if each.taken_at >= since] + [now]
    rows = []
    for place in now.answer.containers:
        key = (place.path, place.type)
        growth, growing = _growth(readings, key)
        before = record.baseline.items.get(key) if record.baseline is not None else None
        rows.append(
            ContainerRow(
                path=place.path,
                type=place.type,
                containers=place.containers,
                items=place.items,
                largest=place.largest,
                growth=growth,
                marked=None if before is None else place.items - before,
                growing=growing,
            )
        )
    return rows


def _growth(readings: Sequence[Containers], key: tuple[str, str]) -> tuple[float | None, bool]:
    """Growth per minute, and whether it is worth a mark; two readings tell the first, but not the second."""
    points = [(each.taken_at, each.items[key]) for each in readings if key in each.items]
    if len(points) < 2:
        return None, False
    times, values = (np.array(column, np.float64) for column in zip(*points, strict=True))
    if len(points) == 2:
        return float((values[1] - values[0]) / (times[1] - times[0]) * 60) if times[1] > times[0] else None, False
    slope = slope_per_minute(times, values)
    return slope, is_growing(float(values[-1]), slope, NOTICED_ITEMS) and goes_on(times, values)


def sort_containers(rows: Sequence[ContainerRow], column: str, descending: bool, text: str = "") -> list[ContainerRow]:
    """Return the rows that have `text` in path or type, in the order of a column; what is not known comes last."""
    text = text.strip().casefold()
    found = sorted((row for row in rows if text in f"{row.path} {row.type}".casefold()), key=lambda row: row.key)
    if column in ("path", "type"):
        return sorted(found, key=lambda row: getattr(row, column), reverse=descending)
    known = [row for row in found if getattr(row, column) is not None]
    known.sort(key=lambda row: getattr(row, column), reverse=descending)
    return known + [row for row in found if getattr(row, column) is None]
