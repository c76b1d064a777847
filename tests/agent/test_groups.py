"""What the members of a group share is named, however often other threads come in between."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pyobserver.agent import groups
from pyobserver.agent.group_pass import Member, Pass, note_of, tell_sums
from pyobserver.agent.kinds.subject import Subject
from pyobserver.agent.retention.together import Look
from pyobserver.protocol import schema


class Slices:
    """Slices of which the first so many are torn."""

    def __init__(self, torn: int) -> None:
        self.left = torn
        self.time = 0.0

    def __iter__(self) -> Iterator[Any]:
        while True:
            self.left -= 1
            is_torn = self.left >= 0
            yield SimpleNamespace(
                begun=self.time,
                seconds=0.001,
                deadline=self.time + 0.01,
                clock=self.clock,
                left=lambda: 0.001,
                torn=lambda is_torn=is_torn: is_torn,
            )

    def clock(self) -> float:
        self.time += 0.0003
        return self.time


class Together:
    """What two tasks share, and others hold too."""

    is_bound = False

    def __init__(self) -> None:
        self.objects = {7: SimpleNamespace(last=1, members=2, bytes=9000)}

    def shared(self) -> list[tuple[int, Any]]:
        return list(self.objects.items())

    owned = shared

    def describe(self, task: object, wanted: Any, deadline: float, walked: set[int], frames: Any) -> dict[int, Any]:
        return {7: ("locals: config", "dict", 1, (300_000, 0, 0))}


class Parked(Subject):
    """A kind of which none ever runs."""

    def is_executing(self, thing: object) -> bool:
        return False


def agent_with(row: SimpleNamespace) -> SimpleNamespace:
    """An agent with this row under each number, and a kind that nobody has heard of."""
    row.ref, row.kind = object, -1
    rows = SimpleNamespace(get=lambda number: row)
    return SimpleNamespace(table=SimpleNamespace(rows=rows), torn=0, subjects={-1: Parked(None)})


def named(torn: int) -> tuple[dict[str, Any], Pass]:
    """The answer with the names, and the pass."""
    agent = agent_with(SimpleNamespace())
    one = Pass([1, 2], 2, Together())
    one.naming = one.together
    one.members += [Member(1), Member(2)]
    answer: dict[str, Any] = {"together": 1, "common": []}
    asked = groups.Groups(agent, SimpleNamespace(walked=set))
    slices = iter(Slices(torn))
    for name in (asked._name_common, asked._name_shared):
        job = name(answer, one, next(slices))
        try:
            next(job)
            while True:
                job.send(next(slices))
        except StopIteration:
            pass
    return answer, one


@pytest.mark.parametrize("torn", [0, 1, 4, 10])
def test_torn_slices_are_made_up_for(torn: int) -> None:
    """What is found in a torn slice does not count, and the time it took is not missing afterwards."""
    answer, one = named(torn)
    assert answer["common"] == [["locals: config", "dict", 1, 9000, 2]]
    assert answer["shared"] == [["locals: config", "dict", 1, 300_000, 2]]
    assert one.unnamed == 0


def test_without_a_whole_slice_nothing_is_named_and_the_note_says_so() -> None:
    """It ends after some tries, and does not tell that nothing is shared."""
    answer, one = named(10**9)
    assert (answer["common"], answer["shared"]) == ([], [])
    assert "could not be measured" in note_of(one)


class Cut(Together):
    """Scans of which the first so many take ten times what they were given, and find a part."""

    def __init__(self, slices: Slices, cut: int) -> None:
        super().__init__()
        self.everybodys: set[int] = set()
        self.slices = slices
        self.cut = cut

    def scan(self, task: object, deadline: float) -> Look:
        self.cut -= 1
        look = Look()
        look.bytes, look.accuracy = 9000, schema.EXACT
        if self.cut >= 0:
            self.slices.time += 0.02
            look.bytes, look.accuracy = 10, schema.AT_LEAST
        return look

    def note(self, number: int, look: Look) -> tuple[()]:
        return ()


@pytest.mark.parametrize(("cut", "told"), [(0, 9000), (1, 9000), (3, 9000), (100, 10)])
def test_a_scan_that_another_process_cut_short_is_made_again(cut: int, told: int) -> None:
    """As a machine is busy, and not because there is so much, what was found is less than there is."""
    one = looked_at(Slices(0), cut)
    assert one.members[0].bytes == told
    assert one.accuracies == {schema.EXACT if told == 9000 else schema.AT_LEAST}


def looked_at(slices: Slices, cut: int) -> Pass:
    """A pass over one task."""
    agent = agent_with(SimpleNamespace(accuracy=schema.UNAVAILABLE, retained=0, error=0))
    one = Pass([1], 1, Cut(slices, cut))
    one.members.append(Member(1))
    made = iter(slices)
    work = groups.Groups(agent, SimpleNamespace(is_walking_in=lambda task: False))._look_at(one, 0, next(made))
    try:
        next(work)
        while True:
            work.send(next(made))
    except StopIteration:
        pass
    return one


@pytest.mark.parametrize(("torn", "measured"), [(3, 1), (10, 1), (100, 0)])
def test_a_task_is_measured_although_many_slices_are_torn(torn: int, measured: int) -> None:
    """On a busy machine every fourth may be, and one task that is missing makes the sum of the group a lower bound."""
    one = looked_at(Slices(torn), 0)
    assert one.measured == measured


class Shared(Together):
    """What is owned by the group, of which some may be somebody else's by now."""

    error = 0.0

    def common_bytes(self) -> tuple[int, int]:
        return 5000, 100


@pytest.mark.parametrize("is_in_part", [False, True])
def test_of_those_seen_in_part_what_they_share_is_not_guessed(is_in_part: bool) -> None:
    """When some have run, what all share is an estimate; of a lower bound there is no error that would be true."""
    one = Pass([1], 1, Shared())
    one.members.append(Member(1))
    one.members[0].bytes = 9000
    one.add(one.members[0])
    one.accuracies.add(schema.EXACT)
    one.moved = 1
    if is_in_part:
        one.bounds.add("what lies on stacks is not seen")
        one.accuracies.add(schema.AT_LEAST)
    answer: dict[str, Any] = {}
    tell_sums(answer, one)
    if is_in_part:
        assert (answer["together"], answer["together_accuracy"]) == (9000, schema.AT_LEAST)
        assert "what they share is not counted" in note_of(one)
    else:
        assert (answer["together"], answer["together_accuracy"]) == (14000, schema.SAMPLED)
        assert "what they share is an estimate" in note_of(one)
