"""On services that leak in different ways, the supervisor whose children grow is found, and little else."""

from __future__ import annotations

import time

import pytest

from pyobserver.analysis.supervision import SupervisionTree
from pyobserver.source.live import LiveSource

from ..support.interpreters import interpreters
from ..support.targets import launch

DEADLINE = 90.0
WINDOW = 600.0
GROWS = {"sessions": "Hub.sessions", "group": "group", "queue": "slow"}  # what is in the label
NEWEST = interpreters()[-1]


def growing(source: LiveSource) -> set[str]:
    """What is marked where the marks begin, of alike children their supervisor."""
    shown = SupervisionTree(source.store.snapshot(), WINDOW)
    ends = [shown.parent(key) if isinstance(key, tuple) else key for key in shown.growing_ends()]
    return {node.label for key in ends if key is not None and (node := shown.node(key)) is not None}


@pytest.mark.parametrize(
    ("interpreter", "way"),
    [
        pytest.param(
            each, way, marks=[] if each is NEWEST and way == "sessions" else [pytest.mark.every], id=f"{each}-{way}"
        )
        for each in interpreters()
        for way in GROWS
    ],
)
def test_the_supervisor_that_grows_is_marked(interpreter: object, way: str) -> None:
    """A dict of sessions, a task group that is never left, an executor with a stuck worker."""
    with launch(interpreter, "ways_to_leak", "--way", way) as target:  # type: ignore[arg-type]
        source = LiveSource(target.pid, interval=0.5, exit_status=target.process.poll)
        source.start()
        try:
            deadline = time.monotonic() + DEADLINE
            while not any(GROWS[way] in name for name in growing(source)):
                assert time.monotonic() < deadline, growing(source)
                time.sleep(0.25)
        finally:
            source.stop()
