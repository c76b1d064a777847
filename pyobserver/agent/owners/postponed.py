"""What a walk comes to later: objects far down become roots of their own, and large containers come last.

Nothing is kept alive meanwhile: of objects there are weak references, and of large containers the ways to them.
"""

from _weakref import ref

from pyobserver.agent.attributes import HEAP_TYPE, flags_of, namespace_of
from pyobserver.agent.owners.holder_kinds import CLASS, FUNCTION, OBJECT
from pyobserver.agent.owners.route import route_to
from pyobserver.agent.runs import GENERATORS

MAX_DEFERRED = 10000
MAX_THREADS = 1000
MAX_LARGE = 1000  # that are left for later
DEFERRED = (OBJECT, FUNCTION, CLASS)  # kinds of what may be walked from later


class Postponed:
    """`deferred` are (weak reference, the task it is inside, kind), and `large` the routes to large containers.

    What has several owners is marked in `marks`, so that it is postponed once.
    """

    def __init__(self, marks):
        self.deferred = []
        self.large = []
        self._marks = marks

    def defer(self, thing, kind, shared, inside):
        """Put what is far down on the list of what to walk from later. Return whether it is there."""
        if kind is OBJECT and not flags_of(type(thing)) & HEAP_TYPE and id(type(thing)) not in GENERATORS:
            return False
        if len(self.deferred) >= MAX_DEFERRED:
            return False
        try:
            reference = ref(thing)
        except TypeError:  # its class allows no weak references
            return False
        if not shared or self._marks.add(id(thing)):
            self.deferred.append((reference, inside, kind))
        return True

    def put_off(self, owners, kinds, module):
        """Leave a large container, the last of `owners`, for later; return whether it is."""
        if len(self.large) >= MAX_LARGE:
            return False
        route = route_to(owners, kinds, module)
        if route is not None:
            self.large.append(route)
        return route is not None

    def add_threads(self):
        """Walk from the threads that Python knows, once the modules have been walked: they may have more."""
        threads = (namespace_of("threading") or {}).get("_active")
        for thread in list(dict.values(threads))[:MAX_THREADS] if type(threads) is dict else ():
            if not self._marks.has(id(thread)) and self._marks.add(id(thread)):
                self.deferred.append((ref(thread), 0, OBJECT))
