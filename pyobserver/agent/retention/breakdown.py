"""What the memory that a task retains consists of: by type, and where the largest of it is held.

After a scan, what it owns is gone through once more from the root, which gives each object one place: under the first
object that refers to it. Of what is too large only some entries are gone through, each standing for many.
"""

from itertools import islice

from pyobserver.agent.attributes import HEAP_TYPE, IS_CLASS, class_name, flags_of, short_name
from pyobserver.agent.retention.borrowed import SUSPENDED
from pyobserver.agent.retention.paths import Paths, is_transparent
from pyobserver.agent.retention.walk import Walk
from pyobserver.protocol.clean import clean_tail

MOST_TYPES = 30
MOST_PLACES = 12
MOST_CLASSES = 3
SAMPLE = 60  # entries of one container that is too large
INNER_LIMIT = 200  # objects that one of them is followed to
MOST_NODES = 20000
CHECK = 32  # objects between two looks at the clock
DOMINANT = 0.8  # a place of which one part has more than this share is not worth naming: that part is
LEAST_SHARE = 0.001  # of all that is retained, for a place to be named


class Breakdown:
    """`by_type`: (type, count, bytes), largest first. `biggest`: (path, type, length or None, bytes), largest first,
    where the bytes include what is only held there. `measure`: the Measure of all. `previews`: what was to be told of
    the biggest ones' values, if that was asked for. `classes`: names of classes made in functions which it refers to;
    what these hold is not counted."""

    __slots__ = ("biggest", "by_type", "classes", "measure", "previews")

    def __init__(self, by_type, biggest, measure, previews=(), classes=()):
        self.by_type = by_type
        self.biggest = biggest
        self.measure = measure
        self.previews = previews
        self.classes = classes


class Node:
    """One object at its place. It stands for `weight` like it under the same parent."""

    __slots__ = ("bytes", "heaviest", "object", "parent", "total", "weight")

    def __init__(self, o, parent, weight):
        self.object = o
        self.parent = parent
        self.weight = weight
        self.bytes = self.total = self.heaviest = 0


class Places:
    """The objects which a finished scan found to be owned, as a tree; made once, within one call."""

    def __init__(self, walker, scan, stop):
        self._walker = walker
        self._kinds = walker.kinds
        self._scan = scan
        self._stop = stop
        self._left = CHECK
        self.nodes = []
        self.is_cut = False
        self.not_looked_into = 0

    def build(self, roots):
        """Go through everything from the roots on."""
        parts = {id(part.container): part for part in self._scan.parts if part.container is not None}
        stop = self._stop
        unreached = {id(o) for part in self._scan.parts if part.entries is not None for o in part.entries}
        first = [Node(o, None, 1) for o in roots]
        waiting = self._grow(first, self._scan.walk.counts, parts, unreached)
        large = [node for node in waiting if id(node.object) in parts]
        for done, node in enumerate(large):
            now = self._walker.clock()
            self._stop = now + max(0.0, stop - now) / (len(large) + 1 - done)
            self.is_cut = False
            self._grow_entries(node, parts[id(node.object)])
        self._stop = stop
        self._grow_unreached([node for node in waiting if id(node.object) not in parts])
        for node in reversed(self.nodes):
            node.total += node.bytes
            parent = node.parent
            if parent is not None:
                parent.total += node.total * node.weight
                parent.heaviest = max(parent.heaviest, node.total)

    def _is_over(self):
        self._left -= 1
        if self._left < 0:
            self._left = CHECK
            self.is_cut = self.is_cut or len(self.nodes) > MOST_NODES or self._walker.clock() >= self._stop
        return self.is_cut

    def _grow(self, first, counts, closed, unreached):
        """Add nodes for what is owned, from the `first` on; return those that are to be looked into in another way."""
        seen = {id(node.object) for node in first}
        waiting = []
        nodes = self.nodes
        at = len(nodes)
        nodes += first
        while at < len(nodes) and not self._is_over():
            node = nodes[at]
            at += 1
            o = node.object
            if id(o) in unreached:
                waiting.append(node)
                continue
            node.bytes = self._kinds.size_of(o)
            if id(o) in closed:
                waiting.append(node)
                continue
            for r in self._kinds.edges.of(o):
                i = id(r)
                if i not in seen and counts.get(i, 0) < 0:
                    seen.add(i)
                    nodes.append(Node(r, node, 1))
        return waiting

    def _grow_entries(self, node, part):
        """Add nodes for some entries of a large container; without time for one, what the scan estimated is added."""
        picked = self._kinds.containers.pick(node.object, SAMPLE)
        objects, width = picked.objects, len(picked.held)
        owned = self._scan.sampler.owned(picked)
        children = []
        looked = 0
        for at in range(0, len(objects), width):
            if self._is_over():
                break
            looked += 1
            for i in range(at, at + width):
                if owned[i]:
                    children.append(Node(objects[i], node, 1))
                    self._grow_one(children[-1])
        for child in children:
            child.weight = picked.total / looked
        if not looked:
            self.not_looked_into += part.bytes() - part.own
            node.total += part.bytes() - part.own

    def _grow_unreached(self, waiting):
        """Add what some of the objects lead to that the walk did not come to."""
        chance = self._kinds.containers.chance
        chosen = {chance(len(waiting)) for _ in range(SAMPLE)} if waiting else ()
        for at in chosen:
            if self._is_over():
                return
            node = waiting[at]
            self._grow_one(Node(node.object, node.parent, len(waiting) / len(chosen)))

    def _grow_one(self, node):
        """Add one object and what it owns."""
        walk = Walk((node.object,))
        self._walker.exhaust(walk, self._scan.nobodys, self._stop, INNER_LIMIT)
        large = {id(o) for o in walk.large}
        self._grow([node], walk.counts, large, {id(o) for o in walk.stack})


def _by_type(nodes, not_looked_into):
    """Return (type, count, bytes) for the types that take most, and what there was no time for as one of them."""
    sums = {}
    weights = {}
    for node in nodes:
        parent = node.parent
        weight = weights[id(node)] = node.weight * (1 if parent is None else weights[id(parent)])
        entry = sums.setdefault(id(type(node.object)), [type(node.object), 0, 0])
        entry[1] += weight
        entry[2] += weight * node.bytes
    found = sorted(sums.values(), key=lambda entry: -entry[2])[: MOST_TYPES - 1]
    named = [(type_name(tp), max(1, int(count)), int(size)) for tp, count, size in found]
    if not_looked_into:
        named.append(("(not looked into)", 1, int(not_looked_into)))
        named.sort(key=lambda entry: -entry[2])
    return named


def type_name(tp):
    """Return what to call a type: without its module for builtins, cleaned."""
    name = class_name(tp)
    return clean_tail(name[len("builtins.") :] if name.startswith("builtins.") else name, 80)


def _worth_naming(nodes):
    """Return the nodes at which much comes together, largest first."""
    least = max(512, max([node.total for node in nodes if node.parent is None]) * LEAST_SHARE)
    found = []
    for node in nodes:
        if node.parent is None or node.total < least or node.heaviest > DOMINANT * node.total:
            continue
        if id(type(node.object)) not in SUSPENDED and not is_transparent(node.object):
            found.append(node)
    found.sort(key=lambda node: -node.total)
    return found[: 2 * MOST_PLACES]


def breakdown(walker, scan, roots, measure, stop, deadline, preview=None):
    """Return the Breakdown of what a finished scan found: gone through until `stop`, named until `deadline`.

    `preview`, where it is given, returns what is to be told of a value, and runs no code of the program.
    """
    places = Places(walker, scan, stop)
    places.build(roots)
    paths = Paths(walker.kinds, walker.slots, walker.clock, deadline)
    biggest, previews = [], []
    named = set()
    for node in _worth_naming(places.nodes):
        node = paths.owner_of(node)
        if id(node) not in named and len(biggest) < MOST_PLACES:
            named.add(id(node))
            o = node.object
            biggest.append((paths.of(node), type_name(type(o)), paths.length(o), int(node.total)))
            previews.append(preview(o) if preview is not None else "")
    classes = _made_in_functions(scan.walk.pending)
    return Breakdown(_by_type(places.nodes, places.not_looked_into), biggest, measure, previews, classes)


def _made_in_functions(pending):
    """Return names of classes which functions have made, out of what is referred to and not owned.

    A class refers to itself in ways that lead everywhere, so that it is not followed, even where it is the task's own.
    """
    found = set()
    for o in islice(pending.values(), MOST_NODES // 4):
        if flags_of(type(o)) & IS_CLASS and flags_of(o) & HEAP_TYPE and "<locals>" in class_name(o):
            found.add(clean_tail(short_name(o), 60))
            if len(found) == MOST_CLASSES:
                break
    return sorted(found)
