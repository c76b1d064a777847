"""Jobs that wait in the queue of a `ThreadPoolExecutor`, each a row under the node of its executor, with the workers.

`concurrent.futures.thread._threads_queues` leads from every worker to its queue. A queue in C shows the collector the
list that it keeps (up to 3.12, with the places of those taken out before its first one), or its items (from 3.13 on).
"""

import sys
from _collections import deque as Deque
from _functools import partial as Partial  # type: ignore[import-not-found]
from _weakref import ref
from gc import get_referents
from itertools import islice

from pyobserver.agent.attributes import (
    HEAP_TYPE,
    IS_CLASS,
    Function,
    Module,
    attribute,
    class_dict,
    class_name,
    code_of,
    flags_of,
    function_name,
    inherits,
    namespace_of,
    short_name,
    text,
)
from pyobserver.agent.kinds.subject import Subject
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

MAX_JOBS = 5000  # rows, of all executors together
MAX_LISTED = 50000  # items of a queue that are asked for at once, from 3.13 on (0.3 ms)
_SECONDS = 1.0
_AT_ONCE = 50
_MAX_WRAPPERS = 8
_QUEUED = ("PENDING", "CANCELLED")  # states of a future whose job no worker has taken yet

Builtin = type(len)
Method = type(Job("", 0, None).run)
MethodDescriptor = type(str.join)
_self_of_builtin = Builtin.__dict__["__self__"].__get__
_name_of_builtin = Builtin.__dict__["__name__"].__get__  # `__qualname__` asks the type of `__self__`, as attributes are
_module_of_builtin = Builtin.__dict__["__module__"].__get__
_function_of_method = Method.__dict__["__func__"].__get__
_function_of_partial = Partial.__dict__["func"].__get__
_args_of_partial = Partial.__dict__["args"].__get__


class JobSubject(Subject):
    """Work items: nothing of them is executed while they wait."""

    has_chain = False
    note = "what is freed with it: its arguments, as far as nobody else has them"

    def coroutine(self, thing):
        """Return None: it is a function that is to be called."""
        return

    def is_executing(self, thing):
        """Return whether a worker has taken it."""
        return not _is_queued(thing)

    def has_moved(self, thing, standing):
        """Return None when a worker has taken it: before, nothing of it runs."""
        return False if _is_queued(thing) else None


class Executor:
    """What is known of one executor while its workers are looked at."""

    __slots__ = ("idents", "label", "queue")

    def __init__(self, queue):
        self.queue = queue
        self.idents = []
        self.label = ""


class JobProbe:
    """Keeps the rows of jobs that wait true, and the nodes of their executors."""

    def __init__(self, agent):
        self.subject = JobSubject(agent)
        self._agent = agent
        self._table = agent.table
        self._rows = {}  # id of a work item -> id of its row
        self._nodes = {}  # id of a queue -> (weak reference to it, id of its executor's node)
        self._is_first = True

    def jobs(self):
        """What is done again and again."""
        return [Job("executors", _SECONDS, self._look, goes_on=True, rests=True)]

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._rows]

    def _look(self, now):
        for count, (address, number) in enumerate(list(self._rows.items())):
            self._end_if_taken(address, number)
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        for place in range(len(_executors())):
            start = 0
            while True:
                looked = self._look_at(place, start)
                start += looked
                if now.over():
                    now = yield
                if looked < _AT_ONCE or start >= MAX_JOBS:
                    break
        self._sweep()
        self._is_first = False

    def _look_at(self, place, start):
        """Meet some of the jobs of one executor, from the one at `start` on; return how many were looked at."""
        executors = _executors()
        if place >= len(executors):
            return 0
        executor = executors[place]
        length, items = _items(executor.queue, start, _AT_ONCE)
        node = self._node(executor, length)
        if node is None:
            return 0
        for item in items:
            if id(item) not in self._rows and len(self._rows) < MAX_JOBS and attribute(item, "future") is not None:
                self._meet(item, node)
        item = None
        return len(items)

    def _node(self, executor, length):
        """Return the node of an executor, with what is true of it now; None when there are too many nodes."""
        reference, number = self._nodes.get(id(executor.queue), (None, 0))
        node = self._table.nodes.get(number)
        if node is None or reference() is not executor.queue:
            node = self._table.add_node(schema.NODE_EXECUTOR, "executor", 0, schema.EDGE_OWNS)
            if node is None:
                return None
            self._nodes[id(executor.queue)] = (ref(executor.queue), node.id)
        rows = [row for row in map(self._agent.threads.row_of, executor.idents) if row is not None]
        label = "%s (%d worker%s)" % (executor.label or "executor", len(rows), "" if len(rows) == 1 else "s")
        detail = "" if length <= MAX_JOBS else "of those that wait, %d are listed" % MAX_JOBS
        parent = self._loop_of(executor.queue)
        if (node.label, node.detail, node.queue, node.parent) != (label, detail, length, parent):
            node.label, node.detail, node.queue, node.parent = label, detail, length, parent
            self._table.touch(node)
        for row in rows:
            if row.parent != node.id:
                row.parent, row.edge = node.id, schema.EDGE_OWNS
                self._table.touch(row)
        return node

    def _loop_of(self, queue):
        """Return the id of the node of the loop whose default executor has this queue, 0 if it is none's."""
        loops = self._agent.tasks.loops
        for reference in loops.references():
            loop = reference()
            executor = attribute(loop, "_default_executor") if loop is not None else None
            if executor is not None and attribute(executor, "_work_queue") is queue:
                return loops.node_of(loop)
        return 0

    def _meet(self, item, node):
        try:
            reference = ref(item)
        except TypeError:  # of an executor's own queue
            return
        row = self._table.add_row(schema.KIND_JOB)
        if row is None:
            return
        row.ref = reference
        row.created = self._agent.wall()
        row.flags = schema.FLAG_LINE_IS_DEF | (schema.FLAG_AGE_IS_MINIMUM if self._is_first else 0)
        row.state = schema.STATE_WAITING
        row.parent, row.edge = node.id, schema.EDGE_HOLDS
        self._agent.scanner.add_barrier(type(item))
        self._rows[id(item)] = row.id
        name, code = called(_function_of(item))
        texts = self._table.texts
        row.function = texts.intern(name)
        row.waiting = texts.intern("a worker of " + node.label.rpartition(" (")[0])
        if code is not None:
            row.where = texts.intern("%s:%d" % (text(code.co_filename), code.co_firstlineno))
        self._agent.measure.add(row)

    def _end_if_taken(self, address, number):
        row = self._table.rows.get(number)
        item = row.ref() if row is not None else None
        state = None if item is None else _state_of(item)
        if state in _QUEUED:
            if state == "CANCELLED" and row.state == schema.STATE_WAITING:
                row.state = schema.STATE_DONE_HELD  # until a worker comes to it, the queue keeps it
                self._table.touch(row)
            return
        del self._rows[address]
        if row is not None:
            self._agent.measure.forget(row)
            self._table.remove(number)

    def _sweep(self):
        """Remove the nodes of executors that are no more."""
        living = {id(executor.queue) for executor in _executors()}
        for key, (reference, number) in list(self._nodes.items()):
            if reference() is None or key not in living:
                del self._nodes[key]
                self._table.remove(number)


def _executors():
    """Return an `Executor` for each queue that has workers. It has strong references: for one slice."""
    threads = (namespace_of("concurrent.futures.thread") or {}).get("_threads_queues")
    queues = attribute(threads, "data") if threads is not None else None
    found = {}
    for reference, queue in list(queues.items()) if type(queues) is dict else ():
        thread = reference() if type(reference) is ref else None
        ident = attribute(thread, "_ident")
        if thread is None or type(ident) is not int:
            continue
        executor = found.get(id(queue))
        if executor is None:
            executor = found[id(queue)] = Executor(queue)
        executor.idents.append(ident)
        executor.label = executor.label or text(attribute(thread, "_name"), "").rpartition("_")[0]
    return list(found.values())


def _items(queue, start, count):
    """Return how many items a queue has, and `count` of them from the one at `start` on, which is taken out next."""
    kind = type(queue)
    if kind is not (namespace_of("_queue") or {}).get("SimpleQueue"):
        held = attribute(queue, "queue")  # queue.Queue and its like, or an executor's with an order of its own
        if type(held) is list or type(held) is Deque:
            return len(held), [item for item in islice(held, start, start + count) if item is not None]
        return 0, []
    size_of = class_dict(kind).get("qsize")
    if type(size_of) is not MethodDescriptor:  # as `queue` has it without the extension
        return 0, []
    length = size_of(queue)
    if sys.version_info >= (3, 13):
        if length > MAX_LISTED:
            return length, []
        held = get_referents(queue)
        if held and held[-1] is kind:
            held.pop()
    else:
        held = next((each for each in get_referents(queue) if type(each) is list), [])
    first = max(0, len(held) - length)
    return length, [item for item in held[first + start : first + start + count] if item is not None]


def _is_queued(item):
    return _state_of(item) in _QUEUED


def _state_of(item):
    """Return the state of a work item's future, as an exact str: another one may compare itself by its own code."""
    found = attribute(attribute(item, "future"), "_state")
    return found if type(found) is str else text(found, "")


def _function_of(item):
    """Return what a work item is to call; from 3.14 on it is in a tuple."""
    task = attribute(item, "task")
    return task[0] if type(task) is tuple and task else attribute(item, "fn")


def called(function):
    """Return (`module.qualname`, code or None) of what is called in the end by calling something."""
    for _ in range(_MAX_WRAPPERS):
        kind = type(function)
        if kind is Partial:
            args = _args_of_partial(function)
            function = _function_of_partial(function)
            if type(function) is Builtin and args and short_name(type(_self_of_builtin(function))) == "Context":
                function = args[0]  # `Context.run`, as asyncio.to_thread calls it
        elif kind is Method:
            function = _function_of_method(function)
        else:
            break
    kind = type(function)
    if kind is Function:
        return function_name(function), code_of(function)
    if kind is Builtin:
        module, name = text(_module_of_builtin(function), ""), text(_name_of_builtin(function))
        bound = _self_of_builtin(function)
        if bound is not None and not inherits(type(bound), Module):
            name = short_name(bound if flags_of(type(bound)) & IS_CLASS else type(bound)) + "." + name
        return (module + "." + name if module else name), None
    if flags_of(kind) & IS_CLASS:
        return class_name(function), None
    call = class_dict(kind).get("__call__") if flags_of(kind) & HEAP_TYPE else None
    return class_name(kind) + ".__call__", code_of(call) if type(call) is Function else None
