"""The machine code is that of its source, and the blocks it reads are laid out as it reads them."""

from __future__ import annotations

import os
import re
import struct

import pytest

from pyobserver.attach import build_stub, stub
from pyobserver.attach.anatomy import C_FUNCTIONS, PYTHON_FUNCTIONS, Anatomy
from pyobserver.attach.machines import MACHINES, Machine
from pyobserver.attach.machines.x86_64 import BELOW, X86_64
from pyobserver.attach.procfs import Memory, ThreadState, mappings
from pyobserver.attach.safepoint import UNSAFE, rank

from ..support.interpreters import Interpreter
from .conftest import end, running

FUTEX, FUTEX_WAIT_PRIVATE, FUTEX_WAIT_BITSET_PRIVATE = 202, 0x80, 0x189
ORDER = stub.Order(
    0x400000, {name: 0x1000 + n for n, name in enumerate((*C_FUNCTIONS, *PYTHON_FUNCTIONS))}, 0x500000, 8192
)


@pytest.fixture(params=MACHINES.values(), ids=lambda machine: machine.name)
def machine(request: pytest.FixtureRequest) -> Machine:
    """Every machine that there is code for."""
    return request.param


def test_the_bytes_are_those_of_the_source(machine: Machine) -> None:
    """A fresh assembly gives the same."""
    if missing := build_stub.missing_tools(machine.name):
        pytest.skip(f"missing: {missing}")
    assert build_stub.assemble(machine.name) == machine.stub


def test_every_machine_is_built() -> None:
    """None is forgotten by what assembles the sources."""
    assert sorted(build_stub.NAMES) == sorted(machine.name for machine in MACHINES.values())


def test_the_source_calls_the_functions_in_their_order(machine: Machine) -> None:
    """Each call through the context names its function in the comment beside it."""
    code = build_stub.source(machine.name).read_text().partition("\nthread_main:")[2]
    calls = re.findall(r"^[\d: ]+call (?:\[rbx\+)?(0x\w+)\]?\s+(?:#|//) (\w+)", code, re.M)
    assert len(calls) >= len(stub.CALLED)
    for offset, name in calls:
        assert stub.CALLED[(int(offset, 16) - 0x10) // 8] == name
    assert {name for _, name in calls} == set(stub.CALLED)


def test_the_context_holds_everything_at_its_place(machine: Machine) -> None:
    """No field lies over another one, and none is lost."""
    read_set = lambda number: bytes(2696)  # noqa: E731
    size, stack = machine.block_size(read_set), 0x70000
    detour = machine.detour({**dict.fromkeys(machine.registers, 7), machine.stack: stack}, ORDER, read_set)
    address, block = detour.writes[0]
    assert len(block) == size and address + size <= stack and not address % 64
    assert detour.registers[machine.place] == ORDER.code and detour.registers[machine.stack] == address
    functions = ORDER.functions
    assert struct.unpack_from("<QQQQ", block, 0x28) == (
        *(8192, 0x500000),
        *(functions["pthread_create"], 0x400000 + machine.stub.thread_main),
    )
    assert struct.unpack_from("<Q", block, 0x58) == (functions["__errno_location"],)
    context = block[0x100:0x200]
    assert struct.unpack_from("<III", context) == (0, 0, stub.TAKEN_BACK)
    assert struct.unpack_from(f"<{len(stub.CALLED)}Q", context, 0x10) == tuple(functions[n] for n in stub.CALLED)
    assert struct.unpack_from("<QQ", context, 0x80) == (0x500000 + stub.SCRIPT, 8192)
    assert struct.unpack_from("<II", context, stub.CREATED) == (0, 0)
    assert context[0xB0:0xBE] == b"__builtins__\0\0"
    assert context[stub.IDENTITY : stub.IDENTITY + 8] == stub.CONTEXT_MAGIC


def test_the_way_back_on_x86_64() -> None:
    """The registers in their order; rbx and the place to return to between the block and the red zone."""
    machine = X86_64()
    registers = {name: n for n, name in enumerate(machine.registers, 1)} | {"rsp": 0x70000, "orig_rax": (1 << 64) - 1}
    detour = machine.detour(registers, ORDER, lambda number: bytes(2696))
    (_, block), (above, last) = detour.writes
    saved = struct.unpack_from("<16Q", block, 0x60)
    assert saved == (1, 2, 3, 4, 7, 8, 9, 10, 5, 15, 14, 13, 12, 11, 19, 0x70000 - BELOW)
    assert above == 0x70000 - BELOW and struct.unpack("<QQ", last) == (registers["rbx"], registers["rip"])


def test_what_is_needed_is_found_in_every_interpreter(interpreter: Interpreter) -> None:
    """Functions, room for the stub, and a free range, all by reading memory alone."""
    with running(interpreter, "idle") as target:
        memory = Memory(target.pid)
        anatomy = Anatomy(target.pid, memory)
        assert set(anatomy.functions) == {*C_FUNCTIONS, *PYTHON_FUNCTIONS}
        assert all(anatomy.object_at(address) for address in anatomy.functions.values())
        cave = anatomy.cave()
        size = len(anatomy.machine.stub.image)
        assert not any(memory.read(cave, size)) and anatomy.object_at(cave + size - 1)
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
    order = sorted([opening, running_, lock, mutex, epoll, read], key=lambda state: rank(state, 1, X86_64()))
    assert order[:4] == [read, epoll, lock, running_]
    assert {rank(state, 1, X86_64())[0] for state in order[4:]} == {UNSAFE}


@pytest.mark.parametrize(
    ("result", "rax", "back"),
    [(-512, 7, 2), (-513, 7, 2), (-514, 7, 2), (-516, 219, 2), (-4, (1 << 64) - 4, 0), (5, 5, 0)],
)
def test_an_interrupted_call_goes_on_as_the_kernel_would_have_it(result: int, rax: int, back: int) -> None:
    """Restarted at the instruction, by restart_syscall, or done."""
    registers = {"orig_rax": 7, "rax": result % (1 << 64), "rip": 0x1000}
    assert X86_64().resumed(registers) == {"orig_rax": 7, "rax": rax, "rip": 0x1000 - back}


def test_outside_of_calls_nothing_is_restarted() -> None:
    """A number that looks like a result of the kernel may be any."""
    registers = {"orig_rax": (1 << 64) - 1, "rax": (1 << 64) - 512, "rip": 0x1000}
    assert X86_64().resumed(registers) == registers
