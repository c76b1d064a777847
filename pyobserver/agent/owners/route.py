"""How to come to a container again: from something that has weak references, by the ids of what lies between.

A walk that has found tasks in a container knows the way. Later a few references tell whether the container is still
there, and so which tasks are in it now, without another walk.
"""

from _weakref import ref
from gc import get_referents

from pyobserver.agent.attributes import IS_CLASS, Function, class_dict, closure_of, flags_of, namespace_of
from pyobserver.agent.greenlet_types import known
from pyobserver.agent.owners.holder_kinds import EXACT_CONTAINERS, MODULE, VARIABLES, length_of

MAX_WIDE = 2000  # references of one object on the way that are looked through: 0.1 ms


class Route:
    """The way to one container: `anchor()` returns where it begins, None for the module `module`; `steps` are the ids
    of what comes then, and `kinds` how a walk has looked into each of these and the first."""

    __slots__ = ("_anchor", "_kinds", "_steps", "module")

    def __init__(self, anchor, module, steps, kinds):
        self._anchor = anchor
        self.module = module
        self._steps = steps
        self._kinds = kinds

    def container(self):
        """Return the container, None if it is not there any more or cannot be found in this way."""
        found = self.stack()
        return found[-1][0] if found else None

    def stack(self):
        """Return [(thing, kind)] from the first to the container, empty if that is not found in this way."""
        thing = namespace_of(self.module) if self._anchor is None else self._anchor()
        found = [] if thing is None else [(thing, self._kinds[0])]
        for number, kind in zip(self._steps, self._kinds[1:]):  # noqa: B905 (3.10 and later)
            thing = _step(thing, number)
            if thing is None:
                return []
            found.append((thing, kind))
        return found


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
    greenlets = known()
    if greenlets is not None and greenlets.is_greenlet(thing):
        return [value for _, value in greenlets.variables(thing)]
    return get_referents(thing)


def route_to(owners, kinds, module):
    """Return the `Route` to the last of `owners`, which a walk has on its stack; None if nothing has weak references.

    `kinds` are how it looks into them, and `module` is the name of the one at the bottom, if one is there.
    """
    steps, ways = [], []
    for at in range(len(owners) - 1, -1, -1):
        owner, kind = owners[at], kinds[at]
        if at + 1 < len(owners) and owner is owners[at + 1]:  # looked into in two ways
            continue
        ways.insert(0, kind)
        if kind is MODULE:
            return Route(None, module, steps, ways)
        if kind is VARIABLES:  # it is itself a weak reference
            return Route(owner, "", steps, ways)
        try:
            return Route(ref(owner), "", steps, ways)
        except TypeError:
            steps.insert(0, id(owner))
    return None
