"""Which object of the program each child process belongs to: its process pool, or what holds the object that stands
for it (of `multiprocessing`, `asyncio.subprocess`, `subprocess`). Their rows are made outside; here are the nodes.

`concurrent.futures.process._threads_wakeups` leads from the thread that manages a pool to its processes and its calls
(3.8: its arguments; later: its attributes). The other objects are met by the walk for holders.
"""

import posix
from _weakref import ref

from pyobserver.agent import files
from pyobserver.agent.attributes import attribute, integer, namespace_of
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

MAX_PROCESSES = 2000
_SECONDS = 1.0
_AT_ONCE = 50
_MOST_CHILDREN = 16384  # bytes of numbers that are read of the kernel's list
# What only the modules of processes themselves hold says nothing.
_NOWHERE = ("asyncio.", "subprocess.", "multiprocessing.process.", "multiprocessing.popen", "billiard.process.")


class ProcessProbe:
    """Keeps the nodes of process pools, and says of other nodes which child processes hang under them."""

    def __init__(self, agent):
        self._agent = agent
        self._table = agent.table
        self._pools = {}  # id of a pool's dict of processes -> id of its node
        self._met = {}  # pid -> (weak reference to the object, id of its holder's node)
        self._seen = set()  # pids of children that a walk was asked for
        self._told = ()  # ids of the nodes that have child processes

    def jobs(self):
        """What is done again and again."""
        return [Job("processes", _SECONDS, self._look, rests=True)]

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._met, self._pools]

    def meet(self, thing, place):
        """Told by the walk of an object that stands for a process; `place()` returns the `Holding` of where it is."""
        pid = pid_of(thing)
        if not pid or len(self._met) >= MAX_PROCESSES:
            return
        holding = place()
        if holding.path.startswith(_NOWHERE):
            return
        node = self._agent.ownership.supervisors.container(holding, 0)
        try:
            reference = ref(thing)
        except TypeError:
            return
        if node is not None:
            self._met[pid] = (reference, node.id)

    def _look(self, now):
        under = {}  # id of a node -> pids
        pooled = set()
        for place in range(len(_pools())):
            node, pids = self._look_at_pool(place)
            if node is not None:
                under[node.id] = pids
                pooled.update(pids)
            if now.over():
                now = yield
        for count, (pid, (reference, number)) in enumerate(list(self._met.items())):
            thing = reference()
            if thing is None or pid_of(thing) != pid or number not in self._table.nodes:
                del self._met[pid]
            elif pid not in pooled:
                under.setdefault(number, []).append(pid)
            thing = None
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        self._tell(under)
        self._ask_for_walk(pooled)
        yield from ()

    def _tell(self, under):
        for number in self._told:
            node = self._table.nodes.get(number)
            if node is not None and number not in under:
                node.pids = ()
                self._table.touch(node)
        for number, pids in under.items():
            node = self._table.nodes.get(number)
            pids = tuple(sorted(pids)[: schema.MAX_PIDS])
            if node is not None and node.pids != pids:
                node.pids = pids
                self._table.touch(node)
        self._told = tuple(under)

    def _ask_for_walk(self, pooled):
        """A child that is new, and no pool's: a walk may meet what stands for it."""
        children = _children()
        self._seen &= children
        fresh = children - self._seen - pooled - set(self._met)
        self._seen |= fresh
        if fresh:
            self._agent.search.miss(len(fresh))

    # -- process pools ------------------------------------------------------------------------------------------------

    def _look_at_pool(self, place):
        """Return (the node of a pool, its pids), (None, ()) without one."""
        pools = _pools()
        if place >= len(pools):
            return None, ()
        thread, processes, calls = pools[place]
        node = self._table.nodes.get(self._pools.get(id(processes), 0))
        if node is None:
            node = self._table.add_node(schema.NODE_EXECUTOR, "process pool", 0, schema.EDGE_OWNS)
            if node is None:
                return None, ()
            self._pools[id(processes)] = node.id
        pids = [pid for pid in processes if integer(pid) is not None]
        label = "process pool (%d worker%s)" % (len(pids), "" if len(pids) == 1 else "s")
        detail = "calls that were submitted and are not done wait or run" if calls is not None else ""
        length = len(calls) if calls is not None else None
        if (node.label, node.detail, node.queue) != (label, detail, length):
            node.label, node.detail, node.queue = label, detail, length
            self._table.touch(node)
        row = self._agent.threads.row_of(attribute(thread, "_ident"))
        if row is not None and row.parent != node.id:
            row.parent, row.edge = node.id, schema.EDGE_OWNS
            self._table.touch(row)
        self._forget_pools({id(each[1]) for each in pools})
        return node, pids

    def _forget_pools(self, living):
        for key in [key for key in self._pools if key not in living]:
            self._table.remove(self._pools.pop(key))


def _pools():
    """Return [(thread that manages a pool, its processes by pid, its calls that are not done)], for one slice."""
    wakeups = (namespace_of("concurrent.futures.process") or {}).get("_threads_wakeups")
    threads = attribute(wakeups, "data") if wakeups is not None else None
    found = []
    for reference in list(threads) if type(threads) is dict else ():
        thread = reference() if type(reference) is ref else None
        if thread is None:
            continue
        processes, calls = attribute(thread, "processes"), attribute(thread, "pending_work_items")
        arguments = attribute(thread, "_args")
        if processes is None and type(arguments) is tuple and len(arguments) > 2:
            processes, calls = arguments[1:3]
        if type(processes) is dict:
            found.append((thread, processes, calls if type(calls) is dict else None))
    return found


def pid_of(thing):
    """Return the number of the process that an object stands for, 0 if it has not begun, or is known to have ended."""
    process = attribute(thing, "_popen", thing)
    transport = attribute(thing, "_transport")
    ended = attribute(process if transport is None else transport, "returncode" if transport is None else "_returncode")
    pid = integer(attribute(process, "pid"), 0)
    return pid if pid > 0 and ended is None else 0


def _children():
    """The children of this process that its main thread has made, as the kernel lists them."""
    pid = posix.getpid()
    try:
        return set(map(int, files.read("/proc/%d/task/%d/children" % (pid, pid), _MOST_CHILDREN).split()))
    except (OSError, ValueError):
        return set()
