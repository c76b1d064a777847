"""Shared by all tests: the interpreters to run targets on, and an honest list of what could not be run."""

from __future__ import annotations

import pytest
from hypothesis import settings

from .support.interpreters import Interpreter, interpreters, missing

# Each run of `make test` tries the same examples; `--hypothesis-profile long` tries more of them, and others each time.
settings.register_profile("short", max_examples=60, derandomize=True, deadline=None, database=None)
settings.register_profile("long", max_examples=400, deadline=None, database=None, print_blob=True)
settings.load_profile("short")


def pytest_report_header() -> str:
    found = ", ".join(map(str, interpreters()))
    absent = ", ".join(missing())
    return f"target interpreters: {found}" + (f"\nnot found, so not tested: {absent}" if absent else "")


@pytest.fixture(params=interpreters(), ids=lambda i: ".".join(map(str, i.version)))
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Each interpreter of this machine in turn."""
    return request.param
