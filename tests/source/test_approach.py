"""Getting to an agent: joined where it is, brought in where it is not, replaced, left alone, and not forced upon."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyobserver.agent import bundle
from pyobserver.attach import AttachError, Injection
from pyobserver.source import approach
from pyobserver.source.approach import AgentLeft, Approach
from pyobserver.source.errors import AgentEnded, ClientError

from .scripted import Peer, Script, ScriptedAgent


def greets(build: str = "", **changes: Any) -> Script:
    """An agent of ours, or of another build."""

    def script(peer: Peer) -> None:
        peer.greet(build=build or bundle.digest(), **changes)
        while (said := peer.next()) is not None:
            if said["t"] == "detach":
                peer.say({"t": "bye", "reason": "asked to"})

    return script


class World:
    """What there is to be found in the process, and what comes when an agent is brought in."""

    def __init__(self, folder: Path) -> None:
        self.there: ScriptedAgent | None = None
        self.comes: list[Script | AttachError] = []
        self.brought = 0
        self.later = 0.0  # what the clock shows, while it stands
        self.goes = False
        self._folder = folder
        self._agents: list[ScriptedAgent] = []
        self.approach = Approach(os.getpid(), "auto", False, threading.Event(), lambda stage: None, self.clock)

    def clock(self) -> float:
        return time.monotonic() if self.goes else self.later

    def put(self, *scripts: Script) -> None:
        folder = self._folder / str(len(self._agents))
        folder.mkdir()
        self.there = ScriptedAgent(folder, *scripts)
        self._agents.append(self.there.__enter__())

    def find(self, pid: int) -> str | None:
        return self.there.path if self.there else None

    def inject(self, pid: int, script: str, **options: Any) -> Injection:
        self.brought += 1
        comes = self.comes.pop(0)
        if isinstance(comes, AttachError):
            raise comes
        self.put(comes)
        return Injection("ptrace", 0.25, 0.01, ("one", "two"))

    def close(self) -> None:
        for agent in self._agents:
            agent.__exit__(None, None, None)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    found = World(tmp_path)
    monkeypatch.setattr(approach, "find_agent", found.find)
    monkeypatch.setattr(approach, "inject", found.inject)
    yield found
    found.close()


def test_an_agent_that_is_there_is_joined(world: World) -> None:
    world.put(greets())
    contact = world.approach.connect()
    assert (contact.method, contact.held_seconds, world.brought) == ("existing", 0.0, 0)
    contact.client.close()


def test_an_agent_is_brought_in_where_there_is_none(world: World) -> None:
    world.comes = [greets()]
    contact = world.approach.connect()
    assert (contact.method, contact.attach_seconds, contact.held_seconds) == ("ptrace", 0.25, 0.01)
    assert (world.brought, world.approach.steps) == (1, ("one", "two"))
    contact.client.close()


def test_an_agent_of_another_build_is_replaced(world: World) -> None:
    world.put(greets("older"))
    first = world.there
    world.comes = [greets()]
    world.approach.connect().client.close()
    assert world.brought == 1
    assert first is not None and "detach" in first.words()


def test_an_agent_of_another_protocol_is_replaced(world: World) -> None:
    world.put(greets(protocol=99))
    world.comes = [greets()]
    world.approach.connect().client.close()
    assert world.brought == 1


def test_an_older_agent_may_stay_for_a_moment(world: World) -> None:
    """What is found first after an injection may be the one that is on its way out, or nobody at all."""
    world.put(greets("older"))

    def comes(peer: Peer) -> None:
        raise ConnectionResetError

    def says_goodbye(peer: Peer) -> None:
        peer.say({"t": "bye", "reason": "another agent takes over"})

    world.comes = [comes]
    scripts = iter([greets("older"), says_goodbye, comes, greets()])

    def in_turn(peer: Peer) -> None:
        next(scripts)(peer)

    world.comes = [in_turn]
    world.approach.connect().client.close()
    assert next(scripts, None) is None


def test_an_agent_that_fails_at_once_says_why_and_the_next_one_waits(world: World) -> None:
    world.comes = [lambda peer: peer.say({"t": "bye", "reason": "the agent failed: no memory"})]
    with pytest.raises(AgentEnded, match="no memory"):
        world.approach.connect()
    world.there = None
    with pytest.raises(ClientError, match="no memory; it is brought in again in 3 s"):
        world.approach.connect()
    assert world.brought == 1


def test_each_short_life_makes_the_next_wait_longer(world: World) -> None:
    def wait_until_one_is_brought() -> float:
        """Seconds until an agent would be brought in; it is refused then, by something that does not count."""
        world.there = None
        begun = world.later
        while True:
            world.comes = [AttachError("stopped", "it is stopped")]
            try:
                world.approach.connect()
            except ClientError:
                world.later += 1.0
            except AttachError:
                return world.later - begun

    waits = []
    for _ in range(8):
        world.comes = [greets()]
        world.approach.connect().client.close()
        world.approach.has_ended(1.0)
        waits.append(wait_until_one_is_brought())
    assert waits == [3, 6, 12, 24, 48, 60, 60, 60]
    world.comes = [greets()]
    world.approach.connect().client.close()
    world.approach.has_ended(61.0)
    wait_until_one_is_brought()
    world.comes = [greets()]
    world.approach.connect().client.close()
    assert wait_until_one_is_brought() == 3


def test_a_refusal_that_touched_nothing_may_be_tried_again_at_once(world: World) -> None:
    world.comes = [AttachError("stopped", "stopped"), AttachError("interpreter_lock", "busy"), greets()]
    for _ in range(2):
        with pytest.raises(AttachError):
            world.approach.connect()
    world.approach.connect().client.close()


@pytest.mark.parametrize("kind", ["script", "failed", "no_safe_point"])
def test_a_failure_within_the_target_waits(world: World, kind: str) -> None:
    world.comes = [AttachError(kind, "it failed")]
    with pytest.raises(AttachError):
        world.approach.connect()
    with pytest.raises(ClientError, match="again in"):
        world.approach.connect()
    assert world.brought == 1


def test_an_agent_that_was_asked_to_leave_is_not_brought_back(world: World) -> None:
    world.approach.has_left("asked to by an observer")
    with pytest.raises(AgentLeft, match="asked to by an observer"):
        world.approach.connect()
    world.put(greets("newer"))
    with pytest.raises(AgentLeft, match="another version"):
        world.approach.connect()
    assert world.there is not None and "detach" not in world.there.words()
    world.put(greets())
    world.approach.connect().client.close()
    assert world.brought == 0


def test_an_agent_that_does_not_appear(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approach, "_APPEARS_SECONDS", 0.1)
    world.goes = True
    world.comes = [greets("another")]
    with pytest.raises(ClientError, match="one of another version is still there"):
        world.approach.connect()
