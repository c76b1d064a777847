"""The Python processes of a machine as text and as JSON: which one can attach to, and what stands against others."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis.format import bytes_text, duration
from ..model.readings import PythonProcess

_INDENT = " " * 9
_PROSE_COLUMNS = 100  # the width of sentences where the output has none of its own


@dataclass(frozen=True)
class Listed:
    """A process, and whether one can attach to it.

    `method` is the way that would be chosen, "existing" when the agent is there already; None when there is none, and
    then `kind` is one word for why, `reason` says it, and `help` what would lift it.
    """

    process: PythonProcess
    executable: str | None
    method: str | None
    kind: str = ""
    reason: str = ""
    help: str = ""
    agent_seconds: float | None = None  # for how long an agent has been there

    @property
    def why(self) -> str:
        """Why one cannot attach, and what would help; empty when one can."""
        return "; ".join(filter(None, (self.reason, self.help)))


def listing_text(rows: Sequence[Listed], width: int | None = None, details: bool = False) -> str:
    """Return a table with a line for each process, and below it why one cannot attach.

    What would help follows in the end, once for all whom it helps. Commands are cut at `width` columns. `details` adds
    a line with the executable and the way in.
    """
    if not rows:
        return "no Python processes are visible to this user\n"
    lines = [f"{'PID':>7}  {'PYTHON':<8}  {'MEMORY':>8}  {'AGE':<11}{'USER':<10}{'ATTACH':<8}COMMAND"]
    for row in rows:
        lines += _lines(row, width, details)
    lines += _helps(rows, width or _PROSE_COLUMNS)
    return "\n".join(lines) + "\n"


def listing_document(rows: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return the same for JSON; what is not known is None."""
    return [
        {
            "pid": row.process.pid,
            "python": row.process.python,
            "implementation": row.process.implementation,
            "executable": row.executable,
            "rss": row.process.rss,
            "age_seconds": row.process.age_seconds,
            "user": row.process.user,
            "command": list(row.process.command),
            "attachable": row.method is not None,
            "method": row.method,
            "kind": row.kind or None,
            "reason": row.reason or None,
            "help": row.help or None,
            "agent_seconds": row.agent_seconds,
        }
        for row in rows
    ]


def _lines(row: Listed, width: int | None, details: bool) -> Iterator[str]:
    process = row.process
    line = (
        f"{process.pid:>7}  {process.python or '?':<8}  {bytes_text(process.rss):>8}  "
        f"{duration(process.age_seconds):<11}{_cut(process.user, 9):<10}{'yes' if row.method else 'no':<8}"
    )
    yield (line + _cut(_command(process, width), None if width is None else width - len(line))).rstrip()
    below = []
    if details:
        below.append(f"{row.executable or 'its executable cannot be seen'}; {_way(row)}")
    if row.agent_seconds is not None:
        below.append(f"the agent has been in it for {duration(row.agent_seconds)}")
    if row.reason:
        below.append(row.reason)
    for text in below:
        yield from _wrapped(text, width or _PROSE_COLUMNS, _INDENT)


def _way(row: Listed) -> str:
    if row.method == "existing":
        return "the way in is the agent that is there"
    return f"the way in is {row.method}" if row.method else f"no way in ({row.kind})"


def _helps(rows: Sequence[Listed], width: int) -> Iterator[str]:
    """What would help, and whom."""
    helped: dict[str, list[int]] = {}
    for row in rows:
        if row.help:
            helped.setdefault(row.help, []).append(row.process.pid)
    if helped:
        yield "\nwhat would help"
    for text, pids in helped.items():
        yield from _wrapped(f"{', '.join(map(str, pids))}: {text}", width, "  ")


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, max(width, 40), initial_indent=indent, subsequent_indent=indent + "  ")


def _command(process: PythonProcess, width: int | None) -> str:
    """The command; where there is little room without the folder of the interpreter, which all have in common."""
    words = list(process.command)
    if width is not None and words:
        words[0] = words[0].rsplit("/", 1)[-1]
    return " ".join(words)


def _cut(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else text[: max(room - 1, 0)] + "…"
