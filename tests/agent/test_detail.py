"""The detail of a task says what its memory leaves out."""

from __future__ import annotations

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import observed, on_interpreters, silence

JOB = "does not count what an executor's job holds for it"
CLASSES = "does not count what classes made in functions hold: Local"


@on_interpreters
def test_what_is_not_counted_is_told(interpreter: Interpreter) -> None:
    """A job that an executor does for the task, and a class that was made in it; nothing of others."""
    with launch(interpreter, "uncounted") as target:
        with observed(target.pid) as mirror:
            found = {}
            for name in ("plain", "with_a_class", "with_a_job"):
                mirror.wait(lambda name=name: mirror.named(name), name)
                row = mirror.named(name)
                assert row is not None
                found[name] = mirror.detail(row)
            notes = {name: answer["note"] for name, answer in found.items()}
            assert CLASSES in notes["with_a_class"] and JOB not in notes["with_a_class"]
            assert JOB in notes["with_a_job"] and "classes" not in notes["with_a_job"]
            assert JOB not in notes["plain"] and "classes" not in notes["plain"]
            assert all(0 < answer["retained"] < 100_000 for answer in found.values())
        silence(target.stop())
