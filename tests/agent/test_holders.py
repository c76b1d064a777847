"""What holds the tasks is found by one walk in slices, and named, on every interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyobserver import demo

from ..support.interpreters import Interpreter
from .inside import run_inside

# A program that holds tasks in every way: each place has a name, and the tasks in it are noted under that.
APP = """
import asyncio, collections, dataclasses, typing

expected = {}
SESSIONS = {}
_closures = []


async def kid():
    await asyncio.get_running_loop().create_future()


def task(place, kind, length=None):
    made = asyncio.get_running_loop().create_task(kid())
    expected[id(made)] = [place, kind, length]
    return made


class Slots:
    __slots__ = ("__weakref__", "_one", "many", "unset")
    def __init__(self):
        self._one = task("app.%s._one" % type(self).__name__, "attribute")
        self.many = [task("app.%s.many" % type(self).__name__, "list", 2) for _ in range(2)]


class Heir(Slots):
    def __init__(self):
        super().__init__()
        self.extra = {"key": task("app.Heir.extra", "dict", 1)}


class Plain:
    def __init__(self):
        self._task = task("app.Plain._task", "attribute")
        self.children = {task("app.Plain.children", "set", 3) for _ in range(3)}
        self.by_name = {"a": task("app.Plain.by_name", "dict", 1)}
        self.by_task = {task("app.Plain.by_task", "dict", 2): n for n in range(2)}
        self.waiting = collections.deque([task("app.Plain.waiting", "deque", 1)])
        self.frozen = frozenset([task("app.Plain.frozen", "frozenset", 1)])
        self.pair = (task("app.Plain.pair", "tuple", 2), 1)
        self.records = {1: ("name", task("app.Plain.records", "dict", 2)), 2: (task("app.Plain.records", "dict", 2), 0)}
        self.rooms = {room: [task("app.Plain.rooms[...]", "list", 2) for _ in range(2)] for room in ("red", "blue")}
        self.halls = [{"red": {task("app.Plain.halls[...][...]", "set", 1)}}]
        self.ordered = collections.OrderedDict(a=task("app.Plain.ordered", "OrderedDict", 1))
        self.default = collections.defaultdict(list, a=[task("app.Plain.default[...]", "list", 1)])

    @property
    def trap(self):
        raise RuntimeError("a property was asked")


class Materialised:
    def __init__(self):
        self._task = task("app.Materialised._task", "attribute")
        self.tasks = [task("app.Materialised.tasks", "list", 1)]
        self.number = 1
        vars(self)["added"] = {task("app.Materialised.added", "set", 1)}


class Registry(dict):
    def __init__(self):
        super().__init__(a=task("app.registry", "Registry", 1))
        self.extra = [task("app.Registry.extra", "list", 1)]


class Outer:
    class Inner:
        tasks = []
    pool = set()


@dataclasses.dataclass
class Record:
    handle: typing.Any
    group: list = dataclasses.field(default_factory=list)


class SetFromOutside:
    pass


class Chain:
    def __init__(self, depth):
        self.next = Chain(depth - 1) if depth else None
        self.task = None if depth else task("app.Chain.task", "attribute")


def dress(thing):
    thing.set_by_somebody_else = [task("app.SetFromOutside.set_by_somebody_else", "list", 1)]


def closing():
    held = [task("app.closing.<locals>.closed: closure.held", "list", 1)]
    def closed():
        return held
    return closed


async def keeps_in_locals():
    mine = task("task keeper: locals.mine", "local")
    several = [task("task keeper: locals.several", "list", 2) for _ in range(2)]
    async for _ in numbers():
        pass
    return mine, several


async def numbers():
    inner = {"a": task("task keeper: locals.inner", "dict", 1)}
    await asyncio.get_running_loop().create_future()
    yield inner


def build():
    global slots, heir, plain, materialised, registry, record, outside, main_task, single, chain
    single = task("app.single", "attribute")
    slots, heir, plain, materialised, registry = Slots(), Heir(), Plain(), Materialised(), Registry()
    SESSIONS["x"] = task("app.SESSIONS", "dict", 1)
    Outer.pool.add(task("app.Outer.pool", "set", 1))
    Outer.Inner.tasks.append(task("app.Outer.Inner.tasks", "list", 1))
    record = Record(task("app.Record.handle", "attribute"), [task("app.Record.group", "list", 1)])
    outside = SetFromOutside()
    dress(outside)
    _closures.append(closing())
    chain = Chain(100)
    loop = asyncio.get_running_loop()
    keeper = loop.create_task(keeps_in_locals())
    keeper.set_name("keeper")
    return [keeper]
"""

# What all scripts begin with: how to walk, from a function, so that no module holds what the walk makes.
WALK = """
import asyncio, gc, json, os, sys, time, weakref
from pyobserver.agent.owners import holders, marks
from pyobserver.agent.retention import slots as variables

CLOCK = time.perf_counter


def walk_for(tasks, budget=0.001, make=None, between=None):
    rows = {id(task): number for number, task in enumerate(tasks, 1)}
    types = {id(type(task)) for task in tasks}
    refs = [weakref.ref(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    walk = holders.Walk(lambda number: rows.get(number, 0), CLOCK, lambda: refs, name_of=lambda task: task.get_name(),
                        slots=variables.Slots(os.open("/proc/self/mem", os.O_RDONLY)))
    walk.types.update(types)
    del tasks
    return walk


def go(walk, budget=0.001, between=None):
    slices = 1
    while not walk.run(CLOCK() + budget):
        slices += 1
        if between is not None:
            between(walk)
    return slices


def told(walk, tasks):
    found = {}
    for row, holding in walk.found.items():
        found[id(tasks[row - 1])] = [holding.path, holding.type, holding.length]
    return found


def finish(**answer):
    print(json.dumps(answer), flush=True)
    os._exit(0)
"""
SCRIPT = (
    WALK
    + """
import app


async def main():
    roots = app.build()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks = [task for task in asyncio.all_tasks() if id(task) in app.expected]
    walk = walk_for(tasks)
    before = {name: len(gc.get_referents(getattr(app, name))) for name in ("slots", "plain", "record", "outside")}
    slices = go(walk)
    after = {name: len(gc.get_referents(getattr(app, name))) for name in before}
    found = told(walk, tasks)
    wrong = [[found.get(number), place] for number, place in app.expected.items() if found.get(number) != place]
    ids = {}
    for _, holding in walk.found.items():
        ids.setdefault((holding.path, holding.type), set()).add(holding.key)
    finish(wrong=wrong, total=len(tasks), incomplete=walk.incomplete, same=before == after,
           ids={path: len(each) for (path, _), each in ids.items()}, objects=walk.objects)

asyncio.run(main())
"""
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as a file."""
    file = tmp_path_factory.mktemp("program") / "app.py"
    file.write_text(APP)
    return file


def test_places(interpreter: Interpreter, app: Path) -> None:
    """Every container and attribute is found and has its name, and nothing was changed by looking."""
    told = run_inside(interpreter, SCRIPT, app)
    assert told["wrong"] == [], told["wrong"]
    assert told["total"] > 30
    assert told["incomplete"] is None
    assert told["same"], "an instance has got a __dict__"
    assert told["ids"].pop("app.Plain.rooms[...]") == 2, "two lists are two containers"
    assert set(told["ids"].values()) == {1}


SERVICE = (
    WALK
    + """
import argparse
from rudder import service


async def main():
    loop = asyncio.get_running_loop()
    options = argparse.Namespace(fixed=False, limit=6, interval=0.005, payload=1000, until_eof=False)
    serving = loop.create_task(service.main(options))
    settled = []
    while len(settled) < 6:
        await asyncio.sleep(0.02)
        settled = [o for o in gc.get_objects() if type(o).__name__ == "Agent" and o._stopped._waiters]
    del settled
    tasks = [task for task in asyncio.all_tasks() if "push_hash" in task.get_coro().__qualname__]
    walk = walk_for(tasks)
    slices = go(walk)
    ids = {holding.key for _, holding in walk.found.items()}
    finish(found=sorted(told(walk, tasks).values()), ids=len(ids))

asyncio.run(main())
"""
)


def test_the_demonstration(interpreter: Interpreter) -> None:
    """The children of the leaking service are held where the story says."""
    told = run_inside(interpreter, SERVICE, demo.SERVICE / "rudder")
    assert told == {"found": [["rudder.pipeline.Spawner._children", "set", 6]] * 6, "ids": 1}


HOSTILE = (
    WALK
    + """
import collections, types
calls = collections.Counter()


def trap(name, result=None):
    def method(self, *args, **kwargs):
        calls[name] += 1
        return result
    return method


NAMES = ("__repr__ __str__ __eq__ __len__ __bool__ __sizeof__ __getattr__ __iter__ __contains__ __getitem__ __next__ "
         "__dir__ __length_hint__ __index__ __call__ keys values items __missing__ __del__ __reduce_ex__").split()


class Meta(type):
    pass


class Descriptor:
    def __get__(self, instance, owner=None):
        calls["__get__"] += 1
        raise AttributeError("trap")


def getattribute(self, name):
    calls["__getattribute__"] += 1
    return object.__getattribute__(self, name)


def make(name, *bases, **more):
    body = {each: trap(name + each) for each in NAMES}
    body.update(__hash__=trap("hash", 7), __class__=property(trap("class", asyncio.Task)))
    body.update(__getattribute__=getattribute, __repr__=trap("repr", "trap"), __eq__=trap("eq", True))
    body.update(touch=lambda self: (self.tasks, self.prop, self.descriptor, self.plain), prop=property(trap("prop")))
    body.update(descriptor=Descriptor(), plain=None, __module__="hostile")
    return Meta(name, bases, dict(body, **more))


Plain, Dict, List, Set = make("Plain"), make("Dict", dict), make("List", list), make("Set", set)
Slots = make("Slots", __slots__=("tasks",))
Lying = make("Lying", __module__=property(trap("module")), __dict__=property(trap("dict")), __slots__=property(
    trap("slots")) and ())


class Str(str):
    __hash__ = str.__hash__
    def __eq__(self, other):
        calls["Str.__eq__"] += 1
        return str.__eq__(self, other)


class Key:
    def __init__(self, name):
        self.name = name
    def __hash__(self):
        return hash(self.name)
    def __eq__(self, other):
        calls["Key.__eq__"] += 1
        return False


class Quiet:
    def touch(self):
        return self.tasks, self.nothing


class HostileTask(asyncio.Task):
    _callbacks = _fut_waiter = _coro = _state = property(trap("task property"))
    __hash__ = asyncio.Task.__hash__
    __repr__ = trap("task repr", "task")


class LyingModule(types.ModuleType):
    def __getattribute__(self, name):
        calls["module"] += 1
        return types.ModuleType.__getattribute__(self, name)


async def kid():
    await asyncio.get_running_loop().create_future()


def start(name):
    made = HostileTask(kid(), loop=asyncio.get_running_loop())
    expected[id(made)] = name
    return made


expected, bait = {}, []
module = LyingModule("lying")


def set_up():
    plain, slots = Plain(), Slots()
    object.__setattr__(plain, "tasks", [start("hostile.Plain.tasks")])
    object.__setattr__(slots, "tasks", [start("hostile.Slots.tasks")])
    mapping, row, group = Dict(), List(), Set()
    dict.__setitem__(mapping, "a", start("__main__.bait[...]"))
    list.append(row, start("__main__.bait[...]"))
    set.add(group, start("__main__.bait[...]"))
    dict.__setitem__(module.__dict__, "tasks", [start("lying.tasks")])
    keyed = {Plain(): start("__main__.bait[...]")}
    quiet = Quiet()
    vars(quiet)[Str("nothing")] = 1
    vars(quiet)[Key("tasks")] = [start(None)]
    lone = Quiet()
    lone.tasks = {Key("tasks"): start(None), "touch": 1}
    both = Quiet()
    both.tasks, both.other = {Key("nothing"): 1}, [start(None)]
    bait.extend([plain, slots, mapping, row, group, keyed, quiet, lone, both, Lying(), {"class": Plain}, [Slots, Meta]])
    sys.modules["lying"] = module


async def main():
    set_up()
    await asyncio.sleep(0)
    tasks = [task for task in asyncio.all_tasks() if id(task) in expected]
    walk = walk_for(tasks)
    for name in ("__eq__", "__hash__", "__instancecheck__", "__subclasscheck__", "__len__", "__bool__", "__iter__"):
        setattr(Meta, name, trap("Meta" + name, 1))
    Meta.__getattribute__ = lambda cls, name: calls.update(["Meta"]) or type.__getattribute__(cls, name)
    calls.clear()
    go(walk)
    during = dict(calls)
    repr(bait[0]), Plain == Slots, hasattr(module, "anything"), Str("a") == "a", Key("a") == "a"
    armed = len(calls)
    found = told(walk, tasks)
    places = [[found.get(number, ["nowhere"])[0], name] for number, name in expected.items()]
    wrong = [place for place in places if place[1] is not None and place[0] != place[1]]
    unnamed = [place[0] for place in places if place[1] is None]
    finish(calls=during, armed=armed, wrong=wrong, unnamed=unnamed, total=len(tasks))

asyncio.run(main())
"""
)


def test_no_code_of_the_target_runs(interpreter: Interpreter) -> None:
    """Classes, keys, tasks and modules whose every method counts are walked through without a single call."""
    told = run_inside(interpreter, HOSTILE)
    assert told["armed"] >= 5
    assert told["calls"] == {}
    assert told["wrong"] == [], told["wrong"]
    assert all(name.startswith("__main__.Quiet.") for name in told["unnamed"]), told["unnamed"]


HEAP = (
    WALK
    + """
class Record:
    def __init__(self, number):
        self.number = number
        self.fields = {"key": [number], "shared": SHARED[number % 100]}


class Keeper:
    def __init__(self):
        self.tasks = []


SHARED = [[n] for n in range(100)]
HEAP = []
KEEPER = Keeper()


def held_between(walk, most):
    strong = len(walk._owners)
    most[0] = max(most[0], strong)
    most[1] = max(most[1], sum(map(len, walk._marks.shards)))
    most[2] += any(type(each) is not int and "list" in type(each).__name__ and kind in ("object", "attributes")
                   for each, kind in zip(walk._iterators, walk._kinds))


async def kid():
    await asyncio.get_running_loop().create_future()


async def main():
    loop = asyncio.get_running_loop()
    KEEPER.tasks += [loop.create_task(kid()) for _ in range(100)]
    await asyncio.sleep(0)
    HEAP.extend(map(Record, range(100000)))
    tasks = list(KEEPER.tasks)
    walk = walk_for(tasks)
    most = [0, 0, 0]
    counted = [0, 0]

    def clock():
        counted[0] += 1
        return counted[0]

    walk._clock = clock
    slices, longest, before = 1, 0, 0
    while not walk.run(counted[0] + 20):  # twenty looks at the clock
        longest = max(longest, walk.objects - before)
        before = walk.objects
        slices += 1
        held_between(walk, most)
    found = told(walk, tasks)
    first = walk.objects
    del HEAP[1000:]
    walk.restart()
    forgotten = not walk.found and not walk.is_through
    walk._clock = CLOCK
    go(walk)
    again = told(walk, tasks) == found
    KEEPER.tasks.clear()
    HEAP.clear()
    walk.restart()
    go(walk)
    finish(places=sorted(set(map(tuple, found.values()))), found=len(found), slices=slices, longest=longest, most=most,
           first=first, forgotten=forgotten, again=again, gone=len(walk.found), incomplete=walk.incomplete)

asyncio.run(main())
"""
)


def test_a_large_heap_in_many_slices(interpreter: Interpreter) -> None:
    """Three hundred thousand objects: many slices, few containers held between, and few objects remembered."""
    told = run_inside(interpreter, HEAP)
    assert told["places"] == [["__main__.Keeper.tasks", "list", 100]]
    assert told["found"] == 100
    assert told["first"] > 300_000
    assert told["slices"] > 100
    assert told["longest"] <= 20 * 64
    containers, marks, lists = told["most"]
    assert containers <= 12
    assert marks < 20_000
    assert lists == 0
    assert told["forgotten"] and told["again"] and told["gone"] == 0
    assert told["incomplete"] is None


CHANGING = (
    WALK
    + """
import random, threading

STABLE, CHANGING, MAPPING, QUEUE = [], set(), {}, __import__("collections").deque()


async def kid():
    await asyncio.get_running_loop().create_future()


async def main():
    loop = asyncio.get_running_loop()
    STABLE.extend(loop.create_task(kid()) for _ in range(50))
    await asyncio.sleep(0)
    tasks = list(STABLE)
    for number in range(5000):
        CHANGING.add((number, (number,), object))
        MAPPING[number] = [number]
        QUEUE.append([number])
    walk = walk_for(tasks)
    ticks = [0]

    def change(walk):
        ticks[0] += 1
        CHANGING.add((ticks[0], [].append))
        MAPPING[-ticks[0]] = [ticks[0]]
        QUEUE.append([ticks[0]])
        QUEUE.popleft()

    walk._clock = lambda: 0
    times = iter(range(10**9))
    walk._clock = lambda: next(times)
    deadline = 3
    slices = 0
    while not walk.run(deadline):
        change(walk)
        deadline = next(times) + 3
        slices += 1
    finish(found=sorted(set(map(tuple, told(walk, tasks).values()))), count=len(walk.found), slices=slices,
           incomplete=walk.incomplete)

asyncio.run(main())
"""
)


def test_containers_that_change_meanwhile(interpreter: Interpreter) -> None:
    """What changes size in every pause is given up, which is said, and all the rest is found."""
    told = run_inside(interpreter, CHANGING)
    assert told["found"] == [["__main__.STABLE", "list", 50]]
    assert told["count"] == 50
    assert told["incomplete"] == "3 containers that kept changing"


ALIVE = (
    WALK
    + """
import threading

class Pool:
    def __init__(self):
        self.tasks = set()
        self.results = {}


POOL = Pool()
KEPT = {}
ended_in = {}


class Payload:
    def __init__(self, number):
        self.number = number
    def __del__(self):
        name = threading.current_thread().name
        ended_in[name] = ended_in.get(name, 0) + 1


async def short(number):
    payload = Payload(number)
    POOL.results[number % 100] = [number]
    await asyncio.sleep(0)


async def long():
    await asyncio.get_running_loop().create_future()


async def main():
    loop = asyncio.get_running_loop()
    for number in range(20):
        KEPT[number] = loop.create_task(long())
    rows = {id(task): number for number, task in KEPT.items()}
    everybody = [weakref.ref(task) for task in KEPT.values()]
    walk = holders.Walk(lambda number: rows.get(number, -1) + 1, CLOCK, lambda: everybody)
    walk.types.add(asyncio.Task)
    walk.types.clear()
    walk.types.add(id(asyncio.Task))
    problems, walks = [], []

    def work():
        try:
            while len(walks) < 5:
                while not walk.run(CLOCK() + 0.001):
                    time.sleep(0.001)
                walks.append([len(walk.found), sorted({h.path for _, h in walk.found.items()})])
                walk.restart()
        except BaseException as problem:
            problems.append(repr(problem))

    thread = threading.Thread(target=work, name="walk")
    thread.start()
    number = 0
    while thread.is_alive():
        for _ in range(20):
            number += 1
            task = loop.create_task(short(number))
            POOL.tasks.add(task)
            task.add_done_callback(POOL.tasks.discard)
        await asyncio.sleep(0.001)
    finish(problems=problems, walks=walks, ended=ended_in, number=number)

asyncio.run(main())
"""
)


def test_beside_a_running_program(interpreter: Interpreter) -> None:
    """A thread walks while the loop starts and ends tasks: no error, the kept ones found, and nobody else's to end."""
    told = run_inside(interpreter, ALIVE)
    assert told["problems"] == []
    assert told["walks"] == [[20, ["__main__.KEPT"]]] * 5
    assert told["ended"].get("walk", 0) <= 2
    assert told["ended"]["MainThread"] > 20


LIMITS = (
    WALK
    + """
DEEP = []
MANY = []


class Closed:
    __slots__ = ("next",)  # allows no weak references


async def kid():
    await asyncio.get_running_loop().create_future()


async def main():
    loop = asyncio.get_running_loop()
    inner = DEEP
    for _ in range(50):
        inner.append([])
        inner = inner[0]
    inner.append(loop.create_task(kid()))
    MANY.extend([n, [n]] for n in range(500))
    MANY.extend(list(MANY))
    await asyncio.sleep(0)
    walk = walk_for(list(inner))
    go(walk)
    deep = [len(walk.found), walk.incomplete]
    marks.MAX_MARKS = 100
    walk.restart()
    go(walk)
    finish(deep=deep, marks=[walk.incomplete, walk._marks.count])

asyncio.run(main())
"""
)


def test_limits_are_told(interpreter: Interpreter) -> None:
    """What is too deep or too much is left out, and the walk says so."""
    told = run_inside(interpreter, LIMITS)
    assert told["deep"] == [0, "1 places nested deeper than 12"]
    assert "beyond the first 100" in told["marks"][0]
    assert told["marks"][1] == 100


HURRIED = (
    WALK
    + """
async def kid():
    await asyncio.get_running_loop().create_future()


async def main():
    task = asyncio.get_running_loop().create_task(kid())
    HELD.append(task)
    await asyncio.sleep(0)
    walk = walk_for([task])
    slices = 0
    while not walk.run(0.0) and slices < 100000:
        slices += 1
    finish(through=walk.is_through, found=len(walk.found))

HELD = []
asyncio.run(main())
"""
)


def test_a_walk_gets_on_even_where_each_slice_is_over_at_once(interpreter: Interpreter) -> None:
    """To come back to where it was can take a whole slice, as below classes with many names."""
    assert run_inside(interpreter, HURRIED) == {"through": True, "found": 1}


AGAIN = (
    WALK
    + """
import types
from pyobserver.agent.owners import membership
from pyobserver.agent.rows import Table
from pyobserver.protocol import schema


class Cache:
    def __init__(self):
        self.by_key = {}


async def kid():
    await asyncio.get_running_loop().create_future()


def keeping():
    held = []
    def keep(task):
        held.append(task)
    return keep


CACHE, KEEP, SET, LATER = Cache(), keeping(), set(), []


class Slice:
    deadline, begun = 1e9, 0.0
    def over(self):
        return False


def run(work):
    try:
        next(work)
    except StopIteration as end:
        return end.value


async def main():
    loop = asyncio.get_running_loop()
    start = lambda: loop.create_task(kid())
    for number in range(3):
        CACHE.by_key[number] = start()
        KEEP(start())
        SET.add(start())
    await asyncio.sleep(0)
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    walk = walk_for(tasks)
    go(walk)
    table = Table(0.0)
    rows, nodes, missed = {}, {}, []
    def row_of(task):
        row = table.add_row(schema.KIND_TASK)
        row.ref = weakref.ref(task)
        rows[id(task)] = row
        return row
    for row, holding in walk.found.items():
        node = nodes.get(holding.path)
        if node is None:
            node = nodes[holding.path] = table.add_node(schema.NODE_HOLDER, holding.path, 0, schema.EDGE_HOLDS)
            node.route = holding.route
        row_of(tasks[row - 1]).held = node.id
    held = []
    supervisors = types.SimpleNamespace(containers=lambda: list(nodes.values()))
    hold = lambda row, node: held.append(node.label)
    members = membership.Membership(table, supervisors, rows.get, hold, missed.append)
    confirmed = run(members.confirm(Slice()))[1]
    fresh = [start() for _ in range(4)]
    CACHE.by_key["new"] = fresh[0]
    KEEP(fresh[1])
    SET.add(fresh[2])
    LATER.append(fresh[3])
    for task in fresh:
        members.note(row_of(task), task)
    run(members._look(Slice()))
    del CACHE.by_key[0]
    lost = run(members.confirm(Slice()))[1]
    del tasks, walk
    finish(paths=sorted(nodes), confirmed=confirmed, held=sorted(held), missed=missed, lost=lost)

asyncio.run(main())
"""
)


def test_known_containers_are_looked_into_again(interpreter: Interpreter) -> None:
    """New tasks are found in them, those that have left are missed, and nothing is walked for that."""
    told = run_inside(interpreter, AGAIN)
    paths = ["__main__.Cache.by_key", "__main__.SET", "__main__.keeping.<locals>.keep: closure.held"]
    assert told == {"paths": paths, "confirmed": 0, "held": paths, "missed": [1], "lost": 1}
