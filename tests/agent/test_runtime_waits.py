"""What a task waits on is told in words, and in full to who asks, without asking the program's own classes."""

from __future__ import annotations

import pytest

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import launch
from .mirror import observed

_MINORS = {(3, 8), (3, 11), interpreters()[-1].minor}

on_some = pytest.mark.parametrize(
    "interpreter",
    [pytest.param(i, id=str(i), marks=() if i.minor in _MINORS else pytest.mark.every) for i in interpreters()],
)


@on_some
def test_everything_that_can_be_waited_for(interpreter: Interpreter) -> None:
    with launch(interpreter, "waits") as target, observed(target.pid) as mirror:
        words = target.ask("words")
        mirror.wait(lambda: all(mirror.named(name) for name in words), "all tasks")
        mirror.turn(3)
        found = {}
        for name in words:
            row = mirror.named(name)
            assert row is not None
            found[name] = (row["waiting"], row["queue"], mirror.detail(row)["waits"])
        wrong = {
            name: (found[name], expected)
            for name, expected in words.items()
            if found[name][:2] != (expected[0], expected[2]) or expected[1] not in found[name][2]
        }
        assert wrong == {}
        assert target.ask("ran") == []
        assert mirror.problems == []
