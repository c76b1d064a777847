"""Growth: the change per minute over a window, and what follows from it."""

from __future__ import annotations

from typing import Literal

from ..model.history import Curve

Mode = Literal["value", "growth", "baseline"]  # what numeric columns show

SHORTEST_WINDOW = 8.0  # seconds of history below which no growth is told
STEADY_SHARE = 0.005  # growth below this share of the value per minute counts as none


def per_minute(curve: Curve) -> float | None:
    """Return the slope of the least-squares line through the cells' means, per minute.

    None below eight seconds or three cells: two readings make a line through anything.
    """
    if len(curve) < 3 or curve.times[-1] - curve.times[0] < SHORTEST_WINDOW:
        return None
    times = curve.times - curve.times[0]
    times = times - times.mean()
    return float((times * (curve.mean - curve.mean.mean())).sum() / (times * times).sum() * 60.0)


def is_growing(value: float | None, slope: float | None, least: float = 0.0) -> bool:
    """Whether `slope` per minute is worth a mark beside `value`: more than noise, more than `least` per minute."""
    if value is None or slope is None:
        return False
    return slope > max(least, STEADY_SHARE * abs(value))


def seconds_to_limit(value: float | None, slope: float | None, limit: float | None) -> float | None:
    """Return when `value` reaches `limit` at this slope; None when it does not, or not within ten years."""
    if value is None or slope is None or limit is None or slope <= 0 or limit <= value:
        return None
    seconds = (limit - value) / slope * 60.0
    return seconds if seconds < 10 * 365 * 86400 else None
