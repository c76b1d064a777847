"""Where objects are held, found by a walk over the heap for who has asked: large containers, and objects of a type.

The walk is that of `owners.holders`, with other things to look for: it holds the containers on its stack between slices
and nothing else, runs no code of the program, and ends after some seconds of work whatever is left.
"""

import sys
from gc import is_tracked
from itertools import compress, count, islice

from pyobserver.agent.attributes import class_name, short_name
from pyobserver.agent.owners.holder_kinds import (
    CLASS,
    EXACT_CONTAINERS,
    ITEMS,
    KEYS,
    LEAF,
    MODULE,
    TASK,
    VALUES,
    Kinds,
    length_of,
)
from pyobserver.agent.owners.holders import STRIDE, Walk
from pyobserver.agent.telling import json_bytes
from pyobserver.protocol.frames import ProtocolError

MAX_SECONDS = 8.0  # of work for one question; a slice is a tenth of the time
MAX_PATHS = 500  # to sort more would take a slice
MAX_REFERENCES = 200000  # to objects of the type that are noted
MAX_CONTAINERS_TOLD = 120
MAX_PLACES_TOLD = 60
MAX_PATH = 200
_ROOM = 48 * 1024  # bytes of texts in each of the two lists
MAX_SKIPPED = 100000  # items of a container that has changed, which are passed over in one go: half a millisecond
MAX_RESUMED = 2000  # times for one container
_CHANGING = (VALUES, ITEMS, KEYS, MODULE, CLASS)  # kinds of what is not walked through as a list of our own
_LEAST_ITEMS = 10
_EXAMPLES = 3
_SIZED = frozenset(map(id, (bytes, bytearray, str)))
_EVERYWHERE = ("str", "int", "float", "bool", "complex", "NoneType")


class _Kinds(Kinds):
    """As those of a walk for tasks, with the type of a name in the place of the types of tasks."""

    def __init__(self, name, leaves):
        Kinds.__init__(self, ())
        self._name = name
        self._leaves = leaves

    def _decide(self, kind, flags):
        if id(kind) in self._leaves:
            return LEAF
        if self._name and class_name(kind) in (self._name, "builtins." + self._name):
            return TASK
        return Kinds._decide(self, kind, flags)


class Survey(Walk):
    """One walk for containers of at least `least` items, and for objects of the type called `name`, if any.

    containers  (path, type) -> [how many, items of all, items of the largest]
    places      (path, type of the holder) -> [references met, items of the holder or None, lengths of some objects]
    """

    least_put_off = sys.maxsize  # what is large is what it looks for
    sees_all = True

    def __init__(self, clock, least, name, leaves, tasks, coroutine_of, slots=None):
        self.containers = {}
        self.places = {}
        self.references = 0
        self.dropped = 0  # places for which there was no room
        self.changed = 0  # containers that have changed size while they were walked through
        self._counters = {}  # by level, of the items of the container there that the walk has passed
        self.least = least  # it grows when there are too many
        Walk.__init__(self, None, clock, tasks, None, coroutine_of, None, slots)
        self._decisions = _Kinds(name, leaves)

    def stop(self):
        """Leave out what is left; `run` has only to let go of what is remembered."""
        self.restart()
        self._modules.stop()
        self._variables = iter(())

    def _push(self, owner, kind):
        Walk._push(self, owner, kind)
        level = len(self._owners) - 1
        if kind in _CHANGING:
            self._count_from(level, self._iterators[-1], 0)
        if kind is VALUES or kind is ITEMS:
            length = len(owner) if id(type(owner)) in EXACT_CONTAINERS else length_of(owner)
            if length is not None and length >= self.least:
                label = self._paths._label(level)
                if label.is_container and label.level == level:
                    self._note_container(label.path, owner, length)

    def _count_from(self, level, iterator, passed):
        """Count what is passed of a container: an iterator cannot tell it any more when that has changed."""
        counter = self._counters[level] = count(passed + 1)  # never 0, so that `compress` lets all through
        self._iterators[level] = compress(iterator, counter)

    def _again(self):
        """Go on in a container that has changed, in this slice or between two, from where the walk was.

        What is in it was counted, so that it must not be walked through from its beginning.
        """
        level = len(self._owners) - 1
        tries = self._tries[level] = self._tries.get(level, 0) + 1
        self.changed += tries == 1
        passed = int(repr(self._counters[level])[len("count(") : -1]) - 1
        if passed > MAX_SKIPPED or tries > MAX_RESUMED:
            self._restless += 1
            self._pop()
            return
        iterator = self._iterator(self._owners[-1], self._kinds[-1])
        next(islice(iterator, passed, passed), None)
        self._count_from(level, iterator, passed)

    def _enter(self, thing, kind, shared):
        if kind is VALUES and not is_tracked(thing) and len(thing) >= self.least:  # of texts and numbers only
            if id(thing) not in self._modules.namespaces and (not shared or self._marks.add(id(thing))):
                self._note_container(self._paths._path(len(self._owners) - 1, thing)[0], thing, len(thing))
            return False
        return Walk._enter(self, thing, kind, shared)

    def _note_container(self, path, container, length):
        key = (path, short_name(type(container)))
        found = self.containers.get(key)
        if found is not None:
            found[0] += 1
            found[1] += length
            found[2] = max(found[2], length)
            return
        while len(self.containers) >= MAX_PATHS:
            self.least *= 2
            if length < self.least:
                return
            self.containers = {key: found for key, found in self.containers.items() if found[2] >= self.least}
        self.containers[key] = [1, length, length]

    def _found(self, thing):
        self.references += 1
        if self.references > MAX_REFERENCES:
            return 0
        path, kind, length, _key, _score = self._paths.place_of(thing)
        found = self.places.get((path, kind))
        if found is None:
            if len(self.places) >= MAX_PATHS:
                self.dropped += 1
                return 1
            found = self.places[path, kind] = [0, length, []]
        found[0] += 1
        if length is not None and (found[1] is None or length > found[1]):
            found[1] = length
        if len(found[2]) < _EXAMPLES:
            own = len(thing) if id(type(thing)) in _SIZED else length_of(thing)
            if own is not None:
                found[2].append(own)
        return STRIDE // 2 if length is None else 1


class HeapPlaces:
    """Answers the observers' questions, one after the other. `job` is set by who runs it.

    `walk` is the one that goes on, None while nothing is asked.
    """

    def __init__(self, agent):
        self._agent = agent
        self.walk = None
        self.job = None

    def work(self, now):
        """Answer all that is asked."""
        service = self._agent.service
        for handle, observer in list(service.observers.items()):
            while observer.places and service.observers.get(handle) is observer:
                asked = observer.places.pop(0)
                answer, now = yield from self._answer(asked, now)
                if service.observers.get(handle) is observer:
                    _send(observer, answer)
        yield from ()

    def _answer(self, asked, now):
        least, name = asked.get("least"), asked.get("type")
        name = name if type(name) is str else ""
        least = max(_LEAST_ITEMS, least) if type(least) is int else _LEAST_ITEMS
        answer = {
            "t": "places",
            "token": asked["token"],
            "containers": [],
            "places": [],
            "references": 0,
            "seconds": 0.0,
            "note": _why_not(name),
        }
        if answer["note"]:
            return answer, now
        while not (self._agent.tasks.complete and self._agent.trio.complete):
            now = yield
        self.walk = walk = Survey(
            now.clock,
            least,
            name,
            self._agent.trio.types,
            self._agent.tasks.references,
            self._agent.search.coroutine_of,
            self._agent.tasks.describer.slots,
        )
        spent, notes = 0.0, []
        while True:
            begun = now.clock()
            is_through = walk.run(now.deadline)
            spent += now.clock() - begun
            if is_through:
                break
            if spent > MAX_SECONDS and not notes:
                notes.append("not all was looked through: it ended after %d s of work" % MAX_SECONDS)
                walk.stop()
            now = yield
        self.walk = None
        if not notes and walk.incomplete:
            notes.append("left out: " + walk.incomplete)
        if walk.changed:
            notes.append("%d containers changed while they were walked through: about so many" % walk.changed)
        if walk.references > MAX_REFERENCES:
            notes.append("only the first %d references were noted" % MAX_REFERENCES)
        if walk.dropped:
            notes.append("%d of them at places for which there was no room" % walk.dropped)
        if walk.least > least:
            notes.append("there are many: only those of %d items or more" % walk.least)
        now = yield
        answer["containers"] = _told(walk.containers, 1, MAX_CONTAINERS_TOLD)
        now = yield
        answer["places"] = _told(walk.places, 0, MAX_PLACES_TOLD)
        now = yield
        answer["references"] = min(walk.references, MAX_REFERENCES)
        answer["seconds"] = spent
        answer["note"] = "; ".join(notes)
        return answer, now


def _why_not(name):
    """Say why objects of a type are not looked for, "" if they are."""
    if name in _EVERYWHERE:
        return "%s is everywhere, and not looked for: look at the containers" % name
    if name in _LOOKED_THROUGH:
        return "%s is what is looked through, and not looked for: look at the containers" % name
    return ""


_LOOKED_THROUGH = ("list", "dict", "set", "frozenset", "tuple", "collections.deque", "function", "type", "module")


def _told(found, by, most):
    """Return [path, type, *numbers] of the largest, as many as there is room for."""
    rows = [[path[-MAX_PATH:], kind[-MAX_PATH:]] + numbers for (path, kind), numbers in found.items()]
    rows.sort(key=lambda row: row[2 + by], reverse=True)
    room = _ROOM
    told = []
    for row in rows[:most]:
        room -= 80 + json_bytes(row[0]) + json_bytes(row[1])
        if room < 0:
            break
        told.append(row)
    return told


def _send(observer, answer):
    try:
        observer.send(answer)
    except ProtocolError:
        answer["containers"] = answer["places"] = []
        answer["note"] = "the answer was too long"
        observer.send(answer)
