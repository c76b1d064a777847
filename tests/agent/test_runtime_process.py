"""The target ends, gets signals, collects its garbage: all as if nobody was there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator

import pytest

from pyobserver.attach import AttachError

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, bring, connect, observed, on_interpreters, silence

ENDINGS = {
    "return": ("pass", 0),
    "sys.exit": ("sys.exit(42)", 42),
    "os._exit": ("os._exit(43)", 43),
    "exception": ("raise KeyError('the end')", 1),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)", -signal.SIGTERM),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(10)", -signal.SIGINT),
    "abort": ("os.abort()", -signal.SIGABRT),
    "exec": ("os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(44)'])", 44),
}

# What a program may still have when it ends.
PROGRAM = """
import atexit, gc, os, signal, sys, threading, time

class Late:
    def __init__(self):
        self.me = self
    def __del__(self):
        for _ in range(20000):
            pass

signal.signal(signal.SIGINT, signal.default_int_handler)  # who has started the tests may ignore it
late = [Late() for _ in range(10)]
if "threads" in sys.argv:
    for _ in range(3):  # such that run meanwhile can crash an interpreter that ends, without us as well
        threading.Thread(target=threading.Event().wait, daemon=True).start()
if "tasks" in sys.argv:
    import asyncio
    loop = asyncio.new_event_loop()
    async def wait():
        await asyncio.Event().wait()
    held = [loop.create_task(wait()) for _ in range(100)]
    loop.run_until_complete(asyncio.sleep(0.01))
    for task in held:
        task._log_destroy_pending = False
atexit.register(time.sleep, 0.01)
sys.stdout.write("READY\\n")
sys.stdout.flush()
sys.stdin.readline()
"""


@contextlib.contextmanager
def program(interpreter: Interpreter, ending: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends as soon as it is told to."""
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [*interpreter.command, "-c", PROGRAM + ending, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline() == b"READY\n"
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            stderr.seek(0)
            complaint = stderr.read().decode()
            if "the end" not in complaint and "KeyboardInterrupt" not in complaint:
                assert complaint == ""


def end(process: subprocess.Popen[bytes]) -> int:
    """Lets it end, and returns its exit status."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    return process.wait(30)


@on_interpreters
@pytest.mark.parametrize("how", ENDINGS)
def test_an_exit_status_is_what_it_would_be(interpreter: Interpreter, how: str) -> None:
    ending, status = ENDINGS[how]
    with program(interpreter, ending, "threads", "tasks") as process:
        bring(process.pid)
        mirror = Mirror(connect(process.pid))
        mirror.turn()
        assert end(process) == status
        mirror.client.close()


@on_interpreters
@pytest.mark.parametrize("words", [(), ("threads", "tasks")], ids=["alone", "with threads"])
def test_an_end_while_it_is_observed(interpreter: Interpreter, words: tuple[str, ...]) -> None:
    for _ in range(8):
        with program(interpreter, "sys.exit(3)", *words) as process:
            bring(process.pid)
            mirror = Mirror(connect(process.pid))
            mirror.turn()
            assert end(process) == 3
            mirror.client.close()


@on_interpreters
def test_an_end_while_the_agent_comes_in(interpreter: Interpreter) -> None:
    """Whenever it ends, in the middle of the attach or of the agent's first moments, it ends as it would."""
    for turn in range(20):
        with program(interpreter, "sys.exit(3)", "tasks") as process:
            ended: list[int] = []
            timer = threading.Timer(0.05 + 0.02 * turn, lambda p=process, e=ended: e.append(end(p)))  # type: ignore[misc]
            timer.start()
            with contextlib.suppress(AttachError):
                bring(process.pid)
            timer.join()
            assert ended == [3]


@on_interpreters
def test_finalizers_never_run_in_the_agents_thread(interpreter: Interpreter) -> None:
    """Neither while it comes, nor while it measures, nor while it goes.

    The few objects that the first lines are read into may be what makes a collection due, so there was one just before.
    """
    with launch(interpreter, "bystander", "--tasks", 1000) as target:
        target.ask("state")
        target.ask("cycles 1")
        with observed(target.pid) as mirror:
            for _ in range(3):
                mirror.client.focus([row["id"] for row in mirror.tasks][:200])
                told = target.ask("cycles 5000")
                mirror.hear(0.01)
            mirror.wait_until_known(60)
            told = target.ask("cycles 5000")
        told = target.ask("cycles 5000")
        assert told["collected"] > 10_000
        assert told["threads"] == [told["mine"]]
        silence(target.stop())


@on_interpreters
def test_a_program_that_does_not_collect_is_left_so(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander") as target:
        assert not target.ask("collector off")["collecting"]
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            assert not target.ask("state")["collecting"]
        assert not target.ask("state")["collecting"]
        silence(target.stop())


@on_interpreters
def test_signals_go_to_the_program(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander", "--tasks", 200) as target:
        with observed(target.pid) as mirror:
            mirror.turn()
            told = target.ask("alarm 1000", within=60)
            assert told["heard"] >= 1000
            assert told["threads"] == [told["mine"]]
            agent = _agents_thread(target.pid)
            assert _blocked(agent) >> (signal.SIGALRM - 1) & 1 and _blocked(agent) >> (signal.SIGTERM - 1) & 1
            assert not _blocked(agent) >> (signal.SIGSEGV - 1) & 1
        silence(target.stop())


def _agents_thread(pid: int) -> str:
    """The only thread but the main one."""
    (found,) = set(os.listdir(f"/proc/{pid}/task")) - {str(pid)}
    return f"/proc/{pid}/task/{found}/status"


def _blocked(path: str) -> int:
    """The mask of the signals that a thread blocks."""
    with open(path) as file:
        return int(next(line.split()[1] for line in file if line.startswith("SigBlk:")), 16)


@on_interpreters
def test_a_signal_wakes_the_program_while_an_agent_comes_and_goes(interpreter: Interpreter) -> None:
    """The main thread waits for nothing but a signal, which must not be given to a thread of ours."""
    with launch(interpreter, "bystander") as target:
        stopping = threading.Event()
        problems: list[BaseException] = []

        def come_and_go() -> None:
            while not stopping.is_set():
                try:
                    with observed(target.pid) as mirror:
                        mirror.hear()
                except BaseException as problem:
                    problems.append(problem)
                    return

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            told = target.ask("sleeper 60", within=60)
        finally:
            stopping.set()
            thread.join(60)
        assert told == {"heard": 60, "elsewhere": []}
        assert problems == []
        silence(target.stop())


@on_interpreters
def test_a_timeout_of_the_program_comes_through(interpreter: Interpreter) -> None:
    """A handler that raises in the main thread, with an agent that comes at any moment of it."""
    code = """
import select, signal, sys, time
class Timeout(Exception): pass
def ring(*_):
    raise Timeout
signal.signal(signal.SIGALRM, ring)
sys.stdout.write("READY\\n"); sys.stdout.flush()
missed = 0
def spin(until):  # apart: in 3.13 a jump back within `try` is not covered by its `except`
    while time.monotonic() < until:
        pass
while not select.select([0], [], [], 0)[0]:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        spin(time.monotonic() + 20.0)
        missed += 1
    except Timeout:
        pass
sys.exit(3 if missed else 0)
"""
    process = subprocess.Popen([*interpreter.command, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()
    try:
        comings = 0
        deadline = time.monotonic() + 60.0
        while comings < 4 and process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(AttachError, AssertionError, Exception):
                bring(process.pid, linger=0.0)
                connect(process.pid, 2.0).detach()
                comings += 1
        process.stdin.close()
        assert process.wait(30) == 0
        assert comings > 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
