"""That a future is still the one that was there is never said of another, whatever the collector does (3.14 on)."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.interpreters import Interpreter
from .inside import run_inside
from .test_task_lists import on_newer

SCRIPT = """
import asyncio, gc, json, random, sys, time, weakref
from pyobserver.agent.youth import Youth

loop = asyncio.new_event_loop()
chance = random.Random(%(seed)d)
youth = Youth(lambda: 0.0, lambda: asyncio.Future)
held = [asyncio.Future(loop=loop) for _ in range(200)]
junk = []
wrong = right = known = reused = 0
%(setup)s
for number in range(%(rounds)d):
    if number %% 40 == 10:
        gc.collect()  # so that there are old ones among them
    youth.begin()
    if number:
        for place in range(200):
            address, reference = seen[place]
            if id(held[place]) != address:
                continue
            is_same = reference() is held[place]
            reused += not is_same
            if youth.is_sure():
                said = youth.are_old((address,))
                known += is_same
                right += said and is_same
                wrong += said and not is_same
            if not place %% 50:
                change()
                youth.begin_slice()
    youth.end()
    seen = [(id(each), weakref.ref(each)) for each in held]
    change()
print(json.dumps([wrong, right, known, reused, youth.is_calm]))
"""

CHANGES = {
    "nothing is collected": "",
    "the youngest": "gc.collect(0)",
    "the middle": "gc.collect(chance.choice((0, 0, 1)))",
    "all": "gc.collect(chance.choice((0, 1, 2)))",
    "frozen": "gc.freeze() if chance.random() < 0.3 else gc.unfreeze()",
}


def told(interpreter: Interpreter, change: str, seed: int, rounds: int = 300, moving: float = 0.02) -> Any:
    """(false claims, true claims, how many could be, addresses used again, whether it is calm)."""
    setup = f"""
def change():
    for place in range(200):
        if chance.random() < {moving}:
            held[place] = None
            held[place] = asyncio.Future(loop=loop)
    junk[:] = [[] for _ in range(chance.randrange(50))]
    if chance.random() < 0.3:
        {change or "pass"}
"""
    return run_inside(interpreter, SCRIPT % {"seed": seed, "rounds": rounds, "setup": setup})


@on_newer
@pytest.mark.parametrize("change", list(CHANGES))
def test_nothing_is_taken_for_what_was_there_before(interpreter: Interpreter, change: str) -> None:
    """Addresses are used again at once, in the hands of the same task, while the collector does what it may do."""
    wrong, right, _, reused, _ = told(interpreter, CHANGES[change], 7)
    assert reused > 300
    assert wrong == 0
    assert right > 0


@on_newer
def test_what_is_old_is_known_to_be_the_same(interpreter: Interpreter) -> None:
    """Of futures that nobody touches, once they are old."""
    wrong, right, known, _, is_calm = told(interpreter, "", 1, 40, 0.0)
    assert wrong == 0
    assert right > 0.5 * known > 0  # after the tenth of forty rounds
    assert is_calm


@on_newer
def test_it_is_not_relied_on_where_the_collector_is_off(interpreter: Interpreter) -> None:
    """All that was made since would be young."""
    _, right, known, _, is_calm = told(interpreter, "gc.disable()", 1, 60, 0.0)
    assert right <= known
    assert not is_calm


LARGE = """
import asyncio, builtins, gc, json
from pyobserver.agent import youth as module

loop = asyncio.new_event_loop()
gc.collect()
gc.disable()
kept = [[] for _ in range(60000)]
gc.enable()
gc.collect(0)
looked_at, held = [], []

def reversed(objects):
    for number, each in enumerate(builtins.reversed(objects), 1):
        looked_at[-1:] = [number]
        yield each

module.reversed = reversed
youth = module.Youth(lambda: 0.0, lambda: asyncio.Future)
looks, calm = [], 0
for number in range(60):
    looked_at[:] = [0]
    if number % 3 == 0:
        held += [[asyncio.Future(loop=loop)] for _ in range(50)]
        gc.collect(0)
    youth.begin()
    youth.is_sure()
    youth.end()
    looks += looked_at
    calm += youth.is_calm
print(json.dumps([len(gc.get_objects(generation=1)), max(looks), calm]))
"""


@on_newer
def test_of_a_large_middle_generation_only_what_came_last_is_looked_through(interpreter: Interpreter) -> None:
    """A program that has made a hundred thousand tasks, and then does little, may have it so for hours."""
    middle, most, calm = run_inside(interpreter, LARGE)
    assert middle > 60000
    assert 0 < most < 5000
    assert calm > 40
