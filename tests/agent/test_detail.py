"""The detail of a task says what its memory leaves out."""

from __future__ import annotations

import asyncio
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from pyobserver.agent import detail
from pyobserver.agent.detail import Details
from pyobserver.agent.kinds.subject import Subject
from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import observed, on_interpreters, silence

JOB = "does not count what an executor's job holds for it"
CLASSES = "does not count what classes made in functions hold: Local"


@on_interpreters
def test_what_is_not_counted_is_told(interpreter: Interpreter) -> None:
    """A job that an executor does for the task, and a class that was made in it; nothing of others."""
    with launch(interpreter, "uncounted") as target:
        with observed(target.pid) as mirror:
            found = {}
            for name in ("plain", "with_a_class", "with_a_job"):
                mirror.wait(lambda name=name: mirror.named(name), name)
                row = mirror.named(name)
                assert row is not None
                found[name] = mirror.detail(row)
            notes = {name: answer["note"] for name, answer in found.items()}
            assert CLASSES in notes["with_a_class"] and JOB not in notes["with_a_class"]
            assert JOB in notes["with_a_job"] and "classes" not in notes["with_a_job"]
            assert JOB not in notes["plain"] and "classes" not in notes["plain"]
            assert all(0 < answer["retained"] < 100_000 for answer in found.values())
        silence(target.stop())


class Asked(Subject):
    """A kind of rows that counts how often one was measured; what it says is wrong."""

    has_chain = False

    def __init__(self) -> None:
        Subject.__init__(self, None)
        self.times = 0

    def is_executing(self, task: Any) -> bool:
        return False

    def coroutine(self, task: Any) -> Any:
        return None

    def frames(self, task: Any) -> list[Any]:
        return []

    def breakdown(self, task: Any, deadline: float, preview: Any = None) -> Any:
        self.times += 1
        measure = SimpleNamespace(bytes=10**9, accuracy=schema.EXACT, error=0)
        return SimpleNamespace(by_type=[], biggest=[], previews=[], classes=[], measure=measure)


def asked(subject: Asked, task: asyncio.Task[Any], walked: int = 0, is_exact: bool = True) -> tuple[Any, list[Any]]:
    """The work on a question about a task that a walk stands in so many times, and the agent and what is sent."""
    row = SimpleNamespace(
        ref=weakref.ref(task), kind=schema.KIND_TASK, flags=schema.FLAG_AGE_IS_MINIMUM, made=0, spawner=0
    )
    sent: list[Any] = []
    observer = SimpleNamespace(wants=[(1, 7, False)], out_bytes=0, send=sent.append)
    agent = SimpleNamespace(
        table=SimpleNamespace(rows={1: row}, texts=SimpleNamespace(items=[""])),
        service=SimpleNamespace(observers={1: observer}),
        subjects={schema.KIND_TASK: subject},
        blocking=SimpleNamespace(hits=lambda row: 0),
        self_check="ok",
        torn=0,
    )
    describer = SimpleNamespace(
        unavailable="",
        slots=SimpleNamespace(is_exact=is_exact),
        waits_in_full=lambda coroutine, waiter: "",
        frames=lambda coroutine: [],
        variables=lambda coroutine, values: [],
    )
    steps = iter([True] * walked)
    agent.search = SimpleNamespace(complete=True, is_walking_in=lambda task: next(steps, False))
    ownership = SimpleNamespace(owner=lambda task: None, holders_of=lambda row: [])
    return (agent, Details(agent, SimpleNamespace(describer=describer), ownership)), sent


def answered(work: Any, now: Any, sent: list[Any]) -> Any:
    """The answer, at last."""
    steps = work(now)
    next(steps)
    while not sent:
        steps.send(now)
    return sent[0]


async def test_what_torn_slices_have_measured_is_never_told() -> None:
    """It is tried again in slices of their own; when all were torn, there is no number, and the reason."""
    subject = Asked()
    task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    (agent, details), sent = asked(subject, task)
    answer = answered(details.work, one_slice(True), sent)
    task.cancel()
    assert subject.times == agent.torn == 1 + detail._MORE_TRIES
    assert answer["retained"] is None and answer["accuracy"] == schema.UNAVAILABLE
    assert "other threads ran while it was measured" in answer["note"]


@pytest.mark.parametrize(("walked", "times"), [(0, 1), (5, 1), (10**4, 0)])
async def test_nothing_is_measured_while_a_walk_stands_in_the_task(walked: int, times: int) -> None:
    """What the walk refers to would be missing: the walk is let go on, and when it never leaves there is no number."""
    subject = Asked()
    task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    (_, details), sent = asked(subject, task, walked)
    answer = answered(details.work, one_slice(False), sent)
    task.cancel()
    assert subject.times == times
    assert (answer["retained"] is None) is (times == 0)
    assert ("it is being walked through" in answer["note"]) is (times == 0)


@pytest.mark.parametrize("is_exact", [True, False])
async def test_without_names_of_variables_it_says_so(is_exact: bool) -> None:
    """An empty list would mean that there are none."""
    subject = Asked()
    subject.has_chain = True
    task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    (_, details), sent = asked(subject, task, is_exact=is_exact)
    answer = answered(details.work, one_slice(False), sent)
    task.cancel()
    assert ("local variables are not known" in answer["note"]) is not is_exact


def one_slice(is_torn: bool) -> Any:
    return SimpleNamespace(begun=0.0, seconds=0.001, left=lambda: 0.001, torn=lambda: is_torn)
