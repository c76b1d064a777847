"""The whole way, as a user goes it, into processes that live in production: a snapshot of each, and nothing stays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyobserver.attach.procfs import start_ticks
from pyobserver.source.find import find_agent

from .agent.mirror import files_of
from .attach.conftest import SERVICES, children_of, end, running, threads_of, wait_until, within
from .attach.traffic import is_up, told_by, traffic
from .support.interpreters import Interpreter
from .support.packages import with_packages
from .support.story import pyobserver, until
from .support.surroundings import EVERY_NAMESPACE, for_user, observer_of_user, other_root, preloaded

pytestmark = pytest.mark.every
ROOT = Path(__file__).resolve().parent.parent


def ours(*words: object) -> subprocess.CompletedProcess[str]:
    """A command of pyobserver by the one who runs the tests."""
    return pyobserver(*words)


def of_user(*words: object) -> subprocess.CompletedProcess[str]:
    """The same by a user without rights."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pyobserver.cli import main; sys.exit(main())"
    command = [*observer_of_user(), "-c", code, *map(str, words)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, cwd="/")


@contextlib.contextmanager
def unchanged(*pids: int) -> Iterator[None]:
    """After the block the processes have no more threads and open files than they had before it."""

    def have() -> Counter[str]:
        files = (f"{pid}: {name}" for pid in pids for name in files_of(pid).values())
        return Counter({**Counter(files), **{f"threads of {pid}": threads_of(pid) for pid in pids}})

    before = have()
    yield
    if not until(lambda: have() <= before):
        assert have() - before == Counter()


def observed(pid: int, command: Any = ours) -> dict[str, Any]:
    """Takes a snapshot of a process, and has the agent leave."""
    done = command("snapshot", pid, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["agent"]["self_check"] == "ok" and found["problems"] == []
    detached = command("detach", pid)
    assert (detached.returncode, detached.stderr) == (0, "")
    assert find_agent(pid) is None
    assert sockets_below(Path(f"/proc/{pid}/root"), pid) == []
    return found


def sockets_below(root: Path, pid: int) -> list[Path]:
    """The sockets of an agent in a process, as the process numbers itself; not those of an earlier one."""
    status = Path(f"/proc/{pid}/status").read_text()
    number = next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:"))
    names = [f"pyobserver-*/{number}-{ticks}.sock" for ticks in (start_ticks(pid), 0)]
    return [found for base in ("tmp", "var/tmp", "dev/shm") for name in names for found in (root / base).glob(name)]


def named(found: dict[str, Any], kind: str) -> list[str]:
    """The functions of the tasks of a kind."""
    return [row["function"] for row in found["tasks"]["rows"] if row["kind"] == kind]


def test_the_worker_of_a_server(interpreter: Interpreter) -> None:
    """Two workers under load: each tells its own tasks, and no request is lost."""
    able = with_packages(interpreter, "gunicorn", "uvicorn", "uvloop")
    with running(able, "gunicorn_uvicorn", text=SERVICES) as target:
        port = target.wait_until_answered()["port"]
        wait_until(lambda: len(children_of(target.pid)) == 2)
        wait_until(is_up(port))
        workers = children_of(target.pid)
        told_by(port, workers)  # each is up
        with unchanged(*workers), traffic(port):
            for pid in workers:
                assert any("uvicorn" in function for function in named(observed(pid), "asyncio task"))
        end(target)


def test_a_child_of_a_pool(interpreter: Interpreter) -> None:
    """It has no loop, and its only thread is told."""
    with running(interpreter, "pool") as target:
        pids = target.wait_until_answered()["pids"]
        with unchanged(*pids):
            assert all(named(observed(pid), "thread") for pid in pids)
        end(target)


def test_namespaces_and_another_root(interpreter: Interpreter, tmp_path: Path) -> None:
    """It has another number, another /tmp and another network."""
    options = [option for option in EVERY_NAMESPACE if option != "--mount"]
    with running(interpreter, "idle", through=other_root(tmp_path, *options)) as target:
        pid = within(target)
        with unchanged(pid):
            assert any("main" in function for function in named(observed(pid), "asyncio task"))
        end(target)


@pytest.fixture
def scratch(interpreter: Interpreter) -> Iterator[Path]:
    """A folder that the interpreter sees, too."""
    folder = interpreter.scratch("allocator")
    yield folder
    shutil.rmtree(folder)


def test_another_allocator(interpreter: Interpreter, scratch: Path) -> None:
    """While eight threads allocate."""
    with running(preloaded(interpreter, "libjemalloc.so.2", scratch), "crowd") as target:
        with unchanged(target.pid):
            assert len(named(observed(target.pid), "thread")) >= 9
        end(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_same_user_without_rights(interpreter: Interpreter) -> None:
    """What is one's own is seen whole."""
    through, able = for_user(interpreter)
    with running(able, "idle", through=through) as target:
        with unchanged(target.pid):
            found = observed(target.pid, of_user)
            assert any("main" in function for function in named(found, "asyncio task"))
        end(target)
