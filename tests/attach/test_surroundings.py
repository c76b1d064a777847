"""Attaching to processes that live apart: in namespaces, below another root, without rights, with other allocators."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.interpreters import Interpreter
from ..support.surroundings import (
    ALLOCATORS,
    EVERY_NAMESPACE,
    NAMESPACES,
    NO_RIGHTS,
    for_user,
    namespaces,
    observer_of_user,
    other_root,
    preloaded,
    started_by,
    working,
)
from .conftest import attach_often, end, leave, leftovers, running, within

ROOT = Path(__file__).resolve().parents[2]
FAULT_FINDING = ("MALLOC_PERTURB_=165", "PYTHONMALLOC=malloc", "PYTHONMALLOC=debug", "PYTHONDEVMODE=1")


def test_as_far_away_as_can_be(newest: Interpreter, tmp_path: Path) -> None:
    """In namespaces and below a root of its own, on the newest interpreter; what follows tries it on each."""
    with running(newest, "idle", through=other_root(tmp_path, *EVERY_NAMESPACE)) as target:
        left = attach_often(newest, within(target), times=2)
        assert end(target)["seen"] == left


def test_memory_that_finds_faults(newest: Interpreter) -> None:
    """All checks that the interpreter has for its own development."""
    with running(newest, "malloc", environment={"PYTHONDEVMODE": "1", "MALLOC_PERTURB_": "165"}) as target:
        left = attach_often(newest, target.pid, times=2)
        assert end(target)["seen"] == left


@pytest.mark.every
@pytest.mark.parametrize("state", ["idle", "lock"])
@pytest.mark.parametrize("which", [*NAMESPACES, "all"])
def test_namespaces_of_its_own(interpreter: Interpreter, which: str, state: str) -> None:
    """Seen from outside, it is attached to as any other."""
    options = EVERY_NAMESPACE if which == "all" else NAMESPACES[which]
    with running(interpreter, state, through=namespaces(*options)) as target:
        pid = within(target)
        left = attach_often(interpreter, pid)
        assert not leftovers(interpreter, pid)
        assert end(target)["seen"] == left


@pytest.mark.every
@pytest.mark.parametrize("state", ["idle", "lock"])
@pytest.mark.parametrize("which", ["chroot", "chroot and all namespaces"])
def test_another_root(interpreter: Interpreter, tmp_path: Path, which: str, state: str) -> None:
    """Its files are others than ours, or it has none of them by our names."""
    options = () if which == "chroot" else tuple(o for o in EVERY_NAMESPACE if o != "--mount")
    with running(interpreter, state, through=other_root(tmp_path, *options)) as target:
        pid = within(target)
        left = attach_often(interpreter, pid)
        assert not leftovers(interpreter, pid)
        assert end(target)["seen"] == left


@pytest.mark.every
def test_no_rights_at_all(interpreter: Interpreter) -> None:
    """It can get no new privileges and has no capabilities, as in a container."""
    with running(started_by(interpreter, *working(NO_RIGHTS)), "malloc") as target:
        left = attach_often(interpreter, target.pid)
        assert end(target)["seen"] == left
    assert not leftovers(interpreter)


@pytest.mark.every
@pytest.mark.parametrize("state", ["idle", "lock"])
def test_another_user_seen_by_root(interpreter: Interpreter, state: str) -> None:
    """It has no rights, and could not read a file of ours."""
    through, able = for_user(interpreter)
    with running(able, state, through=through) as target:
        left = attach_often(interpreter, target.pid)
        assert end(target)["seen"] == left
    assert not leftovers(interpreter)


OBSERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from pyobserver.attach import inject
for number in range(5):
    inject(int(sys.argv[2]), sys.argv[3].replace("13", str(number)))
"""


@pytest.mark.every
@pytest.mark.parametrize("state", ["idle", "lock"])
def test_the_same_user_without_rights(interpreter: Interpreter, state: str) -> None:
    """No privilege is needed for what is one's own."""
    through, able = for_user(interpreter)
    with running(able, state, through=through) as target:
        command = [*observer_of_user(), "-c", OBSERVER, str(ROOT), str(target.pid), leave(13)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")
        assert (done.returncode, done.stderr) == (0, "")
        assert end(target)["seen"] == [0, 1, 2, 3, 4]
    assert not leftovers(interpreter)


@pytest.fixture
def scratch(interpreter: Interpreter) -> Iterator[Path]:
    """A folder that the interpreter sees, too."""
    folder = interpreter.scratch("allocator")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.every
@pytest.mark.parametrize("state", ["idle", "crowd"])
@pytest.mark.parametrize("library", ALLOCATORS)
def test_another_allocator(interpreter: Interpreter, scratch: Path, library: str, state: str) -> None:
    """Its locks are none of the C library's, and must not be held either."""
    with running(preloaded(interpreter, library, scratch), state) as target:
        assert f"/{library}" in Path(f"/proc/{target.pid}/maps").read_text()
        left = attach_often(interpreter, target.pid)
        assert end(target)["seen"] == left
    assert not leftovers(interpreter)


@pytest.mark.every
@pytest.mark.parametrize("setting", FAULT_FINDING)
def test_an_allocator_that_finds_faults(interpreter: Interpreter, setting: str) -> None:
    """Memory that is not ours would be noticed."""
    with running(interpreter, "malloc", environment=dict([setting.split("=")])) as target:
        left = attach_often(interpreter, target.pid)
        assert end(target)["seen"] == left
    assert not leftovers(interpreter)
