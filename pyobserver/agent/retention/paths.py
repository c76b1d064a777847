"""Paths: by which variable, attribute, key or index an object is held, as text, without running any code of it.

    locals: records[812]["body"]
    locals of Agent.serve: self.specimen.records

Values are never shown. Keys are shown if they are short exact str. What has no name that can be known is left out.
"""

from pyobserver.agent.attributes import (
    HEAP_TYPE,
    MISSING,
    Cell,
    Function,
    Shape,
    closure_of,
    code_of,
    flags_of,
    short_name,
    text,
)
from pyobserver.agent.greenlet_types import HAS_PROXIES, named_variables
from pyobserver.agent.retention.borrowed import SUSPENDED
from pyobserver.agent.retention.slots import HAS_FRAMES, Frame
from pyobserver.agent.runs import Frame as AnyFrame
from pyobserver.protocol.clean import clean, clean_tail

MAX_KEY = 40
MAX_SEARCH = 5000  # entries of a container that are looked through for an index or a key
MAX_PATH = 160
MAX_STEPS = 12
SIZED = (list, tuple, dict, set, frozenset, str, bytes, bytearray)


def is_transparent(o):
    """Return whether an object is of the interpreter's making, so that a path goes through it without a word."""
    return type(o) is Cell or _is_frame(o)


def _is_frame(o):
    return Frame is not None and type(o) is Frame


class Paths:
    """Makes paths of `breakdown.Node`s; for one call only. `slots` names variables."""

    def __init__(self, kinds, slots, clock, stop):
        self._kinds = kinds
        self._slots = slots
        self._clock = clock
        self._stop = stop
        self._shapes = {}
        self._variables = {}  # id of a coroutine or frame -> names
        self._known = {}  # id of a node -> its path

    def length(self, o):
        """Return how long a container, text or bytes is, else None."""
        length = self._kinds.containers.lengths.get(id(type(o)))
        if length is not None:
            return length(o)
        return len(o) if any(type(o) is kind for kind in SIZED) else None

    def owner_of(self, node):
        """Return the node of the instance if this is its `__dict__`, else the node itself."""
        parent = node.parent
        if parent is not None and type(node.object) is dict and self._is_dict_of(parent.object, node.object):
            return parent
        return node

    def of(self, node):
        """Return the path to a node from the root."""
        return clean(self._path(node, 0), MAX_PATH)

    def _path(self, node, depth):
        found = self._known.get(id(node))
        if found is None:
            found = self._known[id(node)] = self._made(node, depth)
        return found

    def _made(self, node, depth):
        o, parent = node.object, node.parent
        if id(type(o)) in SUSPENDED:
            return self._locals(node)
        if parent is None and type(o) is AnyFrame:
            return "locals of " + clean_tail(_function_of(o), 60)
        if parent is None or depth > MAX_STEPS:
            return short_name(type(o))
        above = self._path(parent, depth + 1)
        if parent.parent is None and type(parent.object) is AnyFrame:
            name = self._names_in(parent.object).get(id(o))
            return above + (": " + name if name else "")
        if _is_frame(o) or type(parent.object) is Cell:
            return above
        if id(type(parent.object)) in SUSPENDED or _is_frame(parent.object):
            name = self._variable(parent, o)
            return above + (": " + name if name else "")
        return above + self._step(parent, o)

    def _locals(self, node):
        """Return what to call the local variables of a coroutine or generator; the innermost one is named."""
        outer = node.parent
        while outer is not None and id(type(outer.object)) not in SUSPENDED:
            outer = outer.parent
        if outer is None:
            return "locals"
        name = SUSPENDED[id(type(node.object))][3](node.object)
        return "locals of " + (clean_tail(name, 60) if type(name) is str else "?")

    def _variable(self, parent, o):
        while id(type(parent.object)) not in SUSPENDED:
            parent = parent.parent
            if parent is None:
                return None
        names = self._variables.get(id(parent.object))
        if names is None:
            names = self._variables[id(parent.object)] = self._slots.names_of(parent.object)
        return names.get(id(o))

    def _names_in(self, frame):
        """Return {id of an object, or of the cell that it is in: name of the variable} of a frame that is a root."""
        names = self._variables.get(id(frame))
        if names is None:
            if HAS_PROXIES:
                found = [(id(value), name) for name, value in named_variables(frame)]
            else:
                found = self._slots.names_in_frame(frame) if HAS_FRAMES else ()
            names = self._variables[id(frame)] = {number: clean(name, MAX_KEY) for number, name in reversed(found)}
        return names

    def _step(self, parent, o):
        """Return how `o` is held by the object of the node `parent`, "" if that goes without saying."""
        holder = parent.object
        base = self._kinds.containers.base_of(type(holder))
        if base is list or base is tuple:
            if type(holder) is tuple and parent.parent is not None and type(parent.parent.object) is Function:
                return _closure_step(parent.parent.object, o)
            return _index_step(base, holder, o)
        if base is dict:
            return self._key_step(parent, o)
        if base is not None:
            return "{\u2026}"
        if type(holder) is Function:
            return ""
        if type(o) is dict and self._is_dict_of(holder, o):
            return ""
        name = self._shape_of(holder).name_of(holder, o) if self._has_names(holder) else None
        return " > " + short_name(type(o)) if name is None else "." + clean(name, MAX_KEY)

    def _key_step(self, parent, o):
        holder = parent.object
        key = MISSING
        for count, (each, value) in enumerate(dict.items(holder)):
            if value is o or each is o:
                key = each
                break
            if count == MAX_SEARCH:
                break
        is_text = type(key) is str and len(key) <= MAX_KEY
        if self.owner_of(parent) is not parent:
            return "." + clean(key, MAX_KEY) if is_text else ".\u2026"
        return '["' + clean(key, MAX_KEY) + '"]' if is_text else "[\u2026]"

    def _has_names(self, o):
        """Return whether the attributes of `o` can be asked for, and whether there is time for it."""
        return bool(flags_of(type(o)) & HEAP_TYPE) and self._clock() < self._stop

    def _shape_of(self, o):
        shape = self._shapes.get(id(type(o)))
        if shape is None:
            shape = self._shapes[id(type(o))] = Shape(type(o))
        return shape

    def _is_dict_of(self, o, mapping):
        if not self._has_names(o):
            return HAS_FRAMES and bool(flags_of(type(o)) & HEAP_TYPE)  # likely, up to 3.10
        return self._shape_of(o).is_dict_of(o, mapping)


def _function_of(frame):
    """Return the qualified name of what runs in a frame, up to 3.10 the plain one."""
    code = frame.f_code
    return text(getattr(code, "co_qualname", code.co_name))


def _index_step(base, holder, o):
    if base.__len__(holder) <= MAX_SEARCH:
        for i, each in enumerate(base.__iter__(holder)):
            if each is o:
                return "[%d]" % i
    return "[\u2026]"


def _closure_step(function, o):
    for i, name in enumerate(code_of(function).co_freevars):
        if closure_of(function)[i] is o:
            return " closure " + clean(name, MAX_KEY)
    return ""
