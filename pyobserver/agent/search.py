"""Walks over the heap for what holds which task: from the modules on, and then through the variables of tasks.

In a crowd some tasks of each function are searched first; the others come later, a thousand in a round, as most hold
none. Between rounds a walk holds nothing of the target.
"""

from pyobserver.agent import greenlet_types
from pyobserver.agent.asyncio_types import known
from pyobserver.agent.owners import holders
from pyobserver.agent.owners.parents import is_main
from pyobserver.agent.row import OWNED, Row
from pyobserver.agent.runs import GENERATORS
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

CROWD = 2000  # tasks from which on the first picture takes seconds, and goes before what few of them can tell
_DUTY, _CROWD_DUTY = 0.004, 0.008  # the second while the variables of a crowd's tasks are searched
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
_MAX_NAMED_TASKS = 2000


class _Walking:
    """A walk that goes on: when it has begun, the last row that there was then, and what was told of it when."""

    __slots__ = ("begun", "is_told", "last", "pause", "told", "told_at")

    def __init__(self, begun, last, pause):
        self.begun = self.told_at = begun
        self.last = last
        self.is_told = False
        self.pause, self.told = pause, 0


class Search:
    """Finds out what holds the rows of tasks and greenlets, and has `ownership` hang them under that.

    `complete` once a walk, begun after all tasks were known, has been through, but for the variables of a crowd. `walk`
    is the one that goes on, or has been through; None before the first.
    """

    def __init__(self, agent, tasks, ownership):
        self.complete = False
        self.walk = None
        self.on_met = []  # told by a walk of coroutines and generators that are no task's: as `holders.Walk`'s `meet`
        self.on_process = None  # told in the same way of objects that stand for a process
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self._ownership = ownership
        self._unresolved = 0  # tasks met since the last walk began whose holder is not known
        self._walking = None  # between two walks
        self._walked_at = self._looked_at = 0.0
        self.job = Job("holders", _LOOK_SECONDS, self._search, duty=_DUTY)

    def begin_anew(self):
        """Walk again before the holders count as known: for a while hardly anybody has looked."""
        self.complete = False
        self._walking = None
        self.job.hurry()

    def miss(self, count):
        """So many tasks, or other things, have to be looked for by a walk."""
        self._unresolved += count

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
            now, missing = yield from self._ownership.membership.confirm(now)
            if not missing and now.begun - self._walked_at < _WALK_AGAIN_SECONDS:
                return
        if self.walk is None:
            self.walk = holders.Walk(
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
            self.walk.restart()
        self.walk.types.update(self._tasks.kinds, self._agent.trio.types)
        self._unresolved = 0
        pause = max(_TELL_SECONDS, self._tasks.count / _TOLD_IN_A_SECOND)
        self._walking = _Walking(now.begun, self._table.last_generation(), pause)
        yield from self._go_on(now)

    def _go_on(self, now):
        """Walk to the end, or until the walk pauses: it holds nothing then, and goes on in the next round."""
        walk, walking = self.walk, self._walking
        while not walk.run(min(now.deadline, now.begun + _WALK_SHARE * now.seconds)):
            is_first = walk.pauses and not walking.is_told
            if is_first or (len(walk.found) > 1.5 * walking.told and now.clock() - walking.told_at > walking.pause):
                walking.told, walking.told_at, walking.pause = len(walk.found), now.clock(), 2.0 * walking.pause
                now = yield from self._tell_found(now, walking.last)
            if is_first:
                walking.is_told = self.complete = True
            if walk.pauses:
                self.job.duty = _CROWD_DUTY
                return
            now = yield
        self._walking = None
        self.job.duty = _DUTY
        self._walked_at = self._looked_at = walking.begun
        yield from self._tell_found(now, walking.last, is_through=True)
        self.complete = True

    def _tell_found(self, now, last, is_through=False):
        """Hang the tasks under what was found to hold them; return the slice."""
        found = self.walk.found
        for position in range(self._table.end_position):
            if position % _AT_ONCE == 0 and now.over():
                now = yield
            columns = self._table.columns
            if columns.kind[position] == schema.KIND_GREENLET:
                self._tell_of_greenlet(position, is_through)
            elif columns.kind[position] != schema.KIND_TASK or columns.generation[position] > last:
                if is_through and columns.kind[position] == schema.KIND_TASK and not columns.held[position]:
                    self._ownership.membership.note_again(Row(self._table, position))
                # it has come meanwhile, perhaps to the place of one that was found
            elif position + 1 in found:
                self._ownership.hold(Row(self._table, position), found.get(position + 1), found.second(position + 1))
            elif is_through:
                self._ownership.not_held(Row(self._table, position), not self.walk.incomplete)
                self._ownership.membership.note_again(Row(self._table, position))
        return now

    def _tell_of_greenlet(self, position, is_through):
        """Hang a greenlet under what was found to hold it: it may be the walk that has met it."""
        found, row = self.walk.found, Row(self._table, position)
        if position + 1 in found:
            self._ownership.hold(row, found.get(position + 1), found.second(position + 1))
        elif is_through and not self.walk.incomplete:
            self._ownership.set_held(row, 0)
            row.held_too = 0
            self._agent.greenlets.hang(row)
            self._ownership.membership.note_again(row)

    def _admit(self, thing):
        """Return the number of what the walk has met for the first time."""
        row = self._agent.greenlets.admit(thing)
        return 0 if row is None else row.position + 1

    def _to_walk(self):
        """The tasks whose variables are searched: all of them, when there is a task that nothing else holds, or a
        greenlet, which a task may have begun.

        Otherwise the main one's, which lead to what a program does not keep in its modules. Where there are very many,
        some of each function are searched first, and the first picture of all goes before the others.
        """
        if self._tasks.count > CROWD:
            yield from self._some_of_each()
            yield holders.LATER
            while not self._agent.is_known():
                yield holders.LATER
        found = self.walk.found
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
                    if most > 1 or is_main(known().callbacks(reference()) or ()):
                        yield reference
                elif position % _AT_ONCE == 0:
                    yield None

    def _all_tasks(self):
        """Yield all tasks; of a crowd so many in a round."""
        for count, reference in enumerate(self._tasks.references(), 1):
            yield reference
            if count % _IN_A_ROUND == 0 and self._tasks.count > CROWD:
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

    def is_walking_in(self, task):
        """Whether a walk is among what a task retains: it refers to some of that, which cannot be counted then."""
        return id(task) in self.inside()

    def inside(self):
        """Return the ids of the tasks among whose things a walk is: it refers to some of these at the moment."""
        return [walk.inside for walk in (self.walk, self._agent.places.walk) if walk is not None]

    def walked(self):
        """Return the ids of what walks over the heap refer to at this moment, beside what the program does."""
        found = set()
        for walk in (self.walk, self._agent.places.walk):
            if walk is not None:
                found.update(walk.held())
        return found

    def _wanted(self, address):
        row = self._ownership.row_at(address)
        return 0 if row is None else row.position + 1

    def _meet(self, thing, place):
        if id(type(thing)) not in GENERATORS:
            self.on_process(thing, place)
            return
        for meet in self.on_met:
            meet(thing, place)
