"""Two recordings side by side: what grew before, and whether it still does.

What is compared is known by names that mean the same in two processes: a function and its kind, the path of a
container, a type, an allocator, the label of a supervisor. Whether it grows is told as the findings tell it, so that no
line is marked in a recording of which they say that nothing grows: a program that has just begun has a slope anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from ..model.forest_sums import CHILDREN, MEMORY, NODE
from ..model.snapshot import Snapshot
from ..protocol import schema
from .allocators import AllocatorRow, allocator_rows, growth_series
from .containers import container_rows
from .findings import NO_VERDICT, Verdict, verdict
from .findings.containers import LEAST_READINGS, growth_of
from .findings.look import NO_CAUSES, Look
from .groups import group_rows
from .growth import TreeGrowth
from .heap import TypeRow, type_rows
from .supervision import program_name
from .trend import RETAINED, ROWS, Amounts, Trend

Section = Literal["groups", "containers", "types", "allocators", "supervisors"]
SECTIONS: tuple[Section, ...] = ("groups", "containers", "types", "allocators", "supervisors")
FIXED = "grew before, flat now: fixed"
GONE = "grew before, gone now: fixed"
STILL = "grows in both"
NEW = "new growth"
EARLY = "grew before, too early to tell now"
_WITH_PARTS = ("tasks", "container", "python_objects", "memory", "backlog", "threads")
AGENT = "pyobserver."  # begins the names of the agent's own types
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Side:
    """One thing at the end of one recording: how many, how many bytes, and their growth per minute over it.

    `count` is None for what is not counted, `bytes` for what has no size; growth is None before there are readings
    enough for a slope, and `early` says that there are too few to tell it from chance.
    """

    count: int | None
    bytes: int | None
    count_growth: float | None
    bytes_growth: float | None
    growing: bool
    early: bool = False

    @property
    def is_told(self) -> bool:
        """Whether it is known if it grows."""
        return not self.early and (self.count_growth is not None or self.bytes_growth is not None)


@dataclass(frozen=True)
class Compared:
    """One thing in both; None where it is not. `name` tells it from others of its section."""

    section: Section
    name: tuple[str, ...]
    before: Side | None
    after: Side | None
    verdict: str  # one of the words above, or "" where nothing grew


@dataclass(frozen=True)
class Summary:
    """The end of one recording: who it was, the seconds over which growth is told, what there is by section, and what
    was found."""

    file: str
    target: str
    taken_at: float
    window: float
    things: Mapping[Section, Mapping[tuple[str, ...], Side]] = field(default_factory=dict)
    judged: Verdict = NO_VERDICT


@dataclass(frozen=True)
class Comparison:
    """Both, and what they have, within each section what has a verdict first, then the largest."""

    before: Summary
    after: Summary
    lines: tuple[Compared, ...]

    @property
    def grows(self) -> bool:
        """Whether growth is found in the later one: a line of the table may rise for a minute and be none."""
        return any(each.level != "notice" for each in self.after.judged.findings)


def summary(file: str, first: Snapshot, last: Snapshot, span: float) -> Summary:
    """Return what is known at the `last` moment of a recording of `span` seconds that begins with the `first` one.

    One that has a single moment has the past of its series: then growth is that of as much of it as counts.
    """
    look, judged = Look(last), verdict(last)
    window = span if span > 0 else look.window
    identity = last.identity or first.identity
    target = f"{program_name(identity.command)}, pid {identity.pid}" if identity is not None else ""
    things: dict[Section, Mapping[tuple[str, ...], Side]] = {
        "groups": _groups(look, judged, window),
        "containers": _containers(look, window),
        "types": _types(look, judged, window),
        "allocators": _allocators(look, window),
        "supervisors": _supervisors(look, judged, window),
    }
    return Summary(file, target, last.taken_at, window, things, judged)


def _groups(look: Look, judged: Verdict, window: float) -> dict[tuple[str, ...], Side]:
    trends = {each.row.key: each for each in look.groups}
    threads_grow = any(each.kind == "threads" for each in judged.findings)
    found: dict[tuple[str, ...], Side] = {}
    for row in group_rows(look.snapshot, window):
        size = None if row.bytes is None else round(row.bytes)
        told = trends.get(row.key)
        grows = told is not None and told.trend is not None
        if row.kind_index in NO_CAUSES:
            grows = grows and row.kind_index == schema.KIND_THREAD and threads_grow
        is_early = told is not None and told.bytes is None and told.count is None
        name = (row.kind, row.function, "done, held" if row.held else "")
        found[name] = Side(row.count, size, row.count_growth, row.bytes_growth, grows, is_early)
    return found


def _containers(look: Look, window: float) -> dict[tuple[str, ...], Side]:
    is_early = len(look.snapshot.containers.earlier) + 1 < LEAST_READINGS
    return {
        (row.path, row.type): Side(row.items, None, row.growth, None, growth_of(look, row)[0], is_early)
        for row in container_rows(look.snapshot, window)
    }


def _types(look: Look, judged: Verdict, window: float) -> dict[tuple[str, ...], Side]:
    """The types of the program: a small object may stand for much, so that their number counts as well."""

    def grows(row: TypeRow) -> bool:
        in_bytes = _is_enough(RETAINED, row.bytes_growth, row.bytes, look)
        enough = in_bytes or _is_enough(ROWS, row.count_growth, row.count, look)
        return row.is_type and row.growing and enough and _has_growth(judged)

    return {
        (row.name,): Side(
            round(row.count), round(row.bytes), row.count_growth, row.bytes_growth, grows(row), look.memory is None
        )
        for row in type_rows(look.snapshot, window)
        if not row.name.startswith(AGENT)  # it warms up, and is not what is compared
    }


def _allocators(look: Look, window: float) -> dict[tuple[str, ...], Side]:
    found: dict[tuple[str, ...], Side] = {}
    for row in allocator_rows(look.snapshot, window):
        trend = look.memory if row.name == "total" else look.trend(growth_series(row.name, row.in_use), look.amounts)
        size = row.in_use if row.held is None else row.held
        grows = _allocator_grows(look, row, trend)
        found[row.name, row.label] = Side(None, size, None, row.growth, grows, look.memory is None or trend is None)
    return found


def _allocator_grows(look: Look, row: AllocatorRow, trend: Trend | None) -> bool:
    """Whether a finding would say so: of Python objects also while memory as a whole does not grow."""
    if row.name == "total":
        return look.memory_grows
    return trend is not None and trend.grows and (row.name == "python" or look.memory_grows)


def _supervisors(look: Look, judged: Verdict, window: float) -> dict[tuple[str, ...], Side]:
    """Those with children, alike ones together: many task groups of one line are one."""
    snapshot = look.snapshot
    growth = TreeGrowth(snapshot.marks, snapshot.growing_since(window))
    forest = snapshot.forest
    ids, groups = growth.growing()
    growing = set(ids[groups == NODE].tolist()) if _has_growth(judged) else set()
    found: dict[tuple[str, ...], Side] = {}
    for node in forest.nodes:
        position = forest.position(node.id)
        if node.ended or position is None:
            continue
        totals = forest.totals(position)
        slopes = growth.of(node.id)
        enough = _is_enough(ROWS, slopes[CHILDREN], totals.children, look) or _is_enough(
            RETAINED, slopes[MEMORY], totals.bytes, look
        )
        grows = node.id in growing and enough
        side = Side(totals.children, totals.bytes, slopes[CHILDREN], slopes[MEMORY], grows, look.memory is None)
        name = (node.kind, node.label)
        found[name] = _together(found[name], side) if name in found else side
    return found


def _has_growth(judged: Verdict) -> bool:
    """Whether the findings know of growth that types and supervisors may have a part in."""
    return any(each.kind in _WITH_PARTS and each.level != "notice" for each in judged.findings)


def _is_enough(amounts: Amounts, growth: float | None, value: float | None, look: Look) -> bool:
    """Whether what a growth per minute adds up to is worth a word."""
    if growth is None:
        return False
    change = growth * look.window / 60.0
    return change >= amounts.least(look.window, (value or 0.0) - change / 2)


def _together(one: Side, other: Side) -> Side:
    return Side(
        _sum(one.count, other.count),
        _sum(one.bytes, other.bytes),
        _sum(one.count_growth, other.count_growth),
        _sum(one.bytes_growth, other.bytes_growth),
        one.growing or other.growing,
        one.early and other.early,
    )


def _sum(one: Number | None, other: Number | None) -> Number | None:
    return other if one is None else one if other is None else one + other


def compared(before: Summary, after: Summary) -> Comparison:
    """Return the two side by side."""
    lines: list[Compared] = []
    for section in SECTIONS:
        was, now = before.things.get(section, {}), after.things.get(section, {})
        names: Iterable[tuple[str, ...]] = dict.fromkeys([*was, *now])
        found = [
            Compared(section, name, was.get(name), now.get(name), _verdict(was.get(name), now.get(name)))
            for name in names
        ]
        lines += sorted(found, key=_rank)
    return Comparison(before, after, tuple(lines))


def _verdict(before: Side | None, after: Side | None) -> str:
    grew = before is not None and before.growing
    if after is None:
        return GONE if grew else ""
    if after.growing:
        return STILL if grew else NEW
    if not grew:
        return ""
    return FIXED if after.is_told else EARLY


def _rank(line: Compared) -> tuple[bool, float, tuple[str, ...]]:
    sides = [side for side in (line.before, line.after) if side is not None]
    largest = max(side.bytes if side.bytes is not None else side.count or 0 for side in sides)
    return not line.verdict, -largest, line.name
