"""What the agent knows: rows (tasks, threads), tree nodes, and the texts they refer to.

Everything is bounded. What changes is appended to a log, so that an observer gets just what changed since its last
update: it remembers a position in the log, and the ids behind it are read, each once.

A row is a position in columns; a `Row` is how to read and write it, made whenever one is needed. A hundred thousand
tasks take some megabytes so, and as objects they would take a hundred.
"""

from pyobserver.agent.columns import Columns
from pyobserver.agent.texts import Texts
from pyobserver.protocol import schema

MAX_ROWS = 250000
MAX_NODES = 50000
MAX_LOG = 400000  # entries; an observer that is further behind gets everything anew

# An id is given out once: its lower bits are the row's position, the rest counts. In a node's id they are all set.
_BITS = 18
_NO_POSITION = (1 << _BITS) - 1

# Bits of `marks`
USED = 1
LOGGED = 2  # it has changed, and nobody has read that yet
OWNED = 4  # by a task, a group or a gather, which goes before any container
MET = 8  # what it does has been looked at
MOVED = 16  # since it was measured
FREE = 255  # the kind of a position without a row

_COLUMNS = (
    ("generation", "i"),
    ("kind", "B"),
    ("state", "B"),
    ("flags", "H"),
    ("function", "H"),  # ids of texts: there are fewer than 65,536
    ("waiting", "H"),
    ("where", "H"),
    ("created", "f"),  # this and the next in seconds since the table was made; 0 = never
    ("measured_at", "f"),
    ("retained", "q"),
    ("accuracy", "B"),
    ("parent", "q"),
    ("edge", "B"),
    ("loop", "i"),  # this and the next are what counts in the id of a node
    ("held", "i"),  # in the container that the walk found it in
    ("moves", "H"),  # how often it has been seen to have moved
    ("since", "i"),  # the number of the look before its first; where looks are not common to all, how many there were
    ("tries", "B"),  # scans since it has moved that gave only a lower bound
    ("marks", "B"),
)
_NAN = float("nan")
_RARE = {"error": 0, "cpu": _NAN, "os_id": 0, "queue": -1, "name": ""}  # and what they are where nobody has set them


class Row:
    """One task or thread, at a position of the columns: the numbers of the protocol, by name, and some of the agent's.

    `ref` is a weak reference to the task or thread object, `key` one to the future it awaited when it was last looked
    at: while `key()` is still what it awaits, it has not run. No strong reference to the target.
    """

    __slots__ = ("_table", "_views", "position")

    def __init__(self, table, position):
        self._table = table
        self._views = table.columns.views
        self.position = position

    @property
    def id(self):
        """The number that the protocol knows it by."""
        return self._table.columns.generation[self.position] << _BITS | self.position

    @property
    def activity(self):
        """The share of looks at which it had moved, NaN when there was none."""
        return self._table.activity(self.position)

    def is_marked(self, mark):
        """Whether one of the marks is set."""
        return self._table.columns.marks[self.position] & mark != 0

    def mark(self, mark, is_set=True):
        """Set or clear one of the marks."""
        marks = self._table.columns.marks
        marks[self.position] = marks[self.position] | mark if is_set else marks[self.position] & ~mark


def _reference(name):
    """A property for a weak reference, None where there is none."""

    def read(row):
        return getattr(row._table, name)[row.position]

    def write(row, value):
        getattr(row._table, name)[row.position] = value

    return property(read, write)


def _number(place):
    """A property for a number in a column."""

    def read(row):
        return row._views[place][row.position]

    def write(row, value):
        row._views[place][row.position] = value

    return property(read, write)


def _time(place):
    """A property for a Unix time, 0 where there is none."""

    def read(row):
        seconds = row._views[place][row.position]
        return row._table.begun + seconds if seconds else 0.0

    def write(row, value):
        row._views[place][row.position] = row._table.seconds(value)

    return property(read, write)


def _node(place):
    """A property for the id of a node, 0 for none."""

    def read(row):
        return node_id(row._views[place][row.position])

    def write(row, value):
        row._views[place][row.position] = value >> _BITS

    return property(read, write)


def _rare(name, missing):
    """A property for what few rows have."""

    def read(row):
        return row._table.rare[name].get(row.position, missing)

    def write(row, value):
        if value != missing:
            row._table.rare[name][row.position] = value
        else:
            row._table.rare[name].pop(row.position, None)

    return property(read, write)


for _name in ("refs", "keys"):
    setattr(Row, _name[:-1], _reference(_name))
for _place, (_name, _code) in enumerate(_COLUMNS):
    if _name not in ("generation", "marks"):
        _make = _node if _name in ("loop", "held") else _time if _code == "f" else _number
        setattr(Row, _name, _make(_place))
for _name, _missing in _RARE.items():
    setattr(Row, _name, _rare(_name, _missing))


def node_id(count):
    """Return the id of the node with this number, 0 for none."""
    return count << _BITS | _NO_POSITION if count else 0


def node_count(number):
    """Return the number of the node with this id."""
    return number >> _BITS


class Node:
    """One tree node that is not a row: a loop, a task group, a gather, a holder, the unowned, an executor.

    `ref` is a weak reference to what it stands for, None where there is none.
    """

    __slots__ = ("detail", "edge", "empty_since", "id", "is_logged", "kind", "label", "parent", "queue", "ref")

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
        self.is_logged = False


class Rows:
    """All rows by their ids, like a mapping of them."""

    def __init__(self, table):
        self._table = table

    def __len__(self):
        return self._table.count

    def __contains__(self, number):
        return self._table.position_of(number) >= 0

    def get(self, number):
        """Return the row with this id, None if there is none."""
        position = self._table.position_of(number)
        return Row(self._table, position) if position >= 0 else None


class Table:
    """All rows and nodes of the target, and the log of their changes. `begun` is the Unix time it counts from.

    `refs` and `keys` are as long as the columns. `namer` returns the name of a task; those of other rows are kept.
    """

    def __init__(self, begun):
        self.begun = begun
        self.columns = Columns(_COLUMNS)
        self.refs = []
        self.keys = []
        self.rare = {name: {} for name in _RARE}
        self.rows = Rows(self)
        self.nodes = {}
        self.texts = Texts()
        self.overflow = 0
        self.count = 0  # of rows
        self.end_position = 0  # behind the last row
        self.looks = 0  # how many times all tasks have been looked at
        self.namer = None
        self._free = []
        self._generation = 0
        self._next_node = 0
        self._log = []
        self._base = 0  # the position of the log's first entry

    # -- rows ---------------------------------------------------------------------------------------------------------

    def add_row(self, kind):
        """Return a new Row, or None when there are too many (counted in `overflow`)."""
        if self.count >= MAX_ROWS:
            self.overflow += 1
            return None
        if self._free:
            position = self._free.pop()
        else:
            position = self.end_position
            if position == self.columns.length:
                self._extend()
            self.end_position += 1
        self.count += 1
        self._generation += 1
        columns = self.columns
        columns.generation[position] = self._generation
        columns.kind[position] = kind
        columns.retained[position] = -1
        columns.accuracy[position] = schema.UNAVAILABLE
        columns.since[position] = self.looks if kind == schema.KIND_TASK else 0
        columns.marks[position] = USED | LOGGED
        self._append(self._generation << _BITS | position)
        return Row(self, position)

    def is_full(self):
        """Whether there is no room for another row."""
        return self.count >= MAX_ROWS

    def _extend(self):
        before = self.columns.length
        self.columns.extend()
        more = self.columns.length - before
        self.columns.kind[before:] = bytes([FREE]) * more
        self.refs += [None] * more
        self.keys += [None] * more

    def position_of(self, number):
        """Return the position of the row with this id, -1 if there is none."""
        position = number & _NO_POSITION
        if position < self.end_position and self.columns.generation[position] == number >> _BITS:
            return position
        return -1

    def ids(self, start, end):
        """Return the ids of the rows between two positions."""
        marks, generation = self.columns.marks, self.columns.generation
        return [generation[p] << _BITS | p for p in range(start, min(end, self.end_position)) if marks[p]]

    def id_at(self, position):
        """Return the id of the row at a position."""
        return self.columns.generation[position] << _BITS | position

    def last_generation(self):
        """Return the generation of the row that was added last: those that come later have larger ones."""
        return self._generation

    def seconds(self, wall):
        """Return a Unix time as a column has it: never 0, which stands for none, unless it is 0."""
        return max(0.001, wall - self.begun) if wall else 0.0

    def time_at(self, name, position):
        """Return a column's Unix time, 0.0 for none."""
        seconds = getattr(self.columns, name)[position]
        return self.begun + seconds if seconds else 0.0

    def activity(self, position):
        """Return the share of looks at which a task had moved, NaN when there was none."""
        kind, looks = self.columns.kind[position], self.columns.since[position]
        if kind == schema.KIND_TASK:
            looks = self.looks - looks
        if looks <= 0 or kind not in (schema.KIND_TASK, schema.KIND_TRIO_TASK):
            return _NAN
        return min(1.0, self.columns.moves[position] / looks)

    def name_at(self, position):
        """Return the name of the row at a position; that of a task is asked for when it is needed."""
        if self.columns.kind[position] == schema.KIND_TASK:
            task = self.refs[position]()
            return "" if task is None else self.namer(task)
        return self.rare["name"].get(position, "")

    def column(self, name, positions):
        """Return a list of what a column of the protocol has at these positions."""
        if name == "id":
            generation = self.columns.generation
            return [generation[p] << _BITS | p for p in positions]
        if name == "activity":
            return [self.activity(p) for p in positions]
        if name == "created" or name == "measured_at":
            return [self.time_at(name, p) for p in positions]
        if name in _RARE:
            found, missing = self.rare[name], _RARE[name]
            return [found.get(p, missing) for p in positions] if found else [missing] * len(positions)
        numbers = getattr(self.columns, name)
        if name == "loop":
            return [node_id(numbers[p]) for p in positions]
        return [numbers[p] for p in positions]

    # -- nodes --------------------------------------------------------------------------------------------------------

    def add_node(self, kind, label, parent, edge, detail=""):
        """Return a new Node, or None when there are too many (counted in `overflow`)."""
        if len(self.nodes) >= MAX_NODES:
            self.overflow += 1
            return None
        self._next_node += 1
        node = Node(node_id(self._next_node), kind, label, parent, edge, detail)
        self.nodes[node.id] = node
        self.touch(node)
        return node

    # -- changes ------------------------------------------------------------------------------------------------------

    def touch(self, item):
        """Note that a row or node has changed; once is enough until somebody is told of it."""
        if type(item) is Row:
            self.touch_at(item.position)
        elif not item.is_logged:
            item.is_logged = True
            self._append(item.id)

    def touch_at(self, position):
        """Note that the row at a position has changed."""
        marks = self.columns.marks
        if not marks[position] & LOGGED:
            marks[position] |= LOGGED
            self._append(self.id_at(position))

    def remove(self, number):
        """Forget a row or node."""
        position = self.position_of(number)
        if position >= 0:
            self.columns.clear(position)
            self.columns.kind[position] = FREE
            self.refs[position] = self.keys[position] = None
            for rare in self.rare.values():
                rare.pop(position, None)
            self._free.append(position)
            self.count -= 1
            self._append(number)
        elif self.nodes.pop(number, None) is not None:
            self._append(number)

    def _append(self, number):
        self._log.append(number)
        if len(self._log) > MAX_LOG:
            self.trim(self._base + MAX_LOG // 2)

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
        return list(dict.fromkeys(part)), position + len(part)

    def told(self, item):
        """Note that somebody is told of a row, by its position, or of a node: what changes later is logged again."""
        if type(item) is Node:
            item.is_logged = False
        else:
            self.columns.marks[item] &= ~LOGGED

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._log, self.nodes, self.texts.items, self.refs, self.keys, self._free, *self.rare.values()]

    def drop(self):
        """Let go of the columns."""
        self.columns.drop()

    @property
    def bytes(self):
        """How much memory the rows take, without what their references take."""
        lists = 8 * (len(self.refs) + len(self.keys) + len(self._log) + len(self._free))
        rare = sum([90 * len(found) for found in self.rare.values()])
        return self.columns.length * self.columns.row_bytes + lists + 32 * len(self._log) + rare

    def trim(self, position):
        """Forget the entries before `position`: everybody has read them."""
        del self._log[: max(0, position - self._base)]
        self._base = max(self._base, position)
