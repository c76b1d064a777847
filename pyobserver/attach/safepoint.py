"""Where a thread may be borrowed: where it certainly holds no lock of the allocator, the loader or pthreads.

`pthread_create` may call calloc and takes the locks of stack cache and thread-local storage. A thread parked in a call
of the list below, or running in code that the C library never calls with such a lock held, holds none of them.
"""

from __future__ import annotations

import random
import struct

from .anatomy import Anatomy, points_into
from .procfs import ThreadState
from .ptrace import Registers

FUTEX = 202
_FUTEX_COMMAND, _FUTEX_WAIT_BITSET = 0x7F, 9
_USER_CODE_64 = 0x33  # the cs of 64-bit code
# Calls in which nobody waits while holding such a lock (arch/x86/entry/syscalls/syscall_64.tbl).
PARKED = frozenset(
    {
        *(0, 1, 7, 23, 34, 35),  # read write poll select pause nanosleep
        *(42, 43, 44, 45, 46, 47),  # connect accept sendto recvfrom sendmsg recvmsg
        *(61, 73, 128, 219, 230, 232, 247),  # wait4 flock rt_sigtimedwait restart clock_nanosleep epoll_wait waitid
        *(270, 271, 281, 288, 426, 441),  # pselect6 ppoll epoll_pwait accept4 io_uring_enter epoll_pwait2
        FUTEX,
    }
)
_TRANSPARENT = frozenset({0, 35, 43, 45, 47, 61, 230, 247, 288})  # restarted without the program noticing
UNSAFE = 9
STACK_WINDOW = 2048  # bytes above the stack pointer that are searched for return addresses


def rank(state: ThreadState, main: int) -> tuple[int, bool, float]:
    """Order threads: those whose call restarts unnoticed, then poll-like, then locks, then running ones.

    Poll and epoll return EINTR once, as after SIGSTOP and SIGCONT. The first element is UNSAFE where it is hopeless.
    """
    luck = random.random()
    if state.call is None:
        return 4, state.tid == main, luck
    if state.call not in PARKED:
        return UNSAFE, False, luck
    if state.call == FUTEX:
        return (2 if _waits_on_bitset(state.arguments[1]) else UNSAFE), state.tid != main, luck
    return (0 if state.call in _TRANSPARENT else 1), state.tid != main, luck


def _waits_on_bitset(operation: int) -> bool:
    """Condition variables and semaphores wait like this, so the interpreter lock does. Mutexes use plain FUTEX_WAIT."""
    return operation & _FUTEX_COMMAND == _FUTEX_WAIT_BITSET


def in_call(registers: Registers) -> bool:
    """Whether the thread was stopped in a system call."""
    return registers["orig_rax"] < 1 << 63


def why_unsafe(anatomy: Anatomy, registers: Registers, stack: bytes) -> str:
    """Return why this place is not safe, or "" when it is. `stack` are the bytes from the stack pointer upwards."""
    if registers["cs"] != _USER_CODE_64:
        return "not 64-bit code"
    words = struct.unpack(f"<{len(stack) // 8}Q", stack)
    place = anatomy.object_at(registers["rip"])
    if any(word in anatomy.restorers for word in words):
        return "in a signal handler"
    calling = in_call(registers)
    for foreign in anatomy.foreign_malloc:
        if place is foreign or (calling and foreign is not anatomy.python and points_into(words, foreign)):
            return "in another provider of malloc"
    if not calling:
        if place is None:
            return "in code of unknown origin"
        if place in anatomy.libc or place in anatomy.loader or "libgcc" in place.name:
            return f"running in {place.name}"
        return ""
    number = registers["orig_rax"]
    if number not in PARKED:
        return f"in system call {number}"
    if number == FUTEX and not _waits_on_bitset(registers["rsi"]):
        return "waiting for what may be a lock of the C library"
    if place is None or place in anatomy.loader:
        return "in a system call of the loader"
    if anatomy.memory.read(registers["rip"] - 2, 2) != b"\x0f\x05":
        return "not behind a syscall instruction"
    return ""


def resumed(registers: Registers) -> Registers:
    """Return the registers by which an interrupted system call goes on, as the kernel would have set them.

    The kernel cannot do it itself, as the thread goes elsewhere first (arch/x86/kernel/signal.c, Linux 6.1).
    """
    after = dict(registers)
    if in_call(registers):
        result = registers["rax"] - (1 << 64) if registers["rax"] >> 63 else registers["rax"]
        if result in (-512, -513, -514):  # ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND
            after["rax"], after["rip"] = registers["orig_rax"], registers["rip"] - 2
        elif result == -516:  # ERESTART_RESTARTBLOCK
            after["rax"], after["rip"] = 219, registers["rip"] - 2
    return after
