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
_BEAT_SECONDS = 0.1  # rounds begin at multiples of this, several in one slice: to wake up takes more than most of them
_FAILURES = 3
_TORN_SHARE = 0.9


class Slice:
    """When a job may work. `over()` says when to stop, `torn()` whether others may have run meanwhile."""

    __slots__ = ("begun", "clock", "deadline", "limit", "seconds")

    def __init__(self, clock, seconds):
        self.clock = clock
        interval = sys.getswitchinterval()
        self.begun = clock()
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
    that nobody else has used some of. The next round begins `period` seconds
    after this one has begun, but later if rounds are expensive: it gets at most the share `duty` of one core. With
    `goes_on` it is done also while nobody observes.
    """

    def __init__(self, name, period, work, duty=0.02, goes_on=False):
        self.name = name
        self.period = period
        self.due = 0.0
        self.rounds = 0
        self.failures = 0
        self.wants_whole = False
        self.is_urgent = False  # it goes before others
        self._work = work
        self.duty = duty  # it may be changed between rounds
        self.goes_on = goes_on
        self._round = None
        self._begun = 0.0
        self._spent = 0.0

    @property
    def in_round(self):
        """Whether a round has begun and not ended."""
        return self._round is not None

    def hurry(self):
        """Begin the next round as soon as possible."""
        if self._round is None:
            self.due = 0.0

    def run(self, now):
        """Work in the slice `now` until it is over or the round has ended."""
        before = now.clock()
        try:
            if self._round is None:
                self._begun, self._spent = before, 0.0
                self._round = self._work(now)
                self.wants_whole = next(self._round) is WHOLE
            else:
                self.wants_whole = self._round.send(now) is WHOLE
        except StopIteration:
            self._end(before, now.clock())
            self.failures = 0
            return
        except BaseException:
            self._end(before, now.clock())
            self.failures += 1
            raise
        self._spent += now.clock() - before

    def _end(self, before, after):
        self._spent += after - before
        self._round = None
        self.wants_whole = False
        self.rounds += 1
        due = max(self._begun + self.period, after + self._spent / self.duty - self._spent)
        if self.period >= _BEAT_SECONDS:
            due += -due % _BEAT_SECONDS
        self.due = due


class Schedule:
    """Runs jobs in slices. The first of `jobs` is asked first in every slice; the others take turns.

    While it `is_alone`, as nobody observes, what has begun comes to its end, and only what goes on begins.
    """

    def __init__(self, clock, problem):
        self.jobs = []
        self.given_up = []  # what is not done any more, and why, for who comes later
        self.is_alone = False
        self._clock = clock
        self._problem = problem
        self._turn = 0

    def wait(self, now):
        """Seconds until some job has work to do; 0.0 when one has it already."""
        due = 60.0
        for job in self.jobs:
            if job.in_round:
                return 0.0
            if job.due - now < due and (job.goes_on or not self.is_alone):
                due = job.due - now
        return max(0.0, due)

    def work(self, seconds):
        """Use one slice of at most so many `seconds`; return how long it was."""
        now = Slice(self._clock, seconds)
        jobs = self.jobs
        order = jobs[:1]
        if len(jobs) > 1:
            self._turn = self._turn % (len(jobs) - 1) + 1
            order = jobs[:1] + jobs[self._turn :] + jobs[1 : self._turn]
            order.sort(key=_goes_later)
        for job in order:
            if now.over():
                break
            if job.in_round or (job.due <= now.begun and (job.goes_on or not self.is_alone)):
                self._run(job, now)
        return now.clock() - now.begun

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
