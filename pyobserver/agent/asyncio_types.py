"""The types of asyncio and anyio as the target has loaded them, and how to read their instances without their code."""

import sys

from pyobserver.agent.attributes import (
    Function,
    attribute,
    class_dict,
    closure,
    inherits,
    integer,
    namespace_of,
    text,
)

MAX_CALLBACKS = 10  # of one future that are looked at


def _named(namespace, name):
    return None if namespace is None else namespace.get(name)


class AsyncioTypes:
    """The parts of asyncio and anyio that are opened, as this process has loaded them."""

    def __init__(self):
        self.tasks = namespace_of("asyncio.tasks")
        self.groups = namespace_of("asyncio.taskgroups")  # 3.11+
        self.anyio = namespace_of("anyio._backends._asyncio")
        self.c_future = _named(namespace_of("_asyncio"), "Future")  # None without the accelerator
        self.c_task = _named(namespace_of("_asyncio"), "Task")
        self.py_future = _named(namespace_of("asyncio.futures"), "_PyFuture")
        self.py_task = _named(self.tasks, "_PyTask")
        self.gathering = _named(self.tasks, "_GatheringFuture")
        self.group = _named(self.groups, "TaskGroup")
        self.timeout = _named(namespace_of("asyncio.timeouts"), "Timeout")
        self.queue = _named(namespace_of("asyncio.queues"), "Queue")
        self._callbacks = self._getter("_callbacks", self.c_future)
        self.callbacks_of = self._callbacks or _none  # of a future in C, which is no task
        self._waiter = self._getter("_fut_waiter", self.c_task)
        self.waiter_of = self._waiter or _not_in_c  # of a task in C: TypeError for everything else
        self._coroutine = self._getter("_coro", self.c_task)
        self._state = self._getter("_state", self.c_future)
        self._loop = self._getter("_loop", self.c_future)
        self._log_traceback = self._getter("_log_traceback", self.c_future)
        self._must_cancel = self._getter("_must_cancel", self.c_task)
        self._cancelling = class_dict(self.c_task).get("cancelling") if self.c_task is not None else None  # 3.11+

    @staticmethod
    def _getter(name, kind):
        """Return how to read an attribute that a C type defines; None without the C accelerator."""
        found = class_dict(kind).get(name) if kind is not None else None
        return None if found is None else found.__get__

    def is_task(self, thing):
        """Return whether `thing` is an asyncio task."""
        kind = type(thing)
        return (self.c_task is not None and inherits(kind, self.c_task)) or (
            self.py_task is not None and inherits(kind, self.py_task)
        )

    def is_future(self, thing):
        """Return whether `thing` is an asyncio future, a task included."""
        kind = type(thing)
        return (self.c_future is not None and inherits(kind, self.c_future)) or (
            self.py_future is not None and inherits(kind, self.py_future)
        )

    def _read(self, getter, thing, name):
        """Return what a C future or task has, by C; what a Python one has, as an attribute."""
        kind = type(thing)
        is_exact = kind is self.c_task or kind is self.c_future
        if is_exact or (self.c_future is not None and inherits(kind, self.c_future)):
            return None if getter is None else getter(thing)
        return attribute(thing, name)

    def callbacks(self, future):
        """Return the done callbacks of a future, a list of (callback, context), or None."""
        found = self._read(self._callbacks, future, "_callbacks")
        return found if type(found) is list else None  # of a future in Python it may be anything

    def awaited(self, task):
        """Return the future that a task waits for, or None."""
        if type(task) is self.c_task and self._waiter is not None:
            return self._waiter(task)
        return self._read(self._waiter, task, "_fut_waiter")

    def coroutine(self, task):
        """Return the coroutine that a task runs."""
        return self._read(self._coroutine, task, "_coro")

    def loop(self, future):
        """Return the event loop of a future."""
        return self._read(self._loop, future, "_loop")

    def awaits_job(self, task):
        """Return whether a task waits for what an executor does for it.

        The future that `wrap_future` made of the executor's knows that by a callback (`asyncio.futures._chain_future`).
        """
        awaited = self.awaited(task)
        job = _named(namespace_of("concurrent.futures._base"), "Future")
        if awaited is None or job is None or not self.is_future(awaited):
            return False
        entries = self.callbacks(awaited)
        for entry in entries[:MAX_CALLBACKS] if type(entries) is list else ():
            thing = entry[0] if type(entry) is tuple and entry else entry
            if type(thing) is Function and inherits(type(closure(thing).get("source")), job):
                return True
        return False

    def is_pending(self, task):
        """Return whether a task has not ended yet."""
        return text(self._read(self._state, task, "_state"), "") == "PENDING"

    def is_cancelled(self, future):
        """Return whether a future or a task has ended by being cancelled."""
        return text(self._read(self._state, future, "_state"), "") == "CANCELLED"

    def is_unretrieved(self, future):
        """Return whether a future or a task has failed, and nobody has asked for the exception yet.

        It is what decides whether asyncio complains when the future goes away (`Future.__del__`).
        """
        return self._read(self._log_traceback, future, "_Future__log_traceback") is True

    def must_cancel(self, task):
        """Return whether a task gets CancelledError at its next step."""
        return self._read(self._must_cancel, task, "_must_cancel") is True

    def cancels_requested(self, task):
        """Return how often a task was asked to end, and did not take it back; 0 up to 3.10, where nobody counts."""
        if self.c_task is not None and inherits(type(task), self.c_task):
            return 0 if self._cancelling is None else self._cancelling(task)
        found = attribute(task, "_num_cancels_requested", 0)
        return integer(found, 0)


def _not_in_c(task):
    raise TypeError


def _none(_):
    return None


def coroutine_of(thing):
    """Return the coroutine of a task of asyncio, None for anything else."""
    types = known()
    return types.coroutine(thing) if types.is_task(thing) else None


_known = AsyncioTypes()


def known():
    """Return the types as they are now: asyncio and anyio may have been imported since the last look."""
    global _known
    if (_known.tasks is None and "asyncio.tasks" in sys.modules) or (
        _known.anyio is None and "anyio._backends._asyncio" in sys.modules
    ):
        _known = AsyncioTypes()
    return _known
