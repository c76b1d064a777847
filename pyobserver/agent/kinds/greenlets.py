"""Greenlets, those of gevent, eventlet and others, each a row.

Nothing lists them. Those get a row which the walk for holders meets, the parents of these, and those that are young:
what the collector has in its two younger generations is few, and everything new is there for a while. A greenlet that
was there before and that nothing refers to but its own stack and the loop's watchers, which are C's, is not found. What
the stacks of those that are found refer to is walked where it can be seen.

The main greenlet of a thread is that thread, and has no row.
"""

import gc
from _weakref import ref
from itertools import islice

from pyobserver.agent.attributes import attribute, inherits
from pyobserver.agent.columns import Places
from pyobserver.agent.greenlet_types import DEAD, MAX_PARENTS, NOT_STARTED, PARKED, RUNNING, known
from pyobserver.agent.kinds.greenlet_stacks import LIBRARIES, Stacks, function_of
from pyobserver.agent.kinds.greenlet_subject import GreenletSubject
from pyobserver.agent.owners.membership import AT_ONCE, MAX_IN_RECORD, MAX_MEMBERS, part_of
from pyobserver.agent.row import OWNED, Row, node_count
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

_SECONDS = 1.0
_DUTY = 0.006
_YOUNG_SECONDS = 0.25
_YOUNG_DUTY, _HELD_DUTY = 0.01, 0.02  # to meet very many at once is made up for by a rest
MOST_LISTED = 20000  # objects of a generation that are asked for at once: 0.3 ms
MOST_YOUNG = 4000  # of these that are looked through, the newest: 0.3 ms
MAX_MAINS = 1000  # threads
_AT_ONCE = 20
_OF_LIBRARIES = tuple([name + "." for name in LIBRARIES])
_OF_HUBS = ("gevent.", "eventlet.")
_STATES = {
    NOT_STARTED: schema.STATE_READY,
    PARKED: schema.STATE_WAITING,
    RUNNING: schema.STATE_RUNNING,
    DEAD: schema.STATE_DONE_HELD,
}
_WAITS = {NOT_STARTED: "its start", PARKED: "a switch"}


class GreenletProbe:
    """Keeps the rows of greenlets true. It does nothing while the program has not loaded greenlet."""

    def __init__(self, agent):
        self.subject = GreenletSubject(agent, self)
        self.count = 0
        self._agent = agent
        self._table = agent.table
        self.stacks = Stacks(agent.table.texts)
        self._places = Places(self._address_at)
        self._mains = {}  # id of a main greenlet -> weak reference
        self._threads = {}  # id of a main greenlet -> identity of its thread, where that is known
        self._is_known = self._has_seen_young = False
        self.are_loose = False  # some hang under no other greenlet, and it is not known what holds them
        self._holders = set()  # what counts in the ids of the nodes that hold greenlets

    def jobs(self):
        """What is done again and again."""
        return [
            Job("greenlets", _SECONDS, self._look, duty=_DUTY, goes_on=True),
            Job("young greenlets", _YOUNG_SECONDS, self._look_at_young, duty=_YOUNG_DUTY),
            Job("held greenlets", _SECONDS, self._look_into_containers, duty=_HELD_DUTY),
        ]

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._mains, self._threads, self._holders]

    def drop(self):
        """Let go of what takes room."""
        self._places.drop()

    @property
    def bytes(self):
        """How much memory it takes."""
        return self._places.bytes

    def row_at(self, address):
        """Return the row of the greenlet with this id, None if it has none."""
        position = self._places.find(address) if self._is_known else -1
        return Row(self._table, position) if position >= 0 else None

    def is_one(self, thing):
        """Return whether something is a greenlet."""
        greenlets = known()
        return greenlets is not None and greenlets.is_greenlet(thing)

    def references(self):
        """Yield weak references to the greenlets whose stacks can be walked, None now and then.

        The main ones come first, as they lead to others.
        """
        greenlets = known()
        if greenlets is None or not greenlets.has_variables:
            return
        yield from list(self._mains.values())
        table = self._table
        for position in range(table.end_position):
            kind, state = table.columns.kind[position], table.columns.state[position]
            if kind == schema.KIND_GREENLET and state == schema.STATE_WAITING:
                yield table.refs[position]
            elif not position % _AT_ONCE:
                yield None

    def name(self, thing):
        """Return by what the variables of a greenlet are called: its function, or the thread of a main one."""
        row = self.row_at(id(thing))
        return "main" if row is None else self._table.texts.items[row.function]

    def is_running(self, thing):
        """Return whether a greenlet runs now, in whatever thread."""
        greenlets = known()
        if not greenlets.is_active(thing) or greenlets.state(thing) is PARKED:
            return False
        main = greenlets.main_of(thing)
        return main is None or greenlets.running_in(main) is thing

    def _address_at(self, position):
        if self._table.columns.kind[position] != schema.KIND_GREENLET:
            return None
        thing = self._table.refs[position]()
        return None if thing is None else id(thing)

    # -- which there are ----------------------------------------------------------------------------------------------

    def admit(self, thing, is_new=False):
        """Give a greenlet that was met a row, and its parents; return the row, None if it has none.

        It `is_new` if it is in the younger generations and was not when all there were met: nothing comes back to them.
        """
        greenlets = known()
        if greenlets is None or not greenlets.is_greenlet(thing):
            return None
        first = None
        for number in range(MAX_PARENTS):
            above = greenlets.parent(thing)
            if above is None:
                self._note_main(thing)
                break
            row = self.row_at(id(thing))
            if row is None:
                row = self._meet(thing, greenlets, is_new and not number)
            elif number:
                break
            if not number:
                first = row
            if row is None:
                break
            thing = above
        return first

    def _note_main(self, main):
        if id(main) not in self._mains and len(self._mains) < MAX_MAINS:
            self._mains[id(main)] = ref(main)

    def _meet(self, thing, greenlets, is_new):
        row = self._table.add_row(schema.KIND_GREENLET)
        if row is None:
            return None
        position = row.position
        self._table.refs[position] = ref(thing)
        self._places.put(id(thing), position)
        self.count += 1
        row.created = self._agent.wall()
        row.flags = 0 if is_new else schema.FLAG_AGE_IS_MINIMUM
        row.edge = schema.EDGE_RUNS
        row.state = schema.STATE_UNKNOWN
        self._check(row, thing, greenlets)
        self._agent.measure.add(row)
        self._agent.ownership.note_greenlet(row, thing)
        return row

    def _look_at_young(self, now):
        """Meet those that the collector has in its younger generations, as long as these are few."""
        greenlets = known()
        if greenlets is None:
            return
        self._begin(greenlets)
        are_new, self._has_seen_young = self._has_seen_young, False
        has_seen = True
        for generation in range(2):  # in this order: what moves on meanwhile is seen there
            while now.left() < 0.7 * now.seconds:
                now = yield
            found, are_all = self._young(generation, greenlets)
            has_seen = has_seen and are_all
            for reference in found:
                thing = reference()
                if thing is not None:
                    self.admit(thing, are_new)
                thing = None
                if now.over():
                    now = yield
        self._has_seen_young = has_seen
        yield from ()

    def _young(self, generation, greenlets):
        """Return (weak references to greenlets of a generation that have no row, whether all of it was looked at)."""
        if not _is_small(generation):
            return [], False
        objects = gc.get_objects(generation=generation)
        are_all = len(objects) <= MOST_YOUNG
        kinds = {}  # id of a type -> whether it is a greenlet's
        found = []
        for each in objects if are_all else islice(objects, len(objects) - MOST_YOUNG, None):
            is_one = kinds.get(id(type(each)))
            if is_one is None:
                is_one = kinds[id(type(each))] = greenlets.is_greenlet(each)
            if is_one and self._places.find(id(each)) < 0:
                found.append(ref(each))
        return found, are_all

    def _look_into_containers(self, now):
        """Meet those that are new in the containers which are known to hold greenlets: the newest are looked at first,
        and where there is an order, no more than these."""
        greenlets = known()
        holders = self._holders
        for node in self._agent.ownership.supervisors.containers() if greenlets is not None else ():
            at, looked = 0, AT_ONCE
            while node_count(node.id) in holders and looked == AT_ONCE and at < MAX_MEMBERS and node.route is not None:
                looked, references = self._new_in(node, at, greenlets)
                at += looked
                for reference in references:
                    thing = reference()
                    row = None if thing is None else self.admit(thing)
                    thing = None
                    if row is not None and node.id in self._table.nodes:
                        self._agent.ownership.hold_under(row, node)
                    if now.over():
                        now = yield
                if not references and node.detail not in ("set", "frozenset"):
                    break
                if now.over():
                    now = yield
        yield from ()

    def _new_in(self, node, at, greenlets):
        """Return (how many members of a container were looked at, from the one at `at` on, weak references to what is
        new among them)."""
        some, found = part_of(node, at), []
        for each in some:
            for thing in islice(tuple.__iter__(each), MAX_IN_RECORD) if inherits(type(each), tuple) else (each,):
                if greenlets.is_greenlet(thing) and self._places.find(id(thing)) < 0:
                    found.append(ref(thing))
        return len(some), found

    # -- what they do -------------------------------------------------------------------------------------------------

    def _begin(self, greenlets):
        if not self._is_known:
            self._is_known = True
            self.are_loose = True  # until it is known
            self._agent.scanner.add_barrier(greenlets.base)
            self._agent.search.begin_anew()

    def _look(self, now):
        greenlets = known()
        if greenlets is None:
            return
        self._begin(greenlets)
        self.stacks.begin_look()
        self._forget_mains()
        table = self._table
        are_loose, holders = False, set()
        for position in range(table.end_position):
            if table.columns.kind[position] == schema.KIND_GREENLET:
                row = Row(table, position)
                thing = table.refs[position]()
                if thing is None:
                    self._end(row)
                else:
                    self._check(row, thing, greenlets)
                    holders.add(table.columns.held[position])
                    are_loose = are_loose or not (row.held or row.is_marked(OWNED) or table.rows.get(row.parent))
                thing = None
            if position % _AT_ONCE == 0 and now.over():
                now = yield
        self._holders = holders
        self.are_loose = are_loose or not self._agent.search.complete
        yield from ()

    def _end(self, row):
        self._agent.measure.forget(row)
        self._table.remove(row.id)
        self.count -= 1

    def _check(self, row, thing, greenlets):
        """Look what one does, and write it down if that has changed."""
        state = greenlets.state(thing)
        if state is RUNNING and not self.is_running(thing):
            state = PARKED
        frame = greenlets.frame(thing) if state is PARKED else None
        key = (id(frame), frame.f_lasti) if frame is not None else 0
        if row.state != _STATES[state] or row.key != key:
            row.key = key
            self._describe(row, thing, state, greenlets)
            self._note_moved(row, state, greenlets)
        self.hang(row, thing)

    def _describe(self, row, thing, state, greenlets):
        frames = greenlets.frames(thing) if state is PARKED else []
        texts = self._table.texts
        function = texts.items[row.function]
        if not row.function or function.startswith(_OF_LIBRARIES):
            function = function_of(greenlets, thing, frames, self.stacks.is_own)
            row.function = texts.intern(function)
            row.mark(OWNED, function.startswith(_OF_HUBS) and _is_first(greenlets, thing))
        where, waiting = self.stacks.stand(frames)
        if not waiting and state in _WAITS:
            waiting = texts.intern(_WAITS[state])
        told = (_STATES[state], where or (row.where if state is DEAD else 0), waiting)
        if told != (row.state, row.where, row.waiting):
            row.state, row.where, row.waiting = told
            self._table.touch(row)

    def _note_moved(self, row, state, greenlets):
        if state is PARKED and not greenlets.has_variables:
            if row.measured_at:  # before it began
                row.measured_at, row.retained, row.accuracy = 0.0, -1, schema.UNAVAILABLE
                self._table.touch(row)
            return
        self._agent.measure.note_moved(row)

    # -- where they hang ----------------------------------------------------------------------------------------------

    def _forget_mains(self):
        """Forget the main greenlets of threads that have ended."""
        for address, reference in list(self._mains.items()):
            if reference() is None:
                del self._mains[address]
                self._threads.pop(address, None)

    def hang(self, row, thing=None):
        """Hang one under what holds it, else under its parent, else under its thread: a hub there in any case."""
        thing = row.ref() if thing is None else thing
        if thing is None:
            return
        if not row.is_marked(OWNED) and row.held in self._table.nodes:
            parent, edge = row.held, schema.EDGE_HOLDS
        else:
            parent, edge = self._above(thing), schema.EDGE_RUNS
        if row.parent != parent or row.edge != edge:
            row.parent, row.edge = parent, edge
            self._table.touch(row)

    def _above(self, thing):
        """Return the id of the row of a greenlet's parent, or of its thread's; 0 without one."""
        greenlets = known()
        above = greenlets.parent(thing)
        if above is None:
            return 0
        row = self.row_at(id(above))
        if row is not None:
            return row.id
        if greenlets.parent(above) is None:
            ident = attribute(thing, "thread_ident")  # a hub of gevent knows it
            if type(ident) is int:
                self._threads[id(above)] = ident
            thread = self._agent.threads.row_of(self._threads.get(id(above)))
            return 0 if thread is None else thread.id
        return 0


def _is_small(generation):
    """Whether a generation has few objects: told by the thresholds, and by what has been counted since."""
    first, second, _third = gc.get_threshold()
    counted = gc.get_count()
    if generation == 0:
        return 0 <= counted[0] <= MOST_LISTED
    return 0 < first * max(1, counted[1]) <= MOST_LISTED and counted[1] <= second + 1


def _is_first(greenlets, thing):
    """Whether a greenlet hangs under its thread's main one, as a hub does."""
    above = greenlets.parent(thing)
    return above is not None and greenlets.parent(above) is None
