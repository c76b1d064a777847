"""Why a process cannot be attached to."""

from __future__ import annotations

TRACE_HELP = "run as its user or as root, with CAP_SYS_PTRACE, or with /proc/sys/kernel/yama/ptrace_scope at 0"

PREPARE_HELP = "start the program with pyobserver run, or call pyobserver.start() in it"
CONTINUE_HELP = "let it go on with kill -CONT, then try again"


class AttachError(Exception):
    """What happened, why, and what would help, in one line.

    `kind` is one word for programs: gone, not_python, too_old, unsupported, denied, traced, stopped, opted_out,
    no_safe_point, interpreter_lock, script, failed.
    """

    def __init__(self, kind: str, what: str, why: str = "", help: str = "") -> None:
        self.kind = kind
        self.what = what
        self.why = why
        self.help = help
        super().__init__("; ".join(filter(None, (": ".join(filter(None, (what, why))), help))))


def gone(pid: int) -> AttachError:
    """The process has ended, or never was."""
    return AttachError("gone", f"there is no process {pid}", "", "pyobserver ps lists the Python processes")
