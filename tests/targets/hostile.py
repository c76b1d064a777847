"""Objects and names made to harm whoever looks: what is called is counted, and must stay at zero.

`counts` tells which methods of these classes have run since READY, with the name of the thread that ran them last; the
same is printed at the end. `truth` tells the names that the tasks really have. `poke` runs each kind of method once, so
that a test can see that the counters count.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator

from conversation import say, serve

counts: collections.Counter[str] = collections.Counter()
where: dict[str, str] = {}
armed = False

NAMES = {
    "escape": "\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b[999D",
    "c1": "a\x9b31mb\x90c\x9c",
    "wide": "任務" * 20 + "👩\u200d🚀e\u0301\u0301",
    "bidirectional": "abc\u202egnp.exe\u2066x\u2069",
    "long": "x" * 10_000,
    "lines": "first\nsecond\r\n\tthird\x00fourth",
    "surrogate": "half \udc80 pair",
    "markup": "[red]not markup[/red] [@click=app.quit]press[/]",
    "blank": "",
}


def called(what: str) -> None:
    """Counts one call of a method that nobody but this program should call."""
    if armed:
        counts[what] += 1
        where[what] = threading.current_thread().name


def trap(cls: str, name: str, value: Any) -> Any:
    """A method that counts, and then answers with `value`, or raises it."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        called(f"{cls}.{name}")
        if isinstance(value, type) and issubclass(value, Exception):
            raise value(name)
        return value(self, *args, **kwargs) if callable(value) else value

    return method


COMMON: dict[str, Any] = {
    "__repr__": "\x1b[31mrepr",
    "__str__": "\x1b[31mstr",
    "__eq__": True,
    "__hash__": 7,
    "__len__": 1 << 40,
    "__bool__": False,
    "__sizeof__": 1 << 60,
    "__getattr__": AttributeError,
    "__iter__": RuntimeError,
    "__contains__": True,
    "__getitem__": KeyError,
    "__dir__": RuntimeError,
    "__format__": "format",
    "__reduce_ex__": RuntimeError,
    "__instancecheck__": True,
    "__length_hint__": 1 << 40,
    "__index__": 3,
}


class Meta(type):
    """A metaclass whose every hook is a trap."""

    __repr__ = trap("Meta", "__repr__", "meta")
    __eq__ = trap("Meta", "__eq__", True)
    __hash__ = trap("Meta", "__hash__", 7)
    __instancecheck__ = trap("Meta", "__instancecheck__", True)
    __subclasscheck__ = trap("Meta", "__subclasscheck__", True)
    __getattr__ = trap("Meta", "__getattr__", AttributeError)
    __len__ = trap("Meta", "__len__", 5)
    __bool__ = trap("Meta", "__bool__", False)

    def __getattribute__(cls, name: str) -> Any:
        called("Meta.__getattribute__")
        return type.__getattribute__(cls, name)

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        called("Meta.__module__")
        return "\x1b[31mmodule"

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        called("Meta.__name__")
        return "\x1b[31mname"


def getattribute(self: Any, name: str) -> Any:
    called("Hostile.__getattribute__")
    return object.__getattribute__(self, name)


def lie(self: Any) -> Any:
    called("Hostile.__class__")
    return asyncio.Task


def hostile(name: str, *bases: type, **more: Any) -> Any:
    """A class of traps on top of `bases`."""
    body = {method: trap(name, method, value) for method, value in COMMON.items()}
    return Meta(name, bases, {**body, "__getattribute__": getattribute, "__class__": property(lie), **more})


Plain = hostile("Plain")
Slots = hostile("Slots", __slots__=("payload",))
Dict = hostile("Dict", dict)
List = hostile("List", list)
Str = hostile("Str", str)
Bytes = hostile("Bytes", bytearray)


def attribute(name: str) -> Any:
    def get(self: Any) -> Any:
        called(f"Task.{name}")
        raise RuntimeError(name)

    return property(get)


class LyingTask(asyncio.Task):  # type: ignore[type-arg]
    """A task whose Python face lies: whoever asks through it runs its code."""

    _coro = attribute("_coro")
    _fut_waiter = attribute("_fut_waiter")
    _callbacks = attribute("_callbacks")
    __repr__ = trap("Task", "__repr__", "\x1b[31mtask")
    __hash__ = asyncio.Task.__hash__

    def get_name(self) -> str:
        called("Task.get_name")
        raise RuntimeError("get_name")


class LyingModule(types.ModuleType):
    """A module whose attributes are traps."""

    def __getattribute__(self, name: str) -> Any:
        called("Module.__getattribute__")
        return types.ModuleType.__getattribute__(self, name)

    __getattr__ = trap("Module", "__getattr__", AttributeError)


class Awaited:
    """Something to wait for that is no future."""

    __repr__ = trap("Awaited", "__repr__", "\x1b[31mawaited")

    def __await__(self) -> Any:
        yield from asyncio.get_running_loop().create_future()


class Bare:
    """As much of a future as a task needs, without weak references."""

    __slots__ = ("_asyncio_future_blocking", "callback", "loop")

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self._asyncio_future_blocking = False

    def get_loop(self) -> Any:
        return self.loop

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        """It is done when it is cancelled."""
        self.callback = callback

    def cancel(self, *message: Any, **more: Any) -> bool:
        self.loop.call_soon(self.callback, self)
        return False

    def result(self) -> None:
        """Nothing comes of it."""

    def __await__(self) -> Any:
        self._asyncio_future_blocking = True
        yield self


async def bare() -> None:
    """Waits for something that only looks like a future."""
    await Bare(asyncio.get_running_loop())


variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")


async def owner() -> None:
    """Owns one of each."""
    plain, slots = Plain(), Slots()
    mapping, items = Dict({"a": 1}), List([1, 2, 3])
    text, block = Str("text"), Bytes(1000)
    keys = {Plain(): plain}
    members = {Slots()}
    klass = Plain
    variable.set(Plain())
    await Awaited()
    del plain, slots, mapping, items, text, block, keys, members, klass


async def generate() -> AsyncIterator[int]:
    """A generator that nobody closes, with one of each."""
    plain, keys = Plain(), {Slots(): Dict({"a": 1})}
    yield 1
    del plain, keys


class Callable(Plain):  # type: ignore[misc,valid-type]
    """What an executor is to call."""

    __call__ = trap("Callable", "__call__", None)


class Registry:
    """Holds the tasks, next to things that a walk along references meets first."""

    def __init__(self) -> None:
        self.bait = [Plain(), Dict({"x": 1}), {"key": Slots()}]
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.forgotten: list[Any] = []
        self.executor = ThreadPoolExecutor(1, thread_name_prefix=NAMES["escape"])


registry = Registry()
thread_stop = threading.Event()


def start() -> None:
    """Starts a task for each name and each kind of lie."""
    loop = asyncio.get_running_loop()
    for key, name in NAMES.items():
        registry.tasks[key] = loop.create_task(owner(), name=name)
    registry.tasks["lying"] = LyingTask(owner(), loop=loop)
    registry.tasks["bare"] = loop.create_task(bare(), name="bare")
    renamed = owner()
    renamed.__qualname__ = "Spawner\x1b[2J." + "y" * 2_000
    renamed.__name__ = "\x1b[2J"
    registry.tasks["renamed"] = loop.create_task(renamed, name="renamed")
    subclassed = owner()
    registry.tasks["subclassed"] = loop.create_task(subclassed, name=str.__str__(Str("subclassed")))
    module = LyingModule("lying")
    module.__dict__["tasks"] = [registry.tasks["lying"]]
    sys.modules["lying"] = module
    forgotten = owner()
    forgotten.__qualname__ = "\x1b[2Jforgotten"
    registry.forgotten = [forgotten, generate()]
    registry.executor.submit(thread_stop.wait)
    for job in (Plain(), Callable(), functools.partial(Callable(), Slots()), Callable):
        registry.executor.submit(job, Dict({"x": 1}), key=Str("text"))
    registry.executor.submit(list.append.__get__(List()), 1)  # a method in C, of an instance whose class has hooks
    thread = threading.Thread(target=thread_stop.wait, name=NAMES["escape"], daemon=True)
    thread.start()
    thread._native_id = 1 << 80  # type: ignore[attr-defined]


def tell() -> dict[str, Any]:
    return {"calls": dict(counts), "where": dict(where)}


def poke() -> dict[str, Any]:
    """Runs some of the traps, as a careless observer would."""
    repr(Plain())
    hash(Slots())
    sys.getsizeof(Bytes(1))
    isinstance(3, Plain)
    getattr(registry.bait[0], "nothing", None)
    repr(registry.tasks["lying"])
    return tell()


def truth() -> dict[str, Any]:
    names = {key: NAMES.get(key, key) for key in registry.tasks}
    return {
        "names": {key: name.encode("utf-8", "surrogatepass").hex() for key, name in names.items()},
        "function": "__main__.owner",
        "tasks": len(registry.tasks),
        "holder": "__main__.Registry.tasks",
    }


async def main() -> None:
    global armed
    start()
    await registry.forgotten[1].__anext__()
    await asyncio.sleep(0.05)
    armed = True
    await serve({"counts": tell, "truth": truth, "poke": poke})
    armed = False
    thread_stop.set()
    registry.forgotten[0].close()
    await registry.forgotten[1].aclose()


if __name__ == "__main__":
    asyncio.run(main())
    say(tell())
