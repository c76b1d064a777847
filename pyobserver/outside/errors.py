"""What can go wrong when a process is read from outside."""

from __future__ import annotations


class OutsideError(Exception):
    """Something could not be read from outside: what, why, and what would help, in one line."""

    def __init__(self, what: str, why: str = "", help: str = "") -> None:
        self.what = what
        self.why = why
        self.help = help
        super().__init__("; ".join(filter(None, (": ".join(filter(None, (what, why))), help))))


class TargetGone(OutsideError):
    """The process has ended.

    `exit_code` is its exit status and `signal` the number of the signal that ended it. At most one of them is set;
    both are None when the kernel does not tell.
    """

    def __init__(self, pid: int, exit_code: int | None = None, signal: int | None = None) -> None:
        self.pid = pid
        self.exit_code = exit_code
        self.signal = signal
        how = f"exit code {exit_code}" if exit_code is not None else f"signal {signal}" if signal is not None else ""
        super().__init__(f"process {pid} has ended", how)
