"""How a thread of ours gets the interpreter lock where a thread of the program never rests.

CPython gives the lock to who waits for it after the switch interval, 5 ms, but begins to count anew whenever it is let
go of. A loop that always has something to do lets go of it at each system call, for microseconds: whoever waits on
another processor wakes up too late, time after time. Beside such a loop that polls each 0.1 to 3 ms, a thread got the
lock 0.3 to 2 times a second; from the same processor, where it is woken in place of the one that wakes it, 45 times,
as often as it asked. So a thread of ours that is kept waiting is bound to the processor of the one that keeps it, from
outside, for as long as that never rests. Nothing of the program is changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import AttachError
from .procfs import stat_words, status, thread_ids

_NEVER_RESTS = 0.4  # of a processor, at least: what others leave of it to a thread that could use it all
_LOOKS = 3  # that a thread is tried for, before another one that runs
_FOLLOW_SECONDS = 1.0
_ASLEEP = 2  # looks in a row at which a thread has not been ready to run: it rests
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_CRASHES = (4, 5, 6, 7, 8, 11)  # the signals that are not blocked in the agent's thread
_NEVER_BLOCKED = (9, 19, 32, 33)  # by the kernel, and by the C library
_BLOCKED = sum(1 << (number - 1) for number in range(1, 65) if number not in (*_CRASHES, *_NEVER_BLOCKED))


Find = Callable[[], list[int]]


@dataclass(frozen=True)
class Running:
    """What /proc/PID/task/TID/stat tells of a thread: whether it runs or could, where, and the ticks it has had."""

    tid: int
    runs: bool
    processor: int
    ticks: int


class Beside:
    """Keeps our threads in process `pid`, as `find` finds them, beside the one that keeps them waiting.

    `look` is for as long as they are waited for, `follow` for when they answer again. Neither does anything where it
    may not, or where there is no such thread.
    """

    def __init__(self, pid: int, find: Find, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid = pid
        self._find = find
        self._clock = clock
        self._seen: dict[int, Running] = {}  # when threads were last looked at, by thread
        self._seen_at = 0.0
        self._is_bound: bool | None = None  # unknown, until it was asked: a thread comes to life where it was made
        self._near: int | None = None  # the thread beside which they were bound by us
        self._binds = self._asleep = 0

    @property
    def near(self) -> int | None:
        """The thread beside which ours are kept, None while they may go anywhere."""
        return self._near if self._is_bound else None

    def look(self) -> None:
        """Bind our threads to the processor of one that has not rested since the last look.

        Where that is no help they are bound to that of the next one another time; the main thread is tried first.
        """
        ours = self._find()
        if ours and (restless := self._restless(ours)):
            self._go(ours, restless[self._binds // _LOOKS % len(restless)])
            self._binds += 1

    def follow(self) -> None:
        """Go with the thread that never rests, and from it when it does."""
        if self._is_bound is False or (self._seen and self._clock() - self._seen_at < _FOLLOW_SECONDS):
            return
        ours = self._find()
        if not ours:
            return
        if self._is_bound is None:
            self._is_bound = any(_affinity(tid) != _affinity(self._pid) for tid in ours)
        if not self._seen:
            self._restless(ours)
        elif self._is_bound:
            restless = self._restless(ours)
            stay = [each for each in restless if self._near in (each.tid, None)]
            self._asleep = 0 if stay and stay[0].runs else self._asleep + 1
            if not stay or self._asleep >= _ASLEEP:
                self.end()
            else:
                self._go(ours, stay[0])

    def end(self) -> None:
        """Let our threads go where the main thread may."""
        if self._is_bound and (free := _affinity(self._pid)):
            for tid in self._find():
                _bind(tid, free)
        self._is_bound, self._near, self._seen, self._binds, self._asleep = False, None, {}, 0, 0

    def _go(self, ours: list[int], near: Running) -> None:
        bound = [tid for tid in ours if _bind(tid, {near.processor})]
        if bound:
            self._is_bound, self._near = True, near.tid

    def _restless(self, ours: list[int]) -> list[Running]:
        """The threads that have not rested since the last time."""
        now, before = self._clock(), self._seen
        enough = _NEVER_RESTS * (now - self._seen_at) * _TICKS_A_SECOND
        others = [running(self._pid, tid) for tid in thread_ids(self._pid) if tid not in ours]
        threads = [each for each in others if each is not None]
        self._seen, self._seen_at = {each.tid: each for each in threads}, now
        found = [each for each in threads if each.tid in before and each.ticks - before[each.tid].ticks >= enough]
        return sorted(found, key=lambda each: (each.tid != self._pid, each.tid))


def running(pid: int, tid: int) -> Running | None:
    """Return what a thread does; None for one that has ended."""
    try:
        with open(f"/proc/{pid}/task/{tid}/stat", "rb") as file:
            words = stat_words(file.read())
        return Running(tid, words[0] == b"R", int(words[36]), int(words[11]) + int(words[12]))
    except (OSError, IndexError, ValueError):
        return None


def _affinity(tid: int) -> set[int]:
    try:
        return os.sched_getaffinity(tid)
    except OSError:
        return set()  # it has ended


def _bind(tid: int, processors: set[int]) -> bool:
    """Whether it could be done: a thread may just have ended, or be another user's."""
    try:
        os.sched_setaffinity(tid, processors)
    except OSError:
        return False
    return True


def agents_threads(pid: int) -> list[int]:
    """Return the agent's thread in a process, which is known by the signals that are blocked in it and in no other.

    There are two while one agent makes room for the next.
    """
    return [tid for tid in thread_ids(pid) if _blocked(pid, tid) == _BLOCKED]


def _blocked(pid: int, tid: int) -> int:
    try:
        return int(status(pid, tid).get("SigBlk", "0"), 16)
    except (AttachError, OSError, ValueError):
        return 0  # it has ended
