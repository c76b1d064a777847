"""Attaching to what production runs: libraries that compute, loops in C, servers and their workers."""

from __future__ import annotations

import pytest

from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from .conftest import SERVICES, attach_often, children_of, end, leftovers, running, threads_of, wait_until
from .traffic import is_up, told_by, traffic

pytestmark = pytest.mark.every  # they need packages, which may have to be fetched


@pytest.mark.parametrize(
    ("state", "package"), [("numeric", "numpy"), ("uvloop_idle", "uvloop"), ("uvloop_busy", "uvloop")]
)
def test_a_library_that_works_in_c(interpreter: Interpreter, state: str, package: str) -> None:
    """Its results are as without us."""
    with running(with_packages(interpreter, package), state, text=SERVICES) as target:
        before = threads_of(target.pid)
        left = attach_often(interpreter, target.pid)
        wait_until(lambda: threads_of(target.pid) == before)
        assert end(target)["seen"] == left
    assert not leftovers(interpreter)


def test_a_server_under_load(interpreter: Interpreter) -> None:
    """No request is lost, and no answer wrong."""
    with running(with_packages(interpreter, "uvicorn"), "uvicorn", text=SERVICES) as target:
        port = target.wait_until_answered()["port"]
        with traffic(port):
            left = attach_often(interpreter, target.pid)
        assert told_by(port, [target.pid]) == {target.pid: left}
        assert end(target)["seen"] == left
    assert not leftovers(interpreter)


@pytest.mark.parametrize(("state", "workers"), [("gunicorn_sync", 1), ("gunicorn_uvicorn", 2)])
def test_a_master_and_its_workers(interpreter: Interpreter, state: str, workers: int) -> None:
    """Each of them, one after the other, under load."""
    able = with_packages(interpreter, "gunicorn", "uvicorn", "uvloop")
    with running(able, state, text=SERVICES) as target:
        port = target.wait_until_answered()["port"]
        wait_until(lambda: len(children_of(target.pid)) == workers)
        wait_until(is_up(port))
        serving = children_of(target.pid)
        with traffic(port):
            left = [attach_often(interpreter, pid, times=3) for pid in (target.pid, *serving)]
        assert told_by(port, serving) == dict(zip(serving, left[1:], strict=True))
        assert children_of(target.pid) == serving
        assert end(target)["seen"] == left[0]
    assert not leftovers(interpreter)
