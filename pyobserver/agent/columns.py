"""Numbers about many things, in columns: a row costs a few bytes in them, where an object would cost hundreds.

There is no `array` here: it may be a file that the program's interpreter would have to load.
"""

STEP = 1024  # rows that are added at once: 0.1 MB, 0.1 ms


class Columns:
    """Columns of equal length, each an attribute: a memoryview that is read and written by position.

    `extend` replaces the views, so nobody keeps one over a `yield`. The memory of a block grows in place where the
    kernel can do that (`mremap`), which spares copying it.
    """

    def __init__(self, codes):
        self.length = 0
        self._codes = dict(codes)
        self._blocks = {name: bytearray() for name in self._codes}
        self._widths = {name: memoryview(bytes(16)).cast(code).itemsize for name, code in codes}
        self.row_bytes = sum(self._widths.values())
        self.views = []  # the same, in their order
        self._show()

    def extend(self, count=STEP):
        """Add so many positions, filled with zeros."""
        for view in self.views:
            view.release()
        for name, block in self._blocks.items():
            block.extend(bytes(count * self._widths[name]))
        self.length += count
        self._show()

    def clear(self, position):
        """Set all numbers at one position to 0."""
        for view in self.views:
            view[position] = 0

    def drop(self):
        """Let go of everything."""
        for view in self.views:
            view.release()
        for block in self._blocks.values():
            block.clear()
        self.length = 0

    def _show(self):
        self.views[:] = [memoryview(block).cast(self._codes[name]) for name, block in self._blocks.items()]
        for name, view in zip(self._blocks, self.views):  # noqa: B905 (3.10 and later)
            setattr(self, name, view)


class Places:
    """Where in the columns something is, by its id: open addressing in blocks that keep only positions.

    `id_at(position)` says whose position it is, None when that has ended: so no id is stored twice, and what has ended
    needs no removal. There are many small tables, as a large one would stall where it grows.
    """

    SHARDS = 256

    def __init__(self, id_at):
        self._id_at = id_at
        self._least = _SMALLEST
        self._tables = [_UNUSED] * self.SHARDS
        self._used = [0] * self.SHARDS

    def expect(self, count):
        """So many will come: tables that are made from here on are large enough at once."""
        self._least = _size_for(count // self.SHARDS)

    @property
    def bytes(self):
        """How much memory it takes."""
        return sum([table.nbytes + 250 for table in self._tables if table is not _UNUSED])

    def find(self, number):
        """Return the position of the thing with this id, -1 if it is not there."""
        mixed = (number >> 4) * _GOLDEN
        table = self._tables[mixed >> 24 & 255]
        mask = len(table) - 1
        at = mixed >> 31 & mask
        while table[at]:
            if self._id_at(table[at] - 1) == number:
                return table[at] - 1
            at = at + 1 & mask
        return -1

    def put(self, number, position):
        """Note where something is that `find` has not found."""
        mixed = (number >> 4) * _GOLDEN
        shard = mixed >> 24 & 255
        if self._tables[shard] is _UNUSED or self._used[shard] * 3 >= len(self._tables[shard]) * 2:
            self._rebuild(shard)
        _put(self._tables[shard], mixed, position)
        self._used[shard] += 1

    def _rebuild(self, shard):
        """Make one table anew, larger if it is not full of what has ended."""
        found = {}
        for entry in self._tables[shard]:
            number = self._id_at(entry - 1) if entry else None
            if number is not None:
                mixed = (number >> 4) * _GOLDEN
                if mixed >> 24 & 255 == shard:  # else a position that has been given to something else
                    found[mixed] = entry - 1
        table = self._tables[shard] = _table(max(self._least, _size_for(len(found))))
        for mixed, position in found.items():
            _put(table, mixed, position)
        self._used[shard] = len(found)

    def drop(self):
        """Let go of everything."""
        self._least = _SMALLEST
        self._tables = [_UNUSED] * self.SHARDS
        self._used = [0] * self.SHARDS


_GOLDEN = 0x9E3779B97F4A7C15  # spreads addresses, which differ in few bits, over all of them
_SMALLEST = 16  # places


def _size_for(count):
    """Return how many places a table needs for so many that it need not be made anew soon."""
    size = _SMALLEST
    while size * 2 < count * 5:
        size *= 2
    return size


def _table(size):
    return memoryview(bytearray(4 * size)).cast("i")


_UNUSED = _table(1)


def _put(table, mixed, position):
    mask = len(table) - 1
    at = mixed >> 31 & mask
    while table[at]:
        at = at + 1 & mask
    table[at] = position + 1
