"""The command line: one short function per command, each loading what it needs when it is called.

Exit status: 0 done, 1 report has found something or compare something that grows, 2 it could not be done (one line on
standard error says what, why, and what would help).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .export.listing import Listed
    from .model.readings import PythonProcess
    from .model.snapshot import Snapshot
    from .source.live import LiveSource
    from .source.program import Program
    from .tui.app import ObserverApp

DONE, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
_BEAT = 0.1  # seconds between two looks whether a target has ended


class UsageError(Exception):
    """Something the user asked for cannot be done; the text is the one line that says so."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. No traceback reaches the user."""
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _drop_output()
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        _drop_output()
        return DONE
    except Exception as error:
        if os.environ.get("PYOBSERVER_DEBUG"):
            raise
        _drop_output()
        return _fail(_one_line(error))


def _run(arguments: Sequence[str] | None) -> int:
    from .arguments import parse

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows another
            stream.reconfigure(errors="replace")
    options = parse(arguments)
    return COMMANDS[options.command](options)


def _drop_output() -> None:
    """What is still to be written goes nowhere: at the end of the interpreter it would fail once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, sys.stdout.fileno())
        os.close(handle)


def _one_line(error: Exception) -> str:
    from .protocol.clean import clean

    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = ": ".join(str(part) for part in (error.filename, error.strerror) if part is not None)
    text = " ".join(said.split()) or type(error).__name__
    expected = isinstance(error, (UsageError, OSError)) or type(error).__module__.startswith("pyobserver.")
    if not expected:
        text = f"internal error: {type(error).__name__}: {text}; PYOBSERVER_DEBUG=1 shows where"
    return clean(text, 1000)


def _fail(line: str) -> int:
    _say(line)
    return FAILED


def _say_once() -> Callable[[str], None]:
    """Like `_say`, but what is said again is not repeated."""
    last = ""

    def say(line: str) -> None:
        nonlocal last
        if line != last:
            _say(line)
        last = line

    return say


def _say(line: str) -> None:
    """Say something on standard error; who has closed that does not want to know."""
    with contextlib.suppress(OSError, ValueError):
        print(f"pyobserver: {line}", file=sys.stderr, flush=True)


# -- the commands ---------------------------------------------------------------------------------------------------


def pick(options: argparse.Namespace) -> int:
    """List the Python processes; Enter attaches to one."""
    if not _has_terminal():
        return ps(options)
    from .tui.picker import pick_process

    def listed() -> list[tuple[PythonProcess, bool, str]]:
        return [(row.process, row.method is not None, row.why) for row in _listed(options)]

    pid = pick_process(listed)
    if pid is None:
        return DONE
    options.pid = pid
    return attach(options)


def attach(options: argparse.Namespace) -> int:
    """The dashboard on a running process."""
    _needs_terminal(f"pyobserver snapshot {options.pid}")
    _new_file(options)
    _admit(options)
    _confirm(options)
    return _dashboard(_live(options, options.pid), options)


def run(options: argparse.Namespace) -> int:
    """Start a program with the agent in it, and the dashboard on it."""
    from .source.program import start_program

    module, words = None, list(options.program)
    if options.module is not None:
        module, *words = [*options.module, *words] or [""]
    elif words[:1] == ["--"]:
        del words[0]
    if not module and not words:
        raise UsageError("nothing to run: name a script, or a module with -m")
    _new_file(options)
    _needs_terminal("start it plainly, and use pyobserver snapshot PID")
    program = start_program(module, words, python=options.python, children=options.children)
    importlib.import_module(".tui.app", __package__)  # takes a moment, in which one that fails at once has ended
    if ending := program.ending():
        program.tidy()
        said = _last_words(program)
        if program.begun:
            what = f"has {ending} before it could be observed{said}"
        else:
            what = f"could not be started{said or f': it has {ending}'}"
        raise UsageError(f"{module or words[0]} {what}")
    source = _live(options, program.process.pid, exit_status=program.process.poll)
    status = _dashboard(source, options)
    if ending := program.ending():
        program.tidy()
        print(f"the program has {ending}{_last_words(program)}")
    else:
        print(f"the program goes on, pid {program.process.pid}; its output is in {program.log}")
    return status


def ps(options: argparse.Namespace) -> int:
    """The Python processes of this machine, as text or JSON."""
    from .export.listing import listing_document, listing_text

    rows = _listed(options)
    if getattr(options, "json", False):
        print(json.dumps(listing_document(rows), indent=1, allow_nan=False))
    else:
        print(listing_text(rows, _columns(), options.verbose), end="")
    return DONE


def snapshot(options: argparse.Namespace) -> int:
    """One reading as text or JSON."""
    _admit(options)
    return _read_once(_live(options, options.pid), options)


def report(options: argparse.Namespace) -> int:
    """Watch for a while, and say what is wrong; status 1 when anything is."""
    from .export.report import report_of

    _admit(options)
    taken = _watched(_live(options, options.pid), options, wants_heap=True)
    told = report_of(taken, options.allow, options.duration, _columns() or 80)
    if not told.is_judged:
        raise UsageError(f"too early to judge: {told.waits}; --duration 60 watches for a minute")
    if options.json:
        print(json.dumps(told.document(options.findings_only), allow_nan=False))
    else:
        print(told.markdown(options.findings_only) if options.markdown else told.text(options.findings_only), end="")
    return FOUND if told.findings else DONE


def record(options: argparse.Namespace) -> int:
    """Record a running process into a file."""
    from .export.kept import kept_line
    from .recording.recorder import unused_path
    from .source.keeping import keep

    if not options.until_exit:
        _admit(options)
    _confirm(options)
    path = Path(options.output) if options.output else unused_path(options.pid, time.time(), Path())
    with _signals(_interrupt):
        kept = keep(
            _live(options, options.pid),
            path,
            interval=options.interval,
            duration=options.duration,
            until_exit=options.until_exit,
            max_bytes=options.max_size,
            with_heap=not options.without_heap,
            say=_passing,
        )
    _passing("")
    print(kept_line(options.pid, str(kept.path), kept.seconds, kept.size, kept.status))
    return DONE


def replay(options: argparse.Namespace) -> int:
    """The same screens on a recording."""
    from .recording.reader import Recording

    recording = Recording(Path(options.file))
    if options.json or not _has_terminal():
        with recording:
            at = recording.times[-1] if options.at is None else recording.times[0] + options.at
            _print_taken(recording.at(recording.place(at)), options)
        return DONE
    from .source.replay import ReplaySource
    from .tui.replay import ReplayApp

    source = ReplaySource(recording)
    if options.at is not None:
        source.seek(source.span[0] + options.at)
    return _shown(ReplayApp(source))


def compare(options: argparse.Namespace) -> int:
    """Two recordings: what grew before, and does it still."""
    from .analysis.comparison import compared, summary
    from .export.comparison import comparison_document, comparison_text
    from .recording.reader import Recording

    summaries = []
    for name in (options.before, options.after):
        with Recording(Path(name)) as recording:
            span = float(recording.times[-1] - recording.times[0])
            summaries.append(summary(name, recording.at(0), recording.at(len(recording) - 1), span))
    found = compared(*summaries)
    if options.json:
        print(json.dumps(comparison_document(found), allow_nan=False))
    else:
        print(comparison_text(found), end="")
    return FOUND if found.grows else DONE


def detach(options: argparse.Namespace) -> int:
    """Remove the agent from the target."""
    from .attach import examine
    from .source.live import remove_agent

    found = examine(options.pid)
    if found.kind in ("gone", "denied"):  # else it would seem that there is no agent
        raise UsageError(f"no agent can be removed from process {options.pid}: {found.reason}; {found.help}")
    if remove_agent(options.pid):
        print(f"removed the agent from process {options.pid}")
    else:
        print(f"there is no agent in process {options.pid}")
    return DONE


def demo(options: argparse.Namespace) -> int:
    """The story: a leaking service, or its fixed twin, with the dashboard on it."""
    from .demo import start, stop

    _new_file(options)
    with _signals(_interrupt):
        service = start(options.fixed)
        try:
            if _has_terminal():
                importlib.import_module(".tui.app", __package__)  # in this moment its interpreter has started
            source = _live(options, service.pid, exit_status=service.poll)
            if _has_terminal():
                return _dashboard(source, options)
            _say(
                f"no terminal for the dashboard: in {options.duration:g} s there is the snapshot instead, "
                f"which for a running process is pyobserver snapshot PID"
            )
            return _read_once(source, options)
        finally:
            stop(service)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "pick": pick,
    "attach": attach,
    "run": run,
    "ps": ps,
    "snapshot": snapshot,
    "report": report,
    "record": record,
    "replay": replay,
    "compare": compare,
    "detach": detach,
    "demo": demo,
}


# -- what they share ------------------------------------------------------------------------------------------------


def _admit(options: argparse.Namespace) -> None:
    """Refuse a process that cannot be attached to before anything is opened for it."""
    from .source.admission import examined, refusal

    pid = options.pid
    found = examined(pid, options.method, options.force)
    if options.verbose:
        _say(f"process {pid} runs {found.implementation or 'no Python'} {found.python or ''}".rstrip())
        _say(f"its executable is {found.executable or 'not to be seen'}")
        _say(f"the way in is {found.method}" if found.ok else f"there is no way in: {found.kind}")
    if not found.ok:
        raise UsageError(refusal(found))


def _listed(options: argparse.Namespace) -> list[Listed]:
    from .export.listing import Listed
    from .outside import pythons
    from .source.admission import examined
    from .source.find import agent_seconds

    rows = []
    for process in pythons():
        found = examined(process.pid, options.method, options.force)
        if found.kind != "gone":
            seconds = agent_seconds(process.pid) if found.method == "existing" else None
            gates = (found.executable, found.method, found.kind, found.reason, found.help)
            rows.append(Listed(process, *gates, seconds))
    return rows


def _live(options: argparse.Namespace, pid: int, exit_status: Callable[[], int | None] | None = None) -> LiveSource:
    from .source.live import LiveSource

    return LiveSource(
        pid,
        interval=options.interval,
        method=options.method,
        force=options.force,
        allow_actions=options.allow_actions,
        leaves_agent=getattr(options, "leave_agent", False),
        exit_status=exit_status,
    )


def _dashboard(source: LiveSource, options: argparse.Namespace) -> int:
    """Show the dashboard until it is left, and return the exit status."""
    into = _new_file(options)
    said: list[str] = []
    source.on_stage = said.append
    source.start()  # the agent comes in while the screens are loaded, which takes longer
    from .tui.app import ObserverApp

    app = ObserverApp(source, allowed=options.allow)
    app.record_interval = options.interval
    app.record_into = into
    status = _shown(app)
    if options.verbose:
        say = _say_once()
        for line in (*said, *source.steps):
            say(line)
    _tell_what_stays(source, options)
    return status


def _new_file(options: argparse.Namespace) -> Path | None:
    """The file to record into, refused before anything is opened for it where it is there already."""
    name = getattr(options, "record", None)
    if name is not None and os.path.lexists(name):
        raise UsageError(f"{name} is there already, and is not written over; name another file")
    return None if name is None else Path(name)


def _shown(app: ObserverApp) -> int:
    """Run an application in the terminal, where Ctrl-C ends a program, and return the exit status."""
    app.interrupt_code = INTERRUPTED

    def leave(number: int, frame: FrameType | None) -> None:
        if not app.is_running:
            _interrupt(number, frame)
        app.exit(return_code=128 + number)

    with _signals(leave):
        app.run()
    return app.return_code or DONE


def _tell_what_stays(source: LiveSource, options: argparse.Namespace) -> None:
    """Say that the agent stays, also when somebody else has told it so; and that it does not, when that was wanted."""
    from .model.store import Phase

    last = source.store.snapshot()
    if last.status.phase is Phase.EXITED:
        return
    if last.status.phase is Phase.LIVE and last.tick is not None and last.tick.cost.stays:
        print(f"the agent stays in {source.pid} and keeps watching; `pyobserver detach {source.pid}` removes it")
    elif not getattr(options, "leave_agent", False):
        pass
    elif last.status.phase is Phase.OUTSIDE:
        _say(f"no agent stays in {source.pid}: {last.status.text}")
    else:
        _say(f"it is not known whether an agent stays in {source.pid}, as none had answered yet; pyobserver ps tells")


def _read_once(source: LiveSource, options: argparse.Namespace) -> int:
    """Print a snapshot when the first picture is whole, or after the time to watch."""
    taken = _watched(source, options, getattr(options, "json", False))
    _print_taken(taken, options)
    return DONE


def _watched(source: LiveSource, options: argparse.Namespace, wants_heap: bool) -> Snapshot:
    """Return a snapshot when the first picture is whole, or after the time to watch, and leave the process."""
    from .model.store import Phase

    source.on_stage = stage = _say_once() if options.verbose else _passing
    source.count_objects(True)  # from outside: that costs the process nothing
    source.look_for_containers(wants_heap)
    source.start()
    try:
        source.wait_until_known()
        if options.verbose:
            for step in source.steps:
                _say(step)
        if options.duration:
            stage(f"watching for {options.duration:g} s")
        end = time.monotonic() + options.duration
        while (rest := end - time.monotonic()) > 0 and source.store.snapshot().status.phase is not Phase.EXITED:
            time.sleep(min(rest, _BEAT))
        source.on_stage = lambda text: None
        return source.store.snapshot()
    finally:
        _passing("")
        source.stop()


def _passing(text: str) -> None:
    """Show on a terminal what is being done, in a line that the next one replaces."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _print_taken(taken: Snapshot, options: argparse.Namespace) -> None:
    top, sort = getattr(options, "top", None), getattr(options, "sort", "memory")
    if getattr(options, "json", False):
        from .export.document import document

        print(json.dumps(document(taken, 50 if top is None else top, sort, allowed=options.allow), allow_nan=False))
    else:
        from .export.text import text

        print(text(taken, 10 if top is None else top, sort, allowed=options.allow), end="")


def _last_words(program: Program) -> str:
    """The last line of a program that has failed, and where all of its output is; an empty file is not kept."""
    last = program.last_line()
    if not last:
        program.log.unlink(missing_ok=True)
        return ""
    return f"{f': {last}' if program.process.returncode else ''}; its output is in {program.log}"


def _has_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _columns() -> int | None:
    """The columns that there are; None in a file, where nothing is to be cut."""
    if os.environ.get("COLUMNS") or (sys.stdout is not None and sys.stdout.isatty()):
        return shutil.get_terminal_size().columns
    return None


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
    question = f"process {options.pid} belongs to {_user(owner)}, you are {_user(os.geteuid())}; attach to it? [y/N] "
    try:
        answer = input(question)
    except EOFError:
        answer = ""
        print()
    except KeyboardInterrupt:
        print()
        raise
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("not attached; --yes answers this question beforehand")


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


@contextlib.contextmanager
def _signals(listen: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within this, those who ask us to end are answered by `listen`: what was begun is brought to an end."""
    before = {number: signal.signal(number, listen) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, listener in before.items():
            signal.signal(number, listener)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
