"""One sentence that says what grows, what does it, who holds it, and where it waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..model.store import Snapshot
from ..protocol import schema
from .allocators import KEEPING, allocator_rows, kept_growth, memory_outlook
from .format import bytes_text
from .groups import GroupRow, group_rows, members

Level = Literal["", "growing", "limit"]

CLOSE_SECONDS = 15 * 60.0  # full within this time is more than "growing"
MAIN_SHARE = 0.5  # of the growth: what has at least this share is named as its cause
_KEEPERS = {"python": "Python's allocator", "c_heap": "the C heap"}
_NO_CAUSES = (schema.KIND_THREAD, schema.KIND_CHILD)  # threads are few, and a child's memory is its own


@dataclass(frozen=True)
class Verdict:
    """`text` is a sentence without numbers formatted for a column; `group` and `holder` lead to the evidence."""

    level: Level
    text: str
    group: GroupRow | None = None
    holder_id: int | None = None
    holder: str = ""
    allocator: str = ""


def verdict(snapshot: Snapshot, window: float) -> Verdict:
    """Return what can be said now. Too early, and nothing to say, are said as well."""
    outlook = memory_outlook(snapshot, window)
    if outlook.growth is None:
        return Verdict("", "Too early to tell whether memory grows.")
    groups = group_rows(snapshot, window)
    if not outlook.growing:
        grown = [g for g in groups if g.growing and g.kind != "child process"]
        if not grown:
            return Verdict("", "Memory is steady.")
        return _of_group(snapshot, "", max(grown, key=lambda g: g.bytes_growth or 0.0), None)
    level: Level = "growing"
    if outlook.seconds_to_limit is not None and outlook.seconds_to_limit < CLOSE_SECONDS:
        level = "limit"
    cause = _cause(groups, outlook.growth)
    if cause is not None:
        return _of_group(snapshot, level, cause, outlook.growth)
    return _of_allocator(snapshot, level, window, outlook.growth)


def _cause(groups: list[GroupRow], growth: float) -> GroupRow | None:
    tasks = [g for g in groups if g.kind_index not in _NO_CAUSES and g.bytes_growth is not None]
    largest = max(tasks, key=lambda g: g.bytes_growth or 0.0, default=None)
    if largest is None or (largest.bytes_growth or 0.0) < MAIN_SHARE * growth:
        return None
    return largest


def holder_of(snapshot: Snapshot, group: GroupRow) -> tuple[int | None, str]:
    """Return id and label of the holder that at least half of the group hangs under; (None, "") without one."""
    forest = snapshot.forest
    living = np.flatnonzero(members(forest.tasks, group.key) & forest.tasks.alive) + 1
    if not len(living):
        return None, ""
    counts = np.bincount(forest.parents[living])
    position = int(counts.argmax())
    node = forest.node(position)
    if node is None or node.kind != "holder" or 2 * counts[position] < len(living):
        return None, ""
    return node.id, node.label


def _of_group(snapshot: Snapshot, level: Level, group: GroupRow, growth: float | None) -> Verdict:
    holder_id, holder = holder_of(snapshot, group)
    what = "" if group.kind_index in schema.TASK_KINDS else f" ({group.kind})"
    parts = [f"{group.count:,} {group.function}{what}" + (" (done)" if group.held else "")]
    if group.count_growth is not None and group.count_growth >= 0.05:
        parts.append(f"+{group.count_growth:.1f} a minute")
    if group.mean:
        parts.append(f"{bytes_text(group.mean)} each")
    text = ", ".join(parts)
    if growth and group.bytes_growth:
        text += f": {_share_text(group.bytes_growth / growth)}"
    if holder:
        text += f"; held by {holder}"
    if group.where:
        text += f"; most wait at {group.where.rsplit('/', 1)[-1]}"
    if group.held:
        text += "; done, but not let go."
    else:
        text += "; none has been seen to end." if not group.ended else f"; {group.ended:,} seen to end."
    return Verdict(level, ("Growing: " if level else "Steady in all, but growing: ") + text, group, holder_id, holder)


def _share_text(share: float) -> str:
    """What part of the growth this is. It can be more than all of it, while other memory shrinks or is used again."""
    if share >= 1.05:
        return f"more than the whole growth ({share:.0%} of it)"
    return f"{min(1.0, share):.0%} of the growth"


def _of_allocator(snapshot: Snapshot, level: Level, window: float, growth: float) -> Verdict:
    kept = {name: kept_growth(snapshot, window, name) or 0.0 for name in KEEPING}
    keeper = max(kept, key=lambda name: kept[name])
    if kept[keeper] >= MAIN_SHARE * growth:
        text = f"Growing: what {_KEEPERS[keeper]} keeps of freed memory, +{bytes_text(kept[keeper])} a minute."
        return Verdict(level, f"{text} No object holds it: the heap is fragmented.", allocator=keeper)
    rows = [r for r in allocator_rows(snapshot, window) if r.name != "total" and r.growth]
    largest = max(rows, key=lambda r: r.growth or 0.0, default=None)
    if largest is None or (largest.growth or 0.0) < MAIN_SHARE * growth:
        return Verdict(level, f"Growing: memory, +{bytes_text(growth)} a minute, in no single allocator.")
    advice = {
        "python": "They are live, not freed but kept: look at the tasks (3).",
        "c_heap": "That is extension modules, or large strings and tables.",
        "large_blocks": "That is arrays, or big bytes objects.",
        "native_other": "That is a native library with an allocator of its own: Enter on it shows its mappings.",
    }.get(largest.name, "")
    text = f"Growing: {largest.label}, +{bytes_text(largest.growth or 0.0)} a minute. {advice}".strip()
    return Verdict(level, text, allocator=largest.name)
