"""Where suspended code stands, also where it is not asked any more because it can stand in one place only."""

from __future__ import annotations

from ..support.interpreters import Interpreter
from .inside import run_inside
from .mirror import on_interpreters

SCRIPT = """
import asyncio, json, time
from pyobserver.agent import describe, rows

class Pause:
    def __await__(self):
        yield

async def once(step):
    await Pause()

async def in_one_loop(step):
    for _ in range(9):
        await Pause()

async def twice(step):
    await Pause()
    if step:
        await Pause()

async def with_a_context(step):
    async with Context():
        pass

class Context:
    async def __aenter__(self):
        await Pause()
    async def __aexit__(self, *args):
        await Pause()

def delegating(step):
    yield from [1, 2]

def bare(step):
    yield 1
    yield 2

FUNCTIONS = (once, in_one_loop, twice, with_a_context, delegating, bare)
describer = describe.Describer(rows.Table(0.0), time.perf_counter)
told = {}
for function in FUNCTIONS:
    made = [function(n) for n in range(200)]
    places = set()
    for each in made:
        each.send(None)
        places.add(describer.where(each))
    before = len(places)
    for each in made[100:]:
        try:
            each.send(None)
        except StopIteration:
            continue
        places.add(describer.where(each))
    texts = [describer._texts.items[place] for place in places]
    last = [int(text.rpartition(":")[2]) - function.__code__.co_firstlineno for text in texts]
    is_alone = describer._place(function.__code__, made[0]).only != 0
    told[function.__name__] = [before, sorted(last), is_alone]
print(json.dumps(told))
"""


@on_interpreters
def test_lines_of_many_that_stand_in_one_code(interpreter: Interpreter) -> None:
    """They are right for each, in code with one place to stop and with several."""
    told = run_inside(interpreter, SCRIPT)
    asks_once = interpreter.minor >= (3, 11)
    assert told["once"] == [1, [1], asks_once]
    assert told["in_one_loop"] == [1, [2], asks_once]
    assert told["twice"] == [1, [1, 3], False]
    assert told["with_a_context"][0] == 1
    assert told["with_a_context"][2] is False
    assert told["delegating"] == [1, [1], asks_once]
    assert told["bare"] == [1, [1, 2], False]
