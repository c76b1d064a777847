"""A heap of objects whose types and numbers are known, some of them with names that mean harm."""

from __future__ import annotations

import gc
import threading
from typing import Any, Dict, List

from conversation import serve_blocking


class User:
    """With a dict of its own."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = "user-%d" % number


class Slot:
    """Without a dict."""

    __slots__ = ("a", "b")

    def __init__(self, number: int) -> None:
        self.a, self.b = number, None


class Weak:
    """Without a dict, but with weak references."""

    __slots__ = ("__weakref__", "a")


class Outer:
    """Has another class in it."""

    class Inner:
        """Its full name has both."""


kept: Dict[str, List[Any]] = {}


def make(name: str, count: str) -> Dict[str, Any]:
    """Keeps so many more objects of a kind, every fourth of which is freed again, so that pools have holes."""
    number = 4 * int(count) // 3
    makers = {
        "User": User,
        "Slot": Slot,
        "Weak": lambda i: Weak(),
        "Inner": lambda i: Outer.Inner(),
        "float": lambda i: i + 0.5,
        "bytearray": lambda i: bytearray(8),
        "bytes": lambda i: b"%d" % i,
    }
    made = [makers[name](i) for i in range(1000, 1000 + number)]
    del made[::4]
    have = kept.setdefault(name, [])
    have += made
    return {"kept": len(have)}


def hostile() -> Dict[str, Any]:
    """Keeps objects of classes whose names would change a terminal, or have no end."""
    names = ("\x1b]0;owned\x07red", "two\nlines", "n" * 5000, "\u202eback", "宽字符")
    for name in names:
        kind = type(name, (), {"__module__": "mod\x1b[31m"})
        kept[name] = [kind() for _ in range(50)]
    return {"kept": 50 * len(names)}


def classes(count: str) -> Dict[str, Any]:
    """Makes so many classes of one name, with an instance of each."""

    def one() -> Any:
        class Made:
            pass

        return Made()

    kept["Made"] = [one() for _ in range(int(count))]
    return {"kept": int(count)}


def churn() -> Dict[str, Any]:
    """Makes and frees objects without an end."""

    def run() -> None:
        while True:
            made = [User(i) for i in range(20_000)]
            del made

    threading.Thread(target=run, daemon=True).start()
    return {}


def truth() -> Dict[str, Any]:
    """How many objects the interpreter itself counts, of types that its collector tracks."""
    gc.collect()
    found: Dict[str, int] = {}
    for each in gc.get_objects():
        name = type(each).__qualname__
        found[name] = found.get(name, 0) + 1
    return found


if __name__ == "__main__":
    serve_blocking({"make": make, "hostile": hostile, "classes": classes, "churn": churn, "truth": truth})
