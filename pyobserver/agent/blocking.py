"""Which tasks keep their loop from everything else: those that are seen in one step of theirs again and again.

The agent looks right after it has slept: which task is its loop in the middle of? It gets the interpreter lock back
only when somebody gives it up, or 5 ms (the switch interval) after it has begun to wait for it. A loop gives it up in
its selector, between the steps, where no task is current. So a look hits a task in three cases only, and says nothing
of how much time tasks take: (a) for 5 ms nobody has given up the lock, as the step computes; (b) the step itself gives
it up for long: it sleeps, waits for a disk or a database, or for the lock itself, which other threads keep; (c) it does
so for a moment, as each `send` does, and we came in between. The last is no blocking, and a task that does it much is
hit much. Also what came in (a) at the end of many short steps that ran without the selector between them is not to be
blamed: five milliseconds after each selector, for instance, it is always the same one's turn. Therefore a hit counts
when

* the look before, within 50 ms, has hit the same task, and what was first to come after it then still is: in a loop of
  asyncio's the first of `_ready`, which goes with the next step (where nothing was to come, this says nothing), and
* this look and two before have waited for the lock for exactly the switch interval (a), or the thread of the loop has
  not run between the two, and sleeps: it does not just wait for a processor (b), or it goes on computing while we have
  the lock, and so needs none (b, too). In (c) it waits for us then. To see that takes half a millisecond, and is tried
  now and then, from the third hit on.

So what computes for less than three looks, some 40 ms, is seldom counted, and what sleeps for less than two, some 15.
"""

import sys
from _collections import deque
from _weakref import ref

from pyobserver.agent import files
from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import attribute, class_module
from pyobserver.agent.schedule import described
from pyobserver.protocol import schema

LOOK_SECONDS = 0.25  # while nobody is suspected; the agent then sleeps for no longer: to wake up is what a look costs
LOOK_SOON_SECONDS = 0.06  # for a while after somebody was hit twice: once is chance
AGAIN_SECONDS = 0.01  # while somebody is
_SOON_SECONDS = 30.0
_LEAST_SECONDS = 0.008  # between two looks
_SAME_SECONDS = 0.05  # between two looks that may have hit the same step
_WAITED_LEAST, _WAITED_MOST = 0.98, 1.15  # times the switch interval: 5.05 to 5.6 ms were seen when it was forced
_IDLE_SECONDS = 0.00005
_IN_A_ROW = 3
_TRIED_SECONDS = 0.5
_TRY_SECONDS = 0.0005
_BUSY_SHARE = 0.9
_SHOWN_SECONDS = 10.0  # since the last hit that counts
MOST_KNOWN = 1000
MOST_FUNCTIONS = 16  # that are told
_FAILURES = 3  # and no more looks are taken
_Builtin = type(len)


class Suspect:
    """The task that the last look has hit: its row, when that was, the CPU time of its thread then, what was to come
    next in its loop, by a weak reference, how often it was hit in a row, and how many of
    the last looks had to force the lock from it."""

    __slots__ = ("at", "cpu", "following", "forced", "number", "times")

    def __init__(self, number, at, cpu, following, forced):
        self.number = number
        self.at = at
        self.cpu = cpu
        self.forced = int(forced)
        self.following = None if following is None else ref(following)
        self.times = 1

    def may_be_in(self, number, now, following):
        """Whether a task that is hit now may be in the same step as this one."""
        if self.number != number or now - self.at > _SAME_SECONDS:
            return False
        return self.following is None or self.following() is following


class Blocking:
    """Counts hits. `look` is called right after a sleep, while observers watch, and holds nothing afterwards."""

    def __init__(self, agent, clock_of_thread):
        self._agent = agent
        self._clock_of_thread = clock_of_thread  # `time.clock_gettime`
        self._looked_at = self._tried_at = self._soon_until = 0.0
        self._failures = 0
        self._suspects = {}  # id of a loop's node -> Suspect
        self._hits = {}  # id of a row -> how many counted, the one that was hit last at the end
        self._shown = {}  # id of a row -> when it was hit last
        self._functions = {}  # text of a function -> [hits, its tasks that were hit, id of the last, when], as _hits

    def patience(self):
        """Seconds until the next look is due."""
        if self._suspects:
            return AGAIN_SECONDS
        return LOOK_SOON_SECONDS if self._looked_at < self._soon_until else LOOK_SECONDS

    def hits(self, row):
        """How often this task was seen holding its loop."""
        return self._hits.get(row.id, 0)

    def functions(self):
        """Return [function, how many of its tasks] for those that were seen at it of late, the most frequent first.

        A task that holds its loop once, and ends, is over before it could be told of: others that do the same follow.
        """
        since = self._agent.clock() - _SHOWN_SECONDS
        found = [(tasks, text) for text, (hits, tasks, _, at) in self._functions.items() if hits > 1 and at >= since]
        return [[self._agent.table.texts.items[text], tasks] for tasks, text in sorted(found, reverse=True)]

    def look(self, now, late):
        """Look which tasks are current. `late` is how many seconds later than planned the sleep has ended."""
        if now - self._looked_at < _LEAST_SECONDS or self._failures >= _FAILURES:
            return
        self._looked_at = now
        try:
            self._look(now, late)
        except BaseException as error:
            self._failures += 1
            self._suspects.clear()
            self._agent.problem(described("blocking", error))

    def _look(self, now, late):
        suspects = self._suspects
        tasks = self._agent.tasks
        interval = sys.getswitchinterval()
        forced = _WAITED_LEAST * interval <= late <= _WAITED_MOST * interval
        found, hit = [], []
        for task in current_tasks(tasks.loops):
            row = tasks.row_met(task)
            if row is None:
                continue
            found.append(row)
            following = _first_to_come(known().loop(task))
            before = suspects.get(row.loop)
            suspect = suspects[row.loop] = Suspect(row.id, now, self._cpu(row), following, forced)
            if before is not None and before.may_be_in(row.id, now, following):
                suspect.times = before.times + 1
                suspect.forced *= before.forced + 1
                hit.append((row, before, suspect))
        task = following = None  # nothing of the target is held any more: what follows may give up the lock
        for row, before, suspect in hit:
            if self._is_evident(row, before, suspect):
                self._count(row, now)
        if len(suspects) > len(found):
            current = {row.loop for row in found}
            for loop in [each for each in suspects if each not in current]:
                del suspects[loop]
        if hit:
            self._soon_until = now + _SOON_SECONDS
        if self._shown:
            self._forget(now)

    def _is_evident(self, row, before, suspect):
        """Whether the two looks show that the loop was held, rather than that they came in between short calls."""
        if suspect.forced >= _IN_A_ROW:
            return True
        if before.cpu is not None and suspect.cpu is not None:
            if suspect.cpu - before.cpu < _IDLE_SECONDS and self._sleeps(row):
                return True
        return suspect.times >= _IN_A_ROW and self._needs_no_lock(row, suspect.at)

    def _needs_no_lock(self, row, now):
        """Whether the thread of the row's loop computes while we have the interpreter lock."""
        if now - self._tried_at < _TRIED_SECONDS:
            return False
        self._tried_at = now
        clock = self._agent.clock
        before, begun = self._cpu(row), clock()
        while clock() - begun < _TRY_SECONDS:
            pass
        after = self._cpu(row)
        return before is not None and after is not None and after - before > _BUSY_SHARE * _TRY_SECONDS

    def _count(self, row, now):
        self._hits[row.id] = self._hits.pop(row.id, 0) + 1
        if len(self._hits) > MOST_KNOWN:
            del self._hits[next(iter(self._hits))]
        self._count_function(row, now)
        again = self._shown.pop(row.id, None) is not None  # once may be chance
        self._shown[row.id] = now
        if again and not row.flags & schema.FLAG_BLOCKING:
            row.flags |= schema.FLAG_BLOCKING
            self._agent.table.touch(row)

    def _count_function(self, row, now):
        functions = self._functions
        hits, tasks, last, at = functions.pop(row.function, (0, 0, 0, now))
        if now - at > _SHOWN_SECONDS:
            hits = tasks = 0
        functions[row.function] = hits + 1, tasks + (not tasks or last != row.id), row.id, now
        if len(functions) > MOST_FUNCTIONS:
            del functions[next(iter(functions))]

    def _forget(self, now):
        """Take the flag from those that were not hit for a while; the first is the one that was hit longest ago."""
        while self._shown:
            number, at = next(iter(self._shown.items()))
            if now - at < _SHOWN_SECONDS:
                return
            del self._shown[number]
            row = self._agent.table.rows.get(number)
            if row is not None and row.flags & schema.FLAG_BLOCKING:
                row.flags &= ~schema.FLAG_BLOCKING
                self._agent.table.touch(row)

    def _sleeps(self, row):
        """Whether the thread of the row's loop is asleep (proc_pid_stat(5))."""
        thread = self._thread(row)
        try:
            said = files.read("/proc/self/task/%d/stat" % thread.os_id, 1000)
        except OSError:
            return False
        return said.rpartition(b") ")[2][:1] in (b"S", b"D")

    def _thread(self, row):
        """The row of the thread that the row's loop runs in, None if it is not known."""
        node = self._agent.table.nodes.get(row.loop)
        return self._agent.table.rows.get(node.parent) if node is not None else None

    def _cpu(self, row):
        """CPU seconds of the thread that the row's loop runs in, None if they cannot be had.

        The clock of a thread has a number made of the kernel's for that thread, and the kernel checks it; to ask
        pthread for it would crash with the identity of a thread that is no more (kernel/time/posix-cpu-timers.c).
        """
        thread = self._thread(row)
        if thread is None or not thread.os_id:
            return None
        try:
            return self._clock_of_thread(~thread.os_id << 3 | 6)  # CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED
        except OSError:
            return None


def _first_to_come(loop):
    """The handle that a loop of asyncio calls next, None if there is none, or the loop is another."""
    ready = attribute(loop, "_ready")
    if type(ready) is not deque or not ready:
        return None
    first = deque.__getitem__(ready, 0)
    return first if class_module(type(first)) == "asyncio.events" else None


def current_tasks(loops):
    """Return the tasks that are in the middle of a step, of all loops; the caller lets go of them within its slice.

    Up to 3.13 they are in one dict, whose keys are not asked for. From 3.14 on `current_task` finds that of a loop in
    the thread that runs it, by C, and the dict has those of tasks written in Python.
    """
    module = sys.modules.get("asyncio.tasks")
    if module is None:
        return []
    names = module.__dict__
    held = names.get("_current_tasks")
    found = list(dict.values(held)) if type(held) is dict else []
    if sys.version_info >= (3, 14):
        current = names.get("current_task")
        if type(current) is _Builtin:
            for reference in loops.references():
                loop = reference()
                if loop is not None:
                    found.append(current(loop))
    types = known()
    return [task for task in found if task is not None and types.is_task(task)]
