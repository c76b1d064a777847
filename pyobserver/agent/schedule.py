"""When the agent works: slices of a millisecond or two, each after a real sleep, shared by jobs that take turns.

A slice shorter than the switch interval, begun after a sleep, is atomic: no other Python thread runs meanwhile. That is
why reference counts read in it are true, and why nothing that is held only in it can become the last reference.
"""

import sys

SLICE_SECONDS = 0.001
_SHORTEST_SECONDS = 0.0002  # where the switch interval is so short that nothing is atomic, work goes on nevertheless
EVERY_SECONDS = 0.010  # from the beginning of one slice to that of the next
ALONE_SECONDS = 1.0  # the same while nobody observes: 0.1 % of a core at most
BEHIND_SECONDS = 0.2  # and after a slice that was too short for what there was to do: 0.5 %
LATE_SECONDS = 0.002  # so much of a late beginning is made up for by the next gap: poll() counts in milliseconds
LATER_SECONDS = 0.010  # until the first picture is complete: with the time to wake up it is one in ten, too
FIRST_SECONDS = 0.005  # for a while, until the first picture is complete: somebody waits for it
LONG = 2.0  # times as long are slices, and as far apart, in a crowd: what comes first in one takes five times as long
WHOLE = "a whole slice"
_HARDLY = 0.1  # of a slice: what others may have used of one that is whole
_BEATS = (1.0, 0.5, 0.1)  # seconds: rounds begin at multiples, many in one slice, as to wake up takes more than most
STILL_SECONDS = 0.00001  # of processor time, in which no step of a task can be done: to wake up takes more
_REST_SECONDS = 5.0  # that a round is left out at most: not everywhere is processor time counted that exactly
_MOST_SECONDS = 60.0  # that it waits
_FAILURES = 3
_TORN_SHARE = 0.9


class Slice:
    """When a job may work. `over()` says when to stop, `torn()` whether others may have run meanwhile.

    `clock` is like `time.perf_counter`, `cpu` like `time.thread_time`.
    """

    __slots__ = ("begun", "clock", "cpu", "deadline", "limit", "ran", "seconds")

    def __init__(self, clock, seconds, ran=0.0, cpu=None):
        self.clock = clock
        self.cpu = cpu or clock
        interval = sys.getswitchinterval()
        self.begun = clock()
        self.ran = ran  # seconds of the processor that the program has had by then
        self.seconds = max(_SHORTEST_SECONDS, min(seconds, 0.4 * interval))
        self.deadline = self.begun + self.seconds
        self.limit = _TORN_SHARE * interval

    def over(self):
        """Whether the time is up."""
        return self.clock() >= self.deadline

    def left(self):
        """Seconds that are left."""
        return self.deadline - self.clock()

    def torn(self):
        """Whether it has lasted so long that another thread may have run in it."""
        return self.clock() - self.begun > self.limit


class Job:
    """Something that is done again and again, in parts.

    `work(slice)` returns a generator over one round. It stops by `yield` when the slice is over, gets the next one from
    it, and keeps no strong reference to anything of the target over a `yield`. By `yield WHOLE` it asks for a slice
    that nobody else has used some of: what it does then may take longer than one. The next round begins `period`
    seconds after this one has begun, but later if rounds are expensive: it gets at most the share `duty` of one core.
    With `goes_on` it is done also while nobody observes. One that `rests` has nothing to do while the program has not
    run.
    """

    def __init__(self, name, period, work, duty=0.02, goes_on=False, rests=False):
        self.name = name
        self.period = period
        self.due = 0.0
        self.rounds = 0
        self.failures = 0
        self.in_round = False  # one has begun and not ended
        self.wants_whole = False
        self.is_urgent = False  # it goes before others
        self._work = work
        self.duty = duty  # it may be changed between rounds
        self.goes_on = goes_on
        self.rests = rests  # this one, too
        self.left_out = 0  # rounds before this one
        self._round = None
        self._begun = 0.0
        self._spent = 0.0
        self._every = 0.0  # from the beginning of the last round to the next
        self._ran = None  # as in a slice, when the last round began
        self._left_out = 0

    def hurry(self):
        """Begin the next round as soon as possible."""
        if not self.in_round:
            self.due = 0.0
            self._ran = None

    def put_off(self, now, ran):
        """Leave the next round out if the program has not run since the last, not long ago; return whether it is so."""
        if self._ran is None or ran - self._ran > STILL_SECONDS or now - self._begun > _REST_SECONDS:
            return False
        self._left_out += 1
        self.due = on_beat(now + max(_BEATS[0], self._every), _BEATS[0])
        return True

    def run(self, now):
        """Work in the slice `now` until it is over or the round has ended."""
        before = now.cpu()
        try:
            if not self.in_round:
                self._begun, self._spent, self._ran = now.clock(), 0.0, now.ran
                self.left_out, self._left_out = self._left_out, 0
                self.in_round = True
                self._round = self._work(now)
                self.wants_whole = next(self._round) is WHOLE
            else:
                self.wants_whole = self._round.send(now) is WHOLE
        except StopIteration:
            self._end(before, now)
            self.failures = 0
            return
        except BaseException:
            self._end(before, now)
            self.failures += 1
            raise
        self._spent += now.cpu() - before

    def _end(self, before, now):
        self._spent += now.cpu() - before
        self._round = None
        self.in_round = self.wants_whole = False
        self.rounds += 1
        due, allowed = self._begun + self.period, now.clock() + self._spent / self.duty - self._spent
        beat = _beat(self.period)
        if beat:
            due, allowed = on_beat(due, self.period), allowed + -allowed % beat
        self.due = max(due, allowed)
        self._every = self.due - self._begun


def on_beat(due, period):
    """Return the beat at which something of this period is due: the one before, as the last round began behind one."""
    beat = _beat(period)
    return due - due % beat if beat else due


def _beat(period):
    """Return the longest beat that goes into a period, 0.0 if none does."""
    for beat in _BEATS:
        if period >= beat and not period % beat:
            return beat
    return 0.0


class Schedule:
    """Runs jobs in slices. The first of `jobs` tells what the others have found: it comes behind them in the slice in
    which it is due, and before them in the next. The others take turns.

    While it `is_alone`, as nobody observes, what has begun comes to its end, and only what goes on begins. `ran` tells
    the processor time of all threads but this one; as long as it stands still, jobs rest that can, if it `may_rest`.
    """

    def __init__(self, clock, problem, ran, cpu=None):
        self.jobs = []
        self.given_up = []  # what is not done any more, and why, for who comes later
        self.is_alone = False
        self.may_rest = False
        self._clock = clock
        self._problem = problem
        self._ran = ran
        self._cpu = cpu
        self._turn = 0
        self._is_passed = False  # the first job had something to do in the last slice, and no time was left for it
        self._next = None  # the job that the last slice was not whole enough for: it comes before all others

    def wait(self, now):
        """Seconds until some job has work to do; 0.0 when one has it already."""
        is_alone, due = self.is_alone, now + _MOST_SECONDS
        for job in self.jobs:
            if job.in_round:
                return 0.0
            if job.due < due and (job.goes_on or not is_alone):
                due = job.due
        return max(0.0, due - now)

    def work(self, seconds):
        """Use one slice of at most so many `seconds`; return how long it was."""
        now = Slice(self._clock, seconds, self._ran(), self._cpu)
        order = self._ready(now)
        teller = self.jobs[0] if self.jobs else None
        self._is_passed = teller in order
        self._next = None
        for job in order:
            if now.over():
                break
            if job.wants_whole and job is not order[0] and now.left() < (1.0 - _HARDLY) * now.seconds:
                self._next = self._next or job
                continue
            if job is teller:
                self._is_passed = False
            self._run(job, now)
        return now.clock() - now.begun

    def _ready(self, now):
        """Return the jobs that have something to do, in the order in which they work."""
        jobs, is_alone, may_rest, begun = self.jobs, self.is_alone, self.may_rest, now.begun
        self._turn = self._turn % max(1, len(jobs) - 1) + 1
        order = jobs[self._turn :] + jobs[1 : self._turn] + jobs[:1]
        ready = [job for job in order if job.in_round or (job.due <= begun and (job.goes_on or not is_alone))]
        if may_rest:
            ready = [job for job in ready if job.in_round or not (job.rests and job.put_off(begun, now.ran))]
        if len(ready) > 1:
            told = ready.pop() if ready[-1] is jobs[0] else None
            ready.sort(key=_goes_later)
            if told is not None:
                ready.insert(0 if told.in_round or self._is_passed else len(ready), told)
            if self._next in ready:
                ready.remove(self._next)
                ready.insert(0, self._next)
        return ready

    def _run(self, job, now):
        try:
            job.run(now)
        except BaseException as error:
            why = described(job.name, error)
            self._problem(why)
            job.due = self._clock() + 5.0 * job.failures
            if job.failures >= _FAILURES:
                self.jobs.remove(job)
                self._problem("%s is given up" % job.name)
                self.given_up.append("%s is given up: %s" % (job.name, why))


def _goes_later(job):
    return not job.is_urgent, not job.wants_whole


def described(name, error):
    """What went wrong where, as text; the traceback is let go, as it holds frames, and they objects of the target."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        where = "%s:%d" % (trace.tb_frame.f_code.co_filename.strip("<>").rpartition(".")[2], trace.tb_lineno)
        trace = trace.tb_next
    error.__traceback__ = None
    kind = type.__dict__["__name__"].__get__(type(error))
    detail = error.args[0] if error.args and type(error.args[0]) is str else ""
    return "%s: %s %s (%s)" % (name, kind, detail[:200], where)
