"""x86-64."""

from __future__ import annotations

import struct

from ..stub import SAVED, Order, Stub, block_size, data_block
from .code_x86_64 import CODE, THREAD_MAIN
from .machine import Call, Calls, Detour, Machine, ReadMemory, ReadSet, Registers

_NT_X86_XSTATE = 0x202
_USER_CODE_64 = 0x33  # the cs of 64-bit code
_TRAP_AND_DIRECTION = 0x500  # flags TF and DF
_EINTR = (1 << 64) - 4
_NO_CALL = (1 << 64) - 1
_INTERRUPTED = frozenset((1 << 64) - number for number in (512, 514, 516))  # what becomes EINTR where a handler runs
_RED_ZONE = 128
BELOW = _RED_ZONE + 16  # the original rbx and rip lie between the red zone and the block
_SAVED = ("r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rbp", "rdi", "rsi", "rdx", "rcx", "rax", "eflags")
_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")


class X86_64(Machine):
    """x86-64. A thread in a system call has its number in orig_rax, and its result so far in rax."""

    name, title, elf = "x86_64", "x86-64", 62
    stub = Stub(CODE, THREAD_MAIN)
    registers = (
        *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
        *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
    )  # struct user_regs_struct, sys/user.h
    place, stack = "rip", "rsp"
    calls = Calls(  # arch/x86/entry/syscalls/syscall_64.tbl
        futex=202,
        parked=frozenset(
            {
                *(0, 1, 7, 23, 34, 35),  # read write poll select pause nanosleep
                *(42, 43, 44, 45, 46, 47),  # connect accept sendto recvfrom sendmsg recvmsg
                *(61, 73, 128, 219, 230, 232),  # wait4 flock rt_sigtimedwait restart_syscall clock_nanosleep epoll_wait
                *(247, 270, 271, 281, 288),  # waitid pselect6 ppoll epoll_pwait accept4
                *(426, 441),  # io_uring_enter epoll_pwait2
            }
        ),
        transparent=frozenset({0, 35, 43, 45, 47, 61, 230, 247, 288}),
    )
    restorer = bytes.fromhex("48c7c00f0000000f05")  # mov rax, 15; syscall
    user_end = 1 << 47

    def call(self, registers: Registers, read: ReadMemory) -> Call | None:
        """It is told by the kernel."""
        if registers["orig_rax"] >= 1 << 63:
            return None
        return Call(registers["orig_rax"], tuple(registers[name] for name in _ARGUMENTS))

    def why_unfit(self, registers: Registers, call: Call | None, read: ReadMemory, read_set: ReadSet) -> str:
        """32-bit code, and calls made in another way than ours to restart them."""
        if registers["cs"] != _USER_CODE_64:
            return "not 64-bit code"
        if call and read(registers["rip"] - 2, 2) != b"\x0f\x05":
            return "not behind a syscall instruction"
        return ""

    def resumed(self, registers: Registers) -> Registers:
        """As in arch/x86/kernel/signal.c, Linux 6.1."""
        after = dict(registers)
        if registers["orig_rax"] < 1 << 63:
            result = registers["rax"] - (1 << 64) if registers["rax"] >> 63 else registers["rax"]
            if result in (-512, -513, -514):  # ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND
                after["rax"], after["rip"] = registers["orig_rax"], registers["rip"] - 2
            elif result == -516:  # ERESTART_RESTARTBLOCK
                after["rax"], after["rip"] = 219, registers["rip"] - 2
        return after

    def interrupted(self, registers: Registers, read: ReadMemory) -> Registers | None:
        """A call that the kernel would restart, or end so itself where a handler ran."""
        if registers["orig_rax"] >= 1 << 63 or registers["rax"] not in _INTERRUPTED:
            return None
        return {"rax": _EINTR, "orig_rax": _NO_CALL}

    def block_size(self, read_set: ReadSet) -> int:
        """It has room for the XSAVE area of this processor."""
        return block_size(len(read_set(_NT_X86_XSTATE)))

    def block_address(self, stack: int, size: int) -> int:
        """XSAVE areas are aligned to 64 bytes."""
        return (stack - BELOW - size) & ~63

    def detour(self, registers: Registers, order: Order, read_set: ReadSet) -> Detour:
        """Back it goes by `ret`, over the red zone."""
        after = self.resumed(registers)
        stack, size = registers["rsp"], self.block_size(read_set)
        block, address = data_block(size, self.stub, order), self.block_address(stack, size)
        struct.pack_into("<16Q", block, SAVED, *(after[name] for name in _SAVED), stack - BELOW)
        last = struct.pack("<QQ", registers["rbx"], after["rip"])
        changed = {
            "rip": order.code,
            "rsp": address,
            "rbx": address,
            "orig_rax": _NO_CALL,  # so that the kernel does not restart the call at the new place
            "eflags": registers["eflags"] & ~_TRAP_AND_DIRECTION,
        }
        return Detour(((address, bytes(block)), (stack - BELOW, last)), changed)
