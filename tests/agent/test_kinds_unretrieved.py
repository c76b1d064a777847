"""Tasks that have failed and are still held are told when nobody asks for their exception, and what gc.garbage has."""

from __future__ import annotations

from typing import Any

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters, silence


def unretrieved(mirror: Mirror) -> list[dict[str, Any]]:
    return [row for row in mirror.rows.values() if row["flags"] & schema.FLAG_UNRETRIEVED]


def functions(mirror: Mirror) -> set[str]:
    return {row["function"] for row in unretrieved(mirror)}


def holders(mirror: Mirror) -> set[str]:
    return {mirror.nodes[row["parent"]]["label"] for row in unretrieved(mirror)}


@on_interpreters
def test_failed_tasks_that_nobody_asks(interpreter: Interpreter) -> None:
    """Of each type of task; not those that were asked, nor those that ended well. Who is asked loses the flag.

    From 3.14 on asyncio does not tell of tasks that had ended before we came.
    """
    with launch(interpreter, "failing") as target:
        with observed(target.pid) as mirror:
            assert target.ask("fail") == {"late": 1}
            mirror.wait(lambda: "__main__.fail_late" in functions(mirror), "the flag of the late one")
            assert mirror.ticks[-1]["gc"]["garbage"] == 2
            if interpreter.version < (3, 14):
                mirror.wait(lambda: len(unretrieved(mirror)) == 4, "the flags")
                assert target.ask("retrieve") == {"said": "wrong"}
                mirror.wait(lambda: len(unretrieved(mirror)) == 3, "the going of the flag")
            assert functions(mirror) <= {"__main__.fail", "__main__.fail_late"}
            assert {row["state"] for row in unretrieved(mirror)} == {"done, held"}
            mirror.wait(lambda: holders(mirror) <= {"__main__.Place.silent", "__main__.Place.late"}, "who holds them")
            assert mirror.problems == []
        silence(target.stop())
