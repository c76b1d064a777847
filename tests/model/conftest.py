"""A store, and the clock that it is given."""

from __future__ import annotations

import pytest

from pyobserver.model.store import Store

from .made import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock)
