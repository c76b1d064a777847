"""The tasks of trio, each a row under the nursery that it is in, and that under the task which has opened it.

Where trio keeps them: `GLOBAL_RUN_CONTEXT`, a thread's own namespace, has the runner of each thread that runs trio; the
collector is shown the namespaces of all threads. The names are those of `trio/_core/_run.py` of 0.22 to 0.35.
"""

from _weakref import ref
from gc import get_referents
from itertools import islice

from pyobserver.agent import collector
from pyobserver.agent.attributes import attribute, class_module, class_name, namespace_of, text
from pyobserver.agent.kinds.activity import note_look
from pyobserver.agent.kinds.subject import Subject
from pyobserver.agent.lines import kind_of
from pyobserver.agent.runs import Frame
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

_SECONDS = 0.5
_BETWEEN_LOOKS = 4  # tasks between two looks at the clock: a new one takes 50 us
_AT_ONCE = 200  # the same for what takes little
_MAX_OBJECTS = 500  # on the way from the namespaces of the threads to the runners
_MAX_DEPTH = 4


class TrioSubject(Subject):
    """trio's tasks."""

    def coroutine(self, thing):
        """Return the coroutine of a task."""
        return attribute(thing, "coro")

    def standing(self, thing):
        """Return how often a task has come back to the loop (see `TrioProbe._check`)."""
        steps = attribute(thing, "_schedule_points")
        return steps if type(steps) is int else None

    def has_moved(self, thing, standing):
        """Return whether a task has come back to the loop since."""
        if not is_alive(thing):
            return None
        return standing is None or self.standing(thing) != standing


class TrioProbe:
    """Keeps the rows of trio's tasks true, and the nodes of their nurseries. `complete` once all have been met."""

    def __init__(self, agent):
        self.complete = False
        self._agent = agent
        self._table = agent.table
        self._describer = agent.tasks.describer
        self._by_address = {}  # id of a task -> id of its row
        self._nurseries = {}  # id of a nursery -> id of its node
        self._runs = {}  # id of a runner -> (weak reference, id of the node)
        self.types = set()  # ids of the types of tasks
        self.subject = TrioSubject(agent)
        self._job = Job("trio", _SECONDS, self._look, goes_on=True)

    def jobs(self):
        """What is done again and again."""
        return [self._job]

    def begin_anew(self):
        """Look at all tasks before the picture counts as complete again."""
        self.complete = False
        self._job.hurry()

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._by_address, self._nurseries]

    def row_at(self, address):
        """Return the id of the row of the task with this id, 0 if it has none."""
        return self._by_address.get(address, 0)

    def running(self):
        """The runners that were met and go on, for one slice."""
        return [runner for runner in [reference() for reference, _ in list(self._runs.values())] if _goes_on(runner)]

    def is_running(self):
        """Whether there is any of them."""
        return bool(self._runs) and bool(self.running())

    def rows(self):
        """Yield the rows of all of trio's tasks, as they are when it comes to them."""
        for number in list(self._by_address.values()):
            row = self._table.rows.get(number)
            if row is not None:
                yield row

    def _row_of(self, task):
        row = self._table.rows.get(self._by_address.get(id(task), 0))
        return row if row is not None and row.ref() is task else None

    # -- which there are ----------------------------------------------------------------------------------------------

    def _look(self, now):
        """Meet the new ones and look at all others, then see which have ended."""
        loops = [self.node_of(runner) for runner in runners()]
        for number, loop in enumerate(loops):
            start = 0
            while loop:
                looked = self._look_at_some(loop, number, start, now)
                if looked == 0:
                    break
                start += looked
                if now.over():
                    now = yield
        self.complete = True
        for count, address in enumerate(list(self._by_address)):
            self._end_if_gone(address, self._by_address[address])
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        yield from self._sweep(now)

    def _look_at_some(self, loop, number, start, now):
        """Look at tasks of a runner, from the one at `start` on, while there is time; return how many.

        What comes or goes meanwhile moves the others, so that one may be missed until the next round.
        """
        found = runners()
        runner = found[number] if number < len(found) else None
        tasks = attribute(runner, "tasks") if runner is not None else None
        if type(tasks) is not set:
            return 0
        main = attribute(runner, "main_task")
        count = 0
        for task in islice(tasks, start, None):
            count += 1
            row = self._row_of(task)
            if row is None:
                self._meet(task, loop, task is main)
            else:
                self._check(row, task)
            if count % _BETWEEN_LOOKS == 0 and now.over():
                break
        return count

    def node_of(self, runner):
        """Return the id of the node of one run of trio, under its thread where that is known; 0 without one."""
        reference, number = self._runs.get(id(runner), (None, 0))
        if reference is None or reference() is not runner:
            node = self._table.add_node(schema.NODE_LOOP, "trio", 0, schema.EDGE_RUNS, class_name(type(runner)))
            if node is None:
                return 0
            number = node.id
            self._runs[id(runner)] = (ref(runner), number)
        node = self._table.nodes[number]
        thread = self._main_thread() if _is_in_main_thread(runner) else None
        parent, label = (0, "trio") if thread is None else (thread.id, ("trio " + thread.name).strip())
        if node.parent != parent or node.label != label:
            node.parent, node.label = parent, label
            self._table.touch(node)
        return number

    def _main_thread(self):
        main = (namespace_of("threading") or {}).get("_main_thread")
        ident = attribute(main, "_ident")
        return self._agent.threads.row_of(ident) if type(ident) is int else None

    def _meet(self, task, loop, is_main):
        coroutine = self.subject.coroutine(task)
        row = self._table.add_row(schema.KIND_TRIO_TASK)
        if row is None:
            return
        row.ref = ref(task)
        row.created = self._agent.wall()
        row.flags = schema.FLAG_MAIN if is_main else 0
        if not self.complete:
            row.flags |= schema.FLAG_AGE_IS_MINIMUM
        self._by_address[id(task)] = row.id
        if id(type(task)) not in self.types:
            self.types.add(id(type(task)))
            self._agent.scanner.add_barrier(type(task))
        row.function = self._table.texts.intern(self._describer.function(coroutine))
        row.name = self._name(task, coroutine)
        row.loop = loop
        self._describe(row, task)
        self._agent.measure.add(row)

    def _name(self, task, coroutine):
        """Return the name of a task; the one that trio has made of its function, without the module."""
        name = text(attribute(task, "name"), "")
        own = self._describer.qualname(coroutine) if kind_of(coroutine) is not None else ""
        return own if own and name.endswith("." + own) else name

    def _end_if_gone(self, address, number):
        row = self._table.rows.get(number)
        task = row.ref() if row is not None else None
        if task is not None and is_alive(task):
            return
        del self._by_address[address]
        if row is not None:
            self._agent.measure.forget(row)
            self._table.remove(number)

    # -- what they do -------------------------------------------------------------------------------------------------

    def _check(self, row, task):
        """Look whether a task has run since the last look.

        trio counts, for each task, how often it has come back to the loop (`_schedule_points`): a step begins and ends
        in the loop, so that the same number means the same place. It is not reset, and costs one read.
        """
        steps = attribute(task, "_schedule_points")
        has_moved = type(steps) is not int or steps != row.key or row.state == schema.STATE_RUNNING
        note_look(self._table, row, has_moved)
        if has_moved:
            self._agent.measure.note_moved(row)
        if has_moved or (row.state == schema.STATE_WAITING) is not (attribute(task, "_abort_func") is not None):
            self._describe(row, task)
        else:
            self._hang(row, task)

    def _describe(self, row, task):
        coroutine = self.subject.coroutine(task)
        row.key = attribute(task, "_schedule_points")
        where, called = self._describer.stand(coroutine)
        if attribute(task, "_schedule_points") is not row.key:
            collector.bury([task, coroutine])  # it has run while memory was read: these may be the last references
        if self._describer.is_running(coroutine):
            state = schema.STATE_RUNNING
        elif attribute(task, "_abort_func") is not None:  # trio needs it of each that is not to be run
            state = schema.STATE_WAITING
        else:
            state = schema.STATE_READY
        if called.endswith(("NurseryManager.__aexit__", "TaskGroup.__aexit__")):
            nurseries = attribute(task, "_child_nurseries")
            children = attribute(nurseries[-1], "_children") if type(nurseries) is list and nurseries else None
            called = "nursery of %d" % len(children) if type(children) is set else "nursery"
        waiting = self._table.texts.intern(called if state == schema.STATE_WAITING else "")
        if (where, waiting, state) != (row.where, row.waiting, row.state):
            row.where, row.waiting, row.state = where, waiting, state
            self._table.touch(row)
        self._hang(row, task)

    # -- where they hang ----------------------------------------------------------------------------------------------

    def _hang(self, row, task):
        parent, edge = row.loop, schema.EDGE_RUNS
        nursery = attribute(task, "_parent_nursery")
        if nursery is not None:
            node = self._nursery(nursery, row.loop)
            if node is not None:
                parent, edge = node.id, schema.EDGE_OWNS
        if row.parent != parent or row.edge != edge:
            row.parent, row.edge = parent, edge
            self._table.touch(row)

    def _nursery(self, nursery, loop):
        """Return the node of a nursery, made when it is met first and placed when its task is known."""
        node = self._table.nodes.get(self._nurseries.get(id(nursery), 0))
        if node is None or node.ref() is not nursery:
            node = self._table.add_node(schema.NODE_NURSERY, "nursery", loop, schema.EDGE_OWNS)
            if node is None:
                return None
            node.ref = ref(nursery)
            self._nurseries[id(nursery)] = node.id
        if not node.detail:
            task = attribute(nursery, "_parent_task")
            above = self._row_of(task)
            if above is not None:
                name, node.detail = self._opened(nursery, self.subject.coroutine(task))
                node.label = "nursery in " + name if name else "nursery"
                node.parent = above.id
                self._table.touch(node)
        return node

    def _opened(self, nursery, coroutine):
        """Return (qualified name, "file:line") of the coroutine that has opened a nursery; the line where it is now."""
        chain = self._describer.chain(coroutine)[0]
        for link in chain:
            if any(_is_for(each, nursery) for each in variables(link)):
                name = self._describer.qualname(link)
                return name, self._table.texts.items[self._describer.where(link)]
        return self._describer.spot(coroutine)

    # -- what is not needed any more ----------------------------------------------------------------------------------

    def _sweep(self, now):
        for count, key in enumerate(list(self._nurseries)):
            number = self._nurseries[key]
            node = self._table.nodes.get(number)
            if node is None or node.ref() is None:
                del self._nurseries[key]
                self._table.remove(number)
            if count % _AT_ONCE == 0 and now.over():
                now = yield
        for key, (reference, number) in list(self._runs.items()):
            if reference() is None:
                del self._runs[key]
                self._table.remove(number)
        self._job.rests = not self._runs  # each of its tasks has a count of its looks


def runners():
    """Return the runners of all threads that run trio, for one slice."""
    context = (namespace_of("trio._core._run") or {}).get("GLOBAL_RUN_CONTEXT")
    pending = [(context, 0)] if context is not None else []
    found = []
    seen = 0
    while pending and seen < _MAX_OBJECTS:
        each, depth = pending.pop(0)
        seen += 1
        if type(each) is dict and depth:
            runner = each.get("runner")
            if runner is not None:
                found.append(runner)
                continue
        if depth < _MAX_DEPTH and (depth == 0 or type(each) is dict or class_name(type(each)).startswith("_thread.")):
            pending.extend([(inner, depth + 1) for inner in get_referents(each)[:_MAX_OBJECTS]])
    return found


def is_alive(task):
    """Return whether a task has not ended."""
    tasks = attribute(attribute(task, "_runner"), "tasks")
    return type(tasks) is set and task in tasks  # the class is final, and its hash is that of `object`


def _goes_on(runner):
    """Whether a run has not come to its end."""
    return runner is not None and attribute(attribute(runner, "entry_queue"), "done") is False


def _is_in_main_thread(runner):
    """Return whether a runner is known to be the main thread's: only there trio may handle SIGINT, and does."""
    return attribute(attribute(runner, "ki_manager"), "handler") is not None


def variables(link):
    """What a coroutine refers to: itself, or up to 3.10 its frame. Later it may have one, too, which shows nothing."""
    found = get_referents(link)
    for each in found[:4]:
        if type(each) is Frame:
            return found + get_referents(each)
    return found


def _is_for(each, nursery):
    """Whether an object is a nursery, or what trio or anyio open it by."""
    if each is nursery:
        return True
    if not class_module(type(each)).startswith(("trio.", "anyio.")):
        return False
    manager = attribute(each, "_nursery_manager", each)
    return attribute(each, "_nursery") is nursery or attribute(manager, "_nursery") is nursery
