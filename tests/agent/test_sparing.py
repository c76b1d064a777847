"""Tasks of a crowd cost one weak reference less once they have been parked for a while, and never is one that has run
said not to have (3.14 on)."""

from __future__ import annotations

import pytest

from ..support.interpreters import Interpreter
from .inside import run_inside
from .test_task_lists import on_newer

SCRIPT = """
import asyncio, gc, json, random, time
from types import SimpleNamespace
from pyobserver.agent.rows import Row, Table
from pyobserver.agent.schedule import Slice
from pyobserver.agent.tasks import TaskProbe
from pyobserver.protocol import schema

TASKS, ROUNDS = 4200, %(rounds)d
chance = random.Random(5)

def through(work):
    try:
        next(work)
        while True:
            work.send(Slice(time.perf_counter, 0.001))
    except StopIteration:
        pass

class Worker:
    # waits for one future after another, each made when the last has gone: mostly at the same address
    def __init__(self):
        self.steps, self.gate = 0, None
        self.task = asyncio.create_task(self.run())
    async def run(self):
        while True:
            self.gate = asyncio.get_running_loop().create_future()
            await self.gate
            self.gate = None
            self.steps += 1
            await asyncio.sleep(0)  # by then nothing refers to the last one

changes = []

def change():
    changes.append(len(changes))
    %(change)s

async def main():
    workers = [Worker() for _ in range(TASKS)]
    await asyncio.sleep(0)
    gc.collect()
    gc.set_threshold(200_000, 10, 10)  # what is counted here must not be what makes a collection due
    agent = SimpleNamespace(
        table=Table(0.0), clock=time.perf_counter, cpu=time.thread_time, wall=time.time, self_check="not needed here",
        upkeep=lambda share: share,
        scanner=SimpleNamespace(add_barrier=lambda kind: None), threads=SimpleNamespace(row_of=lambda ident: None),
        problem=print,
    )
    probe = TaskProbe(agent, None)
    table = agent.table
    through(probe._enumerate(Slice(time.perf_counter, 0.001)))
    rows = [probe.row_of(worker.task) for worker in workers]
    wrong = known = unknown = seen = reused = most = 0
    before = None
    for number in range(ROUNDS):
        through(probe.states._sweep(Slice(time.perf_counter, 0.001)))
        most = max(most, table.spared)
        pairs = zip(rows, workers)
        now = [(table.looks - row.since, row.moves, worker.steps, id(worker.gate)) for row, worker in pairs]
        for (looks, moves, steps, gate), (looks_then, moves_then, steps_then, gate_then) in zip(now, before or ()):
            has_run = steps != steps_then
            reused += has_run and gate == gate_then
            unknown += looks == looks_then
            if looks == looks_then + 1 and moves == moves_then:
                wrong += has_run
                known += not has_run
            seen += has_run and moves > moves_then
        before = now
        change()
        for worker in chance.sample(workers, %(moving)d):
            worker.gate.set_result(None)
            while worker.gate is None or worker.gate.done():
                await asyncio.sleep(0)
    keys = sum(table.keys[row.position] is None for row in rows)
    right = keys == table.spared == sum(row.waiter != 0 for row in rows)
    return wrong, known, unknown, seen, reused, most, right, table.spared

print(json.dumps(asyncio.run(main())))
"""


@on_newer
@pytest.mark.parametrize("change", ["pass", "gc.collect(0)", "gc.collect(chance.choice((0, 0, 0, 1, 2)))"])
def test_a_task_that_has_run_is_never_said_not_to_have(interpreter: Interpreter, change: str) -> None:
    """It waits at the same address again; what cannot be told counts for nothing."""
    script = SCRIPT % {"rounds": 45, "change": change, "moving": 20}
    wrong, known, unknown, seen, reused, most, right, _ = run_inside(interpreter, script)
    assert reused > 100
    assert wrong == 0
    assert right
    assert known > 0
    assert seen > 0
    if "choice" not in change:
        assert most > 1000
        assert unknown < known


@on_newer
def test_those_that_stay_parked_have_no_reference_to_what_they_await(interpreter: Interpreter) -> None:
    """All of them, and what they do is known in every round."""
    script = SCRIPT % {"rounds": 20, "change": "pass", "moving": 0}
    wrong, known, unknown, _, _, most, right, _ = run_inside(interpreter, script)
    assert (wrong, right) == (0, True)
    assert known + unknown == 19 * 4200
    assert unknown < known  # slices that were torn
    assert most >= 4200 - 256  # all but those beside the main task, which runs


@on_newer
def test_where_it_can_never_be_told_there_are_references_again(interpreter: Interpreter) -> None:
    """What the collector makes old in every round cannot be told from what was there."""
    script = SCRIPT % {"rounds": 40, "change": "gc.collect(len(changes) > 12)", "moving": 5}
    wrong, _, unknown, _, _, most, right, spared = run_inside(interpreter, script)
    assert (wrong, right, spared) == (0, True, 0)
    assert most > 1000
    assert unknown > 0
