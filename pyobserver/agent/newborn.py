"""Tasks that have been made since a moment, found among what the garbage collector calls young.

Among very many tasks the lists of the interpreter (`task_lists`) take 4 ms that nothing can interrupt. While a program
does little, what is new can be told without them: all that was made since a moment is still young, or has been moved on
as a whole, and with it a mark of ours that was made at that moment (as in `youth`).
"""

from _weakref import ref
from gc import get_count, get_objects, get_threshold

from pyobserver.agent import collector
from pyobserver.agent.facts import is_free_threaded
from pyobserver.agent.youth import Mark

_MOST_YOUNG = 4000  # objects that are looked through: 0.3 ms


class Newborn:
    """What has come since `begin`, or since the last time that it could be told."""

    def __init__(self):
        self._mark = None

    def begin(self):
        """All that is there now is known, or will be."""
        self._mark = Mark()

    def forget(self):
        """Something is not known."""
        self._mark = None

    def found(self, kinds):
        """Return references to what is new, of the types with these ids, and perhaps to some of what is not.

        None where that cannot be told: the collector has been through, or what is young is very much.
        """
        before, self._mark = self._mark, None
        if before is None or is_free_threaded() or collector.is_off():
            return None
        if not get_threshold()[0] or get_count()[0] > _MOST_YOUNG:
            return None
        mark = Mark()
        found = []
        for each in get_objects(generation=0):
            if each is before:
                self._mark = mark
            elif id(type(each)) in kinds:
                found.append(ref(each))
        return None if self._mark is None else found
