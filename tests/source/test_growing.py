"""What has more and more children is marked after attaching, whatever it is that holds them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pyobserver.analysis.supervision import tree
from pyobserver.model.snapshot import Snapshot
from pyobserver.source.live import LiveSource

from ..support.interpreters import interpreters
from ..support.story import running_demo
from ..support.targets import launch

DEADLINE = 90.0  # some ten seconds on a machine with nothing else to do
WINDOW = 300.0

on_some = pytest.mark.parametrize(
    "interpreter",
    [pytest.param(interpreters()[0], marks=pytest.mark.every, id=str(interpreters()[0])), interpreters()[-1]],
    ids=str,
)


def growing(snapshot: Snapshot) -> set[str]:
    """The labels of the holders that are marked as growing."""
    shown = tree(snapshot, WINDOW)
    found = [shown.node(number) for number in snapshot.nodes]
    return {node.label for node in found if node is not None and node.growing and node.kind == "holder"}


def watch(pid: int, wanted: set[str], work: Callable[[], object]) -> None:
    """Attaches, and lets the program `work` again and again until all wanted are marked."""
    source = LiveSource(pid, interval=0.5)
    deadline = time.monotonic() + DEADLINE
    source.start()
    try:
        while True:
            work()
            found = growing(source.store.snapshot())
            if wanted <= found:
                return
            assert time.monotonic() < deadline, f"only {found} of {wanted} are marked"
            time.sleep(0.3)
    finally:
        source.detach()


@on_some
def test_a_cache_of_tasks_a_closure_and_a_set_are_marked(interpreter: object) -> None:
    with launch(interpreter, "families") as target:  # type: ignore[arg-type]
        wanted = {
            "__main__.Cache.by_key",
            "__main__.closing.<locals>.keep: closure.held",
            "__main__.Crew.background",
        }
        numbers = iter(range(10_000))
        watch(target.pid, wanted, lambda: target.ask(f"add 1 {next(numbers)}"))


@on_some
def test_the_spawner_of_the_demonstration_is_marked(interpreter: object) -> None:
    with running_demo(interpreter, interval=0.3, limit=1000, payload=100_000) as service:  # type: ignore[arg-type]
        watch(service.pid, {"rudder.pipeline.Spawner._children"}, lambda: None)
