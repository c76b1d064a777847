"""Attach by ptrace: one borrowed thread creates another, which waits for the interpreter lock and runs the script.

There is one commit point. All before it are writes that nobody executes; all after it runs in the target without us. So
the observer may die at any moment.
"""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Callable

from . import stub
from .anatomy import PREPARE_HELP, Anatomy
from .errors import AttachError, gone
from .procfs import Memory, ThreadState, status, thread_states
from .ptrace import Refused, Registers, ThreadGone, Tracee, why_refused
from .safepoint import STACK_WINDOW, UNSAFE, rank, resumed, why_unsafe
from .wrapping import in_memory

_SAFE_POINT_SECONDS = 5.0
_STUB_SECONDS = 2.0
_ANOTHER_TRACER_SECONDS = 1.0  # a second observer is gone within milliseconds
_STACK_ROOM = 24576
_POLL = 0.0005
_TRAP_AND_DIRECTION = 0x500  # flags TF and DF
_STAGES = {1: "starting a thread in the target", 2: "waiting for the interpreter lock", 3: "starting the agent"}

Say = Callable[[str], None]


class PtraceInjection:
    """One attach to one process. All methods belong on one thread, whose end lets go of the target."""

    def __init__(self, pid: int, say: Say) -> None:
        self.pid = pid
        self.held_seconds = 0.0
        self._say = say
        self._memory = Memory(pid)
        self._anatomy = Anatomy(pid, self._memory)
        self._refusals: dict[str, int] = {}
        self._context = 0

    def run(self, source: str, patience: float) -> None:
        """Run `source` in the target. Raises AttachError; kind interpreter_lock when nobody gave the lock in time."""
        self._say("choosing a thread")
        wrapped = in_memory(source)
        size = stub.context_size(wrapped(0))
        cave = self._anatomy.cave()
        tracee, registers = self._hold_at_safe_point()
        try:
            self._context = self._anatomy.free_range(size)
            self._commit(tracee, registers, cave, size)
        except BaseException:
            self._release(tracee)
            raise
        self._release(tracee)
        self._wait_for_thread(tracee.tid)
        self._memory.write(self._context + stub.SCRIPT, wrapped(self._context + stub.REPORT) + b"\0")
        self._memory.write(self._context + stub.GO, struct.pack("<I", 1))
        self._wait_for_script(patience)

    def _release(self, tracee: Tracee) -> None:
        self.held_seconds = max(self.held_seconds, tracee.release())

    # -- before the commit point ------------------------------------------------------------------------------------

    def _hold_at_safe_point(self) -> tuple[Tracee, Registers]:
        """Try thread after thread until one stands where it may be borrowed."""
        begun = time.monotonic()
        failures: dict[int, int] = {}
        refused_since: float | None = None
        while time.monotonic() - begun < _SAFE_POINT_SECONDS:
            state = self._candidate(failures)
            if state is None:
                time.sleep(_POLL)
                continue
            tracee = Tracee(self.pid, state.tid)
            try:
                registers = self._try(tracee)
                refused_since = None
            except Refused:
                refused_since = refused_since or time.monotonic()
                if time.monotonic() - refused_since > _ANOTHER_TRACER_SECONDS:
                    raise why_refused(self.pid, state.tid) from None
                time.sleep(0.002)
                continue
            except ThreadGone:
                if not os.path.exists(f"/proc/{self.pid}/task"):
                    raise gone(self.pid) from None
                continue
            if registers is not None:
                return tracee, registers
            if state.call is not None:
                failures[state.tid] = failures.get(state.tid, 0) + 1
            time.sleep(random.uniform(0.0001, 0.001))
        tried = ", ".join(f"{why} ({count})" for why, count in sorted(self._refusals.items(), key=lambda i: -i[1])[:4])
        raise AttachError(
            "no_safe_point",
            f"no thread of process {self.pid} came to a safe place within {_SAFE_POINT_SECONDS:g} s",
            tried,
            "nothing was changed; try again",
        )

    def _candidate(self, failures: dict[int, int]) -> ThreadState | None:
        if status(self.pid).get("State", "X")[0] in "ZX":
            raise gone(self.pid)
        states = thread_states(self.pid)
        if not states:
            raise gone(self.pid)

        def order(state: ThreadState) -> tuple[int, bool, float]:
            first, second, luck = rank(state, self.pid)
            return first + failures.get(state.tid, 0), second, luck

        best = min(states, key=order)
        if rank(best, self.pid)[0] == UNSAFE:
            self._refuse("all threads in calls that may hold a lock")
            return None
        return best

    def _try(self, tracee: Tracee) -> Registers | None:
        """Stop the thread; return its registers if it may be borrowed, else let it go."""
        stop = tracee.stop()
        if not stop.stopped:
            raise AttachError("stopped", f"process {self.pid} cannot be attached to", stop.why, "resume it: kill -CONT")
        try:
            registers = tracee.registers()
            stack = self._stack(registers["rsp"])
            why = why_unsafe(self._anatomy, registers, stack)
            why = why or self._no_room(tracee, registers["rsp"])
        except BaseException:
            self._release(tracee)
            raise
        if not why:
            return registers
        self._refuse(why)
        self._release(tracee)
        return None

    def _refuse(self, why: str) -> None:
        self._refusals[why] = self._refusals.get(why, 0) + 1

    def _stack(self, pointer: int) -> bytes:
        mapping = self._anatomy.mapping_at(pointer)
        if mapping is None:
            self._anatomy.refresh_maps()
            mapping = self._anatomy.mapping_at(pointer)
        end = mapping.end if mapping else pointer
        try:
            return self._memory.read(pointer, min(STACK_WINDOW, end - pointer) & ~7)
        except AttachError:
            return b""

    def _no_room(self, tracee: Tracee, pointer: int) -> str:
        lowest = self._block_address(pointer, stub.block_size(tracee.vector_state_size()))
        for attempt in range(2):
            mapping = self._anatomy.mapping_at(lowest)
            if mapping and "w" in mapping.permissions and mapping.start <= pointer <= mapping.end:
                if mapping.path == "[stack]" or lowest - _STACK_ROOM >= mapping.start:
                    return ""
            if attempt == 0:
                self._anatomy.refresh_maps()
        return "too little room on the stack"

    @staticmethod
    def _block_address(pointer: int, size: int) -> int:
        return (pointer - stub.BELOW - size) & ~63

    # -- the commit point -------------------------------------------------------------------------------------------

    def _commit(self, tracee: Tracee, registers: Registers, cave: int, mapped: int) -> None:
        size = stub.block_size(tracee.vector_state_size())
        block = self._block_address(registers["rsp"], size)
        after = resumed(registers)
        code = cave + stub.CODE_OFFSET
        content = stub.data_block(size, after, code, self._anatomy.functions, self._context, mapped)
        wanted = stub.MAGIC + bytes(stub.CODE_OFFSET - len(stub.MAGIC)) + stub.CODE
        if self._memory.read(cave, len(wanted)) != wanted:
            self._memory.write(cave, wanted)
        self._memory.write(block, content)
        self._memory.write(registers["rsp"] - stub.BELOW, struct.pack("<QQ", registers["rbx"], after["rip"]))
        _checkpoint("before")
        try:
            tracee.set_registers(
                {
                    "rip": code,
                    "rsp": block,
                    "rbx": block,
                    "orig_rax": 0xFFFFFFFFFFFFFFFF,  # so that the kernel does not restart the call at the new place
                    "eflags": registers["eflags"] & ~_TRAP_AND_DIRECTION,
                }
            )
        except ThreadGone:
            raise gone(self.pid) from None
        _checkpoint("after")

    # -- after it ---------------------------------------------------------------------------------------------------

    def _wait_for_thread(self, tid: int) -> None:
        end = time.monotonic() + _STUB_SECONDS
        while True:
            there = os.path.exists(f"/proc/{self.pid}/task/{tid}")  # before the read: the thread may run on and end
            try:
                if self._memory.u32(self._context + stub.DONE) == 1:
                    break
            except AttachError as error:
                if error.kind == "gone" or not there:
                    raise gone(self.pid) from None
            if time.monotonic() > end:
                raise AttachError(
                    "failed",
                    f"process {self.pid} did not start a thread within {_STUB_SECONDS:g} s",
                    "a limit on its memory may forbid the mapping",
                    PREPARE_HELP,
                )
        code = self._memory.u32(self._context + stub.CREATED)
        if code:
            raise AttachError(
                "failed",
                f"process {self.pid} could not create a thread",
                os.strerror(code),
                "its limits of processes or memory are reached (see ulimit -u, pids.max)",
            )

    def _wait_for_script(self, patience: float) -> None:
        """Follow the new thread until the script has run."""
        end = time.monotonic() + patience
        said, last_said = "", 0.0
        pause = _POLL
        while (stage := self._stage()) is not None and stage not in (4, 5, 6):
            text = _STAGES.get(stage, "waiting for the new thread")
            if text != said or time.monotonic() - last_said > 1.0:
                self._say(text)
                said, last_said = text, time.monotonic()
            if time.monotonic() > end and stage < 3:
                self._give_up(patience)
                return
            time.sleep(pause)
            pause = min(0.01, pause * 1.2)
        if stage == 6:
            self._acknowledge()
            raise AttachError("failed", f"Python is not up yet in process {self.pid}", "", "try again in a moment")
        self._raise_report()

    def _stage(self) -> int | None:
        """The stage of the new thread; None when it has dropped its mapping: it ended well."""
        try:
            context = self._memory.read(self._context, stub.REPORT)
        except AttachError:
            if status(self.pid).get("State", "X")[0] in "ZX":
                raise gone(self.pid) from None
            return None
        if context[stub.IDENTITY : stub.IDENTITY + 8] != stub.CONTEXT_MAGIC:
            return None
        return int(struct.unpack_from("<I", context)[0])

    def _give_up(self, patience: float) -> None:
        """Take the script back from a thread that still waits, so that nothing of ours runs later."""
        try:
            self._memory.write(self._context + stub.SCRIPT, b"\0")
        except AttachError:
            return
        if (self._stage() or 9) >= 3:  # it got the lock in this very moment, and the whole script
            self._wait_for_script(patience)
            return
        raise AttachError(
            "interpreter_lock",
            f"process {self.pid} did not give the interpreter lock within {patience:g} s",
            "one of its threads holds it, in C code that does not let go",
            "nothing of ours stays behind; try again when it moves on",
        )

    def _raise_report(self) -> None:
        """Raise what the script could not do, if it left a report."""
        try:
            if not self._memory.u32(self._context + stub.REPORTED):
                return
            size = min(self._memory.u32(self._context + stub.REPORT), stub.REPORT_SIZE)
            text = self._memory.read(self._context + stub.REPORT + 4, size).decode("utf-8", "replace")
            self._acknowledge()
        except AttachError:
            return
        raise AttachError("script", f"the agent could not start in process {self.pid}", text)

    def _acknowledge(self) -> None:
        try:
            self._memory.write(self._context + stub.GO, struct.pack("<I", 2))
        except AttachError:
            pass

    def close(self) -> None:
        """Let go of the target's memory."""
        self._memory.close()


def _checkpoint(when: str) -> None:
    """Die here if a test asks for it: what an observer that is killed at the worst moment leaves behind."""
    if os.environ.get("PYOBSERVER_TEST_DIE") == when:
        os.kill(os.getpid(), 9)
