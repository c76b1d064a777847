"""What a process can have around it: namespaces, another root, another user, fewer rights, another allocator.

Each is a command to start it through, or an interpreter that is started so. What this machine lacks is skipped by name.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from .interpreters import Interpreter

USER = 54321  # whom no other process belongs to
NAMESPACES = {
    "mount": ("--mount",),
    "pid": ("--pid", "--fork", "--kill-child"),
    "net": ("--net",),
    "user": ("--user", "--map-root-user"),
}
EVERY_NAMESPACE = tuple(option for options in NAMESPACES.values() for option in options)
NO_RIGHTS = ("setpriv", "--no-new-privs", "--inh-caps", "-all", "--bounding-set", "-all")
AS_USER = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", *NO_RIGHTS[1:])
ALLOCATORS = {
    "libjemalloc.so.2": "libjemalloc2",
    "libtcmalloc_minimal.so.4": "libtcmalloc-minimal4",
    "libmimalloc.so.2": "libmimalloc2.0",
}
"""Libraries that replace malloc, and the packages of Debian that have them."""
_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")
_ROOT = Path(__file__).resolve().parents[2]

# All there is, with a folder for temporary files of its own.
_CHROOT = 'mount --make-rprivate / && mount --rbind / "$0" && mount -t tmpfs none "$0/tmp" && exec chroot "$0" "$@"'


def working(command: Sequence[str]) -> tuple[str, ...]:
    """A command that starts another; skips the test where it is not possible here."""
    try:
        done = subprocess.run([*command, "true"], capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"{command[0]} cannot be run: {error.strerror}")
    if done.returncode:
        pytest.skip(f"{' '.join(command[:2])} is not possible here: {done.stderr.strip()}")
    return tuple(command)


def namespaces(*options: str) -> tuple[str, ...]:
    """A command that starts another in namespaces of its own."""
    return working(("unshare", *options))


def other_root(folder: Path, *options: str) -> tuple[str, ...]:
    """A command that starts another with `folder` as its root, in namespaces of its own."""
    return working(("unshare", "--mount", *options, "sh", "-c", _CHROOT, str(folder)))


def started_by(interpreter: Interpreter, *words: str) -> Interpreter:
    """The interpreter, started by a command within its own root."""
    return replace(interpreter, command=(*interpreter.command[:-1], *words, interpreter.command[-1]))


def preloaded(interpreter: Interpreter, library: str, scratch: Path) -> Interpreter:
    """The interpreter with another allocator; `scratch` lies where the interpreter sees it."""
    found = next((path for folder in _LIBRARIES if (path := Path(folder, library)).exists()), None)
    if found is None:
        pytest.skip(f"{library} is not installed; Debian has it in {ALLOCATORS[library]}")
    copy = Path(shutil.copy(found.resolve(), scratch / library))
    able = started_by(interpreter, "env", f"LD_PRELOAD={interpreter.inside(copy)}")
    done = subprocess.run([*able.command, "-c", ""], capture_output=True, text=True)
    if done.returncode or done.stderr:
        pytest.skip(f"Python {interpreter} does not run with {library}: {done.stderr.strip()}")
    return able


def exposing(*folders: str) -> tuple[str, ...]:
    """A command that starts another where everybody can reach `folders`, if they lie where only root may look."""
    closed = next((each for folder in folders for each in _above(folder) if not each.stat().st_mode & 1), None)
    if closed is None:
        return ()
    lines = ["mount --make-rprivate /", "mount -t tmpfs -o mode=755 none /mnt"]
    for folder in folders:
        if closed in Path(folder).parents:
            within = shlex.quote(f"/mnt/{Path(folder).relative_to(closed)}")
            lines += [f"mkdir -p {within}", f"mount --rbind {shlex.quote(folder)} {within}"]
    lines.append(f"mount --move /mnt {shlex.quote(str(closed))}")
    return working(("unshare", "--mount", "sh", "-c", " && ".join([*lines, 'exec "$0" "$@"'])))


def _above(folder: str) -> list[Path]:
    return [*Path(folder).parents][::-1]


def for_user(interpreter: Interpreter) -> tuple[tuple[str, ...], Interpreter]:
    """The command to start through, and the interpreter as it is started, that belongs to `USER`, who has no rights."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    if interpreter.root != Path("/"):
        return (), started_by(interpreter, *AS_USER)
    prefix = Path(interpreter.command[-1]).resolve().parent.parent
    return exposing(str(prefix)), started_by(interpreter, *AS_USER)


def observer_of_user() -> tuple[str, ...]:
    """The command by which our own Python runs as `USER`; what it needs is exposed."""
    return (*exposing(sys.base_prefix, sys.prefix, str(_ROOT)), *AS_USER, sys.executable)
