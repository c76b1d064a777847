"""The threads of a process as the kernel sees them: what they are called, and what they are doing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from ..protocol.clean import clean
from .errors import OutsideError
from .lifeline import Lifeline, stat_fields

_TICK = os.sysconf("SC_CLK_TCK")
_NAME_LIMIT = 100

# Those that a Python program waits in, by number (Linux arch/x86/entry/syscalls/syscall_64.tbl and
# include/uapi/asm-generic/unistd.h for aarch64).
_SYSTEM_CALLS = {
    "x86_64": {
        0: "read", 1: "write", 7: "poll", 8: "lseek", 9: "mmap", 11: "munmap", 16: "ioctl", 17: "pread64",
        18: "pwrite64", 19: "readv", 20: "writev", 23: "select", 24: "sched_yield", 28: "madvise", 34: "pause",
        35: "nanosleep", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg",
        61: "wait4", 72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync", 128: "rt_sigtimedwait",
        130: "rt_sigsuspend", 202: "futex", 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid", 257: "openat",
        270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 299: "recvmmsg", 426: "io_uring_enter",
        441: "epoll_pwait2",
    },
    "aarch64": {
        22: "epoll_pwait", 25: "fcntl", 29: "ioctl", 32: "flock", 56: "openat", 62: "lseek", 63: "read", 64: "write",
        65: "readv", 66: "writev", 67: "pread64", 68: "pwrite64", 72: "pselect6", 73: "ppoll", 82: "fsync",
        83: "fdatasync", 95: "waitid", 98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 124: "sched_yield",
        133: "rt_sigsuspend", 137: "rt_sigtimedwait", 202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom",
        211: "sendmsg", 212: "recvmsg", 215: "munmap", 222: "mmap", 233: "madvise", 242: "accept4", 243: "recvmmsg",
        260: "wait4", 426: "io_uring_enter", 441: "epoll_pwait2",
    },
}  # fmt: skip


@dataclass(frozen=True)
class OsThread:
    """One thread; `system_call` and `waits_in` are None when not known or when it is in none."""

    thread_id: int
    name: str  # as the kernel has it, at most 15 bytes
    state: str  # the kernel's letter: R S D T t
    cpu_seconds: float
    system_call: str | None  # "futex"; "system call 999" for one without a name here
    waits_in: str | None  # the kernel function that it sleeps in


def os_threads(line: Lifeline) -> tuple[OsThread, ...]:
    """All threads, the main thread first. Raises `TargetGone` when the process has ended."""
    try:
        names = os.listdir(f"/proc/{line.pid}/task")
    except OSError:
        line.check()
        names = []
    numbers = sorted((int(name) for name in names), key=lambda number: (number != line.pid, number))
    found = tuple(thread for number in numbers if (thread := _read(line, number)) is not None)
    line.check()
    return found


def _read(line: Lifeline, number: int) -> OsThread | None:
    """One thread, or None when it has ended meanwhile."""
    folder = f"task/{number}"
    try:
        raw = line.read(f"{folder}/stat")
        fields = stat_fields(raw)
    except OutsideError:
        return None
    name = raw.partition(b"(")[2].rpartition(b")")[0].decode("utf-8", "replace")
    waits_in = _optional(line, f"{folder}/wchan")
    return OsThread(
        thread_id=number,
        name=clean(name, _NAME_LIMIT),
        state=fields[0].decode("ascii", "replace"),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICK,
        system_call=_system_call(_optional(line, f"{folder}/syscall")),
        waits_in=waits_in if waits_in not in ("", "0") else None,
    )


def _system_call(text: str) -> str | None:
    """The name of the call in the text of /proc/PID/task/TID/syscall ("running", "-1 ..." or the number first)."""
    first = text.split(" ", 1)[0]
    if not first.isdigit():
        return None
    number = int(first[:9])
    return _SYSTEM_CALLS.get(platform.machine(), {}).get(number, f"system call {number}")


def _optional(line: Lifeline, name: str) -> str:
    try:
        return line.read(name).decode("ascii", "replace").strip()
    except OutsideError:
        return ""
