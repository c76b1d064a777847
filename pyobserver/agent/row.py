"""A row: a position in columns, and how to read and write it.

A `Row` is made whenever one is needed. A hundred thousand tasks take some megabytes in columns, and as objects they
would take a hundred. Who keeps one over a `yield` keeps its id instead: the position may be another's by then.
"""

# An id is given out once: its lower bits are the row's position, the rest counts. In a node's id they are all set.
BITS = 18
NO_POSITION = (1 << BITS) - 1

# Bits of `marks`
USED = 1
LOGGED = 2  # it has changed, and nobody has read that yet
OWNED = 4  # by a task, a group or a gather, which goes before any container
MET = 8  # what it does has been looked at
MOVED = 16  # since it was measured
CONFIRMED = 32  # it is still in the container that a walk has found it in
BOUND = 64  # only a lower bound came out of all tries: another one is no reason to wait for more
FREE = 255  # the kind of a position without a row

COLUMNS = (
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
    ("loop", "i"),  # this and the next two are what counts in the id of a node
    ("held", "i"),  # in the container that the walk found it in
    ("held_too", "i"),  # in another one
    ("moves", "H"),  # how often it has been seen to have moved
    ("since", "i"),  # the number of the look before its first; where looks are not common to all, how many there were
    ("tries", "B"),  # scans since it has moved that gave only a lower bound
    ("marks", "B"),
)
NAN = float("nan")
# And what they are where nobody has set them. `also` are ((owner's id, edge), ...) that wait for it, but the parent;
# `made` is the text that says where it was made, and `spawner` the row of the task that has made it.
RARE = {"error": 0, "cpu": NAN, "os_id": 0, "queue": -1, "name": "", "also": (), "made": 0, "spawner": 0}


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
        return self._table.columns.generation[self.position] << BITS | self.position

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
        row._views[place][row.position] = value >> BITS

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
for _place, (_name, _code) in enumerate(COLUMNS):
    if _name not in ("generation", "marks"):
        _make = _node if _name in ("loop", "held", "held_too") else _time if _code == "f" else _number
        setattr(Row, _name, _make(_place))
for _name, _missing in RARE.items():
    setattr(Row, _name, _rare(_name, _missing))


def node_id(count):
    """Return the id of the node with this number, 0 for none."""
    return count << BITS | NO_POSITION if count else 0


def node_count(number):
    """Return the number of the node with this id."""
    return number >> BITS
