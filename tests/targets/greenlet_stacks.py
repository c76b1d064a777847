"""Greenlets without a library, each parked with some bytes that it holds in its own way.

    greenlet_stacks.py

`kill NAME` ends one and says what that `freed`, in bytes, by tracemalloc. `counts` tells how often code of the hostile
classes has run since the last time, `end NAME` lets one run to its end, keeping it, and `many N` parks N more.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
from types import FrameType
from typing import Any

from conversation import serve_blocking
from greenlet import getcurrent, greenlet

SIZE = 1_000_000
main = getcurrent()
shared: list[Any] = []
kept: dict[str, Any] = {}
crowd: list[Any] = []
ran = {"hostile": 0}


def park() -> None:
    main.switch()


def holds_local() -> None:
    payload = bytearray(SIZE)
    park()
    del payload


def holds_items() -> None:
    items = [{"number": n, "text": "x" * n} for n in range(500)]
    park()
    del items


def passes_on() -> None:
    payload = bytearray(SIZE)
    takes(payload)
    del payload


def takes(given: Any) -> None:
    again = given
    park()
    del again


def gives_away() -> None:
    takes(bytearray(SIZE))


def shares() -> None:
    payload = bytearray(SIZE)
    shared.append(payload)
    takes(payload)


def reads_shared() -> None:
    payload = shared[0]
    takes_two(payload, other=payload)


def takes_two(given: Any, *, other: Any) -> None:
    park()


def in_generator() -> None:
    for each in generates():
        del each


def generates() -> Any:
    payload = shared[0]
    yield payload
    other = payload
    park()
    del other


def closes_over() -> None:
    payload = bytearray(SIZE)
    kept["closure"] = lambda: payload
    park()


def has_constant() -> None:
    constant = (1, 2.5, "a text that is a constant and is in a tuple with others", (3, 4))
    park()
    del constant


def knows_itself() -> None:
    me, payload = getcurrent(), bytearray(SIZE)
    park()
    del me, payload


def loops() -> None:
    for payload in [bytearray(SIZE)]:
        park()
        del payload


def fails() -> None:
    try:
        raise ValueError(bytearray(SIZE))
    except ValueError as problem:
        park()
        del problem


def returns() -> Any:
    park()
    return bytearray(SIZE)


class Meta(type):
    def __eq__(cls, other: object) -> bool:
        ran["hostile"] += 1
        return cls is other

    def __hash__(cls) -> int:
        ran["hostile"] += 1
        return id(cls)

    def __getattribute__(cls, name: str) -> Any:
        ran["hostile"] += name not in ("__class__", "__mro__")
        return type.__getattribute__(cls, name)


class Hostile(greenlet, metaclass=Meta):
    """Everything that can be asked of it is asked of code of its own."""

    def __getattribute__(self, name: str) -> Any:
        ran["hostile"] += 1
        return greenlet.__getattribute__(self, name)

    def __bool__(self) -> bool:
        ran["hostile"] += 1
        return True

    def __eq__(self, other: object) -> bool:
        ran["hostile"] += 1
        return self is other

    def __hash__(self) -> int:
        ran["hostile"] += 1
        return id(self)

    @property
    def parent(self) -> Any:
        ran["hostile"] += 1
        return greenlet.parent.__get__(self)

    @property
    def dead(self) -> bool:
        ran["hostile"] += 1
        return False

    @property
    def gr_frame(self) -> Any:
        ran["hostile"] += 1
        return None

    @property
    def _run(self) -> Any:
        ran["hostile"] += 1
        return None

    @property
    def run(self) -> Any:
        ran["hostile"] += 1
        return is_hostile


def is_hostile() -> None:
    payload = bytearray(SIZE)
    park()
    del payload


def kill(name: str) -> dict[str, Any]:
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    kept.pop(name).throw()
    gc.collect()
    return {"freed": before - tracemalloc.get_traced_memory()[0]}


def end(name: str) -> dict[str, Any]:
    kept[name].switch()
    return {}


def counts() -> dict[str, int]:
    found = dict(ran)
    ran["hostile"] = 0
    return found


def left() -> dict[str, int]:
    """How many main greenlets there are, and frame objects of those that are parked."""
    gc.collect()
    found = [each for each in gc.get_objects() if type(each) is greenlet and greenlet.parent.__get__(each) is None]
    return {"main": len(found), "frames": sum(type(each) is FrameType for each in gc.get_objects())}


def many(number: str) -> dict[str, Any]:
    for _ in range(int(number)):
        crowd.append(greenlet(park))
        crowd[-1].switch()
    return {"parked": len(crowd)}


def in_thread(ready: Any, done: Any) -> None:
    """A thread with a greenlet of its own, which runs until it may end, and one that is parked."""

    def runs() -> None:
        ready.set()
        done.wait()

    def parked() -> None:
        above = getcurrent().parent
        assert above is not None
        above.switch()

    kept["parked elsewhere"] = greenlet(parked)
    kept["parked elsewhere"].switch()
    kept["runs elsewhere"] = greenlet(runs)
    kept["runs elsewhere"].switch()


def lets_go() -> dict[str, Any]:
    done.set()
    thread.join()
    return {}


SHAPES = (
    holds_local,
    holds_items,
    passes_on,
    gives_away,
    shares,
    reads_shared,
    in_generator,
    closes_over,
    has_constant,
)
SHAPES += (knows_itself, loops, fails, returns)

if __name__ == "__main__":
    tracemalloc.start()
    for shape in SHAPES:
        kept[shape.__name__] = greenlet(shape)
        kept[shape.__name__].switch()
    kept["never"] = greenlet(holds_local)
    kept["hostile"] = Hostile()
    greenlet.switch(kept["hostile"])
    started, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=in_thread, args=(started, done))
    thread.start()
    started.wait()
    ran["hostile"] = 0
    serve_blocking({"kill": kill, "end": end, "counts": counts, "many": many, "left": left, "lets_go": lets_go})
    sys.stdout.flush()
    if not done.is_set():
        lets_go()
    os._exit(0)  # who is parked is not to be ended now: on 3.15 a generator in such a stack complains
