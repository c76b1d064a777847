"""The nodes above tasks that are no rows: task groups, gathers, the containers that hold tasks, and the unowned."""

from _weakref import ref

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.row import node_id
from pyobserver.protocol import schema

_EMPTY_SECONDS = 10.0
_AT_ONCE = 10  # nodes between two looks at the clock: to find a container again takes up to 0.1 ms
_KNOWN_SECONDS = 120.0  # a container that is still there: the next task in it needs no walk
_LABELS = {schema.NODE_TASK_GROUP: "task group", schema.NODE_GATHER: "gather"}


class Supervisors:
    """Makes the nodes when they are needed first, and removes them when nothing has hung under them for a while."""

    def __init__(self, agent, tasks):
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self._groups = {}  # id of a task group or gather -> its node
        self._containers = {}  # key of a container -> its node
        self._unowned = {}  # id of a loop's node -> the node under it

    # -- groups -------------------------------------------------------------------------------------------------------

    def group(self, owner, row):
        """Return the node of a task group or a gather, None without one. `row` is of a task that it owns."""
        kind = schema.NODE_TASK_GROUP if owner.kind == "task_group" else schema.NODE_GATHER
        node = self._groups.get(id(owner.obj))
        if node is None or node.ref() is not owner.obj:
            try:
                reference = ref(owner.obj)
            except TypeError:
                return None
            node = self._table.add_node(kind, _LABELS[kind], row.loop, schema.EDGE_OWNS)
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
        node.label = _LABELS[node.kind] + (" in " + name if name else "")
        node.parent = above.id
        self._table.touch(node)

    # -- containers ---------------------------------------------------------------------------------------------------

    def container_of(self, thing):
        """Return the node of a container that is known, None if it is not."""
        node = self._containers.get(id(thing))
        return node if node is not None and node.id in self._table.nodes else None

    def container(self, holding, loop):
        """Return the node of a holding, made when it is met first; None when there are too many nodes."""
        node = self._containers.get(holding.key)
        if node is None or node.id not in self._table.nodes or node.label != holding.path:
            above = self._task_of(holding) or loop
            node = self._table.add_node(schema.NODE_HOLDER, holding.path, above, schema.EDGE_HOLDS, holding.type)
            if node is None:
                return None
            self._containers[holding.key] = node
        node.route = holding.route
        return node

    def containers(self):
        """Return the nodes of all containers that may be found again."""
        return [node for node in list(self._containers.values()) if node.route is not None]

    def _task_of(self, holding):
        """Return the id of the row of the task whose variable a holder is, 0 if it is no task's."""
        row = self._tasks.row_at(holding.task) if holding.task else None
        if row is None and holding.task:
            row = self._agent.greenlets.row_at(holding.task)
        return self._agent.trio.row_at(holding.task) if row is None else row.id

    # -- the unowned --------------------------------------------------------------------------------------------------

    def unowned_under(self, loop):
        """Return the id of the node of the unowned tasks of a loop, that of the loop when there are too many nodes."""
        node = self._unowned.get(loop)
        if node is None or node.id not in self._table.nodes:
            node = self._table.add_node(schema.NODE_UNOWNED, "Unowned tasks", loop, schema.EDGE_HOLDS)
            if node is None:
                return loop
            self._unowned[loop] = node
        return node.id

    # -- nodes that are not needed any more ---------------------------------------------------------------------------

    def sweep(self, now):
        """Remove the nodes that nothing hangs under, in slices."""
        used = set()  # only of nodes: ids of rows would be many
        nodes = self._table.nodes
        position = 0
        while position < self._table.end_position:
            columns = self._table.columns
            end = position + 500
            used.update(filter(nodes.__contains__, set(columns.parent[position:end])))
            used.update(map(node_id, set(columns.held[position:end])))
            used.update(map(node_id, set(columns.held_too[position:end])))
            position = end
            if now.over():
                columns = None
                now = yield
        rare = self._table.rare["also"]
        for count, position in enumerate(list(rare)):
            used.update([number for number, _ in rare.get(position, ())])
            if count % 100 == 0 and now.over():
                now = yield
        for known_nodes in (self._groups, self._containers, self._unowned):
            for count, key in enumerate(list(known_nodes)):
                if count % _AT_ONCE == 0 and now.over():
                    now = yield
                node = known_nodes[key]
                if node.id in used or node.pids:
                    node.empty_since = 0.0
                elif not node.empty_since:
                    node.empty_since = now.clock()
                elif node.ref is None and now.clock() - node.empty_since < _patience(node):
                    continue
                else:
                    del known_nodes[key]
                    self._table.remove(node.id)


def _patience(node):
    """Return for how many seconds a node stays with nothing under it."""
    is_there = node.route is not None and node.route.container() is not None
    return _KNOWN_SECONDS if is_there else _EMPTY_SECONDS
