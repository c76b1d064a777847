"""Local variables of suspended frames have the names that the program gave them."""

from __future__ import annotations

from ..support.interpreters import Interpreter
from .retained_targets import run

_OTHERS = {"rest": "tuple", "options": "dict"}


def test_variables_have_their_own_names(interpreter: Interpreter) -> None:
    """Whatever lies on the stack, is not set yet, was deleted or is in a cell."""
    told = dict(run(interpreter, "names.py"))
    told.pop("unread")
    assert len(told) == 7
    for shape, case in told.items():
        assert case["is_exact"]
        assert case["told"] == [[name, _OTHERS.get(name, name)] for name in case["expected"]], shape
        for name, by_id in case["ids"].items():
            assert by_id in (name, None), shape  # None: its cell has the name


def test_without_the_memory_none_has_a_name(interpreter: Interpreter) -> None:
    """A name that may be wrong is not told."""
    assert run(interpreter, "names.py")["unread"] == [[], {}]
