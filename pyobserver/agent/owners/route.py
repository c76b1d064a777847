"""How to come to a container again: from something that has weak references, by the ids of what lies between.

A walk that has found tasks in a container knows the way. Later a few references tell whether the container is still
there, and so which tasks are in it now, without another walk.
"""

from _weakref import ref
from gc import get_referents

from pyobserver.agent.attributes import IS_CLASS, Function, class_dict, closure_of, flags_of, namespace_of
from pyobserver.agent.owners.holder_kinds import EXACT_CONTAINERS, MODULE, length_of

MAX_WIDE = 2000  # references of one object on the way that are looked through: 0.1 ms


class Route:
    """The way to one container: `anchor()` returns where it begins, and `steps` are the ids of what comes then."""

    __slots__ = ("_anchor", "_module", "_steps")

    def __init__(self, anchor, module, steps):
        self._anchor = anchor
        self._module = module
        self._steps = steps

    def container(self):
        """Return the container, None if it is not there any more or cannot be found in this way."""
        thing = namespace_of(self._module) if self._anchor is None else self._anchor()
        for number in self._steps:
            thing = _step(thing, number)
            if thing is None:
                return None
        return thing


def _step(thing, number):
    length = None if thing is None else length_of(thing)
    if thing is None or (length is not None and length > MAX_WIDE):
        return None
    for each in _parts(thing):
        if id(each) == number:
            return each
    return None


def _parts(thing):
    kind = type(thing)
    if kind is Function:
        return closure_of(thing) or ()
    if kind is dict:
        return list(thing.values())
    if id(kind) in EXACT_CONTAINERS:
        return list(thing)
    if flags_of(kind) & IS_CLASS:
        return list(dict.values(class_dict(thing)))
    return get_referents(thing)


def route_to(owners, kinds, level, module):
    """Return the `Route` to the container at `level` of a walk's stack, None if nothing near has weak references."""
    steps = []
    for at in range(level, -1, -1):
        owner, kind = owners[at], kinds[at]
        if at < level and owner is owners[at + 1]:  # looked into in two ways
            continue
        if kind is MODULE:
            return Route(None, module, steps)
        try:
            return Route(ref(owner), "", steps)
        except TypeError:
            steps.insert(0, id(owner))
    return None
