"""Whether it was the kernel's OOM killer that ended a process, as far as its counters and its log tell.

The counters of a control group (memory.events, memory.oom_control) do not name who was killed. The kernel's log does,
in numbers of the first namespace of processes (mm/oom_kill.c: __oom_kill_process).
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from ..protocol.clean import clean_tail
from .errors import OutsideError
from .limits import group_folders
from .pressure import oom_kills

_KILLED = re.compile(r"Killed process (\d+) \(")
_FIRST_NAMESPACE = 0xEFFFFFFC  # Linux include/linux/proc_ns.h: PROC_PID_INIT_INO
_LOG_RECORDS = 100_000  # that are looked through, at most
_SETTLE_SECONDS = 0.5  # in which the counter of a group may still follow a death
_PATH_LIMIT = 120


class KillWatch:
    """Watches the counters of a process's control groups. `look` at them while it lives, ask for the `words` after."""

    def __init__(self, pid: int, root: Path = Path("/")) -> None:
        self._pid = pid
        self._root = root
        self._begun = time.monotonic()
        self._kills: dict[Path, tuple[str, int]] = {}  # the group's path, and what it has counted
        self.look()

    def look(self) -> None:
        """Take note of the counters."""
        try:
            folders = list(group_folders(self._pid, self._root))
        except OutsideError:
            return
        found = {folder: (path, oom_kills(folder)) for folder, path in folders}
        self._kills.update({folder: (path, n) for folder, (path, n) in found.items() if n is not None})

    def words(self, ended_by: int | None) -> str:
        """Return what is known, when it has ended by this signal (None where that is not known); "" for nothing."""
        if ended_by not in (None, signal.SIGKILL):
            return ""
        if self._is_in_log():
            return "killed for memory by the kernel, as its log says"
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._kills:
            for folder, (path, before) in self._kills.items():
                now = oom_kills(folder)
                if now is not None and now > before:
                    name = clean_tail(path, _PATH_LIMIT)
                    return f"killed for memory: the oom_kill count of its group {name} went from {before} to {now}"
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        return ""

    def _is_in_log(self) -> bool:
        """Whether the kernel's log has its number among those that were killed since the watch began."""
        try:
            if os.stat("/proc/self/ns/pid").st_ino != _FIRST_NAMESPACE:
                return False  # its number is another one there
            log = os.open(self._root / "dev" / "kmsg", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            for _ in range(_LOG_RECORDS):
                record = os.read(log, 8192).decode("utf-8", "replace")  # "priority,number,microseconds,flags;text"
                head, _, text = record.partition(";")
                killed = _KILLED.search(text)
                if killed and int(killed[1]) == self._pid and int(head.split(",")[2]) / 1e6 > self._begun:
                    return True
        except (OSError, ValueError, IndexError):
            pass  # its end, or nothing that we may read
        finally:
            os.close(log)
        return False
