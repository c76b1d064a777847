"""Where each task hangs in the tree: under its task group, gather or waiting task, or in the container that holds it.

Who waits is told by a task's own callbacks, at once. Who holds it is found by a walk through the heap, now and then; a
container that is known from a walk is known for new tasks too, when their callbacks name it.
"""

from pyobserver.agent import greenlet_types
from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import Function, code_of
from pyobserver.agent.owners import holders
from pyobserver.agent.owners.membership import Membership
from pyobserver.agent.owners.parents import is_unowned, owner_of, owners_of
from pyobserver.agent.owners.supervisors import Supervisors
from pyobserver.agent.row import OWNED, Row, node_count, node_id
from pyobserver.agent.runs import GENERATORS
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

_OWNERS_SECONDS = 2.0
_OWNERS_DUTY, _WALK_DUTY = 0.002, 0.004
_CROWD_DUTY = 0.008  # while the variables of a crowd's tasks are searched
_SAMPLED = 50  # tasks of each function in a crowd whose variables are searched at once: who holds many is seldom many
_IN_A_ROUND = 1000  # of the others
_LOOK_SECONDS = 0.5  # whether a walk is needed
_WALK_SECONDS = 60.0  # from one look whether all are where they were to the next, when all holders are known
_GREENLETS_SECONDS = 10.0  # from one walk to the next where there may be greenlets: it is a walk that finds them
_WALK_AGAIN_SECONDS = 120.0  # from one walk to the next when they are: there may be more than what was found
_WALK_SHARE = 0.7  # of a slice: with what the agent does around it, a walk takes less than a tenth of a core
_TELL_SECONDS = 1.0  # after which what a walk has found so far is told first; then after twice as long, and so on
_TOLD_IN_A_SECOND = 25000  # rows, as which it takes longer: to tell is as expensive as to walk
_AT_ONCE = 20
_AT_FIRST = 2000
_MAX_NAMED_TASKS = 2000


class _Walking:
    """A walk that goes on: when it has begun, the last row that there was then, and what was told of it when."""

    __slots__ = ("begun", "is_told", "last", "pause", "told", "told_at")

    def __init__(self, begun, last, pause):
        self.begun = self.told_at = begun
        self.last = last
        self.is_told = False
        self.pause, self.told = pause, 0


class Ownership:
    """Sets `parent` and `edge` of the rows, and keeps the nodes above them.

    `complete` once a walk, begun after all tasks were known, has been through.
    """

    def __init__(self, agent, tasks):
        self.complete = False
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self.supervisors = Supervisors(agent, tasks)
        self._membership = Membership(agent.table, self.supervisors, self._row_at, self.hold_under, self.miss)
        self._unresolved = 0  # tasks met since the last walk began whose holder is not known
        self._walk = None
        self._walking = None  # between two walks
        self.on_met = []  # told by a walk of coroutines and generators that are no task's: as `holders.Walk`'s `meet`
        self.on_process = None  # told in the same way of objects that stand for a process
        self._walked_at = self._looked_at = 0.0
        self._walk_job = Job("holders", _LOOK_SECONDS, self._search, duty=_WALK_DUTY)
        self._owners_job = Job("owners", _OWNERS_SECONDS, self._look_again, duty=_OWNERS_DUTY, rests=True)
        tasks.on_new.append(self._note_new)

    def jobs(self):
        """What is done again and again."""
        return [self._owners_job, self._membership.job(), self._walk_job]

    def begin_anew(self):
        """Walk again before the holders count as known: for a while hardly anybody has looked."""
        self.complete = False
        self._walking = None
        self._walk_job.hurry()

    def holders_of(self, row):
        """Return the nodes of the containers that a row is in, as far as they are known, at most two."""
        found = [self._table.nodes.get(number) for number in (row.held, row.held_too)]
        return [node for node in found if node is not None]

    def tasks_in(self, node, now):
        """Return (how many tasks the walk has found in the container with this id of a node, the slice)."""
        number, end = node_count(node), self._table.end_position
        count = 0
        for at in range(0, end, 1000):
            count += self._table.columns.held[at : min(at + 1000, end)].tolist().count(number)
            if now.over():
                now = yield
        return count, now

    def owner(self, task):
        """Return who waits for a task, or None."""
        return owner_of(task, known().callbacks(task))

    # -- told by callbacks --------------------------------------------------------------------------------------------

    def _note_new(self, row, task):
        if not self._tasks.complete and self._tasks.count > _AT_FIRST:  # it will be looked at with all others
            self._unresolved += 1
            return
        self._assign(row, task)
        if row.is_marked(OWNED) or row.held:
            return
        if self.complete:
            self._membership.note(row, task)
        else:  # no container is known yet
            self._unresolved += 1

    def miss(self, count):
        """So many tasks, or other things, have to be looked for by a walk."""
        self._unresolved += count

    def _look_again(self, now):
        """Somebody may begin or cease to wait for a task without its moving."""
        while not self._tasks.complete:
            now = yield
        self._owners_job.duty = self._agent.upkeep(_OWNERS_DUTY)
        count = 0
        for position in self._tasks.positions():
            task = self._table.refs[position]()
            if task is not None and not self._is_alone(position, task):
                row = Row(self._table, position)
                if known().is_pending(task):  # its row may not tell yet that it has ended
                    self._assign(row, task)
                elif row.is_marked(OWNED):
                    self._release(row)
            task = None
            count += 1
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        yield from self.supervisors.sweep(now)

    def _is_alone(self, position, task):
        """Whether nobody waits for a task, and nobody did when it was looked at: so it is with most of very many."""
        columns = self._table.columns
        if columns.marks[position] & OWNED or known().callbacks(task):
            return False
        held, parent = node_id(columns.held[position]), columns.parent[position]
        return parent == (held or node_id(columns.loop[position])) and parent in self._table.nodes

    def _assign(self, row, task):
        """Hang a task under the first of its owners, and note the others: who waits comes before who holds."""
        callbacks = known().callbacks(task)
        owners = owners_of(task, callbacks) if callbacks else ()
        if not owners and callbacks and not row.flags & schema.FLAG_MAIN and _is_main(callbacks):
            row.flags |= schema.FLAG_MAIN
            self._table.touch(row)
        waiting, held = [], 0
        for owner in owners:
            if owner.kind == "holder":
                node = self.supervisors.container_of(owner.obj)
                held = held or (0 if node is None else node.id)
                continue
            place = self._place_of(owner, row)
            if place[0] and place not in waiting:
                waiting.append(place)
        row.mark(OWNED, bool(waiting))
        self._set_also(row, tuple(waiting[1:]))
        if held:
            self._set_held(row, held)
        elif row.held not in self._table.nodes:
            self._set_held(row, 0)
        if waiting:
            self._hang(row, *waiting[0])
        elif row.held:
            self._hang(row, row.held, schema.EDGE_HOLDS)
        elif not row.flags & schema.FLAG_UNOWNED:
            self._hang(row, row.loop, schema.EDGE_RUNS)

    def _place_of(self, owner, row):
        """Return (node or row, edge) for one who waits for a task; (0, 0) when there is none yet."""
        if owner.kind == "awaits":
            above = self._tasks.row_of(owner.obj)
            return (0, 0) if above is None or above.id == row.id else (above.id, schema.EDGE_AWAITS)
        node = self.supervisors.group(owner, row)
        return (0, 0) if node is None else (node.id, schema.EDGE_OWNS)

    def _release(self, row):
        """A task that has ended is owned by its group as long as that is there, and awaited by nobody."""
        node = self._table.nodes.get(row.parent)
        if node is not None and (node.ref is None or node.ref() is not None):
            return
        row.mark(OWNED, False)
        self._set_also(row, ())
        if row.held in self._table.nodes:
            self._hang(row, row.held, schema.EDGE_HOLDS)
        else:
            self._hang(row, row.loop, schema.EDGE_RUNS)

    def _set_also(self, row, also):
        if row.also != also:
            row.also = also
            self._table.touch(row)

    def _set_held(self, row, number):
        if row.held != number:
            row.held = number
            self._table.touch(row)

    def _hang(self, row, parent, edge):
        if row.parent != parent or row.edge != edge:
            row.parent, row.edge = parent, edge
            self._table.touch(row)

    # -- found by walking ---------------------------------------------------------------------------------------------

    def _search(self, now):
        """Walk, when there are tasks whose holder is not known, or when it is time to look whether all is as it was."""
        if not (self._tasks.complete and self._agent.trio.complete):
            return
        if self._walking is not None:
            yield from self._go_on(now)
            return
        looks_for_greenlets = self._agent.greenlets.count and now.begun - self._walked_at >= _GREENLETS_SECONDS
        if self.complete and not self._unresolved and not looks_for_greenlets:
            if now.begun - self._looked_at < _WALK_SECONDS:
                return
            self._looked_at = now.begun
            now, missing = yield from self._membership.confirm(now)
            if not missing and now.begun - self._walked_at < _WALK_AGAIN_SECONDS:
                return
        if self._walk is None:
            self._walk = holders.Walk(
                self._wanted,
                now.clock,
                self._to_walk,
                self._meet,
                self.coroutine_of,
                self._name_of,
                self._tasks.describer.slots,
                greenlet_types.known,
                self._admit,
            )
        else:
            self._walk.restart()
        self._walk.types.update(self._tasks.kinds, self._agent.trio.types)
        self._unresolved = 0
        pause = max(_TELL_SECONDS, self._tasks.count / _TOLD_IN_A_SECOND)
        self._walking = _Walking(now.begun, self._table.last_generation(), pause)
        yield from self._go_on(now)

    def _go_on(self, now):
        """Walk to the end, or until the walk pauses: it holds nothing then, and goes on in the next round."""
        walk, walking = self._walk, self._walking
        while not walk.run(min(now.deadline, now.begun + _WALK_SHARE * now.seconds)):
            is_first = walk.pauses and not walking.is_told
            if is_first or (len(walk.found) > 1.5 * walking.told and now.clock() - walking.told_at > walking.pause):
                walking.told, walking.told_at, walking.pause = len(walk.found), now.clock(), 2.0 * walking.pause
                now = yield from self._tell_found(now, walking.last)
            if is_first:
                walking.is_told = self.complete = True
            if walk.pauses:
                self._walk_job.duty = _CROWD_DUTY
                return
            now = yield
        self._walking = None
        self._walk_job.duty = _WALK_DUTY
        self._walked_at = self._looked_at = walking.begun
        yield from self._tell_found(now, walking.last, is_through=True)
        self.complete = True

    def _tell_found(self, now, last, is_through=False):
        """Hang the tasks under what was found to hold them; return the slice."""
        found = self._walk.found
        for position in range(self._table.end_position):
            if position % _AT_ONCE == 0 and now.over():
                now = yield
            columns = self._table.columns
            if columns.kind[position] == schema.KIND_GREENLET:
                self._tell_of_greenlet(position, is_through)
            elif columns.kind[position] != schema.KIND_TASK or columns.generation[position] > last:
                if is_through and columns.kind[position] == schema.KIND_TASK and not columns.held[position]:
                    self._membership.note_again(Row(self._table, position))
                # it has come meanwhile, perhaps to the place of one that was found
            elif position + 1 in found:
                self.hold(Row(self._table, position), found.get(position + 1), found.second(position + 1))
            elif is_through:
                self._not_held(Row(self._table, position), not self._walk.incomplete)
                self._membership.note_again(Row(self._table, position))
        return now

    def _tell_of_greenlet(self, position, is_through):
        """Hang a greenlet under what was found to hold it: it may be the walk that has met it."""
        found, row = self._walk.found, Row(self._table, position)
        if position + 1 in found:
            self.hold(row, found.get(position + 1), found.second(position + 1))
        elif is_through and not self._walk.incomplete:
            self._set_held(row, 0)
            row.held_too = 0
            self._agent.greenlets.hang(row)
            self._membership.note_again(row)

    def note_greenlet(self, row, thing):
        """A greenlet has got a row: it is looked for in the containers that are known."""
        if self._walk is not None:
            self._walk.found.forget(row.position + 1)
        if self.complete:
            self._membership.note(row, thing)

    def _admit(self, thing):
        """Return the number of what the walk has met for the first time."""
        row = self._agent.greenlets.admit(thing)
        return 0 if row is None else row.position + 1

    def _row_at(self, address):
        return self._tasks.row_at(address) or self._agent.greenlets.row_at(address)

    def _to_walk(self):
        """The tasks whose variables are searched: all of them, when there is a task that nothing else holds, or a
        greenlet, which a task may have begun.

        Otherwise the main one's, which lead to what a program does not keep in its modules. Where there are very many,
        some of each function are searched first, and the first picture of all goes before the others.
        """
        if self._tasks.count > _AT_FIRST:
            yield from self._some_of_each()
            yield holders.LATER
            while not self._agent.is_known():
                yield holders.LATER
        found = self._walk.found
        main = []
        for position in self._tasks.positions():
            row = Row(self._table, position)
            if row.flags & schema.FLAG_MAIN:
                main.append(row.ref)
            elif (position + 1 not in found and not row.is_marked(OWNED)) or self._agent.greenlets.are_loose:
                yield from self._all_tasks()
                break
            if position % _AT_ONCE == 0:
                yield None
        else:
            yield from main
        for count, row in enumerate(self._agent.trio.rows()):
            if row.flags & schema.FLAG_MAIN:
                yield row.ref
            elif count % _AT_ONCE == 0:
                yield None
        yield from self._agent.greenlets.references()

    def _some_of_each(self):
        """Yield some tasks of each function, the main ones first: they may lead to all others."""
        for most in (1, _SAMPLED):
            counts = {}
            for position in self._tasks.positions():
                function = self._table.columns.function[position]
                count = counts.get(function, 0)
                if count < most:
                    counts[function] = count + 1
                    reference = self._table.refs[position]
                    if most > 1 or _is_main(known().callbacks(reference()) or ()):
                        yield reference
                elif position % _AT_ONCE == 0:
                    yield None

    def _all_tasks(self):
        """Yield all tasks; of a crowd so many in a round."""
        for count, reference in enumerate(self._tasks.references(), 1):
            yield reference
            if count % _IN_A_ROUND == 0 and self._tasks.count > _AT_FIRST:
                yield holders.LATER

    def coroutine_of(self, task):
        """Return what a task runs."""
        is_trio = id(type(task)) in self._agent.trio.types
        return self._agent.subjects[schema.KIND_TRIO_TASK if is_trio else schema.KIND_TASK].coroutine(task)

    def _name_of(self, task):
        """Return the name of a task, None for a task among very many: their variables are called by the function."""
        if self._agent.greenlets.is_one(task):
            return self._agent.greenlets.name(task)
        if self._tasks.count > _MAX_NAMED_TASKS:
            return None
        if id(type(task)) not in self._agent.trio.types:
            return self._tasks.describer.name(task)
        row = self._table.rows.get(self._agent.trio.row_at(id(task)))
        return None if row is None else row.name

    def walk(self):
        """Return the walk that goes on, or has been through; None before the first."""
        return self._walk

    def is_walking_in(self, task):
        """Whether a walk is among what a task retains: it refers to some of that, which cannot be counted then."""
        return id(task) in self.inside()

    def inside(self):
        """Return the ids of the tasks among whose things a walk is: it refers to some of these at the moment."""
        return [walk.inside for walk in (self._walk, self._agent.places.walk) if walk is not None]

    def walked(self):
        """Return the ids of what walks over the heap refer to at this moment, beside what the program does."""
        found = set()
        for walk in (self._walk, self._agent.places.walk):
            if walk is not None:
                found.update(walk.held())
        return found

    def _wanted(self, address):
        row = self._row_at(address)
        return 0 if row is None else row.position + 1

    def _meet(self, thing, place):
        if id(type(thing)) not in GENERATORS:
            self.on_process(thing, place)
            return
        for meet in self.on_met:
            meet(thing, place)

    def hold(self, row, holding, second=None):
        """Hang a row under the container that a walk has found it in; it may have found it in a `second` one, too."""
        node = self.supervisors.container(holding, row.loop)
        if node is None:
            return
        more = None if second is None else self.supervisors.container(second, row.loop)
        held_too = 0 if more is None or more is node else node_count(more.id)
        columns, position = self._table.columns, row.position
        if columns.held_too[position] != held_too:
            columns.held_too[position] = held_too
            self._table.touch_at(position)
        self.hold_under(row, node)

    def hold_under(self, row, node):
        """Hang a row under a container."""
        columns, position, number = self._table.columns, row.position, node_count(node.id)
        if columns.held[position] != number:
            columns.held[position] = number
            self._table.touch_at(position)
        if columns.flags[position] & schema.FLAG_UNOWNED:
            columns.flags[position] &= ~schema.FLAG_UNOWNED
        if not columns.marks[position] & OWNED:
            self._hang(row, node.id, schema.EDGE_HOLDS)

    def _not_held(self, row, is_certain):
        """A walk has not found who holds a task; that nobody does is told by its references, and by them alone."""
        task = row.ref()
        if task is None or not (is_certain or not row.held):
            return
        self._set_held(row, 0)
        row.held_too = 0
        if row.is_marked(OWNED):
            return
        nobody = is_unowned(task, known().callbacks(task))
        task = None
        if nobody:
            row.flags |= schema.FLAG_UNOWNED
            self._hang(row, self.supervisors.unowned_under(row.loop), schema.EDGE_HOLDS)
        else:
            row.flags &= ~schema.FLAG_UNOWNED
            self._hang(row, row.loop, schema.EDGE_RUNS)


def _is_main(callbacks):
    """Whether these are the callbacks of a task that `run_until_complete` waits for, as `asyncio.run` does."""
    for entry in callbacks[:4]:
        callback = entry[0] if type(entry) is tuple and entry else entry
        if type(callback) is Function and code_of(callback).co_name == "_run_until_complete_cb":
            return True
    return False
