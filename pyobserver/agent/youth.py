"""Whether a future is the one that was at its address before: told by the generations of the garbage collector.

A weak reference tells that, too, but takes 80 bytes. What has been made since a moment is still young, unless the
collector has moved all that was young to the old ones meanwhile; then it has moved a mark of ours with them, which was
made at that moment. So while the mark is among the young, and the future is not, the future is older.

What was young and has been moved on once is in the middle generation, which may have a hundred thousand objects. There
only the last are looked through, back to a mark that was seen in it before: what grows old is added at the end.

This rests on no more than that a generation grows old as a whole, and comes behind what was older. (Python/gc.c of 3.14
and 3.15, generations 0 and 1. In the first releases of 3.14 generation 1 is all that is old, so only 0 is asked.)
"""

from gc import get_objects, get_threshold

from pyobserver.agent import collector
from pyobserver.agent.facts import is_free_threaded

_CALM_ROUNDS = 4  # in a row in which it could be told, before it is relied on
_DEAR_SECONDS = 0.0015  # for looking through the young: it is not asked for a while, then
_DEAR_ROUNDS = 100
_APART_ROUNDS = 10  # once in so many it may take that long: in a calm program it does not come again
_MANY = 10000  # objects of the middle generation are not all looked through
_LOST = 10  # half the rounds in a row in which it could not be told


class Mark:
    """Made at a moment; it has a slot, so that the collector knows it."""

    __slots__ = ("slot",)


class Youth:
    """What is young, for looks that come in rounds: `begin` and `end` one; `begin_slice` where others may have run.

    `is_calm` when of late it could be told whether what was there in one round is still there in the next, `is_lost`
    when mostly it could not. `cpu` is like `time.thread_time`, `kind()` the type of the futures.
    """

    def __init__(self, cpu, kind):
        self.is_calm = self.is_lost = False
        self._losses = 0  # twice the rounds in which it could not be told, less those in which it could
        self._was_sure = True
        self._cpu = cpu
        self._kind = kind
        self._number = self._dear_from = 0  # of this round, and of the first that may take long
        self._rounds = 0  # in a row in which it could be told; below 0 there is a pause
        self._mark = self._last_mark = None  # made when this round and the one before have begun
        self._inner = None  # made before the middle generation was looked through
        self._middle = frozenset()  # ids of what is of interest in it, and was made since the round before has begun
        self._met = None  # the last mark that was met in it
        self._settled = self._settled_next = None  # the same when the round before had not begun, and this one
        self._young = None  # the same of all that is young, in this slice
        self._is_sure = False
        self._is_ended = False

    def begin(self):
        """Begin a round: what is looked at from here on is asked about in the next."""
        self.is_calm = self._rounds >= _CALM_ROUNDS and not self.is_lost
        self._rounds += 1
        self._number += 1
        self._last_mark = self._mark if self._is_ended else None
        self._is_ended, self._was_sure = False, True
        self._settled, self._settled_next = self._settled_next, self._met
        self._mark = Mark()
        self.begin_slice()
        self.is_sure()

    def end(self):
        """All have been looked at."""
        self._is_ended = True
        self._losses = max(0, self._losses - 1) if self._was_sure else min(2 * _LOST, self._losses + 2)
        self.is_lost = self._losses >= _LOST

    def begin_slice(self):
        """Others may have run: what is young is looked for anew when it is asked for."""
        self._young = None

    def is_sure(self):
        """Whether all that was made since the round before has begun is among the young."""
        if self._young is None:
            self._look()
        return self._is_sure

    def are_old(self, addresses):
        """Whether, given that `is_sure`, none of the futures at these addresses is young."""
        return self._young.isdisjoint(addresses) and self._middle.isdisjoint(addresses)

    def drop(self):
        """Let go of everything."""
        self._mark = self._last_mark = self._inner = self._young = None
        self._met = self._settled = self._settled_next = None
        self._middle = frozenset()

    def _look(self):
        self._find()
        if not self._is_sure:
            self._was_sure = False

    def _find(self):
        self._young, self._is_sure = frozenset(), False
        if self._rounds < 0:
            return
        first, _, last = get_threshold()
        if is_free_threaded() or collector.is_off() or not first:
            self._rounds = -_DEAR_ROUNDS
            return
        begun = self._cpu()
        future = self._kind()
        young = get_objects(generation=0)
        self._young = frozenset([id(each) for each in young if type(each) is future or type(each) is Mark])
        young = None
        if id(self._last_mark) in self._young:
            self._middle, self._is_sure = frozenset(), True
        elif last and self._last_mark is not None:
            if id(self._inner) not in self._young:
                before, self._inner = self._inner, Mark()
                self._middle = self._latest(before)
            self._is_sure = id(self._last_mark) in self._middle
        is_dear = self._cpu() - begun > _DEAR_SECONDS
        if is_dear and self._number < self._dear_from:
            self._rounds, self._is_sure = -_DEAR_ROUNDS, False
            return
        if is_dear:
            self._dear_from = self._number + _APART_ROUNDS
        if not self._is_sure:
            self._rounds = 0

    def _latest(self, before):
        """The ids of what is of interest in the middle generation, back to the mark that was settled in it before.

        None where there is no such mark and it is large, and where the mark that was made `before` is not in it: the
        collector is moving what is young in this moment, in a finalizer that has let us run.
        """
        objects = get_objects(generation=1)
        last, settled, future = self._last_mark, self._settled, self._kind()
        is_whole = settled is not None or len(objects) <= _MANY
        until = settled if is_whole else last
        found = []
        for each in reversed(objects):
            kind = type(each)
            if kind is future or kind is Mark:
                found.append(id(each))
                if each is until:
                    break
        if id(last) in found:
            self._met = last
        return frozenset(found) if is_whole and id(before) in found else frozenset()
