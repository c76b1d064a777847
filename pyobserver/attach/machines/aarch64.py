"""AArch64: written from the sources of the kernel. What is proven, and what is not, stands in `stub_aarch64.S`."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..errors import AttachError
from ..stub import STATE, Order, Stub, block_size, data_block
from .code_aarch64 import CODE, THREAD_MAIN
from .machine import Call, Calls, Detour, Machine, ReadMemory, ReadSet, Registers

_NT_ARM_SVE, _NT_ARM_SSVE, _NT_ARM_GCS = 0x405, 0x40B, 0x410
_SVE_HEADER = struct.Struct("<IIHHHH")  # struct user_sve_header, arch/arm64/include/uapi/asm/ptrace.h
_SVE_IS_LIVE = 1
_SVC = 0xD4000001  # svc #0
_EINTR = (1 << 64) - 4
_BRANCH_TYPE_AND_STEP = 3 << 10 | 1 << 21  # pstate: BTYPE, SS
_CLOCK_NANOSLEEP, _TIMER_ABSTIME = 115, 1
_ADDRESS = (1 << 48) - 1  # above it a return address may be signed

# struct rt_sigframe: siginfo, ucontext, therein sigcontext (arch/arm64/include/uapi/asm/sigcontext.h).
_FRAME_SIZE, _FRAME_REGISTERS, _FRAME_VECTORS = 0x1250, 0x138, 0x250
_FPSIMD_MAGIC, _FPSIMD_SIZE = 0x46508001, 0x210
_SVE_MAGIC, _FRAME_SVE = 0x53564501, _FRAME_VECTORS + _FPSIMD_SIZE
_END_OF_RECORDS = 16


class AArch64(Machine):
    """AArch64. A thread that was stopped stands before its system call if that is to be made again, else behind it.

    Before a tracer sees anything, the kernel has set x0 and pc back where it restarts a call, and has forgotten the
    number (do_signal in arch/arm64/kernel/signal.c); x8 still has it. A thread that is about to make the call for the
    first time looks the same, which does no harm: it goes on with making it. But nothing tells whether the kernel would
    have gone on by restart_syscall, and the way back by rt_sigreturn voids that anyway. So relative sleeps, for which
    it matters, are no places to borrow a thread at.
    """

    name, title, elf = "aarch64", "AArch64", 183
    unproven = "there is machine code for AArch64, but it is proven under emulation only, on no real machine"
    stub = Stub(CODE, THREAD_MAIN)
    registers = (*(f"x{number}" for number in range(31)), "sp", "pc", "pstate")  # struct user_pt_regs
    place, stack = "pc", "sp"
    calls = Calls(  # include/uapi/asm-generic/unistd.h
        futex=98,
        parked=frozenset(
            {
                *(22, 32, 63, 64, 72, 73),  # epoll_pwait flock read write pselect6 ppoll
                *(95, _CLOCK_NANOSLEEP, 137),  # waitid clock_nanosleep rt_sigtimedwait
                *(202, 203, 206, 207, 211, 212),  # accept connect sendto recvfrom sendmsg recvmsg
                *(242, 260, 426, 441),  # accept4 wait4 io_uring_enter epoll_pwait2
            }
        ),
        transparent=frozenset({63, 95, _CLOCK_NANOSLEEP, 202, 207, 212, 242, 260}),
    )
    restorer = bytes.fromhex("681180d2010000d4")  # mov x8, #139; svc #0: in the kernel's own page, [vdso]
    user_end = 1 << 48

    def is_parked(self, number: int, arguments: Sequence[int]) -> bool:
        """A relative sleep would begin anew."""
        absolute = number != _CLOCK_NANOSLEEP or bool(arguments[1] & _TIMER_ABSTIME)
        return absolute and super().is_parked(number, arguments)

    def call(self, registers: Registers, read: ReadMemory) -> Call | None:
        """It is told by the instruction there, or before: only from itself one gets right behind it."""
        try:
            around = struct.unpack("<II", read(registers["pc"] - 4, 8))
        except AttachError:
            return None
        if _SVC not in around:
            return None
        return Call(registers["x8"] & 0xFFFFFFFF, tuple(registers[f"x{number}"] for number in range(6)))

    def why_unfit(self, registers: Registers, call: Call | None, read: ReadMemory, read_set: ReadSet) -> str:
        """A guarded control stack, and vectors that the way back cannot restore."""
        if any(read_set(_NT_ARM_GCS)[:1]):  # the lowest bit of features_enabled in struct user_gcs
            return "the kernel keeps a shadow stack of its returns"
        if _long_vectors(read_set(_NT_ARM_SSVE)):
            return "in streaming mode"
        if len(_long_vectors(read_set(_NT_ARM_SVE))) > _FRAME_SIZE - _FRAME_SVE - _END_OF_RECORDS:
            return "its vectors are too long"
        return ""

    def resumed(self, registers: Registers) -> Registers:
        """The kernel has done it already."""
        return dict(registers)

    def interrupted(self, registers: Registers, read: ReadMemory) -> Registers | None:
        """A call that is about to be made, for the first time or again, is left out."""
        call = self.call(registers, read)
        if call is None or not self.is_parked(call.number, call.arguments):
            return None
        if read(registers["pc"], 4) != struct.pack("<I", _SVC):
            return None
        return {"x0": _EINTR, "pc": registers["pc"] + 4}

    def block_size(self, read_set: ReadSet) -> int:
        """It has room for a signal frame."""
        return block_size(_FRAME_SIZE)

    def block_address(self, stack: int, size: int) -> int:
        """There is no red zone."""
        return (stack - size) & ~63

    def detour(self, registers: Registers, order: Order, read_set: ReadSet) -> Detour:
        """Back it goes by rt_sigreturn. What vectors have above 128 bits is restored as it is now."""
        size = self.block_size(read_set)
        block, address = data_block(size, self.stub, order), self.block_address(registers["sp"], size)
        after = self.resumed(registers)
        values = (after[name] for name in self.registers)
        struct.pack_into(f"<{len(self.registers)}Q", block, STATE + _FRAME_REGISTERS, *values)
        struct.pack_into("<II", block, STATE + _FRAME_VECTORS, _FPSIMD_MAGIC, _FPSIMD_SIZE)
        record = _long_vectors(read_set(_NT_ARM_SVE))
        block[STATE + _FRAME_SVE : STATE + _FRAME_SVE + len(record)] = record
        changed = {"pc": order.code, "sp": address, "pstate": registers["pstate"] & ~_BRANCH_TYPE_AND_STEP}
        return Detour(((address, bytes(block)),), changed)

    def return_addresses(self, registers: Registers, words: Sequence[int]) -> Sequence[int]:
        """The last one is in x30; those on the stack may be signed."""
        return [word & _ADDRESS for word in (registers["x30"], *words)]


def _long_vectors(registers: bytes) -> bytes:
    """Return the record of a signal frame for a register set of SVE; none where nothing above 128 bits is live.

    Both have the same registers in the same order, behind heads of 16 bytes.
    """
    if len(registers) < _SVE_HEADER.size:
        return b""
    _, _, length, _, flags, _ = _SVE_HEADER.unpack_from(registers)
    if not flags & _SVE_IS_LIVE:
        return b""
    size = 32 * length + 17 * length // 8  # z0 to z31, p0 to p15, ffr
    whole = (16 + size + 15) & ~15
    head = struct.pack("<IIHHHH", _SVE_MAGIC, whole, length, 0, 0, 0)
    return (head + registers[16 : 16 + size]).ljust(whole, b"\0")
