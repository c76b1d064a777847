"""Attaching to processes in all states: the script runs, and the program ends as if nothing had been."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading

import pytest

from pyobserver.attach import AttachError, Injection, inject

from ..support.interpreters import Interpreter
from .conftest import STATES, attach_often, end, leave, leftovers, running, threads_of, wait_until, ways


@pytest.mark.parametrize("state", ["idle", "malloc"])
def test_a_script_runs_and_the_program_goes_on(interpreter: Interpreter, state: str) -> None:
    """Each interpreter, idle and at the busiest place: the script has run when `inject` returns."""
    with running(interpreter, state) as target:
        number = 0
        for way in ways(interpreter):
            for _ in range(2):
                inject(target.pid, leave(number), method=way)
                number += 1
        assert end(target)["seen"] == list(range(number))
    assert not leftovers(interpreter)


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_the_newest_interpreter(newest: Interpreter, state: str) -> None:
    """Idle, asleep, waiting for a lock, allocating, computing."""
    with running(newest, state) as target:
        inject(target.pid, leave(1))
        assert end(target)["seen"] == [1]


@pytest.mark.every
@pytest.mark.parametrize(
    "state", [*STATES, "signals", "calls", "naps", "polls", "futexes", "reads", "join", "native", "crowd"]
)
def test_every_interpreter_in_every_state(interpreter: Interpreter, state: str) -> None:
    """Many attaches by each way; what the program computes, reads and waits for is as without them."""
    with running(interpreter, state) as target:
        before = threads_of(target.pid)
        left = attach_often(interpreter, target.pid, times=10)
        wait_until(lambda: threads_of(target.pid) == before)
        assert end(target)["seen"] == left
    assert not leftovers(interpreter)


def test_what_is_told_about_an_attach(newest: Interpreter) -> None:
    """The way, the times, and the steps."""
    stages: list[str] = []
    with running(newest, "idle") as target:
        told = inject(target.pid, leave(1), method="ptrace", on_stage=stages.append)
        end(target)
    assert isinstance(told, Injection) and told.method == "ptrace"
    assert 0 < told.held_seconds < told.attach_seconds
    assert any("borrowed thread" in step for step in told.steps)
    assert "choosing a thread" in stages


def test_a_request_is_the_first_choice_where_it_is_possible(requestable: Interpreter) -> None:
    """On Python 3.14 and later the interpreter itself runs the script, in its main thread."""
    script = "import sys, _thread\nm = sys.modules['__main__']\n"
    script += "m.seen.append(_thread.get_ident() == m.threading.main_thread().ident)"
    with running(requestable, "idle") as target:
        assert inject(target.pid, script).method == "pep768"
        assert end(target)["seen"] == [True]
    assert not leftovers(requestable)


def test_a_request_that_nobody_takes_is_followed_by_ptrace_and_said(requestable: Interpreter) -> None:
    """A main thread that waits for a lock runs no Python: the other way is taken, and it says so."""
    with running(requestable, "lock") as target:
        told = inject(target.pid, leave(1))
        assert told.method == "ptrace"
        assert any(step.startswith("not by PEP 768: ") and "by ptrace instead" in step for step in told.steps)
        assert not leftovers(requestable)
        with pytest.raises(AttachError) as refused:
            inject(target.pid, leave(2), method="pep768", patience=0.3)
        assert refused.value.kind == "no_safe_point"
        assert end(target)["seen"] == [1]  # also at its end, when the lock is there, the requests do not come back
    assert not leftovers(requestable)


@pytest.mark.parametrize("state", ["naps", "polls", "futexes", "reads"])
def test_a_call_that_python_has_not_made_is_not_interrupted(requestable: Interpreter, state: str) -> None:
    """Made past Python, it is repeated by nobody: the request waits until it is over."""
    with running(requestable, state) as target:
        for number in range(8):
            told = inject(target.pid, leave(number))
            assert told.method == "pep768"
            assert not any("interrupting" in step for step in told.steps)
        assert end(target)["seen"] == list(range(8))


def test_a_call_that_python_has_made_is_interrupted(requestable: Interpreter) -> None:
    """Python repeats it with the time that is left."""
    with running(requestable, "sleep") as target:
        steps = [step for number in range(5) for step in inject(target.pid, leave(number), method="pep768").steps]
        assert any("interrupting system call" in step for step in steps)
        end(target)


def test_a_request_that_the_interpreter_cannot_run_is_followed_by_ptrace(requestable: Interpreter) -> None:
    """CPython needs builtins to open a script, and complains where a program runs code without any."""
    with running(requestable, "stripped") as target:
        told = inject(target.pid, leave(1))
        assert told.method == "ptrace"
        assert any("took the request and did not run it" in step for step in told.steps)
        status, complaint = target.stop()
        assert status == 0 and complaint.count("Can't open debugger script") == 1
        assert target.last_words is not None and target.last_words["seen"] == [1]
    assert not leftovers(requestable)


RAISING = {
    "ZeroDivisionError: division by zero": "1/0",
    "SyntaxError": "this is no Python",
    "SystemExit: 3": "raise SystemExit(3)",
    "ValueError: Größe": "raise ValueError('Größe')",
    "RuntimeError: xxxx": "raise RuntimeError('x' * 100000)",
    "Nameless": "class Nameless(Exception):\n    def __str__(self):\n        raise self\nraise Nameless()",
}


@pytest.mark.parametrize("way", ["auto", "ptrace"])
@pytest.mark.parametrize("why", RAISING)
def test_what_a_script_raises_comes_back(newest: Interpreter, way: str, why: str) -> None:
    """It is told to the observer, and neither printed nor felt in the program."""
    with running(newest, "idle") as target:
        with pytest.raises(AttachError) as raised:
            inject(target.pid, RAISING[why], method=way)
        assert raised.value.kind == "script"
        assert why in raised.value.why
        inject(target.pid, leave(1), method=way)
        assert end(target)["seen"] == [1]
    assert not leftovers(newest)


@pytest.mark.every
@pytest.mark.parametrize("why", RAISING)
def test_what_a_script_raises_comes_back_from_every_interpreter(interpreter: Interpreter, why: str) -> None:
    """The same everywhere."""
    with running(interpreter, "sleep") as target:
        for way in ways(interpreter):
            with pytest.raises(AttachError) as raised:
                inject(target.pid, RAISING[why], method=way)
            assert raised.value.kind == "script" and why in raised.value.why
        end(target)


def test_a_script_leaves_nothing_of_its_own_behind(interpreter: Interpreter) -> None:
    """Neither names in `__main__`, nor modules, nor threads, nor mappings, nor open files."""
    count = "import sys\nm = sys.modules['__main__']\nm.seen.append([sorted(vars(m)), sorted(sys.modules)])"
    with running(interpreter, "sleep") as target:
        threads = threads_of(target.pid)
        for way in ways(interpreter):
            inject(target.pid, count, method=way)
        files = len(os.listdir(f"/proc/{target.pid}/fd"))
        for way in ways(interpreter):
            inject(target.pid, count, method=way)
        wait_until(lambda: threads_of(target.pid) == threads)
        assert len(os.listdir(f"/proc/{target.pid}/fd")) == files
        seen = end(target)["seen"]
    first = seen[0]
    assert "SOURCE" not in first[0] and "REPORT" not in first[0]
    assert all(each == first for each in seen)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program that drops its user")
def test_a_service_that_has_dropped_root(interpreter: Interpreter) -> None:
    """It owns nothing of its own in /proc any more; scripts and what they raise come through all the same."""
    with running(interpreter, "dropped") as target:
        for way in ways(interpreter):
            inject(target.pid, leave(1), method=way)
            with pytest.raises(AttachError) as raised:
                inject(target.pid, "1/0", method=way)
            assert "division by zero" in raised.value.why
        end(target)
    assert not leftovers(interpreter)


def test_a_program_that_has_mapped_a_file_of_any_name(interpreter: Interpreter) -> None:
    """In the list of its mappings a name may hold all that ends lines elsewhere."""
    script = "import mmap, sys\nwith open({!r}, 'w+b') as file:\n    file.truncate(4096)\n"
    script += "    sys.modules['__main__'].kept = mmap.mmap(file.fileno(), 4096)"
    scratch = interpreter.scratch("names")
    try:
        with running(interpreter, "idle") as target:
            inject(target.pid, script.format(interpreter.inside(scratch) + "/a\r b\x1c\u2028\x85dead-beef\n r-xp"))
            for number, way in enumerate(ways(interpreter)):
                inject(target.pid, leave(number), method=way)
            end(target)
    finally:
        shutil.rmtree(scratch)


def test_three_observers_at_once(newest: Interpreter) -> None:
    """Whoever comes while another one holds the target waits a moment."""
    failures: list[Exception] = []

    def attach(number: int) -> None:
        try:
            inject(target.pid, leave(number))
        except AttachError as error:
            failures.append(error)

    with running(newest, "cpu") as target:
        threads = [threading.Thread(target=attach, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert sorted(end(target)["seen"]) == [0, 1, 2]


@pytest.mark.parametrize("turn", range(4))
def test_a_target_that_is_killed_meanwhile(newest: Interpreter, turn: int) -> None:
    """At whatever moment it dies: the observer learns it as an error of ours, or was done before."""
    dies(newest, turn)


@pytest.mark.every
@pytest.mark.parametrize("turn", range(5))
def test_every_interpreter_killed_meanwhile(interpreter: Interpreter, turn: int) -> None:
    """The same on each, at more moments."""
    dies(interpreter, turn)


def dies(interpreter: Interpreter, turn: int) -> None:
    state = STATES[turn % len(STATES)]
    with running(interpreter, state) as target:
        way = random.choice(list(ways(interpreter)))
        timer = threading.Timer(random.uniform(0.04, 0.12), os.kill, (target.pid, signal.SIGKILL))
        timer.start()
        try:
            for number in range(20):
                inject(target.pid, leave(number), method=way)
        except AttachError as error:
            assert error.kind in ("gone", "not_python"), error
        timer.join()
        assert target.process.wait() == -signal.SIGKILL
    assert not leftovers(interpreter)


@pytest.mark.every
@pytest.mark.parametrize("turn", range(5))
def test_attaching_while_the_program_comes_up(interpreter: Interpreter, turn: int) -> None:
    """At whatever moment of its start: the script runs, or the refusal is plain, and the program comes up."""
    with running(interpreter, "sleep", wait=False) as target:
        threading.Event().wait(random.uniform(0, 0.1))
        try:
            inject(target.pid, "import sys", patience=10)
        except AttachError as error:
            assert error.kind in ("failed", "not_python", "unsupported", "gone", "no_safe_point"), error
        target.wait_until_ready(60)
        inject(target.pid, leave(1))
        assert end(target)["seen"] == [1]


@pytest.mark.every
@pytest.mark.parametrize("turn", range(5))
def test_attaching_while_the_program_ends(interpreter: Interpreter, turn: int) -> None:
    """At whatever moment of its end: it ends with its own status, and says nothing."""
    with running(interpreter, "sleep") as target:
        assert target.process.stdin is not None
        target.process.stdin.close()
        threading.Event().wait(random.uniform(0.05, 0.25))
        try:
            inject(target.pid, "import sys", patience=2)
        except AttachError as error:
            kinds = ("gone", "not_python", "failed", "interpreter_lock", "script", "no_safe_point")
            assert error.kind in kinds, error
        end(target)
