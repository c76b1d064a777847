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
from .anatomy import Anatomy
from .beside import Beside
from .errors import CONTINUE_HELP, PREPARE_HELP, AttachError, gone
from .machines import Registers
from .procfs import Memory, ThreadState, status, thread_ids, thread_state, thread_states
from .ptrace import Refused, ThreadGone, Tracee, checkpoint, why_refused
from .safepoint import STACK_WINDOW, UNSAFE, rank, why_unsafe
from .wrapping import in_memory, text_of

_SAFE_POINT_SECONDS = 5.0
_STUB_SECONDS = 2.0
_SCRIPT_SECONDS = 30.0
_TRIES = 20  # to meet the new thread asleep
_ANOTHER_TRACER_SECONDS = 1.0  # a second observer is gone within milliseconds
_STACK_ROOM = 24576
_POLL = 0.0005
_KEPT_SECONDS = 0.1  # from the interpreter lock, after which and from one look to the next it is seen who does that
_STAGES = {1: "starting a thread in the target", 2: "waiting for the interpreter lock", 3: "starting the agent"}

Say = Callable[[str], None]


class PtraceInjection:
    """One attach to one process. All methods belong on one thread, whose end lets go of the target."""

    def __init__(self, pid: int, memory: Memory, say: Say, note: Say = lambda text: None) -> None:
        self.pid = pid
        self.held_seconds = 0.0
        self._say = say  # what happens now
        self._note = note  # what has happened
        self._memory = memory
        self._anatomy = Anatomy(pid, memory)
        self._tries = 0
        self._refusals: dict[str, int] = {}
        self._context = 0

    def run(self, source: str, patience: float) -> None:
        """Run `source` in the target. Raises AttachError; kind interpreter_lock when nobody gave the lock in time."""
        self._say("choosing a thread")
        script = in_memory(source) + b"\0"
        size = stub.context_size(script)
        cave = self._anatomy.cave()
        before = set(thread_ids(self.pid))
        tracee, registers = self._hold_at_safe_point()
        try:
            self._context = self._anatomy.free_range(size)
            self._commit(tracee, registers, cave, size)
        except BaseException:
            self._release(tracee)
            raise
        held = self._release(tracee)
        self._note(f"borrowed thread {tracee.tid} {self._where(registers)} for {1000 * held:.2f} ms, try {self._tries}")
        self._wait_for_thread()
        self._memory.write(self._context + stub.SCRIPT, script)
        made = self._made_thread(before)
        self._write_go(stub.RUN)
        self._wait_for_script(patience, Beside(self.pid, lambda: made))

    def _release(self, tracee: Tracee) -> float:
        held = tracee.release()
        self.held_seconds = max(self.held_seconds, held)
        return held

    def _where(self, registers: Registers) -> str:
        call = self._anatomy.machine.call(registers, self._memory.read)
        return f"in system call {call.number}" if call else "between system calls"

    def _write_go(self, value: int) -> None:
        self._memory.write(self._context + stub.GO, struct.pack("<I", value))

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
            tracee = Tracee(self.pid, state.tid, self._anatomy.machine)
            self._tries += 1
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
            first, second, luck = rank(state, self.pid, self._anatomy.machine)
            return first + failures.get(state.tid, 0), second, luck

        best = min(states, key=order)
        if rank(best, self.pid, self._anatomy.machine)[0] == UNSAFE:
            self._refuse("all threads in calls that may hold a lock")
            return None
        return best

    def _try(self, tracee: Tracee) -> Registers | None:
        """Stop the thread; return its registers if it may be borrowed, else let it go."""
        stop = tracee.stop()
        if not stop.stopped:
            kind, help = ("stopped", CONTINUE_HELP) if stop.by_job_control else ("no_safe_point", "try again")
            raise AttachError(kind, f"process {self.pid} cannot be attached to", stop.why, help)
        try:
            registers = tracee.registers()
            pointer = registers[self._anatomy.machine.stack]
            why = why_unsafe(self._anatomy, tracee, registers, self._stack(pointer))
            why = why or self._no_room(tracee, pointer)
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
        machine = self._anatomy.machine
        lowest = machine.block_address(pointer, machine.block_size(tracee.register_set))
        for attempt in range(2):
            mapping = self._anatomy.mapping_at(lowest)
            there = mapping and "w" in mapping.permissions and mapping.start <= pointer <= mapping.end
            if mapping and there and (mapping.path == "[stack]" or lowest - _STACK_ROOM >= mapping.start):
                return ""
            if attempt == 0:
                self._anatomy.refresh_maps()
        return "too little room on the stack"

    # -- the commit point -------------------------------------------------------------------------------------------

    def _commit(self, tracee: Tracee, registers: Registers, cave: int, mapped: int) -> None:
        machine = self._anatomy.machine
        order = stub.Order(cave + stub.CODE_OFFSET, self._anatomy.functions, self._context, mapped)
        detour = machine.detour(registers, order, tracee.register_set)
        if self._memory.read(cave, len(machine.stub.image)) != machine.stub.image:
            self._memory.write(cave, machine.stub.image)
        for address, content in detour.writes:
            self._memory.write(address, content)
        checkpoint("before")
        try:
            tracee.set_registers(detour.registers)
        except ThreadGone:
            raise gone(self.pid) from None
        checkpoint("after")

    # -- after it ---------------------------------------------------------------------------------------------------

    def _wait_for_thread(self) -> None:
        """Wait until the borrowed thread has made the new one, and is back where it was."""
        end = time.monotonic() + _STUB_SECONDS
        while not self._thread_is_made():
            if time.monotonic() > end:
                self._raise_if_stopped()
                raise AttachError(
                    "failed",
                    f"process {self.pid} did not start a thread within {_STUB_SECONDS:g} s",
                    "a limit on its memory may forbid the mapping",
                    PREPARE_HELP,
                )
            time.sleep(_POLL / 5)

    def _thread_is_made(self) -> bool:
        try:
            created, made = struct.unpack("<II", self._memory.read(self._context + stub.CREATED, 8))
        except AttachError as error:
            self._raise_if_gone(error)
            return False
        if made == 2:
            self._acknowledge()
            raise AttachError(
                "failed",
                f"process {self.pid} could not create a thread",
                os.strerror(created),
                "its limits of processes or memory are reached (see ulimit -u, pids.max)",
            )
        return bool(made == 1)

    def _made_thread(self, before: set[int]) -> list[int]:
        """Return the thread that was made: before it may go it is new, and sleeps by a time that stands in its context.

        An empty list where it was never met asleep: all goes on without.
        """
        new = set(thread_ids(self.pid)) - before
        for _ in range(_TRIES if len(new) > 1 else 0):
            for tid in new:
                state = thread_state(self.pid, tid)
                if state is not None and state.arguments[:1] == (self._context + stub.POLL,):
                    return [tid]
            time.sleep(_POLL / 5)
        return list(new) if len(new) == 1 else []

    def _raise_if_gone(self, error: AttachError) -> None:
        """Tell the end of the process from an address that is not mapped."""
        if error.kind == "gone" or status(self.pid).get("State", "X")[0] in "ZX":
            raise gone(self.pid) from None

    def _raise_if_stopped(self) -> None:
        if status(self.pid).get("State", "X")[0] in "Tt":
            raise AttachError("stopped", f"process {self.pid} was stopped meanwhile", "", CONTINUE_HELP)

    def _wait_for_script(self, patience: float, beside: Beside) -> None:
        """Follow the new thread until the script has run, or take the script back."""
        begun = looked = time.monotonic()
        said, last_said, pause = "", 0.0, _POLL
        while (stage := self._stage()) is not None and stage not in (4, 5, 6, 7, 8):
            now = time.monotonic()
            text = _STAGES.get(stage, "waiting for the new thread")
            if text != said or now - last_said > 1.0:
                self._say(text)
                said, last_said = text, now
            if now - begun > patience and stage < 3 and self._take_back():
                self._raise_if_stopped()
                raise self._no_lock(patience)
            if now - begun > patience + _SCRIPT_SECONDS:
                raise AttachError("script", f"the agent does not come up in process {self.pid}", "it is still busy", "")
            if now - looked > _KEPT_SECONDS:
                beside.look()
                looked = now
            time.sleep(pause)
            pause = min(0.01, pause * 1.2)
        if stage in (6, 7, 8):
            self._acknowledge()
            if stage == 6:
                raise AttachError("failed", f"Python is not up yet in process {self.pid}", "", "try again in a moment")
            raise self._no_lock(patience)
        if stage is not None:
            self._raise_report()

    def _stage(self) -> int | None:
        """The stage of the new thread; None when it has dropped its mapping: it ended well."""
        try:
            context = self._memory.read(self._context, stub.REPORT)
        except AttachError as error:
            self._raise_if_gone(error)
            return None
        if context[stub.IDENTITY : stub.IDENTITY + 8] != stub.CONTEXT_MAGIC:
            return None
        return int(struct.unpack_from("<I", context)[0])

    def _take_back(self) -> bool:
        """Take the script back from a thread that still waits. False when it may have got the lock this very moment.

        The thread says stage 3 first, and looks then whether it may go on: whoever reads 2 here has been in time.
        """
        try:
            self._write_go(stub.TAKEN_BACK)
        except AttachError:
            return False
        if (self._stage() or 9) >= 3:
            return False
        self._acknowledge()  # nobody is going to read what it says
        return True

    def _no_lock(self, patience: float) -> AttachError:
        return AttachError(
            "interpreter_lock",
            f"process {self.pid} did not give the interpreter lock within {patience:g} s",
            "one of its threads holds it, in C code that does not let go",
            "nothing of ours stays behind; try again when it moves on",
        )

    def _raise_report(self) -> None:
        """Raise what the script could not do, if it left a report."""
        try:
            outcome = self._memory.u32(self._context + stub.OUTCOME)
            text = text_of(self._memory.read(self._context + stub.REPORT, stub.REPORT_SIZE))
            self._acknowledge()
        except AttachError:
            return  # it has ended meanwhile, as it does when there is nothing to tell
        if outcome != stub.WELL:
            why = text if outcome == stub.REPORTED else "it could not even tell why; memory may be short there"
            raise AttachError("script", f"the agent could not start in process {self.pid}", why)

    def _acknowledge(self) -> None:
        try:
            self._write_go(stub.READ)
        except AttachError:
            pass
