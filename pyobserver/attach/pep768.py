"""Attach by a request to the interpreter itself (PEP 768, Python 3.14): it runs a script file at its next safe moment.

`sys.remote_exec` would ask for the same version here as there, so the request is written by our own hand. Only the main
thread looks for it, and only between two instructions or when a blocking call of its own was interrupted: what does not
happen soon is taken back, and Unsuitable is raised.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .anatomy import is_libc, is_loader
from .elf import MappedObject, mapped_objects
from .errors import AttachError, gone
from .folder import NoFolder, ScriptFolder, remove_abandoned
from .machines import MACHINES, Registers, why_not_served
from .procfs import Memory, mappings, status
from .ptrace import Refused, ThreadGone, Tracee, checkpoint
from .wrapping import text_of

PATIENCE = 0.5  # seconds; an interpreter that runs Python answers within milliseconds
_SCRIPT_SECONDS = 10.0  # from when the interpreter has taken the request
# An interpreter that cannot open the script says so to nobody but its standard error (Python/ceval_gil.c, 3.14). That
# happens where the request meets code without builtins, as namedtuple runs it: while a program imports its modules.
_BEGIN_SECONDS = 2.0
_HOLD_SECONDS = 1.0
_POLL = 0.001
_COOKIE = b"xdebugpy"
_FINAL = 0xF0
_PATH_SIZE = 512
_PLEASE_STOP = 1 << 5  # of the eval breaker (_PY_EVAL_PLEASE_STOP_BIT, Include/internal/pycore_ceval.h)
_TABLE_WORDS = 160
_STACK_WINDOW = 1024

Say = Callable[[str], None]


class Unsuitable(Exception):
    """This way does not lead in; the text says why. Nothing of it is left in the target."""


@dataclass(frozen=True)
class Places:
    """Which 64-bit words of _Py_DebugOffsets hold what is needed (Include/internal/pycore_debug_offsets.h)."""

    native_thread_id: int
    debugger_support: int
    interpreters_head: int = 5
    threads_main: int = 10


PLACES = {(3, 14): Places(28, 89), (3, 15): Places(31, 105)}


@dataclass(frozen=True)
class Request:
    """The addresses in the target that a request consists of."""

    breaker: int
    pending: int
    path: int


def find_request(memory: Memory, runtime: int, main_thread: int) -> Request:
    """Return where a request is written, from the address of _PyRuntime. Raises Unsuitable where anything is unknown.

    `main_thread` is the number of the main thread as the target knows it.
    """
    words = struct.unpack(f"<{_TABLE_WORDS}Q", memory.read(runtime, 8 * _TABLE_WORDS))
    version = words[1]
    if struct.pack("<Q", words[0]) != _COOKIE:
        raise Unsuitable("it has no table of offsets")
    places = PLACES.get((version >> 24 & 255, version >> 16 & 255))
    if places is None or version & 0xF0 != _FINAL or words[2]:
        raise Unsuitable(f"its table of offsets ({version:#x}) is not a known one")
    at = places.debugger_support
    breaker, support, enabled, pending, path, size = words[at : at + 6]
    if size != _PATH_SIZE or pending != 0 or path != 4:
        raise Unsuitable("its table of offsets does not look as expected")
    interpreter = memory.u64(runtime + words[places.interpreters_head])
    if not interpreter or memory.u32(interpreter + enabled) != 1:
        raise Unsuitable("it takes no requests: they are switched off")
    thread = memory.u64(interpreter + words[places.threads_main])
    if not thread or memory.u64(thread + words[places.native_thread_id]) != main_thread:
        raise Unsuitable("its main thread is not where it should be")
    return Request(thread + breaker, thread + support + pending, thread + support + path)


class Pep768Injection:
    """One request to one process. All methods belong on one thread, whose end lets go of the target."""

    def __init__(self, pid: int, memory: Memory, say: Say, note: Say = lambda text: None) -> None:
        self.pid = pid
        self.held_seconds = 0.0
        self._say = say
        self._note = note
        self._memory = memory
        self._objects = mapped_objects(memory, mappings(pid))
        python = self._find_python()
        self._python = python[0]
        machine = MACHINES.get(self._python.machine)
        if machine is None or machine.unproven:
            raise Unsuitable(why_not_served(machine))
        self._machine = machine
        try:
            self._request = find_request(memory, python[1], _own_number(pid))
        except AttachError as error:
            if error.kind == "gone":
                raise
            raise Unsuitable(error.what) from None

    def _find_python(self) -> tuple[MappedObject, int]:
        for each in sorted(self._objects, key=lambda o: "python" not in o.name):
            if runtime := each.symbol("_PyRuntime"):
                return each, runtime
        raise Unsuitable("it does not export _PyRuntime")

    def run(self, source: str, patience: float = PATIENCE) -> None:
        """Have `source` run. Raises Unsuitable when it was not taken up in time, AttachError when it failed."""
        self._say("asking the interpreter (PEP 768)")
        try:
            folder = ScriptFolder(self.pid, source, _PATH_SIZE)
        except NoFolder as error:
            raise Unsuitable(f"no place for the script: {error}") from None
        try:
            self._ask(folder, patience)
        finally:
            folder.remove()

    def _ask(self, folder: ScriptFolder, patience: float) -> None:
        armed = False
        try:
            with self._held() as tracee:
                self._check_waiting()
                armed = True
                self._arm(tracee, folder.script)
            answer = self._wait(folder, patience)
            if answer is None and self._disarm():
                armed = False
                raise Unsuitable(f"its main thread ran no Python within {patience:g} s")
            armed = False
        finally:
            if armed:
                self._disarm()
        if answer is None:
            answer = self._wait(folder, _BEGIN_SECONDS)
        if answer is None and not folder.has_begun():
            raise Unsuitable("its interpreter took the request and did not run it")
        if answer is None:
            answer = self._wait(folder, _SCRIPT_SECONDS)
        if answer is None:
            why = f"the interpreter took it {_SCRIPT_SECONDS:g} s ago"
            help = "its main thread may be kept from the interpreter lock by another one; try --method ptrace"
            raise AttachError("script", f"the agent does not come up in process {self.pid}", why, help)
        if text := text_of(answer):
            raise AttachError("script", f"the agent could not start in process {self.pid}", text)

    @contextmanager
    def _held(self) -> Iterator[Tracee]:
        """The main thread, standing still. Raises Unsuitable when it cannot be had, AttachError when it is gone."""
        end = time.monotonic() + _HOLD_SECONDS
        while True:
            tracee = Tracee(self.pid, self.pid, self._machine)
            try:
                stop = tracee.stop()
                break
            except Refused:
                if time.monotonic() > end:
                    raise Unsuitable("its main thread may not be traced") from None
                time.sleep(0.002)
            except ThreadGone:
                raise self._end_of_main() from None
        if not stop.stopped:
            raise Unsuitable(f"its main thread cannot be held: {stop.why}")
        try:
            yield tracee
        finally:
            self.held_seconds = max(self.held_seconds, tracee.release())

    def _end_of_main(self) -> Exception:
        return Unsuitable("its main thread has ended") if _is_there(self.pid) else gone(self.pid)

    def _check_waiting(self) -> None:
        """Refuse where another request waits; one of an observer that died waiting is replaced."""
        if self._memory.u32(self._request.pending) == 0:
            return
        raw = self._memory.read(self._request.path, _PATH_SIZE)
        if not remove_abandoned(self.pid, os.fsdecode(raw.split(b"\0", 1)[0])):
            raise Unsuitable("the request of another debugger waits there")

    def _arm(self, tracee: Tracee, path: str) -> None:
        """Write the request while the main thread, which takes it, stands still.

        Other threads may set bits of the eval breaker: only its lowest byte is written, right after it was read.
        """
        self._memory.write(self._request.path, os.fsencode(path) + b"\0")
        self._memory.write(self._request.pending, struct.pack("<i", 1))
        checkpoint("before")
        breaker = self._memory.read(self._request.breaker, 1)[0]
        self._memory.write(self._request.breaker, bytes([breaker | _PLEASE_STOP]))
        try:
            registers = tracee.registers()
            if interrupted := self._interrupted(registers):
                tracee.set_registers(interrupted)
        except ThreadGone:
            raise self._end_of_main() from None
        checkpoint("after")
        call = self._machine.call(registers, self._memory.read) if interrupted else None
        self._note("asked the interpreter" + (f", interrupting system call {call.number}" if call else ""))

    def _interrupted(self, registers: Registers) -> Registers | None:
        """The registers that end a blocking call which Python itself has made: Python retries it after EINTR."""
        interrupted = self._machine.interrupted(registers, self._memory.read)
        place = self._object_at(registers[self._machine.place])
        if interrupted is None or place is None or not is_libc(place.name):
            return None
        return interrupted if self._is_called_by_python(registers) else None

    def _is_called_by_python(self, registers: Registers) -> bool:
        """Whether nothing but Python's own code is to be seen on the stack beside the C library and the loader.

        The first return address would not do: what the C library has not overwritten yet lies before it, left by calls
        that are over. Whoever else calls, as libffi does for ctypes, has left an address as well.
        """
        pointer = registers[self._machine.stack]
        end = next((m.end for m in mappings(self.pid) if m.start <= pointer < m.end), pointer)
        size = min(_STACK_WINDOW, end - pointer) & ~7
        words = struct.unpack(f"<{size // 8}Q", self._memory.read(pointer, size) if size else b"")
        addresses = self._machine.return_addresses(registers, words)
        places = {place for address in addresses if (place := self._object_at(address)) is not None}
        callers = {place for place in places if not is_libc(place.name) and not is_loader(place.name)}
        return bool(callers) and all(self._is_pythons_own(place) for place in callers)

    def _is_pythons_own(self, place: MappedObject) -> bool:
        """Whether it is the interpreter or an extension module of its own, none that makes calls for others."""
        own = place is self._python or "/lib-dynload/" in place.path
        return own and not place.name.startswith("_ctypes")

    def _object_at(self, address: int) -> MappedObject | None:
        return next((o for o in self._objects if o.contains(address)), None)

    def _wait(self, folder: ScriptFolder, patience: float) -> bytes | None:
        end = time.monotonic() + patience
        said = time.monotonic()
        while True:
            if (answer := folder.answer()) is not None:
                return answer
            now = time.monotonic()
            if not _is_there(self.pid):
                raise gone(self.pid)
            if now > end:
                return None
            if now - said > 1.0:
                self._say("waiting for the interpreter lock")
                said = now
            time.sleep(_POLL)

    def _disarm(self) -> bool:
        """Take the request back; False when the interpreter has taken it up, so that the script is on its way.

        With the main thread held, a request that still waits has not been looked at, and its path is empty from now on.
        """
        try:
            with self._held():
                return self._withdraw()
        except (Unsuitable, AttachError):
            try:
                return self._withdraw()
            except AttachError:
                return True  # the process has ended

    def _withdraw(self) -> bool:
        waits = self._memory.u32(self._request.pending) != 0
        if waits:
            self._memory.write(self._request.path, b"\0")
            self._memory.write(self._request.pending, struct.pack("<i", 0))
        return waits


def _own_number(pid: int) -> int:
    """The number by which a process knows itself: another one inside a PID namespace."""
    fields = status(pid)
    return int(fields.get("NSpid", str(pid)).split()[-1])


def _is_there(pid: int) -> bool:
    try:
        return status(pid).get("State", "X")[0] not in "ZX"
    except AttachError:
        return False
