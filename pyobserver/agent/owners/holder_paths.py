"""Names the places where tasks are held, from the stack of a walk: by the nearest module, class or function above."""

from pyobserver.agent.attributes import (
    HEAP_TYPE,
    cell_contents,
    class_dict,
    class_module,
    class_name,
    closure_of,
    code_of,
    flags_of,
    function_name,
    globals_of,
    inherits,
    key_of,
    namespace_of,
    short_name,
    text,
)
from pyobserver.agent.greenlet_types import HAS_FRAMES, known, named_variables
from pyobserver.agent.owners.holder_kinds import (
    ATTRIBUTES,
    CLASS,
    FUNCTION,
    MODULE,
    OBJECT,
    VALUES,
    VARIABLES,
    length_of,
)
from pyobserver.agent.runs import GENERATORS, WRAPPERS, Frame, frame_name, run_name

# How good a place is: that of an application before that of a library before a variable, a container before an
# attribute that holds one task; of two alike, the one with the shorter path.
LIBRARY, SINGLE, VARIABLE, RANK = 2, 1, 4, 64
NOWHERE = 8  # what asyncio's own functions have among their variables, and what lies on the stack of values, only
# refers to what somebody waits for, which its callbacks tell.

PACKAGES = ("/site-packages/", "/dist-packages/")
# What is in these is said to be where they are: there may be many, and all have the same attribute.
TRANSPARENT = frozenset(
    ["asyncio.queues." + name for name in ("Queue", "LifoQueue", "PriorityQueue")]
    + ["queue." + name for name in ("Queue", "LifoQueue", "PriorityQueue")]
)


class _Label:
    """What one frame of the stack says of what is met in it.

    Either it is a container, the one at `level` of the stack, at `path`; or it is something whose parts have names,
    and `path` is what comes before those; or it is neither (a cell, a bound method), and all in it is at `path`.
    """

    __slots__ = ("has_names", "is_container", "level", "names", "path", "rank")

    def __init__(self, path, rank, level=None, names=None):
        self.path = path
        self.rank = rank
        self.level = level  # of the container
        self.names = names  # a function from an object to its name there
        self.is_container = level is not None
        self.has_names = names is not None


class Paths:
    """Paths of what is on the stack: `owners` and `kinds` are its columns, `shape` the shapes of classes, `slots` tells
    the names of variables."""

    def __init__(self, owners, kinds, shape, slots):
        self.module = ""  # the name of the one at the bottom of the stack
        self.task = None  # the name of the task whose coroutine is at the bottom of the stack, None if it is none's
        self.task_id = 0  # and its id
        self.word = "task"  # what it is called before its name
        self._owners = owners
        self._kinds = kinds
        self._shape = shape
        self._slots = slots
        self._labels = {}
        self._applications = {}
        self._standard = _folder(namespace_of("os"))

    def forget(self, level):
        """Drop what is known of the frame at `level`."""
        self._labels.pop(level, None)

    def cut(self, level):
        """Drop what is known from the frame at `level` on, and return it."""
        return [self._labels.pop(each) for each in list(self._labels) if each >= level]

    def referents(self):
        """Return what the labels refer to, an object as often as it is referred to."""
        names = {id(label): label.names for label in self._labels.values()}
        cells = [cell for each in names.values() if each is not None for cell in closure_of(each)]
        return list(map(cell_contents, cells))

    def place_of(self, thing):
        """Return path, type, length, key and score of the place where `thing` is met on top of the stack.

        A score is better when it is less.
        """
        top = len(self._owners) - 1
        label = self._label(top)
        if label.is_container:
            owner = self._owners[label.level]
            kind, length, key = short_name(type(owner)), length_of(owner), id(owner)
            path, rank = label.path, label.rank
        else:
            path, rank = self._path(top, thing)
            kind, length, key = ("local" if rank & VARIABLE else "attribute"), None, path
            if self.is_of_task(path):
                key = (path, self.task_id)
            rank += SINGLE
        return path, kind, length, key, rank * RANK + min(RANK - 1, path.count(".") + path.count("["))

    def container_level(self):
        """Return the level of the container that is on top of the stack, or that the record there is in; or None."""
        return self._label(len(self._owners) - 1).level

    def is_of_task(self, path):
        """Return whether a path begins at a variable of the task at the bottom of the stack."""
        return self.task is not None and path.startswith("%s %s: locals" % (self.word, self.task))

    def is_application(self, module):
        """Return whether a module is neither from the standard library nor installed as a package."""
        known = self._applications.get(module)
        if known is None:
            known = self._applications[module] = self._is_application(module)
        return known

    def _is_application(self, module):
        if module == "__main__":
            return True
        namespace = namespace_of(module)
        file = None if namespace is None else namespace.get("__file__")
        if type(file) is not str or not file:
            return False
        if any(map(file.__contains__, PACKAGES)):
            return False
        return not self._standard or not file.startswith(self._standard)

    def _rank(self, module):
        return 0 if self.is_application(module) else LIBRARY

    def _rank_of_variables(self, module):
        return self._rank(module) + VARIABLE + (NOWHERE if module.partition(".")[0] == "asyncio" else 0)

    def _path(self, level, thing):
        """Return path and rank of `thing`, which the frame at `level` refers to."""
        label = self._label(level)
        if label.is_container:
            return label.path + "[...]", label.rank
        if label.has_names:
            name = label.names(thing)
            if name is None and label.rank & VARIABLE:
                return label.path, label.rank | (NOWHERE if self._slots.is_exact else 0)
            return label.path + "." + ("?" if name is None else name), label.rank
        return label.path, label.rank

    def _label(self, level):
        label = self._labels.get(level)
        if label is None:
            label = self._labels[level] = self._made(level)
        return label

    def _made(self, level):
        owner, kind = self._owners[level], self._kinds[level]
        if kind is MODULE:
            return _Label(self.module, self._rank(self.module), names=_names_in(owner))
        if kind is CLASS:
            return _Label(class_name(owner), self._rank(class_module(owner)), names=_names_in(class_dict(owner)))
        if kind is FUNCTION:
            rank = self._rank_of_variables(text(dict.get(globals_of(owner), "__name__"), ""))
            return _Label(function_name(owner) + ": closure", rank, names=_names_in_closure(owner))
        if kind is ATTRIBUTES:
            return self._instance(owner)
        if kind is VARIABLES:
            return self._of_greenlet(owner)
        if kind is OBJECT:
            return self._of_object(level, owner)
        return self._of_container(level, owner)

    def _of_object(self, level, owner):
        kind = type(owner)
        if id(kind) in GENERATORS:
            return self._variables(level, owner, *run_name(owner))
        if kind is Frame:
            if level and id(type(self._owners[level - 1])) in GENERATORS:
                return self._label(level - 1)
            name, module = frame_name(owner)
            return _Label(name + ": locals", self._rank_of_variables(module))
        if flags_of(kind) & HEAP_TYPE and not (level and class_name(kind) in TRANSPARENT):
            return self._instance(owner)
        path, rank = self._path(level - 1, owner) if level else (class_name(kind), LIBRARY)
        return _Label(path, rank)

    def _of_container(self, level, owner):
        if not level:
            return _Label("?", LIBRARY, level)
        below, kind = self._owners[level - 1], self._kinds[level - 1]
        if below is owner and kind is VALUES:  # the same dict, its keys
            return self._label(level - 1)
        if below is owner and kind is ATTRIBUTES:  # the same, its items
            path, rank = self._path(level - 2, owner) if level > 1 else ("?", LIBRARY)
            return _Label(path, rank, level)
        if kind is OBJECT and type(owner) is dict and flags_of(type(below)) & HEAP_TYPE:
            if self._shape(type(below)).is_dict_of(below, owner):
                label = self._label(level - 1)
                return _Label(label.path, label.rank, names=_names_in(owner) if label.has_names else None)
        label = self._label(level - 1)
        if label.is_container and inherits(type(owner), tuple):  # a record, rather than a container of its own
            return _Label(label.path, label.rank, label.level)
        path, rank = self._path(level - 1, owner)
        return _Label(path, rank, level)

    def _instance(self, owner):
        kind = type(owner)
        shape = self._shape
        return _Label(
            class_name(kind),
            self._rank(class_module(kind)),
            names=lambda thing: shape(kind).name_of(owner, thing),
        )

    def _variables(self, level, suspended, function, module):
        """Name the variables of a coroutine or generator: by the task that runs it, where one does."""
        whose = function
        if self.task is not None and self._is_run_by_task(level):
            whose = "%s %s" % (self.word, self.task)
        rank = self._rank_of_variables(module)
        return _Label(whose + ": locals", rank, names=lambda thing: self._slots.name_of(suspended, thing))

    def _of_greenlet(self, reference):
        """Name the variables of the functions of a suspended greenlet."""

        def name_of(thing):
            greenlets, greenlet = known(), reference()
            return None if greenlet is None else names_of(greenlets, greenlet, self._slots).get(id(thing))

        return _Label("%s %s: locals" % (self.word, self.task), VARIABLE, names=name_of)

    def _is_run_by_task(self, level):
        """Whether the coroutine at `level` is the task's own, or is awaited by that through coroutines alone."""
        for below in self._owners[:level]:
            kind = type(below)
            if id(kind) not in GENERATORS and kind is not Frame and short_name(kind) not in WRAPPERS:
                return False
        return True


def names_of(greenlets, greenlet, slots):
    """Return {id of an object: name of the variable} of the functions of a suspended greenlet, innermost first."""
    found = {}
    for frame in greenlets.frames(greenlet) if greenlets.has_variables else ():
        for number, name in slots.names_in_frame(frame) if HAS_FRAMES else names_in_proxy(frame):
            found.setdefault(number, name)
    return found


def names_in_proxy(frame):
    """Yield (id, name) of the variables of a frame."""
    for name, value in named_variables(frame):
        yield id(value), name


def _names_in(namespace):
    return lambda thing: key_of(namespace, thing)


def _names_in_closure(function):
    names = code_of(function).co_freevars

    def name_of(thing):
        for name, cell in zip(names, closure_of(function) or ()):  # noqa: B905 (3.10 and later)
            if cell is thing:
                return name
        return None

    return name_of


def _folder(namespace):
    """Return the folder of a module with a slash, "" if it has none."""
    file = None if namespace is None else namespace.get("__file__")
    return file.rpartition("/")[0] + "/" if type(file) is str and "/" in file else ""
