"""Going on in a set of tasks that has changed: in steps that end with the slice, and on from the same place."""

from __future__ import annotations

from typing import Any

from pyobserver.agent import tasks


class Slice:
    """One that is over after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def over(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_it_goes_past_in_steps() -> None:
    """However far that is; what follows is what followed."""
    held = set(range(3 * tasks._PASSED + 7))
    for at in (0, 1, tasks._PASSED, 2 * tasks._PASSED + 3, len(held), len(held) + 5):
        steps = tasks.past(held, at, Slice(0))
        yields, sent = 0, None
        while True:
            try:
                steps.send(sent)
            except StopIteration as end:
                references = end.value[0]
                break
            yields, sent = yields + 1, Slice(0)
        assert yields == -(-at // tasks._PASSED)
        assert list(references) == list(held)[at:]


def test_what_changes_again_and_again_is_passed_at_once() -> None:
    """Else where very many tasks come and go it would never come to the end."""
    held: set[Any] = set(range(5 * tasks._PASSED))
    steps = tasks.past(held, 4 * tasks._PASSED, Slice(0))
    next(steps)
    for number in range(tasks._TRIES):
        held.add(f"another {number}")
        try:
            steps.send(Slice(0))
        except StopIteration as end:
            assert number == tasks._TRIES - 1
            assert list(end.value[0]) == list(held)[4 * tasks._PASSED :]
            return
    raise AssertionError("it has not come to its end")
