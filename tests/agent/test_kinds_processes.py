"""Child processes hang under what made them: their pool, or what holds the object that stands for them."""

from __future__ import annotations

from typing import Any

import pytest

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters


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
