"""Looks again into the containers that are known: for new tasks, which need not wait for the next walk over the heap
then, and whether those that a walk has found are still there, so that it need not be made again.
"""

from _collections import deque as Deque
from itertools import chain, islice

from pyobserver.agent.attributes import HAVE_GC, flags_of, inherits
from pyobserver.agent.owners.holder_kinds import container_base
from pyobserver.agent.row import CONFIRMED, node_count
from pyobserver.agent.schedule import Job

MAX_FRESH = 5000  # tasks that are looked for at once
MAX_MEMBERS = 20000  # of one container that are looked at, the newest first where they are in an order
MAX_IN_RECORD = 16
_SECONDS = 1.0
_DUTY = 0.005
AT_ONCE = 250
_TRIES = 3  # rounds in which a task may come into a container


class Membership:
    """Looks for tasks that are new. `hold(row, node)` is told of those that are found, `miss(count)` of the others.

    `row_at` returns the row of the task with an id, None if it has none.
    """

    def __init__(self, table, supervisors, row_at, hold, miss):
        self._table = table
        self._row_at = row_at
        self._supervisors = supervisors
        self._hold = hold
        self._miss = miss
        self._fresh = {}  # id of a task -> (id of its row, rounds in which it was not found)

    def job(self):
        """What is done again and again."""
        return Job("members", _SECONDS, self._look, duty=_DUTY)

    def note(self, row, task):
        """A task is new, and nothing tells who holds it."""
        if len(self._fresh) < MAX_FRESH:
            self._fresh[id(task)] = (row.id, 0)
        else:
            self._miss(1)

    def note_again(self, row):
        """A walk has not found who holds a task, which may have come behind it: known containers are looked into."""
        task = row.ref()
        if task is not None and len(self._fresh) < MAX_FRESH:
            self._fresh.setdefault(id(task), (row.id, 1))  # not the first try: that it fails asks for no other walk

    def _look(self, now):
        wanted, self._fresh = self._fresh, {}
        for node in self._supervisors.containers() if wanted else ():
            at = 0
            while wanted and node.route is not None and node.id in self._table.nodes and at < MAX_MEMBERS:
                looked = self._look_into(node, at, wanted)
                at += looked
                if now.over():
                    now = yield
                if looked < AT_ONCE:
                    break
        missed = 0
        for count, (number, (row_id, tries)) in enumerate(wanted.items()):
            if count % AT_ONCE == 0 and now.over():
                now = yield
            row = self._table.rows.get(row_id)
            if row is None or row.held or row.ref() is None:
                continue
            if tries + 1 < _TRIES and len(self._fresh) < MAX_FRESH:
                self._fresh.setdefault(number, (row_id, tries + 1))
            missed += tries == 0
        self._miss(missed)
        yield from ()

    def confirm(self, now):
        """Look whether all tasks are still where they were found; return (the slice, how many are not)."""
        table = self._table
        for position in range(table.end_position):
            table.columns.marks[position] &= ~CONFIRMED
            if position % AT_ONCE == 0 and now.over():
                now = yield
        for node in self._supervisors.containers():
            at, looked = 0, AT_ONCE
            while looked == AT_ONCE and node.route is not None:
                looked = self._confirm_in(node, at)
                at += looked
                if now.over():
                    now = yield
        missing = 0
        for position in range(table.end_position):
            columns = table.columns
            missing += columns.held[position] != 0 and not columns.marks[position] & CONFIRMED
            if position % AT_ONCE == 0 and now.over():
                columns = None
                now = yield
        return now, missing

    def _confirm_in(self, node, at):
        """Mark the tasks among some members of a container, from the one at `at` on; return how many there were."""
        some = part_of(node, at)
        number, columns = node_count(node.id), self._table.columns
        for each in some:
            inner = islice(tuple.__iter__(each), MAX_IN_RECORD) if inherits(type(each), tuple) else (each,)
            for thing in inner:
                row = self._row_at(id(thing))
                if row is not None and columns.held[row.position] == number:
                    columns.marks[row.position] |= CONFIRMED
        return len(some)

    def _look_into(self, node, at, wanted):
        """Look at some members of a container, from the one at `at` on; return how many there were."""
        some = part_of(node, at)
        if some and (inherits(type(some[0]), tuple) or not wanted.keys().isdisjoint(map(id, some))):
            for each in some:
                self._found(node, each, wanted)
                if inherits(type(each), tuple):
                    for inner in islice(tuple.__iter__(each), MAX_IN_RECORD):
                        self._found(node, inner, wanted)
        return len(some)

    def _found(self, node, thing, wanted):
        known = wanted.get(id(thing))
        row = self._table.rows.get(known[0]) if known is not None else None
        if row is not None and row.ref() is thing:
            del wanted[id(thing)]
            self._hold(row, node)


def part_of(node, at):
    """Return some members of a container, from the one at `at` on; none if it is not there or has changed."""
    container = node.route.container()
    try:
        return [] if container is None else list(islice(_members(container), at, at + AT_ONCE))
    except RuntimeError:
        return []


def _members(container):
    """Iterate over what is in a container, from the end where it has an order; of a dict, over what may be a task."""
    base = container_base(type(container))
    if base is dict:
        values = reversed(dict.values(container))
        first = next(iter(dict.keys(container)), None)
        return chain(reversed(dict.keys(container)), values) if flags_of(type(first)) & HAVE_GC else values
    if base is list or base is Deque:
        return base.__reversed__(container)
    return iter(()) if base is None else base.__iter__(container)
