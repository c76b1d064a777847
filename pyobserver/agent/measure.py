"""When which task is measured: what is on a screen first, then a sample of each function, then what is new, has moved,
is young or old.

A sample of each function comes first, as many speak for all: what a hundred thousand tasks retain together is known to
a few percent long before all of them have been measured.
"""

from _collections import deque
from itertools import islice

from pyobserver.agent.retention.containers import Chance
from pyobserver.agent.row import BITS, BOUND, LOGGED, MET, MOVED, Row
from pyobserver.agent.schedule import STILL_SECONDS, WHOLE, Job
from pyobserver.protocol import schema

_ROUND_SECONDS = 0.2  # until all are measured
_LATER_SECONDS = 0.5
_FOCUS_SECONDS = 1.0  # how old a value on the screen may be when the task has moved
_MOVED_SECONDS = 2.0  # and elsewhere
_OLD_SECONDS = 30.0  # others may let go of what a task then retains alone, without its moving
_ALONE_FACTOR = 10  # so much longer while nobody observes
_STILL_FACTOR = 10  # and while the program does not run
_AT_ONCE = 300  # old ones, and moved ones, in a round
_LOOKED_AT = 4000  # positions in a round, for those that have no value, and for old ones
_SAMPLE = 200  # of one function
_MOST_SAMPLED = 200  # functions
_MOST_NEW = 2000  # that are noted; more are found by looking at all
_YOUNG_SECONDS = (2.0, 10.0)  # after its first value: who has created it may have held for a moment what it works on
_MOST_YOUNG = 5000
_MOST_TRIES = 3  # of a task that has not moved, when only a lower bound comes out
_AGAIN_SECONDS = 0.3  # before the next of them
_LONGER_SECONDS = 0.0016  # what the later ones of them may take
_DUTY_FIRST, _DUTY_BEHIND, _DUTY = 1.0, 0.05, 0.008  # at first the pauses between slices are what limits it
_FRESH_SHARE = 0.8
_BATCH = 32  # rows that are looked at together
_ROOM_SHARE, _ROOM_ROWS = 0.3, 4  # of a slice, or of what a row takes, that have to be left for another one
_WEIGHT = 0.1  # of the last batch, in what a row takes on average


class Measuring:
    """Keeps `retained` of all rows that can be measured as true as its share of the time allows.

    How the things of a kind are measured is told by `agent.subjects`, from kind to `kinds.subject.Subject`.
    """

    def __init__(self, agent, tasks):
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self._focus = []
        self._new = deque()  # ids
        self._samples = {}  # function -> [ids of some of its tasks, by chance; how many there were to choose from]
        self._chance = Chance()
        self._moved = {}  # id -> None
        self._doubted = set()  # ids of rows with a lower bound that is soon tried again
        self._young = [deque((), _MOST_YOUNG) for _ in _YOUNG_SECONDS]  # (when it is due again, id), in this order
        self._without = 0  # position from which on there may be rows without a value that nothing else leads to
        self._oldest = 0  # position from which on the next old values are looked for
        self._measured = 0
        self._seconds = 0.0005  # that one row takes, on average
        self._job = Job("memory", _ROUND_SECONDS, self._round, duty=_DUTY_FIRST, goes_on=True)
        self._ran = 0.0  # the program's processor time when it was seen to have run
        self._ran_at = 0.0  # when that was, Unix time
        self._others = 0  # rows of other kinds that are measured as tasks are
        tasks.on_new.append(self._note_new)
        tasks.states.on_moved.append(self._note_moved)
        tasks.on_ended.append(self._note_ended)

    def add(self, row):
        """Measure this row of another kind from now on."""
        self._others += self._subject(row).is_counted
        self._note_new(row, None)

    def note_moved(self, row):
        """What this row of another kind stands for has run, or may have."""
        self._note_moved(row, None)

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
        return [self._new, self._moved, self._samples, *self._young]

    def counts(self):
        """Return (tasks and what is counted like them, those that have a value which is not tried again at once)."""
        return self._tasks.count + self._others, self._measured - len(self._doubted)

    def first(self, ids):
        """Measure these rows before all others: they are on a screen."""
        self._focus = ids
        self._job.hurry()

    def _note_new(self, row, task):
        if len(self._new) < _MOST_NEW:
            self._new.append(row.id)
        elif row.position < self._without:
            self._without = row.position
        if not self._tasks.complete and row.kind == schema.KIND_TASK:
            self._sample(row)

    def _sample(self, row):
        """Take a task among the sample of its function with the same chance for each."""
        if row.function not in self._samples and len(self._samples) >= _MOST_SAMPLED:
            return
        entry = self._samples.get(row.function)
        if entry is None:
            entry = self._samples[row.function] = [[], 0]
        entry[1] += 1
        if len(entry[0]) < _SAMPLE:
            entry[0].append(row.id)
        else:
            place = self._chance.below(entry[1])
            if place < _SAMPLE:
                entry[0][place] = row.id

    def _note_moved(self, row, task):
        if row.id not in self._doubted:  # what moves all the time would never come to the last of its tries
            row.tries = 0
        row.mark(MOVED)
        if len(self._moved) < _MOST_NEW:
            self._moved[row.id] = None

    def _note_ended(self, row):
        self._moved.pop(row.id, None)
        self._doubted.discard(row.id)
        if row.measured_at and self._subject(row).is_counted:
            self._measured -= 1

    # -- one round ----------------------------------------------------------------------------------------------------

    def _round(self, now):
        wall = self._agent.wall()
        if now.ran - self._ran > STILL_SECONDS:
            self._ran, self._ran_at = now.ran, wall
        chosen = self._next(wall)
        is_over = False
        while not is_over:
            while not self._has_room(now):
                now = yield
            begun, first = now.clock(), now
            rows, is_over = self._take(chosen, now)
            self._agent.scanner.begin_batch()
            inside = self._agent.search.inside()
            for position, number in rows.items():
                if not self._has_room(now):
                    now = yield from self._room()
                    inside = self._agent.search.inside()
                if now is not first and self._table.position_of(number) != position:
                    continue
                if self._table.columns.tries[position] or not self._scan(position, now, inside):
                    now = yield WHOLE  # a large one gets a slice of its own
                    inside = self._agent.search.inside()
                    self._agent.scanner.begin_batch()
                    if self._table.position_of(number) == position:
                        self._scan(position, now, inside, True)
            if rows and now is first:
                self._seconds += _WEIGHT * ((now.clock() - begun) / len(rows) - self._seconds)
        first = bool(self._doubted) or self._measured < self.counts()[0]
        is_behind = bool(self._new) or self._without < self._table.end_position  # with what is not counted
        self._job.duty = _DUTY_FIRST if first else _DUTY_BEHIND if is_behind else _DUTY
        period = _ROUND_SECONDS if first else _LATER_SECONDS
        self._job.period = period * (_ALONE_FACTOR if self._agent.schedule.is_alone else 1)
        self._job.rests = not (first or self._new or self._moved or any(self._young))

    def _has_room(self, now):
        """Whether there is time for one more in this slice, most likely."""
        return now.left() >= min(_ROOM_SHARE * now.seconds, _ROOM_ROWS * self._seconds)

    def _room(self):
        """Wait for another slice; what was seen in the last one may not be true any more."""
        now = yield
        while not self._has_room(now):
            now = yield
        self._agent.scanner.begin_batch()
        return now

    def _take(self, chosen, now):
        """Return (ids of as many rows as there is time for, by their positions; whether these are the last), after a
        look at what they do.

        Looking reads lines, and lets go of the interpreter lock for that. So all looks come first, and nothing else
        runs between the scans.
        """
        rows = {}  # in order; one that has no value yet may be found in two ways
        most = min(_BATCH, int(now.left() / self._seconds))
        columns = self._table.columns
        kinds, generations, marks = columns.kind, columns.generation, columns.marks
        for position in chosen:
            if position is None:  # nothing to be measured was found so far
                if rows or now.over():
                    return rows, False
                continue
            if position in rows:
                continue
            if kinds[position] == schema.KIND_TASK and not marks[position] & MET:
                task = self._table.refs[position]()
                if task is not None:
                    self._tasks.states.look_again(position, task)
                    task = None
            rows[position] = generations[position] << BITS | position
            if len(rows) >= most:
                return rows, False
        return rows, True

    def _next(self, wall):
        """Yield the positions of rows to measure; None now and then, when none is found. More may come meanwhile."""
        rows = self._table.rows
        for number in self._focus:
            row = rows.get(number)
            if row is not None and self._is_due(row, wall, _FOCUS_SECONDS):
                yield row.position
        self._job.is_urgent = self._tasks.complete and bool(self._samples)
        yield from self._take_samples()
        if not self._tasks.complete:  # first of all, how many there are of what
            return
        self._samples.clear()
        self._job.is_urgent = False
        yield from self._take_new()
        moved = []
        for number in list(islice(self._moved, _MOST_NEW)):
            row = rows.get(number)
            if row is None:
                self._moved.pop(number, None)
            elif self._is_due(row, wall, _MOVED_SECONDS):
                moved.append((-row.retained, number))
            if len(moved) % 64 == 63:
                yield None
        moved.sort()
        for _, number in moved[:_AT_ONCE]:
            yield from self._take_new()
            row = rows.get(number)
            yield None if row is None else row.position
        yield from self._take_young(wall)
        yield from self._take_without()
        yield from self._take_old(wall)

    def _take_samples(self):
        """Yield the positions of the tasks that stand for their functions, one of each function in turn."""
        for turn in range(_SAMPLE if self._samples else 0):
            for ids, _ in list(self._samples.values()):
                row = self._table.rows.get(ids[turn]) if turn < len(ids) else None
                if row is not None and not row.measured_at:
                    yield row.position
            yield None

    def _take_new(self):
        while self._new:
            row = self._table.rows.get(self._new.popleft())
            if row is not None and not row.measured_at:
                yield row.position

    def _take_young(self, wall):
        """Yield what is to be measured again a while after its first value; it follows at longer intervals then."""
        for stage, waiting in enumerate(self._young):
            while waiting and waiting[0][0] <= wall:
                row = self._table.rows.get(waiting.popleft()[1])
                if row is not None:
                    self._wait_young(row.id, wall, stage + 1)
                    yield row.position

    def _wait_young(self, number, wall, stage):
        if stage < len(self._young):
            self._young[stage].append((wall + _YOUNG_SECONDS[stage], number))

    def _take_without(self):
        """Yield the positions of rows that have no value yet, in their order."""
        table, columns, subjects = self._table, self._table.columns, self._agent.subjects
        end = min(self._without + _LOOKED_AT, table.end_position)
        while self._without < end:
            position = self._without
            self._without += 1
            if not columns.measured_at[position] and columns.kind[position] in subjects:
                if self._new:
                    yield from self._take_new()
                yield position
            elif not position & 63:
                yield None

    def _take_old(self, wall):
        """Yield the positions of rows whose value is old, or that have moved without being noted; each round goes on
        where one ended."""
        limit = max(_OLD_SECONDS, self._seconds * self._tasks.count / _DUTY)
        if self._agent.schedule.is_alone:
            limit *= _ALONE_FACTOR
        found = 0
        ran_at = self._ran_at - self._table.begun  # what was measured later is still true
        for _ in range(min(_LOOKED_AT, self._table.end_position)):
            if self._oldest >= self._table.end_position:
                self._oldest = 0
            position = self._oldest
            self._oldest += 1
            columns = self._table.columns
            measured_at = columns.measured_at[position]
            if measured_at:
                age = wall - self._table.begun - measured_at
                is_old = age >= (limit if measured_at < ran_at else _STILL_FACTOR * limit)
                if is_old or (columns.marks[position] & MOVED and age >= _MOVED_SECONDS):
                    yield from self._take_new()
                    yield position
                    found += 1
            if not position & 63:
                yield None
            if found >= _AT_ONCE:
                return

    def _is_due(self, row, wall, seconds):
        if row.kind not in self._agent.subjects:
            return False
        if row.id in self._doubted:
            seconds = _AGAIN_SECONDS
        return not row.measured_at or (row.is_marked(MOVED) and wall - row.measured_at >= seconds)

    def _scan(self, position, now, inside, is_last_try=False):
        """Measure the row at a position; False when it needs a slice of its own, or the slice was torn.

        `inside` are the ids of what a walk over the heap is in: it refers to some of that, which cannot be counted.
        """
        table, columns = self._table, self._table.columns
        reference = table.refs[position]
        thing = reference() if reference is not None else None
        subject = self._agent.subjects.get(columns.kind[position])
        if thing is None or subject is None:
            return True
        if id(thing) in inside:
            self._again(position)
            return True
        if subject.is_executing(thing):
            if columns.measured_at[position] and columns.accuracy[position] != schema.STALE:
                columns.accuracy[position] = schema.STALE
                table.touch_at(position)
            return True
        deadline = now.deadline
        is_fresh = deadline - now.clock() > _FRESH_SHARE * now.seconds
        if is_fresh and columns.tries[position]:
            deadline = max(deadline, now.begun + _LONGER_SECONDS)
        found = subject.scan_of_batch(thing, deadline)
        thing = None
        if now.torn():
            self._agent.torn += 1
            if is_last_try:
                self._again(position)
            return is_last_try
        if found.accuracy != schema.EXACT and not is_fresh and not is_last_try:
            return False
        subject.judge(found)
        if found.accuracy != schema.UNAVAILABLE:
            self._write(position, found, subject.is_counted)
        return True

    def _write(self, position, found, is_counted):
        table, columns = self._table, self._table.columns
        wall, accuracy, marks = self._agent.wall(), found.accuracy, columns.marks
        number = table.id_at(position)
        if not columns.measured_at[position]:
            self._measured += is_counted
            if not columns.flags[position] & schema.FLAG_AGE_IS_MINIMUM:
                self._wait_young(number, wall, 0)
        columns.measured_at[position] = table.seconds(wall)
        if marks[position] & MOVED:
            marks[position] &= ~MOVED
            self._moved.pop(number, None)
        columns.retained[position], columns.accuracy[position] = int(found.bytes), accuracy
        if found.error or position in table.rare["error"]:
            Row(table, position).error = int(found.error)
        if not marks[position] & LOGGED:
            table.touch_at(position)
        if accuracy == schema.AT_LEAST:
            if columns.tries[position] < _MOST_TRIES and is_counted:
                columns.tries[position] += 1
                if not marks[position] & BOUND:
                    self._doubted.add(number)
                self._again(position)  # what was in the way may have become known meanwhile
                return
            marks[position] |= BOUND
        elif marks[position] & BOUND:
            marks[position] &= ~BOUND
        self._doubted.discard(number)

    def _again(self, position):
        """Measure it once more, although it may not move."""
        columns, number = self._table.columns, self._table.id_at(position)
        columns.marks[position] |= MOVED
        if not columns.measured_at[position]:
            self._without = min(self._without, position)
        elif len(self._moved) < _MOST_NEW or number in self._doubted:
            self._moved[number] = None
