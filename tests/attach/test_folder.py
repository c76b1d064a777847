"""Where the script of a request is laid, when places are full, read-only, or closed to the target's user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyobserver.attach import inject
from pyobserver.attach.folder import NoFolder, Owner, ScriptFolder, remove_abandoned

from ..support.interpreters import Interpreter
from .conftest import end, leftovers, running

PLACES = ("tmp", "var/tmp", "dev/shm")
WHERE = """
import os, sys
for base in ("/tmp", "/var/tmp", "/dev/shm"):
    for name in os.listdir(base) if os.access(base, os.R_OK) else ():
        if name.startswith("pyobserver-") and len(name) == 27:
            found = os.stat(base + "/" + name)
            sys.modules["__main__"].seen.append([base, found.st_uid, found.st_gid, oct(found.st_mode & 0o777)])
"""


def _mounts_are_permitted() -> bool:
    try:
        done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


needs_mounts = pytest.mark.skipif(not _mounts_are_permitted(), reason="no mount namespaces here")


def mounted(interpreter: Interpreter, *options: str) -> list[str]:
    """A command that mounts something over the places, one after another, before it starts what follows."""
    lines = []
    for place, option in zip(PLACES, options, strict=False):
        path = interpreter.root / place
        if path.is_dir():
            lines.append(f"mount -t tmpfs -o {option} none {path}")
            if "size=4k" in option:
                lines.append(f"head -c 4096 /dev/zero > {path}/fill")
    return ["unshare", "-m", "sh", "-c", " && ".join([*lines, 'exec "$@"']), "sh"]


@needs_mounts
def test_a_full_place_is_passed_over(requestable: Interpreter) -> None:
    """The script goes where there is room; a half-written one does not stay."""
    with running(requestable, "idle", through=mounted(requestable, "size=4k,mode=1777")) as target:
        assert inject(target.pid, WHERE).method == "pep768"
        assert not leftovers(requestable, target.pid)
        assert end(target)["seen"] == [["/var/tmp", 0, 0, "0o700"]]


@needs_mounts
def test_a_place_that_the_target_cannot_enter_is_passed_over(requestable: Interpreter) -> None:
    """What root could write there would not be found by a target that has dropped its rights."""
    with running(requestable, "dropped", through=mounted(requestable, "mode=0700")) as target:
        assert inject(target.pid, WHERE).method == "pep768"
        assert not leftovers(requestable, target.pid)
        assert end(target)["seen"] == [["/var/tmp", 65534, 65534, "0o700"]]


@needs_mounts
def test_without_any_place_the_other_way_is_taken(requestable: Interpreter) -> None:
    """It is said what each place lacked."""
    with running(requestable, "idle", through=mounted(requestable, "ro", "ro", "ro")) as target:
        told = inject(target.pid, "pass")
        assert told.method == "ptrace"
        assert any("no place for the script: /tmp: Read-only file system, " in step for step in told.steps)
        end(target)


def test_a_name_that_is_too_long_is_not_tried() -> None:
    """The interpreter keeps 512 bytes for the name."""
    with pytest.raises(NoFolder, match="too long"):
        ScriptFolder(os.getpid(), "pass", 20)


def test_the_life_of_a_folder() -> None:
    """Locked while we live, found abandoned without the lock, and gone after its removal."""
    folder = ScriptFolder(os.getpid(), "pass", 512)
    script = Path(folder.script)
    assert folder.answer() is None
    assert {each.name for each in script.parent.iterdir()} == {"script.py", "answer.part"}
    child = os.fork()
    if child == 0:  # a lock is no obstacle for the process that has it
        os._exit(0 if not remove_abandoned(os.getppid(), folder.script) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert script.exists()
    (script.parent / "answer").write_bytes(b"told")
    assert folder.answer() == b"told"
    folder.remove()
    assert not script.parent.exists()


def test_an_abandoned_folder_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Only what has our names, and no living observer."""
    ours = tmp_path / "pyobserver-0123456789abcdef"
    foreign = tmp_path / "debugger-1"
    for each in (ours, foreign):
        each.mkdir()
        (each / "script.py").write_text("pass")
    assert not remove_abandoned(os.getpid(), f"{foreign}/script.py")
    assert foreign.exists()
    assert remove_abandoned(os.getpid(), f"{ours}/script.py")
    assert not ours.exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link in the target's file system would lead into ours."""
    real = tmp_path / "real" / "pyobserver-0123456789abcdef"
    real.mkdir(parents=True)
    (real / "script.py").write_text("pass")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    remove_abandoned(os.getpid(), f"{tmp_path}/link/{real.name}/script.py")
    assert (real / "script.py").exists()


@pytest.mark.parametrize(
    ("uid", "groups", "mode", "enters"),
    [
        (0, [], 0o700, True),
        (7, [], 0o701, True),
        (7, [], 0o770, False),
        (7, [5], 0o710, True),
        (7, [5], 0o701, False),
        (1, [], 0o700, True),
        (1, [], 0o077, False),
    ],
)
def test_who_may_enter(uid: int, groups: list[int], mode: int, enters: bool) -> None:
    """The class that applies decides alone: an owner without rights does not get those of all others."""
    folder = os.stat_result((0o040000 | mode, 0, 0, 1, 1, 5, 0, 0, 0, 0))
    assert Owner(uid, 99, frozenset(groups)).may_enter(folder) is enters
