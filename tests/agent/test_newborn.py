"""Of what is said to be new nothing is missing, whatever the collector does (3.14 on)."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .inside import run_inside
from .mirror import observed, silence
from .test_task_lists import on_newer

SCRIPT = """
import asyncio, gc, json, random
from pyobserver.agent.newborn import Newborn

async def parked(gate):
    await gate.wait()

async def main():
    loop, gate, chance = asyncio.get_running_loop(), asyncio.Event(), random.Random(3)
    newborn, known, junk = Newborn(), set(), []
    kinds = {id(asyncio.Task)}
    tasks = [asyncio.create_task(parked(gate)) for _ in range(100)]
    told = missing = 0
    for number in range(300):
        if number %% 30 == 0:
            gc.collect()
            known.update(tasks)
            newborn.begin()
        for _ in range(chance.randrange(4)):
            tasks.append(asyncio.create_task(parked(gate)))
            await asyncio.sleep(0)
        junk.append([[] for _ in range(chance.randrange(100))])
        tasks[:] = tasks[-500:]
        %(change)s
        found = newborn.found(kinds)
        if found is None:
            known.update(tasks)
            newborn.begin()
            continue
        known.update(each() for each in found)
        told += 1
        missing += len(set(tasks) - known)
    for each in asyncio.all_tasks() - {asyncio.current_task()}:
        each.cancel()
    return missing, told, newborn.found(kinds) is None
print(json.dumps(asyncio.run(main())))
"""

CHANGES = {
    "nothing is collected": "",
    "the youngest": "gc.collect(0) if chance.random() < 0.3 else None",
    "the middle": "gc.collect(chance.choice((0, 0, 1))) if chance.random() < 0.3 else None",
    "all": "gc.collect(chance.choice((0, 1, 2))) if chance.random() < 0.3 else None",
    "frozen": "gc.freeze() if chance.random() < 0.3 else gc.unfreeze()",
    "none at all": "gc.disable() if chance.random() < 0.3 else gc.enable()",
}


@on_newer
@pytest.mark.parametrize("change", CHANGES)
def test_none_is_missing_of_those_that_are_new(interpreter: Interpreter, change: str) -> None:
    """Mostly it can be told which these are, and where it cannot, that is said."""
    missing, told, _ = run_inside(interpreter, SCRIPT % {"change": CHANGES[change]})
    assert missing == 0
    assert told > 50


@on_newer
def test_nothing_is_said_before_all_are_known(interpreter: Interpreter) -> None:
    """Nor when something is known to be missing."""

    def said(body: str) -> Any:
        script = "import asyncio, json\nfrom pyobserver.agent.newborn import Newborn\nnewborn = Newborn()\n"
        return run_inside(interpreter, f"{script}{body}\nprint(json.dumps(newborn.found({{id(asyncio.Task)}})))")

    assert said("") is None
    assert said("newborn.begin()") == []
    assert said("newborn.begin(); newborn.forget()") is None


@on_newer
def test_it_is_not_tried_where_very_much_is_young(interpreter: Interpreter) -> None:
    """To look through it would take long."""
    script = """
import gc, json
from pyobserver.agent import collector
from pyobserver.agent.newborn import Newborn
newborn = Newborn()
newborn.begin()
collector.pause()
much = [[] for _ in range(5000)]
print(json.dumps([newborn.found(set())]))
"""
    assert run_inside(interpreter, script) == [None]


@on_newer
def test_among_very_many_new_ones_are_told_soon(interpreter: Interpreter) -> None:
    """Again and again, and each once."""
    with launch(interpreter, "parked", "--tasks", 25000, "--bytes", 100) as target, observed(target.pid) as mirror:
        mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "the first look")
        for more in range(5, 25, 5):
            target.ask("add 5")
            mirror.wait(lambda more=more: len(mirror.tasks) >= 25001 + more, "the new tasks")
        mirror.turn(3)
        assert len(mirror.tasks) == 25021
        assert mirror.ticks[-1]["total"] == 25021
        silence(target.stop())
