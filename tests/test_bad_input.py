"""What cannot be done is said in one line, with why and what would help; the target is as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyobserver.cli import main
from pyobserver.source.find import find_agent
from pyobserver.source.live import LiveSource, SourceError

from .support.commands import NOBODY, agent_leaves, refusal, terminal, without_rights
from .support.interpreters import Interpreter, interpreters
from .support.story import pyobserver, snapshot, until
from .support.targets import RunningTarget, launch

LARGEST = int(Path("/proc/sys/kernel/pid_max").read_text())
HOLDER = """
import ctypes, sys
print("READY", flush=True)
input()
ctypes.PyDLL(None).sleep(int(sys.argv[1]))  # keeps the interpreter lock
print("HELD", flush=True)
input()
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def newest() -> Interpreter:
    """One interpreter, as what is refused does not depend on its version."""
    return [i for i in interpreters() if i.root == Path("/")][-1]


@pytest.fixture
def target(newest: Interpreter) -> Iterator[RunningTarget]:
    """A program that must not notice anything."""
    with launch(newest, "parked", "--tasks", "3") as running:
        yield running
        assert running.ask("cancel parked-1")["blocks"] > 0
        assert running.stop() == (0, "")


@contextlib.contextmanager
def process(*command: object, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Some process; dead at the end."""
    running = subprocess.Popen([str(word) for word in command], **options)  # type: ignore[call-overload]
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        for pipe in (running.stdin, running.stdout):
            if pipe is not None:
                pipe.close()


def tracer(pid: int) -> str:
    """Who traces a process; "0" is nobody."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("TracerPid:"))


# -- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("snapshot", "required: PID"),
        ("snapshot 0", "'0' is no process id"),
        ("snapshot -1", "'-1' is no process id"),
        ("snapshot -- -1", "'-1' is no process id"),
        ("snapshot 99999999999999999999999", "is no process id"),
        ("attach rudder", "'rudder' is no process id; pyobserver ps lists"),
        ("attach ²", "'²' is no process id"),
        ("attach 1\x1b[2J", r"'1\x1b[2J' is no process id"),
        ("detach ''", "is no process id"),
        ("snapshot 1 2", "unrecognized arguments: 2; see pyobserver snapshot --help"),
        ("snapshot 1 --duration nan", "'nan' is no number of seconds"),
        ("snapshot 1 --duration inf", "'inf' is no number of seconds"),
        ("snapshot 1 --duration -3", "'-3' is no number of seconds"),
        ("snapshot 1 --duration soon", "'soon' is no number of seconds"),
        ("snapshot 1 --interval 0", "'0' is no interval from 0.1 to 3600 seconds"),
        ("snapshot 1 --interval nan", "'nan' is no interval"),
        ("--interval -1 ps", "'-1' is no interval"),
        ("snapshot 1 --top -3", "'-3' is no number of rows"),
        ("snapshot 1 --top 1.5", "'1.5' is no number of rows"),
        ("snapshot 1 --sort colour", "choose from 'kind'"),
        ("snapshot 1 --method gdb", "choose from 'auto', 'pep768', 'ptrace'"),
        ("snapshot 1 --js", "unrecognized arguments: --js"),
        ("observe", "choose from 'attach'"),
        ("--colour", "unrecognized arguments: --colour"),
        ("ps 1", "unrecognized arguments: 1; see pyobserver ps --help"),
        ("run", "nothing to run: name a script, or a module with -m"),
        ("run -m", "nothing to run: name a script, or a module with -m"),
        ("run --", "nothing to run"),
    ],
)
def test_arguments(words: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(words.split())
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else -1
    out, err = capsys.readouterr()
    assert part in refusal(subprocess.CompletedProcess(words, status, out, err))


# -- processes that cannot be attached to ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["snapshot", "detach"])
def test_a_process_that_does_not_exist(command: str) -> None:
    line = refusal(pyobserver(command, LARGEST))
    assert f"there is no process {LARGEST}" in line and "pyobserver ps" in line


@pytest.mark.parametrize("name", ["sleep", "pypy3"])
def test_a_process_that_runs_no_python_or_another_one(name: str, tmp_path: Path) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / name)
    with process(program, "600") as running:
        assert until(lambda: name in os.readlink(f"/proc/{running.pid}/exe"))
        line = refusal(pyobserver("snapshot", running.pid))
        assert running.poll() is None
    assert (
        "it runs pypy, and only CPython is served" if name == "pypy3" else f"it does not run Python but {program}"
    ) in line


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_a_python_that_is_too_old(version: str) -> None:
    old = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not old:
        pytest.skip(f"no Python {version} was found")
    with process(old[0], "-c", "import sys; sys.stdin.read()", stdin=subprocess.PIPE) as running:
        assert until(lambda: "site-packages" not in os.readlink(f"/proc/{running.pid}/exe"))
        line = refusal(pyobserver("snapshot", running.pid))
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(60) == 0
    assert f"it runs Python {version}." in line and "3.8 is the oldest that is served" in line


@needs_root
@pytest.mark.parametrize("command", ["snapshot", "detach"])
def test_a_process_of_another_user(target: RunningTarget, command: str) -> None:
    line = refusal(without_rights(command, target.pid))
    assert (
        f"it belongs to user {os.geteuid()}, and you are user {NOBODY}" in line and "run as its user or as root" in line
    )


def test_a_process_that_is_stopped(target: RunningTarget) -> None:
    with target.halted():
        line = refusal(pyobserver("snapshot", target.pid))
        assert "State:\tT" in Path(f"/proc/{target.pid}/status").read_text()
    assert "it is stopped; let it go on with kill -CONT" in line


def test_a_process_that_is_traced(target: RunningTarget) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace was found")
    with process("strace", "-o", os.devnull, "-p", target.pid, stderr=subprocess.DEVNULL) as other:
        assert until(lambda: tracer(target.pid) == str(other.pid))
        line = refusal(pyobserver("snapshot", target.pid))
        assert tracer(target.pid) == str(other.pid)
    assert f"it is traced by process {other.pid} (strace)" in line and line.endswith("end that")


def test_a_program_that_does_not_want_to_be_debugged(newest: Interpreter) -> None:
    environment = {"PYTHON_DISABLE_REMOTE_DEBUG": "1"}
    with launch(newest, "parked", "--tasks", "3", environment=environment) as target:
        line = refusal(pyobserver("snapshot", target.pid))
        assert "PYTHON_DISABLE_REMOTE_DEBUG is set in its environment" in line and "--force" in line
        assert find_agent(target.pid) is None
        assert snapshot(target.pid, "--force")["tasks"]["total"] >= 3
        assert target.ask("cancel parked-1")["blocks"] > 0
        assert target.stop() == (0, "")


def test_a_method_that_the_interpreter_does_not_have(target: RunningTarget) -> None:
    assert "they came with Python 3.14" in refusal(pyobserver("snapshot", target.pid, "--method", "pep768"))


def test_the_dashboard_is_not_opened_on_what_cannot_be_attached_to(tmp_path: Path) -> None:
    with process("sleep", "600") as running, terminal("attach", running.pid) as shown:
        assert shown.status() == 2
        assert shown.text.startswith(f"pyobserver: process {running.pid} cannot be attached to: it does not run Python")
        assert shown.text.count("\n") <= 2


# -- processes that end, or do not answer ---------------------------------------------------------------------------


@contextlib.contextmanager
def holding(seconds: int) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has begun to keep its interpreter lock for some seconds."""
    with process(sys.executable, "-c", HOLDER, seconds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        assert running.stdout.readline() == b"READY\n"
        running.stdin.write(b"\n")
        running.stdin.flush()
        assert until(lambda: "nanosleep" in Path(f"/proc/{running.pid}/wchan").read_text() or slept(running.pid))
        yield running


def slept(pid: int) -> bool:
    """Whether a process is in the system call of sleep(3)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("35", "230")
    return False


def test_a_process_that_keeps_its_lock_is_waited_for() -> None:
    with holding(10) as running:
        document = snapshot(running.pid)
        assert running.stdout is not None
        assert running.stdout.readline() == b"HELD\n"
        assert {row["kind"] for row in document["tasks"]["rows"]} == {"thread"}, document["tasks"]
        running.communicate(b"\n", 20)
        assert running.returncode == 0


def test_a_process_that_keeps_its_lock_for_ever_is_not() -> None:
    with holding(600) as running:
        source = LiveSource(running.pid)
        source.start()
        try:
            with pytest.raises(SourceError, match="waiting for the interpreter lock; try again"):
                source.wait_until_known(3.0)
        finally:
            source.stop()
        assert running.poll() is None


def test_a_process_that_ends_while_we_attach() -> None:
    with holding(600) as running:
        command = subprocess.Popen(
            [sys.executable, "-m", "pyobserver", "snapshot", str(running.pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert until(lambda: len(os.listdir(f"/proc/{running.pid}/task")) > 1)  # the agent waits for the lock
        running.kill()
        running.wait()
        out, err = command.communicate(timeout=60)
    line = refusal(subprocess.CompletedProcess(command.args, command.returncode, out, err))
    assert str(running.pid) in line and "pyobserver ps" in line


# -- the surroundings -----------------------------------------------------------------------------------------------


@pytest.fixture
def stranger() -> Iterator[int]:
    """A user id that has no folder for an agent yet."""
    uid = 3_000_000 + os.getpid()
    yield uid
    for base in ("/tmp", "/var/tmp", "/dev/shm"):
        shutil.rmtree(f"{base}/pyobserver-{uid}", ignore_errors=True)


@contextlib.contextmanager
def program_of(uid: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program of another user."""
    code = (
        "import array, asyncio, binascii, ctypes, json, mmap, resource, zlib\n"  # while he may read them
        f"import os, sys; os.setgroups([]); os.setgid({uid}); os.setuid({uid})\n"
        "print('READY', flush=True); sys.stdin.read()"
    )
    command = (sys.executable, "-c", code)
    with process(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        assert running.stdout is not None and running.stdin is not None
        assert running.stdout.readline() == b"READY\n"
        yield running
        running.stdin.close()
        assert running.stdout.read() == b""
        assert running.wait(60) == 0


def occupied(uid: int, *bases: str) -> None:
    """The agent's folders of a user in these places are somebody else's."""
    for base in bases:
        if Path(base).is_dir():
            os.mkdir(f"{base}/pyobserver-{uid}", 0o755)
            os.chown(f"{base}/pyobserver-{uid}", 1, 1)


@needs_root
def test_a_folder_that_is_somebody_elses_is_passed_over(stranger: int) -> None:
    occupied(stranger, "/tmp")
    with program_of(stranger) as running:
        assert snapshot(running.pid)["tasks"]["rows"]
        found = find_agent(running.pid)
        assert found is not None and "/tmp/" not in found.replace("/var/tmp/", "")
        assert agent_leaves(running.pid)


@needs_root
@pytest.mark.parametrize("imported", ["asyncio, json, zlib", "os"])
def test_a_program_that_has_locked_itself_in(imported: str, tmp_path: Path) -> None:
    """With another root it can load no module any more: what a service has loaded is enough, else it is said."""
    (tmp_path / "tmp").mkdir()
    code = f"import {imported}, os, sys; os.chroot({str(tmp_path)!r}); print('READY', flush=True); sys.stdin.read()"
    command = (sys.executable, "-c", code)
    with process(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"READY\n"
        if "asyncio" in imported:
            assert snapshot(running.pid)["tasks"]["rows"]
        else:
            line = refusal(pyobserver("snapshot", running.pid))
            assert "cannot load the module" in line and "pyobserver.start()" in line
        assert running.communicate(b"", timeout=60) == (b"", None)
        assert running.returncode == 0


@needs_root
def test_where_every_folder_is_somebody_elses(stranger: int) -> None:
    occupied(stranger, "/tmp", "/var/tmp", "/dev/shm")
    with program_of(stranger) as running:
        line = refusal(pyobserver("snapshot", running.pid))
        assert "no folder takes its socket: /tmp:" in line and "belongs to somebody else" in line


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("nowhere.py", ("there is no file nowhere.py", "-m")),
        (".", ("there is no __main__.py in .",)),
        ("-m no_such_module a -v", ("no_such_module could not be started", "No module named no_such_module")),
        ("wrong.py", ("wrong.py could not be started: SyntaxError",)),
        ("--python ./no-python wrong.py", ("./no-python could not be started: No such file", "--python names another")),
        ("--python /bin/false wrong.py", ("wrong.py could not be started: it has ended with status 1",)),
        ("ends.py", ("ends.py has ended with status 3 before it could be observed: out of luck",)),
    ],
)
def test_a_program_that_does_not_begin(words: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("this is no Python\n")
    (tmp_path / "ends.py").write_text("import sys\nprint('out of luck')\nsys.exit(3)\n")
    with terminal("run", *words.split(), cwd=str(tmp_path), columns=500) as shown:
        assert shown.status() == 2
        line = shown.text.strip("\n")
    assert line.startswith("pyobserver: ") and "\n" not in line, line
    for part in parts:
        assert part in line, line
    if "its output is in " in line:
        log = Path(line.rpartition("its output is in ")[2])
        assert log.read_text()
        log.unlink()


def test_the_reader_of_the_output_goes_away(target: RunningTarget) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pyobserver", "snapshot", str(target.pid)],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert agent_leaves(target.pid)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pyobserver", "ps"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert "No space left" in refusal(subprocess.CompletedProcess(done.args, done.returncode, "", done.stderr))
