"""The stub for AArch64 runs under an emulator, in a process of its own making; where it would be borrowed, as tables.

What this proves and what it does not is told at the top of `stub_aarch64.S`.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyobserver.attach import stub
from pyobserver.attach.errors import AttachError
from pyobserver.attach.machines.aarch64 import AArch64
from pyobserver.attach.procfs import ThreadState
from pyobserver.attach.safepoint import UNSAFE, rank

MACHINE = AArch64()
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
SOURCE = Path(__file__).with_name("borrowed_aarch64.c")
CODE, STACK, CONTEXT = 0x10_0000_0000, 0x20_0000_0000, 0x30_0000_0000
FLAGS = 0xA0000000  # N and C
CONTROL = 0x00C00000  # fpcr: round towards zero
STATUS = 0x0800009F  # fpsr: all that accumulates
MASK = 1 << 9 | 1 << 36  # what the program blocks: SIGUSR1, SIGRTMIN+3
ALL_BUT_SYNCHRONOUS = 0xFFFFFFFFFFFFFFFF & ~sum(1 << (number - 1) for number in (4, 5, 7, 8, 11, 31))
NEVER_BLOCKED = 1 << 8 | 1 << 18 | 3 << 62  # SIGKILL and SIGSTOP; and two that the emulator keeps for itself
PTHREADS_OWN = 3 << 31  # the C library unblocks what it cancels threads by
RUN_OF_SCRIPT = (
    *("pthread_self", "pthread_detach 1", "Py_IsInitialized", "PyGILState_Ensure", "PyDict_New"),
    *("PyEval_GetBuiltins", "PyDict_SetItemString 1 __builtins__ 1", "PyRun_StringFlags the-script 258 1 1 (nil)"),
)


@dataclass(frozen=True)
class Borrowed:
    """What a run has told: lines by their first word, and what was called in the new thread, in order."""

    told: Mapping[str, str]
    calls: tuple[str, ...]
    lines: tuple[str, ...]


class Emulator:
    """Runs the program that borrows itself."""

    def __init__(self, program: Path) -> None:
        self._program = program
        lines = self._run().splitlines()
        self.addresses = {name: int(address) for name, address in (line.split() for line in lines)}
        self.registers = {name: 0x1111_0000_0000_0000 * (n % 15) + n for n, name in enumerate(MACHINE.registers, 1)}
        self.registers |= {"sp": STACK, "pc": self.addresses["landing"], "pstate": FLAGS}
        self.vectors = bytes((n * 7 + 3) % 251 for n in range(512))

    def _run(self, *words: str | Path) -> str:
        done = subprocess.run([EMULATOR, self._program, *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (done.returncode, done.stdout[-2000:], done.stderr)
        return done.stdout

    @property
    def thread(self) -> bytes:
        """What the borrowed thread must be like afterwards: `struct state` of the program."""
        general = [self.registers[name] for name in MACHINE.registers]
        return struct.pack("<36Q", *general, CONTROL, STATUS) + self.vectors

    def block(self, context: int, **changed: int) -> bytes:
        """The data block as the observer writes it; then polls, and the nanoseconds between them, may be changed."""
        order = stub.Order(CODE, self.addresses, context, 8192)
        detour = MACHINE.detour(self.registers, order, lambda number: b"")
        ((address, content),) = detour.writes
        assert detour.registers == {"pc": CODE, "sp": address, "pstate": FLAGS}
        block = bytearray(content)
        if "polls" in changed:
            struct.pack_into("<I", block, stub.TEMPLATE + stub.POLLS, changed["polls"])
        if "nanoseconds" in changed:
            struct.pack_into("<Q", block, stub.TEMPLATE + 0x98, changed["nanoseconds"])
        return bytes(block)

    def borrow(self, tmp_path: Path, scenario: str, context: int = CONTEXT, **changed: int) -> Borrowed:
        """Send a thread through the stub; everything about it must be as before."""
        block = self.block(context, **changed)
        address = MACHINE.block_address(STACK, len(block))
        entering = bytearray(self.thread)
        struct.pack_into("<QQ", entering, 31 * 8, address, CODE)
        code = MACHINE.stub.code
        file = tmp_path / "request"
        places = struct.pack("<7Q", CODE, len(code), address, len(block), context, 8192, STACK)
        file.write_bytes(bytes(entering) + places + bytes(-len(places) % 16) + code + block)
        lines = self._run(file, scenario).splitlines()
        told = dict(line.partition(" ")[::2] for line in lines)
        assert lines[-1] == "end", lines
        self._check_thread(told)
        assert told.get("changed", "0") == "0"
        return Borrowed(told, tuple(line[5:] for line in lines if line.startswith("call ")), tuple(lines))

    def _check_thread(self, told: Mapping[str, str]) -> None:
        found = bytes.fromhex(told["found"])
        names = [*MACHINE.registers, "fpcr", "fpsr"]
        assert dict(zip(names, struct.unpack_from("<36Q", found), strict=True)) == dict(
            zip(names, struct.unpack_from("<36Q", self.thread), strict=True)
        )
        assert found[36 * 8 :] == self.vectors
        assert told["errno"] == "77"
        assert int(told["mask_before"], 16) == int(told["mask_after"], 16) == MASK
        assert told["alternate_stack_same"] == told["stack_same"] == "1"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """The program, compiled for AArch64."""
    for tool, package in ((COMPILER, "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"), (EMULATOR, "qemu-user")):
        if not shutil.which(tool):
            pytest.skip(f"missing: {tool} (Debian: apt install {package})")
    program = tmp_path_factory.mktemp("aarch64") / "borrowed"
    options = ["-O1", "-Wall", "-Werror", "-static", "-no-pie", "-pthread"]
    subprocess.run([COMPILER, *options, "-o", program, SOURCE], check=True)
    return Emulator(program)


def test_a_script_with_nothing_to_tell(emulator: Emulator, tmp_path: Path) -> None:
    """A thread is created as ordered, runs the script once, and is gone with its mapping."""
    done = emulator.borrow(tmp_path, "well")
    block = emulator.block(CONTEXT)
    address = MACHINE.block_address(STACK, len(block))
    start = CODE + MACHINE.stub.thread_main
    assert done.told["pthread_create"] == f"{address + 0x20:#x} (nil) {start:#x} {CONTEXT:#x}"
    assert bytes.fromhex(done.told["context"]) == block[stub.TEMPLATE : stub.TEMPLATE + 0x100]
    assert int(done.told["mask_in_stub"], 16) | NEVER_BLOCKED == ALL_BUT_SYNCHRONOUS
    assert int(done.told["mask_in_thread"], 16) | NEVER_BLOCKED | PTHREADS_OWN == ALL_BUT_SYNCHRONOUS
    assert done.told["made"] == "0 1" and "changed" in done.told
    after = ("PyBytes_Size 1", "Py_DecRef result", "Py_DecRef dict", "PyGILState_Release 0x51")
    assert done.calls == (*RUN_OF_SCRIPT, *after)
    assert done.told["stage"] in ("-1", "5")  # it does not wait for anybody


def test_a_script_with_a_report(emulator: Emulator, tmp_path: Path) -> None:
    """The report is there in full, wherever it was, until it has been read."""
    done = emulator.borrow(tmp_path, "report")
    after = ("PyBytes_Size 1", "PyBytes_AsString 1", "Py_DecRef result", "Py_DecRef dict", "PyGILState_Release 0x51")
    assert done.calls == (*RUN_OF_SCRIPT, *after)
    assert (done.told["stage"], done.told["outcome"]) == ("5", str(stub.REPORTED))
    assert bytes.fromhex(done.told["report"]) == bytes(ord("a") + n % 23 for n in range(stub.REPORT_SIZE))


@pytest.mark.parametrize(
    ("scenario", "calls"),
    [
        ("no dict", (*RUN_OF_SCRIPT[:5], "PyErr_Clear", "Py_DecRef nothing", "Py_DecRef nothing")),
        ("no item", (*RUN_OF_SCRIPT[:7], "PyErr_Clear", "Py_DecRef nothing", "Py_DecRef dict")),
        ("raises", (*RUN_OF_SCRIPT, "PyErr_Clear", "Py_DecRef nothing", "Py_DecRef dict")),
        ("odd", (*RUN_OF_SCRIPT, "PyBytes_Size 1", "PyErr_Clear", "Py_DecRef result", "Py_DecRef dict")),
    ],
)
def test_a_script_that_fails(emulator: Emulator, tmp_path: Path, scenario: str, calls: tuple[str, ...]) -> None:
    """The error is cleared, what there was is given back, and so is the lock."""
    done = emulator.borrow(tmp_path, scenario)
    assert done.calls == (*calls, "PyGILState_Release 0x51")
    assert (done.told["stage"], done.told["outcome"]) == ("5", "2")


def test_a_script_that_is_taken_back(emulator: Emulator, tmp_path: Path) -> None:
    """While the thread waits for the lock: it gives it back at once, and runs nothing."""
    done = emulator.borrow(tmp_path, "taken back")
    assert done.told["waiting"] == "2"
    assert done.calls == (*RUN_OF_SCRIPT[:4], "PyGILState_Release 0x51")
    assert done.told["stage"] == "8"


def test_a_python_that_is_not_up(emulator: Emulator, tmp_path: Path) -> None:
    """It is asked for nothing."""
    done = emulator.borrow(tmp_path, "not up")
    assert done.calls == RUN_OF_SCRIPT[:3]
    assert done.told["stage"] == "6"


def test_an_observer_that_dies(emulator: Emulator, tmp_path: Path) -> None:
    """The thread waits for the script for a while, and ends."""
    done = emulator.borrow(tmp_path, "late", polls=4, nanoseconds=200_000_000)
    assert done.told["made"] == "0 1"
    assert done.calls == RUN_OF_SCRIPT[:2]


def test_a_thread_that_cannot_be_created(emulator: Emulator, tmp_path: Path) -> None:
    """The observer reads why, and nothing is left."""
    done = emulator.borrow(tmp_path, "no thread", nanoseconds=50_000_000)
    assert done.told["failure"] == "11"
    assert "not mapped" in done.lines and not done.calls


def test_a_thread_that_cannot_be_created_and_nobody_cares(emulator: Emulator, tmp_path: Path) -> None:
    """The borrowed thread does not wait for an observer that has died."""
    done = emulator.borrow(tmp_path, "no thread unread")
    assert "not mapped" in done.lines and not done.calls


def test_a_place_that_is_taken(emulator: Emulator, tmp_path: Path) -> None:
    """Another mapping is there meanwhile: it stays untouched, and no thread is made."""
    done = emulator.borrow(tmp_path, "taken")
    assert "taken and untouched" in done.lines and "pthread_create" not in done.told


def test_a_mapping_that_fails(emulator: Emulator, tmp_path: Path) -> None:
    """The thread goes on as if nothing had been."""
    done = emulator.borrow(tmp_path, "impossible", context=0xFFFF_FFFF_F000)
    assert "not mapped" in done.lines and "pthread_create" not in done.told


# -- where a thread may be borrowed: the numbers, and what the kernel shows -----------------------------------------

SVC, NOP = 0xD4000001, 0xD503201F
READ, EPOLL, FUTEX, SLEEP, RESTART = 63, 22, 98, 115, 128
MONOTONIC, ABSOLUTE = 1, 1
WAIT, WAIT_BITSET = 0x80, 0x189


def stopped(number: int, before: int, at: int, *arguments: int) -> tuple[dict[str, int], bytes]:
    """Registers of a thread, and the two instructions around the place where it stands."""
    registers = dict.fromkeys(MACHINE.registers, 0) | {"x8": number, "pc": 0x1004}
    registers |= {f"x{n}": value for n, value in enumerate(arguments)}
    return registers, struct.pack("<II", before, at)


def reader(code: bytes):  # type: ignore[no-untyped-def]
    """Memory that has nothing but these bytes, at 0x1000."""
    return lambda address, size: code[address - 0x1000 :][:size]


@pytest.mark.parametrize(
    ("number", "before", "at", "arguments", "there", "parked"),
    [
        (READ, NOP, SVC, (3,), True, True),
        (READ, SVC, NOP, (3,), True, True),
        (READ, NOP, NOP, (3,), False, None),
        (EPOLL, SVC, NOP, ((1 << 64) - 4,), True, True),
        (FUTEX, NOP, SVC, (0x7000, WAIT_BITSET), True, True),
        (FUTEX, NOP, SVC, (0x7000, WAIT), True, False),
        (SLEEP, NOP, SVC, (MONOTONIC, ABSOLUTE), True, True),
        (SLEEP, NOP, SVC, (MONOTONIC, 0), True, False),
        (101, NOP, SVC, (0x7000,), True, False),
        (RESTART, NOP, SVC, (), True, False),
        (READ | 5 << 32, NOP, SVC, (3,), True, True),
    ],
)
def test_the_call_that_a_thread_is_in(
    number: int, before: int, at: int, arguments: tuple[int, ...], there: bool, parked: bool | None
) -> None:
    """Told by the instruction; calls that would go on by restart_syscall are none to be borrowed in."""
    registers, code = stopped(number, before, at, *arguments)
    call = MACHINE.call(registers, reader(code))
    assert (call is not None) is there
    if call is not None:
        assert call.number == number & 0xFFFFFFFF and call.arguments[: len(arguments)] == arguments
        assert MACHINE.is_parked(call.number, call.arguments) is parked


@pytest.mark.parametrize(
    ("number", "before", "at", "first", "interrupted"),
    [
        (READ, NOP, SVC, 3, {"x0": (1 << 64) - 4, "pc": 0x1008}),
        (EPOLL, SVC, NOP, (1 << 64) - 4, None),
        (READ, SVC, NOP, 5, None),
        (220, NOP, SVC, 0, None),  # clone
    ],
)
def test_an_interrupted_call_goes_on_as_the_kernel_has_set_it(
    number: int, before: int, at: int, first: int, interrupted: dict[str, int] | None
) -> None:
    """Made again where the kernel has set it back, done where it has a result; with EINTR if that is wanted."""
    registers, code = stopped(number, before, at, first)
    assert MACHINE.resumed(registers) == registers
    assert MACHINE.interrupted(registers, reader(code)) == interrupted


def test_nothing_is_known_where_nothing_can_be_read() -> None:
    """At the very beginning of a mapping there is nothing before."""

    def read(address: int, size: int) -> bytes:
        raise AttachError("failed", "not mapped")

    assert MACHINE.call(stopped(READ, NOP, SVC)[0], read) is None


def sve(length: int, flags: int) -> bytes:
    """The register set of SVE (NT_ARM_SVE) for vectors of so many bytes."""
    registers = bytes(n % 253 for n in range(32 * length + 17 * length // 8))
    return struct.pack("<IIHHHH", 16 + len(registers), 8768, length, 256, flags, 0) + registers


@pytest.mark.parametrize(
    ("long", "streaming", "guarded", "reason"),
    [
        (b"", b"", b"", ""),
        (sve(64, 0), sve(64, 0), bytes(24), ""),
        (sve(64, 1), sve(64, 0), b"", ""),
        (sve(256, 1), sve(64, 0), b"", "too long"),
        (sve(64, 0), sve(64, 1), b"", "streaming"),
        (b"", b"", b"\1" + bytes(23), "shadow stack"),
    ],
)
def test_what_the_way_back_cannot_restore(long: bytes, streaming: bytes, guarded: bytes, reason: str) -> None:
    """Vectors that a signal frame has no room for, streaming mode, and a stack that the kernel guards."""
    sets = {0x405: long, 0x40B: streaming, 0x410: guarded}
    registers, code = stopped(READ, NOP, NOP)
    why = MACHINE.why_unfit(registers, None, reader(code), sets.__getitem__)
    assert reason in why and bool(reason) is bool(why)


@pytest.mark.parametrize("length", [16, 32, 64])
def test_long_vectors_are_in_the_signal_frame(length: int) -> None:
    """A record behind that of the short ones, aligned, as long as the kernel wants it, and then the end."""
    order = stub.Order(CODE, dict.fromkeys((*stub.CALLED, "pthread_create", "__errno_location"), 7), CONTEXT, 8192)
    registers = dict.fromkeys(MACHINE.registers, 0) | {"sp": STACK}
    block = MACHINE.detour(registers, order, lambda number: sve(length, 1)).writes[0][1]
    record = block[stub.STATE + 0x460 : stub.STATE + 0x1250]
    magic, size, found = struct.unpack_from("<IIH", record)
    assert (magic, found, size % 16) == (0x53564501, length, 0)
    wanted = sve(length, 1)[16:]
    assert record[16 : 16 + len(wanted)] == wanted and size >= 16 + len(wanted)
    assert not any(record[size:]) and len(record) - size >= 8


def test_which_thread_is_borrowed_first() -> None:
    """In the same order as elsewhere, by the numbers of this machine."""
    read, epoll = ThreadState(2, READ, (0,) * 6), ThreadState(3, EPOLL, (0,) * 6)
    lock, running = ThreadState(4, FUTEX, (0, WAIT_BITSET, 0)), ThreadState(5, None, ())
    mutex, opening = ThreadState(6, FUTEX, (0, WAIT, 0)), ThreadState(7, 56, (0,) * 6)
    sleep = ThreadState(8, SLEEP, (1, 0))
    order = sorted([opening, running, lock, sleep, mutex, epoll, read], key=lambda state: rank(state, 1, MACHINE))
    assert order[:4] == [read, epoll, lock, running]
    assert {rank(state, 1, MACHINE)[0] for state in order[4:]} == {UNSAFE}


def test_return_addresses_without_their_signatures() -> None:
    """What points into code does so whatever stands in the upper bits; the last address is in no stack."""
    registers = dict.fromkeys(MACHINE.registers, 0) | {"x30": 0x003B_FFFF_A000_1234}
    assert MACHINE.return_addresses(registers, (0x8000_FFFF_A000_5678, 7)) == [0xFFFF_A000_1234, 0xFFFF_A000_5678, 7]


def test_a_signal_frame_ends_below_the_stack() -> None:
    """The kernel reads a whole frame: it lies within the data block."""
    size = MACHINE.block_size(lambda number: b"")
    assert size >= stub.STATE + 0x1250
    assert MACHINE.block_address(STACK, size) + size <= STACK
