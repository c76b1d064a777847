"""One moment as all checks see it: what several of them need is worked out once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from ...model.groups import group_name
from ...model.history import Curve
from ...model.snapshot import Snapshot
from ...protocol import schema
from ..allocators import KEEPING, AllocatorRow, Outlook, allocator_rows, growth_series, kept_growth, memory_outlook
from ..format import count, duration
from ..groups import GroupRow, group_rows
from ..growth import SHORTEST_WINDOW, in_steps, per_minute
from ..heap import TypeRow, type_rows
from ..trend import (
    BYTES,
    GROWING_SECONDS,
    LEAK_SECONDS,
    RETAINED,
    ROWS,
    SHORTEST_SECONDS,
    Amounts,
    Trend,
    seconds_to_limit,
    seconds_until,
    trend,
)

YOUNG_SECONDS = 180.0  # old, a program still loads what it needs
OF_YOUNG = 6_000_000  # bytes, below which that is not told
CHANCE = 4.0  # standard deviations: of 50 to 500 that live for 10 to 120 s, fewer than 1 look in 100 goes beyond
CLOSE_SECONDS = 15 * 60.0  # full within this time is more than "growing"
MAIN_SHARE = 0.5  # of the growth: what has at least this share is named as its cause
DECIDED_SECONDS = 60.0  # known, from when on what has not shown itself as a cause is taken for none
MANY, UNHEARD_SECONDS = 1000, 30.0  # of so many it may take as long until it is heard that they become more
STEPS, MOST_SECONDS_TO_DECIDE = 6, 180.0  # of what is read in long steps it takes so many, and so long at most
NEVER_ENDING_SECONDS = 20 * 60.0  # of steady growth, after which tasks of which none ends are called a leak
NO_CAUSES = (schema.KIND_THREAD, schema.KIND_CHILD)  # threads are few, and a child's memory is its own


@dataclass(frozen=True)
class GroupGrowth:
    """A group with the trends of its bytes and of its count; None where it is too early."""

    row: GroupRow
    bytes: Trend | None
    count: Trend | None

    @property
    def trend(self) -> Trend | None:
        """The trend that says most: a leak before growth, bytes before the count."""
        grown = [t for t in (self.bytes, self.count) if t is not None and t.grows]
        return next((t for t in grown if t.is_leak), grown[0] if grown else None)

    @property
    def bytes_growth(self) -> float:
        """Bytes per minute; 0 where they are not known."""
        return self.row.bytes_growth or 0.0


def _beyond_chance(row: GroupRow, window: float) -> tuple[float, float]:
    """How many rows, and bytes, a group of which some end must have more, not to be there by chance.

    What comes and goes at random varies by the square root of how many there are, and does so slowly: for as long as
    each of them lives. Of bytes that grow with the number as it is, the same is true.
    """
    rows = CHANCE * math.sqrt(row.count)
    more = max(0.0, row.count_growth or 0.0) * window / 60.0
    return rows, min(rows, 1.5 * more) * (row.mean or 0.0)


class Look:
    """What is known at the moment of a snapshot, and what has been seen until then."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.now = snapshot.taken_at

    @cached_property
    def since(self) -> float:
        """From when on growth is told, as far back as there is anything."""
        return self.snapshot.growing_since(7 * 86400.0)

    def curve(self, name: str, seconds: float) -> Curve:
        """Return the last seconds of a series."""
        return self.snapshot.history.curve(name, max(self.since, self.now - seconds))

    def trend(self, name: str, amounts: Amounts, leak_seconds: float = LEAK_SECONDS) -> Trend | None:
        """Return what is told of a series, None when it is too early."""
        history = self.snapshot.history
        return trend(lambda since: history.curve(name, since), self.now, self.since, amounts, leak_seconds)

    @cached_property
    def memory(self) -> Trend | None:
        """The trend of the resident memory."""
        return self.trend("rss", self.amounts)

    @cached_property
    def amounts(self) -> Amounts:
        """What memory must grow by: a program that has just been started does so anyway."""
        identity = self.snapshot.identity
        is_young = identity is not None and self.now - identity.started_at < YOUNG_SECONDS
        return BYTES.at_least(OF_YOUNG) if is_young else BYTES

    @cached_property
    def known(self) -> float:
        """For how many seconds the resident memory is known."""
        curve = self.curve("rss", LEAK_SECONDS)
        return self.now - float(curve.times[0]) if len(curve) else 0.0

    @property
    def memory_is_known(self) -> bool:
        """Whether it can be told if the memory grows."""
        return self.memory is not None

    @property
    def is_close(self) -> bool:
        """Whether the memory is full within a quarter of an hour, if the last minutes go on."""
        return self._left is not None and self._left < CLOSE_SECONDS

    @cached_property
    def _left(self) -> float | None:
        """When the memory is full if the last minutes go on, or the trend, whichever is sooner."""
        outlook = self.outlook
        if outlook.limit is None or self._used is None:
            return None
        history = self.snapshot.history
        return seconds_to_limit(
            lambda since: history.curve("rss", since), self.now, self.since, self._used, outlook.limit, self.memory
        )

    @property
    def memory_grows(self) -> bool:
        """Whether the resident memory grows."""
        return self.is_close or (self.memory is not None and self.memory.grows)

    @cached_property
    def memory_growth(self) -> float:
        """Bytes per minute of the resident memory over the window; 0 where that is not known."""
        if self.memory is not None and self.memory.grows:
            return self.memory.slope
        if self.is_close and self._left:
            return 60.0 * (float(self.outlook.limit or 0) - (self._used or 0.0)) / self._left
        return max(0.0, self.outlook.growth or 0.0)

    @cached_property
    def window(self) -> float:
        """Seconds that growth is told from."""
        return min(GROWING_SECONDS, max(self.known, SHORTEST_SECONDS))

    @cached_property
    def outlook(self) -> Outlook:
        """The memory, its limit and its growth over the window."""
        return memory_outlook(self.snapshot, GROWING_SECONDS)

    @property
    def _used(self) -> float | None:
        limit = self.snapshot.limit
        return limit.current if limit is not None and limit.current is not None else self.outlook.rss

    @cached_property
    def seconds_to_limit(self) -> float | None:
        """When the memory is full at this rate; None when it does not grow, or has no limit."""
        limit, used = self.outlook.limit, self._used
        if limit is None or used is None or not self.memory_grows:
            return None
        return self._left if self.is_close else seconds_until(used, limit, self.memory_growth)

    # -- what grows --------------------------------------------------------------------------------------------------

    @cached_property
    def groups(self) -> tuple[GroupGrowth, ...]:
        """All groups with their trends, the one that grows most in bytes first."""
        rows = group_rows(self.snapshot, self.window)
        found = [self._group(row) for row in rows if row.kind_index != schema.KIND_CHILD]
        return tuple(sorted(found, key=lambda each: (-each.bytes_growth, each.row.function)))

    @cached_property
    def children(self) -> tuple[GroupGrowth, ...]:
        """The groups of child processes with their trends, the one that grows most in bytes first."""
        rows = [row for row in group_rows(self.snapshot, self.window) if row.kind_index == schema.KIND_CHILD]
        found = [
            GroupGrowth(
                row,
                self.trend(group_name(row.key, "bytes"), BYTES.at_least(size)),
                self.trend(group_name(row.key, "count"), ROWS.at_least(number)),
            )
            for row in rows
            for number, size in [_beyond_chance(row, self.window) if row.ended else (0.0, 0.0)]
        ]
        return tuple(sorted(found, key=lambda each: (-each.bytes_growth, each.row.function)))

    def _group(self, row: GroupRow) -> GroupGrowth:
        ends = row.ended or row.held
        needed = LEAK_SECONDS if ends else NEVER_ENDING_SECONDS
        rows, size = _beyond_chance(row, self.window) if ends else (0.0, 0.0)
        return GroupGrowth(
            row,
            self.trend(group_name(row.key, "bytes"), RETAINED.at_least(size), needed),
            self.trend(group_name(row.key, "count"), ROWS.at_least(rows), needed),
        )

    @cached_property
    def growing_groups(self) -> tuple[GroupGrowth, ...]:
        """Those whose bytes or number grow, of what memory can hang on."""
        return tuple(g for g in self.groups if g.trend is not None and g.row.kind_index not in NO_CAUSES)

    @cached_property
    def explained_by_tasks(self) -> float:
        """The part of the growth of all memory that growing groups account for."""
        return self.share(self.growth_of_tasks) or 0.0

    @cached_property
    def growth_of_tasks(self) -> float:
        """Bytes per minute that growing groups retain more."""
        return sum(max(0.0, g.bytes_growth) for g in self.growing_groups)

    @cached_property
    def most_growth_of_tasks(self) -> float:
        """Bytes per minute that groups may retain more, also those whose growth is not certain yet."""
        return sum(most for most, _ in self._steps_of_tasks)

    @cached_property
    def _steps_of_tasks(self) -> list[tuple[float, float]]:
        """Of each group what its bytes may grow by, and for how many seconds it was not heard that they do.

        Where there are thousands of tasks, those that are new are listed every few seconds: what grows has grown in few
        steps at first, and looks like less, or like chance.
        """
        found = []
        for group in self.groups:
            if group.row.kind_index not in NO_CAUSES:
                most, still = in_steps(self.curve(group_name(group.row.key, "bytes"), self.window))
                found.append((max(group.bytes_growth, most), still))
        return found

    @cached_property
    def seconds_to_decide(self) -> float:
        """For how long tasks must be known until what has not shown itself as their growth is none: some steps."""
        _, still = max(self._steps_of_tasks, default=(0.0, 0.0))
        return max(DECIDED_SECONDS, min(STEPS * still, MOST_SECONDS_TO_DECIDE))

    def tasks_may_explain(self, growth: float) -> bool:
        """Whether it is too early to tell that tasks do not account for a growth in bytes per minute.

        When memory is full in a moment, what is known is told rather than waited for.
        """
        snapshot = self.snapshot
        if snapshot.facts is None or growth <= 0 or self.is_close:
            return False
        if snapshot.settled_at is None:
            return self.now - snapshot.status.since < DECIDED_SECONDS
        if self.known < UNHEARD_SECONDS and any(g.row.count >= MANY and g.bytes_growth <= 0 for g in self.groups):
            return True
        return self.known < self.seconds_to_decide and self.most_growth_of_tasks >= MAIN_SHARE * growth

    @property
    def why_tasks_may_explain(self) -> str:
        """The same in words, when it is so."""
        if self.snapshot.settled_at is None:
            return self.no_first_picture
        is_heard = self.most_growth_of_tasks > 0
        known, needed = duration(self.known), duration(self.seconds_to_decide if is_heard else UNHEARD_SECONDS)
        return f"whether tasks explain it: {known} are known so far, it may take {needed}"

    @property
    def no_first_picture(self) -> str:
        """What is waited for until the first picture of the tasks is there."""
        tick = self.snapshot.tick
        text = "the first picture of the tasks is not complete yet"
        return text if tick is None else f"{text}: {count(tick.measured)} of {count(tick.total)} are measured"

    @cached_property
    def unplaced_growth(self) -> float:
        """Bytes per minute that no allocator is known to have more."""
        return max(0.0, self.memory_growth - sum(max(0.0, row.growth or 0.0) for row in self.allocators))

    @property
    def places_are_early(self) -> bool:
        """Whether it is too early to tell that memory grows in no single allocator.

        Most of them are read every ten seconds, those of a large process less often.
        """
        reading = self.snapshot.memory
        if reading is None or reading.partition_age is None:
            return False
        is_waited_for = any(a.growth is None and (a.held or a.in_use) for a in self.allocators)
        is_due = self.known < DECIDED_SECONDS and self.unplaced_growth >= MAIN_SHARE * self.memory_growth
        return is_waited_for or is_due

    def share(self, growth: float | None) -> float | None:
        """Return which part of the growth of all memory this is; None while that does not grow."""
        if growth is None or not self.memory_grows or self.memory_growth <= 0:
            return None
        return growth / self.memory_growth

    @cached_property
    def allocators(self) -> tuple[AllocatorRow, ...]:
        """The allocators without the total."""
        rows = allocator_rows(self.snapshot, self.window)
        return tuple(self._with_growth(row) for row in rows if row.name != "total")

    def _with_growth(self, row: AllocatorRow) -> AllocatorRow:
        """The row with what two divisions of the memory tell, where there are no more yet.

        That is enough to say where growth is that the resident memory has shown.
        """
        if row.growth is not None:
            return row
        curve = self.curve(growth_series(row.name, row.in_use), self.window)
        if len(curve) < 2 or curve.times[-1] - curve.times[0] < SHORTEST_WINDOW:
            return row
        change = float(curve.mean[-1] - curve.mean[0])
        return replace(row, growth=60.0 * change / float(curve.times[-1] - curve.times[0]))

    @cached_property
    def growing_types(self) -> tuple[TypeRow, ...]:
        """The types that grow beyond the error of the sample, the one that grows most in bytes first."""
        rows = [row for row in type_rows(self.snapshot, self.window) if row.growing and row.growth_is_certain]
        return tuple(sorted(rows, key=lambda row: row.bytes_growth or 0.0, reverse=True))

    @cached_property
    def kept(self) -> dict[str, float]:
        """How what an allocator keeps of freed memory grows, in bytes per minute, by its name."""
        found = {name: kept_growth(self.snapshot, self.window, name) for name in KEEPING}
        return {name: growth for name, growth in found.items() if growth is not None}

    @cached_property
    def main_allocator(self) -> AllocatorRow | None:
        """The one that grows most, if that is at least half of the growth of all memory."""
        largest = max((a for a in self.allocators if a.growth), key=lambda a: a.growth or 0.0, default=None)
        if largest is None or (self.share(largest.growth) or 0.0) < MAIN_SHARE:
            return None
        return largest

    def rate(self, name: str, seconds: float) -> float | None:
        """Return the growth of a series per minute over the last seconds."""
        return per_minute(self.curve(name, seconds))

    def too_early(self, what: str) -> str:
        """Return in words that something cannot be told yet."""
        if self.snapshot.facts is not None and self.snapshot.settled_at is None:
            return f"{what}: {self.no_first_picture}"
        return f"{what}: {duration(self.known)} are known so far, {duration(SHORTEST_SECONDS)} are needed at least"
