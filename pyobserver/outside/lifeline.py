"""A hold on one process, by which its death and the reuse of its pid are certain."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct

from .errors import OutsideError, TargetGone

# Linux include/uapi/linux/pidfd.h: struct pidfd_info (64 bytes in its first version) and PIDFD_GET_INFO. Since 6.15 the
# kernel keeps the wait status for those who hold a pidfd, even after the parent has collected it.
_PIDFD_INFO = struct.Struct("<QQ11Ii")
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_GET_INFO = 0xC000FF0B | _PIDFD_INFO.size << 16

_START_TICKS = 19  # index of `starttime` in the fields of /proc/PID/stat that follow the command (proc(5): field 22)
_FLAGS = 6  # index of `flags` (proc(5): field 9)
_PF_EXITING = 0x4  # Linux include/linux/sched.h
_EXIT_STATUS = 49  # index of `exit_code` (proc(5): field 52)
_LAST_BREATH = 0.2  # seconds


def stat_fields(raw: bytes) -> list[bytes]:
    """The fields of /proc/PID/stat after the command, whose text may hold blanks and parentheses; [0] is the state.

    All others are whole numbers. Raises `OutsideError` where it is no such text.
    """
    state, *numbers = raw[raw.rfind(b")") + 2 :].split() or [b""]
    if len(numbers) < _EXIT_STATUS or not all(number.lstrip(b"-").isdigit() for number in numbers):
        raise OutsideError("cannot read the state of a process", "the text is not as the kernel writes it")
    return [state, *numbers]


class Lifeline:
    """Holds a pidfd on process `pid`, and reads its files below /proc.

    Raises `TargetGone` when there is no such process, or only its zombie. Where the kernel refuses a pidfd (before
    Linux 5.3, some sandboxes) the start time from /proc/PID/stat tells the process from a later one of the same number.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd: int | None = None
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise TargetGone(pid) from None
        except OSError:
            pass
        try:
            self.started_ticks = int(stat_fields(self._slurp("stat"))[_START_TICKS])
        except (FileNotFoundError, ProcessLookupError):
            gone = self.epitaph()
            self.close()
            raise gone from None
        try:
            self.check()
        except TargetGone:
            self.close()
            raise

    def __enter__(self) -> Lifeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def alive(self, within: float = 0.0) -> bool:
        """Whether this very process still runs, after waiting `within` seconds for its end; a zombie does not."""
        if self._fd is not None:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return not poll.poll(within * 1000)
        try:
            fields = stat_fields(self._slurp("stat"))
        except OSError:
            return False
        return int(fields[_START_TICKS]) == self.started_ticks and fields[0] not in b"ZX"

    def check(self) -> None:
        """Raise `TargetGone` if the process has ended. What was read before a check that passes was its own."""
        if not self.alive():
            raise self.epitaph()

    def check_memory(self, status: dict[str, str]) -> None:
        """Raise `TargetGone` if the process, whose /proc/PID/status this is, has given its memory back already.

        Between that and its death lies the time to free it: half a second for some GB. The end is certain by then, so
        it is only waited for a moment, to have the exit code from the surest place.
        """
        if "VmRSS" not in status and not (self.alive(_LAST_BREATH) and not self._exiting()):
            raise self.epitaph()

    def epitaph(self) -> TargetGone:
        """The error that tells how the process ended, as far as that can be known."""
        status = self._zombie_status()
        if status is None:
            status = self._kept_status()
        if status is None:
            return TargetGone(self.pid)
        code = os.waitstatus_to_exitcode(status)
        return TargetGone(self.pid, signal=-code) if code < 0 else TargetGone(self.pid, exit_code=code)

    def read(self, name: str) -> bytes:
        """The contents of /proc/PID/`name`.

        Raises `TargetGone` when the process has ended, and `OutsideError` when the file may not be read.
        """
        try:
            return self._slurp(name)
        except (FileNotFoundError, ProcessLookupError) as error:
            self.check()
            raise OutsideError(f"cannot read /proc/{self.pid}/{name}", error.strerror or str(error)) from None
        except OSError as error:
            self.check()
            raise OutsideError(f"cannot read /proc/{self.pid}/{name}", *_reason(error)) from None

    def link(self, name: str) -> str | None:
        """Where the link /proc/PID/`name` points, or None when that may not be known."""
        try:
            return os.readlink(f"/proc/{self.pid}/{name}")
        except OSError:
            return None

    def _slurp(self, name: str) -> bytes:
        with open(f"/proc/{self.pid}/{name}", "rb", buffering=0) as file:
            return file.readall() or b""

    def _exiting(self) -> bool:
        try:
            return bool(int(stat_fields(self._slurp("stat"))[_FLAGS]) & _PF_EXITING)
        except OSError:
            return True

    def _zombie_status(self) -> int | None:
        """The wait status of a zombie, or of one that is about to be.

        The kernel writes 0 for those who may not see it, so only an owner asks.
        """
        try:
            if os.geteuid() not in (0, os.stat(f"/proc/{self.pid}").st_uid):
                return None
            fields = stat_fields(self._slurp("stat"))
        except (OSError, OutsideError):
            return None
        started = getattr(self, "started_ticks", None)
        ended = fields[0] in b"ZX" or int(fields[_FLAGS]) & _PF_EXITING
        if not ended or (started is not None and int(fields[_START_TICKS]) != started):
            return None
        return int(fields[_EXIT_STATUS])

    def _kept_status(self) -> int | None:
        """The wait status that the kernel keeps behind a pidfd."""
        if self._fd is None:
            return None
        buffer = bytearray(_PIDFD_INFO.size)
        struct.pack_into("<Q", buffer, 0, _PIDFD_INFO_EXIT)
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, _PIDFD_GET_INFO, buffer)
            mask, *_, status = _PIDFD_INFO.unpack(buffer)
            if mask & _PIDFD_INFO_EXIT:
                return int(status)
        return None


def _reason(error: OSError) -> tuple[str, str]:
    if isinstance(error, PermissionError):
        return "permission denied", "run as its user or as root"
    return error.strerror or str(error), ""
