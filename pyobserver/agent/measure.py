"""When which task is measured: what is on a screen first, then what is new, what has moved, what is young or old."""

from _collections import deque

from pyobserver.agent.schedule import WHOLE, Job
from pyobserver.protocol import schema

_ROUND_SECONDS = 0.2
_FOCUS_SECONDS = 1.0  # how old a value on the screen may be when the task has moved
_MOVED_SECONDS = 2.0  # and elsewhere
_OLD_SECONDS = 30.0  # others may let go of what a task then retains alone, without its moving
_OLD_AT_ONCE = 300
_YOUNG_SECONDS = (2.0, 10.0)  # after its first value: who has created it may have held for a moment what it works on
_MOST_YOUNG = 5000
_MOST_TRIES = 3  # of a task that has not moved, when only a lower bound comes out
_AGAIN_SECONDS = 0.3  # before the next of them
_LONGER_SECONDS = 0.0016  # what the later ones of them may take
_DUTY_FIRST, _DUTY = 0.1, 0.008
_FRESH_SHARE = 0.8


class Measuring:
    """Keeps `retained` of all rows that can be measured as true as its share of the time allows.

    How the things of a kind are measured is told by `agent.subjects`, from kind to `kinds.subject.Subject`.
    """

    def __init__(self, agent, tasks):
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self._focus = []
        self._new = deque()
        self._moved = {}  # id -> row
        self._doubted = set()  # ids of rows with a lower bound that is soon tried again
        self._order = {}  # id -> row, the one whose value is oldest first
        self._young = [deque((), _MOST_YOUNG) for _ in _YOUNG_SECONDS]  # (when it is due again, row), in this order
        self._measured = 0
        self._seconds = 0.0005  # that one scan takes, on average
        self._job = Job("memory", _ROUND_SECONDS, self._round, duty=_DUTY_FIRST)
        self._others = 0  # rows of other kinds that are measured as tasks are
        tasks.on_new.append(self._note_new)
        tasks.on_moved.append(self._note_moved)
        tasks.on_ended.append(self._note_ended)

    def add(self, row):
        """Measure this row of another kind from now on; one that is not counted begins with `note_moved`."""
        self._others += 1
        self._new.append(row)

    def note_moved(self, row):
        """What this row of another kind stands for has run, or may have."""
        row.tries = 0
        self._moved[row.id] = row

    def forget(self, row):
        """Measure this row of another kind no more: it has ended."""
        if row.kind not in self._agent.subjects:
            return
        if self._subject(row).is_counted:
            self._others -= 1
        self._note_ended(row)

    def _subject(self, row):
        return self._agent.subjects[row.kind]

    def jobs(self):
        """What is done again and again: nothing, when the self-check has found that values would be wrong."""
        return [self._job] if self._agent.self_check == "ok" else []

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._new, self._moved, self._order, *self._young]

    def counts(self):
        """Return (tasks and what is counted like them, those that have a value which is not tried again at once)."""
        return len(self._tasks.rows()) + self._others, self._measured - len(self._doubted)

    def first(self, ids):
        """Measure these rows before all others: they are on a screen."""
        self._focus = ids
        self._job.hurry()

    def _note_new(self, row, task):
        self._new.append(row)

    def _note_moved(self, row, task):
        row.tries = 0
        self._moved[row.id] = row

    def _note_ended(self, row):
        self._moved.pop(row.id, None)
        self._order.pop(row.id, None)
        self._doubted.discard(row.id)
        if row.measured_at and self._subject(row).is_counted:
            self._measured -= 1

    # -- one round ----------------------------------------------------------------------------------------------------

    def _round(self, now):
        for row in self._next(self._agent.wall()):
            while now.left() < 0.3 * now.seconds:
                now = yield
            if row.tries or not self._scan(row, now):
                now = yield WHOLE  # a large one gets a slice of its own
                self._scan(row, now, True)
            if now.over():
                now = yield
        first = bool(self._new) or bool(self._doubted) or self._measured < self.counts()[0]
        self._job.duty = _DUTY_FIRST if first else _DUTY

    def _next(self, wall):
        """Yield the rows to measure. New ones may come in meanwhile, and go first."""
        rows = self._table.rows
        for number in self._focus:
            row = rows.get(number)
            if row is not None and self._is_due(row, wall, _FOCUS_SECONDS):
                yield row
        yield from self._take_new()
        moved = [row for row in self._moved.values() if self._is_due(row, wall, _MOVED_SECONDS)]
        moved.sort(key=lambda row: -row.retained)
        for row in moved:
            yield from self._take_new()
            yield row
        for row in self._take_young(wall):
            yield from self._take_new()
            yield row
        limit = max(_OLD_SECONDS, self._seconds * len(self._order) / _DUTY)
        old = []
        for row in self._order.values():
            if wall - row.measured_at < limit or len(old) >= _OLD_AT_ONCE:
                break
            old.append(row)
        for row in old:
            yield from self._take_new()
            yield row

    def _take_new(self):
        while self._new:
            yield self._new.popleft()

    def _take_young(self, wall):
        """Yield what is to be measured again a while after its first value; it follows at longer intervals then."""
        for stage, waiting in enumerate(self._young):
            while waiting and waiting[0][0] <= wall:
                row = waiting.popleft()[1]
                if self._table.rows.get(row.id) is row:
                    self._wait_young(row, wall, stage + 1)
                    yield row

    def _wait_young(self, row, wall, stage):
        if stage < len(self._young):
            self._young[stage].append((wall + _YOUNG_SECONDS[stage], row))

    def _is_due(self, row, wall, seconds):
        if row.kind not in self._agent.subjects:
            return False
        if row.id in self._doubted:
            seconds = _AGAIN_SECONDS
        return not row.measured_at or (row.id in self._moved and wall - row.measured_at >= seconds)

    def _scan(self, row, now, is_last_try=False):
        """Measure one row; False when it needs a slice of its own, or the slice was torn."""
        thing = row.ref()
        if thing is None or row.id not in self._table.rows:
            return True
        if self._agent.ownership.is_walking_in(row):
            self._moved[row.id] = row
            return True
        subject = self._subject(row)
        if subject.is_executing(thing):
            if row.measured_at and row.accuracy != schema.STALE:
                row.accuracy = schema.STALE
                self._table.touch(row)
            return True
        is_fresh = now.left() > _FRESH_SHARE * now.seconds
        begun = now.clock()
        deadline = now.begun + _LONGER_SECONDS if is_fresh and row.tries else now.deadline
        found = subject.scan(thing, deadline)
        thing = None
        taken = now.clock() - begun
        if now.torn():
            self._agent.torn += 1
            if is_last_try:
                self._moved[row.id] = row
            return is_last_try
        if found.accuracy != schema.EXACT and not is_fresh and not is_last_try:
            return False
        self._seconds += 0.02 * (taken - self._seconds)
        self._write(row, found)
        return True

    def _write(self, row, found):
        if found.accuracy == schema.UNAVAILABLE:
            return
        wall = self._agent.wall()
        subject = self._subject(row)
        if not row.measured_at:
            self._measured += subject.is_counted
            if not row.flags & schema.FLAG_AGE_IS_MINIMUM:
                self._wait_young(row, wall, 0)
        row.measured_at = wall
        self._moved.pop(row.id, None)
        self._order.pop(row.id, None)
        self._order[row.id] = row
        retained, error = int(found.bytes), int(found.error or 0)
        if (retained, found.accuracy, error) != (row.retained, row.accuracy, row.error):
            row.retained, row.accuracy, row.error = retained, found.accuracy, error
        self._table.touch(row)
        if found.accuracy == schema.AT_LEAST and row.tries < _MOST_TRIES and subject.is_counted:
            row.tries += 1
            self._doubted.add(row.id)
            self._moved[row.id] = row  # what was in the way may have become known meanwhile
        else:
            self._doubted.discard(row.id)
