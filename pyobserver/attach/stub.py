"""The stub as every machine has it: its machine code as a value, and the layout of the blocks that the code reads."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

CODE_OFFSET = 16  # of the code behind the magic


@dataclass(frozen=True)
class Stub:
    """The machine code of one machine, and where in it the start routine of the new thread is."""

    code: bytes
    thread_main: int

    @cached_property
    def magic(self) -> bytes:
        """What stands before the code: a second observer recognises its own."""
        return b"PYOB" + struct.pack("<I", zlib.crc32(self.code))

    @cached_property
    def image(self) -> bytes:
        """All that is written into the target."""
        return self.magic + bytes(CODE_OFFSET - len(self.magic)) + self.code


# The data block on the stack of the hijacked thread: 0x200 bytes, and behind them what the machine needs room for.
SAVED, TEMPLATE, STATE = 0x60, 0x100, 0x200
_SYNCHRONOUS = (4, 5, 7, 8, 11, 31)  # SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV SIGSYS stay deliverable

# The context, in a mapping of its own: 256 bytes for the thread, the report, the script.
STAGE, OUTCOME, GO, POLLS, CREATED, MADE = 0x00, 0x04, 0x08, 0x0C, 0xA0, 0xA4
POLL, IDENTITY, REPORT, SCRIPT = 0x90, 0xF0, 0x100, 0x500
REPORT_SIZE = SCRIPT - REPORT
CONTEXT_MAGIC = b"pyobsctx"
RUN, TAKEN_BACK, READ = 1, 0, 2  # what the observer writes to GO
WELL, REPORTED = 0, 1  # outcomes; any other: failed without a report
CALLED = (
    "pthread_self",
    "pthread_detach",
    "Py_IsInitialized",
    "PyGILState_Ensure",
    "PyGILState_Release",
    "PyDict_New",
    "PyEval_GetBuiltins",
    "PyDict_SetItemString",
    "PyRun_StringFlags",
    "PyBytes_Size",
    "PyBytes_AsString",
    "PyErr_Clear",
    "Py_DecRef",
)
_POLLS = 50_000  # of 0.2 ms each: 10 s until a thread whose observer died gives up
_POLL_NANOSECONDS = 200_000


@dataclass(frozen=True)
class Order:
    """What the stub is to do: `code` is the address that it lies at, `functions` are those of what is called,
    `context` and `mapped` address and size of the mapping to be made.
    """

    code: int
    functions: Mapping[str, int]
    context: int
    mapped: int


def context_size(script: bytes) -> int:
    """Return the bytes to map for the context and the script, in whole pages."""
    return (SCRIPT + len(script) + 1 + 4095) & ~4095


def block_size(state: int) -> int:
    """Return the bytes of the data block for a machine that needs room for `state` bytes in it."""
    return STATE + ((state + 63) & ~63) + 64


def data_block(size: int, stub: Stub, order: Order) -> bytearray:
    """Return the data block of `size` bytes, but for the registers to be restored: those the machine adds."""
    block = bytearray(size)
    functions, context, mapped = order.functions, order.context, order.mapped
    mask = 0xFFFFFFFFFFFFFFFF & ~sum(1 << (number - 1) for number in _SYNCHRONOUS)
    struct.pack_into("<QQ", block, 0x18, mask, 0)
    thread_main = order.code + stub.thread_main
    struct.pack_into("<QQQQ", block, 0x28, mapped, context, functions["pthread_create"], thread_main)
    struct.pack_into("<Q", block, 0x58, functions["__errno_location"])
    at = TEMPLATE
    struct.pack_into("<IIII", block, at, 0, 0, 0, _POLLS)
    struct.pack_into(f"<{len(CALLED)}Q", block, at + 0x10, *(functions[name] for name in CALLED))
    struct.pack_into("<QQQQ", block, at + 0x80, context + SCRIPT, mapped, 0, _POLL_NANOSECONDS)
    struct.pack_into("<13s", block, at + 0xB0, b"__builtins__")
    block[at + IDENTITY : at + IDENTITY + 8] = CONTEXT_MAGIC
    return block
