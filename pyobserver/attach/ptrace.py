"""ptrace(2): stopping one thread, its registers, and letting go of it.

A tracer is a thread, not a process: all calls for one target belong on one thread, and its end detaches everything.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time
from dataclasses import dataclass

from .errors import AttachError, gone
from .machines import Machine, Registers
from .procfs import denied

_CONT, _DETACH = 7, 17
_GETREGSET, _SETREGSET, _SEIZE, _INTERRUPT = 0x4204, 0x4205, 0x4206, 0x4207
_NT_PRSTATUS = 1
_SET_SIZE = 16384  # the largest register set, or as much of it as is of interest
_WALL = 0x40000000
_EVENT_STOP = 128
_SIGTRAP = 5

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class ThreadGone(Exception):
    """The thread ended; the process may go on."""


class NoSuchSet(Exception):
    """The processor has no such registers, or the kernel does not know them."""


class Refused(Exception):
    """The kernel refuses to trace the thread: another tracer is there, or a rule forbids it."""


def _call(request: int, tid: int, address: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, tid, address, data) != -1:
        return
    code = ctypes.get_errno()
    if code == errno.EPERM:
        raise Refused(tid)
    if code == errno.ESRCH:
        raise ThreadGone(tid)
    if request == _GETREGSET and code in (errno.EINVAL, errno.ENODEV):
        raise NoSuchSet(address)
    raise AttachError("failed", f"ptrace request {request:#x} on thread {tid}", os.strerror(code))


@dataclass
class Stop:
    """A thread that stands still, or `stopped` False with the reason."""

    stopped: bool
    why: str = ""
    by_job_control: bool = False


class Tracee:
    """One thread, held from `stop` until `release`."""

    def __init__(self, pid: int, tid: int, machine: Machine) -> None:
        self.pid = pid
        self.tid = tid
        self._machine = machine
        self._registers: Registers = {}
        self.stopped_at = 0.0

    def stop(self, patience: float = 1.0) -> Stop:
        """Seize the thread and bring it to a halt; signals on their way are delivered meanwhile."""
        _call(_SEIZE, self.tid)
        self.stopped_at = time.monotonic()
        _call(_INTERRUPT, self.tid)
        while True:
            status = self._wait(patience)
            if status is None:  # uninterruptible; the end of this tracing thread lets go of it
                return Stop(False, f"thread {self.tid} did not stop within {patience:g} s")
            if status >> 16 == _EVENT_STOP:
                break
            _call(_CONT, self.tid, 0, os.WSTOPSIG(status))
        if os.WSTOPSIG(status) != _SIGTRAP:
            self.release()
            return Stop(False, "it is stopped", by_job_control=True)
        return Stop(True)

    def _wait(self, patience: float) -> int | None:
        end = time.monotonic() + patience
        tries = 0
        while True:
            try:
                waited, status = os.waitpid(self.tid, _WALL | os.WNOHANG)
            except ChildProcessError:
                raise ThreadGone(self.tid) from None
            if waited:
                if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                    raise ThreadGone(self.tid)
                return status
            tries += 1
            if tries > 200:
                time.sleep(0.0002)
            if time.monotonic() > end:
                return None

    def release(self) -> float:
        """Let the thread run on, untraced. Returns for how many seconds it was held.

        Never CONT: a thread that stays seized halts at its next signal, for ever.
        """
        try:
            _call(_DETACH, self.tid)
        except ThreadGone:
            pass
        return time.monotonic() - self.stopped_at

    def registers(self) -> Registers:
        """Return the general registers."""
        names = self._machine.registers
        self._registers = dict(
            zip(names, struct.unpack(f"<{len(names)}Q", self.register_set(_NT_PRSTATUS)), strict=True)
        )
        return dict(self._registers)

    def set_registers(self, changed: Registers) -> None:
        """Set some registers; the others keep what `registers` returned."""
        self._registers.update(changed)
        data = struct.pack(f"<{len(self._registers)}Q", *self._registers.values())
        buffer = ctypes.create_string_buffer(data, len(data))
        vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), len(data))
        _call(_SETREGSET, self.tid, _NT_PRSTATUS, ctypes.addressof(vector))

    def register_set(self, number: int) -> bytes:
        """Return a register set (NT_*, include/uapi/linux/elf.h); empty where the processor has none of that number."""
        buffer = ctypes.create_string_buffer(_SET_SIZE)
        vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), _SET_SIZE)
        try:
            _call(_GETREGSET, self.tid, number, ctypes.addressof(vector))
        except NoSuchSet:
            return b""
        return buffer.raw[: vector[1]]


def why_refused(pid: int, tid: int) -> AttachError:
    """Return the error for a refusal: who traces the thread already, or that it may not be traced."""
    try:
        with open(f"/proc/{pid}/task/{tid}/status") as file:
            tracer = next((line.split()[1] for line in file if line.startswith("TracerPid")), "0")
    except OSError:
        return gone(pid)
    if tracer != "0":
        return AttachError(
            "traced",
            f"process {pid} is traced by process {tracer}",
            "only one tracer can be there",
            "end that one first",
        )
    return denied(pid, "the kernel refuses ptrace")


def checkpoint(when: str) -> None:
    """Die here if a test asks for it: what an observer that is killed at the worst moment leaves behind."""
    if os.environ.get("PYOBSERVER_TEST_DIE") == when:
        os.kill(os.getpid(), 9)
