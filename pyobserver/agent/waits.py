"""What a task waits on, in words: short ones that many tasks share for its row, and all that is known for who asks.

The row's words are kept for ever, so that there are no numbers in them that change. What is waited on is found among
what the innermost coroutines of asyncio refer to, and in the callbacks of the future that is awaited; lengths are those
of asyncio's own containers, and nobody's `__len__` is asked (Lib/asyncio/tasks.py, queues.py, locks.py, streams.py,
subprocess.py, selector_events.py and timeouts.py of CPython 3.8 to 3.15).
"""

import _socket
from _collections import deque

from pyobserver.agent import lines
from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import (
    Function,
    attribute,
    class_dict,
    class_module,
    closure,
    code_of,
    function_name,
    inherits,
    integer,
    mro_of,
    namespace_of,
)

MAX_NAMED = 2000  # different tasks and numbers in the words of rows; further ones are told without
MAX_LEFT = 10 * 366 * 86400.0
MAX_CHAINS = 1000  # of functions of asyncio that are remembered
_BoundMethod = type((lambda: None).__get__(0))
_CONTAINERS = {id(kind): kind.__len__ for kind in (deque, list, tuple, set, frozenset, dict)}

# The words for a function of asyncio, where they are not its qualified name.
WORDS = {
    "Queue.get": "queue get",
    "Queue.put": "queue put",
    "Queue.join": "queue join",
    "Process.wait": "process wait",
    "TaskGroup.__aexit__": "task group",
    "to_thread": "executor job",
}
_RATHER = frozenset(["Queue.join"])  # than what it is made of


class Waits:
    """Tells what is waited on. `inner` is always the list of (coroutine, qualified name) of asyncio's own, from the
    innermost on to the first of the program; `waiter` the future that the task awaits, or None."""

    def __init__(self, describer, clock):
        self._describer = describer
        self._clock = clock  # on Linux the same for all processes, and for asyncio's own loops: CLOCK_MONOTONIC
        self._named = set()
        self._chosen = {}  # by the names of a chain: which of them tells best what is waited for, and its words

    def words(self, inner, waiter):
        """Return (words for the row, items that wait for the task in its queue or -1)."""
        link, name, words = self._best(inner)
        found = self._of_future(waiter) or words
        if name == "to_thread":
            found = self._few(("executor job " + _job(link, self._describer.slots)).rstrip(), "executor job")
        elif found == "executor job" and words:
            found = words  # a function of asyncio that has it done: getaddrinfo
        queued = _length(_one(link, known().queue), "_queue") if name == "Queue.get" else -1
        return found or ("" if waiter is None else "future"), queued

    def in_full(self, inner, waiter):
        """Return what is known of it now, with numbers; "" if it waits on nothing."""
        link, name, _ = self._best(inner)
        words, _ = self.words(inner, waiter)
        tell = _IN_FULL.get(name) or _IN_FULL.get(name.rpartition(".")[0])
        more = tell(link) if tell is not None and link is not None else ""
        if name == "wait":
            more = _of_wait(inner)
        if not more and not name.startswith("StreamReader."):
            more = self._of_future_in_full(waiter)
        left = self._left(inner)
        parts = [words, more, "%.1f s left" % left if left is not None else ""]
        return ", ".join([part for part in parts if part])

    def _best(self, inner):
        """Return (the coroutine whose name tells best what is waited for, its name, the words for it).

        Without one it is (None, "", "").
        """
        names = tuple([name for _, name in inner])
        found = self._chosen.get(names)
        if found is None:
            place = _outermost_public(names)
            name = "" if place is None else names[place]
            found = place, name, WORDS.get(name, _without_loop(name))
            if len(self._chosen) < MAX_CHAINS:
                self._chosen[names] = found
        place, name, words = found
        return None if place is None else inner[place][0], name, words

    def _few(self, words, without):
        """Return words that many tasks may not share, as long as there are few of them, else those `without`."""
        if words not in self._named:
            if len(self._named) >= MAX_NAMED:
                return without
            self._named.add(words)
        return words

    def _of_future(self, waiter):
        """What a future is, in words; "" for one of which nothing is known."""
        if waiter is None:
            return ""
        types = known()
        if type(waiter) is types.c_future:
            return _of_callbacks(types.callbacks_of(waiter))[0]
        if types.gathering is not None and inherits(type(waiter), types.gathering):
            count = _length(waiter, "_children")
            return self._few("gather of %d" % count, "gather") if count >= 0 else "gather"
        if types.is_task(waiter):
            name = self._describer.name(waiter)
            if name[:5] == "Task-" and name[5:].isdigit():  # nobody has named it: its number says nothing
                return self._few("task " + self._describer.function(types.coroutine(waiter)), "task")
            return self._few("task " + name, "task")
        return _of_callbacks(types.callbacks(waiter) if types.is_future(waiter) else ())[0]

    def _of_future_in_full(self, waiter):
        types = known()
        if waiter is None:
            return ""
        if types.gathering is not None and inherits(type(waiter), types.gathering):
            children = attribute(waiter, "_children")
            if type(children) in (list, tuple):
                left = sum([1 for each in children if types.is_future(each) and types.is_pending(each)])
                return "%d of them not done" % left
        if types.is_task(waiter):
            return self._describer.function(types.coroutine(waiter))
        words, function = _of_callbacks(types.callbacks(waiter) if types.is_future(waiter) else ())
        if words == "shield":
            inner = closure(function).get("inner")
            if types.is_task(inner):
                return "of task " + self._describer.name(inner)
        return ""

    def _left(self, inner):
        """Seconds until a timer of the coroutine that waits ends it, None if it has none that can be read."""
        kind = (namespace_of("asyncio.events") or {}).get("TimerHandle")
        for link, name in inner:
            if kind is None or name not in ("sleep", "wait_for", "_wait"):
                continue
            for each in lines.referents(link):
                if type(each) is kind and _keeps_usual_time(attribute(each, "_loop")):
                    when = attribute(each, "_when")
                    left = when - self._clock() if type(when) is float else -1.0
                    if 0.0 <= left < MAX_LEFT:
                        return left
        return None


def _outermost_public(names):
    """Return which of the names, the innermost first, tells best what is waited for; None if there is none.

    It is the innermost public one, or that of the same class which called it: `readline`, not `readuntil`.
    """
    found = None
    for place, name in enumerate(names):
        head, _, last = name.rpartition(".")
        if last.startswith("_") and not last.startswith("__"):
            continue
        if found is None or name in _RATHER or (head and head == names[found].rpartition(".")[0]):
            found = place
        else:
            break
    return found


def _without_loop(name):
    """`BaseSelectorEventLoop.sock_recv` is `sock_recv`."""
    head, _, last = name.rpartition(".")
    return last if head.endswith("EventLoop") else name


def _of_callbacks(callbacks):
    """Return (words for a future, the function) by the first of its callbacks that is known to tell what it is."""
    for callback in callbacks[:4] if callbacks else ():
        function = callback[0] if type(callback) is tuple and callback else callback
        if type(function) is Function and code_of(function).co_name in _CALLBACKS:
            return _CALLBACKS[code_of(function).co_name], function
    return "", None


_CALLBACKS = {"_call_check_cancel": "executor job", "_outer_done_callback": "shield"}


def _one(link, kind):
    """Return the first instance of a type among the variables of a coroutine, None if there is none."""
    if link is None or kind is None:
        return None
    for each in lines.referents(link):
        if inherits(type(each), kind):
            return each
    return None


def _length(thing, name):
    """Return how many are in a container of asyncio's own, -1 if it is another or nothing."""
    found = attribute(thing, name) if thing is not None else None
    length = _CONTAINERS.get(id(type(found)))
    return -1 if length is None else length(found)


def _job(link, slots):
    """The name of the function that `to_thread` was given, "" if it is none in Python."""
    names = slots.names_of(link) if link is not None else {}
    for each in lines.referents(link) if names else ():
        if names.get(id(each)) == "func":
            if type(each) is _BoundMethod:
                each = each.__func__
            return function_name(each) if type(each) is Function else ""
    return ""


def _keeps_usual_time(loop):
    """Whether the `time` of a loop is asyncio's, which is the monotonic clock."""
    for kind in mro_of(type(loop)) or ():
        if "time" in class_dict(kind):
            return class_module(kind) == "asyncio.base_events"
    return False


# -- in full ----------------------------------------------------------------------------------------------------------


def _of_queue(link):
    queue = _one(link, known().queue)
    count, most = _length(queue, "_queue"), attribute(queue, "_maxsize")
    if count < 0:
        return ""
    most = integer(most, 0)
    return "%d in it" % count if most <= 0 else "%d of %d in it" % (count, most)


def _of_lock(link):
    for each in lines.referents(link):
        if class_module(type(each)) == "asyncio.locks":
            count = _length(each, "_waiters")
            return "%d wait" % count if count >= 0 else ""
    return ""


def _of_socket(link):
    for each in lines.referents(link):
        if inherits(type(each), _socket.socket):
            return "fd %d" % _socket.socket.fileno(each)
    return ""


def _of_stream(link):
    reader = _one(link, (namespace_of("asyncio.streams") or {}).get("StreamReader"))
    file = integer(attribute(attribute(reader, "_transport"), "_sock_fd"))
    return "" if file is None else "fd %d" % file


def _of_process(link):
    process = _one(link, (namespace_of("asyncio.subprocess") or {}).get("Process"))
    pid = integer(attribute(process, "pid"))
    return "" if pid is None else "pid %d" % pid


def _of_group(link):
    count = _length(_one(link, known().group), "_tasks")
    return "%d tasks in it" % count if count >= 0 else ""


def _of_wait(inner):
    """How many futures `asyncio.wait` waits for."""
    for link, name in inner:
        if name == "wait":
            for each in lines.referents(link):
                if type(each) is set:
                    return "of %d" % len(each)
    return ""


_IN_FULL = {
    "Queue": _of_queue,
    "Lock": _of_lock,
    "Event": _of_lock,
    "Condition": _of_lock,
    "Semaphore": _of_lock,
    "BoundedSemaphore": _of_lock,
    "Barrier": _of_lock,
    "StreamReader": _of_stream,
    "Process": _of_process,
    "TaskGroup": _of_group,
    "BaseSelectorEventLoop": _of_socket,
}
