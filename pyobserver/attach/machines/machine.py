"""What is different from machine to machine: registers, system calls, where a thread stands, how it is sent away."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..stub import Order, Stub

Registers = dict[str, int]

ReadMemory = Callable[[int, int], bytes]
"""Address and size to the bytes there; raises AttachError where nothing is mapped."""

ReadSet = Callable[[int], bytes]
"""The number of a register set (NT_*, include/uapi/linux/elf.h) to its bytes; none where the processor lacks it."""

_FUTEX_COMMAND, _FUTEX_WAIT_BITSET = 0x7F, 9


@dataclass(frozen=True)
class Call:
    """The system call that a thread is in."""

    number: int
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Calls:
    """Numbers of system calls. In those that are `parked` nobody waits while holding a lock of allocator or loader."""

    futex: int
    parked: frozenset[int]
    transparent: frozenset[int]
    """Those that are restarted without the program noticing."""


@dataclass(frozen=True)
class Detour:
    """What is written, and which registers are set then, so that a thread goes through the stub and comes back."""

    writes: tuple[tuple[int, bytes], ...]
    registers: Registers


class Machine(ABC):
    """One machine, on Linux."""

    name: str
    """As uname(2) has it."""
    title: str
    """As people call it."""
    elf: int
    """Its number in ELF files (e_machine)."""
    unproven: str = ""
    """Why it is not served, where that is so."""
    stub: Stub
    registers: tuple[str, ...]
    """The general registers, in the order of their set (NT_PRSTATUS), each of 64 bits."""
    place: str
    """The register that says where the thread is."""
    stack: str
    """The register that says where its stack ends."""
    calls: Calls
    restorer: bytes
    """The code that a signal handler returns to."""
    user_end: int
    """The end of the addresses that a program gets without asking for more."""

    @abstractmethod
    def call(self, registers: Registers, read: ReadMemory) -> Call | None:
        """Return the system call that a thread was stopped in, or None."""

    @abstractmethod
    def why_unfit(self, registers: Registers, call: Call | None, read: ReadMemory, read_set: ReadSet) -> str:
        """Return what speaks against borrowing a thread here on this machine alone, or ""."""

    @abstractmethod
    def resumed(self, registers: Registers) -> Registers:
        """Return the registers by which an interrupted system call goes on, as the kernel would have set them.

        The kernel cannot do it itself, as the thread goes elsewhere first.
        """

    @abstractmethod
    def interrupted(self, registers: Registers, read: ReadMemory) -> Registers | None:
        """Return the registers to set so that a blocking call ends with EINTR, or None where there is no such call."""

    @abstractmethod
    def block_size(self, read_set: ReadSet) -> int:
        """Return the bytes of the data block."""

    @abstractmethod
    def block_address(self, stack: int, size: int) -> int:
        """Return where a data block lies, from the stack pointer."""

    @abstractmethod
    def detour(self, registers: Registers, order: Order, read_set: ReadSet) -> Detour:
        """Return how the thread is sent through the stub."""

    def is_parked(self, number: int, arguments: Sequence[int]) -> bool:
        """Whether a thread in this call holds no lock that is needed for creating a thread."""
        if number == self.calls.futex:
            return self.waits_on_bitset(arguments)
        return number in self.calls.parked

    @staticmethod
    def waits_on_bitset(arguments: Sequence[int]) -> bool:
        """Condition variables and semaphores wait so, hence the interpreter lock. Mutexes use plain FUTEX_WAIT."""
        return arguments[1] & _FUTEX_COMMAND == _FUTEX_WAIT_BITSET

    def return_addresses(self, registers: Registers, words: Sequence[int]) -> Sequence[int]:
        """Return what may be return addresses, among the words of the stack and elsewhere."""
        return words
