"""What the agent knows: rows (tasks, threads), tree nodes, and the texts they refer to.

Everything is bounded. What changes is appended to a log, so that an observer gets just what changed since its last
update: it remembers a position in the log, and the ids behind it are read, each once.
"""

from pyobserver.agent.columns import Columns
from pyobserver.agent.row import (
    BITS,
    COLUMNS,
    FREE,
    KEPT_IN_LISTS,
    LOGGED,
    NAN,
    NO_POSITION,
    RARE,
    USED,
    Row,
    node_id,
)
from pyobserver.agent.texts import Texts
from pyobserver.protocol import schema
from pyobserver.protocol.frames import Alike

MAX_ROWS = 250000
MAX_NODES = 50000
MAX_OTHERS = 4  # owners of one row that are told beside its parent
_AS_TOLD = frozenset([name for name, code in COLUMNS if (name, code) in schema.ROW_COLUMNS])  # all of it is the same
_TRIMMED = 20000  # entries that are forgotten at once: half a millisecond
_NOT_LOGGED = bytes([marks & ~LOGGED for marks in range(256)])
MAX_LOG = 400000  # entries; an observer that is further behind gets everything anew


class Node:
    """One tree node that is not a row: a loop, a task group, a gather, a holder, the unowned, an executor.

    `ref` is a weak reference to what it stands for, None where there is none; `route` leads to a container; `pids` are
    of the child processes that hang under it.
    """

    __slots__ = (
        "detail",
        "edge",
        "empty_since",
        "id",
        "is_logged",
        "kind",
        "label",
        "parent",
        "pids",
        "queue",
        "ref",
        "route",
    )

    def __init__(self, number, kind, label, parent, edge, detail=""):
        self.id = number
        self.kind = kind
        self.label = label
        self.parent = parent
        self.edge = edge
        self.detail = detail
        self.queue = None
        self.ref = self.route = None
        self.pids = ()
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
        self.columns = Columns(COLUMNS)
        self.refs = []
        self.keys = []
        self.rare = {name: {} for name in RARE}
        self.rows = Rows(self)
        self.nodes = {}
        self.texts = Texts()
        self.overflow = 0
        self.count = 0  # of rows
        self.end_position = 0  # behind the last row
        self.spared = 0  # rows that have the id of what a task awaits in place of a reference
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
        self._append(self._generation << BITS | position)
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
        position = number & NO_POSITION
        if position < self.end_position and self.columns.generation[position] == number >> BITS:
            return position
        return -1

    def ids(self, start, end):
        """Return the ids of the rows between two positions."""
        marks, generation = self.columns.marks, self.columns.generation
        return [generation[p] << BITS | p for p in range(start, min(end, self.end_position)) if marks[p]]

    def id_at(self, position):
        """Return the id of the row at a position."""
        return self.columns.generation[position] << BITS | position

    def last_generation(self):
        """Return the generation of the row that was added last: those that come later have larger ones."""
        return self._generation

    def seconds(self, wall):
        """Return a Unix time as a column has it: never 0, which stands for none, unless it is 0."""
        return max(0.001, wall - self.begun) if wall else 0.0

    def activity(self, position):
        """Return the share of looks at which a task had moved, NaN when there was none."""
        kind, looks = self.columns.kind[position], self.columns.since[position]
        if kind == schema.KIND_TASK:
            looks = self.looks - looks
        if looks <= 0 or kind not in (schema.KIND_TASK, schema.KIND_TRIO_TASK):
            return NAN
        return min(1.0, self.columns.moves[position] / looks)

    def name_at(self, position):
        """Return the name of the row at a position; that of a task is asked for when it is needed."""
        if self.columns.kind[position] == schema.KIND_TASK:
            task = self.refs[position]()
            return "" if task is None else self.namer(task)
        return self.rare["name"].get(position, "")

    def positions_with_others(self, positions):
        """Return those of the positions whose rows may have other owners than the parent: 0.2 us for each."""
        held, too, parent = self.columns.held, self.columns.held_too, self.columns.parent
        also, spawner = self.rare["also"], self.rare["spawner"]
        return [
            p
            for p in positions
            if too[p] or (held[p] and held[p] << BITS | NO_POSITION != parent[p]) or p in also or p in spawner
        ]

    def others(self, position):
        """Return [(owner's id, edge)] of the owners of a row but its parent, at most `MAX_OTHERS`."""
        columns = self.columns
        held = [(node_id(each[position]), schema.EDGE_HOLDS) for each in (columns.held, columns.held_too)]
        found = []
        spawner = (self.rare["spawner"].get(position, 0), schema.EDGE_SPAWNED)
        for number, edge in (*self.rare["also"].get(position, ()), *held, spawner):
            if number and number != columns.parent[position] and (number in self.nodes or number in self.rows):
                found.append((number, edge))
        return found[:MAX_OTHERS]

    def column(self, name, positions):
        """Return a list of what a column of the protocol has at these positions, a list or a range (of steps of 1)."""
        if name == "id":
            generation = self.columns.generation
            return [generation[p] << BITS | p for p in positions]
        if name == "activity":
            return self._activities(positions)
        if name in RARE:
            found, missing = self.rare[name], RARE[name]
            return [found.get(p, missing) for p in positions] if found else [missing] * len(positions)
        numbers = _picked(getattr(self.columns, name), positions)
        if name == "created" or name == "measured_at":
            begun = self.begun
            return [begun + seconds if seconds else 0.0 for seconds in numbers]
        if name == "loop":
            return [node_id(number) for number in numbers]
        return numbers

    def told(self, name, positions):
        """Return the same as `frames.pack` takes it: faster, and not to be kept, as it may be a view."""
        if name in RARE and not self.rare[name]:
            return Alike(RARE[name], len(positions))
        if type(positions) is range and name in _AS_TOLD:
            return getattr(self.columns, name)[positions.start : positions.stop]
        return self.column(name, positions)

    def _activities(self, positions):
        """Return `activity` for each of the positions; most of many tasks have never moved."""
        kinds, moves = self.columns.kind, self.columns.moves
        since, looks, task = self.columns.since, self.looks, schema.KIND_TASK
        return [
            self.activity(p) if moves[p] or kinds[p] != task else 0.0 if looks > since[p] else NAN for p in positions
        ]

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
            if KEPT_IN_LISTS and self.columns.waiter[position]:
                self.spared -= 1
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

    def told_rows(self, positions):
        """Note that somebody is told of rows, a list or a range (of steps of 1): what changes later is logged again."""
        marks = self.columns.marks
        if type(positions) is range:
            part = marks[positions.start : positions.stop]
            part[:] = part.tobytes().translate(_NOT_LOGGED)
            return
        for position in positions:
            marks[position] &= ~LOGGED

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
        """Forget entries before `position`: everybody has read them. There may be too many for once."""
        count = min(max(0, position - self._base), _TRIMMED)
        del self._log[:count]
        self._base += count


def _picked(numbers, positions):
    """Return a list of the numbers at these positions."""
    if type(positions) is range:
        return numbers[positions.start : positions.stop].tolist()
    return [numbers[p] for p in positions]
