"""`--leave-agent`: the dashboard goes, the agent stays, `ps` shows it, and `detach` removes it."""

from __future__ import annotations

import time

import pytest

from pyobserver.source.find import find_agent

from .support.commands import agent_leaves, terminal
from .support.interpreters import interpreters
from .support.story import pyobserver
from .support.targets import launch
from .test_listing import listed


@pytest.mark.parametrize("flag", [True, False], ids=["with it", "without it"])
def test_the_agent_stays_when_that_was_said(flag: bool) -> None:
    """And the user is told, with what removes it; without the flag it leaves, and nothing is said."""
    with launch(interpreters()[-1], "parked", "--tasks", 30) as target:
        line = f"the agent stays in {target.pid} and keeps watching; `pyobserver detach {target.pid}` removes it"
        with terminal("attach", target.pid, *["--leave-agent"] * flag) as shown:
            shown.read_until("connected")
            shown.press("q")
            assert shown.status() == 0
            assert shown.is_restored
            assert (line in shown.text) is flag
        if not flag:
            assert agent_leaves(target.pid)
            return
        time.sleep(7.0)  # longer than it would stay otherwise
        assert find_agent(target.pid) is not None
        row = listed(target.pid)
        assert row["method"] == "existing" and 5.0 < row["agent_seconds"] < 120.0
        assert "the agent has been in it for " in pyobserver("ps").stdout
        with terminal("attach", target.pid) as shown:  # another observer does not change that, and is told as well
            shown.read_until("connected")
            shown.press("q")
            assert shown.status() == 0 and line in shown.text
        assert pyobserver("detach", target.pid).returncode == 0
        assert find_agent(target.pid) is None
        assert listed(target.pid)["agent_seconds"] is None


def test_it_stays_in_child_processes_as_well() -> None:
    """In those that were opened, and only there; each is named, with what removes it."""
    with launch(interpreters()[-1], "offspring") as target:
        child, other = target.ask("hire")["pid"], target.ask("hire")["pid"]
        with terminal("attach", target.pid, "--leave-agent") as shown:
            shown.read_until("connected")
            shown.press("4")
            shown.read_until("Supervisor ")
            shown.press("/")
            shown.read_until("show what has this in it")
            shown.press(f"{child}\r")
            shown.read_until(f"1 with “{child}”")
            shown.press("\x1b[F")
            shown.read_until("Enter attach to it")
            shown.press("\r")
            shown.read_until("▸")
            shown.press("1")
            shown.read_until("it keeps watching, until")  # as the agent in the child says
            shown.press("q")
            assert shown.status() == 0
        time.sleep(7.0)  # longer than it would stay otherwise
        for pid in (target.pid, child):
            assert f"the agent stays in {pid} and keeps watching" in shown.text
            assert find_agent(pid) is not None
        assert f"stays in {other}" not in shown.text and find_agent(other) is None
        for pid in (target.pid, child):
            assert pyobserver("detach", pid).returncode == 0
