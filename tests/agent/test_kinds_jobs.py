"""Jobs that wait in an executor's queue are rows under its node, each with what is freed when it is done."""

from __future__ import annotations

from typing import Any

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters, silence


def jobs_of(mirror: Mirror) -> list[dict[str, Any]]:
    return [row for row in mirror.rows.values() if row["kind"] == schema.KIND_JOB]


def executors_of(mirror: Mirror) -> dict[str, dict[str, Any]]:
    """Nodes of executors by the first word of their label, cleaned as the observer does."""
    found = [node for node in mirror.nodes.values() if node["kind"] == schema.NODE_EXECUTOR]
    return {node["label"].split()[0].partition("\x1b")[0]: node for node in found}


@on_interpreters
def test_jobs_hang_under_their_executor_with_its_workers(interpreter: Interpreter) -> None:
    with launch(interpreter, "jobs", "--jobs", 2) as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            mirror.wait(lambda: len(jobs_of(mirror)) == 8, "all jobs")
            executors = executors_of(mirror)
            assert sorted(executors) == ["asyncio", "own"]
            own, default = executors["own"], executors["asyncio"]
            assert own["label"].endswith(" (1 worker)") and default["label"] == "asyncio (2 workers)"
            assert (own["queue"], own["parent"]) == (7, 0)
            assert (default["queue"], mirror.nodes[default["parent"]]["kind"]) == (1, schema.NODE_LOOP)
            workers = [row for row in mirror.threads if row["parent"] == default["id"]]
            assert sorted(row["name"] for row in workers) == ["asyncio_0", "asyncio_1"]
            functions = [row["function"] for row in jobs_of(mirror) if row["parent"] == own["id"]]
            assert functions == [
                *["__main__.Office.work", "__main__.Office.pause"] * 2,
                "builtins.sum",
                "__main__.Handler.__call__",
                "__main__.Handler.handle",
            ]
            (row,) = [row for row in jobs_of(mirror) if row["parent"] == default["id"]]
            assert (row["function"], row["waiting"]) == ("__main__.Office.work", "a worker of asyncio")
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
def test_what_a_job_retains_is_freed_when_it_is_done(interpreter: Interpreter) -> None:
    with launch(interpreter, "jobs", "--bytes", 5_000_000) as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            for count in (4, 3):

                def waiting() -> list[dict[str, Any]]:
                    name = "__main__.Office.work"
                    return [row for row in jobs_of(mirror) if row["function"] == name and row["retained"] > 1_000_000]

                mirror.wait(lambda count=count: len(waiting()) == count, "the jobs")  # type: ignore[misc]
                row = mirror.wait_until_exact(waiting)[0]
                assert mirror.detail(row)["biggest"][0][1] == "bytearray"
                freed = target.ask("take")["freed"]
                mirror.wait(lambda row=row: row["id"] not in mirror.rows, "its going")  # type: ignore[misc]
                assert abs(freed - row["retained"]) < 50_000  # what the agent takes meanwhile is counted, too
            assert target.ask("cancel")["cancelled"]
            mirror.wait(lambda: any(r["state"] == "done, held" for r in jobs_of(mirror)), "the cancelled one")
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
def test_a_queue_too_long_for_rows_is_counted(interpreter: Interpreter) -> None:
    with launch(interpreter, "jobs", "--bytes", 10, "--jobs", 3000) as target:
        with observed(target.pid) as mirror:
            mirror.wait(
                lambda: len(mirror.rows) >= 5000 and len(jobs_of(mirror)) == 5000, "as many rows as there may be"
            )
            mirror.turn(2)
            assert executors_of(mirror)["own"]["queue"] == 6003
            assert executors_of(mirror)["own"]["detail"] == "of those that wait, 5000 are listed"
            assert len(jobs_of(mirror)) == 5000
            target.ask("take")
            mirror.wait(lambda: executors_of(mirror)["own"]["queue"] < 6003, "a shorter queue")
            assert mirror.problems == []
        silence(target.stop())
