"""Where a walk has found the tasks: which is in which container, 8 bytes for each."""

from pyobserver.agent.columns import Columns


class Holding:
    """The container or attribute that keeps tasks.

    path    `rudder.pipeline.Spawner._children`: by the class of the instance, however that was reached; of what is in
            a container in a container, `app.State.rooms[...]`; of variables, `task listener: locals.pending`,
            `app.numbers: locals.inner` of a generator, `app.make.<locals>.closed: closure.held`
    type    "set", "dict" and so on; "attribute" or "local" for one that holds a single task
    length  how many items the container had; None for an attribute
    key     what all tasks in one container share, its id; those in one attribute of any of a class's instances share
            the path
    task    the id of the task whose variable it is, 0 if it is no task's
    route   the `Route` to the container, None where there is none
    """

    __slots__ = ("key", "length", "path", "route", "task", "type")

    def __init__(self, path, kind, length, key, task=0, route=None):
        self.path = path
        self.task = task
        self.route = route
        self.type = kind
        self.length = length
        self.key = key


class Found:
    """Which task is in which `Holding`, by the number of the task's row: 8 bytes for each, however many there are."""

    def __init__(self):
        self._columns = Columns((("holding", "i"), ("score", "i"), ("second", "i")))
        self._holdings = [None]
        self._known = {}  # (key, path) -> place among the holdings
        self._count = 0

    def __len__(self):
        return self._count

    def __contains__(self, row):
        return row < self._columns.length and self._columns.holding[row] != 0

    def is_wanted(self, row, score):
        """Whether a place with this score is better than the two that are known; a score is better when it is less."""
        return row not in self or score < self._columns.score[row] or not self._columns.second[row]

    def put(self, row, score, key, path):
        """Note that a task is in a place where others are; return False when nothing was in that yet."""
        known = self._known.get((key, path))
        if known is None:
            return False
        self._set(row, score, known)
        return True

    def add(self, row, score, holding):
        """Note that a task is in a place where none was met yet."""
        known = self._known[holding.key, holding.path] = len(self._holdings)
        self._holdings.append(holding)
        self._set(row, score, known)

    def _set(self, row, score, known):
        while row >= self._columns.length:
            self._columns.extend()
        columns = self._columns
        before = columns.holding[row]
        self._count += not before
        if before and before != known and score >= columns.score[row]:
            columns.second[row] = known
            return
        if before != known:
            columns.second[row] = before
        columns.holding[row], columns.score[row] = known, score

    def forget(self, row):
        """Forget where a task was found: its number is another's now."""
        if row in self:
            self._columns.holding[row] = self._columns.second[row] = 0
            self._count -= 1

    def get(self, row):
        """Return the holding of a task, None if none was found."""
        return self._holdings[self._columns.holding[row]] if row < self._columns.length else None

    def second(self, row):
        """Return another holding of a task, None if none was found."""
        return self._holdings[self._columns.second[row]] if row < self._columns.length else None

    def items(self):
        """Yield (row, holding) for all tasks."""
        for row in range(self._columns.length):
            if self._columns.holding[row]:
                yield row, self._holdings[self._columns.holding[row]]
