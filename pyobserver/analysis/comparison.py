"""Two recordings side by side: what grew before, and whether it still does.

What is compared is known by names that mean the same in two processes: a function and its kind, the path of a
container, a type, an allocator, the label of a supervisor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from ..model.forest_sums import CHILDREN, MEMORY, NODE
from ..model.snapshot import Snapshot
from .allocators import allocator_rows
from .containers import container_rows
from .findings import NO_VERDICT, Verdict, verdict
from .groups import group_rows
from .growth import TreeGrowth
from .heap import type_rows
from .supervision import program_name

Section = Literal["groups", "containers", "types", "allocators", "supervisors"]
SECTIONS: tuple[Section, ...] = ("groups", "containers", "types", "allocators", "supervisors")
FIXED = "grew before, flat now: fixed"
GONE = "grew before, gone now: fixed"
STILL = "grows in both"
NEW = "new growth"
EARLY = "grew before, too early to tell now"
AGENT = "pyobserver."  # begins the names of the agent's own types
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Side:
    """One thing at the end of one recording: how many, how many bytes, and their growth per minute over it.

    `count` is None for what is not counted, `bytes` for what has no size; growth is None before it can be told.
    """

    count: int | None
    bytes: int | None
    count_growth: float | None
    bytes_growth: float | None
    growing: bool

    @property
    def is_told(self) -> bool:
        """Whether it is known if it grows."""
        return self.count_growth is not None or self.bytes_growth is not None


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
    """Return what is known at the `last` moment of a recording of `span` seconds that begins with the `first` one."""
    window = max(span, 0.0)
    identity = last.identity or first.identity
    target = f"{program_name(identity.command)}, pid {identity.pid}" if identity is not None else ""
    things: dict[Section, Mapping[tuple[str, ...], Side]] = {
        "groups": _groups(last, window),
        "containers": {
            (row.path, row.type): Side(row.items, None, row.growth, None, row.growing)
            for row in container_rows(last, window)
        },
        "types": {
            (row.name,): Side(
                round(row.count), round(row.bytes), row.count_growth, row.bytes_growth, row.growing and row.is_type
            )
            for row in type_rows(last, window)
            if not row.name.startswith(AGENT)  # it warms up, and is not what is compared
        },
        "allocators": {
            (row.name, row.label): Side(
                None, row.in_use if row.held is None else row.held, None, row.growth, row.growing
            )
            for row in allocator_rows(last, window)
        },
        "supervisors": _supervisors(last, window),
    }
    return Summary(file, target, last.taken_at, window, things, verdict(last))


def _groups(snapshot: Snapshot, window: float) -> dict[tuple[str, ...], Side]:
    found: dict[tuple[str, ...], Side] = {}
    for row in group_rows(snapshot, window):
        size = None if row.bytes is None else round(row.bytes)
        name = (row.kind, row.function, "done, held" if row.held else "")
        found[name] = Side(row.count, size, row.count_growth, row.bytes_growth, row.growing)
    return found


def _supervisors(snapshot: Snapshot, window: float) -> dict[tuple[str, ...], Side]:
    """Those with children, alike ones together: many task groups of one line are one."""
    growth = TreeGrowth(snapshot.marks, snapshot.growing_since(window))
    forest = snapshot.forest
    ids, groups = growth.growing()
    growing = set(ids[groups == NODE].tolist())
    found: dict[tuple[str, ...], Side] = {}
    for node in forest.nodes:
        position = forest.position(node.id)
        if node.ended or position is None:
            continue
        totals = forest.totals(position)
        slopes = growth.of(node.id)
        side = Side(totals.children, totals.bytes, slopes[CHILDREN], slopes[MEMORY], node.id in growing)
        name = (node.kind, node.label)
        found[name] = _together(found[name], side) if name in found else side
    return found


def _together(one: Side, other: Side) -> Side:
    return Side(
        _sum(one.count, other.count),
        _sum(one.bytes, other.bytes),
        _sum(one.count_growth, other.count_growth),
        _sum(one.bytes_growth, other.bytes_growth),
        one.growing or other.growing,
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
