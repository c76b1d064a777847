"""The event loops of the process, each a node of the tree under the thread that runs it.

Up to 3.13 every task leads to its loop. Later the loops come first: from where the script began, from the policy, from
what a runner leaves as the handler of SIGINT, and from the threads' own attributes.
"""

import sys
from _weakref import ref
from gc import get_referents
from itertools import islice

from pyobserver.agent.attributes import Cell, Function, attribute, class_name, inherits, mro_of, namespace_of
from pyobserver.protocol import schema

MOST_TOLD = 1000  # in an update, which is one frame
_MAX_OBJECTS = 400
_MAX_DEPTH = 7
_SMALL = 60


class Loop:
    """One loop by a weak reference, its node, and the identity of the thread that it was last seen in."""

    __slots__ = ("node", "ref", "thread")

    def __init__(self, reference, node):
        self.ref = reference
        self.node = node
        self.thread = None


class Loops:
    """All loops that are known. A loop without weak references has no node."""

    def __init__(self, agent, hint):
        self._agent = agent
        self._by_address = {}
        if hint is not None:
            loop = hint()
            if loop is not None:
                self.node_of(loop)

    def node_of(self, loop):
        """Return the id of a loop's node, made when it is met first; 0 for none."""
        if loop is None:
            return 0
        known = self._by_address.get(id(loop))
        if known is not None and known.ref() is loop:
            return known.node.id
        try:
            reference = ref(loop)
        except TypeError:
            return 0
        node = self._agent.table.add_node(schema.NODE_LOOP, "loop", 0, schema.EDGE_RUNS)
        if node is None:
            return 0
        found = self._by_address[id(loop)] = Loop(reference, node)
        self._place(found, loop)
        return node.id

    def references(self):
        """Weak references to all loops."""
        return [known.ref for known in list(self._by_address.values())]

    def summary(self):
        """What an update says of them, or of so many as there is room for."""
        some = islice(self._by_address.values(), MOST_TOLD)
        return [{"id": known.node.id, "thread": known.node.parent} for known in some]

    def sweep(self):
        """Forget the loops that are no more, and put each under the thread that runs it now."""
        for address, known in list(self._by_address.items()):
            loop = known.ref()
            if loop is None:
                del self._by_address[address]
                self._agent.table.remove(known.node.id)
            else:
                self._place(known, loop)

    def look_for(self):
        """Look for loops that no task has led to."""
        found = []
        seen = set()
        pending = [(root, 0) for root in self._roots()]
        while pending and len(seen) < _MAX_OBJECTS:
            each, depth = pending.pop()
            if id(each) in seen or each is None:
                continue
            seen.add(id(each))
            if _is_loop(type(each)):
                found.append(each)
            elif depth < _MAX_DEPTH and _leads_on(each, depth):
                pending.extend([(inner, depth + 1) for inner in get_referents(each)[:_SMALL]])
        pending = each = None
        for loop in found:
            self.node_of(loop)

    def _roots(self):
        roots = []
        events = sys.modules.get("asyncio.events")
        if events is not None:
            for name in ("_event_loop_policy",):
                roots.append(events.__dict__.get(name))
        signal = sys.modules.get("_signal")
        if signal is not None:
            roots.append(signal.getsignal(signal.SIGINT))
        threading = sys.modules.get("threading")
        active = threading.__dict__.get("_active") if threading is not None else None
        if type(active) is dict:
            roots.extend(list(active.values())[:_SMALL])
        main = namespace_of("__main__")  # which may be a module of another class
        roots.extend([value for value in list(dict.values(main or {}))[:500] if _is_loop(type(value))])
        return roots

    def _place(self, known, loop):
        """Put the node under its thread."""
        ident = attribute(loop, "_thread_id")
        if type(ident) is not int:
            ident = known.thread
        known.thread = ident
        row = self._agent.threads.row_of(ident) if ident is not None else None
        parent = row.id if row is not None else 0
        label = "loop " + row.name if row is not None and row.name else "loop"
        node = known.node
        if node.parent != parent or node.label != label or not node.detail:
            node.parent, node.label, node.detail = parent, label, class_name(type(loop))
            self._agent.table.touch(node)


def _is_loop(kind):
    """Whether a type is an event loop: asyncio's, or uvloop's."""
    events = sys.modules.get("asyncio.events")
    base = events.__dict__.get("AbstractEventLoop") if events is not None else None
    return base is not None and inherits(kind, base)


def _leads_on(each, depth):
    """Whether an object may be opened on the way to a loop: what binds functions and small containers, little else."""
    kind = type(each)
    if kind in (tuple, list, dict):
        return len(each) <= _SMALL
    if kind is Cell or kind is Function:
        return kind is Cell
    name = class_name(kind)
    if name in ("functools.partial", "builtins.method", "_thread._local", "_thread._localdummy"):
        return True
    if name.startswith(("asyncio.", "threading.", "_thread.")):
        return True
    return depth == 0 and any(class_name(base).startswith("threading.") for base in mro_of(kind) or ())
