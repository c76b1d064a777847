"""A task with variables of all kinds, some of which do harm to whoever asks them what they are; `ran` tells.

values.py
"""

from __future__ import annotations

import asyncio
from typing import Any, List

from conversation import serve

ran: List[str] = []


def harm(name: str) -> Any:
    def method(*_: Any) -> Any:
        ran.append(name)
        raise RuntimeError(name)

    return method


class Hostile(type):
    """A metaclass that is no better than its classes."""

    __repr__ = __str__ = __eq__ = __hash__ = __instancecheck__ = harm("meta")  # type: ignore[assignment]


HARM = ("__repr__", "__str__", "__len__", "__eq__", "__bool__", "__format__", "__getattr__", "__iter__", "__getitem__")
TEXT = type("Text", (str,), {**{name: harm(name) for name in HARM}, "__hash__": str.__hash__})
NUMBER = type("Number", (int,), {name: harm(name) for name in ("__repr__", "__str__", "bit_length", "__index__")})
LIST = type("List", (list,), {name: harm(name) for name in HARM})
THING = Hostile("Thing", (), {name: harm(name) for name in HARM[:5]})


async def inner(count: int, flag: bool, nothing: None) -> None:
    short, secret = "a\x1b[31mb", "x" * 5000
    raw, buffer = b"\x00\xff" * 100, bytearray(b"abc")
    ratio, huge = 1.5, 1 << 5000
    items, table = [1, 2, 3], {"key": "hidden"}
    text, number, odd, thing = TEXT("hidden"), NUMBER(4711), LIST([1]), THING()
    await asyncio.get_running_loop().create_future()
    del short, secret, raw, buffer, ratio, huge, items, table, text, number, odd, thing


async def outer() -> None:
    payload = "hidden payload" * 50000
    shared = [payload]

    def use() -> Any:
        return shared

    await inner(7, True, None)
    use()


async def main() -> None:
    task = asyncio.get_running_loop().create_task(outer())
    task.set_name("valued")
    await asyncio.sleep(0)
    ran.clear()
    await serve({"ran": lambda: ran})
    task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
