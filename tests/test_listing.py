"""`pyobserver ps` says for each process whether attaching would work; what it says is held against an attach."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyobserver.attach import AttachError, inject
from pyobserver.source.find import find_agent

from .agent.mirror import bring
from .attach.conftest import end, leave, running, state_of, wait_until, within
from .support.commands import without_rights
from .support.interpreters import Interpreter, interpreters
from .support.story import pyobserver
from .support.surroundings import NO_RIGHTS, namespaces, other_root, started_by, working

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def newest() -> Interpreter:
    """One interpreter, as what is said does not depend on its version."""
    return interpreters()[-1]


def listed(pid: int, command: Any = pyobserver) -> dict[str, Any]:
    """What `pyobserver ps` says about a process."""
    done = command("ps", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return next(row for row in rows if row["pid"] == pid)


def is_open(pid: int) -> None:
    """It says that attaching would work, and it does."""
    row = listed(pid)
    assert row["attachable"] and row["kind"] is None and row["reason"] is None and row["help"] is None
    assert row["method"] == inject(pid, leave(1)).method


def is_closed(pid: int, kind: str, reason: str, help: str) -> None:
    """It says what denies it and what would lift it, and an attach meets the same."""
    row = listed(pid)
    assert not row["attachable"] and row["method"] is None and row["kind"] == kind
    assert reason in row["reason"] and help in row["help"]
    with pytest.raises(AttachError) as raised:
        inject(pid, leave(13))
    assert raised.value.kind == kind


@pytest.mark.parametrize("options", [("--pid", "--fork", "--kill-child"), ("--user", "--map-root-user"), ("--net",)])
def test_a_process_in_namespaces(newest: Interpreter, options: tuple[str, ...]) -> None:
    """It is listed by the number that it has here."""
    with running(newest, "idle", through=namespaces(*options)) as target:
        is_open(within(target))
        assert end(target)["seen"] == [1]


def test_a_process_below_another_root(newest: Interpreter, tmp_path: Path) -> None:
    """Its interpreter's file has no name here."""
    with running(newest, "idle", through=other_root(tmp_path)) as target:
        is_open(within(target))
        assert end(target)["seen"] == [1]


@needs_root
def test_a_process_without_rights(newest: Interpreter) -> None:
    """That it can get no privileges does not keep others out."""
    with running(started_by(newest, *working(NO_RIGHTS)), "idle") as target:
        is_open(target.pid)
        assert end(target)["seen"] == [1]


def test_a_stopped_process(newest: Interpreter) -> None:
    """It stays stopped."""
    with running(newest, "sleep") as target:
        os.kill(target.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(target.pid) == "T")
        is_closed(target.pid, "stopped", "it is stopped", "kill -CONT")
        assert state_of(target.pid) == "T"
        os.kill(target.pid, signal.SIGCONT)
        is_open(target.pid)
        assert end(target)["seen"] == [1]


@contextmanager
def traced(pid: int) -> Iterator[int]:
    """Within the block strace traces a process."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed; Debian has it in strace")
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-p", str(pid)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in Path(f"/proc/{pid}/status").read_text())
        yield tracer.pid
    finally:
        tracer.terminate()
        tracer.wait()


def test_a_traced_process(newest: Interpreter) -> None:
    """Its tracer is named, and is not in the way any more when it has ended."""
    with running(newest, "sleep") as target:
        with traced(target.pid) as tracer:
            is_closed(target.pid, "traced", f"it is traced by process {tracer} (strace)", "end that")
        is_open(target.pid)
        assert end(target)["seen"] == [1]


def test_a_process_that_has_an_agent(newest: Interpreter) -> None:
    """Whoever comes would join it, whatever else stands in the way."""
    with running(newest, "idle") as target:
        bring(target.pid)
        wait_until(lambda: find_agent(target.pid) is not None)
        row = listed(target.pid)
        assert row["attachable"] and row["method"] == "existing"
        assert pyobserver("detach", target.pid).returncode == 0
        assert listed(target.pid)["method"] != "existing"
        end(target)


@needs_root
@pytest.mark.parametrize(
    ("state", "reason"), [("idle", "it belongs to user 0"), ("dropped", "it has changed its user")]
)
def test_what_a_user_without_rights_is_told(newest: Interpreter, state: str, reason: str) -> None:
    """Whose it is, or that it was somebody else's; and root is told that it works."""
    with running(newest, state) as target:
        row = listed(target.pid, without_rights)
        assert not row["attachable"] and row["kind"] == "denied"
        assert reason in row["reason"] and "CAP_SYS_PTRACE" in row["help"]
        refused = without_rights("snapshot", target.pid)
        assert refused.returncode == 2 and row["reason"] in refused.stderr
        is_open(target.pid)
        assert end(target)["seen"] == [1]


def test_asking_touches_nothing(newest: Interpreter) -> None:
    """Nobody traces the process meanwhile, and it is interrupted in nothing."""
    with running(newest, "calls") as target:
        for _ in range(3):
            listed(target.pid)
            assert "TracerPid:\t0\n" in Path(f"/proc/{target.pid}/status").read_text()
        assert end(target)["seen"] == []
