"""Where tasks are made, noted by a task factory of each loop while an observer has asked for that.

The factory runs in the threads of the program: it calls the one that was there, or does what the loop would do without
one, and then appends one entry to a bounded queue. It is put into the loop as `set_task_factory` does, without that
method where it is asyncio's own (`BaseEventLoop._task_factory`, CPython 3.8 to 3.15), and taken out again; one that the
program has wrapped in one of its own meanwhile stays there, and only passes on.
"""

import sys
from _collections import deque
from _weakref import ref

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import (
    attribute,
    class_dict,
    class_module,
    class_name,
    closure,
    code_of,
    inherits,
    mro_of,
    namespace_of,
    text,
)
from pyobserver.agent.describe import folder_of
from pyobserver.agent.remedies import Doing
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

MAX_NOTED = 20000  # entries that wait to be read
MAX_FRAMES = 12  # between a factory and who has made the task
_SECONDS = 0.25
_IDLE_SECONDS = 3600.0
_AT_ONCE = 20
_TRIES = 20  # rounds in which the row of a task may come
_SAMPLES = 100
_FOREVER = 1e9
_UVLOOP = "uvloop.loop.Loop"
_set_attribute = object.__setattr__
_Function = type(lambda: None)


class Creations:
    """Notes who has made which task, and where, as long as somebody wants to know. `job` is set by who runs it."""

    def __init__(self, agent):
        self._agent = agent
        self._wanted = []  # the actions that go on
        self._factories = {}  # id of a loop -> weak references to it and to the factory, which knows the one before it
        self._state = [False, deque(maxlen=MAX_NOTED)]  # whether it is on; entries
        self._waiting = []  # entries whose task has no row yet, with how often it was looked for
        self.noted = 0
        self.job = Job("creations", _IDLE_SECONDS, self._look, duty=0.02)
        self._cost = None

    @property
    def is_on(self):
        """Whether tasks are noted."""
        return bool(self._wanted)

    def cost(self):
        """Return how many seconds noting one task takes in the program, measured once with tasks that are none."""
        if self._cost is None:
            self._cost = _measured(self._agent.clock)
        return self._cost

    def begin(self, doing):
        """Note tasks from now on; return why not, or None."""
        refused = "no event loop is known whose tasks could be noted"
        for reference in self._agent.tasks.loops.references():
            loop = reference()
            refused = self._install(loop) if loop is not None else refused
            if not refused:
                self._wanted.append(doing)
                self._state[0] = True
                self.job.period = _SECONDS
                self.job.hurry()
                return None
        return refused

    def end(self, doing):
        """One does not want to know any more."""
        if doing in self._wanted:
            self._wanted.remove(doing)
        if not self._wanted:
            self.close()

    def close(self):
        """Take the factories out, and let those do nothing that cannot be."""
        self._state[0] = False
        for reference, made in self._factories.values():
            loop, factory = reference(), made()
            if loop is not None and factory is not None:
                _restore(loop, factory)
        self._factories = {}
        self._waiting = []
        self._state[1].clear()
        self.job.period = _IDLE_SECONDS

    def _install(self, loop):
        """Put a factory into a loop that has none of ours; return why not, "" if it is there."""
        if id(loop) in self._factories and self._factories[id(loop)][0]() is loop:
            return ""
        access = _access(loop)
        if type(access) is str:
            return access
        before = access[0](loop)
        factory = _factory(self._state, before, known().c_task or known().py_task, *_readers())
        access[1](loop, factory)
        self._factories[id(loop)] = (ref(loop), ref(factory))
        return ""

    def _look(self, now):
        """Note what the factories have seen, in the rows."""
        if not self._wanted:
            return
        for number in [number for number, (reference, _) in self._factories.items() if reference() is None]:
            del self._factories[number]
        for reference in self._agent.tasks.loops.references():  # there may be new ones
            loop = reference()
            if loop is not None:
                self._install(loop)
            loop = None
        entries = self._state[1]
        waiting, self._waiting = self._waiting, []
        count = 0
        while waiting or entries:
            entry, tries = waiting.pop() if waiting else (entries.popleft(), 0)
            if not self._note(entry) and tries < _TRIES and len(self._waiting) < MAX_NOTED:
                self._waiting.append((entry, tries + 1))
            entry = None
            count += 1
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        yield from ()

    def _note(self, entry):
        """Write down where a task was made; return whether that is over."""
        reference, maker, file, line, function = entry
        task = reference()
        if task is None:
            return True
        row = self._agent.tasks.row_of(task)
        if row is None:
            return False
        where = "%s:%d %s" % (text(file), line if type(line) is int else 0, text(function))
        row.made = self._agent.table.texts.intern(where)
        above = maker() if maker is not None else None
        above = self._agent.tasks.row_of(above) if above is not None else None
        row.spawner = 0 if above is None else above.id
        self._agent.table.touch(row)
        self.noted += 1
        return True


class Noting(Doing):
    """Tasks are noted until the one who has asked for it leaves or asks for its end."""

    followed_seconds = _FOREVER

    def __init__(self, creations):
        self._creations = creations
        self.is_over = False

    def follow(self, now):
        """It goes on, and says so once."""
        if self.is_over:
            return schema.ACTION_ENDED, "of %d tasks it is known where they were made" % self._creations.noted
        return schema.ACTION_MOVED, "where tasks are made is noted"

    def leave(self):
        """Nobody wants to know any more."""
        self._creations.end(self)


def note(agent, asked):
    """Note where tasks are made, or do so no longer (`on` is False) for the observer that asks."""
    if asked.settings.get("on") is False:
        if not agent.actions.end_noting(asked.observer):
            return "it was not asked for by this observer"
        return Doing()
    doing = Noting(agent.creations)
    return agent.creations.begin(doing) or doing


# -- what runs in the program -----------------------------------------------------------------------------------------


def _readers():
    """Return (how to get a frame, the current task or None without that, the folder of asyncio)."""
    found = (namespace_of("_asyncio") or {}).get("current_task") or (namespace_of("asyncio.tasks") or {}).get(
        "current_task"
    )
    return sys._getframe, found, folder_of("asyncio")


def _factory(state, before, make, frame_at, current_task, folder):
    """Return a task factory that notes who calls it. It raises only what making the task raises."""

    def factory(loop, coro, **options):
        if before is not None:
            task = before(loop, coro, **options)
        else:
            task = make(coro, loop=loop, **options)
            made_in = task._source_traceback
            if made_in:  # in asyncio's debug mode: it ends where the loop was called, as without a factory
                del made_in[-2:]
        if state[0]:
            try:
                depth = 1
                frame = frame_at(1)
                while depth < MAX_FRAMES and frame.f_code.co_filename.startswith(folder):
                    depth += 1
                    frame = frame_at(depth)
                code = frame.f_code
                maker = current_task(loop)
                state[1].append(
                    (
                        ref(task),
                        None if maker is None else ref(maker),
                        code.co_filename,
                        frame.f_lineno,
                        getattr(code, "co_qualname", code.co_name),
                    )
                )
            except Exception:
                pass  # called from no Python code, or for something that is no task
            frame = None
        return task

    return factory


def _measured(clock):
    """Return what noting takes, by a factory whose task is there already, two calls away from who makes it."""
    entries = deque(maxlen=_SAMPLES)

    class Task:
        pass

    one = Task()
    factory = _factory([True, entries], lambda loop, coro: one, None, sys._getframe, lambda loop: one, "<asyncio>")

    def in_loop():
        return factory(None, None)

    def in_asyncio():
        return in_loop()

    for function in (in_loop, in_asyncio):
        function.__code__ = code_of(function).replace(co_filename="<asyncio>")
    best = _FOREVER
    for _ in range(3):
        begun = clock()
        for _ in range(_SAMPLES):
            in_asyncio()
        best = min(best, (clock() - begun) / _SAMPLES)
    return best


# -- how a loop keeps its factory -------------------------------------------------------------------------------------


def _access(loop):
    """Return (how to read the factory of a loop, how to set it), or why that cannot be."""
    kind = type(loop)
    for each in mro_of(kind) or ():
        if class_name(each) == _UVLOOP:
            if any(_OF_ASYNCIO & set(class_dict(own)) for own in _below(kind, each)):
                return "its loop is a %s, which makes tasks in its own way" % class_name(kind)
            return class_dict(each)["get_task_factory"], class_dict(each)["set_task_factory"]
    base = (namespace_of("asyncio.base_events") or {}).get("BaseEventLoop")
    if base is None or not inherits(kind, base):
        return "its loop is a %s, which is neither asyncio's nor uvloop's" % class_name(kind)
    for each in mro_of(kind):
        if each is not object and not class_module(each).startswith("asyncio.") and _OF_ASYNCIO & set(class_dict(each)):
            return "its loop is a %s, which makes tasks in its own way" % class_name(kind)
    made_by = class_dict(base).get("create_task")
    if type(made_by) is _Function and "set_name" in code_of(made_by).co_names:  # CPython 3.13
        return "this Python calls every task None that a factory has made without a name"
    return _read, _write


_OF_ASYNCIO = frozenset(["create_task", "set_task_factory", "get_task_factory", "_task_factory"])


def _below(kind, base):
    """Return the classes that come before `base` among those that `kind` inherits from."""
    found = []
    for each in mro_of(kind):
        if each is base:
            break
        found.append(each)
    return found


def _read(loop):
    return attribute(loop, "_task_factory")


def _write(loop, factory):
    _set_attribute(loop, "_task_factory", factory)


def _restore(loop, factory):
    access = _access(loop)
    if type(access) is not str and access[0](loop) is factory:
        access[1](loop, closure(factory)["before"])
