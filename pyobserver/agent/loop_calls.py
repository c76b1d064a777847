"""Lets an event loop call something in its own thread, as its `call_soon_threadsafe` does.

That method is not called: it may be the program's own, it asks the loop whether it debugs, and it writes to a socket
with the interpreter lock given up. What it does is done here with the same parts, by C alone: a handle goes to the end
of `_ready`, and a byte into the socket that wakes the selector up (Lib/asyncio/base_events.py, events.py and
selector_events.py of CPython 3.8 to 3.15). The loop of uvloop is in C, with its own method.
"""

import _socket
import sys
from _collections import deque
from _weakref import ref

from pyobserver.agent import collector
from pyobserver.agent.attributes import (
    MISSING,
    Function,
    attribute,
    class_dict,
    class_module,
    class_name,
    inherits,
    mro_of,
    namespace_of,
)

_UVLOOP = "uvloop.loop.Loop"
_OF_ITS_OWN = frozenset(["run_forever", "_run_once"])  # a loop that goes in another way may never look at `_ready`
_VALUES = frozenset(["_ready", "_csock", "_closed", "_thread_id"])
_HANDLE = ("_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "_context")


class Call:
    """What came of it: `refused` says why the loop does not get it, or is empty; then `handle` is what it got, by a
    weak reference that ends when it has been called, or None where that cannot be followed. `wake` ends the loop's
    sleep, and gives up the interpreter lock: nothing of the target but the loop may be held when it is called."""

    __slots__ = ("_socket", "handle", "refused")

    def __init__(self, refused="", handle=None, socket=None):
        self.refused = refused
        self.handle = handle
        self._socket = socket

    def wake(self):
        """Wake the loop up, as it may sleep in its selector."""
        socket, self._socket = self._socket, None
        if socket is not None:
            try:
                collector.outside(_socket.socket.send, socket, b"\0")
            except OSError:
                pass  # full: it is awake already; closed: it has ended


def call_soon(loop, callback):
    """Return a Call: `callback`, called without arguments by the thread of `loop` as soon as that comes to it."""
    kind = type(loop)
    for each in mro_of(kind) or ():
        if class_name(each) == _UVLOOP:
            return _in_uvloop(each, loop, callback)
    base = (namespace_of("asyncio.base_events") or {}).get("BaseEventLoop")
    if base is None or not inherits(kind, base):
        return Call("its loop is a %s, which is neither asyncio's nor uvloop's" % class_name(kind))
    why = _stranger(kind)
    return Call(why) if why else _in_asyncio(loop, callback)


def _stranger(kind):
    """Return why a class of loops is too much the program's own, "" if it is asyncio's in what matters."""
    for each in mro_of(kind):
        if each is object or class_module(each).startswith("asyncio."):
            continue
        members = class_dict(each)
        for name in _OF_ITS_OWN | _VALUES:
            if name in members:
                return "its loop is a %s, which has %s of its own" % (class_name(kind), name)
    return ""


def _in_asyncio(loop, callback):
    kind = (namespace_of("asyncio.events") or {}).get("Handle")
    contexts = sys.modules.get("_contextvars")
    ready, socket = attribute(loop, "_ready"), attribute(loop, "_csock")
    if attribute(loop, "_closed") is not False:
        return Call("its loop is closed")
    if type(ready) is not deque or not inherits(type(socket), _socket.socket) or contexts is None:
        return Call("its loop keeps what it has to do elsewhere than asyncio does")
    values = (callback, (), False, loop, None, None, contexts.copy_context())
    handle = _made(kind, dict(zip(_HANDLE, values)))  # noqa: B905 (3.10 and later)
    if handle is None:
        return Call("asyncio's handles are others in this version")
    deque.append(ready, handle)
    return Call("", ref(handle), socket)


def _made(kind, values):
    """Return an instance of `asyncio.Handle` with these values, made without its `__init__`; None if it has others."""
    members = class_dict(kind) if kind is not None and class_module(kind) == "asyncio.events" else {}
    slots = {name: members.get(name) for name in values}
    setters = {name: getattr(type(slot), "__set__", None) for name, slot in slots.items()}
    names = members.get("__slots__")
    if None in setters.values() or type(names) is not tuple or len(names) != len(values) + 1:  # and __weakref__
        return None
    handle = object.__new__(kind)
    for name, value in values.items():
        setters[name](slots[name], handle, value)
    return handle


def _in_uvloop(kind, loop, callback):
    """Its method is in C, as is what makes the handle; it raises when the loop is closed."""
    method = class_dict(kind).get("call_soon_threadsafe", MISSING)
    if method is MISSING or type(method) is Function:
        return Call("this version of uvloop is not known")
    if attribute(loop, "_closed", 0) == 1:
        return Call("its loop is closed")
    try:
        handle = method(loop, callback)
    except RuntimeError:
        return Call("its loop is closed")
    try:
        return Call("", ref(handle))
    except TypeError:
        return Call()
