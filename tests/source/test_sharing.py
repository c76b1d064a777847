"""Several observers of one process, with the real agent: they share one, and one of another time makes room."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pyobserver.agent import bundle
from pyobserver.attach import inject
from pyobserver.protocol import schema
from pyobserver.source.client import AgentClient
from pyobserver.source.errors import OtherProtocol
from pyobserver.source.find import find_agent

from ..agent.mirror import Mirror, bring, connect, silence, sockets_of, threads_of, wait_for
from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget, launch

FEW = interpreters()[-1:]
on_newest = [pytest.param(i, id=str(i), marks=() if i in FEW else pytest.mark.every) for i in interpreters()]


@pytest.fixture(params=on_newest)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """The newest interpreter, and the others with `make test-all`."""
    found: Interpreter = request.param
    return found


@pytest.fixture
def target(interpreter: Interpreter) -> Iterator[RunningTarget]:
    """A program with some tasks, which must end as if nobody had been there."""
    with launch(interpreter, "bystander") as running:
        before = threads_of(running.pid)
        yield running
        wait_for(lambda: find_agent(running.pid) is None, "the end of the agent")
        wait_for(lambda: threads_of(running.pid) == before, "the end of its thread")
        silence(running.stop())


def snapshots(pid: int, count: int) -> list[dict[str, Any]]:
    """So many snapshots by the command line, all at once."""
    command = [sys.executable, "-m", "pyobserver", "snapshot", str(pid), "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(count)]
    found = []
    for each in running:
        out, complaint = each.communicate(timeout=120)
        assert (each.returncode, complaint) == (0, b"")
        found.append(json.loads(out))
    return found


def names(snapshot: dict[str, Any]) -> list[str]:
    """The names of its asyncio tasks."""
    return sorted(row["name"] for row in snapshot["tasks"]["rows"] if row["kind"] == "asyncio task")


def test_observers_that_come_at_once_share_one_agent(target: RunningTarget) -> None:
    """Each of them may bring it in; one comes to live, and serves all."""
    found = snapshots(target.pid, 3)
    assert names(found[0]) == names(found[1]) == names(found[2]) and len(names(found[0])) >= 10
    assert all(each["problems"] == [] and each["agent"]["self_check"] == "ok" for each in found)


@pytest.mark.every
def test_an_agent_of_another_build_makes_room(target: RunningTarget, interpreter: Interpreter) -> None:
    """Also one that was to stay for ever, and that has an observer, who is told."""
    before = threads_of(target.pid)
    bring(target.pid, build="of another time", linger=None)
    old = Mirror(connect(target.pid))
    old.turn()
    (found,) = snapshots(target.pid, 1)
    assert found["agent"]["method"] != "existing" and len(names(found)) >= 10
    old.wait(lambda: old.farewell is not None, "its goodbye")
    new = connect(target.pid)
    assert new.hello.build == bundle.digest()
    assert len(threads_of(target.pid) - before) == 1 and len(sockets_of(interpreter, target.pid)) == 1
    new.detach()
    new.close()


def script_of_another_protocol(monkeypatch: pytest.MonkeyPatch) -> str:
    """The script of an agent that an observer of a later version would bring."""
    cached = (bundle._boot, bundle._sources, bundle._packed, bundle.digest)
    source = bundle._source

    def changed(name: str) -> str:
        return source(name).replace(f"VERSION = {schema.VERSION}", "VERSION = 99")

    with monkeypatch.context() as patch:
        patch.setattr(bundle, "_source", changed)
        for each in cached:
            each.cache_clear()
        script = bundle.script({"linger": None})
    for each in cached:
        each.cache_clear()
    return script


def test_an_agent_of_another_protocol_makes_room(
    target: RunningTarget, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot even be asked to leave, but leaves."""
    before = threads_of(target.pid)
    inject(target.pid, script_of_another_protocol(monkeypatch))
    path = wait_for(lambda: find_agent(target.pid), "the other agent")
    with pytest.raises(OtherProtocol):
        AgentClient(path, target.pid)
    (found,) = snapshots(target.pid, 1)
    assert found["agent"]["method"] != "existing" and len(names(found)) >= 10
    new = connect(target.pid)
    assert new.hello.build == bundle.digest()
    assert len(threads_of(target.pid) - before) == 1 and len(sockets_of(interpreter, target.pid)) == 1
    new.detach()
    new.close()
