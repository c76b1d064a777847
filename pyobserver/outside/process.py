"""What the kernel tells about a process at hardly any cost: identity, memory totals, threads, files, CPU."""

from __future__ import annotations

import functools
import os
import pwd
import time
from collections.abc import Callable

from ..attach.interpreters import Interpreter, identify
from ..model.readings import Identity, Limit, ProcessReading
from ..protocol.clean import clean, clean_tail
from .errors import OutsideError
from .lifeline import Lifeline, stat_fields

_TICK = os.sysconf("SC_CLK_TCK")
_LIMITS_EVERY = 10.0  # seconds; limits hardly ever change
_PATH_LIMIT = 1000  # characters kept of a path, and of one argument of the command line
_ARGUMENTS = 100  # arguments kept of the command line


class ProcessProbe:
    """Reads one process again and again, without ever touching what is slow or stalls it (smaps).

    Raises `TargetGone` from the constructor and from `read` when the process has ended.
    """

    def __init__(self, pid: int, clock: Callable[[], float] = time.time) -> None:
        self.pid = pid
        self._clock = clock
        self._lifeline = Lifeline(pid)
        self._limits: tuple[Limit, ...] = ()
        self._limits_at = -_LIMITS_EVERY
        try:
            self.identity = read_identity(self._lifeline)
        except BaseException:
            self._lifeline.close()
            raise

    def __enter__(self) -> ProcessProbe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._lifeline.close()

    def read(self) -> ProcessReading:
        """One reading: a few small files of /proc, some 0.1 ms."""
        line = self._lifeline
        status = status_fields(line.read("status"))
        line.check_memory(status)
        stat = stat_fields(line.read("stat"))
        fds = _open_files(line)
        limits = self._current_limits()
        oom_score = _optional_int(line, "oom_score")
        line.check()
        return ProcessReading(
            taken_at=self._clock(),
            rss=kilobytes(status, "VmRSS"),
            rss_anon=kilobytes(status, "RssAnon"),
            rss_file=kilobytes(status, "RssFile"),
            rss_shmem=kilobytes(status, "RssShmem"),
            swap=kilobytes(status, "VmSwap"),
            peak_rss=kilobytes(status, "VmHWM"),
            vms=kilobytes(status, "VmSize"),
            threads=_number(status.get("Threads", "")),
            fds=fds,
            fd_limit=next((limit.soft for limit in limits if limit.name == "Max open files"), None),
            cpu_seconds=(int(stat[11]) + int(stat[12])) / _TICK,
            minor_faults=int(stat[7]),
            major_faults=int(stat[9]),
            voluntary_switches=_number(status.get("voluntary_ctxt_switches", "")),
            involuntary_switches=_number(status.get("nonvoluntary_ctxt_switches", "")),
            oom_score=oom_score,
            state=stat[0].decode("ascii", "replace"),
            limits=limits,
        )

    def _current_limits(self) -> tuple[Limit, ...]:
        now = time.monotonic()
        if now - self._limits_at >= _LIMITS_EVERY:
            self._limits_at = now
            try:
                self._limits = parse_limits(self._lifeline.read("limits").decode("ascii", "replace"))
            except OutsideError:
                self._lifeline.check()
                self._limits = ()
        return self._limits


def read_identity(line: Lifeline) -> Identity:
    """Who the process is. Files that may not be read leave their fields None; `TargetGone` when it has ended."""
    status = status_fields(line.read("status"))
    stat = stat_fields(line.read("stat"))
    executable = line.link("exe")
    uid = effective_uid(status)
    python = _interpreter(line, executable)
    cwd, root = line.link("cwd"), line.link("root")
    identity = Identity(
        pid=line.pid,
        pid_inside=_number(status.get("NSpid", "").rpartition("\t")[2]) or line.pid,
        parent=int(stat[1]),
        started_at=started_at(line.started_ticks),
        command=command_line(line.read("cmdline")) or (clean(status.get("Name", "")),),
        executable=None if executable is None else clean_tail(executable, _PATH_LIMIT),
        cwd=None if cwd is None else clean_tail(cwd, _PATH_LIMIT),
        root=None if root is None else clean_tail(root, _PATH_LIMIT),
        host=os.uname().nodename,
        uid=uid,
        user=user_name(uid),
        python=python.version if python else None,
        implementation=python.implementation if python else None,
        free_threaded=bool(python and python.free_threaded),
    )
    line.check()
    return identity


def status_fields(raw: bytes) -> dict[str, str]:
    """/proc/PID/status as a table of its names."""
    pairs = (text.partition(":") for text in raw.decode("utf-8", "replace").split("\n"))
    return {name: value.strip() for name, _, value in pairs}


def kilobytes(fields: dict[str, str], name: str) -> int | None:
    """The bytes of a field that is given as "1234 kB", or None when it is not."""
    words = fields.get(name, "").split()
    return _number(words[0], 1024) if words else None


def effective_uid(status: dict[str, str]) -> int:
    """The user that a process acts as. Raises `OutsideError` where /proc/PID/status does not tell."""
    words = status.get("Uid", "").split()
    uid = _number(words[1]) if len(words) == 4 else None
    if uid is None:
        raise OutsideError("cannot read the user of a process", "the text is not as the kernel writes it")
    return uid


def _number(text: str, unit: int = 1) -> int | None:
    """The whole number that a text is, times a unit, or None."""
    try:
        return int(text) * unit
    except ValueError:
        return None


def command_line(raw: bytes) -> tuple[str, ...]:
    """The arguments in the text of /proc/PID/cmdline, cleaned and bounded; empty for a kernel thread."""
    arguments = raw.rstrip(b"\0").split(b"\0", _ARGUMENTS)[:_ARGUMENTS] if raw.strip(b"\0") else []
    return tuple(clean(argument.decode("utf-8", "replace"), _PATH_LIMIT) for argument in arguments)


def started_at(ticks: int) -> float:
    """The Unix time of a start that /proc/PID/stat gives in ticks since boot."""
    return _boot_time() + ticks / _TICK


@functools.cache
def _boot_time() -> float:
    """When the machine started, taken once: the same start must not differ from one reading to the next."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def user_name(uid: int) -> str:
    """The name of a user, or the number when there is none."""
    try:
        return clean(pwd.getpwuid(uid).pw_name)
    except (KeyError, OSError):
        return str(uid)


def parse_limits(text: str) -> tuple[Limit, ...]:
    """The lines of /proc/PID/limits, whose columns stand at fixed places (Linux fs/proc/base.c)."""
    limits = []
    for line in text.splitlines()[1:]:
        values = line[25:].split()
        if len(values) >= 2:
            soft, hard = (_number(value) for value in values[:2])
            limits.append(Limit(line[:25].strip(), soft, hard, values[2] if len(values) > 2 else ""))
    return tuple(limits)


def _interpreter(line: Lifeline, executable: str | None) -> Interpreter | None:
    if executable is None:
        return None
    try:
        maps = line.read("maps").decode("utf-8", "replace")
    except OutsideError:
        line.check()
        maps = ""
    return identify(line.pid, executable, maps)


def _open_files(line: Lifeline) -> int | None:
    """How many files are open. Linux 6.2 and later tell it as the size of the folder; before, it is listed."""
    folder = f"/proc/{line.pid}/fd"
    try:
        return os.stat(folder).st_size or len(os.listdir(folder))
    except OSError:
        return None


def _optional_int(line: Lifeline, name: str) -> int | None:
    try:
        return int(line.read(name))
    except (OutsideError, ValueError):
        line.check()
        return None
