"""The demonstration service as it is started by `pyobserver demo`: it leaks, its twin does not, and both end well."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pyobserver import demo

from ..support.control import control
from ..support.interpreters import Interpreter

QUICK = {"interval": 0.1, "payload": 2_000_000, "limit": 15}


def until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether `true` becomes so within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return true()


def rss(process: demo.DemoService) -> int:
    return psutil.Process(process.pid).memory_info().rss


@pytest.fixture(params=[False, True], ids=["leaking", "fixed"])
def service(request: pytest.FixtureRequest) -> Iterator[tuple[bool, demo.DemoService]]:
    process = demo.start(request.param, **QUICK)
    yield request.param, process
    demo.stop(process)


def says(process: demo.DemoService, text: str) -> bool:
    return text in process.log.read_text()


def test_the_leaking_build_holds_what_it_is_given_and_stops_at_its_limit() -> None:
    """Memory grows by the payload of every specimen up to the limit, which the log tells."""
    process = demo.start(False, **QUICK)
    try:
        assert until(lambda: says(process, "leaking build"))
        first = rss(process)
        assert until(lambda: says(process, "holds 15 specimens and takes no more"))
        assert until(lambda: rss(process) - first > 12 * QUICK["payload"])
        time.sleep(1)
        assert rss(process) - first < 18 * QUICK["payload"], "it went on growing behind its limit"
    finally:
        demo.stop(process)


def test_the_fixed_build_stays_flat() -> None:
    """After more specimens than the leaking build may hold, the fixed one has kept none of them."""
    process = demo.start(True, **QUICK)
    try:
        assert until(lambda: says(process, "fixed build"))
        first = rss(process)
        time.sleep(3)
        assert min(rss(process) for _ in range(10) if time.sleep(0.05) is None) - first < 8 * QUICK["payload"]
        assert not says(process, "takes no more")
    finally:
        demo.stop(process)


def test_stop_ends_it_cleanly_and_removes_the_log(service: tuple[bool, demo.DemoService]) -> None:
    """The exit status is 0, nothing but the first line was printed, and the log is gone."""
    fixed, process = service
    assert until(lambda: says(process, "build runs"))
    time.sleep(0.5)
    assert (
        process.log.read_text()
        == f"rudder: the {'fixed' if fixed else 'leaking'} build runs as process {process.pid}\n"
    )
    assert demo.stop(process) == 0
    assert not process.log.exists()


def test_stop_is_clean_at_any_moment() -> None:
    """A service that has hardly started, or has ended by itself meanwhile, leaves neither a log nor a bad status."""
    for moment in (0.0, 0.05, 0.15, 0.3):
        process = demo.start(False, **QUICK)
        time.sleep(moment)
        assert demo.stop(process) == 0
        assert not process.log.exists()
        assert demo.stop(process) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals, service: tuple[bool, demo.DemoService]) -> None:
    """Ctrl-C and a polite kill are an ordinary end, without a traceback."""
    _, process = service
    assert until(lambda: says(process, "build runs"))
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(60) == 0
    assert not says(process, "Traceback")


def test_it_does_not_outlive_whoever_started_it() -> None:
    """When the starting process is killed, the service ends by itself."""
    code = (
        "from pyobserver import demo; p = demo.start(False, payload=10000); print(p.pid, p.log, flush=True); p.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, log = parent.stdout.readline().split()
    assert until(lambda: "build runs" in Path(log).read_text())
    assert os.getsid(int(pid)) == int(pid), "Ctrl-C in the terminal would reach it"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE)
    Path(log).unlink()


def test_an_interpreter_that_is_not_there_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting fails with the system's own error, and no log stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(FileNotFoundError):
        demo.start(False, python="/nowhere/python")
    assert list(tmp_path.iterdir()) == []


def test_a_child_owns_its_payload_on_every_interpreter(interpreter: Interpreter) -> None:
    """The same source runs on each version, and cancelling a child frees what it was given."""
    told = control(interpreter, payload=1_000_000)
    assert (told.children, told.function, told.name) == (4, "Spawner.push_hash", "push_hash-1")
    assert abs(told.freed - 1_000_000) < 30_000  # the rest of the service allocates between the two readings


def test_the_repair_is_one_class() -> None:
    """A reader finds the bug where it is: the twin differs in nothing but `OneShotAgent.serve`."""
    tree = ast.parse((demo.SERVICE / "rudder" / "agent.py").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    repaired = [node.name for node in classes["OneShotAgent"].body if isinstance(node, ast.AsyncFunctionDef)]
    assert repaired == ["serve"]
