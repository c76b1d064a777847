"""Rows are true: what the agent says of each task and thread is what the program knows of itself."""

from __future__ import annotations

from typing import Any

import pytest

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch
from .mirror import Mirror, observed, on_interpreters, silence


def differences(mirror: Mirror, truth: dict[str, dict[str, Any]]) -> list[str]:
    """What the rows say otherwise than the program."""
    found = []
    for name, true in truth.items():
        row = mirror.named(name)
        if row is None:
            found.append(f"{name} is not there")
            continue
        for key in ("function", "state", "waiting", "where"):
            if true.get(key) is not None and row[key] != true[key]:
                found.append(f"{name}: {key} is {row[key]!r}, and should be {true[key]!r}")
    return found


def truth_of(target: RunningTarget, interpreter: Interpreter) -> dict[str, dict[str, Any]]:
    """What the program knows; from 3.14 on, nothing leads to tasks that ended before the agent came."""
    truth: dict[str, dict[str, Any]] = target.ask("truth")["tasks"]
    if interpreter.minor >= (3, 14):
        return {name: true for name, true in truth.items() if true["state"] == "waiting"}
    return truth


@on_interpreters
def test_every_kind_of_waiting_is_told_with_its_line(interpreter: Interpreter) -> None:
    with launch(interpreter, "places") as target:
        with observed(target.pid) as mirror:
            truth = truth_of(target, interpreter)
            mirror.wait(lambda: all(mirror.named(name) for name in truth), "all tasks")
            mirror.turn(3)
            mirror.wait(lambda: not differences(mirror, truth), "the truth")
            assert {row["name"] for row in mirror.tasks} == {*truth, "main"}
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
def test_a_task_that_goes_on_is_told_by_its_new_line(interpreter: Interpreter) -> None:
    with launch(interpreter, "places") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.named("event"), "the task")
            before = mirror.named("event")
            truth = target.ask("move event")["tasks"]["event"]
            mirror.wait(lambda: not differences(mirror, {"event": truth}), "its second line")
            assert mirror.named("event") != before
        silence(target.stop())


@on_interpreters
def test_words_that_a_task_is_cancelled_with_are_not_its_name(interpreter: Interpreter) -> None:
    with launch(interpreter, "places") as target:
        truth = target.ask("cancel stubborn words")["tasks"]
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.named("stubborn"), "the task")
            mirror.turn(2)
            assert differences(mirror, {"stubborn": truth["stubborn"]}) == []
        silence(target.stop())


@on_interpreters
def test_a_task_that_has_ended_stays_as_long_as_it_is_held(interpreter: Interpreter) -> None:
    with launch(interpreter, "places") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.named("limited"), "the task")
            target.ask("cancel limited over")
            mirror.wait(lambda: mirror.named("limited")["state"] == "done, held", "its end")  # type: ignore[index]
            row = mirror.named("limited")
            assert row is not None and row["function"] == "__main__.Places.limited"
            target.ask("forget limited")
            mirror.wait(lambda: not mirror.named("limited"), "its going")
        silence(target.stop())


@on_interpreters
def test_what_is_made_right_after_the_first_look_is_told_soon(interpreter: Interpreter) -> None:
    """To meet all tasks for the first time takes longer than to list them again: new ones do not wait for that."""
    with launch(interpreter, "parked", "--tasks", 12000, "--bytes", 100) as target, observed(target.pid) as mirror:
        mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "the first look")
        target.ask("add 5")
        mirror.wait(lambda: len(mirror.rows) >= 12005, "the new tasks", within=30.0)  # and not minutes
        mirror.wait(lambda: mirror.named("parked-12005"), "the newest task")
        silence(target.stop())


@on_interpreters
def test_what_the_creator_lets_go_of_is_soon_the_tasks(interpreter: Interpreter) -> None:
    """A task is new while whoever has created it still holds what it works on; it does not move when that ends."""
    with launch(interpreter, "parked", "--tasks", 3, "--bytes", 500_000) as target, observed(target.pid) as mirror:
        mirror.wait_until_known()
        target.ask("lend 0.8")
        lent = mirror.wait(lambda: mirror.named("lent"), "the new task")
        assert not lent["flags"] & schema.FLAG_AGE_IS_MINIMUM

        def is_whole() -> bool:
            row = mirror.named("lent")
            return row is not None and row["retained"] > 500_000

        mirror.wait(is_whole, "its payload", within=28.0)  # what is old is measured again after thirty
        silence(target.stop())


@on_interpreters
def test_a_task_that_has_ended_retains_its_result_as_long_as_it_is_held(interpreter: Interpreter) -> None:
    if interpreter.minor >= (3, 14):
        pytest.skip("nothing leads to tasks that ended before the agent came")
    with launch(interpreter, "workers") as target, observed(target.pid) as mirror:
        mirror.wait_until_known()
        rows = mirror.wait_until_exact(lambda: [row for row in mirror.tasks if row["name"].startswith("finished-")])
        assert {row["state"] for row in rows} == {"done, held"} and len(rows) == 3
        assert all(50_000 < row["retained"] < 51_000 for row in rows)
        silence(target.stop())
