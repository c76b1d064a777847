"""What is too large to be looked at in full, and what the entries that were weighed say about all of it."""

LINKS = 50  # objects that the entries of one part lead back to, at most
SURE = 16  # entries that must agree before all are taken to


class Part:
    """One population: the entries of a container, or owned objects: many large containers, or what was not reached.

    `seen` entries were weighed. Of `loose` ones it cannot be said to whom they belong, `cut` ones were not weighed to
    their end; for both nothing, or too little, is counted.
    """

    __slots__ = (
        *("_links", "container", "cut", "entries", "far", "loose", "near", "objects", "own", "seconds", "seen"),
        *("squares", "sum", "total", "unreached", "unseen"),
    )

    def __init__(self, container=None, entries=None, unreached=False):
        self.container = container
        self.entries = entries
        self.unreached = unreached
        self.total = 0 if entries is None else len(entries)
        self.seen = self.sum = self.squares = self.objects = self.loose = self.cut = self.unseen = 0
        self.seconds = 0.0
        self.own = 0  # bytes of the container itself
        self.near = [0, 0]  # entries and bytes from the front of a dict
        self.far = [0, 0]
        self._links = None

    def add(self, size, is_near, links):
        """Count one entry; `links`: how often it refers to what was pending, a dict by id."""
        self.seen += 1
        self.sum += size
        self.squares += size * size
        end = self.near if is_near else self.far
        end[0] += 1
        end[1] += size
        if self._links is None:
            self._links = links
        elif self._links != links:
            # -1: not the same for all entries
            known = self._links
            for i in links.keys() | known.keys():
                if links.get(i) != known.get(i):
                    known[i] = -1

    def tally(self):
        """Return what `restore` takes back: what was noted of an entry that is not added."""
        return self.objects, self.loose, self.cut

    def restore(self, tally):
        """Forget what was noted since `tally`."""
        self.objects, self.loose, self.cut = tally

    def bytes(self):
        """Return the estimate for the container and all its entries."""
        return self.own + self.sum * self.scale()

    def scale(self):
        """Return for how many entries each that was seen stands."""
        return self.total / self.seen if self.seen else 0.0

    def cost(self):
        """Return about how many seconds it takes to walk through all: weighing one by one takes twice as long."""
        return self.seconds * self.scale() / 2

    def error(self):
        """Return half the width of the 95 % interval of `bytes`.

        It is not less than what follows from having seen only so many: if 3 of as many entries are of a kind of their
        own, there is a chance of 5 % that none was met. They are taken to be twice as large as the others.
        """
        k = self.seen
        if k < 2:
            return self.sum * self.scale()
        variance = max(0.0, self.squares - self.sum * self.sum / k) / (k - 1)
        quantile = 1.96 + 2.5 / (k - 1)  # of Student's distribution, to 2 % from 8 entries on
        error = quantile * self.total * (variance / k * max(0.0, 1 - k / self.total)) ** 0.5
        if self.unseen and self.near[0] and self.far[0]:
            slope = abs(self.near[1] / self.near[0] - self.far[1] / self.far[0])
            error = max(error, slope * self.unseen / 2)
        return max(error, 3 / k * self.sum * self.scale() * max(0.0, 1 - k / self.total))

    def is_estimate(self):
        """Return whether this can be shown as an estimate, rather than as a lower bound."""
        return self.seen >= 8 and (self.loose + self.cut) * 20 <= self.seen

    def links(self):
        """Return ids of what the entries refer to, of what was pending then, and how often they all do together.

        -1: it cannot be said, as not every entry refers to it equally often, or too few were seen.
        """
        sure = self.seen >= min(SURE, self.total) and not self.loose and not self.cut
        links = self._links or {}
        return {i: number * self.total if sure and number > 0 else -1 for i, number in links.items()}


def parts_of(walk, finished, most=12):
    """Return what a walk set aside or did not reach as a list of `Part`, and take it out of the walk."""
    large, walk.large = walk.large, []
    parts = [Part(entries=large)] if len(large) > most else [Part(container) for container in large]
    if not finished and walk.stack:
        parts.append(Part(entries=walk.stack[:], unreached=True))
        del walk.stack[:]
    return parts
