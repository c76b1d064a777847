"""Child processes that become more, or whose memory grows: it is not the target's, and no screen of it leads there."""

from __future__ import annotations

import numpy as np

from ...model.tasks import Row
from ..format import bytes_text, count, duration, growth_bytes, growth_count
from ..groups import GroupRow, members
from ..trend import Trend
from .finding import Finding, Place, Step, TooEarly
from .look import MAIN_SHARE, Look

MOST = 3


class Children:
    """Child processes of one command."""

    name = "children"
    about = (
        "child processes of one command that become more, or whose memory grows: growing from 3 more or 2 MB in a "
        "minute on, a leak after 45 min of steady growth"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding for each command, the one whose memory grows most first."""
        groups = look.children
        if groups and all(group.bytes is None and group.count is None for group in groups):
            return TooEarly(look.too_early("whether child processes grow"))
        return tuple(_finding(look, g.row, g.trend) for g in groups if g.trend is not None)[:MOST]


def _finding(look: Look, row: GroupRow, trend: Trend) -> Finding:
    one = row.count == 1
    name = f"{row.function} (child process)" if one else f"{count(row.count)} child processes {row.function}"
    text = f"{'Leak' if trend.is_leak else 'Growing'}: {name}"
    if row.count_growth is not None and row.count_growth >= 0.05:
        text += f", {growth_count(row.count_growth)} a minute"
    if row.bytes is not None:
        text += f", {bytes_text(row.bytes)}, {growth_bytes(row.bytes_growth)} a minute"
    text += f" over the last {duration(trend.seconds)}"
    steps = [Step(text.partition(": ")[2], Place("groups", row.key))]
    most = None if one else _who_grows(look, row)
    if most is not None:
        text += f"; most of it is {most.name or f'row {most.id}'}, {growth_bytes(most.growth)} a minute"
    if one or most is not None:
        steps.append(Step("Enter on it attaches to it, to see what grows there", Place("members", row.key)))
    return Finding(
        kind="children",
        level="leak" if trend.is_leak else "growing",
        summary=text + ".",
        name=row.function,
        steps=tuple(steps),
        window=trend.seconds,
        function=row.function,
        bytes_growth=row.bytes_growth,
        reason=trend.reason,
        group=row.key,
    )


def _who_grows(look: Look, row: GroupRow) -> Row | None:
    """The one of them that accounts for most of the growth, if any does."""
    tasks = look.snapshot.tasks
    living = np.flatnonzero(members(tasks, row.key) & tasks.alive)
    growths = np.nan_to_num(tasks.growth[living])
    if not len(living) or growths.max() < MAIN_SHARE * max(1.0, row.bytes_growth or 0.0):
        return None
    return tasks.row(int(living[int(growths.argmax())]))
