"""The stacks of all threads, without the help of the process, and what is known where there are none."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.outside import StackProbe, TargetGone, ThreadStack
from pyobserver.outside.lifeline import Lifeline
from pyobserver.outside.stacks import py_spy
from pyobserver.outside.threads import os_threads

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget, launch

pytestmark = pytest.mark.skipif(py_spy() is None, reason="py-spy is not installed")


@pytest.fixture(scope="module", params=interpreters(), ids=lambda each: ".".join(map(str, each.version)))
def plant(request: pytest.FixtureRequest) -> Iterator[RunningTarget]:
    """Threads with known names and functions, on each interpreter."""
    with launch(request.param, "threads") as target:
        yield target


@pytest.fixture(scope="module", params=interpreters()[-1:], ids=str)
def newest_plant(request: pytest.FixtureRequest) -> Iterator[RunningTarget]:
    """The same on one interpreter."""
    with launch(request.param, "threads") as target:
        yield target


def by_name(stacks: tuple[ThreadStack, ...]) -> dict[str, ThreadStack]:
    return {stack.name: stack for stack in stacks}


def functions(stack: ThreadStack) -> list[str]:
    return [frame.function.rsplit(".", 1)[-1] for frame in stack.frames]


def probing(pid: int, timeout: float = 60.0, executable: str | None = None) -> StackProbe:
    """A probe that waits for py-spy longer than an observer would: how soon it answers is not the point here."""
    return StackProbe(pid, timeout, executable)


def read_until(probe: StackProbe, name: str, function: str, native: bool = False) -> tuple[ThreadStack, ...]:
    """Readings until `function` is seen in thread `name`: a process that is not stopped may tear a stack."""
    deadline = time.monotonic() + 60
    while True:
        stacks = probe.read(native)
        thread = by_name(stacks).get(name)
        if (thread and function in functions(thread)) or time.monotonic() > deadline:
            return stacks


def test_every_thread_has_its_name_numbers_and_frames(plant: RunningTarget) -> None:
    """What the process says of its threads is what is seen from outside."""
    truth = plant.ask("truth")
    with probing(plant.pid) as probe:
        stacks = read_until(probe, "watcher", "watch")
        assert probe.unavailable is None
        assert probe.cost_seconds > 0
    seen = by_name(stacks)
    for thread in truth["threads"]:
        stack = seen[thread["name"]]
        assert (stack.thread_id, stack.ident) == (thread["native_id"], thread["ident"])
        assert stack.state in ("R", "S", "D")
        assert stack.cpu_seconds is not None
    assert stacks[0].thread_id == plant.pid
    watcher = seen["watcher"]
    assert functions(watcher)[0] in ("wait", "acquire")
    assert "watch" in functions(watcher)
    frame = next(frame for frame in watcher.frames if frame.function.endswith("watch"))
    assert frame.file.endswith("threads.py")
    assert frame.line > 0
    assert not any(frame.native for frame in watcher.frames)
    assert watcher.system_call == "futex"
    assert not watcher.active
    assert truth["bare"][0] in [stack.thread_id for stack in stacks]


def test_reading_does_not_stop_the_process(newest_plant: RunningTarget) -> None:
    """No thread is ever traced or stopped while stacks are read without native frames."""
    states = set()
    with probing(newest_plant.pid) as probe:
        worker = threading.Thread(target=lambda: [probe.read() for _ in range(5)])
        worker.start()
        while worker.is_alive():
            status = Path(f"/proc/{newest_plant.pid}/status").read_text()
            states.add(next(line.split()[1] for line in status.splitlines() if line.startswith("TracerPid")))
        worker.join()
    assert states == {"0"}


def test_native_frames_on_request(plant: RunningTarget) -> None:
    """C frames stand between those of Python, and the process goes on afterwards."""
    with probing(plant.pid) as probe:
        stacks = read_until(probe, "watcher", "watch", native=True)
        assert probe.unavailable is None
    watcher = by_name(stacks)["watcher"]
    assert any(frame.native for frame in watcher.frames)
    assert any(not frame.native for frame in watcher.frames)
    assert plant.ask("truth")["pid"]


def test_a_thread_that_holds_the_lock_is_seen_where_it_is_stuck(newest: Interpreter) -> None:
    """When no Python code of anybody can run, the stack still says where it hangs."""
    with launch(newest, "blocked") as target, probing(target.pid) as probe:
        target.ask("hold 600")  # until it is killed
        stacks = read_until(probe, "MainThread", "hold")
    main = by_name(stacks)["MainThread"]
    assert "crunch" in functions(main)


def test_a_stopped_process_is_still_read(newest_plant: RunningTarget) -> None:
    """Frames without native ones, and a reason instead of waiting for those."""
    with newest_plant.halted(), probing(newest_plant.pid) as probe:
        stacks = probe.read()
        assert stacks[0].state == "T"
        assert probe.unavailable is None
        assert stacks[0].frames
        stacks = probe.read(native=True)
        assert probe.unavailable == "not available: native frames: the process is stopped; continue it with SIGCONT"
        assert not stacks[0].frames


def fake(tmp_path: Path, script: str) -> str:
    """An executable in the place of py-spy."""
    file = tmp_path / "py-spy"
    file.write_text("#!/bin/sh\n" + script)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 60", "not available: py-spy: gave no answer within 0.3 s"),
        ("echo 'Error: Unsupported version of Python: 3.99' >&2; exit 1", "Unsupported version of Python: 3.99"),
        ("printf 'Error: no\\nWhy: \\033[2J\\nStack backtrace:\\n 0: y\\n' >&2", "py-spy: no; Why: \ufffd[2J"),
        ("printf 'Error: no\\n\\nCaused by:\\n  0: why (5)\\n  1: why (5)\\n' >&2; exit 1", "py-spy: no; why (5)"),
        ("echo '{'", "gave no answer"),
        ("echo null", None),
        ("echo '[1, {\"frames\": [3, {\"name\": 5, \"line\": \"x\"}], \"thread_id\": \"y\"}]'", None),
    ],
)  # fmt: skip
def test_without_stacks_there_are_still_threads(
    newest_plant: RunningTarget, tmp_path: Path, script: str, reason: str | None
) -> None:
    """Whatever py-spy says, or whether it says anything: the kernel's view of the threads is there, with the reason."""
    timeout = 0.3 if "sleep" in script else 60.0
    with probing(newest_plant.pid, timeout, fake(tmp_path, script)) as probe:
        stacks = probe.read()
        if reason is None:
            assert probe.unavailable is None
        else:
            assert probe.unavailable is not None
            assert reason in probe.unavailable
    main = next(stack for stack in stacks if stack.thread_id == newest_plant.pid)
    assert main.state == "S"
    assert main.system_call == "read"
    assert len(stacks) >= 5


def test_py_spy_killed_while_it_stops_the_process_leaves_it_running(newest: Interpreter, tmp_path: Path) -> None:
    """What had been stopped for native frames goes on."""
    with launch(newest, "heap") as target:
        script = f"kill -STOP {target.pid}; exec sleep 60"
        with probing(target.pid, timeout=0.5, executable=fake(tmp_path, script)) as probe:
            probe.read(native=True)
            assert probe.unavailable is not None
        assert target.ask("report")["in_use"] > 0


def test_without_py_spy_the_reason_says_what_to_do(newest_plant: RunningTarget) -> None:
    """A missing program is told like any other reason."""
    with probing(newest_plant.pid, executable="/nonexistent/py-spy") as probe:
        assert probe.read()
        assert probe.unavailable is not None
        assert "No such file" in probe.unavailable


def test_a_process_that_has_ended(newest: Interpreter) -> None:
    """It is gone, not unavailable."""
    with launch(newest, "heap") as target, probing(target.pid) as probe:
        target.process.kill()
        target.process.wait()
        with pytest.raises(TargetGone) as told:
            probe.read()
        assert told.value.signal in (9, None)


def test_the_kernel_names_what_threads_do(newest_plant: RunningTarget) -> None:
    """The fallback alone: number, name, state, time and system call of each thread."""
    with Lifeline(newest_plant.pid) as line:
        threads = os_threads(line)
    truth = newest_plant.ask("truth")
    numbers = {thread.thread_id for thread in threads}
    assert {thread["native_id"] for thread in truth["threads"]} | set(truth["bare"]) == numbers
    assert threads[0].thread_id == newest_plant.pid
    assert threads[0].system_call == "read"
    assert all(thread.cpu_seconds >= 0 for thread in threads)
    bare = next(thread for thread in threads if thread.thread_id == truth["bare"][0])
    assert bare.system_call == "futex"
