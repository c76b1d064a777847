"""What can be written after `pyobserver`: the commands, their options, and what is refused before anything is done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from . import __version__
from .protocol.clean import clean

USAGE_STATUS = 2
_METHODS = ("auto", "pep768", "ptrace")
_TEXT_COLUMNS = ("kind", "name", "function", "state", "waiting", "where")
_SORT_COLUMNS = (*_TEXT_COLUMNS, "age", "memory", "growth", "cpu", "activity", "queue")
FINDINGS = (  # those of `analysis.findings`, which is loaded when it is needed
    *("tasks", "container", "python_objects", "native", "kept", "memory", "descriptors", "threads"),
    *("children", "blocked_loop", "backlog", "unretrieved", "never_awaited", "garbage", "gc_pauses"),
)
_LARGEST_PID = 1 << 22  # PID_MAX_LIMIT, Linux include/linux/threads.h
_WEEK = 7 * 86400
_LEAST_SIZE = 5_000_000  # of a recording: some moments of many tasks, and the charts' past

_DESCRIPTION = """Erlang's observer for live Python processes, in the terminal.

Without a command: lists the Python processes of this machine; Enter attaches
to one."""

_EPILOG = """examples:
  pyobserver attach 4711     the dashboard on a running process that nobody prepared
  pyobserver snapshot 4711   one reading as text; --json for scripts,
                             --duration 60 to see growth
  pyobserver report 4711     what leaks or grows, with exit status 1 if anything
                             does: for cron, CI and chat
  pyobserver record 4711 -o night.rec --until-exit
                             keep it all; pyobserver replay night.rec shows it
  pyobserver demo            a service that leaks, with the dashboard on it;
                             --fixed for its repaired twin

The target goes on untouched when the dashboard ends. Attaching needs the right
to trace the process: the same user, or root. `pyobserver ps` says for each
process whether it would work, and if not, why and what would help.

exit status: 0 done; 1 report or compare found something; 2 it could not be done, and a line on standard error says
why; 130 ended by Ctrl-C"""

_ATTACH = """Shows the dashboard on a running process, which nobody needs to have prepared, and which goes on untouched.
Needs a terminal; without one there is `pyobserver snapshot`."""

_RUN = """Starts a program with the agent in it from its first line, and the dashboard on it. All words after the script
or the module are the program's own. It has no terminal: what it prints goes to a file that is named at the end, and its
standard input is empty. It goes on when the dashboard is left."""

_PS = """Lists the Python processes that can be seen, whether one can attach to them, and if not, why and what would
help. Nothing is done to them."""

_SNAPSHOT = """Prints one reading of a running process: its memory by allocator, its tasks by what they retain, and who
owns whom. The agent leaves the process a few seconds later."""

_REPORT = """Watches a running process for some time, and says what is wrong: what leaks, grows or nears a limit, who
holds it, and what was forgotten. Ends with status 1 when there is a finding, for cron, CI and chat. A minute is enough
to say that something grows; a leak takes 20 to 45 minutes of steady growth. What is meant to grow can be allowed."""

_ALLOW = "do not tell findings of this kind, or about this function, holder or container; once for each"
_RECORD = """Records a running process into a new file: all that the screens show, each second, until Ctrl-C, until
the process ends, or for --duration. The file can be looked at while it grows; `pyobserver replay FILE` shows it."""

_REPLAY = """Shows a recording on the same screens, at any moment of it: space plays, [ ] go a minute back and on,
, . one reading. Without a terminal, or with --json, a snapshot of one moment is printed."""

_COMPARE = """Compares two recordings: what grew before, and does it still? Groups of tasks, containers, types,
allocators and supervisors, by what they have at the end and how they grew over the recording. Exit status 1 when
something grows in the second one."""

_DETACH = """Removes the agent from a process, for every observer of it. Without being asked it leaves a few seconds
after its last observer, unless the program was prepared with pyobserver run or pyobserver.start(), or somebody has
attached with --leave-agent."""

_DEMO = """Starts a service that leaks tasks, or its repaired twin, with the dashboard on it. Without a terminal, its
snapshot is printed instead."""


class _Parser(argparse.ArgumentParser):
    """Refuses in one line. An option has one spelling, as scripts would come to rest on its beginnings."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and where help is."""
        line = clean(" ".join(message.split()), 500)
        self.exit(USAGE_STATUS, f"pyobserver: {line}; see {self.prog} --help\n")


class _Command(_Parser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse what is unknown here, where the command is known."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; `command` is the command's name, "pick" when there is none.

    Raises SystemExit when help or the version was asked for, and with status 2 when the arguments are wrong.
    """
    return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pyobserver",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pyobserver {__version__}")
    _add_common(parser, at_top=True)
    parser.set_defaults(command="pick", pid=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Command)

    def add(name: str, text: str, description: str, attaches: bool = True, usage: str | None = None) -> _Parser:
        command = commands.add_parser(name, help=text, description=description, usage=usage)
        command.set_defaults(command=name)
        _add_common(command, at_top=False, attaches=attaches)
        return command

    attached = add("attach", "the dashboard on a running process", _ATTACH)
    _add_leave_agent(attached)
    _add_pid(attached)
    started = add(
        "run",
        "start a program with the agent in it, and the dashboard on it",
        _RUN,
        usage="pyobserver run [option ...] (SCRIPT | -m MODULE) [ARG ...]",
    )
    _add_leave_agent(started)
    _add_run(started)
    listed = add("ps", "the Python processes, and whether attaching would work", _PS, attaches=False)
    listed.add_argument("--json", action="store_true", help="for scripts")
    _add_snapshot(add("snapshot", "one reading as text or JSON", _SNAPSHOT))
    _add_report(add("report", "what leaks, grows or nears a limit; exit status 1 if anything does", _REPORT))
    _add_record(add("record", "record a running process into a file", _RECORD))
    _add_replay(add("replay", "the same screens on a recording", _REPLAY, attaches=False))
    _add_compare(add("compare", "two recordings: what grew before, and does it still", _COMPARE, attaches=False))
    _add_pid(add("detach", "remove the agent from the target; nothing of ours remains", _DETACH, attaches=False))
    shown = add("demo", "a leaking service with the dashboard on it", _DEMO)
    for command in (attached, started, shown):
        command.add_argument("--record", metavar="FILE", help="record into this new file from the beginning")
    shown.add_argument("--fixed", action="store_true", help="the same service with the bug repaired")
    shown.add_argument(
        "--duration",
        type=_seconds,
        default=20.0,
        metavar="S",
        help="without a terminal: how long to watch before the snapshot (default 20)",
    )
    return parser


def _add_pid(command: argparse.ArgumentParser) -> None:
    command.add_argument("pid", type=_pid, metavar="PID", help="the process, as this machine numbers it")


def _add_leave_agent(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--leave-agent",
        action="store_true",
        help="the agent stays when the dashboard is left, and keeps the history for who comes back, at half a"
        " percent of a core or less, until pyobserver detach",
    )


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE", help="run a module as a script, as python -m"
    )
    command.add_argument(
        "--python", default=sys.executable, metavar="FILE", help="the interpreter (default: the observer's own)"
    )
    command.add_argument(
        "--children",
        action="store_true",
        help="the Python processes that it starts have the agent as well, by PYOBSERVER_AGENT in their environment",
    )
    command.add_argument("program", nargs=argparse.REMAINDER, metavar="SCRIPT", help="the program, and its arguments")


def _add_snapshot(command: argparse.ArgumentParser) -> None:
    _add_pid(command)
    command.add_argument("--json", action="store_true", help="the document described in the README, for scripts")
    command.add_argument("--top", type=_count, metavar="N", help="rows of tasks (default: 50 as JSON, 10 as text)")
    command.add_argument(
        "--sort",
        default="memory",
        metavar="COLUMN",
        choices=_SORT_COLUMNS,
        help="order of the rows: " + " ".join(_SORT_COLUMNS) + " (default: memory)",
    )
    command.add_argument(
        "--duration", type=_seconds, default=0.0, metavar="S", help="watch that long first, so that growth is known"
    )


def _add_report(command: argparse.ArgumentParser) -> None:
    _add_pid(command)
    command.add_argument(
        "--duration", type=_seconds, default=60.0, metavar="S", help="how long to watch before judging (default 60)"
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the document of snapshot, with the findings first")
    form.add_argument("--markdown", action="store_true", help="for an issue or a chat")
    command.add_argument("--findings-only", action="store_true", help="nothing but the findings")


def _add_record(command: argparse.ArgumentParser) -> None:
    _add_pid(command)
    command.add_argument(
        "-o", "--output", metavar="FILE", help="the new file (default: pyobserver-PID-DATE.rec in this folder)"
    )
    until = command.add_mutually_exclusive_group()
    until.add_argument("--duration", type=_seconds, default=None, metavar="S", help="end after so many seconds")
    until.add_argument(
        "--until-exit",
        action="store_true",
        help="go on until the process has ended, also where no agent can be in it, and say how it ended",
    )
    command.add_argument(
        "--max-size",
        type=_size,
        default=None,
        metavar="SIZE",
        help="what the file may become (200M, 2G): its oldest detail goes first, the charts' past last",
    )
    command.add_argument(
        "--without-heap", action="store_true", help="do not count objects by type, nor look for large containers"
    )


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a recording")
    command.add_argument("--json", action="store_true", help="print a snapshot, as snapshot --json does")
    command.add_argument(
        "--at",
        type=_seconds,
        default=None,
        metavar="S",
        help="which moment: seconds after the first (default: last)",
    )


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("before", metavar="BEFORE", help="a recording")
    command.add_argument("after", metavar="AFTER", help="a later one, of the repaired program")
    command.add_argument("--json", action="store_true", help="for scripts")


def _add_common(parser: argparse.ArgumentParser, *, at_top: bool, attaches: bool = True) -> None:
    """Add what every command takes, before its name and after it; what does nothing there is not in its help."""

    def add(*names: str, usual: Any, help: str, shown: bool = attaches, **settings: Any) -> None:
        settings["default"] = usual if at_top else argparse.SUPPRESS
        group.add_argument(*names, help=help if shown else argparse.SUPPRESS, **settings)

    group = parser.add_argument_group("common options")
    add("--interval", usual=1.0, type=_interval, metavar="S", help="seconds between updates (default 1)")
    add(
        "--allow-actions",
        usual=False,
        action="store_true",
        help="offer actions that change the target: cancel tasks, collect, give memory back, trace allocations",
    )
    add("--allow", usual=[], action="extend", nargs=1, type=_allowed, metavar="NAME", help=_ALLOW)
    add("--method", usual="auto", choices=_METHODS, help="how to get into the target (default auto)")
    add(
        "--force",
        usual=False,
        action="store_true",
        help="attach also to a program that was told not to be debugged (PYTHON_DISABLE_REMOTE_DEBUG)",
    )
    add("--yes", usual=False, action="store_true", help="do not ask before attaching to another user's process")
    add(
        "-v",
        "--verbose",
        usual=False,
        shown=True,
        action="store_true",
        help="say what was looked at and chosen; a dashboard says it when it is left",
    )


# -- values ---------------------------------------------------------------------------------------------------------


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _pid(text: str) -> int:
    if not _is_number(text) or not 0 < int(text) <= _LARGEST_PID:
        raise argparse.ArgumentTypeError(f"{text!r} is no process id; pyobserver ps lists the Python processes")
    return int(text)


def _count(text: str) -> int:
    if not _is_number(text) or int(text) > 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows from 0 to 1000000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _WEEK:  # nan is refused here, too
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {_WEEK}, a week")
    return seconds


def _allowed(text: str) -> str:
    """The name of a kind of finding, or of what a finding may be about, which has a dot in it."""
    if text not in FINDINGS and not any(sign in text for sign in ".:[<("):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no kind of finding ({', '.join(FINDINGS)}), and no module.name of a function or container"
        )
    return text


def _size(text: str) -> int:
    units = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
    digits = text.lower().removesuffix("b").rstrip("kmg")
    unit = text.lower().removesuffix("b")[len(digits) :]
    if not _is_number(digits) or unit not in units or not _LEAST_SIZE <= int(digits) * units[unit] <= 1 << 50:
        raise argparse.ArgumentTypeError(f"{text!r} is no size of at least {_LEAST_SIZE // 10**6} MB, as 200M or 2G")
    return int(digits) * units[unit]


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no interval from 0.1 to 3600 seconds")
    return seconds
