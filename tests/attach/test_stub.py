"""The machine code is that of its source, and the blocks it reads are laid out as it reads them."""

from __future__ import annotations

import os
import re
import struct

import pytest

from pyobserver.attach import stub
from pyobserver.attach.anatomy import C_FUNCTIONS, PYTHON_FUNCTIONS, Anatomy
from pyobserver.attach.build_stub import SOURCE, assemble, assembler_is_there
from pyobserver.attach.procfs import Memory, ThreadState, mappings
from pyobserver.attach.safepoint import FUTEX, UNSAFE, rank, resumed

from ..support.interpreters import Interpreter
from .conftest import end, running

FUTEX_WAIT_PRIVATE, FUTEX_WAIT_BITSET_PRIVATE = 0x80, 0x189


@pytest.mark.skipif(not assembler_is_there(), reason="as, objcopy or nm is missing")
def test_the_bytes_are_those_of_the_source() -> None:
    """A fresh assembly gives the same."""
    assert assemble() == (stub.CODE, stub.THREAD_MAIN)


def test_the_source_calls_the_functions_in_their_order() -> None:
    """Each call through the context names its function in the comment beside it."""
    calls = re.findall(
        r"^[\d: ]+call \[rbx\+(0x\w+)\]\s+# (\w+)", SOURCE.read_text().partition("thread_main:")[2], re.M
    )
    assert len(calls) >= len(stub.CALLED)
    for offset, name in calls:
        assert stub.CALLED[(int(offset, 16) - 0x10) // 8] == name
    assert {name for _, name in calls} == set(stub.CALLED)


def test_the_context_holds_everything_at_its_place() -> None:
    """No field lies over another one, and none is lost."""
    functions = {name: 0x1000 + n for n, name in enumerate((*C_FUNCTIONS, *PYTHON_FUNCTIONS))}
    names = ["r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8"]
    registers = dict.fromkeys([*names, "rbp", "rdi", "rsi", "rdx", "rcx", "rax", "eflags"], 7)
    size = stub.block_size(2696)
    block = stub.data_block(size, {**registers, "rsp": 0x7000}, 0x400000, functions, 0x500000, 8192)
    assert len(block) == size
    context = block[0x100:0x200]
    assert struct.unpack_from("<III", context) == (0, 0, stub.TAKEN_BACK)
    assert struct.unpack_from(f"<{len(stub.CALLED)}Q", context, 0x10) == tuple(functions[n] for n in stub.CALLED)
    assert struct.unpack_from("<QQ", context, 0x80) == (0x500000 + stub.SCRIPT, 8192)
    assert struct.unpack_from("<II", context, stub.CREATED) == (0, 0)
    assert context[0xB0:0xBE] == b"__builtins__\0\0"
    assert context[stub.IDENTITY : stub.IDENTITY + 8] == stub.CONTEXT_MAGIC
    assert struct.unpack_from("<Q", block, 0xD8) == (0x7000 - stub.BELOW,)


def test_what_is_needed_is_found_in_every_interpreter(interpreter: Interpreter) -> None:
    """Functions, room for the stub, and a free range, all by reading memory alone."""
    with running(interpreter, "idle") as target:
        memory = Memory(target.pid)
        anatomy = Anatomy(target.pid, memory)
        assert set(anatomy.functions) == {*C_FUNCTIONS, *PYTHON_FUNCTIONS}
        assert all(anatomy.object_at(address) for address in anatomy.functions.values())
        cave = anatomy.cave()
        assert not any(memory.read(cave, stub.SIZE)) and anatomy.object_at(cave + stub.SIZE - 1)
        free = anatomy.free_range(1 << 20)
        assert not any(m.start < free + (1 << 20) and free < m.end for m in mappings(target.pid))
        assert anatomy.restorers and not anatomy.foreign_malloc
        memory.close()
        end(target)


def test_symbols_are_where_the_dynamic_loader_finds_them() -> None:
    """Our lookup in our own process, beside that of the loader."""
    ctypes = pytest.importorskip("ctypes")
    memory = Memory(os.getpid())
    anatomy = Anatomy(os.getpid(), memory)
    for name in PYTHON_FUNCTIONS:
        assert anatomy.functions[name] == ctypes.cast(ctypes.pythonapi[name], ctypes.c_void_p).value
    for name in C_FUNCTIONS:
        assert anatomy.functions[name] == ctypes.cast(ctypes.CDLL(None)[name], ctypes.c_void_p).value
    assert anatomy.python.symbol("PyNothingOfThisName") is None
    memory.close()


def test_which_thread_is_borrowed_first() -> None:
    """Calls that restart unnoticed, then others, then locks, then running; never what may hold a lock."""
    read, epoll = ThreadState(2, 0, (0,) * 6), ThreadState(3, 232, (0,) * 6)
    lock, running_ = ThreadState(4, FUTEX, (0, FUTEX_WAIT_BITSET_PRIVATE, 0)), ThreadState(5, None, ())
    mutex, opening = ThreadState(6, FUTEX, (0, FUTEX_WAIT_PRIVATE, 0)), ThreadState(7, 257, (0,) * 6)
    order = sorted([opening, running_, lock, mutex, epoll, read], key=lambda state: rank(state, 1))
    assert order[:4] == [read, epoll, lock, running_]
    assert {rank(state, 1)[0] for state in order[4:]} == {UNSAFE}


@pytest.mark.parametrize(
    ("result", "rax", "back"),
    [(-512, 7, 2), (-513, 7, 2), (-514, 7, 2), (-516, 219, 2), (-4, (1 << 64) - 4, 0), (5, 5, 0)],
)
def test_an_interrupted_call_goes_on_as_the_kernel_would_have_it(result: int, rax: int, back: int) -> None:
    """Restarted at the instruction, by restart_syscall, or done."""
    registers = {"orig_rax": 7, "rax": result % (1 << 64), "rip": 0x1000}
    assert resumed(registers) == {"orig_rax": 7, "rax": rax, "rip": 0x1000 - back}


def test_outside_of_calls_nothing_is_restarted() -> None:
    """A number that looks like a result of the kernel may be any."""
    registers = {"orig_rax": (1 << 64) - 1, "rax": (1 << 64) - 512, "rip": 0x1000}
    assert resumed(registers) == registers
