"""The columns of the tree: each quantity as it is, its change per minute, and its change since the baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...analysis.format import bytes_text, count, duration, growth_bytes, growth_count
from ...analysis.growth import NOTICED_COUNT, Mode
from ...analysis.supervision import TreeNode
from ..widgets import Cell, Column
from ..words import changed, short_kind

LABEL = Column("label", "Supervisor", 24, help="What owns, holds or runs. ▲ marks what grows, up to the root.")

_EDGE = Column("edge", "Edge", 7, priority=3, help="What is above it runs, owns, awaits, holds or has spawned it.")
_OLDEST = Column("oldest", "Oldest", 11, "right", priority=4, help="The age of the oldest child, or its own; ≥ least.")
_CHILDREN = Column("children", "Children", 7, "right", help="How many hang directly under it.")
_CHILDREN_GROWTH = Column(
    "children_growth", "+/min", 6, "right", priority=7, help="Children more each minute, over the window (+ and -)."
)
_BELOW = Column(
    "below", "Below", 6, "right", priority=2, help="How many hang under it at any depth, supervisors among them."
)
_TASKS = Column("tasks", "Tasks", 6, "right", priority=1, help="How many tasks there are under it, at any depth.")
_MEMORY = Column(
    "memory",
    "Memory",
    8,
    "right",
    help="What has been measured of it and of everything under it. A child process is not added.",
)
_GROWTH = Column("memory_growth", "+/min", 8, "right", priority=8, help="Bytes more each minute, itself and under it.")
_ENDED = Column(
    "ended",
    "Ended",
    6,
    "right",
    priority=5,
    help="How many of its children have been seen to end since we look; of alike ones, those of their function here.",
)

COLUMNS: dict[Mode, tuple[Column, ...]] = {
    "value": (_EDGE, _CHILDREN, _CHILDREN_GROWTH, _BELOW, _TASKS, _MEMORY, _GROWTH, _OLDEST, _ENDED),
    "growth": (
        _EDGE,
        Column("children_growth", "Children/min", 7, "right", help=_CHILDREN_GROWTH.help),
        Column("below_growth", "Below/min", 7, "right", priority=2, help="The same at any depth."),
        Column("tasks_growth", "Tasks/min", 7, "right", priority=1, help="Tasks more each minute, at any depth."),
        Column("memory_growth", "Memory/min", 8, "right", help=_GROWTH.help),
        _OLDEST,
        Column("ended_growth", "Ended/min", 7, "right", priority=5, help="Children that end each minute."),
    ),
    "baseline": (
        _EDGE,
        Column("children_marked", "Δ Children", 7, "right", help="Children more than at the baseline."),
        Column("below_marked", "Δ Below", 6, "right", priority=2, help="The same at any depth."),
        Column("tasks_marked", "Δ Tasks", 6, "right", priority=1, help="Tasks more than at the baseline."),
        Column("memory_marked", "Δ Memory", 8, "right", help="Bytes more than at the baseline."),
        _OLDEST,
        Column("ended_marked", "Δ Ended", 6, "right", priority=5, help="Children that have ended since the baseline."),
    ),
}


def instead(column: str, mode: Mode) -> str:
    """Return by what is sorted in a mode that does not have the column: the same quantity as the mode shows it."""
    if any(each.key == column for each in (LABEL, *COLUMNS[mode])):
        return column
    quantity = column.partition("_")[0]
    return quantity + {"value": "", "growth": "_growth", "baseline": "_marked"}[mode]


def cells(node: TreeNode, columns: tuple[Column, ...]) -> list[Cell]:
    """One cell for each column."""
    return [CELLS[column.key](node) for column in columns]


def _of_supervisor(node: TreeNode, text: str) -> str:
    """What has no children, and none that have ended, has nothing to say about children."""
    return text if node.children_count or node.ended_count else ""


def _grown(node: TreeNode, text: str) -> Cell:
    return (text, "grow") if node.growing and text.startswith("+") else text


def _multiplying(node: TreeNode) -> Cell:
    text = _of_supervisor(node, growth_count(node.growth.children))
    return (text, "grow") if text and node.growing and (node.growth.children or 0.0) >= NOTICED_COUNT else text


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _since(node: TreeNode, value: float | None) -> Cell:
    return _grown(node, _of_supervisor(node, changed(_whole(value))))


CELLS: Mapping[str, Callable[[TreeNode], Cell]] = {
    "edge": lambda node: (short_kind(node.edge), "dim"),
    "children": lambda node: _of_supervisor(node, count(node.children_count)),
    "children_growth": _multiplying,
    "children_marked": lambda node: _since(node, node.marked.children),
    "below": lambda node: _of_supervisor(node, count(node.descendants)),
    "below_growth": lambda node: _of_supervisor(node, growth_count(node.growth.below)),
    "below_marked": lambda node: _since(node, node.marked.below),
    "tasks": lambda node: count(node.tasks) if node.tasks else "",
    "tasks_growth": lambda node: _of_supervisor(node, growth_count(node.growth.tasks)),
    "tasks_marked": lambda node: _since(node, node.marked.tasks),
    "memory": lambda node: bytes_text(node.bytes),
    "memory_growth": lambda node: _grown(node, growth_bytes(node.growth.memory)),
    "memory_marked": lambda node: _grown(node, growth_bytes(node.marked.memory)),
    "oldest": lambda node: ("≥" if node.oldest_is_minimum else "") + duration(node.oldest_age),
    "ended": lambda node: _of_supervisor(node, count(node.ended_count)),
    "ended_growth": lambda node: _of_supervisor(node, growth_count(node.growth.ended)),
    "ended_marked": lambda node: _of_supervisor(node, changed(_whole(node.marked.ended))),
}
