"""The machine code of `stub_x86_64.S`, and the layout of the blocks that it reads.

The bytes are written by `python -m pyobserver.attach.build_stub`; a test assembles the source again and compares.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

CODE = bytes.fromhex(
    "fcbf02000000488d7318488d531041ba08000000b80e0000000f05b8ffffffffbaffffffff480faea300020000ff53584989"
    "c5448b30488b7b30488b7328ba0300000041ba2200100049c7c0ffffffff4531c9b8090000000f054989c4483d00f0ffff77"
    "634889c7488db300010000b900010000f3a4488d7b2031f6488b53404c89e131c0ff533841898424a000000085c0743441c7"
    "8424a400000002000000b940420f00f39041837c2408027404ffc975f24c89e7488b7328b80b0000000f0549c7c4ffffffff"
    "45897500b8ffffffffbaffffffff480faeab00020000bf02000000488d731031d241ba08000000b80e0000000f054981fc00"
    "f0ffff770c41c78424a400000001000000ffb3d00000009d4c8b7b604c8b73684c8b6b704c8b63784c8b9b800000004c8b93"
    "880000004c8b8b900000004c8b8398000000488baba0000000488bbba8000000488bb3b0000000488b93b8000000488b8bc0"
    "000000488b83c8000000488ba3d80000005bc2800066662e0f1f8400000000006690f30f1efa53415441554156554889fbc7"
    "0301000000ff53104889c7ff5318837b0801741bff4b0c0f8808010000488dbb9000000031f6b8230000000f05ebdfff5320"
    "85c00f84e3000000c70302000000ff53284189c4bd08000000c70303000000b801000000b903000000f00fb14b080f859c00"
    "0000bd04000000c74304020000004531f6ff53384989c54885c07473ff53404c89ef488db3b00000004889c2ff534885c075"
    "5c488bbb80000000be020100004c89ea4c89e94531c0ff53504989c64885c0743c4889c7ff53584885c07428483d00040000"
    "75294c89f7ff53604889c6488dbb00010000b900040000f3a4c7430401000000eb0cc7430400000000eb03ff53684c89f7ff"
    "53704c89efff5370892b4489e7ff533083fd08741ec70305000000837b04007436eb10c70306000000eb08c70307000000eb"
    "24c7430ca8610000837b08027417ff4b0c7812488dbb9000000031f6b8230000000f05ebe34889df488bb388000000b80b00"
    "00000f0531c05d415e415d415c5bc3"
)
THREAD_MAIN = 0x180

MAGIC = b"PYOB" + struct.pack("<I", zlib.crc32(CODE))  # before the code: a second observer recognises its own
CODE_OFFSET = 16
SIZE = CODE_OFFSET + len(CODE)

# The data block on the stack of the hijacked thread.
RED_ZONE = 128
BELOW = RED_ZONE + 16  # the original rbx and rip lie between the red zone and the block
VECTORS = 0x200
_SAVED = ["r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rbp", "rdi", "rsi", "rdx", "rcx", "rax", "eflags"]
_SYNCHRONOUS = (4, 5, 7, 8, 11, 31)  # SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV SIGSYS stay deliverable

# The context, in a mapping of its own: 256 bytes for the thread, the report, the script.
STAGE, OUTCOME, GO, CREATED, MADE = 0x00, 0x04, 0x08, 0xA0, 0xA4
IDENTITY, REPORT, SCRIPT = 0xF0, 0x100, 0x500
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


def context_size(script: bytes) -> int:
    """Return the bytes to map for the context and the script, in whole pages."""
    return (SCRIPT + len(script) + 1 + 4095) & ~4095


def block_size(vector_state: int) -> int:
    """Return the bytes of the data block for an XSAVE area of this size."""
    return VECTORS + ((vector_state + 63) & ~63) + 64


def data_block(
    size: int, registers: Mapping[str, int], code: int, functions: Mapping[str, int], context: int, mapped: int
) -> bytes:
    """Return the data block of `size` bytes.

    `registers` are those to be restored, `code` the address of the stub, `functions` the addresses of what is called,
    `context` and `mapped` address and size of the mapping to be made.
    """
    block = bytearray(size)
    mask = 0xFFFFFFFFFFFFFFFF & ~sum(1 << (number - 1) for number in _SYNCHRONOUS)
    struct.pack_into("<QQ", block, 0x18, mask, 0)
    struct.pack_into("<QQQQ", block, 0x28, mapped, context, functions["pthread_create"], code + THREAD_MAIN)
    struct.pack_into("<Q", block, 0x58, functions["__errno_location"])
    struct.pack_into("<16Q", block, 0x60, *(registers[name] for name in _SAVED), registers["rsp"] - BELOW)
    at = 0x100
    struct.pack_into("<IIII", block, at, 0, 0, 0, _POLLS)
    struct.pack_into(f"<{len(CALLED)}Q", block, at + 0x10, *(functions[name] for name in CALLED))
    struct.pack_into("<QQQQ", block, at + 0x80, context + SCRIPT, mapped, 0, _POLL_NANOSECONDS)
    struct.pack_into("<13s", block, at + 0xB0, b"__builtins__")
    block[at + IDENTITY : at + IDENTITY + 8] = CONTEXT_MAGIC
    return bytes(block)
