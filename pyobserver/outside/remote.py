"""Reads the memory of another process: many places in one call, nothing stopped, nothing written."""

from __future__ import annotations

import ctypes
import errno
import os

import numpy as np
from numpy.typing import NDArray

from .errors import OutsideError

_IOV_MAX = 1024
_FORBIDDEN = (errno.EPERM, errno.EACCES, errno.ENOSYS)

Addresses = NDArray[np.uint64]

_libc = ctypes.CDLL(None, use_errno=True)
_process_vm_readv = _libc.process_vm_readv
_process_vm_readv.restype = ctypes.c_ssize_t
_process_vm_readv.argtypes = (
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_ulong,
)


class Torn(Exception):
    """What was read does not fit together, or is no longer mapped: the process changed it meanwhile."""


class Forbidden(OutsideError):
    """The kernel does not let this process read the memory of the other one."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"cannot read the memory of process {pid}",
            "the kernel forbids it",
            "run as its user or as root, with CAP_SYS_PTRACE, or with /proc/sys/kernel/yama/ptrace_scope at 0",
        )


class RemoteMemory:
    """The memory of process `pid`, through process_vm_readv, or /proc/PID/mem where a sandbox blocks that call.

    Both readings raise `Torn` when the process has no memory (any more), and `Forbidden` when the kernel refuses.
    Nothing is held open, so a program started by exec in the same process is read like the one before.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._by_file = False

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`; `Torn` when not all of them are mapped."""
        buffer = ctypes.create_string_buffer(size)
        self._gather(np.array([[address, size]], dtype=np.uint64), ctypes.addressof(buffer))
        return buffer.raw

    def read_each(self, addresses: Addresses, size: int) -> NDArray[np.uint8]:
        """`size` bytes from each address, as an array of shape (number of addresses, size); zeros where unmapped."""
        out = np.zeros((len(addresses), size), dtype=np.uint8)
        where = np.empty((len(addresses), 2), dtype=np.uint64)
        where[:, 0] = addresses
        where[:, 1] = size
        first = 0
        while first < len(addresses):
            part = where[first : first + _IOV_MAX]
            got = self._transfer(part, out[first:].ctypes.data)
            first += len(part) if got == len(part) * size else got // size + 1
        return out

    def _gather(self, where: Addresses, into: int) -> None:
        if self._transfer(where, into) != int(where[:, 1].sum()):
            raise Torn("no longer mapped")

    def _transfer(self, where: Addresses, into: int) -> int:
        """Copy the ranges (address, size) one behind the other to the local address `into`.

        Returns how many bytes were copied before the first range that is not mapped; ranges are never split.
        """
        total = int(where[:, 1].sum())
        if not self._by_file:
            local = np.array([into, total], dtype=np.uint64)
            got = int(_process_vm_readv(self.pid, local.ctypes.data, 1, where.ctypes.data, len(where), 0))
            code = ctypes.get_errno()
            if got >= 0 or code == errno.EFAULT:
                return max(got, 0)
            if code not in _FORBIDDEN:
                raise Torn(os.strerror(code))
        copied = self._transfer_by_file(where, into)
        self._by_file = True
        return copied

    def _transfer_by_file(self, where: Addresses, into: int) -> int:
        try:
            fd = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            raise Forbidden(self.pid) from None
        except OSError as error:
            raise Torn(str(error)) from None
        copied = 0
        try:
            for address, size in where.tolist():
                content = os.pread(fd, size, address)
                if len(content) != size:
                    break
                ctypes.memmove(into + copied, content, size)
                copied += size
        except (OSError, OverflowError):
            pass
        finally:
            os.close(fd)
        return copied
