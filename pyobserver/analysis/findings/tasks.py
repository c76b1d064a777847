"""Tasks that become more, or that retain more and more."""

from __future__ import annotations

import numpy as np

from ...model.snapshot import Snapshot
from ...protocol import schema
from ..format import bytes_text, count, duration, growth_bytes, growth_count, percent
from ..group_facts import Scope, waiting_places
from ..groups import GroupRow, members
from ..trend import Trend
from .finding import Finding, Level, Place, Step, TooEarly
from .look import MAIN_SHARE, GroupGrowth, Look

MOST = 5  # findings about groups
MOST_HOLDERS = 1000  # of one group, that are looked at
_MANY = {"child process": "child processes", "coroutine never awaited": "coroutines never awaited"}


class Tasks:
    """Groups of tasks, and of all else that the agent lists and that can hold memory."""

    name = "tasks"
    about = (
        "tasks of one function that become more, or retain more: growing from 3 more or 250 kB in a minute on, a leak "
        "after 20 min of steady growth in which none has ended, else after 45 min"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return the groups that grow, the one that grows most in bytes first."""
        snapshot = look.snapshot
        if snapshot.facts is not None and snapshot.settled_at is None:
            return TooEarly(look.no_first_picture)
        if not look.growing_groups and not any(g.count is not None for g in look.groups) and look.groups:
            return TooEarly(look.too_early("whether tasks grow"))
        found = [g for g in look.growing_groups if g.row.kind_index != schema.KIND_NEVER_AWAITED]
        return tuple(_finding(look, group) for group in found[:MOST])


def holder_of(snapshot: Snapshot, group: GroupRow) -> tuple[int | None, str]:
    """Return id and label of the holder that at least half of the group hangs under; (None, "") without one.

    Holders of one name count together, such as an attribute of many objects of a class: the id is that of the one that
    holds most.
    """
    forest = snapshot.forest
    living = np.flatnonzero(members(forest.tasks, group.key) & forest.tasks.alive) + 1
    if not len(living):
        return None, ""
    counts = np.bincount(forest.parents[living])
    together: dict[str, int] = {}
    largest: dict[str, int] = {}  # by label, the id
    for position in np.argsort(-counts, kind="stable")[:MOST_HOLDERS].tolist():
        node = forest.node(position)
        if node is not None and node.kind == "holder" and counts[position]:
            together[node.label] = together.get(node.label, 0) + int(counts[position])
            largest.setdefault(node.label, node.id)
    label = max(together, key=lambda each: together[each], default="")
    return (largest[label], label) if 2 * together.get(label, 0) >= len(living) else (None, "")


def _finding(look: Look, growth: GroupGrowth) -> Finding:
    row, trend = growth.row, growth.trend
    assert trend is not None
    share = look.share(growth.bytes_growth)
    is_cause = share is not None and share >= MAIN_SHARE
    level: Level = "limit" if is_cause and look.is_close else "leak" if trend.is_leak else "growing"
    holder_id, holder = holder_of(look.snapshot, row)
    seconds = look.seconds_to_limit if is_cause else None
    return Finding(
        kind="tasks",
        level=level,
        summary=_summary(look, row, trend, share, holder, seconds),
        name=row.function or row.kind,
        steps=_steps(look, row, share, holder_id, holder),
        window=trend.seconds,
        function=row.function,
        holder=holder or None,
        bytes_growth=row.bytes_growth,
        seconds_to_limit=seconds,
        reason=trend.reason,
        explains=share,
        group=row.key,
        holder_id=holder_id,
    )


def _summary(look: Look, row: GroupRow, trend: Trend, share: float | None, holder: str, seconds: float | None) -> str:
    what = "" if row.kind_index in schema.TASK_KINDS else f" ({row.kind})"
    least = "at least " if row.count_is_minimum else ""
    parts = [f"{least}{count(row.count)} {row.function}{what}" + (" (done)" if row.held else "")]
    by_count = row.count_growth is not None and row.count_growth >= 0.05
    if by_count:
        parts.append(f"{growth_count(row.count_growth)} a minute")
    if row.bytes and not by_count and row.bytes_growth is not None:
        parts.append(f"{bytes_text(row.bytes)}, {growth_bytes(row.bytes_growth)} a minute")
    elif row.mean:
        parts.append(f"{bytes_text(row.mean)} each")
    span = duration(trend.seconds)
    text = ("Leak: " if trend.is_leak else "Growing: ") + ", ".join(parts)
    if share is None or share <= 0:
        text += f" over the last {span}"
    else:
        text += f": {share_text(share)} of the last {span}"
    if holder:
        text += f"; held by {holder}"
    if place := _where(look, row):
        text += f"; {place}"
    if row.held:
        text += "; done, but not let go"
    elif by_count or row.ended:
        text += "; none has been seen to end" if not row.ended else f"; {count(row.ended)} seen to end"
    if seconds is not None:
        text += f"; memory is full in about {duration(seconds)}"
    return text + "."


def share_text(share: float) -> str:
    """Return what part of the growth this is. It can be more than all, while other memory shrinks or is used again."""
    if share >= 1.05:
        return f"more than the whole growth ({percent(share)} of it)"
    return f"{percent(min(1.0, share))} of the growth"


def _where(look: Look, row: GroupRow) -> str:
    """Where most of the group wait, or all."""
    tasks = look.snapshot.tasks
    places, _ = waiting_places(tasks, members(tasks, row.key) & tasks.alive, 1)
    if not places or not row.where:
        return ""
    line = row.where.rsplit("/", 1)[-1]
    alike = sum(place.count for place in places if place.where == row.where)
    if row.count == 1:
        return f"waits at {line}"
    return f"all wait at {line}" if alike == row.count else f"most wait at {line}"


def _steps(look: Look, row: GroupRow, share: float | None, holder_id: int | None, holder: str) -> tuple[Step, ...]:
    steps = []
    main = look.main_allocator
    if look.memory_grows:
        where = f", most of it in {main.label}" if main is not None else ""
        text = f"memory grows by {bytes_text(look.memory_growth)} a minute{where}"
        steps.append(Step(text, Place("memory", main.name if main is not None else "total")))
    kind = row.kind if row.count == 1 else _MANY.get(row.kind, row.kind + "s")
    runs = "runs" if row.count == 1 else "run"
    text = f"{count(row.count)} {kind} {runs} {row.function}"
    if row.bytes is not None:
        retain = "retains" if row.count == 1 else "retain"
        text += f" and {retain} {bytes_text(row.bytes)}, {growth_bytes(row.bytes_growth)} a minute"
        if row.measured_share < 0.995:
            text += f", told from {percent(row.measured_share)} of them"
    steps.append(Step(text, Place("groups", row.key)))
    said = [place] if (place := _where(look, row)) else []
    if row.held:
        said.append("they are done, but somebody holds them")
    elif row.count > 1 or row.ended:
        said.append(f"{count(row.ended)} have been seen to end")
    if row.oldest_age is not None:
        least = "at least " if row.oldest_is_minimum else ""
        who = "it" if row.count == 1 else "the oldest"
        said.append(f"{who} is {least}{duration(row.oldest_age)} old")
    steps.append(Step("; ".join(said) or f"it is the only {row.kind}", Place("members", row.key)))
    if holder_id is not None:
        node = look.snapshot.nodes.get(holder_id)
        detail = f" ({node.detail})" if node is not None and node.detail else ""
        children = int((look.snapshot.tasks["parent"][members(look.snapshot.tasks, row.key)] == holder_id).sum())
        whom = "it" if row.count == 1 else "them"
        if 2 * children < row.count:
            whom = f"{count(children)} of them, others of this name the rest"
        steps.append(Step(f"{holder}{detail} holds {whom}", Place("tree", holder_id)))
    return tuple(steps)


def scope_of(finding: Finding) -> Scope:
    """Return which rows a finding about a group means."""
    return Scope(finding.group)
