"""Where a thread may be borrowed: where it certainly holds no lock of the allocator, the loader or pthreads.

`pthread_create` may call calloc and takes the locks of stack cache and thread-local storage. A thread parked in a call
that its machine lists, or running in code that the C library never calls with such a lock held, holds none of them.
"""

from __future__ import annotations

import random
import struct

from .anatomy import Anatomy, points_into
from .elf import MappedObject
from .machines import Call, Machine, Registers
from .procfs import ThreadState
from .ptrace import Tracee

UNSAFE = 9
STACK_WINDOW = 2048  # bytes above the stack pointer that are searched for return addresses


def rank(state: ThreadState, main: int, machine: Machine) -> tuple[int, bool, float]:
    """Order threads: those whose call restarts unnoticed, then poll-like, then locks, then running ones.

    Poll and epoll return EINTR once, as after SIGSTOP and SIGCONT. The first element is UNSAFE where it is hopeless.
    """
    luck = random.random()
    if state.call is None:
        return 4, state.tid == main, luck
    if not machine.is_parked(state.call, state.arguments):
        return UNSAFE, False, luck
    if state.call == machine.calls.futex:
        return 2, state.tid != main, luck
    return (0 if state.call in machine.calls.transparent else 1), state.tid != main, luck


def why_unsafe(anatomy: Anatomy, tracee: Tracee, registers: Registers, stack: bytes) -> str:
    """Return why this place is not safe, or "" when it is. `stack` are the bytes from the stack pointer upwards."""
    machine = anatomy.machine
    words = machine.return_addresses(registers, struct.unpack(f"<{len(stack) // 8}Q", stack))
    if any(word in anatomy.restorers for word in words):
        return "in a signal handler"
    place = anatomy.object_at(registers[machine.place])
    call = machine.call(registers, anatomy.memory.read)
    for foreign in anatomy.foreign_malloc:
        if place is foreign or (call and foreign is not anatomy.python and points_into(words, foreign)):
            return "in another provider of malloc"
    why = _why_unsafe_call(anatomy, call, place) if call else _why_unsafe_code(anatomy, place)
    return why or machine.why_unfit(registers, call, anatomy.memory.read, tracee.register_set)


def _why_unsafe_code(anatomy: Anatomy, place: MappedObject | None) -> str:
    if place is None:
        return "in code of unknown origin"
    if place in anatomy.libc or place in anatomy.loader or "libgcc" in place.name:
        return f"running in {place.name}"
    return ""


def _why_unsafe_call(anatomy: Anatomy, call: Call, place: MappedObject | None) -> str:
    if not anatomy.machine.is_parked(call.number, call.arguments):
        lock = call.number == anatomy.machine.calls.futex
        return "waiting for what may be a lock of the C library" if lock else f"in system call {call.number}"
    if place is None or place in anatomy.loader:
        return "in a system call of the loader"
    return ""
