"""Numbers as text, for screens and reports: few digits, a stable width, and a middle dot for what is not known.

Sizes are decimal: 1 MB is 1,000,000 bytes.
Every function takes None or NaN for "not known", and no function ever turns that into a zero.
"""

from __future__ import annotations

import math

UNKNOWN = "·"
BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def _is_unknown(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def _three_digits(value: float) -> str:
    """A number from 0 to 999 with three significant digits: `7.02`, `12.4`, `212`."""
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def bytes_text(n: float | None) -> str:
    """A size in bytes with three significant digits: `512 B`, `7.02 MB`, `2.89 GB`; at most 7 cells (8 if negative)."""
    if n is None or _is_unknown(n):
        return UNKNOWN
    sign, value = ("-" if n <= -0.5 else ""), abs(n)
    if value < 999.5:
        return f"{sign}{value:.0f} B"
    for unit in BYTE_UNITS[1:]:
        value /= 1000
        if value < 999.5:
            return f"{sign}{_three_digits(value)} {unit}"
    return f"{sign}>999 EB"


def growth_bytes(n: float | None) -> str:
    """A change in bytes (per minute, or since the baseline) with its sign: `+21.7 MB`, `-512 B`, `0`; at most 8."""
    if n is None or _is_unknown(n):
        return UNKNOWN
    text = bytes_text(n)
    if text == "0 B":
        return "0"
    return text if text.startswith("-") else "+" + text


def growth_count(n: float | None) -> str:
    """A change of a count with its sign: `+3.1`, `-12`, `0`."""
    if n is None or _is_unknown(n):
        return UNKNOWN
    if abs(n) < 0.05:
        return "0"
    return f"{n:+.1f}" if abs(n) < 99.95 else f"{n:+,.0f}"


def count(n: float | None) -> str:
    """A number of things with separated thousands: `1,234`."""
    return UNKNOWN if n is None or _is_unknown(n) else f"{n:,.0f}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share from 0 to 1 as `98 %`, with so many digits behind the point."""
    return UNKNOWN if share is None or _is_unknown(share) else f"{share * 100:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """A span of time in its two largest units: `0.4 s`, `12 s`, `5 min`, `2 h 5 min`, `3 d 4 h`; at most 10 cells.

    What is cut off is not rounded up, so an age never says more than has passed. A negative span, which a stepped clock
    can cause, counts as none.
    """
    if seconds is None or _is_unknown(seconds):
        return UNKNOWN
    if seconds < 1:
        tenths = math.floor(max(0.0, seconds) * 10)
        return f"0.{tenths} s" if tenths else "0 s"
    whole = math.floor(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    if whole < DAY:
        hours, rest = divmod(whole, HOUR)
        return f"{hours} h {rest // MINUTE} min" if rest >= MINUTE and hours < 10 else f"{hours} h"
    if whole < YEAR:
        days, rest = divmod(whole, DAY)
        return f"{days} d {rest // HOUR} h" if rest >= HOUR and days < 100 else f"{days} d"
    return f"{whole // YEAR} y" if whole < 1000 * YEAR else ">999 y"
