"""What the agent knows: rows (tasks, threads), tree nodes, and the texts they refer to.

Everything is bounded, and everything has a version, so that an observer gets just what changed since its last update:
`changes_since(version)` walks backwards through a dict kept in the order of last change and stops at what it has seen.
"""

from pyobserver.protocol import schema

MAX_ROWS = 250000
MAX_NODES = 50000
MAX_TEXTS = 20000
MAX_TEXT = 300
MAX_GONE = 50000


class Texts:
    """Interned texts with ids counting from 1; id 0 is "no text". Full: further texts become "(too many texts)"."""

    def __init__(self):
        self.items = [""]
        self._ids = {"": 0}

    def intern(self, text):
        """Return the id of `text`, an exact str."""
        found = self._ids.get(text)
        if found is not None:
            return found
        if len(text) > MAX_TEXT:
            text = text[:MAX_TEXT]
            found = self._ids.get(text)
            if found is not None:
                return found
        if len(self.items) >= MAX_TEXTS:
            text = "(too many texts)"
            found = self._ids.get(text)
            if found is not None:
                return found
        number = self._ids[text] = len(self.items)
        self.items.append(text)
        return number


class Row:
    """One task or thread. The columns of the protocol, its name, and weak references to the thing itself.

    `ref` is a weak reference to the task or thread object (or None), `key` one to the future it awaited when it was
    last looked at: while `key()` is still what it awaits, it has not run. No strong reference to the target.
    """

    __slots__ = ("checks", "key", "moves", "name", "ref", "seen", "version") + schema.ROW_NAMES

    def __init__(self, number, kind):
        self.ref = self.key = None
        self.name = ""
        self.version = self.seen = 0
        self.checks = self.moves = 0
        self.id = number
        self.kind = kind
        self.state = self.flags = 0
        self.function = self.waiting = self.where = 0
        self.created = 0.0
        self.retained = -1
        self.error = 0
        self.accuracy = schema.UNAVAILABLE
        self.measured_at = 0.0
        self.cpu = self.activity = float("nan")
        self.os_id = self.loop = self.parent = self.edge = 0
        self.queue = -1


class Node:
    """One tree node that is not a row: a loop, a task group, a gather, a holder, the unowned, an executor."""

    __slots__ = ("detail", "edge", "id", "kind", "label", "parent", "queue", "seen", "version")

    def __init__(self, number, kind, label, parent, edge, detail=""):
        self.id = number
        self.kind = kind
        self.label = label
        self.parent = parent
        self.edge = edge
        self.detail = detail
        self.queue = None
        self.version = self.seen = 0


class Table:
    """All rows and nodes of the target, with their versions."""

    def __init__(self):
        self.rows = {}
        self.nodes = {}
        self.texts = Texts()
        self.version = 1
        self.overflow = 0
        self._next = 1
        self._changed = {}  # id -> version, in the order of last change
        self._gone = {}  # id -> version

    def new_id(self):
        """Return an id never given out before."""
        number = self._next
        self._next += 1
        return number

    def add_row(self, kind):
        """Return a new Row, or None when there are too many (counted in `overflow`)."""
        if len(self.rows) >= MAX_ROWS:
            self.overflow += 1
            return None
        row = Row(self.new_id(), kind)
        self.rows[row.id] = row
        self.touch(row)
        return row

    def add_node(self, kind, label, parent, edge, detail=""):
        """Return a new Node, or None when there are too many (counted in `overflow`)."""
        if len(self.nodes) >= MAX_NODES:
            self.overflow += 1
            return None
        node = Node(self.new_id(), kind, label, parent, edge, detail)
        self.nodes[node.id] = node
        self.touch(node)
        return node

    def touch(self, item):
        """Note that a row or node has changed."""
        self.version += 1
        item.version = self.version
        self._changed.pop(item.id, None)
        self._changed[item.id] = self.version

    def remove(self, number):
        """Forget a row or node."""
        if self.rows.pop(number, None) is None and self.nodes.pop(number, None) is None:
            return
        self._changed.pop(number, None)
        self.version += 1
        self._gone[number] = self.version
        while len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]

    def changes_since(self, version):
        """Yield the ids of rows and nodes changed after `version`, latest first.

        The table may not change meanwhile."""
        for number, changed in reversed(self._changed.items()):
            if changed <= version:
                return
            yield number

    def gone_since(self, version):
        """Yield the ids removed after `version`, latest first."""
        for number, removed in reversed(self._gone.items()):
            if removed <= version:
                return
            yield number
