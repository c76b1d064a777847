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
            text = file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None
    except PermissionError:
        raise denied(pid, "its memory map may not be read") from None
    found = []
    for line in text.splitlines():
        parts = line.split(None, 5)
        start, _, end = parts[0].partition("-")
        path = parts[5] if len(parts) > 5 else ""
        found.append(Mapping(int(start, 16), int(end, 16), parts[1], int(parts[2], 16), parts[3], path))
    return found


def denied(pid: int, why: str) -> AttachError:
    """The kernel refuses."""
    return AttachError("denied", f"process {pid} may not be traced", why, TRACE_HELP)


def status(pid: int, tid: int | None = None) -> dict[str, str]:
    """Return the fields of /proc/PID/status, or of one thread's."""
    path = f"/proc/{pid}/status" if tid is None else f"/proc/{pid}/task/{tid}/status"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None


def start_ticks(pid: int) -> int:
    """Return when the process began, in clock ticks since boot: with the pid it names one process for good."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            raw = file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None
    return int(raw[raw.rindex(b")") + 2 :].split()[19])


def thread_states(pid: int) -> list[ThreadState]:
    """Return where all threads are (/proc/PID/task/TID/syscall, proc(5)); those that just end are left out."""
    found = []
    try:
        names = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        raise gone(pid) from None
    for name in names:
        try:
            with open(f"/proc/{pid}/task/{name}/syscall") as file:
                words = file.read().split()
        except OSError:
            continue
        if not words:
            continue
        if words[0] == "running":
            found.append(ThreadState(int(name), None, ()))
        else:
            found.append(ThreadState(int(name), int(words[0]), tuple(int(word, 16) for word in words[1:7])))
    return found


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
        """Return `size` bytes; AttachError when they are not mapped, kind "gone" when nothing is any more."""
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
