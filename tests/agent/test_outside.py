"""Whatever lets go of the interpreter lock in the agent's thread goes one way, and holds are counted there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pyobserver.agent
from pyobserver.agent import collector

AGENT = Path(pyobserver.agent.__file__).parent
ELSEWHERE = {"boot.py", "loader.py", "entry.py", "forks.py", "bundle.py"}  # before the agent, and in other threads
LETS_GO = {
    "open",
    "read",
    "pread",
    "write",
    "close",
    "stat",
    "lstat",
    "fstat",
    "access",
    "listdir",
    "scandir",
    "readlink",
}


def direct_calls(source: str) -> list[str]:
    """The calls of functions of `posix` that let go of the lock."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [(call.lineno, ast.unparse(call.func)) for call in calls]
    return [f"{line}: {name}" for line, name in names if name.removeprefix("posix.") in LETS_GO and "." in name]


def test_nothing_lets_go_of_the_lock_by_itself() -> None:
    """With the collector off for all meanwhile, and the time that it waits for the lock taken for a hold."""
    assert direct_calls("posix.open(path)\noutside(posix.read, 1, 2)\n") == ["1: posix.open"]
    sources = [path for path in AGENT.rglob("*.py") if path.name not in ELSEWHERE]
    assert len(sources) > 60
    assert {path.name: calls for path in sources if (calls := direct_calls(path.read_text()))} == {}


def test_a_hold_lasts_from_one_call_that_lets_go_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the call itself takes, which is to wait for the lock where it is busy, is none."""
    now = 100.0

    def passes(seconds: float) -> float:
        nonlocal now
        now += seconds
        return now

    for name in ("_clock", "_since", "_longest"):
        monkeypatch.setattr(collector, name, getattr(collector, name))
    collector.count_holds(lambda: now)
    passes(0.25)
    assert collector.longest_hold() == 0.25
    collector.outside(passes, 8.0)
    passes(0.125)
    assert collector.longest_hold() == 0.25
    passes(0.25)
    assert collector.longest_hold() == 0.375
    with pytest.raises(ZeroDivisionError):
        collector.outside(lambda: passes(8.0) / 0)
    assert collector.longest_hold() == 0.375
