"""The socket of an agent is found in whatever namespaces its process lives; what is not the agent's is passed over.

Each process here has a /tmp of its own, so that the tests may put into it what an agent would never leave there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyobserver.agent import bundle
from pyobserver.attach.procfs import start_ticks
from pyobserver.source.client import AgentClient
from pyobserver.source.errors import ClientError
from pyobserver.source.find import find_agent

from .scripted import bind, wait_for

_MOUNTS = "set -e; mount -t tmpfs none /tmp; mount -t tmpfs none /var; mkdir /tmp/a /tmp/b; echo READY; exec {program}"
_PYTHON = os.path.realpath(sys.executable)  # an environment may lie below /tmp, which is hidden here
_IDLE = f"{_PYTHON} -c 'import sys; sys.stdin.read()'"
_READING = f"{_PYTHON} -c 'import sys; exec(sys.stdin.read(), dict())'"
_AGENT = bundle.script({"linger": None})
_WAITS = "\nimport time; print(1, flush=True); time.sleep(600)"
_USUAL = () if os.geteuid() == 0 else ("--user", "--map-root-user")


@contextlib.contextmanager
def hidden(program: str, *namespaces: str, words: str = "") -> Iterator[int]:
    """The pid of a process with a /tmp of its own, and namespaces that the options of unshare(1) name."""
    process = subprocess.Popen(
        ["unshare", "--mount", *namespaces, "bash", "-c", _MOUNTS.format(program=program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        if _PYTHON.startswith(("/tmp/", "/var/")):
            pytest.skip(f"{_PYTHON} lies where the process cannot see it")
        if process.stdout.readline() != "READY\n":
            pytest.skip(f"no namespaces here: {process.stderr.read().strip()}")
        if words:
            process.stdin.write(words)
            process.stdin.close()
            assert process.stdout.readline() == "1\n", process.stderr.read()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield int(children[0]) if "--kill-child" in namespaces else process.pid
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


class Place:
    """Where an agent in process `pid` puts its socket; the process is without one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.tmp = Path(f"/proc/{pid}/root/tmp")
        self.uid = 0  # as the process numbers itself
        self.name = f"{pid}-{start_ticks(pid)}.sock"
        self._opened: list[socket.socket] = []

    def folder(self, above: Path | None = None, mode: int = 0o700) -> Path:
        folder = (above or self.tmp) / f"pyobserver-{self.uid}"
        folder.mkdir()
        folder.chmod(mode)
        return folder

    def listen(self, path: Path, mode: int = 0o600) -> Path:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._opened.append(opened)
        bind(opened, str(path))
        path.chmod(mode)
        return path

    def close(self) -> None:
        for opened in self._opened:
            opened.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with hidden(_IDLE, *_USUAL) as pid:
        found = Place(pid)
        yield found
        found.close()


def test_a_socket_where_an_agent_would_have_it(place: Place) -> None:
    path = place.listen(place.folder() / place.name)
    assert find_agent(place.pid) == str(path)


def test_no_socket_at_all(place: Place) -> None:
    assert find_agent(place.pid) is None
    place.folder()
    assert find_agent(place.pid) is None


def test_no_process_at_all() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert find_agent(process.pid) is None


@pytest.mark.parametrize("name", ["{pid}-1.sock", "1-{ticks}.sock", "{pid}-{ticks}.socket", "{pid}.sock"])
def test_a_socket_of_another_process(place: Place, name: str) -> None:
    place.listen(place.folder() / name.format(pid=place.pid, ticks=start_ticks(place.pid)))
    assert find_agent(place.pid) is None


def test_an_agent_that_cannot_read_its_own_start(place: Place) -> None:
    path = place.listen(place.folder() / f"{place.pid}-0.sock")
    assert find_agent(place.pid) == str(path)


def test_a_socket_that_nobody_listens_at_stays_where_it_is(place: Place) -> None:
    path = place.listen(place.folder() / place.name)
    place.close()
    assert find_agent(place.pid) is None
    assert path.is_socket()


def test_a_listener_that_does_not_get_around_to_accept(place: Place) -> None:
    path = place.listen(place.folder() / place.name)
    waiting = []
    with contextlib.suppress(BlockingIOError):
        for _ in range(100):
            waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            waiting[-1].connect(str(path))
    try:
        assert find_agent(place.pid) == str(path)
    finally:
        for each in waiting:
            each.close()


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o720, 0o740, 0o755, 0o777])
def test_a_folder_that_is_open_to_others(place: Place, mode: int) -> None:
    place.listen(place.folder(mode=mode) / place.name)
    assert find_agent(place.pid) is None


@pytest.mark.parametrize("mode", [0o601, 0o620, 0o602, 0o666, 0o700])
def test_a_socket_that_is_open_to_others(place: Place, mode: int) -> None:
    place.listen(place.folder() / place.name, mode)
    assert find_agent(place.pid) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["folder", "socket"])
def test_what_belongs_to_somebody_else(place: Place, what: str) -> None:
    path = place.listen(place.folder() / place.name)
    os.chown(path if what == "socket" else path.parent, 4321, 4321)
    assert find_agent(place.pid) is None


def test_a_folder_that_is_a_link(place: Place) -> None:
    folder = place.folder(place.tmp / "a")
    place.listen(folder / place.name)
    (place.tmp / folder.name).symlink_to(f"a/{folder.name}")
    assert find_agent(place.pid) is None


def test_a_socket_that_is_a_link(place: Place) -> None:
    folder = place.folder()
    place.listen(place.tmp / "a" / "other.sock")
    (folder / place.name).symlink_to("../a/other.sock")
    assert find_agent(place.pid) is None


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: os.mkfifo(path, 0o600)])
def test_what_is_no_socket(place: Place, make: Callable[[Path], None]) -> None:
    make(place.folder() / place.name)
    assert find_agent(place.pid) is None


def test_a_folder_for_all_that_is_a_link_is_followed_within_the_root_of_the_process(place: Place) -> None:
    """Seen from here, the link would lead into a folder of this process."""
    var = Path(f"/proc/{place.pid}/root/var")
    (var / "first").symlink_to("/tmp/a")
    (var / "tmp").symlink_to("first/../b")
    place.listen(place.folder(place.tmp / "b") / place.name)
    assert find_agent(place.pid) == f"/proc/{place.pid}/root/tmp/b/pyobserver-0/{place.name}"
    (var / "tmp").unlink()
    (var / "tmp").symlink_to("tmp")
    assert find_agent(place.pid) is None


@pytest.mark.parametrize(
    "namespaces",
    [
        _USUAL,
        (*_USUAL, "--pid", "--kill-child"),
        ("--user", "--map-root-user"),
        ("--user", "--map-root-user", "--pid", "--kill-child", "--net"),
    ],
    ids=" ".join,
)
def test_a_real_agent_in_other_namespaces(namespaces: tuple[str, ...]) -> None:
    """It is found there, and is the one that answers."""
    with hidden(_READING, *namespaces, words=_AGENT + _WAITS) as pid:
        path = wait_for(lambda: find_agent(pid), "the agent's socket")
        assert path.startswith(f"/proc/{pid}/root/tmp/pyobserver-0/")
        with AgentClient(path, pid) as client:
            status = Path(f"/proc/{pid}/status").read_text()
            assert f"NSpid:\t{pid}" in status and f"\t{client.hello.pid}\n" in status
            client.detach()
        wait_for(lambda: find_agent(pid) is None, "the end of the agent")


def test_a_real_agent_whose_user_has_another_number_inside() -> None:
    """Its folder is called by the number that the process knows."""
    with hidden(f"unshare --user --map-user=1234 {_READING}", *_USUAL, words=_AGENT + _WAITS) as pid:
        path = wait_for(lambda: find_agent(pid), "the agent's socket")
        assert path.startswith(f"/proc/{pid}/root/tmp/pyobserver-1234/")
        with AgentClient(path, pid) as client:
            client.detach()


def test_what_an_agent_left_before_its_process_ran_another_program() -> None:
    """An exec takes the agent away, but neither the pid nor the start of the process."""
    then = "import time; time.sleep(601)"
    ending = f"\nimport os, sys; print(1, flush=True); os.execv(sys.executable, [sys.executable, '-c', {then!r}])"
    with hidden(_READING, *_USUAL, words=_AGENT + ending) as pid:
        wait_for(lambda: b"sleep(601)" in Path(f"/proc/{pid}/cmdline").read_bytes(), "the other program")
        left = list(Path(f"/proc/{pid}/root/tmp/pyobserver-0").glob(f"{pid}-*.sock"))
        assert len(left) == 1
        assert find_agent(pid) is None
        assert left[0].is_socket()


def test_a_socket_where_another_process_listens(place: Place) -> None:
    """It may be found, as it lies where only the target's user can put it, but it is not talked with."""
    path = place.listen(place.folder() / place.name)
    assert find_agent(place.pid) == str(path)
    with pytest.raises(ClientError, match=f"another process: {os.getpid()}"):
        AgentClient(str(path), place.pid, patience=5.0)
