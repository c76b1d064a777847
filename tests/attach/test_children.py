"""Attaching to the processes that a program starts to compute for it."""

from __future__ import annotations

import pytest

from ..support.interpreters import Interpreter
from .conftest import attach_often, end, leftovers, running

STATES = ("forked", "spawned", "pool")


@pytest.mark.parametrize("state", STATES)
def test_children_that_compute(newest: Interpreter, state: str) -> None:
    """Their results and their end are as without us, and their parent does not notice."""
    into_children(newest, state, times=1)


@pytest.mark.every
@pytest.mark.parametrize("state", STATES)
def test_children_that_compute_on_every_interpreter(interpreter: Interpreter, state: str) -> None:
    """The same on each."""
    into_children(interpreter, state, times=5)


def into_children(interpreter: Interpreter, state: str, times: int) -> None:
    with running(interpreter, state) as target:
        pids = target.wait_until_answered()["pids"]
        left = {str(pid): attach_often(interpreter, pid, times) for pid in pids}
        told = end(target)
    assert told["children"] == left and told["seen"] == []
    assert not leftovers(interpreter)
