"""The processes of this machine that run Python, and the children of one process."""

from __future__ import annotations

import os
import re
import time

from ..attach.interpreters import Interpreter, identify, named_python
from ..model.readings import ChildProcess, PythonProcess
from ..protocol.clean import clean
from .errors import OutsideError, TargetGone
from .lifeline import stat_fields
from .process import command_line, effective_uid, kilobytes, started_at, status_fields, user_name

_TICK = os.sysconf("SC_CLK_TCK")
_LARGEST_MAPS = 1 << 20  # bytes of /proc/PID/maps that are looked at for a libpython
_START_TICKS = 19
_WORKER = re.compile(r"pyobserver\.(?:attach|outside|source)\b|multiprocessing\.(?:spawn|forkserver|resource_tracker)")


def pythons() -> list[PythonProcess]:
    """All Python processes that can be seen, oldest first, without this one and its helpers.

    A process of another user is told by the name that it was started by, as its files may not be looked at.
    """
    own = os.getpid()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own and (process := _python(int(name), own)) is not None:
            found.append(process)
    return sorted(found, key=lambda process: (-process.age_seconds, process.pid))


def children(pid: int) -> tuple[ChildProcess, ...]:
    """The direct children of a process, oldest first. Raises `TargetGone` when there is no such process."""
    found = [child for number in _child_pids(pid) if (child := _child(number, pid)) is not None]
    return tuple(sorted(found, key=lambda child: (child.started_at, child.pid)))


def _python(pid: int, own: int) -> PythonProcess | None:
    try:
        raw = _slurp(pid, "cmdline")
        command = command_line(raw)
        if not command:
            return None  # a kernel thread, or a zombie
        python = _interpreter(pid, raw)
        if python is None:
            return None
        stat, status = stat_fields(_slurp(pid, "stat")), status_fields(_slurp(pid, "status"))
        uid = effective_uid(status)
    except (OSError, OutsideError):
        return None  # it has ended meanwhile
    if int(stat[1]) == own and _is_helper(command):
        return None
    return PythonProcess(
        pid=pid,
        python=python.version,
        implementation=python.implementation,
        rss=kilobytes(status, "VmRSS"),
        age_seconds=max(0.0, time.time() - started_at(int(stat[_START_TICKS]))),
        command=command,
        user=user_name(uid),
    )


def _is_helper(command: tuple[str, ...]) -> bool:
    """Whether a child of ours works for us: a fork of this program, or one of its modules; not what it started."""
    return any(_WORKER.search(argument) for argument in command[1:]) or command == command_line(
        _slurp(os.getpid(), "cmdline")
    )


def _interpreter(pid: int, raw: bytes) -> Interpreter | None:
    """What Python a process runs, or None. Raises `OSError` when it has ended."""
    try:
        executable = os.readlink(f"/proc/{pid}/exe")
        maps = _slurp(pid, "maps", _LARGEST_MAPS).decode("utf-8", "replace")
    except PermissionError:
        return named_python(raw.split(b"\0", 1)[0].decode("utf-8", "replace"))
    return identify(pid, executable, maps)


def _child_pids(pid: int) -> list[int]:
    """The children of all threads of a process; by a look at every process where the kernel keeps no list."""
    found: list[int] = []
    listed = False
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                found += map(int, _slurp(pid, f"task/{thread}/children").split())
                listed = True
            except OSError:
                continue
    except FileNotFoundError:
        raise TargetGone(pid) from None
    except OSError as error:
        raise OutsideError(f"cannot read the children of process {pid}", error.strerror or str(error)) from None
    return found if listed else [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _child(pid: int, parent: int) -> ChildProcess | None:
    """One child, or None when it is not (or no longer) a child of `parent`."""
    try:
        raw_stat = _slurp(pid, "stat")
        stat = stat_fields(raw_stat)
        if int(stat[1]) != parent:
            return None
        raw = _slurp(pid, "cmdline")
        status = status_fields(_slurp(pid, "status"))
        is_python = bool(raw) and _interpreter(pid, raw) is not None
    except (OSError, OutsideError):
        return None
    name = raw_stat[raw_stat.index(b"(") + 1 : raw_stat.rindex(b")")].decode("utf-8", "replace")
    return ChildProcess(
        pid=pid,
        started_at=started_at(int(stat[_START_TICKS])),
        command=command_line(raw) or (clean(name),),
        rss=kilobytes(status, "VmRSS"),
        cpu_seconds=(int(stat[11]) + int(stat[12])) / _TICK,
        state=stat[0].decode("ascii", "replace"),
        is_python=is_python,
    )


def _slurp(pid: int, name: str, limit: int = -1) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read(limit)
