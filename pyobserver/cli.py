"""The command line: one short function per command, each loading what it needs when it is called.

Exit status: 0 done, 2 it could not be done (one line on standard error says what, why, and what would help).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__

if TYPE_CHECKING:
    from .model.readings import PythonProcess
    from .source.live import LiveSource

DONE, FAILED, INTERRUPTED = 0, 2, 130
_TEXT_COLUMNS = ("kind", "name", "function", "state", "waiting", "where")
_SORT_COLUMNS = (*_TEXT_COLUMNS, "age", "memory", "growth", "cpu", "activity", "queue")

_DESCRIPTION = """Erlang's observer for live Python processes, in the terminal.

Without a command: lists the Python processes of this machine; Enter attaches to one."""

_EPILOG = """examples:
  pyobserver attach 4711          the dashboard on a running process, nothing to prepare there
  pyobserver snapshot 4711        one reading as text; --json for scripts, --duration 60 to see growth
  pyobserver demo                 a service that leaks, with the dashboard on it; --fixed for its repaired twin

The target goes on untouched when the dashboard ends. Attaching needs the right to trace the process: the same user,
or root; `pyobserver ps` says for each process whether it would work, and if not, why."""


class UsageError(Exception):
    """Something the user asked for cannot be done; the text is the one line that says so."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. No traceback reaches the user."""
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if os.environ.get("PYOBSERVER_DEBUG"):
            raise
        return _fail(_one_line(error))


def _one_line(error: Exception) -> str:
    from .protocol.clean import clean

    text = " ".join(str(error).split()) or type(error).__name__
    expected = isinstance(error, (UsageError, OSError)) or type(error).__module__.startswith("pyobserver.")
    if not expected:
        text = f"internal error: {type(error).__name__}: {text}; PYOBSERVER_DEBUG=1 shows where"
    return clean(text, 1000)


def _fail(line: str) -> int:
    print(f"pyobserver: {line}", file=sys.stderr)
    return FAILED


# -- the commands ---------------------------------------------------------------------------------------------------


def pick(options: argparse.Namespace) -> int:
    """List the Python processes; Enter attaches to one."""
    if not _has_terminal():
        return ps(options)
    from .tui.picker import pick_process

    pid = pick_process(_listed)
    if pid is None:
        return DONE
    options.pid = pid
    return attach(options)


def attach(options: argparse.Namespace) -> int:
    """The dashboard on a running process."""
    _needs_terminal(f"pyobserver snapshot {options.pid}")
    _confirm(options)
    source = _live(options)
    return _dashboard(source, options)


def run(options: argparse.Namespace) -> int:
    """Start a program with the agent in it, and the dashboard on it."""
    from .source.program import start_program

    if not options.module and not options.program:
        raise UsageError("nothing to run: name a script, or a module with -m")
    _needs_terminal("pyobserver snapshot PID")
    program = start_program(options.module, options.program, python=options.python)
    source = _live(options, pid=program.process.pid, exit_status=program.process.poll)
    status = _dashboard(source, options)
    if program.process.poll() is None:
        print(f"the program goes on, pid {program.process.pid}; its output is in {program.log}")
    else:
        print(f"the program has ended with status {program.process.returncode}; its output is in {program.log}")
    return status


def ps(options: argparse.Namespace) -> int:
    """The Python processes of this machine, as text or JSON."""
    rows = [(process, *_attachable(process)) for process in _pythons()]
    if getattr(options, "json", False):
        print(json.dumps([_ps_document(*row) for row in rows], indent=1))
        return DONE
    from .analysis.format import bytes_text, duration

    print(f"{'PID':>8}  {'PYTHON':<9}{'MEMORY':>9}  {'AGE':<11}{'USER':<12}{'ATTACH':<9}COMMAND")
    for process, ok, why in rows:
        command = " ".join(process.command)
        version = process.python or "?"
        print(
            f"{process.pid:>8}  {version:<9}{bytes_text(process.rss):>9}  {duration(process.age_seconds):<11}"
            f"{process.user[:11]:<12}{'yes' if ok else 'no':<9}{command}"
        )
        if not ok:
            print(f"{'':>8}  {why}")
    if not rows:
        print("no Python processes are visible to this user")
    return DONE


def snapshot(options: argparse.Namespace) -> int:
    """One reading as text or JSON."""
    source = _live(options)
    if options.verbose:
        source.on_stage = lambda text: print(f"pyobserver: {text}", file=sys.stderr, flush=True)
    source.start()
    try:
        source.wait_until_known()
        if options.duration:
            time.sleep(options.duration)
        _print_snapshot(source, options)
    finally:
        source.stop()
    return DONE


def detach(options: argparse.Namespace) -> int:
    """Remove the agent from the target."""
    from .source.live import remove_agent

    removed = remove_agent(options.pid)
    print(f"removed the agent from {options.pid}" if removed else f"there is no agent in {options.pid}")
    return DONE


def demo(options: argparse.Namespace) -> int:
    """The story: a leaking service, or its fixed twin, with the dashboard on it."""
    from .demo import start, stop

    service = start(options.fixed)
    try:
        source = _live(options, pid=service.pid, exit_status=service.poll)
        if _has_terminal():
            return _dashboard(source, options)
        print(f"there is no terminal for the dashboard: this is the snapshot after {options.seconds:g} s", flush=True)
        source.start()
        try:
            source.wait_until_known()
            time.sleep(options.seconds)
            _print_snapshot(source, options)
        finally:
            source.stop()
        return DONE
    finally:
        stop(service)


# -- what they share ------------------------------------------------------------------------------------------------


def _live(options: argparse.Namespace, pid: int | None = None, exit_status: Any = None) -> LiveSource:
    from .source.live import LiveSource

    return LiveSource(
        options.pid if pid is None else pid,
        interval=options.interval,
        method=options.method,
        allow_actions=options.allow_actions,
        exit_status=exit_status,
    )


def _dashboard(source: LiveSource, options: argparse.Namespace) -> int:
    from .tui.app import ObserverApp

    ObserverApp(source).run()
    if options.verbose:
        for step in source.steps:
            print(f"pyobserver: {step}", file=sys.stderr)
    return DONE


def _print_snapshot(source: LiveSource, options: argparse.Namespace) -> None:
    taken = source.store.snapshot()
    top, sort = getattr(options, "top", None), getattr(options, "sort", "memory")
    if getattr(options, "json", False):
        from .export.document import document

        print(json.dumps(document(taken, 50 if top is None else top, sort), allow_nan=False))
    else:
        from .export.text import text

        print(text(taken, 10 if top is None else top, sort), end="")


def _pythons() -> list[PythonProcess]:
    from .outside import pythons

    return pythons()


def _attachable(process: PythonProcess) -> tuple[bool, str]:
    from .attach import examine

    found = examine(process.pid)
    return found.ok, "; ".join(filter(None, (found.reason, found.help)))


def _listed() -> list[tuple[PythonProcess, bool, str]]:
    return [(process, *_attachable(process)) for process in _pythons()]


def _ps_document(process: PythonProcess, ok: bool, why: str) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "python": process.python,
        "implementation": process.implementation,
        "rss": process.rss,
        "age_seconds": process.age_seconds,
        "user": process.user,
        "command": list(process.command),
        "attachable": ok,
        "reason": why or None,
    }


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _needs_terminal(instead: str) -> None:
    if not _has_terminal():
        raise UsageError(f"the dashboard needs a terminal, and this is none; without one: {instead}")


def _confirm(options: argparse.Namespace) -> None:
    """Ask before entering another user's process: a slip of the finger as root should not."""
    try:
        owner = os.stat(f"/proc/{options.pid}").st_uid
    except OSError:
        return
    if options.yes or owner == os.geteuid():
        return
    answer = input(f"process {options.pid} belongs to user {owner}, you are {os.geteuid()}; attach to it? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("not attached; --yes answers this question beforehand")


# -- the parser -----------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and where help is."""
        self.exit(FAILED, f"pyobserver: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pyobserver",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pyobserver {__version__}")
    common = _common_options()
    _add_common(parser)
    parser.set_defaults(command=pick, pid=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=function.__doc__, parents=[common])
        command.set_defaults(command=function)
        return command

    _pid(add("attach", attach, "the dashboard on a running process"))
    started = add("run", run, "start a program with the agent in it, and the dashboard on it")
    started.add_argument("-m", dest="module", metavar="MODULE", help="run a module as a script")
    started.add_argument("--python", default=sys.executable, help="the interpreter (default: this one)")
    started.add_argument("program", nargs=argparse.REMAINDER, metavar="SCRIPT | ARG ...")
    add("ps", ps, "the Python processes, and whether attaching would work").add_argument(
        "--json", action="store_true", help="for scripts"
    )
    _snapshot_options(_pid(add("snapshot", snapshot, "one reading as text or JSON")))
    _pid(add("detach", detach, "remove the agent from the target; nothing of ours remains"))
    shown = add("demo", demo, "a leaking service with the dashboard on it")
    shown.add_argument("--fixed", action="store_true", help="the same service with the bug repaired")
    shown.add_argument(
        "--seconds", type=_seconds, default=20.0, help="without a terminal: how long to watch before the snapshot"
    )
    return parser


def _pid(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("pid", type=_positive, metavar="PID", help="the process, as this machine numbers it")
    return command


def _snapshot_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="the document described in the README, for scripts")
    command.add_argument("--top", type=_count, metavar="N", help="rows of tasks (default: 50 as JSON, 10 as text)")
    command.add_argument(
        "--sort",
        default="memory",
        metavar="COLUMN",
        choices=_SORT_COLUMNS,
        help="order of the rows: " + " ".join(_SORT_COLUMNS),
    )
    command.add_argument(
        "--duration", type=_seconds, metavar="S", help="watch that long first, so that growth is known"
    )


def _common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, default=argparse.SUPPRESS)
    return common


def _add_common(parser: argparse.ArgumentParser, default: Any = None) -> None:
    def value(usual: Any) -> Any:
        return usual if default is None else default

    parser.add_argument(
        "--interval", type=_interval, default=value(1.0), metavar="S", help="seconds between updates (default 1)"
    )
    parser.add_argument(
        "--allow-actions", action="store_true", default=value(False), help="offer actions that change the target"
    )
    parser.add_argument(
        "--method", choices=("auto", "pep768", "ptrace"), default=value("auto"), help="how to get into the target"
    )
    parser.add_argument("--yes", action="store_true", default=value(False), help="do not ask before attaching")
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=value(False), help="say what was looked at and chosen"
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) <= 0 or int(text) > 1 << 22:
        raise argparse.ArgumentTypeError(f"{text!r} is no process id; pyobserver ps lists the Python processes")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to a week")
    return seconds


def _interval(text: str) -> float:
    seconds = _seconds(text)
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no interval from 0.1 to 3600 seconds")
    return seconds
