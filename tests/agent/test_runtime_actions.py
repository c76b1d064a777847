"""An observer that may act cancels a task, and hears what comes of it; one that may not is refused by the agent."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pyobserver.protocol import schema
from pyobserver.source.client import AgentClient
from pyobserver.source.find import find_agent

from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from ..support.targets import RunningTarget, launch
from .mirror import Mirror, bring, connect, observed, on_interpreters, on_newest, silence, wait_for

STATES = schema.ACTION_STATES


class Hand:
    """An observer that may act."""

    def __init__(self, target: RunningTarget, actions: bool = True) -> None:
        self.target = target
        bring(target.pid)
        connect(target.pid).close()
        path = find_agent(target.pid)
        assert path is not None
        self.client = AgentClient(path, target.pid, actions=actions)
        self.mirror = Mirror(self.client)
        self.tokens = 100

    def act(self, number: int, action: str = "cancel") -> list[dict[str, Any]]:
        """Ask for an action; returns the list to which what is said of it will be added."""
        self.tokens += 1
        self.client.act(action, number, self.tokens)
        said: list[dict[str, Any]] = self.mirror.actions.setdefault(self.tokens, [])
        return said

    def cancel(self, name: str) -> list[dict[str, Any]]:
        row: dict[str, Any] = self.mirror.wait(lambda: self.mirror.named(name), f"the task {name}")
        return self.act(row["id"])

    def until(self, said: list[dict[str, Any]], state: str, within: float = 30.0) -> dict[str, Any]:
        """Listen until an action is in a state."""

        def found() -> dict[str, Any] | None:
            return next((each for each in said if STATES[each["state"]] == state), None)

        return self.mirror.wait(found, f"{state}, after {said}", within)


@contextlib.contextmanager
def acting(target: RunningTarget, actions: bool = True) -> Iterator[Hand]:
    hand = Hand(target, actions)
    try:
        yield hand
        assert hand.mirror.problems == []
        hand.client.detach()
        wait_for(lambda: find_agent(target.pid) is None, "the end of the agent")
    finally:
        hand.client.close()


@on_interpreters
def test_what_comes_of_it_is_told(interpreter: Interpreter) -> None:
    """Ended, swallowed, cleaned up, shielded, passed on to a task that does not end; all at once."""
    with launch(interpreter, "cancelled") as target, acting(target) as hand:
        names = ("willing", "swallowing", "cleaning", "shielding", "passing", "gathering", "busy", "counted")
        said = {name: hand.cancel(name) for name in names}
        for name in ("willing", "cleaning", "shielding", "counted"):
            ended = hand.until(said[name], "ended")
            assert ended["final"] and ended["seconds"] >= 0.0
        for name in ("swallowing", "busy"):
            hand.until(said[name], "moved")
        assert "moved" in [STATES[each["state"]] for each in said["cleaning"]]
        truth = target.ask("tasks")
        assert not any(truth[name]["there"] for name in ("willing", "cleaning", "shielding", "counted"))
        assert truth["inner"]["goes_on"]
        for name in ("swallowing", "busy", "passing", "gathering"):
            assert truth[name]["goes_on"]
        assert (truth["swallowing"]["caught"], truth["busy"]["caught"], truth["stubborn"]["caught"]) == (1, 1, 2)
        if interpreter.minor >= (3, 11):  # before, a task does not tell how often it was asked to end
            hand.mirror.turn(3)
            assert [STATES[each["state"]] for each in said["passing"]] == ["asked"]
        assert [STATES[each["state"]] for each in said["gathering"]] == ["asked"]
        assert target.ask("touched") == {"here": 1, "elsewhere": 0}  # the cancel() of `counted`
        hand.mirror.wait(lambda: not hand.mirror.named("willing"), "the end of the row")


@on_interpreters
def test_a_loop_that_is_blocked_comes_to_it_later(interpreter: Interpreter) -> None:
    with launch(interpreter, "cancelled") as target, acting(target) as hand:
        hand.mirror.wait(lambda: hand.mirror.named("willing"), "the tasks")
        target.ask("block")
        said = hand.cancel("willing")
        hand.until(said, "asked")
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() - begun > 0.4, "a while in which it is blocked")
        target.ask("tasks")  # it looks for this no sooner, and goes on
        ended = hand.until(said, "ended")
        assert ended["seconds"] > 0.3


@on_newest
def test_the_agent_refuses_who_may_not(interpreter: Interpreter) -> None:
    """The observer's own care is not relied upon: here the message is sent all the same."""
    with launch(interpreter, "cancelled") as target, acting(target, actions=False) as hand:
        refused = hand.until(hand.cancel("willing"), "refused")
        assert refused["final"] and "--allow-actions" in refused["text"]
        assert target.ask("tasks")["willing"]["goes_on"]


@on_newest
def test_what_is_no_task_or_is_over_is_refused(interpreter: Interpreter) -> None:
    with launch(interpreter, "cancelled") as target, acting(target) as hand:
        hand.mirror.wait(lambda: hand.mirror.threads and hand.mirror.named("willing"), "the rows")
        thread = hand.until(hand.act(hand.mirror.threads[0]["id"]), "refused")
        assert thread["text"] == "only asyncio tasks can be cancelled"
        row = hand.mirror.named("willing")
        assert row is not None
        hand.until(hand.act(row["id"]), "ended")
        assert hand.until(hand.act(row["id"]), "refused")["text"] == "it has ended"
        assert hand.until(hand.act(1 << 40), "refused")["text"] == "it has ended"
        hand.client._connection.send({"t": "cancel", "id": "1", "token": None})  # not understood: nothing
        hand.mirror.turn(2)


@on_interpreters
def test_an_overridden_method_of_the_loop_is_not_called(interpreter: Interpreter) -> None:
    with launch(interpreter, "cancelled", "--loop", "overriding", "--debug") as target, acting(target) as hand:
        hand.until(hand.cancel("willing"), "ended")
        assert target.ask("touched")["elsewhere"] == 0


@on_newest
def test_a_loop_that_turns_in_its_own_way_is_left_alone(interpreter: Interpreter) -> None:
    with launch(interpreter, "cancelled", "--loop", "another") as target, acting(target) as hand:
        refused = hand.until(hand.cancel("willing"), "refused")
        assert "_run_once" in refused["text"]
        assert target.ask("tasks")["willing"]["goes_on"]


@pytest.mark.every
@on_interpreters
def test_uvloop(interpreter: Interpreter) -> None:
    able = with_packages(interpreter, "uvloop")
    with launch(able, "cancelled", "--loop", "uvloop") as target, acting(target) as hand:
        said = {name: hand.cancel(name) for name in ("willing", "swallowing")}
        hand.until(said["willing"], "ended")
        hand.until(said["swallowing"], "moved")
        assert not target.ask("tasks")["willing"]["there"]


@on_newest
def test_the_observer_leaves_before_the_end(interpreter: Interpreter) -> None:
    """Nobody is told any more, and nothing stays."""
    with launch(interpreter, "cancelled") as target:
        with observed(target.pid) as mirror:
            path = find_agent(target.pid)
            assert path is not None
            with AgentClient(path, target.pid, actions=True) as other:
                row = mirror.wait(lambda: mirror.named("swallowing"), "the task")
                other.act("cancel", row["id"], 1)
                wait_for(lambda: target.ask("tasks")["swallowing"]["caught"] == 1, "that it is done")
            mirror.turn(5)
            assert mirror.problems == []
        silence(target.stop())
