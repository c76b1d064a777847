"""How a command ends: the exit status, or the one line that says why it cannot be done."""

from __future__ import annotations

DONE, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130


class UsageError(Exception):
    """Something the user asked for cannot be done; the text is the one line that says so."""
