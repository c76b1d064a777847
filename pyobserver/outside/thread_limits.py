"""How many threads a process may have: the control group that leaves least room, or what its user may have.

The kernel counts threads as it counts processes (Documentation/admin-guide/cgroup-v2.rst: pids.max, pids.current;
setrlimit(2): RLIMIT_NPROC, which does not hold for root).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..model.readings import Limit, ThreadLimit
from ..protocol.clean import clean_tail
from .limits import group_folders

_PATH_LIMIT = 120
_DEEPEST = 30  # groups above each other that are looked at


def thread_limit(pid: int, limits: Iterable[Limit], uid: int, root: Path = Path("/")) -> ThreadLimit | None:
    """Return what leaves the least room, None when nothing limits them. `limits` are the process's own.

    Raises `TargetGone` when there is no such process.
    """
    found = []
    for folder, path in group_folders(pid, root):
        found += _of_groups(folder, path)
    for limit in limits:
        if limit.name == "Max processes" and limit.soft is not None and uid != 0:
            found.append(ThreadLimit(limit.soft, "RLIMIT_NPROC", None))
    return min(found, key=lambda each: each.most - (each.current or 0), default=None)


def _of_groups(folder: Path, path: str) -> list[ThreadLimit]:
    """The limits of a group, and of those above it."""
    found = []
    for _ in range(_DEEPEST):
        most = _number(folder / "pids.max")
        if most is not None:
            name = clean_tail(path, _PATH_LIMIT)
            found.append(ThreadLimit(most, f"cgroup {name} pids.max", _number(folder / "pids.current")))
        elif not (folder / "pids.max").exists():
            break
        folder, path = folder.parent, path.rsplit("/", 1)[0] or "/"
    return found


def _number(path: Path) -> int | None:
    """The number in a file; None for "max", and where it cannot be read."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
