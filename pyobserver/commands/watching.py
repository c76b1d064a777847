"""Commands that open the dashboard on a process, or end what it has begun there."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .outcome import DONE, UsageError
from .process import admit, confirm, live
from .reading import listed, ps, read_once
from .saying import say, say_once
from .terminal import has_terminal, interrupt, needs_terminal, shown, signals

if TYPE_CHECKING:
    from ..model.readings import PythonProcess
    from ..source.live import LiveSource
    from ..source.program import Program


def pick(options: argparse.Namespace) -> int:
    """List the Python processes; Enter attaches to one."""
    if not has_terminal():
        return ps(options)
    from ..tui.picker import pick_process

    def choices() -> list[tuple[PythonProcess, bool, str]]:
        return [(row.process, row.method is not None, row.why) for row in listed(options)]

    pid = pick_process(choices)
    if pid is None:
        return DONE
    options.pid = pid
    return attach(options)


def attach(options: argparse.Namespace) -> int:
    """The dashboard on a running process."""
    needs_terminal(f"pyobserver snapshot {options.pid}")
    _new_file(options)
    admit(options)
    confirm(options)
    return _dashboard(live(options, options.pid), options)


def run(options: argparse.Namespace) -> int:
    """Start a program with the agent in it, and the dashboard on it."""
    from ..source.program import start_program

    module, words = None, list(options.program)
    if options.module is not None:
        module, *words = [*options.module, *words] or [""]
    elif words[:1] == ["--"]:
        del words[0]
    if not module and not words:
        raise UsageError("nothing to run: name a script, or a module with -m")
    _new_file(options)
    needs_terminal("start it plainly, and use pyobserver snapshot PID")
    program = start_program(module, words, python=options.python, children=options.children)
    importlib.import_module("..tui.app", __package__)  # takes a moment, in which one that fails at once has ended
    if ending := program.ending():
        program.tidy()
        said = _last_words(program)
        if program.begun:
            what = f"has {ending} before it could be observed{said}"
        else:
            what = f"could not be started{said or f': it has {ending}'}"
        raise UsageError(f"{module or words[0]} {what}")
    source = live(options, program.process.pid, exit_status=program.process.poll)
    status = _dashboard(source, options)
    if ending := program.ending():
        program.tidy()
        print(f"the program has {ending}{_last_words(program)}")
    else:
        print(f"the program goes on, pid {program.process.pid}; its output is in {program.log}")
    return status


def demo(options: argparse.Namespace) -> int:
    """The story: a leaking service, or its fixed twin, with the dashboard on it."""
    from ..demo import start, stop

    _new_file(options)
    with signals(interrupt):
        service = start(options.fixed)
        try:
            if has_terminal():
                importlib.import_module("..tui.app", __package__)  # in this moment its interpreter has started
            source = live(options, service.pid, exit_status=service.poll)
            if has_terminal():
                return _dashboard(source, options)
            say(
                f"no terminal for the dashboard: in {options.duration:g} s there is the snapshot instead, "
                f"which for a running process is pyobserver snapshot PID"
            )
            return read_once(source, options)
        finally:
            stop(service)


def detach(options: argparse.Namespace) -> int:
    """Remove the agent from the target."""
    from ..attach import examine
    from ..source.live import remove_agent

    found = examine(options.pid)
    if found.kind in ("gone", "denied"):  # else it would seem that there is no agent
        raise UsageError(f"no agent can be removed from process {options.pid}: {found.reason}; {found.help}")
    if remove_agent(options.pid):
        print(f"removed the agent from process {options.pid}")
    else:
        print(f"there is no agent in process {options.pid}")
    return DONE


def _dashboard(source: LiveSource, options: argparse.Namespace) -> int:
    """Show the dashboard until it is left, and return the exit status."""
    into = _new_file(options)
    said: list[str] = []
    source.on_stage = said.append
    source.start()  # the agent comes in while the screens are loaded, which takes longer
    from ..tui.app import ObserverApp

    app = ObserverApp(source, allowed=options.allow)
    app.record_interval = options.interval
    app.record_into = into
    status = shown(app)
    if options.verbose:
        tell = say_once()
        for line in (*said, *source.steps):
            tell(line)
    _tell_what_stays(source, options)
    return status


def _new_file(options: argparse.Namespace) -> Path | None:
    """The file to record into, refused before anything is opened for it where it is there already."""
    name = getattr(options, "record", None)
    if name is not None and os.path.lexists(name):
        raise UsageError(f"{name} is there already, and is not written over; name another file")
    return None if name is None else Path(name)


def _tell_what_stays(source: LiveSource, options: argparse.Namespace) -> None:
    """Say that the agent stays, also when somebody else has told it so; and that it does not, when that was wanted."""
    from ..model.snapshot import Phase
    from ..source.find import find_agent

    for pid, stays in source.opened.items():
        if stays and find_agent(pid) is not None:
            _tell_that_it_stays(pid)
    last = source.store.snapshot()
    if last.status.phase is Phase.EXITED:
        return
    if last.status.phase is Phase.LIVE and last.tick is not None and last.tick.cost.stays:
        _tell_that_it_stays(source.pid)
    elif not getattr(options, "leave_agent", False):
        pass
    elif last.status.phase is Phase.OUTSIDE:
        say(f"no agent stays in {source.pid}: {last.status.text}")
    else:
        say(f"it is not known whether an agent stays in {source.pid}, as none had answered yet; pyobserver ps tells")


def _tell_that_it_stays(pid: int) -> None:
    print(f"the agent stays in {pid} and keeps watching; `pyobserver detach {pid}` removes it")


def _last_words(program: Program) -> str:
    """The last line of a program that has failed, and where all of its output is; an empty file is not kept."""
    last = program.last_line()
    if not last:
        program.log.unlink(missing_ok=True)
        return ""
    return f"{f': {last}' if program.process.returncode else ''}; its output is in {program.log}"
