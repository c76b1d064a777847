"""Who owns a task is told by its done callbacks, on every interpreter."""

from __future__ import annotations

from ..support.interpreters import Interpreter
from .inside import run_inside

SCRIPT = """
import asyncio, collections, functools, json, os, sys
from pyobserver.agent.owners import parents
from pyobserver.agent.asyncio_types import known

told, tasks, waiting, holders = {}, {}, {}, {}
bag, table, row, queue = set(), {}, [], collections.deque()


async def kid():
    await asyncio.get_running_loop().create_future()


def start(name, kind=None):
    tasks[name] = asyncio.get_running_loop().create_task(kid()) if kind is None else kind(kid())
    return tasks[name]


async def p_await():
    await start("await")

async def p_python():
    await start("python task", asyncio.tasks._PyTask)

async def p_gather():
    holders["gather"] = asyncio.gather(start("gather"), kid())
    await holders["gather"]

async def p_gather_in_gather():
    holders["gather in gather"] = asyncio.gather(start("gather in gather"), kid())
    await asyncio.gather(holders["gather in gather"], kid())

async def p_shield():
    await asyncio.shield(start("shield"))

async def p_wait():
    await asyncio.wait([start("wait"), asyncio.ensure_future(kid())])

async def p_wait_for():
    await asyncio.wait_for(start("wait_for"), 100)

async def p_shield_in_wait_for():
    await asyncio.wait_for(asyncio.shield(start("shield in wait_for")), 100)

async def p_as_completed():
    for future in asyncio.as_completed([start("as_completed")]):
        await future

async def p_task_group():
    async with asyncio.TaskGroup() as group:
        holders["task group"] = group
        tasks["task group"] = group.create_task(kid())

async def p_awaited_in_group():
    async with asyncio.TaskGroup() as group:
        holders["awaited in group"] = group
        tasks["awaited in group"] = group.create_task(kid())
        await tasks["awaited in group"]

async def p_anyio():
    import anyio
    async with anyio.create_task_group() as group:
        holders["anyio"] = group
        async def named():
            tasks["anyio"] = asyncio.current_task()
            await kid()
        group.start_soon(named)

async def p_own_waiter():
    waiter = asyncio.get_running_loop().create_future()
    start("own waiter").add_done_callback(lambda _: waiter.done() or waiter.set_result(None))
    await waiter


def hold(name, holder, callback):
    holders[name] = holder
    start(name).add_done_callback(callback)


async def main():
    loop = asyncio.get_running_loop()
    parents_of = {
        name[2:].replace("_", " ").replace("wait for", "wait_for").replace("as completed", "as_completed"): function
        for name, function in globals().items() if name.startswith("p_")
    }
    parents_of["python task"] = parents_of.pop("python")
    if not hasattr(asyncio, "TaskGroup"):
        del parents_of["task group"], parents_of["awaited in group"]
    try:
        import anyio
    except ImportError:
        del parents_of["anyio"]
    for name, function in parents_of.items():
        waiting[name] = loop.create_task(function())
    waiting["awaited by python task"] = asyncio.tasks._PyTask(await_one("awaited by python task"), loop=loop)
    hold("set.discard", bag, bag.discard)
    hold("list.remove", row, row.remove)
    hold("deque.remove", queue, queue.remove)
    hold("partial(dict.pop)", table, functools.partial(table.pop, "key"))
    # What looks like waiting, and is not:
    hold("bystander", None, lambda _: tasks["await"])
    hold("neither", None, bag.add)
    start("nothing")
    for _ in range(20):
        await asyncio.sleep(0)
    for name, task in tasks.items():
        owner = parents.owner_of(task, known().callbacks(task))
        told[name] = None
        if owner is not None:
            told[name] = [owner.kind, place(owner.obj), place(owner.via)]
            assert owner.kind == "awaits" or owner.obj is holders[name], (name, owner.kind, owner.obj)
    print(json.dumps(told), flush=True)
    os._exit(0)


async def await_one(name):
    await start(name)


def place(thing):
    for name, task in waiting.items():
        if task is thing:
            return name
    return None if thing is None else type(thing).__name__


asyncio.run(main())
"""


OWNERS = {
    "await": ["awaits", "await", None],
    "python task": ["awaits", "python task", None],
    "awaited by python task": ["awaits", "awaited by python task", None],
    "gather": ["gather", "_GatheringFuture", "gather"],
    "gather in gather": ["gather", "_GatheringFuture", "gather in gather"],
    "shield": ["awaits", "shield", None],
    "wait": ["awaits", "wait", None],
    "wait_for": ["awaits", "wait_for", None],
    "shield in wait_for": ["awaits", "shield in wait_for", None],
    "as_completed": ["awaits", "as_completed", None],
    "own waiter": ["awaits", "own waiter", None],
    "set.discard": ["holder", "set", None],
    "list.remove": ["holder", "list", None],
    "deque.remove": ["holder", "deque", None],
    "partial(dict.pop)": ["holder", "dict", None],
    "bystander": None,
    "neither": None,
    "nothing": None,
}
TASK_GROUPS = {
    "task group": ["task_group", "TaskGroup", "task group"],
    "awaited in group": ["task_group", "TaskGroup", "awaited in group"],
}


def test_owners(interpreter: Interpreter) -> None:
    """Every way to wait for a task leads to the task that waits, and nothing else does."""
    told = run_inside(interpreter, SCRIPT)
    assert told.pop("anyio", ["task_group", "TaskGroup", "anyio"]) == ["task_group", "TaskGroup", "anyio"]
    assert told == {**OWNERS, **(TASK_GROUPS if interpreter.minor >= (3, 11) else {})}


UNOWNED = """
import asyncio, json, os, weakref
from pyobserver.agent.owners import parents
from pyobserver.agent.asyncio_types import known

kept, refs = set(), {}


async def kid():
    await asyncio.get_running_loop().create_future()

async def sleeping():
    await asyncio.sleep(1000)

async def knows_itself():
    this = asyncio.current_task()
    mine = {"task": [this]}
    await asyncio.sleep(1000)

async def limited():
    async with asyncio.timeout(1000):
        await asyncio.sleep(1000)

async def leads():
    async with asyncio.TaskGroup() as group:
        refs["member"] = weakref.ref(group.create_task(sleeping()))

async def awaits():
    await start("awaited", sleeping)

async def gathers():
    await asyncio.gather(start("gathered", sleeping), sleeping())

async def shields():
    await asyncio.shield(start("shielded", sleeping))

def in_a_closure(variable):
    async def closed():
        nonlocal variable
        variable = asyncio.current_task()
        await asyncio.sleep(1000)
    shared.append(lambda: variable)
    return closed

def hold_itself():
    task = start("in its own callback", sleeping)
    task.add_done_callback(lambda _: task)

def held_elsewhere():
    task = start("in a callback kept elsewhere", sleeping)
    task.add_done_callback(lambda _: task)
    return lambda: task

async def shared_future():
    await common

shared = []

def start(name, function, kind=None):
    loop = asyncio.get_running_loop()
    task = loop.create_task(function()) if kind is None else kind(function(), loop=loop)
    refs[name] = weakref.ref(task)
    return task


def look(name):
    task = refs[name]()
    return parents.is_unowned(task, known().callbacks(task))


async def main():
    global common
    common = asyncio.get_running_loop().create_future()
    start("sleeping", sleeping)
    start("python task", sleeping, asyncio.tasks._PyTask)
    start("with a callback", sleeping).add_done_callback(print)
    kept.add(start("kept", sleeping))
    hold_itself()
    shared.append(held_elsewhere())
    start("knows itself", knows_itself)
    start("in a closure", in_a_closure(None))
    start("one of two", shared_future), start("two of two", shared_future)
    await asyncio.sleep(0)
    for function in (awaits, gathers, shields):
        start(function.__name__, function)
    kept.add(start("kept python task", sleeping, asyncio.tasks._PyTask))
    if hasattr(asyncio, "timeout"):
        start("limited", limited)
        start("leads", leads)
    await asyncio.sleep(0.01)
    start("not begun", sleeping)
    told = {name: look(name) for name in refs}
    this = asyncio.current_task()
    told["executing"] = parents.is_unowned(this, known().callbacks(this))
    ended = start("ended", kid)
    ended.cancel()
    await asyncio.sleep(0.01)
    told["ended"] = parents.is_unowned(ended, known().callbacks(ended))
    print(json.dumps(told), flush=True)
    os._exit(0)


asyncio.run(main())
"""


def test_a_task_that_nobody_holds_is_told(interpreter: Interpreter) -> None:
    """Neither what waits for it nor a container holds it; what it holds of itself does not count."""
    told = run_inside(interpreter, UNOWNED)
    held = {"kept", "kept python task", "in a closure", "in a callback kept elsewhere"}
    held |= {"awaited", "gathered", "shielded", "member"}
    assert {name for name, unowned in told.items() if unowned is False} == held & set(told)
    assert {name for name, unowned in told.items() if unowned is None} == {"executing", "ended"}
    assert {"sleeping", "knows itself", "not begun", "in its own callback"} < set(told)


HOSTILE = """
import asyncio, collections, functools, json, os
from pyobserver.agent.owners import parents
from pyobserver.agent.asyncio_types import known

calls = collections.Counter()


def trap(name):
    def method(self, *args, **kwargs):
        calls[name] += 1
        raise RuntimeError(name)
    return method


NAMES = ["__repr__", "__eq__", "__hash__", "__len__", "__bool__", "__getattr__", "__getattribute__", "__iter__"]


class Meta(type):
    __eq__, __hash__, __instancecheck__, __getattribute__, __iter__ = map(trap, ("eq", "hash", "is", "get", "iter"))
    mro = type.mro


Hostile = Meta("Hostile", (), {**{name: trap(name) for name in NAMES}, "__class__": property(trap("class"))})
HostileSet = Meta("HostileSet", (set,), {"__eq__": trap("eq"), "__len__": trap("len"), "__bool__": trap("bool")})


class HostileTask(asyncio.Task):
    __hash__ = asyncio.Task.__hash__
    _callbacks = _fut_waiter = _coro = _state = property(trap("property"))
    __eq__ = trap("task eq")
    __bool__ = trap("task bool")


class Caller:
    def __getattribute__(self, name):
        calls[name] += 1
        return object.__getattribute__(self, name)
    def __call__(self, task):
        pass


async def kid():
    await asyncio.get_running_loop().create_future()

async def awaits():
    await task


async def main():
    global task
    loop = asyncio.get_running_loop()
    task = HostileTask(kid(), loop=loop)
    hostile = Hostile()
    task.add_done_callback(Caller())
    task.add_done_callback(lambda _: hostile)
    task.add_done_callback(functools.partial(lambda a, b: None, hostile))
    task.add_done_callback(HostileSet().discard)
    parent = HostileTask(awaits(), loop=loop)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls.clear()
    owner = parents.owner_of(task, known().callbacks(task))
    unowned = parents.is_unowned(task, known().callbacks(task))
    told = {"calls": dict(calls), "owner": owner.kind, "is": owner.obj is parent, "unowned": unowned}
    for trapped in (Caller.__call__, repr, len):
        try:
            trapped(hostile)
        except (RuntimeError, TypeError):
            pass
    told["armed"] = len(calls)
    print(json.dumps(told), flush=True)
    os._exit(0)


asyncio.run(main())
"""


def test_no_code_of_the_target_runs(interpreter: Interpreter) -> None:
    """Tasks, callbacks and containers whose every method counts are looked at without a single call."""
    told = run_inside(interpreter, HOSTILE)
    assert told["armed"] > 0
    assert told["calls"] == {}
    assert (told["owner"], told["is"], told["unowned"]) == ("awaits", True, False)


BOUNDED = """
import asyncio, json, os
from pyobserver.agent.owners import parents
from pyobserver.agent.asyncio_types import known


async def kid():
    await asyncio.get_running_loop().create_future()


async def main():
    loop = asyncio.get_running_loop()
    looked = []
    original = parents._Search._look
    parents._Search._look = lambda *args: looked.append(1) or original(*args)
    chain = [loop.create_future() for _ in range(1000)]
    for one, next_one in zip(chain, chain[1:]):
        one.add_done_callback(lambda _, next_one=next_one: None)
        one.add_done_callback((lambda next_one: lambda _: next_one)(next_one))
    task = loop.create_task(kid())
    task.add_done_callback((lambda first: lambda _: first)(chain[0]))
    waiters = [loop.create_task(wait_for(task)) for _ in range(5000)]
    await asyncio.sleep(0)
    told = [parents.owner_of(task, known().callbacks(task)).kind, len(looked)]
    task = loop.create_task(kid())
    task.add_done_callback((lambda first: lambda _: first)(chain[0]))
    told += [parents.owner_of(task, known().callbacks(task)), len(looked)]
    print(json.dumps(told), flush=True)
    os._exit(0)


async def wait_for(task):
    await task


asyncio.run(main())
"""


def test_the_search_is_bounded(interpreter: Interpreter) -> None:
    """Neither thousands that wait nor a chain of a thousand futures cost more than sixty looks."""
    kind, first, nobody, both = run_inside(interpreter, BOUNDED)
    assert (kind, nobody) == ("awaits", None)
    assert first <= 60
    assert both == first + 60
