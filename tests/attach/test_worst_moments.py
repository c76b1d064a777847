"""Observers that die, wait in vain or are interrupted at the worst moment: the target must not notice."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyobserver.attach import AttachError, inject, injector
from pyobserver.attach.procfs import status

from ..support.interpreters import Interpreter
from .conftest import STATES, end, leave, leftovers, running, threads_of, wait_until

ROOT = Path(__file__).resolve().parents[2]


def dies_at(monkeypatch: pytest.MonkeyPatch, when: str, pid: int, number: int, way: str) -> None:
    """An attach whose helper process is killed before or after the commit point."""
    monkeypatch.setenv("PYOBSERVER_TEST_DIE", when)
    with pytest.raises(AttachError) as raised:
        inject(pid, leave(number), method=way)
    monkeypatch.delenv("PYOBSERVER_TEST_DIE")
    assert raised.value.kind == "failed"
    assert "status -9" in raised.value.why


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", ["auto", "ptrace"])
def test_a_helper_that_is_killed(newest: Interpreter, monkeypatch: pytest.MonkeyPatch, when: str, way: str) -> None:
    """The target goes on, its script never runs, and the next observer gets in."""
    with running(newest, "cpu") as target:
        for _ in range(3):
            dies_at(monkeypatch, when, target.pid, 13, way)
        inject(target.pid, leave(1), method=way)
        assert end(target)["seen"] == [1]
    assert not leftovers(newest)


@pytest.mark.every
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("state", STATES)
def test_a_helper_that_is_killed_in_every_state(
    interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch, when: str, state: str
) -> None:
    """The same everywhere."""
    ways = ("auto", "ptrace") if interpreter.minor >= (3, 14) else ("auto",)
    with running(interpreter, state) as target:
        for way in ways:
            for _ in range(3):
                dies_at(monkeypatch, when, target.pid, 13, way)
            inject(target.pid, leave(1), method=way)
        assert end(target)["seen"] == [1] * len(ways)
    assert not leftovers(interpreter)


@pytest.mark.every
def test_a_thread_whose_observer_died_ends(newest: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits some ten seconds for its script, and gives up by itself."""
    with running(newest, "idle") as target:
        before, mapped = threads_of(target.pid), mappings_of(target.pid)
        dies_at(monkeypatch, "after", target.pid, 13, "ptrace")
        wait_until(lambda: threads_of(target.pid) == before)
        assert mappings_of(target.pid) <= mapped + 6  # the stack of the thread, kept for the next one, and an arena
        assert end(target)["seen"] == []


def test_a_request_whose_observer_died_is_void(requestable: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter finds it when it wakes: it runs nothing, and clears away what lies about."""
    with running(requestable, "lock") as target:
        dies_at(monkeypatch, "after", target.pid, 13, "pep768")
        assert leftovers(requestable, patience=1.0)
        assert end(target)["seen"] == []
    assert not leftovers(requestable)


def test_a_request_whose_observer_died_is_replaced(requestable: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next observer clears it away."""
    with running(requestable, "lock") as target:
        dies_at(monkeypatch, "after", target.pid, 13, "pep768")
        assert len(leftovers(requestable, patience=1.0)) == 1
        inject(target.pid, leave(1))
        assert not leftovers(requestable)
        assert end(target)["seen"] == [1]


@pytest.mark.parametrize("way", ["auto", "ptrace"])
def test_a_lock_that_nobody_gives(newest: Interpreter, way: str) -> None:
    """It is said what is waited for; the script is taken back for good, and later ones get through."""
    holds_the_lock(newest, way)


@pytest.mark.every
def test_a_lock_that_nobody_gives_on_every_interpreter(interpreter: Interpreter) -> None:
    """The same on each."""
    holds_the_lock(interpreter, "ptrace")


def holds_the_lock(interpreter: Interpreter, way: str) -> None:
    stages: list[str] = []
    with running(interpreter, "holding") as target:
        before = threads_of(target.pid)
        for _ in range(2):
            with pytest.raises(AttachError) as raised:
                inject(target.pid, leave(13), method=way, patience=0.2, on_stage=stages.append)
            assert raised.value.kind == "interpreter_lock"
        assert "waiting for the interpreter lock" in stages
        release = threading.Timer(0.5, _write, (target.process.stdin, b"x"))
        release.start()
        inject(target.pid, leave(1), method=way)
        release.join()
        wait_until(lambda: threads_of(target.pid) == before + 1)  # its own, that watches its input
        assert end(target)["seen"] == [1]
    assert not leftovers(interpreter)


def _write(pipe: object, content: bytes) -> None:
    pipe.write(content)  # type: ignore[attr-defined]
    pipe.flush()  # type: ignore[attr-defined]


OBSERVER = """
import signal, sys
from pyobserver.attach import inject
signal.signal(signal.SIGINT, signal.default_int_handler)  # who has started the tests may ignore them
signal.signal(signal.SIGHUP, signal.SIG_DFL)
inject(int(sys.argv[1]), sys.argv[2], on_stage=lambda text: print(text, flush=True))
print("done", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
def test_an_observer_that_goes_away_does_not_take_the_helper_along(newest: Interpreter, number: int) -> None:
    """Ctrl-C in the terminal, in the middle of an attach: the helper comes to its end alone."""
    with running(newest, "holding") as target:
        observer = subprocess.Popen(
            [sys.executable, "-c", OBSERVER, str(target.pid), leave(1)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        assert observer.stdout is not None
        while observer.stdout.readline() != "waiting for the interpreter lock\n":
            assert observer.poll() is None
        os.killpg(observer.pid, number)
        assert observer.wait() != 0
        observer.stdout.close()
        _write(target.process.stdin, b"x")
        assert status(target.pid)["TracerPid"] == "0"
        inject(target.pid, leave(2))
        assert end(target)["seen"] == [1, 2]


def helper_after(seconds: float, folder: Path) -> str:
    """A Python that begins so much later, as on a machine that has too much to do."""
    starter = folder / "python"
    own = sys.executable
    lines = [f"#!{own}", "import os, sys, time", f"time.sleep({seconds})"]
    starter.write_text("\n".join([*lines, f"os.execv({own!r}, [{own!r}, *sys.argv[1:]])"]))
    starter.chmod(0o755)
    return str(starter)


@pytest.mark.every
def test_a_helper_that_is_slow_to_begin(newest: Interpreter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It has longer for that than between two of its words."""
    monkeypatch.setattr(injector, "_SILENCE_SECONDS", 4.0)
    monkeypatch.setattr(sys, "executable", helper_after(5.0, tmp_path))
    with running(newest, "idle") as target:
        inject(target.pid, leave(1))
        assert end(target)["seen"] == [1]


def test_a_helper_that_never_begins(newest: Interpreter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is not waited for without end, and the target has not been touched."""
    monkeypatch.setattr(injector, "_START_SECONDS", 0.3)
    monkeypatch.setattr(sys, "executable", helper_after(600.0, tmp_path))
    with running(newest, "idle") as target:
        with pytest.raises(AttachError, match=r"silent for 0\.3 s"):
            inject(target.pid, leave(13))
        assert end(target)["seen"] == []


def test_a_process_of_the_same_number_is_not_the_same(newest: Interpreter) -> None:
    """The helper compares when the process began with what it was told."""
    from pyobserver.attach.injector import _Helper

    with running(newest, "idle") as target:
        request = {"pid": target.pid, "start_ticks": 1, "script": leave(13), "chosen": "ptrace"}
        with pytest.raises(AttachError) as raised:
            _Helper(target.pid, {**request, "method": "auto", "patience": 5.0}).follow(lambda text: None)
        assert raised.value.kind == "gone"
        assert end(target)["seen"] == []


def mappings_of(pid: int) -> int:
    return len(Path(f"/proc/{pid}/maps").read_text().splitlines())


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("prlimit"), reason="only root can drop its user")
def test_a_target_that_may_have_no_more_threads(interpreter: Interpreter) -> None:
    """The limit is told, and nothing stays behind in its memory."""
    with running(interpreter, "dropped", through=["prlimit", "--nproc=1:"]) as target:
        before = mappings_of(target.pid)
        for _ in range(5):
            with pytest.raises(AttachError) as raised:
                inject(target.pid, leave(13), method="ptrace")
            assert raised.value.kind == "failed"
            assert "Resource temporarily unavailable" in raised.value.why
        assert mappings_of(target.pid) <= before + 3  # the copy of the page with the stub divides one in three
        assert end(target)["seen"] == []


def test_a_target_that_may_have_no_more_memory(newest: Interpreter) -> None:
    """The mapping is refused: it is told, the program goes on, and later it works."""
    with running(newest, "sleep") as target:
        limit = resource.prlimit(target.pid, resource.RLIMIT_AS)
        resource.prlimit(target.pid, resource.RLIMIT_AS, (1, limit[1]))
        with pytest.raises(AttachError) as raised:
            inject(target.pid, leave(13), method="ptrace")
        assert raised.value.kind == "failed" and "memory" in raised.value.why
        resource.prlimit(target.pid, resource.RLIMIT_AS, limit)
        inject(target.pid, leave(1), method="ptrace")
        assert end(target)["seen"] == [1]


def test_a_target_in_a_namespace_of_its_own(interpreter: Interpreter) -> None:
    """It knows itself by another number than we do."""
    command = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no PID namespaces here")
    with running(interpreter, "idle", through=command) as target:
        children = Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text().split()
        told = inject(int(children[0]), "import posix, sys\nsys.modules['__main__'].seen.append(posix.getpid())")
        assert told.method == ("pep768" if interpreter.minor >= (3, 14) else "ptrace")
        assert end(target)["seen"] == [1]
