"""The scales of a chart: where they end, where their ticks are, and what stands beside these."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from .chart_view import Unit

BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
COUNT_UNITS = ("", "k", "M", "G", "T", "P", "E")
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
DAY = 86400


@dataclass(frozen=True)
class Tick:
    """A value on an axis and its label."""

    value: float
    label: str


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, with ticks in ascending order; `high` is always above `low`."""

    low: float
    high: float
    ticks: tuple[Tick, ...]


def _nice(step: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(nice * power for nice in (1, 2, 5, 10) if nice * power >= step * (1 - 1e-9))


def value_axis(low: float, high: float, unit: Unit, ticks: int) -> Axis:
    """An axis from a tick at or below `low` to one at or above `high`, with about `ticks` of them, all in one unit.

    As both ends are ticks, a growing series moves the scale now and then by a step, and not at every reading.
    """
    least = {"bytes": 1000.0, "count": 1.0, "percent": 0.01}[unit]
    span = max(high - low, least, (abs(low) + abs(high)) * 1e-9)
    step = _nice(span / max(1, ticks))
    if unit == "count":
        step = max(1.0, step)
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    values = [number * step for number in range(first, last + 1)]
    return Axis(values[0], values[-1], tuple(Tick(value, _label(value, step, values[-1], unit)) for value in values))


def _label(value: float, step: float, high: float, unit: Unit) -> str:
    if unit == "percent":
        return f"{value * 100:.{_decimals(step * 100)}f} %"
    units = BYTE_UNITS if unit == "bytes" else COUNT_UNITS
    size = max(abs(high), step)
    rank = min(len(units) - 1, max(0, int(math.log10(size) + 1e-9) // 3))
    if unit == "count" and size < 100_000:
        rank = 0
    scale = 1000.0**rank
    text = f"{value / scale:,.{_decimals(step / scale)}f}"
    return f"{text} {units[rank]}".rstrip()


def _decimals(step: float) -> int:
    return min(9, max(0, -math.floor(math.log10(step) + 1e-9)))


def time_axis(first: float, last: float, ticks: int, zone: tzinfo | None) -> Axis:
    """An axis over Unix time with at most `ticks` round moments in a time zone; none when no clock could show them."""
    if not (math.isfinite(first) and math.isfinite(last)) or last <= first:
        return Axis(first, first + 1, ()) if math.isfinite(first) else Axis(0, 1, ())
    span = last - first
    step = next((step for step in STEPS if span / step <= max(1, ticks)), None)
    if step is None:
        step = math.ceil(span / max(1, ticks) / DAY) * DAY
    pattern = "%H:%M:%S" if step < 60 else "%H:%M" if span <= DAY else "%m-%d %H:%M" if step < DAY else "%m-%d"
    try:
        offset = _offset(first, zone)
        moments = [
            number * step - offset
            for number in range(math.ceil((first + offset) / step), math.floor((last + offset) / step) + 1)
        ]
        return Axis(first, last, tuple(Tick(moment, _local(moment, zone).strftime(pattern)) for moment in moments))
    except (ValueError, OverflowError, OSError):
        return Axis(first, last, ())


def _local(moment: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone)


def _offset(moment: float, zone: tzinfo | None) -> float:
    offset = _local(moment, zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
