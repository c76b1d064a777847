"""The runner of the stress scenarios plays them, counts, and ends with status 1 when a target was lost."""

from __future__ import annotations

import os
import signal

import pytest

from ..support.interpreters import Interpreter, interpreters
from .__main__ import main
from .scenarios import SCENARIOS, Scenario, play
from .tally import Tally, cared_for, turns


def test_a_few_rounds_of_two_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, and nothing lost."""
    assert main(["--rounds", "1", "--only", "observers-killed", "forks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    killed, forks, last = lines[2:]
    assert killed.startswith("observers killed ") and "refused (killed 1)" in killed and killed.endswith(" 0 lost")
    assert forks.startswith("forks ") and "2 attempts, 2 answered" in forks
    assert last.startswith("5 attaches, 4 answered, 0 targets lost; ")


@pytest.mark.parametrize("name", ["startup", "targets killed", "raw calls"])
def test_one_round_on_the_newest_interpreter(name: str) -> None:
    """Of the scenarios that take less than a second."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    assert play(scenario, interpreters()[-1], 1).lost == []


def loses(tally: Tally, interpreter: Interpreter, rounds: int) -> None:
    """A scenario in which a target dies."""
    with cared_for(tally, interpreter, "sleep") as target:
        os.kill(target.pid, signal.SIGKILL)
        target.process.wait()


def test_a_lost_target_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the interpreter and the reason, and by the exit status."""
    assert main(["--rounds", "1"], [Scenario("losing", loses, 1)]) == 1
    *_, line, loss, last = capsys.readouterr().out.splitlines()
    assert line.endswith("1 lost") and loss.startswith("    LOST 3.")
    assert "1 targets lost" in last


def test_rounds_are_divided_among_targets() -> None:
    """All of them are played, in parts that one target can bear."""
    parts = list(turns(("a", "b"), 20, each=8))
    assert [list(numbers) for _, numbers in parts] == [[*range(8)], [*range(8, 16)], [*range(16, 20)]]
    assert {state for state, _ in parts} == {"a", "b"}
