"""One pass over the members of a group: which were looked at, what they sum up to, and how good that is."""

from pyobserver.agent.retention.containers import Chance
from pyobserver.protocol import schema


class Member:
    """One of the group, as it was when it was looked at."""

    __slots__ = ("bytes", "cyclic", "error", "id", "is_steady", "key", "noted")

    def __init__(self, number):
        self.id = number  # of its row
        self.key = None  # its standing, as its subject calls it
        self.is_steady = False  # the same was found twice
        self.bytes = self.cyclic = 0
        self.error = 0.0
        self.noted = None  # what `Together.note` said; None when it was not measured

    def found(self):
        """Return what was found, for `is_as`."""
        return self.bytes, self.error, self.noted

    def is_as(self, before):
        """Return whether now the same was found as `before`: as much, and as many references to each thing shared."""
        size, error, noted = before
        if noted is None or self.noted is None or abs(self.bytes - size) > error + self.error:
            return False
        return dict(zip(noted[::2], noted[1::2])) == dict(zip(self.noted[::2], self.noted[1::2]))  # noqa: B905


class Pass:
    """One group, on the way: those with these `ids` of rows, out of so many in `total` if these are too many.

    `members` are those that were looked at, as a fair sample of them.
    """

    def __init__(self, ids, total, together):
        self.ids = ids
        self.total = total
        self.members = []
        self.together = together
        self.naming = None  # of what that finds
        self.moved = self.ended = self.running = 0
        self.measured = self.bytes = self.squares = 0
        self.error = 0.0  # its square
        self.spent = 0.0
        self.torn = 0  # slices in which names were looked for, in vain
        self.lost = 0.0  # seconds of `spent` in slices that were torn
        self.unnamed = 0  # members that refer to what could not be measured
        self.bounds = set()  # why some are seen only in part, in words
        self.is_bound = False
        self.is_unshared = False  # what they share is not counted, as some may have run
        self.accuracies = set()
        self._chance = Chance()

    def is_whole(self):
        """Whether all were looked at."""
        return len(self.members) == self.total

    def next(self):
        """Return the number of one by chance that was not looked at."""
        ids, at = self.ids, len(self.members)
        other = at + self._chance.below(len(ids) - at)
        ids[at], ids[other] = ids[other], ids[at]
        self.members.append(Member(ids[at]))
        return at

    def add(self, member, sign=1):
        """Count what a member retains alone, or no more."""
        self.measured += sign
        self.bytes += sign * member.bytes
        self.squares += sign * member.bytes**2
        self.error += sign * member.error**2

    def take_back(self, member):
        """Count a member no more."""
        if member.noted is not None:
            self.together.take_back(member.noted)
            self.add(member, -1)
        member.noted = None


def tell_sums(answer, one):
    """Write down the sums of a pass, and how good they are."""
    answer["looked_at"], answer["moved"], answer["ended"] = one.measured, one.moved, one.ended
    if not one.measured:
        return
    total = one.total - one.ended
    is_sample = not one.is_whole()
    alone, error = one.bytes, max(0.0, one.error) ** 0.5
    accuracy = schema.EXACT
    if schema.AT_LEAST in one.accuracies or one.running:
        accuracy = schema.AT_LEAST
    elif schema.SAMPLED in one.accuracies:
        accuracy = schema.SAMPLED
    if is_sample:
        number = one.measured
        spread = (one.squares - one.bytes**2 / number) / max(1, number - 1)
        factor = total / number
        error = ((error * factor) ** 2 + (1.96 * total) ** 2 * max(0.0, spread) / number * (1 - 1 / factor)) ** 0.5
        alone = alone * factor
        accuracy = max(accuracy, schema.SAMPLED)
    answer["alone"], answer["alone_error"], answer["alone_accuracy"] = int(alone), int(error), accuracy
    if is_sample:
        return
    common, doubtful = one.together.common_bytes()
    if one.bounds and (one.moved or one.ended or doubtful):
        one.is_unshared = True
        common = doubtful = 0  # it might be too much, and all else too little: no error would be true
    answer["together"] = int(alone + common)
    shared_error = 0.0 if one.is_unshared else one.together.error
    answer["together_error"] = int((error**2 + shared_error**2) ** 0.5 + doubtful)
    if one.together.is_bound or one.is_bound:
        accuracy = schema.AT_LEAST
    if one.is_unshared:
        accuracy = schema.AT_LEAST
    elif one.moved or one.ended or doubtful:
        accuracy = schema.SAMPLED
    elif one.together.error and accuracy == schema.EXACT:
        accuracy = schema.SAMPLED
    answer["together_accuracy"] = accuracy


def note_of(one):
    """Say what the numbers do not."""
    total = one.total
    notes = []
    if not one.is_whole():
        notes.append(
            "%d of %d were looked at, taken by chance: the sum is scaled, and what they share is not known"
            % (one.measured, total)
        )
    if one.moved:
        what = "not counted" if one.is_unshared else "an estimate"
        notes.append("%d have run while they were looked at: what they share is %s" % (one.moved, what))
    if one.ended:
        notes.append("%d have ended meanwhile" % one.ended)
    if one.running:
        notes.append("%d could not be read, as they or other threads were running" % one.running)
    if one.is_whole() and (one.together.is_bound or one.is_bound):
        notes.append("they may share more: not everything was looked through")
    if one.unnamed:
        notes.append("some of what others hold too could not be measured, as other threads were busy")
    if one.bounds:
        notes += [*sorted(one.bounds), "what others are said to hold too may lie on their own stacks"]
    return "; ".join(notes)
