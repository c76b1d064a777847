"""Which weak references to tasks have been met before: those that asyncio keeps are gone through again and again."""

from _operator import is_

_SPREAD, _FIRST, _SECOND = 40503, 16, 9  # what an address is multiplied by, and which bits of that choose a place


class Met:
    """Which weak references have been met: answered for nearly all of them at once, in 0.2 us.

    Each has two places for its position, the second for when another one stands in the first. What has come to be in
    neither is asked about in full, which takes 5 us. Addresses are spread over the places: those of references lie at
    the same distances in every pool of the allocator, and most would share a place. Places come in parts, which take
    memory when they are needed: a megabyte at once would take milliseconds.
    """

    PART = 4096  # places
    MOST_IN_ORDER = 50000  # tasks up to which their order in their source is kept, 8 bytes each
    _UNUSED = memoryview(bytes(4 * PART)).cast("i")

    def __init__(self, table):
        self._table = table
        self._orders = {}  # by source, the references that it has listed, for as long as nothing was left out
        self._make(1)

    def _make(self, parts):
        self._mask = self.PART * parts - 1
        self._parts = [self._UNUSED] * parts

    @property
    def bytes(self):
        """How much memory it takes."""
        orders = sum([8 * len(order) for order in self._orders.values()])
        return orders + sum([part.nbytes for part in self._parts if part is not self._UNUSED])

    def new(self, references):
        """Return those of the references that may not have been met."""
        refs, parts, mask = self._table.refs, self._parts, self._mask
        if not refs:
            return references
        rest = [
            each
            for each in references
            if refs[parts[(place := id(each) * _SPREAD >> _FIRST & mask) >> 12][place & 4095]] is not each
        ]
        return [
            each
            for each in rest
            if refs[parts[(place := id(each) * _SPREAD >> _SECOND & mask) >> 12][place & 4095]] is not each
        ]

    def new_in(self, name, at, references):
        """As `new`, of what a source lists from this place on: at rest it lists the same in the same order."""
        kept = self._orders.get(name, ())[at : at + len(references)]
        if len(kept) == len(references) and False not in map(is_, kept, references):
            return ()
        return self.new(references)

    def keep(self, name, at, references):
        """All that a source lists from this place on has been met."""
        if self._table.count <= self.MOST_IN_ORDER:
            self._orders.setdefault(name, [])[at : at + len(references)] = references
        else:
            self._orders.pop(name, None)

    def keep_until(self, name, at):
        """The source lists nothing from this place on, or it was not met."""
        del self._orders.get(name, [])[at:]

    def expect(self, count):
        """So many will come: those that have been met are not forgotten for want of places, and met again."""
        parts = len(self._parts)
        while 3 * count > 2 * self.PART * parts:
            parts *= 2
        if parts > len(self._parts):
            self._make(parts)

    def note(self, reference, position):
        """This reference has been met, and its row is at this position."""
        if 3 * self._table.count > 2 * self.PART * len(self._parts):
            self._make(4 * len(self._parts))
        place = id(reference) * _SPREAD >> _FIRST & self._mask
        there = self._table.refs[self._parts[place >> 12][place & 4095]]
        if there is not None and id(there) * _SPREAD >> _FIRST & self._mask == place:
            place = id(reference) * _SPREAD >> _SECOND & self._mask
        if self._parts[place >> 12] is self._UNUSED:
            self._parts[place >> 12] = memoryview(bytearray(4 * self.PART)).cast("i")
        self._parts[place >> 12][place & 4095] = position

    def drop(self):
        """Let go of it."""
        self._orders.clear()
        self._make(1)
