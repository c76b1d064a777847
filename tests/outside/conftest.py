"""Shared by the tests of what is read from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ..support.interpreters import Interpreter, interpreters
from ..support.targets import RunningTarget, launch


@pytest.fixture(params=interpreters()[-1:], ids=str)
def newest(request: pytest.FixtureRequest) -> Interpreter:
    """One interpreter, for what does not depend on the version."""
    return request.param


@pytest.fixture
def heap(interpreter: Interpreter) -> Iterator[RunningTarget]:
    """A running heap on each interpreter."""
    with launch(interpreter, "heap") as target:
        yield target


@pytest.fixture
def newest_heap(newest: Interpreter) -> Iterator[RunningTarget]:
    """A running heap on one interpreter."""
    with launch(newest, "heap") as target:
        yield target


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Callable[[], float]:
    return Clock()
