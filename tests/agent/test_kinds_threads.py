"""What a thread retains is told where the frames of running functions are objects anyway: up to Python 3.10."""

from __future__ import annotations

import pytest

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import launch
from .mirror import observed, on_interpreters, silence

WITH_FRAMES = (3, 10)
on_those_with_frames = pytest.mark.parametrize(
    "interpreter",
    [
        pytest.param(i, id=str(i), marks=() if i == interpreters()[0] else pytest.mark.every)
        for i in interpreters()
        if i.minor <= WITH_FRAMES
    ],
)


@on_those_with_frames
def test_what_a_thread_retains_at_least_is_freed_when_it_ends(interpreter: Interpreter) -> None:
    with launch(interpreter, "busy_threads", "--bytes", 6_000_000) as target:
        with observed(target.pid) as mirror:

            def is_known(name: str) -> bool:
                row = mirror.named(name)
                return row is not None and row["accuracy"] == schema.AT_LEAST

            for name in ("first", "second", "looping"):
                mirror.wait(lambda name=name: is_known(name), name)  # type: ignore[misc]
            looping = mirror.named("looping")
            assert looping is not None and looping["retained"] < 100_000  # the rest is its task's
            for name in ("first", "second"):
                row = mirror.named(name)
                assert row is not None and row["kind"] == schema.KIND_THREAD
                freed = target.ask(f"end {name}")["freed"]
                mirror.wait(lambda name=name: not mirror.named(name), "its going")  # type: ignore[misc]
                assert row["retained"] > 6_000_000
                assert abs(freed - row["retained"]) < 50_000  # what the agent takes meanwhile is counted, too
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
def test_no_thread_has_a_value_where_frames_would_have_to_be_made(interpreter: Interpreter) -> None:
    if interpreter.minor <= WITH_FRAMES:
        pytest.skip(f"Python {interpreter} has frames")
    with launch(interpreter, "busy_threads") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.named("first"), "a thread")
            mirror.turn(40)
            assert {row["accuracy"] for row in mirror.threads} == {schema.UNAVAILABLE}
            assert mirror.problems == []
        silence(target.stop())
