"""Attaching to the processes that a program starts to compute for it."""

from __future__ import annotations

import pytest

from ..support.interpreters import Interpreter
from .conftest import attach_often, end, leftovers, running


@pytest.mark.every
@pytest.mark.parametrize("state", ["forked", "spawned", "pool"])
def test_children_that_compute(interpreter: Interpreter, state: str) -> None:
    """Their results and their end are as without us, and their parent does not notice."""
    with running(interpreter, state) as target:
        pids = target.wait_until_answered()["pids"]
        left = {str(pid): attach_often(interpreter, pid) for pid in pids}
        told = end(target)
    assert told["children"] == left and told["seen"] == []
    assert not leftovers(interpreter)
