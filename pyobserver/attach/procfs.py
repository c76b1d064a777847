"""What the kernel tells about a process in /proc: mappings, status, threads, memory."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from .errors import TRACE_HELP, AttachError, gone


@dataclass(frozen=True)
class Mapping:
    """One line of /proc/PID/maps."""

    start: int
    end: int
    permissions: str
    offset: int
    device: str
    path: str


@dataclass(frozen=True)
class ThreadState:
    """Where a thread is, without stopping it: `call` is None while it runs, -1 where it is blocked outside of calls."""

    tid: int
    call: int | None
    arguments: tuple[int, ...]


def mappings(pid: int) -> list[Mapping]:
    """Return the mappings of a process, in order of address."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            raw = file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None
    except PermissionError:
        raise denied(pid, "its memory map may not be read") from None
    try:
        return parse_mappings(raw)
    except ValueError:
        raise _unknown(pid, "maps") from None


def parse_mappings(raw: bytes) -> list[Mapping]:
    """Return the mappings in the text of /proc/PID/maps. Raises ValueError for what the kernel does not write.

    Of a path the kernel escapes only the line feed (Linux fs/proc/task_mmu.c): whatever else ends lines elsewhere, or
    looks like a blank, belongs to a name that anybody may have given to a file.
    """
    found = []
    for line in filter(None, raw.split(b"\n")):
        span, permissions, offset, device, _, *path = line.split(None, 5)
        start, _, end = span.partition(b"-")
        name = os.fsdecode(path[0]) if path else ""
        where = int(start, 16), int(end, 16), permissions.decode("ascii"), int(offset, 16), device.decode("ascii")
        found.append(Mapping(*where, name))
    return found


def _unknown(pid: int, name: str) -> AttachError:
    return AttachError("failed", f"/proc/{pid}/{name} is not as the kernel writes it")


def denied(pid: int, why: str) -> AttachError:
    """The kernel refuses."""
    return AttachError("denied", f"process {pid} may not be traced", why, TRACE_HELP)


def status(pid: int, tid: int | None = None) -> dict[str, str]:
    """Return the fields of /proc/PID/status, or of one thread's."""
    path = f"/proc/{pid}/status" if tid is None else f"/proc/{pid}/task/{tid}/status"
    try:
        with open(path, "rb") as file:
            return parse_status(file.read())
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None


def parse_status(raw: bytes) -> dict[str, str]:
    """Return the fields in the text of /proc/PID/status; the name in it may have any bytes but a line feed."""
    pairs = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\n"))
    return {key: value.strip() for key, _, value in pairs}


def start_ticks(pid: int) -> int:
    """Return when the process began, in clock ticks since boot: with the pid it names one process for good."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            raw = file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None
    try:
        return int(stat_words(raw)[19])
    except (IndexError, ValueError):
        raise _unknown(pid, "stat") from None


def stat_words(raw: bytes) -> list[bytes]:
    """Return the words in the text of a stat file from its third on (proc(5)): before, a name may have any.

    Raises ValueError where there is no name.
    """
    return raw[raw.rindex(b")") + 2 :].split()


def thread_ids(pid: int) -> list[int]:
    """Return the threads of a process; none when it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def thread_states(pid: int) -> list[ThreadState]:
    """Return where all threads are (/proc/PID/task/TID/syscall, proc(5)); those that just end are left out."""
    try:
        names = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None
    return [state for name in names if (state := thread_state(pid, int(name))) is not None]


def thread_state(pid: int, tid: int) -> ThreadState | None:
    """Return where one thread is; None for one that just ends."""
    try:
        with open(f"/proc/{pid}/task/{tid}/syscall", "rb") as file:
            words = file.read().split()
    except OSError:
        return None
    try:
        return _thread_state(tid, words) if words else None
    except ValueError:
        raise _unknown(pid, f"task/{tid}/syscall") from None


def _thread_state(tid: int, words: list[bytes]) -> ThreadState:
    """The state in the words of /proc/PID/task/TID/syscall; a call has six arguments there, and no call has none."""
    if words[0] == b"running":
        return ThreadState(tid, None, ())
    call = int(words[0])
    if call >= 0 and len(words) < 7:
        raise ValueError(words)
    return ThreadState(tid, call, tuple(int(word, 16) for word in words[1:7]))


_LARGEST_READ = 64 << 20  # bytes; more than any code of a C library, and no burden


class Memory:
    """The memory of a process through /proc/PID/mem. Opening it is subject to the same checks as ptrace.

    Writing to pages that are read-only for the process itself makes private copies of them, as break points do.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            raise denied(pid, "its memory may not be opened") from None
        except (FileNotFoundError, ProcessLookupError):
            raise gone(pid) from None

    def close(self) -> None:
        """Let go of the process."""
        os.close(self._fd)

    def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes; AttachError when they are not mapped, kind "gone" when nothing is any more.

        Sizes come from the target's own headers: those that no true one has are refused.
        """
        if size > _LARGEST_READ:
            raise AttachError("failed", f"cannot read {size} bytes at {address:#x}", "no part of a program is so large")
        try:
            data = os.pread(self._fd, size, address)
        except (OSError, OverflowError, ValueError) as error:
            raise AttachError("failed", f"cannot read {size} bytes at {address:#x}", str(error)) from None
        if size and not data:
            raise gone(self.pid)
        if len(data) != size:
            raise AttachError("failed", f"cannot read {size} bytes at {address:#x}", "they are not all mapped")
        return data

    def write(self, address: int, data: bytes) -> None:
        """Write `data`."""
        try:
            written = os.pwrite(self._fd, data, address)
        except OSError as error:
            raise AttachError("failed", f"cannot write at {address:#x}", str(error)) from None
        if written != len(data):
            raise gone(self.pid)

    def u32(self, address: int) -> int:
        """Return one unsigned 32-bit number."""
        return int(struct.unpack("<I", self.read(address, 4))[0])

    def u64(self, address: int) -> int:
        """Return one unsigned 64-bit number."""
        return int(struct.unpack("<Q", self.read(address, 8))[0])
