"""What the agent says of a group is what cancelling all of it frees, and it says when it is an estimate."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from pyobserver.model.details import GroupQuestion
from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, Row, observed, on_interpreters, on_newest, silence

Answer = dict[str, Any]


def of_function(mirror: Mirror, name: str, number: int) -> list[Row]:
    """The rows of a group, as soon as there are as many."""

    def found() -> list[Row] | None:
        rows = [row for row in mirror.tasks if row["function"] == name]
        return rows if len(rows) == number else None

    mirror.wait(lambda: len(mirror.rows) >= number, f"{number} rows")  # to go through 30,000 for each frame takes long
    return mirror.wait(found, f"{number} tasks of {name}")


def asked_until(mirror: Mirror, question: GroupQuestion, is_said: Callable[[Answer], bool]) -> list[Answer]:
    """All answers up to the first of which this is true: on a busy machine the agent may have to leave things out."""
    answers = [mirror.group(question)]
    deadline = time.monotonic() + 60.0
    while not is_said(answers[-1]):
        assert time.monotonic() < deadline, answers
        answers.append(mirror.group(question))
    return answers


@on_interpreters
@pytest.mark.parametrize("number", [2, 50, 500])
def test_it_is_what_cancelling_the_group_frees(interpreter: Interpreter, number: int) -> None:
    """With what only they share, without what a global holds too, which is named beside it.

    Every answer is true: a lower bound is one, and the one that is called exact is.
    """
    with launch(interpreter, "sharing", "--tasks", str(number)) as target:
        with observed(target.pid) as mirror:
            rows = of_function(mirror, "__main__.member", number)

            def is_whole(answer: Answer) -> bool:
                return answer["together_accuracy"] == schema.EXACT and bool(answer["shared"])

            answers = asked_until(mirror, GroupQuestion(like=(rows[0]["id"],)), is_whole)
        freed = target.ask("cancel")["freed"]  # when the agent is gone: it allocates, too
        silence(target.stop())
    most = freed + max(0.02 * freed, 3000)
    assert all(each["together"] < most for each in answers if each["together_accuracy"] == schema.AT_LEAST)
    told = answers[-1]
    assert (told["members"], told["looked_at"], told["moved"], told["ended"]) == (number, number, 0, 0)
    assert told["together"] == pytest.approx(freed, rel=0.02, abs=3000)
    assert told["alone"] < told["together"]
    path, kind, length, size, members = told["shared"][0]
    assert (path, kind, length, members) == ("locals: config", "dict", 1, number)
    assert 300_000 < size <= told["shared_bytes"]
    assert told["by_type"][0][0] == "bytearray"
    assert told["by_type_members"] > 0


@on_newest
def test_a_group_that_runs_meanwhile_is_told_as_such(interpreter: Interpreter) -> None:
    """Its tasks move all the time: as soon as some do between two looks, what they share is called an estimate."""
    with launch(interpreter, "sharing") as target:
        with observed(target.pid) as mirror:
            rows = of_function(mirror, "__main__.Groups.move", 20)
            question = GroupQuestion(like=(rows[0]["id"],))
            told = asked_until(mirror, question, lambda answer: answer["moved"] > 0)[-1]
        silence(target.stop())
    assert told["members"] == 20
    assert told["together_accuracy"] == schema.SAMPLED
    assert "have run while they were looked at" in told["note"]


@on_newest
def test_a_group_that_is_too_large_is_a_sample(interpreter: Interpreter) -> None:
    """Of very many some are looked at by chance; what all retain is within the error, and nothing is said of more."""
    with launch(interpreter, "sharing", "--tasks", "30000", "--own", "2000") as target:
        with observed(target.pid) as mirror:
            rows = of_function(mirror, "__main__.member", 30000)
            told = mirror.group(GroupQuestion(like=(rows[0]["id"],)))
        silence(target.stop())
    assert told["members"] == 30000
    assert 0 < told["looked_at"] < 30000  # some thousand, on a machine with nothing else to do
    assert told["together"] is None
    # On a busy machine one of the thousands may be cut short in its last try: it makes the sum a lower bound.
    assert told["alone_accuracy"] in (schema.SAMPLED, schema.AT_LEAST)
    assert told["alone"] == pytest.approx(30000 * 2900, rel=0.1)
    assert "taken by chance" in told["note"]


@on_newest
def test_nobody_of_a_group_lives(interpreter: Interpreter) -> None:
    """A question about rows that are gone is answered, and so is one that means no task."""
    with launch(interpreter, "sharing") as target:
        with observed(target.pid) as mirror:
            of_function(mirror, "__main__.member", 200)
            assert mirror.group(GroupQuestion(like=(987654,)))["note"] == "none of them lives any more"
            assert mirror.group(GroupQuestion(node=987654))["note"] == "there is no task of them"
        silence(target.stop())
