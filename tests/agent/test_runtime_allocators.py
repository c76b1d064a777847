"""Libraries that are loaded are asked what their allocators have in use, by functions of C alone."""

from __future__ import annotations

from typing import Any

from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters, on_newest


def said(mirror: Mirror, name: str) -> list[Any]:
    """What the agent says of allocators of this name; waits for it."""
    mirror.wait(lambda: found(mirror, name), f"{name} in a tick")
    return found(mirror, name)


def found(mirror: Mirror, name: str) -> list[Any]:
    return [each for each in mirror.ticks[-1]["allocators"] if each[0] == name] if mirror.ticks else []


@on_interpreters
def test_arrows_pool_is_told_as_it_counts_itself(interpreter: Interpreter) -> None:
    """In use and the peak, while it is filled and freed; held only shows from outside."""
    with (
        launch(with_packages(interpreter, "pyarrow"), "libraries", "pyarrow") as target,
        observed(target.pid) as mirror,
    ):
        for command in ("arrow 20", "riddle"):
            told = target.ask(command)
            mirror.wait(lambda told=told: [x for x in found(mirror, "arrow") if x[2] == told["arrow"]], command)
            ((_, backend, _, held, peak, _, why),) = found(mirror, "arrow")
            assert (backend, held, peak, why) == (told["backend"], None, told["arrow_peak"], "")


@on_interpreters
def test_a_gpus_memory_is_told_once_it_was_used(interpreter: Interpreter) -> None:
    """By a stand-in whose functions are in C, as PyTorch's are: no GPU is here. Before CUDA is there nobody asks."""
    with launch(interpreter, "libraries") as target, observed(target.pid) as mirror:
        target.ask("torch")
        mirror.turn(3)
        assert not found(mirror, "cuda")
        target.ask("initialise")
        assert said(mirror, "cuda") == [["cuda", "0", 3 << 30, 8 << 30, 5 << 30, 1 << 30, ""]]


@on_newest
def test_what_is_written_in_python_is_not_called(interpreter: Interpreter) -> None:
    """Stand-ins for the libraries are the program's code: they are named, with the reason, and left alone."""
    with launch(interpreter, "libraries") as target, observed(target.pid) as mirror:
        before = target.ask("called")["modules"]
        target.ask("stand_in")
        for name in ("arrow", "cuda"):
            ((_, _, in_use, held, peak, _, why),) = said(mirror, name)
            assert (in_use, held, peak) == (None, None, None)
            assert "not those of the library" in why
        mirror.turn(3)
        after = target.ask("called")
        assert after["calls"] == 0
        assert "_ctypes" not in set(after["modules"]) - set(before)


@on_newest
def test_a_program_without_such_libraries_gets_none(interpreter: Interpreter) -> None:
    with launch(interpreter, "libraries") as target, observed(target.pid) as mirror:
        mirror.turn(3)
        assert mirror.ticks[-1]["allocators"] == []
        assert not {"pyarrow", "torch", "sqlite3", "_ctypes"} & set(target.ask("called")["modules"])
