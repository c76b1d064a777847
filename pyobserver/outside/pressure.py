"""How close to being out of memory a process has been: what its control group has counted, and how long tasks waited.

The counters are those of the innermost group that has any, and of those below it (Documentation/admin-guide/
cgroup-v2.rst: memory.events, memory.pressure; cgroup-v1/memory.rst: memory.failcnt, memory.oom_control). Where no group
tells how long tasks waited, the machine does (/proc/pressure/memory, Documentation/accounting/psi.rst).
"""

from __future__ import annotations

from pathlib import Path

from ..model.readings import MemoryPressure
from ..protocol.clean import clean_tail
from .limits import group_folders

_PATH_LIMIT = 120


def memory_pressure(pid: int, root: Path = Path("/")) -> MemoryPressure:
    """What is known: a few small files. `root` is the folder that holds proc/ and sys/.

    Raises `TargetGone` when there is no such process.
    """
    events: dict[str, int] = {}
    waits: dict[str, tuple[float, float]] = {}
    group, waited_in = "", ""
    for folder, path in group_folders(pid, root):
        found = _numbers(folder / "memory.events") or _version_1(folder)
        if found and not events:
            events, group = found, clean_tail(path, _PATH_LIMIT)
        told = _waits(folder / "memory.pressure")
        if told and not waits:
            waits, waited_in = told, "cgroup"
    if not waits:
        waits, waited_in = _waits(root / "proc" / "pressure" / "memory"), "host"
    some, full = waits.get("some"), waits.get("full")
    return MemoryPressure(
        group=group,
        high=events.get("high"),
        at_limit=events.get("max"),
        oom=events.get("oom"),
        oom_kills=events.get("oom_kill"),
        waited_in=waited_in if waits else "",
        some=some[0] if some else None,
        full=full[0] if full else None,
        some_seconds=some[1] if some else None,
        full_seconds=full[1] if full else None,
    )


def oom_kills(folder: Path) -> int | None:
    """How often was killed for memory in the group with this folder and in those below it; None where not told."""
    for name in ("memory.events", "memory.oom_control"):
        if (count := _numbers(folder / name).get("oom_kill")) is not None:
            return count
    return None


def _version_1(folder: Path) -> dict[str, int]:
    """The same counters of version 1: how often the limit was hit, and how often was killed for it."""
    found = {name: value for name, value in _numbers(folder / "memory.oom_control").items() if name == "oom_kill"}
    try:
        found["max"] = int((folder / "memory.failcnt").read_text())
    except (OSError, ValueError):
        pass
    return found


def _numbers(path: Path) -> dict[str, int]:
    """The lines "name number" of a file; none when it cannot be read."""
    found = {}
    try:
        for line in path.read_text("ascii", "replace").splitlines():
            name, _, value = line.partition(" ")
            found[name] = int(value)
    except (OSError, ValueError):
        return {}
    return found


def _waits(path: Path) -> dict[str, tuple[float, float]]:
    """By "some" and "full": the share of the last ten seconds, and the seconds in all; empty when it is not told."""
    found = {}
    try:
        for line in path.read_text("ascii", "replace").splitlines():
            name, *words = line.split()
            values = dict(word.split("=", 1) for word in words)
            found[name] = (float(values["avg10"]) / 100, int(values["total"]) / 1e6)
    except (OSError, ValueError, KeyError):
        return {}
    return found
