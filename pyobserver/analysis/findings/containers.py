"""Containers that get more and more items."""

from __future__ import annotations

from ...model.places import ContainerRecord, items_name
from ..containers import ContainerRow, container_rows
from ..format import bytes_text, count, duration, growth_count
from ..trend import Amounts, Trend
from .finding import Finding, Level, Place, Step, TooEarly
from .look import MAIN_SHARE, Look
from .memory import growing_types

ITEMS = Amounts(30, 500)
LEAST_READINGS = 3
MOST = 5
LIKELY_ITEM = 100_000  # bytes for each new item, up to which the growth of memory may well be that of the container


class GrowingContainers:
    """Dicts, lists, sets, deques and the like with a thousand items or more, by the path that leads to them."""

    name = "container"
    about = (
        "containers of a thousand items or more that get more: growing from 30 more in a minute on, a leak after "
        "45 min of steady growth above all that was there before"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return the containers that grow, that with the most items more each minute first."""
        record = look.snapshot.containers
        if record.newest is None:
            return TooEarly(record.problem or "the containers are looked for when objects grow, or on the tab Heap (g)")
        found = []
        for row in container_rows(look.snapshot, look.window):
            grows, trend = growth_of(look, row)
            if grows:
                found.append((row, trend))
        looks = len(record.earlier) + 1
        if not found and looks < LEAST_READINGS:
            times = "once" if looks == 1 else "twice"
            return TooEarly(f"the containers have been looked for {times}, it takes {LEAST_READINGS} times at least")
        found.sort(key=lambda each: each[0].growth or 0.0, reverse=True)
        return tuple(_finding(look, row, trend) for row, trend in found[:MOST])


def growth_of(look: Look, row: ContainerRow) -> tuple[bool, Trend | None]:
    """Return whether a container grows, and its trend, None where there are too few readings for one."""
    trend = look.trend(items_name(row.key), ITEMS)
    return trend.grows if trend is not None else _has_always_risen(look.snapshot.containers, row), trend


def _has_always_risen(record: ContainerRecord, row: ContainerRow) -> bool:
    """Whether a few readings say that it grows: one container, with more items each time. Several come and go.

    Three in a row may rise by chance, so they must also lie on a line, more or less: of a large heap there are no more
    in a minute.
    """
    readings = [each for each in (*record.earlier, record.newest) if each is not None and row.key in each.items]
    counts = [each.items[row.key] for each in readings]
    if not row.growing or row.containers != 1 or len(counts) < LEAST_READINGS or counts != sorted(set(counts)):
        return False
    if len(counts) > LEAST_READINGS:
        return True
    (t1, t2, t3), (n1, n2, n3) = [each.taken_at for each in readings], counts
    return t1 < t2 < t3 and 0.5 <= (n3 - n2) / (t3 - t2) / ((n2 - n1) / (t2 - t1)) <= 2.0


def _finding(look: Look, row: ContainerRow, trend: Trend | None) -> Finding:
    is_leak = trend is not None and trend.is_leak
    level: Level = "leak" if is_leak else "growing"
    seconds = trend.seconds if trend is not None else look.window
    what = row.type if row.containers == 1 else f"{count(row.containers)} × {row.type}"
    word = "Leak" if is_leak else "Growing"
    text = f"{word}: {row.path} ({what}), {count(row.items)} items, {growth_count(row.growth)} a minute"
    text += f" over the last {duration(seconds)}"
    leads = False
    steps = [
        Step(
            f"{row.path}: {what} with {count(row.items)} items, {growth_count(row.growth)} a minute",
            Place("containers", row.key),
        )
    ]
    if look.memory_grows and row.growth and look.explained_by_tasks < MAIN_SHARE:
        text += f"; memory grows by {bytes_text(look.memory_growth)} a minute meanwhile"
        text += f", {bytes_text(look.memory_growth / row.growth)} for each item"
        leads = look.memory_growth / row.growth <= LIKELY_ITEM
        name = look.main_allocator.name if look.main_allocator is not None else "total"
        steps.insert(0, Step(f"memory grows by {bytes_text(look.memory_growth)} a minute", Place("memory", name)))
    steps += [
        Step(f"{each.name} becomes more by {growth_count(each.count_growth)} a minute", Place("types", each.name))
        for each in growing_types(look)[:1]
    ]
    return Finding(
        kind="container",
        level=level,
        summary=text + ".",
        name=row.path,
        steps=tuple(steps),
        window=seconds,
        holder=row.path,
        leads=leads,
        reason=trend.reason if trend is not None and trend.grows else "there are too few readings to call it a leak",
    )
