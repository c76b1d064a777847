"""How much memory a process may have: the smallest of its control groups, its resource limits and the machine.

Control groups are found through the mount table, so that any layout works: version 1, version 2, both at once
("hybrid"), and a process in a container whose groups can only be seen from within (through /proc/PID/root).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..model.readings import MemoryLimit
from ..protocol.clean import clean_tail
from .errors import OutsideError, TargetGone
from .process import kilobytes, parse_limits, status_fields

_UNLIMITED = 1 << 62  # version 1 writes its "no limit" as the largest number of pages, in bytes
_PATH_LIMIT = 120


@dataclass(frozen=True)
class _Version:
    """The files of a control group that matter here."""

    limit: str
    current: str
    events: str
    reclaimable: str  # the line of memory.stat with the file cache that goes first, of the groups below too


_V1 = _Version("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control", "total_inactive_file")
_V2 = _Version("memory.max", "memory.current", "memory.events", "inactive_file")


@dataclass(frozen=True)
class _Mount:
    """Where a hierarchy is mounted: the folder as we reach it, and the group that this folder shows."""

    folder: Path
    shows: PurePosixPath


def memory_limit(pid: int, root: Path = Path("/")) -> MemoryLimit:
    """The limit that a process will hit first: the smallest one.

    `root` is the folder that holds proc/ and sys/. Raises `TargetGone` when there is no such process.
    """
    limits = memory_limits(pid, root)
    return min(limits, key=lambda limit: _UNLIMITED if limit.bytes is None else limit.bytes)


def memory_limits(pid: int, root: Path = Path("/")) -> tuple[MemoryLimit, ...]:
    """All limits that are set: control groups from the innermost out, resource limits, and at last always the host."""
    folder = root / "proc" / str(pid)
    try:
        status = status_fields((folder / "status").read_bytes())
        groups = (folder / "cgroup").read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError):
        raise TargetGone(pid) from None
    except OSError as error:
        raise OutsideError(f"cannot read the limits of process {pid}", error.strerror or str(error)) from None
    found: list[MemoryLimit] = []
    for version, path in _memory_groups(groups):
        found += _group_limits(root, pid, version, path)
    return (*found, *_resource_limits(folder, status), _host(root))


def _memory_groups(text: str) -> Iterator[tuple[_Version, PurePosixPath]]:
    """The groups of /proc/PID/cgroup that can limit memory (lines "hierarchy:controllers:path")."""
    for line in text.split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield _V2, PurePosixPath(path)
        elif "memory" in controllers.split(","):
            yield _V1, PurePosixPath(path)


def _group_limits(root: Path, pid: int, version: _Version, path: PurePosixPath) -> list[MemoryLimit]:
    """The limits along the chain of groups from `path` up to the root that can be seen.

    First as this process sees the groups; where that shows nothing (a group beside ours, behind a namespace), as the
    target does.
    """
    own = root / "proc" / "self" / "mountinfo"
    theirs = root / "proc" / str(pid)
    for table, base in ((own, root), (theirs / "mountinfo", theirs / "root")):
        for mount in _mounts(table, base, version):
            group = _folder(mount, path)
            if group is not None:
                return list(_chain(mount, group, version, path))
    return []


def group_folders(pid: int, root: Path = Path("/")) -> Iterator[tuple[Path, str]]:
    """The folders of the control groups that a process is in, as far as they can be seen, with their paths.

    Raises `TargetGone` when there is no such process.
    """
    theirs = root / "proc" / str(pid)
    try:
        groups = (theirs / "cgroup").read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError):
        raise TargetGone(pid) from None
    except OSError:
        return
    for version, path in _memory_groups(groups):
        for table, base in ((root / "proc" / "self" / "mountinfo", root), (theirs / "mountinfo", theirs / "root")):
            folder = next(filter(None, (_folder(mount, path) for mount in _mounts(table, base, version))), None)
            if folder is not None:
                yield folder, str(path)
                break


def _mounts(table: Path, base: Path, version: _Version) -> Iterator[_Mount]:
    """The mounts of a hierarchy that can limit memory in a mount table (proc(5): /proc/PID/mountinfo)."""
    try:
        lines = table.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2" if version is _V2 else kind[0] == "cgroup" and "memory" in kind[2].split(","):
            yield _Mount(base / _unescape(fields[4]).lstrip("/"), PurePosixPath(_unescape(fields[3])))


def _unescape(text: str) -> str:
    """A path of the mount table, where blanks and the like are written as octal numbers."""
    for code in ("\\040", "\\011", "\\012", "\\134"):
        text = text.replace(code, chr(int(code[1:], 8)))
    return text


def _folder(mount: _Mount, path: PurePosixPath) -> Path | None:
    """The folder of group `path` below a mount, or None when this mount does not show it."""
    if not path.is_relative_to(mount.shows):
        return None
    relative = path.relative_to(mount.shows)
    if ".." in relative.parts:
        return None
    folder = mount.folder / relative
    try:
        return folder if folder.is_dir() else None
    except OSError:
        return None  # it may not be looked at


def _chain(mount: _Mount, group: Path, version: _Version, path: PurePosixPath) -> Iterator[MemoryLimit]:
    """The limits that are set from `group` up to the folder of the mount."""
    while True:
        limit = _number(group / version.limit)
        if limit is not None and limit < _UNLIMITED:
            name = clean_tail(str(path), _PATH_LIMIT)
            kills = _counter(group / version.events, "oom_kill")
            yield MemoryLimit(limit, f"cgroup {name} {version.limit}", _working_set(group, version), kills)
        if group == mount.folder:
            return
        group, path = group.parent, path.parent
        if version is _V1 and _number(group / "memory.use_hierarchy") == 0:
            return  # this parent does not count what its children use


def _working_set(group: Path, version: _Version) -> int | None:
    """The bytes of a group that a kill can come from: what is charged to it without its inactive file cache.

    The kernel drops that cache before it kills, so a group may stand at its limit for days with nothing wrong. The
    same as kubelet's "working set". Without memory.stat it is all that is charged. The statistics may be older than
    the total by two seconds (Linux mm/memcontrol.c), hence the floor. None when the group cannot be read.
    """
    charged = _number(group / version.current)
    reclaimable = _counter(group / "memory.stat", version.reclaimable)
    return None if charged is None else max(0, charged - (reclaimable or 0))


def _counter(path: Path, wanted: str) -> int | None:
    """A number from a file with lines "name number", as memory.stat, memory.events and memory.oom_control have."""
    try:
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == wanted:
                return int(value)
    except (OSError, ValueError):
        pass
    return None


def _resource_limits(folder: Path, status: dict[str, str]) -> Iterator[MemoryLimit]:
    """RLIMIT_AS and RLIMIT_DATA, which count address space and data segment: more than is resident."""
    try:
        limits = {limit.name: limit.soft for limit in parse_limits((folder / "limits").read_text("ascii", "replace"))}
    except OSError:
        return
    for name, source, counter in (
        ("Max address space", "RLIMIT_AS", "VmSize"),
        ("Max data size", "RLIMIT_DATA", "VmData"),
    ):
        soft = limits.get(name)
        if soft is not None:
            yield MemoryLimit(soft, source, kilobytes(status, counter))


def _host(root: Path) -> MemoryLimit:
    """The memory of the machine; what is used of it is what is not available to anyone."""
    try:
        fields = status_fields((root / "proc" / "meminfo").read_bytes())
    except OSError:
        fields = {}
    total, available = kilobytes(fields, "MemTotal"), kilobytes(fields, "MemAvailable")
    return MemoryLimit(total, "host", None if total is None or available is None else total - available)


def _number(path: Path) -> int | None:
    """The number in a file; None when there is none ("max") or it cannot be read."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
