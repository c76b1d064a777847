"""Tasks of trio are rows: what each does, where it hangs, and the bytes that are freed when it is cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter, interpreters
from ..support.packages import with_packages
from ..support.targets import launch
from .mirror import Mirror, observed, silence

_MINORS = {(3, 8), (3, 13), (3, 14)}
on_some = pytest.mark.parametrize(
    "interpreter",
    [pytest.param(i, id=str(i), marks=() if i.minor in _MINORS else pytest.mark.every) for i in interpreters()],
)
HOSTILE = "a\x1b[31mb\u202e"  # comes as it is, and is cleaned where messages are read


def nodes_of(mirror: Mirror, kind: int) -> list[dict[str, Any]]:
    return [node for node in mirror.nodes.values() if node["kind"] == kind]


@on_some
@pytest.mark.parametrize("how", [(), ("--anyio",)], ids=["trio", "anyio"])
def test_trio_tasks_hang_under_the_nurseries_they_are_in(interpreter: Interpreter, how: tuple[str, ...]) -> None:
    able = with_packages(interpreter, "trio", "anyio")
    with launch(able, "trio_tasks", *how) as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            source = Path("tests/targets/trio_tasks.py").read_text().splitlines()
            opening = mirror.named(HOSTILE)
            assert opening is not None and opening["kind"] == schema.KIND_TRIO_TASK
            assert opening["function"] == "__main__.Pool.opening"
            assert (opening["state"], opening["waiting"]) == ("waiting", "nursery of 2")
            inner = [row for row in mirror.rows.values() if row["name"] == "inner"]
            assert len(inner) == 2
            for row in inner:
                nursery = mirror.nodes[row["parent"]]
                assert nursery["kind"] == schema.NODE_NURSERY and row["edge"] == schema.EDGE_OWNS
                assert nursery["label"] == "nursery in Pool.opening" and nursery["parent"] == opening["id"]
                assert (row["state"], row["waiting"]) == ("waiting", "sleep")
                line = int(row["where"].rpartition(":")[2])
                assert "trio_tasks.py" in row["where"] and source[line - 1].strip() == "await trio.sleep(3600)"
            main = mirror.named("main")
            assert main is not None and main["flags"] & schema.FLAG_MAIN
            assert mirror.nodes[opening["parent"]]["parent"] == main["id"]

            def loop_of_main() -> dict[str, Any] | None:
                (loop,) = nodes_of(mirror, schema.NODE_LOOP)
                return loop if loop["label"] == "trio MainThread" else None

            loop = mirror.wait(loop_of_main, "its thread")  # which may be met after it
            assert loop["parent"] == next(row["id"] for row in mirror.threads if row["name"] == "MainThread")
            assert mirror.problems == []
        silence(target.stop())


@on_some
def test_what_a_trio_task_retains_is_freed_when_it_is_cancelled(interpreter: Interpreter) -> None:
    able = with_packages(interpreter, "trio", "anyio")
    with launch(able, "trio_tasks", "--bytes", 7_000_000) as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            for name in ("parked-0", "parked-1"):  # the first shows what the program frees anyway
                (row,) = mirror.wait_until_exact(lambda name=name: [r for r in [mirror.named(name)] if r])  # type: ignore[misc]
                detail = mirror.detail(row)
                assert abs(detail["retained"] - row["retained"]) < 1000
                assert detail["chain"][0][0] == "__main__.Pool.parked"
                assert detail["biggest"][0][1] == "bytearray"
                done = target.ask(f"cancel {name}")
                assert done["is_gone"]
                mirror.wait(lambda name=name: not mirror.named(name), "its going")  # type: ignore[misc]
            assert abs(done["freed"] - row["retained"]) < 50_000  # what the agent takes meanwhile is counted, too
            assert mirror.problems == []
        silence(target.stop())


@on_some
def test_a_trio_task_that_goes_on_is_seen_to_move(interpreter: Interpreter) -> None:
    able = with_packages(interpreter, "trio", "anyio")
    with launch(able, "trio_tasks", "--bytes", 1000) as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            row = mirror.named("Pool.moving")
            assert row is not None and row["state"] == "waiting"

            def has_moved() -> bool:
                target.ask("move")
                mirror.turn()
                row = mirror.named("Pool.moving")
                return row is not None and row["activity"] > 0.0

            mirror.wait(has_moved, "its move")
            still = mirror.named("parked-0")
            assert still is not None and still["activity"] == 0.0
        silence(target.stop())
