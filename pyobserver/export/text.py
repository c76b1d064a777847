"""The snapshot as text: what an operator reads first, first. No line is wider than asked for."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Hashable, Iterator, Sequence

from ..analysis.allocators import memory_outlook, table_rows
from ..analysis.findings import verdict
from ..analysis.format import bytes_text, count, duration, growth_bytes, growth_count, percent
from ..analysis.groups import GroupRow, group_rows, sort_groups
from ..analysis.heap import NORMAL_95, TypeRow, sort_types, type_rows
from ..analysis.ordering import NUMERIC, order
from ..analysis.supervision import SupervisionTree, TreeNode, program_name, tree
from ..model.snapshot import Snapshot
from ..model.tasks import Row
from .cells import Column, cells, fit, table
from .document import FOLD_ABOVE

NARROW = 80  # characters of a line that everything is readable in
_GROUPS = 15
_TYPES = 10
_SHORT_KINDS = {"executor job": "job", "async generator": "async gen", "coroutine never awaited": "never awaited"}
_BRANCHES = 12  # children shown of one node
_LEVELS = 20
_AGE = 12  # "≥ 9 h 59 min"
_FLOW = 20  # a last column narrower than this is left out


def text(
    snapshot: Snapshot,
    top: int = 10,
    sort: str = "memory",
    window: float = 600.0,
    width: int = NARROW,
    allowed: Collection[str] = (),
) -> str:
    """Return all of it, lines ended by newlines; `width` is that of the terminal. `allowed` findings are not told."""
    width = max(NARROW, width)
    parts = [
        head(snapshot, window, width),
        textwrap.wrap(verdict(snapshot, allowed).text, width),
        allocators(snapshot, window, width),
        _types(snapshot, window, width),
        groups(snapshot, window, width),
        _rows(snapshot, top, sort, width),
        _tree(snapshot, window, width),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def head(snapshot: Snapshot, window: float, width: int) -> list[str]:
    """Return who it is, how much memory there is, and when that is full."""
    who, facts = snapshot.identity, snapshot.facts
    python = facts.python if facts else (who.python if who else None) or "?"
    first = [f"{program_name(who.command) if who else 'process'}  pid {who.pid if who else '?'}", f"Python {python}"]
    if who:
        first.append(f"up {duration(snapshot.taken_at - who.started_at)}")
    outlook = memory_outlook(snapshot, window)
    second = [f"RSS {bytes_text(outlook.rss)}"]
    if outlook.limit is not None:
        second[0] += f" of {bytes_text(outlook.limit)}"
    if outlook.growth is not None:
        second.append(f"{growth_bytes(outlook.growth)}/min")
    if outlook.seconds_to_limit is not None:
        second.append(f"full in about {duration(outlook.seconds_to_limit)}")
    lines = [" · ".join(first), " · ".join(second)]
    if outlook.limit is not None:
        lines.append(f"limit: {outlook.limit_source}")
    if facts is not None and facts.self_check != "ok":
        lines.append(f"memory of tasks is not available: {facts.self_check}")
    if facts is None:
        lines.append(f"no agent: {snapshot.status.text or snapshot.status.phase.value}")
    return [part for line in lines for part in textwrap.wrap(line, width)]


def allocators(snapshot: Snapshot, window: float, width: int) -> list[str]:
    """Return the memory by allocator, a line each."""
    rows = table_rows(snapshot, window)
    columns = [
        Column("  Allocator", 24),
        *(Column("In use", 8, "right"), Column("Held", 8, "right"), Column("Util", 5, "right")),
        *(Column("Peak", 8, "right"), Column("Growth/min", 10, "right"), Column("Share", 5, "right")),
    ]
    lines = [
        (
            _mark(row.growing) + ("└ " if row.within else "") + row.label,
            *(
                ("~" if row.in_use_error else "") + bytes_text(row.in_use),
                ("≤ " if row.held_is_most else "") + bytes_text(row.held),
                percent(row.utilisation),
            ),
            *(bytes_text(row.peak), growth_bytes(row.growth), percent(row.share)),
        )
        for row in rows
    ]
    return table(columns, lines, width) if rows else []


def _types(snapshot: Snapshot, window: float, width: int) -> list[str]:
    """The largest types of the newest census; none where nobody has counted, or there is no time to."""
    rows = [
        row for row in sort_types(type_rows(snapshot, window), "bytes", descending=True) if row.count and row.is_type
    ]
    numbers = [
        *(Column("Count", 9, "right"), Column("Bytes", 9, "right"), Column("±", 8, "right")),
        *(Column("Growth/min", 10, "right"), Column("Share", 5, "right")),
    ]
    taken = sum(column.width + 2 for column in numbers)
    columns = [Column("  Objects by type", min(60, width - taken), cut="start"), *numbers]
    lines = [
        (
            _mark(row.growing) + row.name,
            *(("~" if row.count_error else "") + count(round(row.count)), bytes_text(round(row.bytes))),
            *(bytes_text(round(NORMAL_95 * row.bytes_error)) if row.bytes_error else "", _certain(row)),
            percent(row.share),
        )
        for row in rows[:_TYPES]
    ]
    more = [f"  … {len(rows) - _TYPES} more types"] if len(rows) > _TYPES else []
    return [*table(columns, lines, width), *more] if rows else []


def _certain(row: TypeRow) -> str:
    """The growth of a type, where it is more than the sample can make up."""
    if row.bytes_growth is None:
        return growth_bytes(None)
    return growth_bytes(row.bytes_growth) if row.growth_is_certain else ""


def _mark(growing: bool) -> str:
    return "▲ " if growing else "  "


def groups(snapshot: Snapshot, window: float, width: int) -> list[str]:
    """Return the groups of what runs, those that retain most first."""
    rows = sort_groups(group_rows(snapshot, window), "memory", descending=True)
    if not rows:
        return ["no tasks, threads or child processes are known"]
    numbers = [
        *(Column("Count", 7, "right"), Column("+/min", 6, "right"), Column("Memory", 8, "right")),
        *(Column("+/min", 8, "right"), Column("Oldest", _AGE, "right")),
    ]
    taken = sum(column.width + 2 for column in numbers)
    aside = width >= NARROW + 30  # there is room for where most wait beside the numbers; else it is said below
    columns = [Column("  Function", 42 if aside else width - taken, cut="start"), *numbers]
    if aside:
        columns.append(Column("Where most wait", width - taken - 44))
    lines = table(columns, [], width)
    for row in rows[:_GROUPS]:
        where = _wait(row.waiting, row.where)
        lines += table(columns, [(*_group_cells(row, columns[0].width), where)[: len(columns)]], width)[1:]
        if where and not aside:
            lines.append(fit(f"    waits: {where}", width).rstrip())
    if len(rows) > _GROUPS:
        lines.append(f"  … {len(rows) - _GROUPS} more groups")
    return lines


def _group_cells(row: GroupRow, room: int) -> tuple[str, ...]:
    kind = "" if row.kind == "asyncio task" else f"{_SHORT_KINDS.get(row.kind, row.kind)}  "
    held = " (done)" if row.held else ""
    lead = _mark(row.growing) + kind
    about = "~" if row.measured_share < 1 and row.bytes is not None else ""
    return (
        lead + fit(row.function, room - len(lead) - len(held), cut="start").rstrip() + held,
        *(
            row.count_sign + count(row.count),
            growth_count(row.count_growth),
            about + bytes_text(row.bytes),
        ),
        *(growth_bytes(row.bytes_growth), _at_least(row.oldest_is_minimum) + duration(row.oldest_age)),
    )


def _at_least(is_minimum: bool) -> str:
    return "≥ " if is_minimum else ""


def _rows(snapshot: Snapshot, top: int, sort: str, width: int) -> list[str]:
    tasks = snapshot.tasks
    positions = order(tasks, sort, sort in NUMERIC, tasks.alive)[: max(0, top)].tolist()
    columns = [
        *(Column("  Task", 24, cut="start"), Column("Memory", 9, "right"), Column("Growth/min", 10, "right")),
        *(Column("Age", _AGE, "right"), Column("Waits", max(_FLOW - 3, width - 63))),
    ]
    lines = []
    for position in positions:
        row = tasks.row(position)
        state = () if row.state == "waiting" else (row.state,)
        lines.append(
            (
                "  " + (row.name or row.function),
                *(_retained(row), growth_bytes(row.growth), _at_least(row.age_is_minimum) + duration(row.age_seconds)),
                "  ".join(filter(None, (*state, _place(row.where), row.waiting_on))),
            )
        )
    return table(columns, lines, width) if positions else []


def _retained(row: Row) -> str:
    if row.retained is None:
        return "n/a"
    sign = {"sampled": "~", "at_least": "≥", "stale": "~"}.get(row.accuracy, "")
    return sign + bytes_text(row.retained)


def _place(where: str) -> str:
    return where.rsplit("/", 1)[-1]


def _wait(waiting: str, where: str) -> str:
    return "  ".join(filter(None, (waiting, _place(where))))


def _tree(snapshot: Snapshot, window: float, width: int) -> list[str]:
    forest = tree(snapshot, window, least=FOLD_ABOVE)
    return list(_branch(forest, forest.roots()[0], "", "", width, 0))


def _branch(forest: SupervisionTree, key: Hashable, lead: str, below: str, width: int, depth: int) -> Iterator[str]:
    node = forest.node(key)
    if node is None:
        return
    figures = "  " + " · ".join(_figures(node)) + (" ▲" if node.growing else "")
    room = width - len(lead) - len(figures)
    label = _label(node) if cells(_label(node)) <= room else node.label  # rather the name than the kind
    yield lead + fit(label, room, cut="start").rstrip() + figures.rstrip()
    if node.kind == "group":
        return
    children: Sequence[Hashable] = [child for child in forest.children(key) if forest.is_alive(child)]
    shown = children[:_BRANCHES] if depth < _LEVELS else []
    for i, child in enumerate(shown):
        last = i == len(children) - 1
        yield from _branch(
            forest, child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), width, depth + 1
        )
    if len(children) > len(shown):
        yield f"{below}└─ … {count(len(children) - len(shown))} more"


def _label(node: TreeNode) -> str:
    if node.kind == "group":
        return f"{node.label} × {count(node.children_count)}"
    said = node.label.casefold().startswith(node.kind)
    return (
        f"{node.kind} {node.label}"
        if node.kind in ("holder", "executor", "loop", "thread") and not said
        else node.label
    )


def _figures(node: TreeNode) -> Iterator[str]:
    grown = node.count_growth is not None and abs(node.count_growth) >= 0.05
    by_count = f" ({growth_count(node.count_growth)}/min)" if grown else ""
    if node.kind == "group":
        if by_count:
            yield by_count.strip()
    elif node.children_count:
        yield ("1 child" if node.children_count == 1 else f"{count(node.children_count)} children") + by_count
    if node.bytes is not None:
        grown = node.bytes_growth is not None and abs(node.bytes_growth) >= 1000
        yield bytes_text(node.bytes) + (f" ({growth_bytes(node.bytes_growth)}/min)" if grown else "")
