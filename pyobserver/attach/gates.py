"""What stands between us and a process, found out without touching it."""

from __future__ import annotations

import os
import platform
import re
import signal
from dataclasses import dataclass

from .errors import CONTINUE_HELP, PREPARE_HELP, TRACE_HELP, AttachError
from .interpreters import Interpreter, identify, named_python
from .machines import MACHINES, machine_named, why_not_served
from .procfs import status

OLDEST = (3, 8)
PEP768 = frozenset({(3, 14), (3, 15)})
"""The versions whose request for running a script we know how to write."""
METHODS = ("auto", "pep768", "ptrace")

_ALARMS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)
_LIST_HELP = "pyobserver ps lists the Python processes"
_FINAL = re.compile(r"(\d+)\.(\d+)\.\d+\+?$")
_MUSL = re.compile(r"/(?:ld-musl-|libc\.musl-)")
_OPT_OUT = "PYTHON_DISABLE_REMOTE_DEBUG"
_OPT_OUT_OPTION = "disable-remote-debug"


@dataclass(frozen=True)
class Examination:
    """Whether a process can be attached to, how, and if not, why not and what would lift it.

    `kind` is "" where all is well, else one of those of AttachError. What could not be found out is None.
    """

    pid: int
    python: str | None = None
    implementation: str | None = None
    executable: str | None = None
    method: str | None = None
    ok: bool = False
    kind: str = ""
    reason: str = ""
    help: str = ""

    def error(self) -> AttachError:
        """Return the refusal as an exception."""
        return AttachError(self.kind, f"process {self.pid} cannot be attached to", self.reason, self.help)


class _Closed(Exception):
    """A gate that is closed."""

    def __init__(self, kind: str, reason: str, help: str = "") -> None:
        super().__init__(reason)
        self.kind, self.reason, self.help = kind, reason, help


def examine(pid: int, method: str = "auto", force: bool = False) -> Examination:
    """Return whether `pid` can be attached to, and by which way; nothing is stopped, and nothing written.

    `force` passes by the wish of a program not to be debugged, and nothing else.
    """
    gates = _Gates(pid, method, force)
    try:
        chosen = gates.pass_all()
    except _Closed as closed:
        return gates.examination(None, closed)
    except AttachError as error:  # it ended meanwhile
        return gates.examination(None, _Closed(error.kind, error.why or error.what, error.help))
    return gates.examination(chosen, None)


class _Gates:
    """The gates of one process, in the order in which their answers help most."""

    def __init__(self, pid: int, method: str, force: bool) -> None:
        self.pid = pid
        self.method = method
        self.force = force
        self.executable: str | None = None
        self.interpreter: Interpreter | None = None
        self.status: dict[str, str] = {}
        self.maps = ""

    def examination(self, method: str | None, closed: _Closed | None) -> Examination:
        found = self.interpreter
        return Examination(
            self.pid,
            found.version if found else None,
            found.implementation if found else None,
            self.executable,
            method,
            closed is None,
            *((closed.kind, closed.reason, closed.help) if closed else ()),
        )

    def pass_all(self) -> str:
        """Return the way to attach. Raises _Closed, or AttachError when the process ends meanwhile."""
        self._exists()
        readable = self._read_identity()
        self._runs_a_served_python()
        if readable:
            self._machine()
        self._permitted()
        self._untraced()
        self._running()
        self._without_shadow_stack()
        self._has_not_opted_out()
        return self._way()

    def _exists(self) -> None:
        if self.method not in METHODS:
            raise _Closed("failed", f"there is no method {self.method!r}", "choose one of " + ", ".join(METHODS))
        if not os.path.exists(f"/proc/{self.pid}/status"):
            raise _Closed("gone", f"there is no process {self.pid}", _LIST_HELP)
        self.status = status(self.pid)
        if self.status.get("State", "X")[0] in "ZX":
            raise _Closed("gone", "it has ended, and only waits for its parent to notice", _LIST_HELP)
        leader = self.status.get("Tgid", str(self.pid))
        if leader != str(self.pid):
            raise _Closed("gone", f"{self.pid} is a thread of process {leader}", f"attach to {leader}")

    def _read_identity(self) -> bool:
        """Find out what runs there; False when the kernel does not let us look, and the name has to do."""
        try:
            self.executable = os.readlink(f"/proc/{self.pid}/exe")
            with open(f"/proc/{self.pid}/maps", "rb") as file:
                self.maps = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            raise _Closed("not_python", "it is a part of the kernel, or has just ended", _LIST_HELP) from None
        except (PermissionError, ProcessLookupError):
            self.interpreter = named_python(self._command()[0])
            if self.interpreter is None:
                self._permitted()
            return False
        self.interpreter = identify(self.pid, self.executable, self.maps)
        return True

    def _command(self) -> list[str]:
        return self._text("cmdline").split("\0")

    def _text(self, name: str) -> str:
        try:
            with open(f"/proc/{self.pid}/{name}", "rb") as file:
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _runs_a_served_python(self) -> None:
        found = self.interpreter
        if found is None:
            raise _Closed("not_python", f"it does not run Python but {self.executable or 'something else'}", _LIST_HELP)
        if found.implementation != "cpython":
            raise _Closed("unsupported", f"it runs {found.implementation}, and only CPython is served", "")
        version = _minor(found)
        if version is not None and version < OLDEST:
            raise _Closed("too_old", f"it runs Python {found.version}, and 3.8 is the oldest that is served", "")
        if found.free_threaded:
            raise _Closed("unsupported", f"it runs a free-threaded Python {found.version or '3'}", PREPARE_HELP)

    def _machine(self) -> None:
        here = machine_named(platform.machine())
        if here is None or here.unproven:
            why = f"this machine is {here.title if here else platform.machine()}, and {why_not_served(here)}"
            raise _Closed("unsupported", why, PREPARE_HELP)
        header = b""
        try:
            with open(f"/proc/{self.pid}/exe", "rb") as file:
                header = file.read(20)
        except OSError:
            pass  # the machine code that is mapped is looked at again before anything is written
        number = int.from_bytes(header[18:20], "little")
        if header[:4] == b"\x7fELF" and (header[4] != 2 or number != here.elf):
            found = MACHINES[number].title if number in MACHINES else f"machine {number}"
            name = "32-bit" if header[4] != 2 else found
            raise _Closed("unsupported", f"its code is {name}, and only {here.title} is served so far", PREPARE_HELP)
        if _MUSL.search(self.maps):
            why = "its C library is musl, for which no place to attach safely has been proven"
            raise _Closed("unsupported", why, PREPARE_HELP)

    def _permitted(self) -> None:
        """The kernel asks the same questions for this file as for ptrace."""
        try:
            os.close(os.open(f"/proc/{self.pid}/mem", os.O_RDWR | os.O_CLOEXEC))
        except (FileNotFoundError, ProcessLookupError):
            raise _Closed("gone", f"there is no process {self.pid} any more", _LIST_HELP) from None
        except OSError as error:
            raise _Closed("denied", self._why_denied(error), TRACE_HELP) from None

    def _why_denied(self, error: OSError) -> str:
        if _may_trace_all():
            return f"the kernel refuses ({error.strerror}), although the right to trace is there"
        owner = self.status.get("Uid", "").split()
        if owner and set(owner) != {str(os.geteuid())}:
            return f"it belongs to user {owner[0]}, and you are user {os.geteuid()}"
        scope = _yama()
        if scope:
            who = {1: "a process that started it", 2: "an administrator"}.get(scope, "nobody")
            return f"kernel.yama.ptrace_scope is {scope}: {who} may trace it"
        return "it has changed its user or holds rights that you lack"

    def _untraced(self) -> None:
        tracer = self.status.get("TracerPid", "0")
        if tracer == "0":
            return
        try:
            with open(f"/proc/{tracer}/comm") as file:
                name = f" ({file.read().strip()})"
        except OSError:
            name = ""
        raise _Closed("traced", f"it is traced by process {tracer}{name}, and only one tracer can be there", "end that")

    def _running(self) -> None:
        if self.status.get("State", "")[:1] in ("T", "t"):
            raise _Closed("stopped", "it is stopped", CONTINUE_HELP)

    def _without_shadow_stack(self) -> None:
        if "shstk" in self.status.get("x86_Thread_features", "").split():
            raise _Closed("unsupported", "the kernel keeps a shadow stack of its returns", PREPARE_HELP)

    def _has_not_opted_out(self) -> None:
        if self._opt_out() and not self.force:
            raise _Closed("opted_out", self._opt_out(), "start it without, or attach with force")

    def _opt_out(self) -> str:
        """How the process was told to be left alone, or ""."""
        value = f"{_OPT_OUT}="
        for entry in self._text("environ").split("\0"):
            if entry.startswith(value) and entry != value:
                return f"{_OPT_OUT} is set in its environment"
        if has_option(self._command(), _OPT_OUT_OPTION):
            return f"it was started with -X {_OPT_OUT_OPTION}"
        return ""

    def _has_alarms(self) -> bool:
        """Whether timers interrupt the program, whose handlers mostly raise an exception.

        A request is run by the main thread, and what a handler raises in the moment in which it begins is lost with it.
        """
        return any(catches(self.status, number) for number in _ALARMS)

    def _way(self) -> str:
        if self.method == "ptrace":
            return "ptrace"
        if self.interpreter and speaks_pep768(self.interpreter) and not self._opt_out():
            return "ptrace" if self.method == "auto" and self._has_alarms() else "pep768"
        if self.method == "pep768":
            why = "its interpreter takes no requests: they came with Python 3.14, and can be switched off"
            raise _Closed("unsupported", why, "leave the method to us, or choose ptrace")
        return "ptrace"


def catches(status: dict[str, str], number: int) -> bool:
    """Whether a process has a handler for a signal, by its /proc/PID/status."""
    return bool(int(status.get("SigCgt", "0"), 16) >> (number - 1) & 1)


def _minor(found: Interpreter) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", found.version or "")
    return (int(match[1]), int(match[2])) if match else None


def speaks_pep768(found: Interpreter) -> bool:
    """Whether it is a final release, with the interpreter lock, of a version that takes requests as we write them."""
    match = _FINAL.match(found.version or "")
    return bool(match) and not found.free_threaded and _minor(found) in PEP768


def has_option(command: list[str], wanted: str) -> bool:
    """Whether a command line of Python has the option `-X wanted`; what the program itself is given does not count."""
    arguments = iter(command[1:])
    for argument in arguments:
        if not argument.startswith("-") or argument in ("-", "--"):
            return False
        if argument.startswith("--"):
            if argument == "--check-hash-based-pycs":
                next(arguments, None)
            continue
        for at, letter in enumerate(argument[1:], 1):
            if letter in "cm":
                return False
            if letter in "WX":
                value = argument[at + 1 :] or next(arguments, "")
                if letter == "X" and value == wanted:
                    return True
                break
    return False


def _may_trace_all() -> bool:
    """Whether we have CAP_SYS_PTRACE."""
    return bool(int(status(os.getpid()).get("CapEff", "0"), 16) >> 19 & 1)


def _yama() -> int:
    """/proc/sys/kernel/yama/ptrace_scope; 0 where there is no such rule."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
