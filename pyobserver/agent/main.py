"""The agent: its thread sleeps, serves its observers, and works a millisecond at a time."""

from pyobserver.agent import (
    actions,
    allocators,
    blocking,
    collector,
    creations,
    detail,
    facts,
    forks,
    groups,
    heap_places,
    history,
    measure,
    ownership,
    schedule,
    serve,
    tasks,
    threads,
    tracing,
)
from pyobserver.agent.kinds import frames, generators, greenlets, jobs, never_awaited, processes, trio
from pyobserver.agent.kinds.subject import TaskSubject
from pyobserver.agent.retention.scanner import Scanner
from pyobserver.agent.row import KEPT_IN_LISTS
from pyobserver.agent.rows import Table
from pyobserver.protocol import schema

_FIRST_OBSERVER_SECONDS = 20.0
_AWAITED_SECONDS = 3.0
_LOOK_SECONDS = 1.0  # an agent without anything to do looks around so often
_REAL_SLEEP = 0.001
_AT_FIRST = 0.25  # of its share of a core, for what keeps the picture up to date while the first one comes in
_NEARLY, _KNOWN = 0.9, 0.99  # of all tasks
_NEARLY_SECONDS = 10.0
_CROWD = 2000  # tasks from which on the first picture takes seconds


class Agent:
    """Everything the agent is made of. It lives on one thread, from `run` to its end.

    `mine` is the entry in the dict of `sys`, by which a later agent can ask this one to leave; `original` tells what
    the functions of a module were before the program has replaced them.
    """

    def __init__(self, mine, listener, config, original):
        self.clock = original("time", "perf_counter")
        self.wall = original("time", "time")
        self.cpu = original("time", "thread_time")
        self.sleep = original("time", "sleep")
        self.original = original
        self.farewell = ""
        self.config = config
        self.started_at = self._awaited_since = self.wall()
        self._nearly_since = None  # when nearly all tasks had been measured
        self._is_aged = False  # since the last slice nobody has observed
        self.table = Table(self.started_at)
        collector.count_holds(self.cpu)
        self.stays = False  # without an observer, until somebody asks it to leave
        self.torn = 0
        self._mine = mine
        self._poll = original("select", "poll")()
        self.service = serve.Service(self, listener, self._poll)
        self.scanner = Scanner(self.clock)
        self.self_check = self.scanner.self_check()
        process_time = original("time", "process_time")
        self.schedule = schedule.Schedule(self.clock, self.problem, lambda: process_time() - self.cpu(), self.cpu)
        self.threads = threads.ThreadProbe(self)
        self.tasks = tasks.TaskProbe(self, mine["loop"])
        self.scanner.name_by(self.tasks.describer.slots)
        self.ownership = ownership.Ownership(self, self.tasks)
        self.search = self.ownership.search
        self.measure = measure.Measuring(self, self.tasks)
        self.trio = trio.TrioProbe(self)
        self.jobs = jobs.JobProbe(self)
        self.never_awaited = never_awaited.NeverAwaitedProbe(self)
        self.generators = generators.GeneratorProbe(self)
        self.processes = processes.ProcessProbe(self)
        self.greenlets = greenlets.GreenletProbe(self)
        self.search.on_met = [self.never_awaited.meet, self.generators.meet]
        self.search.on_process = self.processes.meet
        self.frames = frames.ThreadFrames(self)
        self.subjects = {  # how the rows of a kind are looked into
            schema.KIND_TASK: TaskSubject(self),
            schema.KIND_TRIO_TASK: self.trio.subject,
            schema.KIND_JOB: self.jobs.subject,
            schema.KIND_ASYNC_GENERATOR: self.generators.subject,
            schema.KIND_NEVER_AWAITED: self.never_awaited.subject,
            schema.KIND_GREENLET: self.greenlets.subject,
            **self.frames.subjects(),
        }
        self.details = detail.Details(self, self.tasks, self.ownership)
        self.blocking = blocking.Blocking(self, original("time", "clock_gettime"))
        self.tracing = tracing.Tracing(self)
        self.creations = creations.Creations(self)
        self.actions = actions.Actions(self)
        self.actions.job = schedule.Job("actions", 3600.0, self.actions.work, duty=0.5)
        self.groups = groups.Groups(self, self.search)
        self.places = heap_places.HeapPlaces(self)
        self.places.job = schedule.Job("places", 60.0, self.places.work, duty=0.1)
        self.history = history.History(self)
        self.allocators = allocators.Allocators()
        self.own_memory = facts.OwnMemory(self, mine["modules"])
        self._updates = schedule.Job("updates", 0.0, self.service.updates, duty=0.5)
        self._wanted = schedule.Job("details", 60.0, self.details.work, duty=0.5)
        self._asked = schedule.Job("groups", 60.0, self.groups.work, duty=0.1)
        self.schedule.jobs = [
            self._updates,
            self._wanted,
            self.actions.job,
            self._asked,
            self.places.job,
            *self.threads.jobs(),
            *self.tasks.jobs(),
            *self.trio.jobs(),
            *self.jobs.jobs(),
            *self.frames.jobs(),
            *self.generators.jobs(),
            *self.never_awaited.jobs(),
            *self.processes.jobs(),
            *self.greenlets.jobs(),
            *self.ownership.jobs(),
            *self.measure.jobs(),
            self.history.job,
            schedule.Job("allocators", allocators.PERIOD, self.allocators.work, duty=allocators.DUTY),
            self.creations.job,
            schedule.Job("own memory", 3600.0, self.own_memory.count),
        ]
        self._listener = listener
        self._is_open = True
        self._forks = mine["forks"]
        forks.hand_over(self._forks, self.abandon, collector.resume)

    def run(self):
        """Serve until somebody asks to leave, or until nobody has been there for a while.

        Afterwards `farewell` says what went wrong, if something did.
        """
        failure = ""
        try:
            ready = 0.0
            while not self._mine["leave"] and not self._is_left(self.clock()):
                ready = self._turn(ready)
        except BaseException as error:
            failure = self.farewell = schedule.described("the agent failed", error)
        finally:
            self._end()
            self.farewell = failure

    def _turn(self, ready):
        """Wait for something to do, and do it; return from when on there may be another slice."""
        clock = self.clock
        now = clock()
        busy = bool(self.service.observers)
        works = busy or self.stays
        self.schedule.is_alone = not busy
        self.schedule.may_rest = self.is_known() and (self.search.complete or not busy)
        if busy and self._is_aged:
            self._begin_anew()
            ready = min(ready, now + schedule.EVERY_SECONDS)
        self._is_aged = not busy and self.service.had_observers
        wait = self.service.patience(now, _LOOK_SECONDS)
        if busy:
            self._updates.due = self.service.due(now)
        if works:
            wait = min(wait, max(self.schedule.wait(now), ready - now, _REAL_SLEEP))
        events = self._sleep(now, wait, busy)
        self.service.exchange(events)
        self.tracing.look(clock())
        forks.look(self._forks, clock())
        self.history.look(clock(), busy, works)
        if works and clock() >= ready and self.schedule.wait(clock()) <= 0.0:
            if clock() - now < _REAL_SLEEP:
                collector.outside(self.sleep, _REAL_SLEEP)
            start = clock()
            seconds, every = schedule.SLICE_SECONDS, schedule.EVERY_SECONDS
            if busy and not self.is_known():
                every = schedule.FIRST_SECONDS if self.is_awaited() else schedule.LATER_SECONDS
                takes_longer = KEPT_IN_LISTS and not self.tasks.complete  # to list them is more than a slice
                if self.tasks.count > _CROWD and not takes_longer:
                    seconds, every = schedule.LONG * seconds, schedule.LONG * every
            self.scanner.begin_slice()
            worked = self.schedule.work(seconds)
            if not busy:
                is_behind = worked >= schedule.SLICE_SECONDS
                every = schedule.BEHIND_SECONDS if is_behind else schedule.ALONE_SECONDS
            ready = max(ready, start - schedule.LATE_SECONDS) + every
            self.service.flush(clock())
        return ready

    def _sleep(self, now, seconds, looks):
        """Wait for events, and return them; with `looks`, look now and then which tasks hold their loops."""
        clock = self.clock
        end = now + seconds
        while True:
            wait = min(end - now, self.blocking.patience()) if looks else end - now
            milliseconds = int(wait * 1000.0 + 0.999)
            events = collector.outside(self._poll.poll, milliseconds)
            if not looks:
                return events
            woken = clock()
            self.blocking.look(woken, 0.0 if events else woken - now - milliseconds / 1000.0)
            now = clock()
            if events or end - now < _REAL_SLEEP:
                return events

    def _is_left(self, now):
        linger = self.config.get("linger")
        if self._mine["wanted"]:  # somebody has asked for an agent, and found this one
            self._mine["wanted"] = False
            self.service.left_at = now
        if linger is None or self.stays or self.service.observers:
            return False
        patience = linger if self.service.had_observers else _FIRST_OBSERVER_SECONDS
        if now - self.service.left_at <= patience:
            return False
        self._mine["leave"] = True  # so that a script that comes now waits for room
        return True

    def _end(self):
        reason = self.farewell or "no observer is left, or another agent takes over"
        for part in (self.tracing, self.actions, self.creations):  # what was changed in the program
            try:
                part.close()
            except BaseException as error:  # the others have to be taken back nevertheless
                reason = schedule.described("at the end", error)
        for observer in self.service.observers.values():
            observer.update = None
            observer.send({"t": "bye", "reason": reason})
        self.service.close()
        self.tasks.close()
        self._is_open = False
        self._forget()

    def _forget(self):
        """Let go of everything, a little at a time: to free all rows at once would hold the interpreter for long."""
        for walk in (self.search.walk, self.places.walk):
            if walk is not None:
                walk.let_go()
        self.schedule.jobs = []
        kinds = (self.trio, self.jobs, self.generators, self.never_awaited, self.processes, self.greenlets)
        for kept in [each for probe in (self.table, *kinds, self.measure, self.history) for each in probe.kept()]:
            begun = self.clock()
            while kept:
                kept.popitem() if type(kept) is dict else kept.pop()
                if self.clock() - begun > schedule.SLICE_SECONDS:
                    collector.outside(self.sleep, schedule.EVERY_SECONDS)
                    begun = self.clock()
        self.table.drop()
        self.tasks.drop()
        self.greenlets.drop()
        parts = (
            self.service,
            self.measure,
            self.details,
            self.actions,
            self.creations,
            self.tracing,
            self.blocking,
            self.groups,
            self.places,
            self.history,
            self.ownership,
            self.search,
            self.tasks,
            self.threads,
            self.schedule,
        )
        for part in (self.search.walk, self.frames, *kinds, *self.subjects.values(), *parts, self.scanner):
            if part is not None:
                part.__dict__.clear()
        self._updates = self._wanted = self._asked = self.own_memory = self._poll = self.scanner = None

    def abandon(self):
        """In a child that the target has forked: there is no agent, and nobody is talked to."""
        self._listener.close()
        if self._is_open:
            self.service.abandon()
            self.tracing.switch_off()
            self.creations.close()
            self.tasks.close()

    def _begin_anew(self):
        """Somebody comes, and what is known is old."""
        self._awaited_since = self.wall()
        self.tasks.begin_anew()
        self.trio.begin_anew()
        self.search.begin_anew()

    def is_known(self):
        """Whether the first picture is complete: all tasks met, nearly all measured.

        Where many come and go, some never are: it is complete some seconds after most have been.
        """
        if not (self.tasks.complete and self.trio.complete):
            return False
        if self.self_check != "ok":
            return True
        total, measured = self.measure.counts()
        if measured < _NEARLY * total:
            self._nearly_since = None
            return False
        self._nearly_since = self._nearly_since or self.clock()
        return measured >= _KNOWN * total or self.clock() - self._nearly_since > _NEARLY_SECONDS

    def is_awaited(self):
        """Whether somebody sits before the first picture: for seconds, not for as long as it may take."""
        return self.wall() - self._awaited_since < _AWAITED_SECONDS and not self.is_known()

    def upkeep(self, share):
        """Return what of a core a job may take that keeps the picture up to date: less while the first one comes in."""
        return share if self.is_known() else _AT_FIRST * share

    # -- what the connections ask for ---------------------------------------------------------------------------------

    def leave(self, reason):
        """End soon, for everybody."""
        self.farewell = reason
        self._mine["leave"] = True

    def stay(self):
        """Go on without an observer, sparingly, until somebody asks to leave."""
        self.stays = True

    def look_at(self, ids):
        """Measure these rows first: they are on a screen."""
        self.measure.first(ids)

    def ask_detail(self):
        """Somebody waits for a detail."""
        self._wanted.hurry()

    def ask_group(self):
        """Somebody waits to hear about a group."""
        self._asked.hurry()

    def ask_places(self):
        """Somebody waits to hear where objects are held."""
        self.places.job.hurry()

    def problem(self, text):
        """Tell all observers of something that could not be done."""
        for observer in self.service.observers.values():
            if observer.out_bytes < 65536:
                observer.send({"t": "problem", "text": text[:500]})
