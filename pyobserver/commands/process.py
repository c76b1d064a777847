"""The process that a command is about: whether it may be entered, and the source that reads it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from .outcome import UsageError
from .saying import say

if TYPE_CHECKING:
    from ..source.live import LiveSource


def admit(options: argparse.Namespace) -> None:
    """Refuse a process that cannot be attached to before anything is opened for it."""
    from ..source.admission import examined, refusal

    pid = options.pid
    found = examined(pid, options.method, options.force)
    if options.verbose:
        say(f"process {pid} runs {found.implementation or 'no Python'} {found.python or ''}".rstrip())
        say(f"its executable is {found.executable or 'not to be seen'}")
        say(f"the way in is {found.method}" if found.ok else f"there is no way in: {found.kind}")
    if not found.ok:
        raise UsageError(refusal(found))


def confirm(options: argparse.Namespace) -> None:
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


def live(options: argparse.Namespace, pid: int, exit_status: Callable[[], int | None] | None = None) -> LiveSource:
    """Return the source that reads a process as the options say; it has not started yet."""
    from ..source.live import LiveSource

    return LiveSource(
        pid,
        interval=options.interval,
        method=options.method,
        force=options.force,
        allow_actions=options.allow_actions,
        leaves_agent=getattr(options, "leave_agent", False),
        exit_status=exit_status,
    )
