"""Where each task hangs in the tree: under its task group, gather or waiting task, or in the container that holds it.

Who waits is told by a task's own callbacks, at once. Who holds it is found by a walk through the heap, now and then; a
container that is known from a walk is known for new tasks too, when their callbacks name it.
"""

from _weakref import ref

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import Function, code_of
from pyobserver.agent.owners import holders
from pyobserver.agent.owners.parents import is_unowned, owner_of
from pyobserver.agent.row import OWNED, Row, node_count, node_id
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

_OWNERS_SECONDS = 2.0
_OWNERS_DUTY, _WALK_DUTY = 0.002, 0.004
_LOOK_SECONDS = 0.5  # whether a walk is needed
_WALK_SECONDS = 60.0  # from one walk to the next when all holders are known
_EMPTY_SECONDS = 10.0
_AT_ONCE = 20
_AT_FIRST = 2000


class Ownership:
    """Sets `parent` and `edge` of the rows, and keeps the nodes above them.

    `complete` once a walk, begun after all tasks were known, has been through.
    """

    def __init__(self, agent, tasks):
        self.complete = False
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self._groups = {}  # id of a task group or gather -> its node
        self._containers = {}  # key of a container -> its node
        self._unowned = {}  # id of a loop's node -> the node under it
        self._unresolved = 0  # tasks met since the last walk began
        self._walk = None
        self.on_met = []  # told by a walk of coroutines and generators that are no task's: as `holders.Walk`'s `meet`
        self._walked_at = 0.0
        self._walk_job = Job("holders", _LOOK_SECONDS, self._search, duty=_WALK_DUTY)
        tasks.on_new.append(self._note_new)

    def jobs(self):
        """What is done again and again."""
        return [Job("owners", _OWNERS_SECONDS, self._look_again, duty=_OWNERS_DUTY), self._walk_job]

    def holder_of(self, row):
        """Return the node of the container that a row is in, None if none is known."""
        return self._table.nodes.get(row.held)

    def tasks_in(self, node):
        """Return how many tasks the walk has found in a container."""
        number, end = node_count(node.id), self._table.end_position
        return sum(
            [self._table.columns.held[at : min(at + 1000, end)].tolist().count(number) for at in range(0, end, 1000)]
        )

    def owner(self, task):
        """Return who waits for a task, or None."""
        return owner_of(task, known().callbacks(task))

    # -- told by callbacks --------------------------------------------------------------------------------------------

    def _note_new(self, row, task):
        if not self._tasks.complete and self._tasks.count > _AT_FIRST:  # it will be looked at with all others
            self._unresolved += 1
            return
        self._assign(row, task)
        if not row.is_marked(OWNED) and not row.held:
            self._unresolved += 1

    def _look_again(self, now):
        """Somebody may begin or cease to wait for a task without its moving."""
        while not self._tasks.complete:
            now = yield
        count = 0
        for position in self._tasks.positions():
            row = Row(self._table, position)
            task = row.ref()
            if task is not None and row.state != schema.STATE_DONE_HELD:
                self._assign(row, task)
            task = None
            count += 1
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        yield from self._sweep(now)

    def _assign(self, row, task):
        types = known()
        callbacks = types.callbacks(task)
        owner = owner_of(task, callbacks) if callbacks else None
        if owner is None and callbacks and not row.flags & schema.FLAG_MAIN and _is_main(callbacks):
            row.flags |= schema.FLAG_MAIN
            self._table.touch(row)
        parent, edge = 0, schema.EDGE_RUNS
        if owner is not None:
            parent, edge = self._place_of(owner, row)
        is_owned = parent != 0 and edge != schema.EDGE_HOLDS
        row.mark(OWNED, is_owned)
        if is_owned:
            self._hang(row, parent, edge)
            return
        if parent:
            row.held = parent
        elif row.held not in self._table.nodes:
            row.held = 0
        if row.held:
            self._hang(row, row.held, schema.EDGE_HOLDS)
        elif not row.flags & schema.FLAG_UNOWNED:
            self._hang(row, row.loop, schema.EDGE_RUNS)

    def _place_of(self, owner, row):
        """Return (node or row, edge) for an owner; (0, 0) when there is none yet."""
        if owner.kind == "awaits":
            above = self._tasks.row_of(owner.obj)
            return (0, 0) if above is None or above.id == row.id else (above.id, schema.EDGE_AWAITS)
        if owner.kind == "holder":
            node = self._containers.get(id(owner.obj))
            return (node.id, schema.EDGE_HOLDS) if node is not None and node.id in self._table.nodes else (0, 0)
        kind = schema.NODE_TASK_GROUP if owner.kind == "task_group" else schema.NODE_GATHER
        node = self._group(kind, owner, row)
        return (0, 0) if node is None else (node.id, schema.EDGE_OWNS)

    def _group(self, kind, owner, row):
        """Return the node of a task group or a gather, made when it is met first."""
        node = self._groups.get(id(owner.obj))
        if node is None or node.ref() is not owner.obj:
            try:
                reference = ref(owner.obj)
            except TypeError:
                return None
            label = "task group" if kind == schema.NODE_TASK_GROUP else "gather"
            node = self._table.add_node(kind, label, row.loop, schema.EDGE_OWNS)
            if node is None:
                return None
            node.ref = reference
            self._groups[id(owner.obj)] = node
        if not node.detail:  # who waits for it may be met later than those that it waits for
            self._place_group(node, owner, row)
        return node

    def _place_group(self, node, owner, row):
        """Hang a group under the task that waits for it, and say where that is."""
        above = self._tasks.row_of(owner.via) if owner.via is not None else None
        if above is None or above.id == row.id:
            return
        name, node.detail = self._tasks.describer.spot(known().coroutine(owner.via))
        node.label = node.label.partition(" in ")[0] + (" in " + name if name else "")
        node.parent = above.id
        self._table.touch(node)

    def _hang(self, row, parent, edge):
        if row.parent != parent or row.edge != edge:
            row.parent, row.edge = parent, edge
            self._table.touch(row)

    # -- found by walking ---------------------------------------------------------------------------------------------

    def _search(self, now):
        """Walk, when there are tasks whose holder is not known, or when it is time to look whether all is as it was."""
        if not (self._tasks.complete and self._agent.trio.complete):
            return
        if not self._unresolved and self.complete and now.begun - self._walked_at < _WALK_SECONDS:
            return
        if self._walk is None:
            self._walk = holders.Walk(self._wanted, now.clock, self._to_walk, self._meet, self.coroutine_of)
        else:
            self._walk.restart()
        self._walk.types.update(self._tasks.kinds, self._agent.trio.types)
        begun = now.begun
        self._unresolved = 0
        last = self._table.last_generation()
        end = self._table.end_position
        is_told = False
        while not self._walk.run(now.deadline):
            if self._walk.pauses and not is_told:
                is_told = True
                now = yield from self._tell_found(now, end, last, False)
            now = yield
        self._walked_at = begun
        yield from self._tell_found(now, end, last, not self._walk.incomplete)

    def _tell_found(self, now, end, last, is_whole):
        """Hang the tasks under what was found to hold them; return the slice."""
        found = self._walk.found
        for position in range(end):
            columns = self._table.columns
            if columns.kind[position] != schema.KIND_TASK or columns.generation[position] > last:
                continue  # it has come meanwhile, perhaps to the place of one that was found
            holding = found.get(position + 1)
            if holding is not None:
                self.hold(Row(self._table, position), holding)
            elif is_whole:
                self._not_held(Row(self._table, position))
            if position % _AT_ONCE == 0 and now.over():
                now = yield
        self.complete = True
        return now

    def _to_walk(self):
        """The tasks whose variables are searched: all of them, when there is a task that nothing else holds.

        Otherwise the main one's, which lead to what a program does not keep in its modules. Where there are very many,
        the first picture of all goes before, and the main one's are searched first: they may lead to all others.
        """
        while self._tasks.count > _AT_FIRST and not self._agent.is_known():
            yield holders.LATER
        if self._tasks.count > _AT_FIRST:
            for position in self._tasks.positions():
                if self._table.columns.flags[position] & schema.FLAG_MAIN:
                    yield self._table.refs[position]
                elif position % _AT_ONCE == 0:
                    yield None
        found = self._walk.found
        main = []
        for position in self._tasks.positions():
            row = Row(self._table, position)
            if row.flags & schema.FLAG_MAIN:
                main.append(row.ref)
            elif position + 1 not in found and not row.is_marked(OWNED):
                yield from self._tasks.references()
                break
            if position % _AT_ONCE == 0:
                yield None
        else:
            yield from main
        yield from [row.ref for row in self._agent.trio.rows() if row.flags & schema.FLAG_MAIN]

    def coroutine_of(self, task):
        """Return what a task runs."""
        is_trio = id(type(task)) in self._agent.trio.types
        return self._agent.subjects[schema.KIND_TRIO_TASK if is_trio else schema.KIND_TASK].coroutine(task)

    def walk(self):
        """Return the walk that goes on, or has been through; None before the first."""
        return self._walk

    def is_walking_in(self, task):
        """Whether the walk is among what a task retains: it refers to some of that, which cannot be counted then."""
        is_inside = self._walk is not None and self._walk.inside == id(task)
        return is_inside or self._agent.places.is_walking_in(task)

    def _wanted(self, address):
        row = self._tasks.row_at(address)
        return 0 if row is None else row.position + 1

    def _meet(self, thing, place):
        for meet in self.on_met:
            meet(thing, place)

    def hold(self, row, holding):
        """Hang a row under the container that a walk has found it in."""
        node = self._containers.get(holding.key)
        if node is None or node.id not in self._table.nodes or node.label != holding.path:
            node = self._table.add_node(schema.NODE_HOLDER, holding.path, row.loop, schema.EDGE_HOLDS, holding.type)
            if node is None:
                return
            self._containers[holding.key] = node
        row.held = node.id
        if row.flags & schema.FLAG_UNOWNED:
            row.flags &= ~schema.FLAG_UNOWNED
        if not row.is_marked(OWNED):
            self._hang(row, node.id, schema.EDGE_HOLDS)

    def _not_held(self, row):
        row.held = 0
        task = row.ref()
        if task is None or row.is_marked(OWNED):
            return
        nobody = is_unowned(task, known().callbacks(task))
        task = None
        if nobody:
            row.flags |= schema.FLAG_UNOWNED
            self._hang(row, self._unowned_under(row.loop), schema.EDGE_HOLDS)
        else:
            row.flags &= ~schema.FLAG_UNOWNED
            self._hang(row, row.loop, schema.EDGE_RUNS)

    def _unowned_under(self, loop):
        node = self._unowned.get(loop)
        if node is None or node.id not in self._table.nodes:
            node = self._table.add_node(schema.NODE_UNOWNED, "Unowned tasks", loop, schema.EDGE_HOLDS)
            if node is None:
                return loop
            self._unowned[loop] = node
        return node.id

    # -- nodes that are not needed any more ---------------------------------------------------------------------------

    def _sweep(self, now):
        used = set()
        position = 0
        while position < self._table.end_position:
            columns = self._table.columns
            end = position + 500
            used.update(columns.parent[position:end])
            used.update(map(node_id, set(columns.held[position:end])))
            position = end
            if now.over():
                columns = None
                now = yield
        for known_nodes in (self._groups, self._containers, self._unowned):
            for key, node in list(known_nodes.items()):
                if node.id in used:
                    node.empty_since = 0.0
                elif not node.empty_since:
                    node.empty_since = now.clock()
                elif node.ref is None and now.clock() - node.empty_since < _EMPTY_SECONDS:
                    continue
                else:
                    del known_nodes[key]
                    self._table.remove(node.id)


def _is_main(callbacks):
    """Whether these are the callbacks of a task that `run_until_complete` waits for, as `asyncio.run` does."""
    for entry in callbacks[:4]:
        callback = entry[0] if type(entry) is tuple and entry else entry
        if type(callback) is Function and code_of(callback).co_name == "_run_until_complete_cb":
            return True
    return False
