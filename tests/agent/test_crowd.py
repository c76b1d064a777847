"""Who holds the tasks of a crowd is told early: few of them hold others, and these are searched before the many."""

from __future__ import annotations

from collections import Counter

import pytest

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters

TASKS = 6000


def holders(mirror: Mirror) -> Counter[str]:
    """How many tasks hang under what, by label."""
    return Counter(mirror.nodes[row["parent"]]["label"] for row in mirror.tasks if row["parent"] in mirror.nodes)


@on_interpreters
@pytest.mark.parametrize(
    ("options", "holder"),
    [((), "__main__.Crowd.tasks"), (("--kept",), "__main__.Crowd.keep: locals.tasks")],
    ids=["by the main task", "by another"],
)
def test_the_holder_of_a_crowd_is_known_when_holders_count_as_complete(
    interpreter: Interpreter, options: tuple[str, ...], holder: str
) -> None:
    """Also where it is a variable of one task among many."""
    with launch(interpreter, "crowd", "--tasks", TASKS, *options) as target, observed(target.pid) as mirror:
        mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["holders_complete"], "the holders", 60)
        found = holders(mirror)
        assert found[holder] == TASKS, found
