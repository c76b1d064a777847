"""Which weak references to tasks have been met before: those that asyncio keeps are gone through again and again."""


class Met:
    """Which weak references have been met: answered for most of them at once, in 0.1 us.

    A place keeps the position of the last one that came there, and others that share it are asked about in full. Those
    that lie beside each other have places beside each other. Places come in parts, which take memory when they are
    needed: a megabyte at once would take milliseconds.
    """

    PART = 4096  # places
    SIZE = 80  # bytes of a weak reference: no two of them have the same address divided by that
    _UNUSED = memoryview(bytes(4 * PART)).cast("i")

    def __init__(self, table):
        self._table = table
        self._make(1)

    def _make(self, parts):
        self._mask = parts - 1
        self._parts = [self._UNUSED] * parts

    @property
    def bytes(self):
        """How much memory it takes."""
        return sum([part.nbytes for part in self._parts if part is not self._UNUSED])

    def new(self, references):
        """Return those of the references that may not have been met."""
        refs, parts, mask, size = self._table.refs, self._parts, self._mask, self.SIZE
        if not refs:
            return references
        return [
            each
            for each in references
            if refs[parts[(number := id(each) // size) >> 12 & mask][number & 4095]] is not each
        ]

    def note(self, reference, position):
        """This reference has been met, and its row is at this position."""
        if self._table.count > self.PART * len(self._parts):
            self._make(4 * len(self._parts))
        number = id(reference) // self.SIZE
        place = number >> 12 & self._mask
        if self._parts[place] is self._UNUSED:
            self._parts[place] = memoryview(bytearray(4 * self.PART)).cast("i")
        self._parts[place][number & 4095] = position

    def drop(self):
        """Let go of it."""
        self._make(1)
