"""What a program forgets is told: coroutines that nobody awaits, and generators that nobody closes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .inside import run_inside
from .mirror import Mirror, observed, on_interpreters, silence

SOURCE = (Path(__file__).parent.parent / "targets" / "forgotten.py").read_text().splitlines()


def rows_of(mirror: Mirror, kind: int) -> list[dict[str, Any]]:
    return [row for row in mirror.rows.values() if row["kind"] == kind]


def line_of(row: dict[str, Any]) -> str:
    return SOURCE[int(row["where"].rpartition(":")[2]) - 1].strip()


@on_interpreters
def test_coroutines_that_nobody_awaits_are_told_by_who_keeps_them(interpreter: Interpreter) -> None:
    """Not meant are those that have begun, were closed, or are a task's."""
    with launch(interpreter, "forgotten") as target:
        with observed(target.pid) as mirror:
            kind = schema.KIND_NEVER_AWAITED
            mirror.wait(lambda: len(rows_of(mirror, kind)) == 3, "the coroutines")
            mirror.wait_until_known()
            mirror.turn(10)
            rows = mirror.wait_until_exact(lambda: rows_of(mirror, kind))
            assert len(rows) == 3
            for row in rows:
                assert (row["function"], row["waiting"]) == ("__main__.Place.push", "its first await")
                assert line_of(row).startswith("async def push")
                assert mirror.nodes[row["parent"]]["label"] == "__main__.Place.never"
            detail = mirror.detail(rows[0])
            assert detail["holders"] == [["__main__.Place.never", "list", 3]]
            assert detail["biggest"][0][1] == "bytearray" and "not begun" in detail["note"]
            freed = target.ask("close never")["freed"]
            assert abs(freed - rows[0]["retained"]) < 50_000  # what the agent takes meanwhile is counted, too
            mirror.wait(lambda: len(rows_of(mirror, kind)) == 2, "the going of the closed one")
            target.ask("begin")
            mirror.wait(lambda: len(rows_of(mirror, kind)) == 1, "the going of the one that has begun")
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
def test_generators_that_nobody_works_with_are_told(interpreter: Interpreter) -> None:
    """Not meant are those that a task stands in, or works with: they are the task's, which counts them."""
    with launch(interpreter, "forgotten") as target:
        with observed(target.pid) as mirror:
            kind = schema.KIND_ASYNC_GENERATOR
            mirror.wait(lambda: len(rows_of(mirror, kind)) == 3, "the generators")
            mirror.wait_until_known()
            rows = rows_of(mirror, kind)

            def are_held() -> bool:
                return {mirror.nodes[row["parent"]]["label"] for row in rows_of(mirror, kind)} == {
                    "__main__.Place.abandoned"
                }

            mirror.wait(are_held, "who keeps them")
            for row in rows:
                assert row["function"] == "__main__.Place.lines" and line_of(row) == "yield n"
            reading = next(row for row in mirror.tasks if row["function"] == "__main__.Place.reading")
            assert reading["retained"] > 3_000_000
            freed = target.ask("close abandoned")["freed"]
            assert abs(freed - rows[0]["retained"]) < 50_000
            mirror.wait(lambda: len(rows_of(mirror, kind)) == 2, "the going of the closed one")
            assert mirror.problems == []
        silence(target.stop())


STATES = """
import json, os, weakref
from pyobserver.agent.kinds.created import Beginnings

class Pause:
    def __await__(self):
        yield

async def work(value=None, *more, key=1):
    await Pause()

beginnings = Beginnings(os.open("/proc/self/mem", os.O_RDONLY))
told = {name: [] for name in ("created", "begun", "closed", "begun and closed", "ended", "running")}
async def asks():
    told["running"].append(beginnings.is_created(mine))
for made in (lambda: work(), lambda: work([]), lambda: work(1, 2, 3, key=4)):
    one = made()
    told["created"].append(beginnings.is_created(weakref.ref(one)))
    one.send(None)
    told["begun"].append(beginnings.is_created(weakref.ref(one)))
    one.close()
    told["begun and closed"].append(beginnings.is_created(weakref.ref(one)))
    one = made()
    one.close()
    told["closed"].append(beginnings.is_created(weakref.ref(one)))
    one = made()
    one.send(None)
    try:
        one.send(None)
    except StopIteration:
        pass
    told["ended"].append(beginnings.is_created(weakref.ref(one)))
mine = asks()
kept, mine = mine, weakref.ref(mine)
try:
    kept.send(None)
except StopIteration:
    pass
told["can"] = beginnings.can_tell()
print(json.dumps(told))
"""


@on_interpreters
def test_a_coroutine_has_begun_or_not(interpreter: Interpreter) -> None:
    told = run_inside(interpreter, STATES)
    assert told.pop("can") is True
    assert told.pop("created") == [True] * 3
    assert not any(any(answers) for answers in told.values()), told
