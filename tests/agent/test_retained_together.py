"""What tasks retain together is what cancelling all of them frees, found one task after another."""

from __future__ import annotations

import pytest

from ..support.interpreters import Interpreter
from .retained_targets import run


def test_random_graphs_without_cycles_agree_with_an_independent_computation(interpreter: Interpreter) -> None:
    """Byte for byte, whatever several tasks share among them and others hold, in whatever order it is come upon."""
    told = run(interpreter, "shared_graphs.py", 3, 150, "trees")
    assert (told["much"], told["little"]) == (0, 0), told["first"]
    assert told["bounds"] == 0
    assert told["common"] > 50_000


def test_random_graphs_with_cycles_through_what_is_shared_agree_too(interpreter: Interpreter) -> None:
    """The search for cycles begins at several tasks, so that what only all of them lead to is found."""
    told = run(interpreter, "shared_graphs.py", 5, 150)
    assert told["much"] == 0, told["first"]
    assert told["little"] == 0 or told["bounds"] > 0, told["first"]
    assert told["common"] > 50_000


@pytest.mark.every
@pytest.mark.parametrize("seed", range(11, 14))
def test_many_random_graphs_agree(interpreter: Interpreter, seed: int) -> None:
    """As above, for many more graphs."""
    for mode in ("trees", ""):
        told = run(interpreter, "shared_graphs.py", seed, 1500, mode, within=400)
        assert (told["much"], told["little"]) == (0, 0), told["first"]


def test_it_is_what_cancelling_all_of_them_frees(interpreter: Interpreter) -> None:
    """A list of all, chains, what two share, and cycles, for groups of two, of fifty and of five hundred."""
    told = run(interpreter, "shared_freed.py")
    assert len(told) == 12
    for name, case in told.items():
        assert case["doubtful"] == 0, name
        assert case["together"] <= 1.02 * case["freed"] + 3000, name
        if not case["is_bound"]:
            assert case["together"] == pytest.approx(case["freed"], rel=0.02, abs=3000), name
    assert [name for name, case in told.items() if case["is_bound"]] == ["a_room 500"]


def test_what_others_hold_too_is_shared_and_not_theirs(interpreter: Interpreter) -> None:
    """The configuration that a global holds is named with what it retains itself and by how many it is known."""
    told = run(interpreter, "shared_freed.py")
    case = told["a_list 50"]
    path, kind, length, size, members = case["shared"][0]
    assert (path, kind, length, members) == ("locals: others", "dict", 2, 50)
    assert 300_000 < size < 340_000
    assert case["together"] < 500_000
    assert case["owned"][0] == ["locals: common", "list", 30, None, 50]


def test_nothing_is_measured_while_a_walk_over_the_heap_stands_inside_it(interpreter: Interpreter) -> None:
    """What the walk refers to seems to be held by the program, so that only the rest would be counted."""
    told = run(interpreter, "walked.py")
    assert told["before"] > 300_000
    assert told["inside"] is None
    assert told["after"] == told["before"]
