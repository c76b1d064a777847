"""Which rows a question about a group means: those of a kind and function, those under a node, or these."""

from pyobserver.agent.retention.containers import Chance
from pyobserver.protocol import schema

_AT_ONCE = 200  # 0.5 ms
_MOST_LIKE = 16
_MOST_IDS = 4096
_MOST_CHOSEN = 20000  # more than there is time for
_UNKNOWN = "what a %s retains is not measured here"


class Choosing:
    """The answer to one question: `ids` of rows, the `total` of them, and a `note`; `ids` are taken by chance when
    these are too many.

    `inner` are the ids of those things that the scanner would take for another one's, as their type says nothing.
    """

    def __init__(self, agent, asked):
        self.ids = []
        self.total = 0
        self.note = ""
        self.inner = set()
        self._agent = agent
        self._table = agent.table
        self._ids = asked["ids"][:_MOST_IDS] if type(asked.get("ids")) is list else None
        self._like = asked["like"][:_MOST_LIKE] if type(asked.get("like")) is list else None
        self._node = asked["node"] if type(asked.get("node")) is int else None
        self._is_done = asked.get("done") is True
        self._chance = Chance()
        self._others = {}  # kind -> how many there are that are not chosen

    def work(self, now):
        """Choose; return (itself, the slice).

        Where several kinds are meant, what is only seen in part does not make a lower bound of all: it is left out, and
        told of, unless there is nothing else.
        """
        subjects = self._agent.subjects
        function, kind = None, None
        if self._like is not None:
            living = [self._table.rows.get(number) for number in self._like if type(number) is int]
            like = next((row for row in living if row is not None), None)
            self.note = "none of them lives any more" if like is None else self._why_not(like.kind)
            if self.note:
                return self, now
            function, kind = like.function, like.kind
        for in_full in (True, False):
            kinds = {each for each in subjects if subjects[each].is_seen_in_full is in_full and not self._why_not(each)}
            now = yield from self._choose({kind} if kind is not None else kinds, function, now)
            if self.total or kind is not None:
                break
        if not self.total:
            why = [self._why_not(each) for each in self._others]
            self.note = "; ".join(filter(None, why)) or "there is no task of them"
        elif self._others and kind is None:
            told = ["%s (%d)" % (schema.KINDS[each], number) for each, number in sorted(self._others.items())]
            self.note = "not among them: " + ", ".join(told)
        return self, now

    def _why_not(self, kind):
        subject = self._agent.subjects.get(kind)
        return self._agent.frames.why_not(kind) or _UNKNOWN % schema.KINDS[kind] if subject is None else subject.why_not

    def _choose(self, kinds, function, now):
        """Choose among the rows of these kinds, and of a `function` if that is not None; return the slice."""
        self._others.clear()
        for numbers in self._meant():
            for row in map(self._table.rows.get, numbers):
                if row is None or (function is not None and row.function != function):
                    continue
                if self._node is not None and row.parent != self._node:
                    continue
                if (row.state == schema.STATE_DONE_HELD) is not self._is_done:
                    continue
                if row.kind in kinds:
                    self._take(row)
                else:
                    self._others[row.kind] = self._others.get(row.kind, 0) + 1
            if now.over():
                now = yield
        return now

    def _meant(self):
        """Yield lists of ids of rows, of all or of those asked for; of those that come meanwhile some may be missed."""
        if self._ids is not None:
            for start in range(0, len(self._ids), _AT_ONCE):
                yield [number for number in self._ids[start : start + _AT_ONCE] if type(number) is int]
            return
        start = 0
        while start < self._table.end_position:
            yield self._table.ids(start, start + _AT_ONCE)
            start += _AT_ONCE

    def _take(self, row):
        self.total += 1
        place = len(self.ids) if len(self.ids) < _MOST_CHOSEN else self._chance.below(self.total)
        if place < _MOST_CHOSEN:
            self.ids[place : place + 1] = [row.id]
        if not self._agent.subjects[row.kind].is_apart and len(self.inner) < _MOST_CHOSEN:
            thing = row.ref()
            if thing is not None:
                self.inner.add(id(thing))
