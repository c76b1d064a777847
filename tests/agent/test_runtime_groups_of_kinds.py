"""What the agent says of a group of any kind is what ending all of it frees, or it says why it cannot be told."""

from __future__ import annotations

import pytest

from pyobserver.model.details import GroupQuestion
from pyobserver.protocol import schema

from ..support.interpreters import Interpreter, interpreters
from ..support.packages import with_packages
from ..support.targets import launch
from .mirror import Mirror, Row, observed, on_interpreters, on_newest, silence
from .test_kinds_threads import WITH_FRAMES, on_those_with_frames
from .test_kinds_trio import on_some
from .test_runtime_groups import Answer, asked_until

NUMBER = 50
MISSED = 4000  # bytes beside the members: a list that held them, and such
WITHOUT_VARIABLES = ((3, 11), (3, 12))  # of greenlets


def of_kind(mirror: Mirror, kind: int, function: str, number: int) -> list[Row]:
    """The rows of a group, as soon as there are as many."""

    def found() -> list[Row]:
        rows = [row for row in mirror.rows.values() if row["kind"] == kind]
        rows = [row for row in rows if row["function"].endswith(function)]
        return rows if len(rows) == number else []

    return mirror.wait(found, f"{number} of {function}")


def whole(mirror: Mirror, rows: list[Row]) -> Answer:
    """The first answer about them in which nothing was left out as the machine was busy."""

    def is_whole(answer: Answer) -> bool:
        is_named = bool(answer["common"]) and bool(answer["shared"])
        return answer["looked_at"] == len(rows) and answer["together_accuracy"] != schema.SAMPLED and is_named

    return asked_until(mirror, GroupQuestion(like=(rows[0]["id"],)), is_whole)[-1]


def assert_counted_once(told: Answer, freed: int, number: int = NUMBER, missed: float = 0.06) -> None:
    """What only they share counts, once, and what a global holds is told beside it; by `number` of them.

    `missed` is the share that may be missed: what others hold too, and let go of at the end of a member.
    """
    assert (told["members"], told["looked_at"], told["moved"], told["ended"]) == (number, number, 0, 0)
    path, kind, length, size, members = told["common"][0]
    assert (kind, length, members) == ("list", 30, number) and 300_000 < size < 310_000, path
    assert told["together"] == told["alone"] + sum(entry[3] for entry in told["common"])
    assert freed - max(missed * freed, MISSED) < told["together"] < freed + MISSED
    path, kind, length, size, members = told["shared"][0]
    assert (kind, length, members) == ("dict", 1, number) and 300_000 < size <= told["shared_bytes"], path


@on_some
@pytest.mark.parametrize("how", [(), ("--anyio",)], ids=["trio", "anyio"])
def test_tasks_of_trio(interpreter: Interpreter, how: tuple[str, ...]) -> None:
    """It is what cancelling their nursery frees."""
    able = with_packages(interpreter, "trio", "anyio")
    with launch(able, "sharing_trio", "--tasks", NUMBER, *how) as target:
        with observed(target.pid) as mirror:
            rows = of_kind(mirror, schema.KIND_TRIO_TASK, ".member", NUMBER)
            told = whole(mirror, rows)
            nursery = mirror.group(GroupQuestion(node=rows[0]["parent"]))
        freed = target.ask("cancel")["freed"]
        silence(target.stop())
    assert_counted_once(told, freed, missed=0.1 if how else 0.06)  # anyio gives each a cancel scope: 1 kB
    assert told["common"][0][0].endswith(": common")  # "locals of" what anyio runs, where that runs it
    assert told["shared"][0][0].endswith(": config")
    assert told["by_type"][0][0] == "bytearray"
    assert nursery["members"] == told["members"]
    assert nursery["together"] == pytest.approx(told["together"], abs=0.02 * freed)


@on_newest
def test_tasks_of_trio_that_run_meanwhile(interpreter: Interpreter) -> None:
    """What they share is called an estimate when some have come back to their loop meanwhile."""
    with launch(with_packages(interpreter, "trio", "anyio"), "sharing_trio", "--tasks", 2) as target:
        with observed(target.pid) as mirror:
            rows = of_kind(mirror, schema.KIND_TRIO_TASK, ".move", 20)
            question = GroupQuestion(like=(rows[0]["id"],))
            told = asked_until(mirror, question, lambda answer: answer["moved"] > 0)[-1]
        silence(target.stop())
    assert told["together_accuracy"] == schema.SAMPLED
    assert "have run while they were looked at" in told["note"]


@on_interpreters
@pytest.mark.parametrize(
    ("kind", "function", "ended", "shared"),
    [
        (schema.KIND_ASYNC_GENERATOR, ".lines", "abandoned", "locals: common"),
        (schema.KIND_NEVER_AWAITED, ".push", "never", "locals: common"),
        (schema.KIND_JOB, ".work", "futures", "_WorkItem"),
    ],
    ids=["async generators", "coroutines never awaited", "jobs"],
)
def test_other_kinds(interpreter: Interpreter, kind: int, function: str, ended: str, shared: str) -> None:
    """It is what closing them frees, or cancelling them before a worker comes to them."""
    with launch(interpreter, "sharing_kinds", "--number", NUMBER) as target:
        with observed(target.pid) as mirror:
            told = whole(mirror, of_kind(mirror, kind, function, NUMBER))
        freed = target.ask(f"end {ended}")["freed"]
        silence(target.stop())
    assert_counted_once(told, freed)
    assert told["common"][0][0].startswith(shared)
    assert told["by_type"][0][:2] == ["bytearray", NUMBER]


@on_interpreters
def test_what_one_member_holds_of_another_counts_once(interpreter: Interpreter) -> None:
    """A coroutine that is an argument of another one: each is a row, and alone the outer one retains the inner."""
    with launch(interpreter, "sharing_kinds", "--number", 1) as target:
        with observed(target.pid) as mirror:
            of_kind(mirror, schema.KIND_NEVER_AWAITED, ".nested", 3)
            rows = mirror.wait_until_exact(lambda: of_kind(mirror, schema.KIND_NEVER_AWAITED, ".nested", 3))
            question = GroupQuestion(like=(rows[0]["id"],))
            told = asked_until(mirror, question, lambda answer: answer["together_accuracy"] == schema.EXACT)[-1]
        freed = target.ask("end chain")["freed"]
        silence(target.stop())
    assert max(row["retained"] for row in rows) > 300_000
    assert told["together"] == told["alone"] == pytest.approx(freed, abs=MISSED)
    assert told["by_type"][0][:2] == ["bytearray", 3]


@on_newest
def test_generators_that_somebody_goes_on_with(interpreter: Interpreter) -> None:
    """Nothing tells that one has run: but twice not the same is found, so that what they share is an estimate."""
    with launch(interpreter, "sharing_kinds", "--number", 1) as target:
        with observed(target.pid) as mirror:
            target.ask("stir")
            rows = of_kind(mirror, schema.KIND_ASYNC_GENERATOR, ".counting", 20)
            question = GroupQuestion(like=(rows[0]["id"],))
            told = asked_until(mirror, question, lambda answer: answer["moved"] > 0)[-1]
        silence(target.stop())
    assert told["together_accuracy"] == schema.SAMPLED


@on_newest
def test_all_of_a_process_whatever_kind_they_are_of(interpreter: Interpreter) -> None:
    """Each kind is measured in its own way, and what is left out is told."""
    with launch(interpreter, "sharing_kinds", "--number", NUMBER) as target:
        with observed(target.pid) as mirror:
            of_kind(mirror, schema.KIND_ASYNC_GENERATOR, ".lines", NUMBER)
            of_kind(mirror, schema.KIND_NEVER_AWAITED, ".push", NUMBER)
            of_kind(mirror, schema.KIND_NEVER_AWAITED, ".nested", 3)
            of_kind(mirror, schema.KIND_JOB, ".work", NUMBER)
            told = asked_until(mirror, GroupQuestion(), lambda answer: len(answer["common"]) >= 3)[-1]
        silence(target.stop())
    assert told["members"] >= 3 * NUMBER + 3
    assert [entry[4] for entry in told["common"][:3]] == 3 * [NUMBER]
    assert told["shared"][0][4] == 3 * NUMBER
    assert "not among them: thread (2)" in told["note"]


@on_interpreters
def test_greenlets(interpreter: Interpreter) -> None:
    """At least what killing them frees, as what lies on their stacks is not seen; or why nothing can be told."""
    with launch(with_packages(interpreter, "greenlet"), "sharing_greenlets", "--number", NUMBER) as target:
        with observed(target.pid) as mirror:
            rows = of_kind(mirror, schema.KIND_GREENLET, "", NUMBER)  # on 3.11 it is not known what they run
            if interpreter.minor in WITHOUT_VARIABLES:
                told = mirror.group(GroupQuestion(like=(rows[0]["id"],)))
            else:
                told = whole(mirror, rows)
        freed = target.ask("kill")["freed"]
        silence(target.stop())
    if interpreter.minor in WITHOUT_VARIABLES:
        assert (told["looked_at"], told["together"]) == (0, None)
        assert told["note"] == ("what a suspended one retains cannot be seen on this version of Python or of greenlet")
        return
    assert_counted_once(told, freed)
    assert told["common"][0][0] == "locals of member: mine"
    assert told["shared"][0][0] == "locals of member: rules"
    assert told["alone_accuracy"] == told["together_accuracy"] == schema.AT_LEAST
    assert "not what lies on their stack" in told["note"]


@on_those_with_frames
def test_threads(interpreter: Interpreter) -> None:
    """At least what is freed when they end, where their frames are objects anyway."""
    assert interpreter.minor <= WITH_FRAMES
    with launch(with_packages(interpreter, "greenlet"), "sharing_greenlets", "--number", 1) as target:
        with observed(target.pid) as mirror:
            told = whole(mirror, of_kind(mirror, schema.KIND_THREAD, ".worker", 4))
        freed = target.ask("release")["freed"]
        silence(target.stop())
    assert_counted_once(told, freed, 4)
    assert told["common"][0][0] == "locals of worker: mine"
    assert told["together_accuracy"] == schema.AT_LEAST


@pytest.mark.parametrize("interpreter", [i for i in interpreters() if i.minor > WITH_FRAMES][:1], ids=str)
def test_threads_whose_frames_would_have_to_be_made(interpreter: Interpreter) -> None:
    """Why there is no number is said."""
    with launch(with_packages(interpreter, "greenlet"), "sharing_greenlets", "--number", 1) as target:
        with observed(target.pid) as mirror:
            rows = of_kind(mirror, schema.KIND_THREAD, ".worker", 4)
            told = mirror.group(GroupQuestion(like=(rows[0]["id"],)))
        silence(target.stop())
    assert told["together"] is None
    assert told["note"] == "what a thread's functions hold cannot be seen from Python 3.11 on"
