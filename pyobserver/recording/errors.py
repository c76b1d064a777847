"""What can go wrong with a recording."""

from __future__ import annotations


class RecordingError(Exception):
    """A file cannot be written or read as a recording; the text says what, why, and what would help."""


class Damaged(Exception):
    """A part of a recording is not as it was written. Whoever reads passes it over, and says so."""
