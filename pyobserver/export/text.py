"""The snapshot as text: what an operator reads first, first."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ..analysis.allocators import allocator_rows, memory_outlook
from ..analysis.format import bytes_text, count, duration, growth_bytes, growth_count, percent
from ..analysis.groups import group_rows, sort_groups
from ..analysis.ordering import order
from ..analysis.supervision import SupervisionTree, program_name, tree
from ..analysis.verdict import verdict
from ..model.store import Snapshot
from ..model.tasks import Row
from .document import FOLD_ABOVE

_GROUPS = 15
_BRANCHES = 12  # children shown of one node


def text(snapshot: Snapshot, top: int = 10, sort: str = "memory", window: float = 600.0) -> str:
    """Return the whole report, lines ended by newlines."""
    parts = [
        _head(snapshot, window),
        _allocators(snapshot, window),
        _groups(snapshot, window),
        _rows(snapshot, top, sort),
        _tree(snapshot, window),
        [verdict(snapshot, window).text],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(snapshot: Snapshot, window: float) -> list[str]:
    who, facts = snapshot.identity, snapshot.facts
    name = program_name(who.command) if who else "process"
    python = facts.python if facts else (who.python if who else None) or "?"
    line = f"{name}  pid {who.pid if who else '?'} · Python {python}"
    if who:
        line += f" · up {duration(snapshot.taken_at - who.started_at)}"
    outlook = memory_outlook(snapshot, window)
    line += f" · RSS {bytes_text(outlook.rss)}"
    if outlook.limit is not None:
        line += f" of {bytes_text(outlook.limit)} ({outlook.limit_source})"
    if outlook.growth is not None:
        line += f" · {growth_bytes(outlook.growth)}/min"
    if outlook.seconds_to_limit is not None:
        line += f" · full in about {duration(outlook.seconds_to_limit)}"
    lines = [line]
    if facts is not None and facts.self_check != "ok":
        lines.append(f"memory of tasks is not available: {facts.self_check}")
    if facts is None:
        lines.append(f"no agent: {snapshot.status.text or snapshot.status.phase.value}")
    return lines


def _allocators(snapshot: Snapshot, window: float) -> list[str]:
    rows = allocator_rows(snapshot, window)
    lines = [f"{'Allocator':<24}{'In use':>10}{'Held':>10}{'Util':>7}{'Peak':>10}{'Growth/min':>13}{'Share':>7}"]
    for row in rows:
        mark = "▲ " if row.growing else "  "
        lines.append(
            f"{mark}{row.label:<22}{bytes_text(row.in_use):>10}{bytes_text(row.held):>10}{percent(row.utilisation):>7}"
            f"{bytes_text(row.peak):>10}{growth_bytes(row.growth):>13}{percent(row.share):>7}"
        )
    return lines if rows else []


def _groups(snapshot: Snapshot, window: float) -> list[str]:
    rows = sort_groups(group_rows(snapshot, window), "memory", descending=True)
    head = f"{'Function':<44}{'Count':>8}{'+/min':>7}{'Memory':>10}{'+/min':>11}{'Mean':>10}{'Oldest':>11}"
    lines = [f"{head}  Where most wait"]
    for row in rows[:_GROUPS]:
        mark = "▲ " if row.growing else "  "
        name = row.function if row.kind == "asyncio task" else f"{row.kind}  {row.function}"
        name += " (done, held)" if row.held else ""
        about = "~" if row.measured_share < 1 and row.bytes is not None else ""
        lines.append(
            f"{mark}{_tail(name, 41):<42}{count(row.count):>8}"
            f"{growth_count(row.count_growth):>7}{about + bytes_text(row.bytes):>10}"
            f"{growth_bytes(row.bytes_growth):>11}"
            f"{bytes_text(row.mean):>10}{('≥ ' if row.oldest_is_minimum else '') + duration(row.oldest_age):>11}"
            f"  {_wait(row.waiting, row.where)}"
        )
    if len(rows) > _GROUPS:
        lines.append(f"  … {len(rows) - _GROUPS} more groups")
    return lines if rows else ["no tasks, threads or child processes are known"]


def _rows(snapshot: Snapshot, top: int, sort: str) -> list[str]:
    tasks = snapshot.tasks
    descending = sort in ("memory", "growth", "age", "cpu", "activity", "queue")
    positions = order(tasks, sort, descending)[: max(0, top)].tolist()
    lines = [f"{'Task':<30}{'State':<12}{'Memory':>12}{'Growth/min':>13}{'Age':>12}  Waits"]
    for position in positions:
        row = tasks.row(position)
        age = ("≥ " if row.age_is_minimum else "") + duration(row.age_seconds)
        lines.append(
            f"  {_tail(row.name or row.function, 27):<28}{row.state:<12}{_retained(row):>12}"
            f"{growth_bytes(row.growth):>13}{age:>12}  {_wait(row.waiting_on, row.where)}"
        )
    return lines if positions else []


def _retained(row: Row) -> str:
    if row.retained is None:
        return "n/a"
    sign = {"sampled": "~", "at_least": "≥", "stale": "~"}.get(row.accuracy, "")
    return sign + bytes_text(row.retained)


def _wait(waiting: str, where: str) -> str:
    return "  ".join(filter(None, (waiting, where.rsplit("/", 1)[-1])))


def _tail(name: str, width: int) -> str:
    return name if len(name) <= width else "…" + name[len(name) - width + 1 :]


def _tree(snapshot: Snapshot, window: float) -> list[str]:
    forest = tree(snapshot, window, least=FOLD_ABOVE)
    return list(_branch(forest, forest.roots()[0], "", "", 0))


def _branch(forest: SupervisionTree, key: Hashable, lead: str, below: str, depth: int) -> Iterator[str]:
    node = forest.node(key)
    if node is None:
        return
    label = f"{node.label} × {count(node.children_count)}" if node.kind == "group" else node.label
    if node.kind in ("holder", "executor", "loop", "thread"):
        label = f"{node.kind} {label}"
    figures = [bytes_text(node.bytes)] if node.bytes is not None else []
    if node.kind != "group" and node.children_count:
        figures.insert(0, f"{count(node.children_count)} children")
    if node.count_growth and abs(node.count_growth) >= 0.05:
        figures.append(f"{growth_count(node.count_growth)} children/min")
    if node.bytes_growth and abs(node.bytes_growth) >= 1000:
        figures.append(f"{growth_bytes(node.bytes_growth)}/min")
    yield f"{lead}{label}  {' · '.join(figures)}{' ▲' if node.growing else ''}".rstrip()
    if node.kind == "group" or depth > 20:
        return
    children = forest.children(key)
    shown = children[:_BRANCHES]
    for i, child in enumerate(shown):
        last = i == len(shown) - 1 and len(children) == len(shown)
        yield from _branch(
            forest, child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), depth + 1
        )
    if len(children) > len(shown):
        yield f"{below}└─ … {count(len(children) - len(shown))} more"
