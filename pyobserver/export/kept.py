"""What is said when a recording has ended."""

from __future__ import annotations

import signal

from ..analysis.format import bytes_text, duration
from ..model.snapshot import Phase, Status


def kept_line(pid: int, path: str, seconds: float, size: int, status: Status) -> str:
    """Return one line: how long was recorded, where it is, and how the process has ended if it has."""
    line = f"recorded process {pid} for {duration(seconds)} in {path}, {bytes_text(size)}"
    if status.phase is Phase.EXITED:
        line += f"; it has ended{_how(status)}"
    return f"{line}; pyobserver replay {path} shows it"


def _how(status: Status) -> str:
    why = f" ({status.text})" if status.text.startswith("killed") else ""
    if status.signal is not None:
        try:
            return f" by {signal.Signals(status.signal).name}{why}"
        except ValueError:
            return f" by signal {status.signal}{why}"
    return f" with exit code {status.exit_code}" if status.exit_code is not None else why
