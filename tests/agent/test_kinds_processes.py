"""Child processes hang under what made them: their pool, or what holds the object that stands for them."""

from __future__ import annotations

from typing import Any

import pytest

from pyobserver.protocol import schema
from pyobserver.source.live import LiveSource

from ..attach.conftest import SERVICES, end, running, wait_until
from ..attach.conftest import children_of as children
from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters, on_newest, wait_for


def children_of(mirror: Mirror) -> dict[str, list[int]]:
    """The pids that hang under nodes, by the label of the node."""
    return {node["label"]: node["pids"] for node in mirror.nodes.values() if node["pids"]}


@on_interpreters
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_hang_under_their_pool_or_holder(interpreter: Interpreter, method: str) -> None:
    with launch(interpreter, "offspring", "--method", method) as target:
        with observed(target.pid) as mirror:
            true: dict[str, Any] = target.ask("pids")

            def is_right() -> bool:
                return children_of(mirror) == true

            try:
                mirror.wait(is_right, "all children")
            except AssertionError:
                assert children_of(mirror) == true
            nodes = {node["label"]: node for node in mirror.nodes.values()}
            pool = nodes["process pool (2 workers)"]
            assert (pool["kind"], pool["queue"], pool["parent"]) == (schema.NODE_EXECUTOR, 5, 0)
            runs = mirror.named("runs")
            assert runs is not None and nodes["task runs: locals.process"]["parent"] == runs["id"]
            pid = target.ask("hire")["pid"]
            mirror.wait(lambda: pid in children_of(mirror)["__main__.Farm.workers"], "the new one")
            assert mirror.problems == []
        target.stop()


@pytest.mark.every
def test_the_processes_of_celery_hang_under_its_pool(interpreter: Interpreter) -> None:
    able = with_packages(interpreter, "celery")
    with launch(able, "celery_worker") as target, observed(target.pid) as mirror:
        pids = sorted(children(target.pid))
        assert len(pids) == 2
        mirror.wait(lambda: children_of(mirror) == {"billiard.pool.Pool._pool": pids}, "its processes")
        assert mirror.problems == []


@pytest.mark.every
def test_the_workers_of_gunicorn_are_children_of_its_master(interpreter: Interpreter) -> None:
    """It keeps no objects for them but their numbers; in each of them the server is the main task of its loop."""
    able = with_packages(interpreter, "gunicorn", "uvicorn", "uvloop")
    with running(able, "gunicorn_uvicorn", text=SERVICES) as target:
        wait_until(lambda: len(children(target.pid)) == 2)
        workers = children(target.pid)
        source = LiveSource(target.pid, interval=0.2)
        source.start()
        try:
            source.wait_until_known()
            tasks = source.store.snapshot().tasks
            rows = [tasks.row(position) for position in range(len(tasks))]
            told = {row.os_id: (row.parent, row.edge) for row in rows if row.kind == "child process"}
            assert told == dict.fromkeys(workers, (0, "child process"))
        finally:
            source.detach()
        for pid in workers:
            with observed(pid) as mirror:
                row = mirror.wait(lambda m=mirror: next(iter(m.tasks), None), "the server")  # type: ignore[misc]
                assert row["function"].endswith("UvicornWorker._serve")
                mirror.wait(lambda m=mirror: m.ticks and m.ticks[-1]["holders_complete"], "the walk")  # type: ignore[misc]
                (loop,) = [node for node in mirror.nodes.values() if node["kind"] == schema.NODE_LOOP]
                (row,) = mirror.tasks
                assert (row["parent"], row["edge"]) == (loop["id"], schema.EDGE_RUNS)
        end(target)


@on_newest
def test_the_rows_of_children_hang_there_too(interpreter: Interpreter) -> None:
    """They are made by the observer, from what it reads outside."""
    with launch(interpreter, "offspring") as target:
        true = target.ask("pids")
        source = LiveSource(target.pid, interval=0.2)
        source.start()
        try:

            def under() -> dict[str, list[int]]:
                snapshot = source.store.snapshot()
                rows = [snapshot.tasks.row(position) for position in range(len(snapshot.tasks))]
                found: dict[str, list[int]] = {}
                for row in rows:
                    if row.kind == "child process" and row.parent in snapshot.nodes:
                        found.setdefault(snapshot.nodes[row.parent].label, []).append(row.os_id or 0)
                return {label: sorted(pids) for label, pids in found.items()}

            wait_for(lambda: under() == true, "all children under their holders")
        finally:
            source.detach()
        target.stop()
