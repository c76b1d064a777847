"""Measuring leaves nothing behind in the target."""

from __future__ import annotations

from ..support.interpreters import Interpreter
from .retained_targets import run


def test_nothing_is_held_and_nothing_is_made(interpreter: Interpreter) -> None:
    """Reference counts, instance dicts, frame objects, settings and modules are as before, and tasks can die."""
    told = run(interpreter, "traces.py")
    assert told["changed"] == []
    assert told["objects"] > 10_000
