"""Where tasks are made is noted while somebody has asked for it, by a factory in front of the program's own."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyobserver.agent.creations import Creations

from ..support.interpreters import Interpreter, interpreters
from ..support.packages import with_packages
from ..support.targets import launch
from .mirror import Mirror, connect, observed, silence

SOURCE = Path(__file__).resolve().parents[1] / "targets" / "makers.py"


def line_of(text: str) -> int:
    """The number of the line of the target that has this text."""
    return next(n for n, line in enumerate(SOURCE.read_text().splitlines(), 1) if text in line)


def ask(mirror: Mirror, token: int, on: bool = True) -> dict[str, Any]:
    """Asks for the noting to begin or to end; returns the first answer but "asked"."""
    mirror.client.act("creations", 0, token, {"on": on})

    def answer() -> dict[str, Any] | None:
        said = [each for each in mirror.actions.get(token, ()) if each["state"] != 0]
        return said[0] if said else None

    return mirror.wait(answer, "an answer")


RENAMES = (3, 13)  # calls what a factory has made without a name None
ABLE = [each for each in interpreters() if each.minor != RENAMES]
on_able = pytest.mark.parametrize(
    "interpreter",
    [pytest.param(i, id=str(i), marks=() if i in (ABLE[0], ABLE[-1]) else pytest.mark.every) for i in ABLE],
)


@pytest.mark.parametrize("interpreter", [each for each in interpreters() if each.minor == RENAMES], ids=str)
def test_where_python_would_rename_the_tasks_it_is_refused(interpreter: Interpreter) -> None:
    """The names of the program's tasks are not ours to change."""
    with launch(interpreter, "makers") as target:
        before = target.ask("factory")
        with observed(target.pid) as mirror:
            said = ask(allowed(mirror, target.pid), 1)
            assert said["state"] == 3 and "None" in said["text"]
            assert target.ask("factory") == before
        silence(target.stop())


def allowed(mirror: Mirror, pid: int) -> Mirror:
    """A second observer of the same agent, which may ask for actions."""
    return Mirror(connect(pid, actions=True))


@on_able
@pytest.mark.parametrize("how", ["plain", "factory", "eager", "uvloop"])
def test_the_line_and_the_task_that_has_made_it_are_told(interpreter: Interpreter, how: str) -> None:
    if how == "eager" and interpreter.minor < (3, 12):
        pytest.skip("there are no eager tasks before Python 3.12")
    able = with_packages(interpreter, "uvloop") if how == "uvloop" else interpreter
    with launch(able, "makers", "--how", how) as target:
        with observed(target.pid) as first:
            first.wait_until_known()
            mirror = allowed(first, target.pid)
            mirror.wait_until_known()
            before = target.ask("factory")
            assert ask(mirror, 1)["state"] == 1
            made = target.ask("make")
            assert made == {"begins_at_once": how == "eager", "names": ["by hand", "gathered"]}

            def told() -> dict[str, Any] | None:
                row = mirror.named("by hand")
                detail = mirror.detail(row) if row is not None else None
                return detail if detail is not None and detail["spawned_at"] else None

            detail = mirror.wait(told, "where it was made")
            file, _, rest = detail["spawned_at"].rpartition(":")
            assert file.endswith("makers.py")
            function = "Maker.make" if interpreter.minor >= (3, 11) else "make"
            assert rest == f"{line_of('# by hand')} {function}"
            assert [label.partition("  ")[0] for _, label in detail["spawned_by"]] == ["maker"]
            maker, row = mirror.named("maker"), mirror.named("by hand")
            assert maker is not None and row is not None
            spawned = (maker["id"], "spawned")
            mirror.wait(lambda: spawned in mirror.others.get(row["id"], ()), "the edge to its maker")  # type: ignore[index]
            assert ask(mirror, 2, on=False)["state"] == 2
            mirror.wait(lambda: mirror.actions[1][-1]["final"], "the end")
            first.wait(lambda: target.ask("factory") == before, "the factory that was there before")
            ask(mirror, 3)
            assert target.ask("factory") != before
            mirror.client.close()
            first.wait(lambda: target.ask("factory") == before, "its going with the observer")
            assert first.problems == []
        silence(target.stop())


@on_able
def test_a_factory_that_the_program_wraps_only_passes_on_afterwards(interpreter: Interpreter) -> None:
    with launch(interpreter, "makers") as target:
        with observed(target.pid) as first:
            first.wait_until_known()
            mirror = allowed(first, target.pid)
            ask(mirror, 1)
            target.ask("wrap")
            ask(mirror, 2, on=False)
            mirror.wait(lambda: mirror.actions[1][-1]["final"], "the end")
            mirror.client.close()
        assert target.ask("make")["names"] == ["by hand", "gathered"]
        silence(target.stop())


@on_able
def test_it_leaves_with_the_agent_and_a_forked_child_has_none(interpreter: Interpreter) -> None:
    with launch(interpreter, "makers") as target:
        before = target.ask("factory")
        with observed(target.pid) as first:
            first.wait_until_known()
            mirror = allowed(first, target.pid)
            ask(mirror, 1)
            assert 0.0 < mirror.ticks[-1]["remedies"]["creation_seconds"] < 0.001
            mirror.wait(lambda: mirror.ticks[-1]["remedies"]["creations"], "that it is on")
            assert target.ask("factory") != before
            assert target.ask("fork")["left"] == 0
        assert target.ask("factory") == before
        silence(target.stop())


@on_able
def test_who_may_not_act_is_refused(interpreter: Interpreter) -> None:
    with launch(interpreter, "makers") as target:
        before = target.ask("factory")
        with observed(target.pid) as mirror:
            assert ask(mirror, 1)["state"] == 3
            assert target.ask("factory") == before
        silence(target.stop())


@pytest.mark.skipif(sys.version_info[:2] == RENAMES, reason="it is refused there")
def test_a_loop_that_has_gone_takes_its_factories_with_it() -> None:
    """Nothing of the program is held: a server may have a loop for each request."""
    loops: list[Any] = []
    agent: Any = SimpleNamespace(
        clock=time.perf_counter, tasks=SimpleNamespace(loops=SimpleNamespace(references=lambda: list(loops)))
    )
    creations = Creations(agent)
    asked = object()
    gone = []
    for _ in range(3):
        loop = asyncio.new_event_loop()

        def own(loop: Any, coro: Any, **options: Any) -> Any:
            return asyncio.Task(coro, loop=loop, **options)

        loop.set_task_factory(own)
        gone.append(weakref.ref(own))
        loops[:] = [weakref.ref(loop)]
        if asked not in creations._wanted:
            assert creations.begin(asked) is None
        list(creations._look(None))
        assert loop.get_task_factory() is not own
        loop.close()
        del loop, own
    gc.collect()
    list(creations._look(None))
    assert not creations._factories and [each() for each in gone] == [None] * 3
    creations.close()
