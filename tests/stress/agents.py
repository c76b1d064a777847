"""The real agent comes and goes: alone and in company, a hundred times, and the target is as it was before."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pyobserver.attach import inject
from pyobserver.source.find import find_agent

from ..agent.mirror import Mirror, bring, connect, observed, silence, wait_for
from ..attach.conftest import threads_of
from ..attach.conftest import wait_until as wait_until_true
from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch
from .tally import ANSWERED, Tally, check_free

_OBSERVERS = 3
_MORE_MAPPINGS = 16  # arenas of malloc and stacks that are kept for the next thread
_MORE_MEMORY = 3_000_000  # bytes, whatever the number of cycles


@dataclass(frozen=True)
class Belongings:
    """What a process holds, counted from outside; memory in bytes."""

    files: int
    threads: int
    mappings: int
    memory: int

    @classmethod
    def of(cls, pid: int) -> Belongings:
        folder = Path(f"/proc/{pid}")
        mappings = len((folder / "maps").read_text().splitlines())
        memory = int((folder / "statm").read_text().split()[1]) * 4096
        return cls(len(list((folder / "fd").iterdir())), threads_of(pid), mappings, memory)

    def check_same(self, before: Belongings) -> None:
        """Fails when there is more than before; a little more memory is the allocator's right."""
        assert (self.files, self.threads) == (before.files, before.threads), (before, self)
        assert self.mappings <= before.mappings + _MORE_MAPPINGS, (before, self)
        assert self.memory <= before.memory + _MORE_MEMORY, (before, self)


def cycles(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """Again and again on one target: it brings in, takes an update, and lets go. What the first tenth took may stay.

    What malloc keeps free for later, some 3 MB, is given back before it is measured.
    """
    with launch(interpreter, "bystander", "--tasks", 50, "--threads", 2) as target:
        threads = threads_of(target.pid)
        before = None
        for number in range(rounds):
            begun = time.monotonic()
            with observed(target.pid) as mirror:
                mirror.turn()
                tally.note(ANSWERED, time.monotonic() - begun)
            wait_until_true(lambda: threads_of(target.pid) == threads)
            if number == rounds // 10:
                before = _settled(target.pid, threads)
        assert before is not None
        _settled(target.pid, threads).check_same(before)
        _end(target)


def company(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """Several observers that all bring the agent in at once find one, which serves all of them."""
    with launch(interpreter, "bystander", "--tasks", 50) as target, ThreadPoolExecutor(_OBSERVERS) as observers:
        threads = threads_of(target.pid)
        for _ in range(rounds):
            begun = time.monotonic()
            mirrors = list(observers.map(_come, [target.pid] * _OBSERVERS))
            for mirror in mirrors:
                mirror.turn()
                tally.note(ANSWERED, time.monotonic() - begun)
            wait_until_true(lambda: threads_of(target.pid) == threads + 1)
            for mirror in mirrors[1:]:
                mirror.client.close()
            mirrors[0].client.detach()
            mirrors[0].client.close()
            wait_for(lambda: find_agent(target.pid) is None, "the end of the agent")
            wait_until_true(lambda: threads_of(target.pid) == threads)
        _end(target)


def _settled(pid: int, threads: int) -> Belongings:
    inject(pid, "import ctypes, gc\ngc.collect()\nctypes.CDLL(None).malloc_trim(0)", method="ptrace")
    wait_until_true(lambda: threads_of(pid) == threads)
    return Belongings.of(pid)


def _come(pid: int) -> Mirror:
    bring(pid)
    return Mirror(connect(pid))


def _end(target: RunningTarget) -> None:
    check_free(target.pid)
    assert not target.ask("state")["slot"], "the agent has left something in sys"
    silence(target.stop())
