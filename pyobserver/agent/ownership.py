"""Where each task hangs in the tree: under its task group, gather or waiting task, or in the container that holds it.

Who waits is told by a task's own callbacks, at once. Who holds it is found by a walk through the heap, now and then
(`search`); a container that is known from a walk is known for new tasks too, when their callbacks name it.
"""

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.owners.membership import Membership
from pyobserver.agent.owners.parents import is_main, is_unowned, owner_of, owners_of
from pyobserver.agent.owners.supervisors import Supervisors
from pyobserver.agent.row import OWNED, Row, node_count, node_id
from pyobserver.agent.schedule import Job
from pyobserver.agent.search import CROWD, Search
from pyobserver.protocol import schema

_OWNERS_SECONDS = 2.0
_OWNERS_DUTY = 0.002
_AT_ONCE = 20


class Ownership:
    """Sets `parent` and `edge` of the rows, and keeps the nodes above them; `search` finds out what holds them."""

    def __init__(self, agent, tasks):
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self.supervisors = Supervisors(agent, tasks)
        self.search = Search(agent, tasks, self)
        self.membership = Membership(agent.table, self.supervisors, self.row_at, self.hold_under, self.search.miss)
        self._owners_job = Job("owners", _OWNERS_SECONDS, self._look_again, duty=_OWNERS_DUTY, rests=True)
        tasks.on_new.append(self._note_new)

    def jobs(self):
        """What is done again and again."""
        return [self._owners_job, self.membership.job(), self.search.job]

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
        if not self._tasks.complete and self._tasks.count > CROWD:  # it will be looked at with all others
            self.search.miss(1)
            return
        self._assign(row, task)
        if row.is_marked(OWNED) or row.held:
            return
        if self.search.complete:
            self.membership.note(row, task)
        else:  # no container is known yet
            self.search.miss(1)

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
        if not owners and callbacks and not row.flags & schema.FLAG_MAIN and is_main(callbacks):
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
            self.set_held(row, held)
        elif row.held not in self._table.nodes:
            self.set_held(row, 0)
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

    def set_held(self, row, number):
        if row.held != number:
            row.held = number
            self._table.touch(row)

    def _hang(self, row, parent, edge):
        if row.parent != parent or row.edge != edge:
            row.parent, row.edge = parent, edge
            self._table.touch(row)

    # -- found by walking ---------------------------------------------------------------------------------------------

    def note_greenlet(self, row, thing):
        """A greenlet has got a row: it is looked for in the containers that are known."""
        if self.search.walk is not None:
            self.search.walk.found.forget(row.position + 1)
        if self.search.complete:
            self.membership.note(row, thing)

    def row_at(self, address):
        return self._tasks.row_at(address) or self._agent.greenlets.row_at(address)

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

    def not_held(self, row, is_certain):
        """A walk has not found who holds a task; that nobody does is told by its references, and by them alone."""
        task = row.ref()
        if task is None or not (is_certain or not row.held):
            return
        self.set_held(row, 0)
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
