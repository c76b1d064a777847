"""What the agent knows: rows (tasks, threads), tree nodes, and the texts they refer to.

Everything is bounded. What changes is appended to a log, so that an observer gets just what changed since its last
update: it remembers a position in the log, and the ids behind it are read, each once.
"""

from pyobserver.protocol import schema

MAX_ROWS = 250000
MAX_NODES = 50000
MAX_TEXTS = 20000
MAX_TEXT = 300
MAX_LOG = 400000  # entries; an observer that is further behind gets everything anew


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
            text = text[: MAX_TEXT - 1] + "\u2026"
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

    `ref` is a weak reference to the task or thread object, `key` one to the future it awaited when it was last looked
    at: while `key()` is still what it awaits, it has not run. No strong reference to the target.
    """

    __slots__ = (
        "address",
        "checks",
        "held",
        "key",
        "logged",
        "moves",
        "name",
        "owned",
        "tries",
        "ref",
    ) + schema.ROW_NAMES

    def __init__(self, number, kind):
        self.ref = self.key = None
        self.name = ""
        self.logged = -1
        self.address = 0  # of the task while it lives
        self.checks = self.moves = 0
        self.held = 0  # the node of the container that the walk found it in
        self.owned = False  # by a task, a group or a gather, which goes before any container
        self.tries = 0  # scans since it has moved that gave only a lower bound
        self.id = number
        self.kind = kind
        self.state = self.flags = 0
        self.function = self.waiting = self.where = 0
        self.created = 0.0
        self.retained = -1
        self.error = 0
        self.accuracy = schema.UNAVAILABLE
        self.measured_at = 0.0
        self.cpu = self.activity = _NAN
        self.os_id = self.loop = self.parent = self.edge = 0
        self.queue = -1


_NAN = float("nan")


class Node:
    """One tree node that is not a row: a loop, a task group, a gather, a holder, the unowned, an executor.

    `ref` is a weak reference to what it stands for, None where there is none.
    """

    __slots__ = ("detail", "edge", "empty_since", "id", "kind", "label", "logged", "parent", "queue", "ref")

    def __init__(self, number, kind, label, parent, edge, detail=""):
        self.id = number
        self.kind = kind
        self.label = label
        self.parent = parent
        self.edge = edge
        self.detail = detail
        self.queue = None
        self.ref = None
        self.empty_since = 0.0
        self.logged = -1


class Table:
    """All rows and nodes of the target, and the log of their changes."""

    def __init__(self):
        self.rows = {}
        self.nodes = {}
        self.texts = Texts()
        self.overflow = 0
        self._next = 1
        self._log = []
        self._base = 0  # the position of the log's first entry
        self._read = 0  # the furthest position that anybody has read up to

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
        """Note that a row or node has changed; once is enough until somebody has read it."""
        if item.logged < self._read:
            item.logged = self._append(item.id)

    def remove(self, number):
        """Forget a row or node."""
        if self.rows.pop(number, None) is not None or self.nodes.pop(number, None) is not None:
            self._append(number)

    def _append(self, number):
        self._log.append(number)
        if len(self._log) > MAX_LOG:
            self.trim(self._base + MAX_LOG // 2)
        return self._base + len(self._log) - 1

    @property
    def end(self):
        """The position behind the last change."""
        return self._base + len(self._log)

    def changes(self, position, limit):
        """Return (ids of what changed from `position` on, each once; the next position), reading `limit` entries.

        An id that is neither among the rows nor the nodes is gone. Returns None when the log does not reach back.
        """
        start = position - self._base
        if start < 0:
            return None
        part = self._log[start : start + limit]
        position += len(part)
        if position > self._read:
            self._read = position
        return list(dict.fromkeys(part)), position

    def skip_to_end(self):
        """Return the position behind the last change, for somebody who now reads everything."""
        if self.end > self._read:
            self._read = self.end
        return self.end

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._log, self.rows, self.nodes, self.texts.items]

    def trim(self, position):
        """Forget the entries before `position`: everybody has read them."""
        del self._log[: max(0, position - self._base)]
        self._base = max(self._base, position)
