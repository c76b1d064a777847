"""What has been, for observers that come late or come back: cells with minimum, mean and maximum, in bounded rings.

What concerns the process as a whole is read as long as there is an agent. The groups are summed from what the table
knows, while that is kept true: while somebody observes, or the agent was told to stay. Full rings of all series and
groups take 0.8 MB; rings grow as they fill, so that a program with ten functions has a tenth of that.
"""

import posix
from _struct import Struct

from pyobserver.agent import files
from pyobserver.agent.row import FREE
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

PROCESS_TIERS = ((10, 180), (60, 1440))  # (seconds of a cell, cells): half an hour, and a day
GROUP_TIERS = ((10, 45), (60, 60), (600, 144))  # 7.5 minutes, an hour, and a day
MOST_LARGEST, MOST_NUMEROUS = 60, 40  # groups that are followed: by bytes, and of the others by count
MOST_GROUPS = MOST_LARGEST + MOST_NUMEROUS
_MOST_SUMMED = 1000  # groups that are looked at to choose from
_CELL_SECONDS = 10.0  # of the shortest cells
_READ_SECONDS = 2.5  # while somebody observes; else, and for the sums, once in a cell
_TRUE_SECONDS, _SOON_SECONDS = 3.0, 1.0
_SUM_DUTY = 0.001  # 100,000 rows take 3 to 20 ms
_AT_ONCE = 256  # rows between two looks at the clock
_FEW = 10
_KEPT_UP_SHARE = 0.1  # of the tasks may have been missed
_DAY = 86400.0
_UNKNOWN = float("nan")
_ALWAYS_COUNTED = (schema.KIND_TASK, schema.KIND_TRIO_TASK, schema.KIND_THREAD, schema.KIND_JOB)  # also unobserved
_RSS, _THREADS, _CPU = range(3)


class Ring:
    """Cells of equal length, each with its number since the beginning, and low, mean and high of some quantities."""

    def __init__(self, seconds, bound, quantities):
        self.seconds = seconds
        self.count = 0  # cells ever begun
        self._bound = bound
        self._cell = _CELLS[quantities]
        self._block = bytearray()
        self._readings = 0  # in the newest cell

    @property
    def bytes(self):
        """How much memory it takes."""
        return len(self._block) + _RING_BYTES

    @property
    def has_lost(self):
        """Whether cells have made room for others."""
        return self.count > self._bound

    def add(self, elapsed, values):
        """Add one reading of each quantity, NaN where there is none, so many seconds after the beginning."""
        number = int(elapsed // self.seconds)
        size = self._cell.size
        if self.count:
            at = (self.count - 1) % self._bound * size
            cell = self._cell.unpack_from(self._block, at)
            if cell[0] >= number:
                self._readings += 1
                self._cell.pack_into(self._block, at, cell[0], *_folded(cell, values, self._readings))
                return
        at = self.count % self._bound * size
        if at >= len(self._block):
            bigger = bytearray(min(self._bound * size, max(4 * size, 2 * len(self._block))))
            bigger[: len(self._block)] = self._block
            self._block = bigger
        self._cell.pack_into(self._block, at, number, *[value for value in values for _ in range(3)])
        self.count += 1
        self._readings = 1

    def cells(self, quantity):
        """Return a list of (seconds after the beginning, length, low, mean, high), the oldest first."""
        first = 1 + 3 * quantity
        found = []
        for number in range(max(0, self.count - self._bound), self.count):
            cell = self._cell.unpack_from(self._block, number % self._bound * self._cell.size)
            if cell[first] == cell[first]:
                found.append((cell[0] * self.seconds, self.seconds, *cell[first : first + 3]))
        return found


_CELLS = {1: Struct("<i3f"), 2: Struct("<i6f"), 3: Struct("<i9f")}
_RING_BYTES = 300  # the object and its parts


def _folded(cell, values, readings):
    """What a cell has after one more reading."""
    found = []
    for quantity, value in enumerate(values):
        low, mean, high = cell[1 + 3 * quantity : 4 + 3 * quantity]
        if value != value:
            found += (low, mean, high)
        elif low != low:
            found += (value, value, value)
        else:
            found += (min(low, value), mean + (value - mean) / readings, max(high, value))
    return found


class Series:
    """Some quantities that are read together, over a day. Adding costs constant time."""

    def __init__(self, tiers, quantities):
        self.last = 0.0  # when it was added to
        self._rings = [Ring(seconds, bound, quantities) for seconds, bound in tiers]

    @property
    def bytes(self):
        """How much memory it takes."""
        return sum([ring.bytes for ring in self._rings])

    def add(self, elapsed, values):
        """Add one reading of each quantity, NaN where there is none."""
        self.last = elapsed
        for ring in self._rings:
            ring.add(elapsed, values)

    def cells(self, quantity):
        """Return cells as `Ring` does, which do not overlap: of each time the shortest that are left."""
        finer = self._rings[0]
        found = finer.cells(quantity)
        for ring in self._rings[1:]:
            if not finer.has_lost:
                break
            finer = ring
            older = [cell for cell in ring.cells(quantity) if not found or cell[0] < found[0][0]]
            if older:
                end = older[-1][0] + ring.seconds
                found = older + [cell for cell in found if cell[0] >= end]
        return found


class History:
    """Keeps what has been. `since` is when the groups were known first, on the agent's clock; None before."""

    def __init__(self, agent):
        self.since = None
        self.job = Job("history", _CELL_SECONDS, self._sum, duty=_SUM_DUTY, goes_on=True)
        self._agent = agent
        self._table = agent.table
        self._cpu = agent.original("time", "process_time")
        self._page = posix.sysconf("SC_PAGE_SIZE")
        self._begun = agent.clock()
        self._process = Series(PROCESS_TIERS, 3)
        self._tasks = Series(PROCESS_TIERS, 1)
        self._groups = {}  # (kind, id of the function's text, whether done and held) -> Series of count and bytes
        self._kept_since = None  # since when the table is kept true, and that of all kinds
        self._observed_since = None
        self._due = 0.0
        self._was_known = False  # the first picture has been complete
        self._read_at = None  # (when, CPU seconds)

    @property
    def bytes(self):
        """How much memory it takes."""
        return self._process.bytes + self._tasks.bytes + sum([200 + series.bytes for series in self._groups.values()])

    def kept(self):
        """Everything that takes room, to be let go of."""
        return [self._groups]

    # -- the process --------------------------------------------------------------------------------------------------

    def look(self, now, is_observed, is_kept):
        """Read what concerns the process, if it is time for that; not within a slice, as it lets go of the lock.

        With `is_kept` the table is kept true, of all kinds with `is_observed`.
        """
        self._kept_since = None if not is_kept else self._kept_since or now
        self._observed_since = None if not is_observed else self._observed_since or now
        self._was_known = self._was_known or (is_kept and self._agent.is_known())
        if now < self._due:
            return
        self._due = now + (_READ_SECONDS if is_observed else self._until_next_middle(now))
        values = [_UNKNOWN] * 3
        spent = self._cpu()
        if self._read_at is not None and now > self._read_at[0]:
            values[_CPU] = (spent - self._read_at[1]) / (now - self._read_at[0])
        self._read_at = now, spent
        told = _told("/proc/self/stat")
        try:
            fields = told[told.rindex(b")") + 2 :].split()  # from the third on, see proc(5)
            values[_THREADS], values[_RSS] = float(fields[17]), float(fields[21]) * self._page
        except (ValueError, IndexError):
            pass
        self._process.add(now - self._begun, values)

    def _until_next_middle(self, now):
        """Seconds until the middle of a cell: a single reading stands for all of it."""
        return 1.5 * _CELL_SECONDS - (now - self._begun) % _CELL_SECONDS

    # -- the groups ---------------------------------------------------------------------------------------------------

    def _sum(self, now):
        """Sum the rows of each group, in parts; a round of a job."""
        self._agent.service.trim()  # nobody may be there to read the log of changes
        if not self._was_known or not _is_true(self._kept_since, now.begun):
            self.job.period = _SOON_SECONDS
            return
        self.job.period = self._until_next_middle(now.begun)
        sums = {}
        position = 0
        while position < self._table.end_position:
            self._add_rows(sums, position, min(position + _AT_ONCE, self._table.end_position))
            position += _AT_ONCE
            if now.over():
                now = yield
        if self.since is None:
            self.since = self._agent.clock()
        self._settle(sums)
        new = []
        for key in _chosen(sums):
            series = self._groups.get(key)
            if series is None:
                new.append(key)
            else:
                self._note(series, sums[key])
            if now.over():
                now = yield
        for key in new:
            if len(self._groups) >= MOST_GROUPS:
                del self._groups[min(self._groups, key=lambda each: self._groups[each].last)]
            series = self._groups[key] = Series(GROUP_TIERS, 2)
            self._note(series, sums[key])
            if now.over():
                now = yield

    def _add_rows(self, sums, start, end):
        """Count the rows between two positions, all at once where they are of one group, as most crowds are.

        What has ended is not counted, although it may still have a row.
        """
        columns = self._table.columns
        living = [reference is None or reference() is not None for reference in self._table.refs[start:end]]
        kinds = columns.kind[start:end].tolist()
        functions = columns.function[start:end].tolist()
        states = columns.state[start:end].tolist()
        retained = columns.retained[start:end].tolist()
        kind, function, size = kinds[0], functions[0], end - start
        held = states.count(schema.STATE_DONE_HELD)
        is_one = False not in living and held in (0, size)
        if is_one and kinds.count(kind) == size and functions.count(function) == size:
            if kind != FREE:
                unknown = retained.count(-1)
                self._count(sums, (kind, function, held > 0), size, size - unknown, sum(retained) + unknown)
            return
        for kind, function, state, size, lives in zip(kinds, functions, states, retained, living):  # noqa: B905
            if kind != FREE and lives:
                key = kind, function, state == schema.STATE_DONE_HELD
                self._count(sums, key, 1, size >= 0, size if size >= 0 else 0)

    def _count(self, sums, key, count, measured, size):
        found = sums.get(key)
        if found is None:
            if len(sums) >= _MOST_SUMMED and key not in self._groups:
                return
            sums[key] = [count, measured, size]
        else:
            found[0] += count
            found[1] += measured
            found[2] += size

    def _settle(self, sums):
        """Make of each group's sums its count and bytes, NaN for bytes that are not known, as the observers do.

        Groups that cannot be told are left out: where many tasks come and go, an agent that spares itself misses some.
        """
        met = sum([count for key, (count, _, _) in sums.items() if key[0] == schema.KIND_TASK])
        total = max(met, self._agent.tasks.listed())
        has_kept_up = self._table.is_full() or total - met <= _FEW + _KEPT_UP_SHARE * total
        share = total / met if met else 1.0
        if has_kept_up:
            self._note(self._tasks, (total,))
        is_observed = _is_true(self._observed_since, self._agent.clock())
        for key, (count, measured, size) in list(sums.items()):
            if key[0] == schema.KIND_TASK:
                if not has_kept_up:
                    del sums[key]
                    continue
                count = round(count * share)
            elif not is_observed and key[0] not in _ALWAYS_COUNTED:
                del sums[key]
                continue
            elif not is_observed and key[0] == schema.KIND_THREAD:
                measured = 0
            sums[key] = count, size * (count / measured) if measured else _UNKNOWN

    def _note(self, series, values):
        series.add(self._agent.clock() - self._begun, values)

    # -- what observers are told --------------------------------------------------------------------------------------

    def messages(self):
        """Yield (head, columns) of the messages that tell everything, one for each series."""
        for name, series, position in (
            ("rss", self._process, _RSS),
            ("tasks", self._tasks, 0),
            ("threads", self._process, _THREADS),
            ("cpu", self._process, _CPU),
        ):
            yield from self._message(series, position, {"series": name, "group": None})
        for key, series in list(self._groups.items()):
            function = self._table.texts.items[key[1]]
            for position, name in enumerate(schema.PAST_GROUP_SERIES):
                yield from self._message(series, position, {"series": name, "group": [key[0], function, key[2]]})

    def _message(self, series, quantity, head):
        elapsed = self._agent.clock() - self._begun
        cells = [cell for cell in series.cells(quantity) if elapsed - cell[0] <= _DAY]
        if cells:
            starts, *rest = zip(*cells)  # noqa: B905
            columns = [[elapsed - start for start in starts], *rest]
            named = [(name, code, list(column)) for (name, code), column in zip(schema.PAST_COLUMNS, columns)]  # noqa: B905
            yield {"t": "history", **head}, named

    def age(self):
        """Return for how long the groups have been followed, in seconds; None when that has not begun.

        It begins with the next cell: that before has readings of when the agent came in, and took its own memory.
        """
        if self.since is None:
            return None
        cells = (self.since - self._begun) // _CELL_SECONDS + 1
        age = self._agent.clock() - self._begun - cells * _CELL_SECONDS
        return age if age > 0 else None


def _is_true(since, now):
    """Whether the table has been kept for long enough to have forgotten what ended while it was not."""
    return since is not None and now - since >= _TRUE_SECONDS


def _chosen(sums):
    """The groups that are followed: the largest, and of the others the most numerous."""
    by_bytes = sorted(sums, key=lambda key: (-sums[key][1] if sums[key][1] > 0 else 0.0, -sums[key][0]))  # NaN is not
    rest = sorted(by_bytes[MOST_LARGEST:], key=lambda key: -sums[key][0])
    return by_bytes[:MOST_LARGEST] + rest[:MOST_NUMEROUS]


def _told(path):
    """Return what the kernel says in a file, b"" where it does not."""
    try:
        return files.read(path, 4096)
    except OSError:
        return b""
