"""What the roots of a group share, by name, and what one of them retains alone, by type."""

from pyobserver.agent.retention.breakdown import Node, breakdown, type_name
from pyobserver.agent.retention.paths import Paths
from pyobserver.agent.retention.scan import Scan

MOST_NODES = 3000  # objects gone through to name one


class Naming:
    """Names what a `Together` has found; each call lies within a slice."""

    def __init__(self, together, walker):
        self._together = together
        self._walker = walker
        self._kinds = walker.kinds

    def by_type(self, root, deadline):
        """Return [(type, count, bytes)] of what a root retains alone, largest first."""
        now = self._walker.clock()
        left = deadline - now
        scan = Scan(self._walker, self._together.border(root), [root], now + left * 0.4)
        try:
            scan.run()
            return breakdown(self._walker, scan, [root], None, now + left * 0.7, deadline).by_type
        except Exception:  # a type in C whose size cannot be asked for, or no memory
            return []

    def describe(self, root, wanted, deadline, walked=frozenset(), frames=None):
        """Return {id: (path from the root, type, length or None, Measure of what it retains itself or None)} for those
        of the ids `wanted`, a dict {id: whether to measure it}, that are found.

        `walked` are ids of what others of ours refer to at this moment. None when such is in what was measured: it
        seems to be held by the program; and when there was no time to measure any. With `frames`, as `Together.scan`.
        """
        if frames is None:
            return self._described(root, wanted, deadline, walked, None)
        self._kinds.look_into_frames(frames)
        try:
            return self._described(root, wanted, deadline, walked, frames)
        finally:
            self._kinds.edges.frames = {}

    def _described(self, root, wanted, deadline, walked, frames):
        now = self._walker.clock()
        told = {}
        scan = self._together.scan_of(root, now + (deadline - now) * 0.3, frames)
        walk = scan.walk
        paths = Paths(self._kinds, self._walker.slots, self._walker.clock, deadline)
        for node in self._nodes([root] if frames is None else frames, walk, wanted):
            o = node.object
            measure = None
            if wanted[id(o)]:
                now = self._walker.clock()
                stop = now + (deadline - now) / (1 + len(wanted) - len(told))
                if now >= deadline:
                    return told or None
                measure = Scan(self._walker, self._together.border(o), [o], stop)
                measure.run()
                if any(i in measure.walk.pending for i in walked):
                    return None
                measure = (int(measure.bytes()), measure.accuracy(), int(measure.error()))
            told[id(o)] = (paths.of(node), type_name(type(o)), paths.length(o), measure)
        return told

    def _nodes(self, roots, walk, wanted):
        """Return breakdown.Nodes of the wanted objects, each under what the roots hold it by."""
        seen = set(map(id, roots))
        nodes = [Node(root, None, 1) for root in roots]
        found = []
        at = 0
        while at < len(nodes) < MOST_NODES and len(found) < len(wanted):
            node = nodes[at]
            at += 1
            lengths = self._kinds.containers.lengths
            t = id(type(node.object))
            if t in lengths and lengths[t](node.object) > MOST_NODES:
                continue
            for r in self._kinds.edges.of(node.object):
                i = id(r)
                if i in seen:
                    continue
                if i in wanted:
                    seen.add(i)
                    found.append(Node(r, node, 1))
                elif walk.counts.get(i, 0) < 0:
                    seen.add(i)
                    nodes.append(Node(r, node, 1))
        return found
