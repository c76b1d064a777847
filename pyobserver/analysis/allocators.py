"""Memory by allocator: the table's rows, the chart's lines, and how long the memory lasts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from ..model.history import Curve
from ..model.readings import Allocator, InnerAllocator
from ..model.snapshot import Snapshot
from .growth import NOTICED_BYTES, grows, per_minute, seconds_to_limit
from .inner import inner_allocators

TREND_POINTS = 8
UNDIVIDED_SECONDS = 15.0  # at the beginning of a chart, from which on they are shown: the first division takes a moment
KEEPING = {"python": "python_free", "c_heap": "c_free"}  # allocators that keep what was freed, and the category of that


@dataclass(frozen=True)
class AllocatorRow:
    """One line of the table; sizes in bytes, growth in bytes per minute, None for what is not known."""

    name: str
    label: str
    in_use: int | None
    held: int | None
    kept: int | None  # freed, but held; of the total what all allocators keep
    utilisation: float | None  # in use / held
    peak: int | None  # the largest seen; for the total the kernel's high-water mark
    growth: float | None
    share: float | None  # of the resident memory
    marked: int | None  # change since the baseline
    trend: tuple[float, ...]  # means over equal parts of the window, oldest first
    growing: bool
    reason: str  # why something in this line is not known
    within: str | None = None  # the allocator that it is part of: its memory is in that one's; "" where it is in none
    held_is_most: bool = False  # it may hold less
    peak_in_use: int | None = None  # as it counts itself
    in_use_error: int = 0  # 95 % sampling error of an allocator of a library
    split: int | None = None  # of what is kept, that which lies between what is in use


@dataclass(frozen=True)
class Line:
    """One line of the chart."""

    name: str
    label: str
    curve: Curve


@dataclass(frozen=True)
class Outlook:
    """How much there is, how much there may be, and when that is reached at the present rate."""

    rss: int | None
    limit: int | None
    limit_source: str
    growth: float | None
    seconds_to_limit: float | None
    growing: bool


def allocator_rows(snapshot: Snapshot, window: float) -> list[AllocatorRow]:
    """Return the allocators that add up, the total last. `window` is in seconds back from now."""
    rows = []
    if snapshot.memory is not None:
        rss = snapshot.memory.rss
        for allocator in snapshot.memory.allocators:
            rows.append(_row(snapshot, allocator, window, rss))
    total = _total(snapshot, window)
    return [*rows, total] if total else rows


def table_rows(snapshot: Snapshot, window: float) -> list[AllocatorRow]:
    """Return the lines of the table: behind each allocator those of libraries whose memory is part of it.

    What is part of none, as the memory of a GPU, comes behind the total.
    """
    inner = [_inner_row(snapshot, each, window) for each in inner_allocators(snapshot)]
    rows = []
    for row in allocator_rows(snapshot, window):
        rows += [row, *(each for each in inner if each.within == row.name)]
    return [*rows, *(each for each in inner if not each.within)]


def _inner_row(snapshot: Snapshot, allocator: InnerAllocator, window: float) -> AllocatorRow:
    held, in_use = allocator.held, allocator.in_use
    series = f"inner/{allocator.name}/{'in_use' if in_use is not None else 'held'}"
    curve = snapshot.history.curve(series, snapshot.growing_since(window))
    seen = snapshot.history.peak(f"inner/{allocator.name}/held")
    before = snapshot.baseline.allocators.get(allocator.name) if snapshot.baseline else None
    now = held if held is not None else in_use
    rss = snapshot.memory.rss if snapshot.memory else 0
    is_sure = held is not None and not allocator.held_is_most
    return AllocatorRow(
        name=allocator.name,
        label=allocator.label,
        in_use=in_use,
        held=held,
        kept=max(0, held - in_use) if is_sure and held is not None and in_use is not None else None,
        utilisation=min(1.0, in_use / held) if is_sure and in_use is not None and held else None,
        peak=None if seen is None else int(seen),
        peak_in_use=allocator.peak,
        in_use_error=allocator.in_use_error,
        growth=per_minute(curve),
        share=held / rss if allocator.within and held is not None and rss else None,
        marked=now - before if now is not None and before is not None else None,
        trend=trend(snapshot.history.curve(series, snapshot.taken_at - window)),
        growing=grows(curve, in_use if in_use is not None else held, NOTICED_BYTES),
        reason=allocator.why,
        within=allocator.within,
        held_is_most=allocator.held_is_most,
        split=allocator.split,
    )


def _row(snapshot: Snapshot, allocator: Allocator, window: float, rss: int) -> AllocatorRow:
    held, in_use = allocator.held, allocator.in_use
    quantity = "in_use" if in_use is not None else "held"
    series = f"allocator/{allocator.name}/{quantity}"
    curve = snapshot.history.curve(growth_series(allocator.name, in_use), snapshot.growing_since(window))
    value = in_use if in_use is not None else held
    peak = snapshot.history.peak(f"allocator/{allocator.name}/held")
    before = snapshot.baseline.allocators.get(allocator.name) if snapshot.baseline else None
    now = held if held is not None else in_use
    reasons = snapshot.memory.unavailable if snapshot.memory else {}
    return AllocatorRow(
        name=allocator.name,
        label=allocator.label,
        in_use=in_use,
        held=held,
        kept=held - in_use if allocator.name in KEEPING and held is not None and in_use is not None else None,
        utilisation=in_use / held if in_use is not None and held else None,
        peak=None if peak is None else int(peak),
        growth=per_minute(curve),
        share=held / rss if held is not None and rss else None,
        marked=now - before if now is not None and before is not None else None,
        trend=trend(snapshot.history.curve(series, snapshot.taken_at - window)),
        growing=grows(curve, value, NOTICED_BYTES),
        reason=reasons.get(allocator.name, ""),
    )


def growth_series(name: str, in_use: int | None) -> str:
    """Return the name of the series from which the growth of an allocator is told.

    Of most it is from the divisions of the memory, between which the parts are only carried on.
    """
    if name == "python":
        return f"allocator/python/{'in_use' if in_use is not None else 'held'}"
    return f"division/{name}{'/in_use' if name == 'c_heap' and in_use is not None else ''}"


def _total(snapshot: Snapshot, window: float) -> AllocatorRow | None:
    if snapshot.process is None or snapshot.process.rss is None:
        return None
    outlook = memory_outlook(snapshot, window)
    rss = resident(snapshot) or snapshot.process.rss
    peak = snapshot.process.peak_rss
    before = snapshot.baseline.allocators.get("total") if snapshot.baseline else None
    return AllocatorRow(
        name="total",
        label="Total (RSS)",
        in_use=None,
        held=rss,
        kept=_all_kept(snapshot),
        utilisation=None,
        peak=None if peak is None else max(peak, rss),
        growth=outlook.growth,
        share=1.0,
        marked=rss - before if before is not None else None,
        trend=trend(snapshot.history.curve("rss", snapshot.taken_at - window)),
        growing=outlook.growing,
        reason="",
    )


def _all_kept(snapshot: Snapshot) -> int | None:
    """What all allocators together keep of what was freed; None where one of them does not tell."""
    allocators = snapshot.memory.allocators if snapshot.memory else ()
    kept = [
        None if each.in_use is None or each.held is None else each.held - each.in_use
        for each in allocators
        if each.name in KEEPING
    ]
    known = [size for size in kept if size is not None]
    return sum(known) if kept and len(known) == len(kept) else None


def kept_growth(snapshot: Snapshot, window: float, allocator: str) -> float | None:
    """How what an allocator keeps of freed memory grows, in bytes per minute; None where that is not known."""
    return per_minute(snapshot.history.curve(f"category/{KEEPING[allocator]}", snapshot.growing_since(window)))


def collections_per_minute(snapshot: Snapshot, generation: int, window: float) -> float | None:
    """How often the garbage collector has run a generation within the window; None where that is not known yet."""
    return per_minute(snapshot.history.curve(f"collector/{generation}", snapshot.taken_at - window))


def trend(curve: Curve, points: int = TREND_POINTS) -> tuple[float, ...]:
    """Return the means of equal parts of the curve, oldest first."""
    if not len(curve):
        return ()
    points = min(points, len(curve))
    edges = [len(curve) * i // points for i in range(points + 1)]
    return tuple(float(curve.mean[a:b].mean()) for a, b in pairwise(edges))


def chart_lines(snapshot: Snapshot, window: float) -> list[Line]:
    """Return the lines of the chart: the total, Python objects in use and held, the C heap, and everything else."""
    wanted = (
        ("rss", "Total (RSS)"),
        ("allocator/python/held", "Python objects, held"),
        ("allocator/python/in_use", "Python objects, in use"),
        ("allocator/c_heap/held", "C heap"),
        ("allocator/rest", "Everything else"),
    )
    return _lines(snapshot, window, wanted)


def chart_areas(snapshot: Snapshot, window: float) -> list[Line]:
    """Return the areas of the chart, the lowest first; together they are the resident memory.

    Before an observer was there the agent has only kept the whole of it: that is the last one, where it goes back.
    """
    wanted = (
        ("category/python_live", "Python objects"),
        ("category/python_free", "Python, kept"),
        ("category/c_live", "C heap"),
        ("category/c_free", "C heap, kept"),
        ("category/large_blocks", "Large blocks"),
        ("category/rest", "Everything else"),
    )
    lines = _lines(snapshot, window, wanted)
    divided = [float(line.curve.times[0]) for line in lines if len(line.curve)]
    whole = snapshot.history.curve("rss", snapshot.taken_at - window)
    if divided and len(whole) and min(divided) - float(whole.times[0]) >= UNDIVIDED_SECONDS:
        there = whole.times < min(divided)
        before = Curve(whole.times[there], whole.low[there], whole.mean[there], whole.high[there])
        lines.append(Line("rss", "RSS, before we came" if snapshot.watched_since else "RSS, not divided", before))
    return lines


def _lines(snapshot: Snapshot, window: float, wanted: Iterable[tuple[str, str]]) -> list[Line]:
    since = snapshot.taken_at - window
    return [Line(name, label, snapshot.history.curve(name, since)) for name, label in wanted]


def resident(snapshot: Snapshot) -> int | None:
    """Return the resident memory by the newest reading: when that is one of all allocators, they add up to it."""
    process, memory = snapshot.process, snapshot.memory
    if process is None:
        return None
    is_newer = process.rss is not None and memory is not None and memory.taken_at > process.taken_at
    return memory.rss if memory is not None and is_newer else process.rss


def memory_outlook(snapshot: Snapshot, window: float) -> Outlook:
    """Return the resident memory, its limit, its growth, and when the limit is reached at this rate.

    A control group's limit is reached by all that counts against it, so the way left is taken from there: the working
    set of the whole group, without the file cache that the kernel drops before it kills.
    """
    rss = resident(snapshot)
    curve = snapshot.history.curve("rss", snapshot.growing_since(window))
    growth, growing = per_minute(curve), grows(curve, rss, NOTICED_BYTES)
    limit = snapshot.limit
    if limit is None:
        return Outlook(rss, None, "", growth, None, growing)
    used = limit.current if limit.current is not None else rss
    seconds = seconds_to_limit(used, growth, limit.bytes) if growing else None
    return Outlook(rss, limit.bytes, limit.source, growth, seconds, growing)
