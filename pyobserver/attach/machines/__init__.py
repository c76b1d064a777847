"""The machines that the ptrace way knows, by the number that ELF files have for them."""

from .aarch64 import AArch64
from .machine import Call, Machine, Registers
from .x86_64 import X86_64

MACHINES: dict[int, Machine] = {machine.elf: machine for machine in (X86_64(), AArch64())}

__all__ = ["MACHINES", "Call", "Machine", "Registers", "machine_named", "why_not_served"]


def machine_named(name: str) -> Machine | None:
    """Return the machine that uname(2) calls `name`."""
    return next((machine for machine in MACHINES.values() if machine.name == name), None)


def why_not_served(machine: Machine | None) -> str:
    """Return why nothing is attached to on this machine so far, or "" where it is."""
    if machine is None:
        return "only x86-64 is served on Linux so far"
    if machine.unproven:
        return f"only x86-64 is served on Linux so far: {machine.unproven}"
    return ""
