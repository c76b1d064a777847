"""Where a walk over the heap stands: the containers that it is in, outermost first, and how far in each.

Nothing else of the program is held between slices, and what it drops meanwhile is left to its own collector.
"""

from gc import get_referents, is_tracked
from itertools import compress, islice
from sys import getrefcount

from pyobserver.agent import collector
from pyobserver.agent.attributes import IS_CLASS, Shape, class_dict, closure_of, flags_of
from pyobserver.agent.owners.holder_kinds import (
    ATTRIBUTES,
    CLASS,
    EXACT_CONTAINERS,
    FUNCTION,
    ITEMS,
    KEYS,
    MODULE,
    OBJECT,
    VALUES,
    VARIABLES,
    container_base,
)

MANY = 256  # items from which on those that lead nowhere are left out by C alone
PASSED = 16  # of them at once
LISTED = (OBJECT, ATTRIBUTES, VARIABLES)  # kinds of frames that iterate over a list made here, which is an owner more


def _calibrate():
    """Return what `getrefcount` says in `Stack.let_go` of an owner that only the stack refers to, once."""
    owners = [object()]
    return getrefcount(owners[0])


ON_STACK = _calibrate()


class Stack:
    """The stack, as columns. `_paths` tells what its places are called.

    `inside` is the id of the task whose variables are being walked: what it retains cannot be counted meanwhile.
    """

    sees_all = False  # also what the collector does not track: texts, and small containers of nothing else

    def _clear(self):
        self.objects = 0  # looked into
        self.inside = 0
        self._owners = []  # what is looked into,
        self._kinds = []  # how,
        self._iterators = []  # how far,
        self._tries = {}  # by level, how often it has changed meanwhile
        self._shapes = {}

    def held(self):
        """Yield the ids of what the walk refers to between slices."""
        for owner, kind in zip(self._owners, self._kinds):  # noqa: B905 (3.10 and later)
            yield id(owner)
            if kind is FUNCTION:
                yield id(closure_of(owner))

    def _pause(self):
        """Keep of the lists that were made here how much is left of them, and no class."""
        self._shapes.clear()
        for level, kind in enumerate(self._kinds):
            if kind in LISTED:
                self._iterators[level] = self._iterators[level].__length_hint__()

    def let_go(self):
        """Leave what is on the stack when the program has dropped it since: to free that here would run its finalizers
        in this thread, all at once. The program's collector does it."""
        owners = self._owners
        if not owners:
            return
        ours = self._references()
        for level in range(len(owners)):
            if getrefcount(owners[level]) < ON_STACK + ours[id(owners[level])]:
                collector.bury([owners[level:], self._iterators[level:], self._paths.cut(level)])
                while len(owners) > level:
                    self._pop()
                return

    def _references(self):
        """Return how often the walk refers to each of the owners, by id: by its stack, by its iterators, in labels."""
        found = dict.fromkeys(map(id, self._owners), 0)
        for part in (self._owners, *map(_of_iterator, self._iterators), self._paths.referents()):
            for each in part:
                if id(each) in found:
                    found[id(each)] += 1
        return found

    def _resume(self):
        for level, kind in enumerate(self._kinds):
            if kind in LISTED:
                left = self._iterators[level]
                items = self._listed(self._owners[level], kind)
                self._iterators[level] = iter(items[max(0, len(items) - left) :])

    def _push(self, owner, kind):
        made = self._iterator(owner, kind)
        self._owners.append(owner)
        self._kinds.append(kind)
        self._iterators.append(made)
        self.objects += 1

    def _pop(self):
        self._owners.pop()
        self._kinds.pop()
        self._iterators.pop()
        level = len(self._owners)
        if self._tries:
            self._tries.pop(level, None)
        self._paths.forget(level)
        if not level:
            self.inside = 0
            self._paths.task = None

    def _iterator(self, owner, kind):
        if kind is OBJECT:
            return iter(get_referents(owner))
        if kind is VALUES or kind is MODULE:
            return self._leading(iter(dict.values(owner)))
        if kind is KEYS:
            return iter(dict.keys(owner))
        if kind is CLASS:
            return iter(dict.values(class_dict(owner)))
        if kind is FUNCTION:
            return iter(closure_of(owner))
        if kind is ITEMS:
            if id(type(owner)) in EXACT_CONTAINERS:
                return self._leading(iter(owner))
            return container_base(type(owner)).__iter__(owner)
        return iter(self._listed(owner, kind))

    def _leading(self, iterator):
        """Return an iterator over what may lead somewhere of a container with many items."""
        return iterator if self.sees_all or iterator.__length_hint__() < MANY else _Tracked(iterator)

    def _listed(self, owner, kind):
        """Return what an object refers to, as a list of our own: not to be kept between slices."""
        if kind is VARIABLES:
            greenlet = owner()
            return [] if greenlet is None else [value for _, value in self._known_greenlets.variables(greenlet)]
        return self._shape(type(owner)).values(owner) if kind is ATTRIBUTES else get_referents(owner)

    def _shape(self, kind):
        found = self._shapes.get(id(kind))
        if found is None:
            found = self._shapes[id(kind)] = Shape(kind)
        return found


def _of_iterator(iterator):
    """Return what an iterator of the stack refers to: a container, by way of another iterator where it counts."""
    if type(iterator) is _Tracked:
        return get_referents(iterator.iterator)
    found = get_referents(iterator)
    if type(iterator) is compress:
        return [each for part in found if not flags_of(type(part)) & IS_CLASS for each in get_referents(part)]
    return found


class _Tracked:
    """What the collector tracks of what an `iterator` has left; iterated over again, it goes on."""

    __slots__ = ("_found", "iterator")

    def __init__(self, iterator):
        self.iterator = iterator
        self._found = _tracked(iterator)

    def __iter__(self):
        return self._found


def _tracked(iterator):
    """Yield what the collector tracks; None in between, so that not too many others are passed at once.

    It keeps none of them. An iterator over what has changed its size has nothing left, and says so when it is asked.
    """
    left = iterator.__length_hint__
    while left():
        yield from filter(is_tracked, islice(iterator, PASSED))
        yield None
    yield from filter(is_tracked, iterator)
