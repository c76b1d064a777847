"""What the interpreter keeps in lists of its own is found in parts, and the program sees nothing of that (3.14 on)."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.interpreters import Interpreter, interpreters
from .inside import run_inside

_NEWER = [interpreter for interpreter in interpreters() if interpreter.minor >= (3, 14)]
_PARAMS = [pytest.param(i, id=str(i), marks=() if i is _NEWER[-1] else pytest.mark.every) for i in _NEWER]

on_newer = pytest.mark.parametrize(
    "interpreter",
    _PARAMS or [pytest.param(None, marks=pytest.mark.skip(reason="no interpreter that keeps tasks in lists"))],
)

_BEFORE = """
import asyncio, gc, json, sys, threading, time, weakref
from pyobserver.agent.schedule import Slice
from pyobserver.agent.task_lists import TaskLists

class Clock:
    # by which each look at it takes so long
    def __init__(self, step):
        self.now, self.step = 0.0, step
    def __call__(self):
        self.now += self.step
        return self.now

def whole_pass(lists, clock, known):
    # every part of a pass, as many as it takes; how many there were, and the references that were not known
    lists.begin()
    found, parts = [], 0
    while not lists.is_through:
        found += part(lists, clock, known)
        parts += 1
    return parts, found

def part(lists, clock, known, with_last=False):
    row_of = (lambda task: 1 if weakref.ref(task) in known else None) if with_last else None
    new = [each for each in lists.take(Slice(clock, 0.001), row_of) if each not in known]
    known.update(new)
    return new

async def parked(gate):
    await gate.wait()
"""


def said(interpreter: Interpreter, body: str) -> Any:
    """What the coroutine function `main` of a script returns."""
    return run_inside(interpreter, _BEFORE + body + "\nprint(json.dumps(asyncio.run(main())))\n")


@on_newer
def test_all_are_found_in_parts(interpreter: Interpreter) -> None:
    """Each once, and with a clock that stands still in one go."""
    parts, found, right, at_once = said(
        interpreter,
        """
async def main():
    gate = asyncio.Event()
    tasks = [asyncio.create_task(parked(gate)) for _ in range(5000)]
    await asyncio.sleep(0)
    clock = Clock(0.0004)
    parts, found = whole_pass(TaskLists(clock, clock), clock, set())
    right = {each() for each in found} == asyncio.all_tasks()
    clock = Clock(0.0)
    return parts, len(found), right, whole_pass(TaskLists(clock, clock), clock, set())[0]
""",
    )
    assert (found, right, at_once) == (5001, True, 1)
    assert parts > 5


@on_newer
def test_what_ends_meanwhile_hides_nothing(interpreter: Interpreter) -> None:
    """Those behind it move to the front, and are looked at nevertheless."""
    ended, missing = said(
        interpreter,
        """
async def main():
    gate = asyncio.Event()
    tasks = [asyncio.create_task(parked(gate)) for _ in range(6000)]
    await asyncio.sleep(0)
    clock, known, found = Clock(0.0004), set(), []
    lists, ended = TaskLists(clock, clock), 0
    while not lists.is_through:
        found += part(lists, clock, known)
        for task in tasks[ended : ended + 100]:
            task.cancel()
        ended += 100
        for _ in range(3):
            await asyncio.sleep(0)
    ended = {id(task) for task in tasks if task.done()}
    return len(ended), len(set(map(id, tasks)) - ended - {id(each()) for each in found})
""",
    )
    assert ended > 500
    assert missing == 0


@on_newer
def test_the_newest_are_found_at_once(interpreter: Interpreter) -> None:
    """Although the next part would be another one; and when they are very many, that is said."""
    found, is_behind, is_behind_then = said(
        interpreter,
        """
async def main():
    gate = asyncio.Event()
    tasks = [asyncio.create_task(parked(gate)) for _ in range(5000)]
    await asyncio.sleep(0)
    clock, known = Clock(0.0004), set()
    lists = TaskLists(clock, clock)
    found = whole_pass(lists, clock, known)[1]
    tasks += [asyncio.create_task(parked(gate)) for _ in range(300)]
    lists.begin()
    new = part(lists, clock, known, True)
    is_behind = lists.is_behind
    tasks += [asyncio.create_task(parked(gate)) for _ in range(10000)]
    new += part(lists, clock, known, True)
    return len({id(each()) for each in new} & {id(task) for task in tasks[5000:5300]}), is_behind, lists.is_behind
""",
    )
    assert (found, is_behind, is_behind_then) == (300, False, True)


@on_newer
def test_those_of_all_threads_and_those_that_run_eagerly_are_found(interpreter: Interpreter) -> None:
    """In their first step they are in no list yet."""
    names = said(
        interpreter,
        """
names, ready, done = [], threading.Event(), threading.Event()

def look():
    clock = Clock(0.0)
    names[:] = sorted(each().get_name() for each in whole_pass(TaskLists(clock, clock), clock, set())[1])

async def at_once():
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

async def elsewhere():
    ready.set()
    while not done.is_set():
        await asyncio.sleep(0.001)

async def main():
    other = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    other.start()
    ready.wait()
    asyncio.current_task().set_name("main")
    await asyncio.Task(at_once(), loop=asyncio.get_running_loop(), eager_start=True, name="eager")
    done.set()
    other.join()
    return [name if not name.startswith("Task-") else "other" for name in names]
""",
    )
    assert sorted(names) == ["eager", "main", "other"]


@on_newer
def test_no_task_is_asked_anything(interpreter: Interpreter) -> None:
    """A subclass that says itself whether it is done, and of which loop it is, is not called."""
    found, asked = said(
        interpreter,
        """
asked = []

class Own(asyncio.Task):
    def done(self):
        asked.append("done")
        return super().done()
    def get_loop(self):
        asked.append("get_loop")
        return super().get_loop()
    def __eq__(self, other):
        asked.append("eq")
        return self is other
    __hash__ = asyncio.Task.__hash__

async def main():
    gate = asyncio.Event()
    tasks = [Own(parked(gate), loop=asyncio.get_running_loop()) for _ in range(3)]
    await asyncio.sleep(0)
    del asked[:]
    clock = Clock(0.0)
    found = whole_pass(TaskLists(clock, clock), clock, set())[1]
    return len(found), list(asked)
""",
    )
    assert found == 4
    assert asked == []


@on_newer
def test_nothing_of_it_is_seen_by_the_program(interpreter: Interpreter) -> None:
    """Afterwards there is nothing new among the tasks, and while it lasts it counts for nothing: it says it is done."""
    meanwhile, afterwards, kept, left = said(
        interpreter,
        """
async def main():
    gate = asyncio.Event()
    tasks = [asyncio.create_task(parked(gate)) for _ in range(10)]
    await asyncio.sleep(0)
    clock, seen = Clock(0.0), []
    lists = TaskLists(clock, clock)
    before = sys.getrefcount(tasks[0])
    class Looked(Slice):
        def left(self):
            lists._first.take, take = None, lists._first.take
            seen.append(asyncio.all_tasks() == {*tasks, asyncio.current_task()})
            lists._first.take = take
            return 0.0
    lists.take(Looked(clock, 0.001))
    first = weakref.ref(lists._first)
    lists = take = None
    gc.collect()
    return (seen, asyncio.all_tasks() == {*tasks, asyncio.current_task()}, sys.getrefcount(tasks[0]) - before,
            first() is not None)
""",
    )
    assert meanwhile == [True]
    assert afterwards
    assert (kept, left) == (0, False)


@on_newer
def test_it_is_not_tried_where_nothing_grows_old(interpreter: Interpreter) -> None:
    """The list would be looked for among all that there is; nor where the program has replaced asyncio's functions."""
    off, never, replaced, ready = said(
        interpreter,
        """
async def main():
    lists, found = TaskLists(time.perf_counter, time.thread_time), []
    gc.disable()
    found.append(lists.is_ready())
    gc.enable()
    before = gc.get_threshold()
    gc.set_threshold(0)
    found.append(lists.is_ready())
    gc.set_threshold(*before)
    import _asyncio
    function, _asyncio.all_tasks = _asyncio.all_tasks, lambda loop: set()
    found.append(lists.is_ready())
    _asyncio.all_tasks = function
    found.append(lists.is_ready())
    return found
""",
    )
    assert (off, never, replaced, ready) == (False, False, False, True)


@on_newer
def test_it_is_given_up_when_it_does_not_work(interpreter: Interpreter) -> None:
    """As in an interpreter that asks the first before the list is complete, or keeps no list."""
    results = said(
        interpreter,
        """
async def main():
    import pyobserver.agent.task_lists as module
    clock = Clock(0.0)
    lists = TaskLists(clock, clock)
    module.get_objects = lambda generation: []
    return [(lists.is_ready(), lists.take(Slice(clock, 0.001))) for _ in range(4) if lists.is_ready()]
""",
    )
    assert results == [[True, None]] * 3
