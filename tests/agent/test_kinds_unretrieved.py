"""Tasks that have failed and are still held are told when nobody asks for their exception, and what gc.garbage has."""

from __future__ import annotations

from typing import Any

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters, silence


def unretrieved(mirror: Mirror) -> list[dict[str, Any]]:
    return [row for row in mirror.rows.values() if row["flags"] & schema.FLAG_UNRETRIEVED]


@on_interpreters
def test_failed_tasks_that_nobody_asks(interpreter: Interpreter) -> None:
    """Of each type of task; not those that were asked, nor those that ended well. Who is asked loses the flag."""
    with launch(interpreter, "failing") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: len(unretrieved(mirror)) == 3, "the flags")
            assert {row["function"] for row in unretrieved(mirror)} == {"__main__.fail"}
            assert {row["state"] for row in unretrieved(mirror)} == {"done, held"}
            assert {mirror.nodes[row["parent"]]["label"] for row in unretrieved(mirror)} == {"__main__.Place.silent"}
            assert mirror.ticks[-1]["gc"]["garbage"] == 2
            assert target.ask("retrieve") == "wrong"
            mirror.wait(lambda: len(unretrieved(mirror)) == 2, "the going of the flag")
            assert mirror.problems == []
        silence(target.stop())
