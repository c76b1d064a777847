"""The target forks: its children know nothing of the agent, and it is not blamed for having one."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from pyobserver.source.find import find_agent

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch
from .mirror import Mirror, bring, connect, observed, on_interpreters, silence, wait_for


def check_child(told: dict[str, Any], before: dict[str, Any], during: dict[str, Any]) -> None:
    """Nothing of ours is in a child: no slot, no socket, no file, no change of how it runs."""
    child = told["child"]
    assert not child["slot"]
    ours = set(during["files"].values()) - set(before["files"].values())
    assert ours
    assert not ours & set(child["files"].values())
    assert child["collecting"]
    assert child["filters"] == before["filters"]
    assert child["blocked"] == before["blocked"]


@on_interpreters
@pytest.mark.parametrize("how", ["fork", "multiprocessing"])
def test_a_child_has_nothing_of_ours_and_the_parent_goes_on(interpreter: Interpreter, how: str) -> None:
    with launch(interpreter, "bystander") as target:
        before = target.ask("state")
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            during = target.ask("state")
            for _ in range(3):
                told = target.ask(how)
                assert told["status"] == (7 if how == "fork" else 0)
                check_child(told, before, during)
                assert told["parent"]["slot"]
                mirror.turn(2)
        silence(target.stop())


@on_interpreters
def test_many_forks_at_any_moment_of_the_agent(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander", "--tasks", 300) as target:
        with observed(target.pid) as mirror:
            for _ in range(3):
                assert target.ask("forks 30")["statuses"] == [7] * 30
                mirror.turn()
            mirror.wait_until_known()
        assert target.ask("forks 3")["statuses"] == [7] * 3  # the agent has gone
        silence(target.stop())


@on_interpreters
def test_a_fork_without_file_descriptors_prints_nothing(interpreter: Interpreter) -> None:
    """How many threads there are cannot be read then: the interpreter would print what a hook raises."""
    with launch(interpreter, "bystander") as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            for _ in range(3):
                assert target.ask("fork_full")["status"] == 7
            mirror.turn(2)
        silence(target.stop())


@on_interpreters
@pytest.mark.parametrize("threads", [0, 2])
def test_a_fork_is_warned_of_as_without_us(interpreter: Interpreter, threads: int) -> None:
    """Since 3.12 a process with several threads is warned. Our thread does not count, others do."""

    def complaints(observe: bool) -> tuple[int, list[str]]:
        environment = {"PYTHONWARNINGS": "always"}
        with launch(interpreter, "bystander", "--threads", threads, environment=environment) as target:
            if not observe:
                target.ask("fork")
                target.ask("fork")
                status, complaint = target.stop()
                return status, _without_pid(complaint, target)
            with observed(target.pid) as mirror:
                mirror.turn(2)
                target.ask("fork")
                target.ask("fork")
                mirror.turn(12)
                assert not [each for each in target.ask("state")["filters"] if "Excuse" in each]
            status, complaint = target.stop()
            return status, _without_pid(complaint, target)

    assert complaints(True) == complaints(False)


def _without_pid(complaint: str, target: RunningTarget) -> list[str]:
    return [line.rpartition("bystander.py:")[2] for line in complaint.replace(str(target.pid), "PID").splitlines()]


@on_interpreters
def test_a_fork_does_not_fail_where_warnings_are_errors(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander", environment={"PYTHONWARNINGS": "error"}) as target:
        with observed(target.pid) as mirror:
            mirror.turn(2)
            assert target.ask("forks 5")["statuses"] == [7] * 5
        silence(target.stop())


@on_interpreters
def test_a_command_inherits_nothing(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander") as target:
        before = target.ask("command")
        with observed(target.pid) as mirror:
            mirror.turn(2)
            assert target.ask("command") == before
        silence(target.stop())


@on_interpreters
def test_an_observer_of_a_parent_that_dies_is_told_although_children_live(interpreter: Interpreter) -> None:
    """A child that kept our sockets would keep the connection, too."""
    with launch(interpreter, "bystander") as target:
        bring(target.pid)
        mirror = Mirror(connect(target.pid))
        mirror.turn()
        child = target.ask("leave_child")["pid"]
        target.process.kill()
        target.process.wait()
        with pytest.raises(Exception, match="ended the connection"):
            while True:
                mirror.hear(5.0)
        os.kill(child, signal.SIGKILL)


@on_interpreters
def test_a_child_can_be_observed_itself(interpreter: Interpreter) -> None:
    with launch(interpreter, "bystander") as target, observed(target.pid) as mirror:
        mirror.turn()
        child = target.ask("leave_child")["pid"]
        assert find_agent(child) is None
        with observed(child) as own:
            own.turn(2)
            assert own.client.hello.build == mirror.client.hello.build
            main = wait_for(lambda: own.turn() or own.threads, "its thread")
            assert [int(row["os_id"]) for row in main] == [child]  # not the number that it had in its parent
        mirror.turn(2)
        target.ask("end_child")
        wait_for(lambda: find_agent(target.pid) is not None, "the parent's agent")
