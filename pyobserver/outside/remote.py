"""Reads the memory of another process: many places in one call, nothing stopped, nothing written."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .errors import OutsideError

_IOV_MAX = 1024
_FORBIDDEN = (errno.EPERM, errno.EACCES, errno.ENOSYS)

Addresses = NDArray[np.uint64]

_libc = ctypes.CDLL(None, use_errno=True)
_process_vm_readv = _libc.process_vm_readv
_process_vm_readv.restype = ctypes.c_ssize_t
_process_vm_readv.argtypes = [ctypes.c_int] + [ctypes.c_void_p, ctypes.c_ulong] * 2 + [ctypes.c_ulong]


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

    Every method raises `Torn` when an address is not (or no longer) mapped, and `Forbidden` when the kernel refuses.
    Nothing is held open, so a program started by exec in the same process is read like the one before.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._by_file = False

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`."""
        buffer = ctypes.create_string_buffer(size)
        self._gather(np.array([[address, size]], dtype=np.uint64), ctypes.addressof(buffer))
        return buffer.raw

    def read_each(self, addresses: Addresses, size: int) -> NDArray[np.uint8]:
        """`size` bytes from each address, as an array of shape (number of addresses, size)."""
        out = np.zeros((len(addresses), size), dtype=np.uint8)
        where = np.empty((len(addresses), 2), dtype=np.uint64)
        where[:, 0] = addresses
        where[:, 1] = size
        for first in range(0, len(addresses), _IOV_MAX):
            self._gather(where[first : first + _IOV_MAX], out[first:].ctypes.data)
        return out

    def _gather(self, where: Addresses, into: int) -> None:
        """Copy the ranges (address, size) one behind the other to the local address `into`."""
        total = int(where[:, 1].sum())
        if self._by_file:
            return self._gather_by_file(where, into)
        local = np.array([into, total], dtype=np.uint64)
        got = _process_vm_readv(self.pid, local.ctypes.data, 1, where.ctypes.data, len(where), 0)
        if got == total:
            return None
        code = ctypes.get_errno() if got < 0 else errno.EFAULT
        if code in _FORBIDDEN:
            self._gather_by_file(where, into)
            self._by_file = True
            return None
        raise Torn(os.strerror(code))

    def _gather_by_file(self, where: Iterable[Iterable[np.uint64]], into: int) -> None:
        try:
            fd = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            raise Forbidden(self.pid) from None
        except OSError as error:
            raise Torn(str(error)) from None
        try:
            for address, size in where:
                content = os.pread(fd, int(size), int(address))
                if len(content) != size:
                    raise Torn("short read")
                ctypes.memmove(into, content, len(content))
                into += len(content)
        except (OSError, OverflowError) as error:
            raise Torn(str(error)) from None
        finally:
            os.close(fd)
