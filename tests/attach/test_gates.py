"""What is refused, with the reason and what lifts it; nothing is touched by asking."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyobserver.attach import AttachError, Examination, examine, inject
from pyobserver.attach.gates import _Closed, _Gates, has_option, speaks_pep768
from pyobserver.attach.interpreters import Interpreter as Python

from ..support.interpreters import Interpreter
from .conftest import end, leave, running, state_of, wait_until


def refused(pid: int, kind: str, **options: object) -> Examination:
    """The examination of a process that must be refused, by `examine` and by `inject` alike."""
    found = examine(pid, **options)  # type: ignore[arg-type]
    assert not found.ok and found.method is None
    assert found.kind == kind and found.reason
    with pytest.raises(AttachError) as raised:
        inject(pid, leave(13), **options)  # type: ignore[arg-type]
    assert raised.value.kind == kind
    return found


@contextlib.contextmanager
def sleeper(*command: str) -> Iterator[int]:
    """A process that is no Python."""
    process = subprocess.Popen(command or ("sleep", "600"))
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_an_open_gate(interpreter: Interpreter) -> None:
    """What is found out about a process that can be attached to."""
    with running(interpreter, "idle") as target:
        found = examine(target.pid)
        end(target)
    assert found.ok and found.kind == found.reason == found.help == ""
    assert found.python == ".".join(map(str, interpreter.version))
    assert found.implementation == "cpython"
    assert found.executable is not None and "python" in found.executable
    assert found.method == ("pep768" if interpreter.minor >= (3, 14) else "ptrace")


def test_a_process_that_does_not_exist() -> None:
    """A number that no process has."""
    largest = int(Path("/proc/sys/kernel/pid_max").read_text())
    refused(largest + 1, "gone")


def test_a_process_that_has_ended() -> None:
    """A zombie has a number, and nothing else."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        wait_until(lambda: state_of(process.pid) == "Z")
        assert "ended" in refused(process.pid, "gone").reason
    finally:
        process.wait()


def test_a_thread_is_no_process(newest: Interpreter) -> None:
    """The number of a thread is answered with that of its process."""
    with running(newest, "sleep") as target:
        thread = next(int(n) for n in os.listdir(f"/proc/{target.pid}/task") if int(n) != target.pid)
        assert str(target.pid) in refused(thread, "gone").help
        end(target)


def test_a_process_that_is_no_python() -> None:
    """Its executable is named."""
    with sleeper() as pid:
        wait_until(lambda: "sleep" in os.readlink(f"/proc/{pid}/exe") or "coreutils" in os.readlink(f"/proc/{pid}/exe"))
        assert os.readlink(f"/proc/{pid}/exe") in refused(pid, "not_python").reason


def test_a_python_that_is_too_old() -> None:
    """Versions before 3.8 are refused by their number."""
    old = sorted(Path.home().glob(".pyenv/versions/3.[67].*/bin/python"))
    if not old:
        pytest.skip("no Python 3.6 or 3.7 was found")
    process = subprocess.Popen([old[0], "-c", "print('READY', flush=True); input()"], stdin=-1, stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()
    found = refused(process.pid, "too_old")
    process.communicate(b"\n")
    assert process.returncode == 0
    assert "3.8" in found.reason and found.python is not None and found.python in found.reason


def test_pypy_is_told_by_name() -> None:
    """An implementation that is not CPython is refused, whatever it is called."""
    with executable_named("pypy3.10-c") as pid:
        found = refused(pid, "unsupported")
    assert found.implementation == "pypy" and "pypy" in found.reason


def test_a_free_threaded_python_is_told_by_name() -> None:
    """A build without the interpreter lock is refused."""
    with executable_named("python3.13t") as pid:
        assert "free-threaded" in refused(pid, "unsupported").reason


@contextlib.contextmanager
def executable_named(name: str) -> Iterator[int]:
    """A harmless process whose executable has a name that tells what it is."""
    program = shutil.which("sleep")
    assert program is not None
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        copy = shutil.copy(Path(program).resolve(), folder / name)
        with sleeper(copy, "600") as pid:
            wait_until(lambda: os.readlink(f"/proc/{pid}/exe").endswith(name))
            yield pid
    finally:
        shutil.rmtree(folder)


def test_a_program_with_alarms_is_not_asked(requestable: Interpreter) -> None:
    """What their handlers raise while a request begins would be lost; whoever wants it so can have it."""
    with running(requestable, "signals") as target:
        assert examine(target.pid).method == "ptrace"
        assert examine(target.pid, "pep768").method == "pep768"
        assert inject(target.pid, leave(1)).method == "ptrace"
        assert end(target)["seen"] == [1]
    with running(requestable, "idle") as target:
        assert examine(target.pid).method == "pep768"
        end(target)


def test_a_stopped_process_is_left_stopped(newest: Interpreter) -> None:
    """It is refused, stays as it is, and can be attached to when it goes on."""
    with running(newest, "sleep") as target:
        os.kill(target.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(target.pid) == "T")
        assert "CONT" in refused(target.pid, "stopped").help
        assert state_of(target.pid) == "T"
        os.kill(target.pid, signal.SIGCONT)
        inject(target.pid, leave(1))
        assert end(target)["seen"] == [1]


def test_a_traced_process_names_its_tracer(newest: Interpreter) -> None:
    """There is room for one tracer only; afterwards it works."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    with running(newest, "sleep") as target:
        tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-p", str(target.pid)], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in Path(f"/proc/{target.pid}/status").read_text())
            assert f"{tracer.pid} (strace)" in refused(target.pid, "traced").reason
        finally:
            tracer.terminate()
            tracer.wait()
        inject(target.pid, leave(1))
        assert end(target)["seen"] == [1]


def as_nobody(work: Callable[[], str]) -> str:
    """What `work` returns in a child of ours that has given up all rights."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, work().encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")
def test_another_users_process(newest: Interpreter) -> None:
    """Without the right to trace it: whose it is, who we are, and what would lift it."""

    def ask() -> str:
        try:
            inject(target.pid, leave(1))
        except AttachError as error:
            found = examine(target.pid)
            return f"{error.kind}|{found.kind}|{found.reason}|{found.help}"
        return "it was let in"

    with running(newest, "idle") as target:
        first, second, reason, help = as_nobody(ask).split("|")
        assert end(target)["seen"] == []
    assert first == second == "denied"
    assert "user 0" in reason and "user 65534" in reason
    assert "CAP_SYS_PTRACE" in help


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")
def test_another_users_process_that_is_no_python() -> None:
    """Nothing can be known about it, so it is the missing right that is told."""
    with sleeper() as pid:
        assert as_nobody(lambda: examine(pid).kind) == "denied"


def test_a_program_that_wants_to_be_left_alone(newest: Interpreter) -> None:
    """The variable that switches remote debugging off is respected on all versions, unless it is overruled."""
    with running(newest, "idle", environment={"PYTHON_DISABLE_REMOTE_DEBUG": "0"}) as target:
        assert "PYTHON_DISABLE_REMOTE_DEBUG" in refused(target.pid, "opted_out").reason
        told = inject(target.pid, leave(1), force=True)
        assert told.method == "ptrace"
        assert end(target)["seen"] == [1]


def test_an_empty_variable_is_none(newest: Interpreter) -> None:
    """As the interpreter sees it."""
    with running(newest, "idle", environment={"PYTHON_DISABLE_REMOTE_DEBUG": ""}) as target:
        assert examine(target.pid).ok
        end(target)


def test_a_program_that_wants_to_be_left_alone_by_an_option(requestable: Interpreter) -> None:
    """The same by -X disable-remote-debug; the interpreter agrees that it takes no requests then."""
    with running(requestable, "idle", options=["-X", "disable-remote-debug"]) as target:
        assert "-X disable-remote-debug" in refused(target.pid, "opted_out").reason
        assert examine(target.pid, force=True).method == "ptrace"
        assert examine(target.pid, method="pep768", force=True).kind == "unsupported"
        inject(target.pid, "import sys\n" + leave(0).replace("0", "sys.is_remote_debug_enabled()"), force=True)
        assert end(target)["seen"] == [False]


@pytest.mark.parametrize(
    ("command", "there"),
    [
        ("python -X disable-remote-debug x.py", True),
        ("python -Xdisable-remote-debug -c pass", True),
        ("python -IX disable-remote-debug", True),
        ("python -W error -X dev -X disable-remote-debug -m http.server", True),
        ("python --check-hash-based-pycs always -X disable-remote-debug x.py", True),
        ("python x.py -X disable-remote-debug", False),
        ("python -m thing -X disable-remote-debug", False),
        ("python -mthing -X disable-remote-debug", False),
        ("python -c pass -X disable-remote-debug", False),
        ("python -W -X disable-remote-debug", False),
        ("python - -X disable-remote-debug", False),
        ("python -X dev x.py", False),
        ("python", False),
    ],
)
def test_options_of_the_interpreter_and_not_of_the_program(command: str, there: bool) -> None:
    """Read as the interpreter reads its command line."""
    assert has_option(command.split(), "disable-remote-debug") is there


@pytest.mark.parametrize(
    ("version", "free_threaded", "speaks"),
    [
        ("3.14.0", False, True),
        ("3.15.2", False, True),
        ("3.14.0", True, False),
        ("3.15.0rc1", False, False),
        ("3.14", False, False),
        ("3.13.9", False, False),
        ("3.16.0", False, False),
        (None, False, False),
    ],
)
def test_only_known_versions_get_requests(version: str | None, free_threaded: bool, speaks: bool) -> None:
    """The layout of a later version, or of one that is not final, is not guessed."""
    assert speaks_pep768(Python("cpython", version, free_threaded)) is speaks


def test_a_method_that_is_not_there(newest: Interpreter) -> None:
    """A name that means nothing, and a way that this interpreter does not offer."""
    with running(newest, "idle") as target:
        assert "magic" in refused(target.pid, "failed", method="magic").reason
        if newest.minor < (3, 14):
            refused(target.pid, "unsupported", method="pep768")
        end(target)


def test_asking_does_not_touch_the_process(newest: Interpreter) -> None:
    """A hundred examinations while it allocates: nobody stops it, nobody writes to it."""
    with running(newest, "malloc") as target:
        tracers = set()
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                tracers.add(Path(f"/proc/{target.pid}/status").read_text().split("TracerPid:\t")[1].split()[0])

        watcher = threading.Thread(target=look)
        watcher.start()
        for _ in range(100):
            assert examine(target.pid).ok
        stop.set()
        watcher.join()
        assert tracers == {"0"}
        end(target)


def gates(**status: str) -> _Gates:
    """The gates of this process, with some fields of its status replaced."""
    found = _Gates(os.getpid(), "auto", False)
    found.status = {"Uid": "\t".join([str(os.geteuid())] * 4), **status}
    return found


def test_a_shadow_stack() -> None:
    """The kernel would end the thread that returns from where it was not called from."""
    with pytest.raises(_Closed, match="shadow stack"):
        gates(x86_Thread_features="shstk wrss")._without_shadow_stack()
    gates(x86_Thread_features="")._without_shadow_stack()


@pytest.mark.parametrize(("name", "reason"), [("aarch64", "AArch64, .* on no real machine"), ("riscv64", "riscv64, ")])
def test_another_machine(monkeypatch: pytest.MonkeyPatch, name: str, reason: str) -> None:
    """What is not proven on a machine is not tried there, and what there is none for is not either."""
    monkeypatch.setattr("platform.machine", lambda: name)
    with pytest.raises(_Closed, match=reason) as raised:
        gates()._machine()
    assert raised.value.kind == "unsupported" and "x86-64" in raised.value.reason


@pytest.mark.parametrize("name", ["/lib/ld-musl-x86_64.so.1", "/lib/libc.musl-x86_64.so.1"])
def test_another_c_library(name: str) -> None:
    """On musl no place has been proven to be safe."""
    served = gates()
    served._machine()
    served.maps = f"7f0000000000-7f0000001000 r-xp 00000000 08:01 7    {name}\n"
    with pytest.raises(_Closed, match="musl"):
        served._machine()


@pytest.mark.parametrize(
    ("owner", "scope", "reason"),
    [
        (None, 1, "ptrace_scope is 1: a process that started it may"),
        (None, 2, "ptrace_scope is 2: an administrator may"),
        (None, 3, "ptrace_scope is 3: nobody may"),
        (None, 0, "changed its user"),
        ("7\t7\t7\t7", 1, "belongs to user 7"),
    ],
)
def test_why_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch, owner: str | None, scope: int, reason: str) -> None:
    """The rule that is most likely to be the one."""
    monkeypatch.setattr("pyobserver.attach.gates._may_trace_all", lambda: False)
    monkeypatch.setattr("pyobserver.attach.gates._yama", lambda: scope)
    closed = gates(**({"Uid": owner} if owner else {}))
    assert reason in closed._why_denied(PermissionError(1, "Operation not permitted"))
