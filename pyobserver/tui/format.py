"""The number formats, where the screens look for them."""

from ..analysis.format import (
    UNKNOWN,
    bytes_text,
    count,
    duration,
    growth_bytes,
    growth_count,
    percent,
)

__all__ = ["UNKNOWN", "bytes_text", "count", "duration", "growth_bytes", "growth_count", "percent"]
