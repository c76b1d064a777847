"""What a walk has met and may meet again: marked in 1,024 small sets, as a large one would stall where it grows."""

MAX_MARKS = 300000  # 15 to 20 MB
SHARDS = 1024
_AT_ONCE = 8  # sets that are dropped: 300,000 marks at once would take ms


class Marks:
    """Ids of objects; `shards[(id >> 4) & (SHARDS - 1)]` is the set that one is in. The first ones come with `restart`.

    `count` are marked, and `refused` were not, as there were too many.
    """

    def __init__(self):
        self.shards = []
        self.count = self.refused = 0
        self._old = []  # to be dropped in parts

    def restart(self):
        """Forget all, and begin anew."""
        self._old = self.shards
        self.shards = [set() for _ in range(SHARDS)]
        self.count = self.refused = 0

    def retire(self):
        """Forget all; return False when that was done before."""
        self._old, self.shards = self.shards, []
        return bool(self._old)

    def drop_some(self):
        """Drop some of what was forgotten; return False when there is no more of it."""
        if not self._old:
            return False
        del self._old[-_AT_ONCE:]
        return True

    def add(self, number):
        """Remember an object with several owners. Return False when there are too many."""
        if self.count >= MAX_MARKS:
            self.refused += 1
            return False
        self.count += 1
        self.shards[(number >> 4) & (SHARDS - 1)].add(number)
        return True

    def has(self, number):
        """Return whether an object is marked."""
        return number in self.shards[(number >> 4) & (SHARDS - 1)]
