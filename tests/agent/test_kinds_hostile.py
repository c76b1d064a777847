"""Jobs, coroutines and generators made of hostile objects are told like others, and none of their code runs."""

from __future__ import annotations

import collections

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import observed, on_interpreters, silence

WANTED = {schema.KIND_JOB: 5, schema.KIND_ASYNC_GENERATOR: 1, schema.KIND_NEVER_AWAITED: 1}


@on_interpreters
def test_no_code_of_what_waits_runs(interpreter: Interpreter) -> None:
    with launch(interpreter, "hostile") as target:
        with observed(target.pid) as mirror:

            def are_measured() -> bool:
                rows = [row for row in mirror.rows.values() if row["kind"] in WANTED]
                found = collections.Counter(row["kind"] for row in rows)
                return found == WANTED and all(row["retained"] > 0 for row in rows)

            mirror.wait(are_measured, "all of them")
            for row in list(mirror.rows.values()):
                if row["kind"] in WANTED:
                    detail = mirror.detail(row)
                    assert detail["retained"] > 0 and detail["by_type"] and detail["note"]
            functions = [row["function"] for row in mirror.rows.values() if row["kind"] == schema.KIND_JOB]
            assert functions[1:] == ["__main__.Callable.__call__"] * 2 + ["__main__.Callable", "List.append"]
            assert [row["os_id"] for row in mirror.threads].count(0) == 1  # which says to be 1 << 80
            assert mirror.problems == []
            assert target.ask("counts")["calls"] == {}
        silence(target.stop())


@on_interpreters
def test_what_is_awaited_needs_no_weak_references(interpreter: Interpreter) -> None:
    """A future of the program's own may allow none: its task is described and measured like others."""
    with launch(interpreter, "hostile") as target:
        with observed(target.pid) as mirror:

            def is_described() -> bool:
                row = mirror.named("bare")
                return bool(row and row["retained"] > 0 and row["waiting"] == "future")

            mirror.wait(is_described, "the task that waits for it")
            mirror.turn(3)
            assert mirror.problems == []
        silence(target.stop())
