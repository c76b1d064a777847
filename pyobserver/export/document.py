"""The snapshot as a JSON document, schema "pyobserver/1".

Sizes are bytes, times seconds, growth per minute; what is not known is null, never 0. Ids of the tree's nodes and of
rows are integers of one space; folds of alike children have negative ones of their own.

`memory.allocators` are those that add up to the resident memory, whose `within` is null, and those of libraries, with
the name of the one that their memory is part of, or "" where it is that of a GPU: these are never to be added to the
others. `in_use_error` is what 95 of 100 samples keep, null where nothing was sampled; `why` says what is not known,
`held_is_most` that no more than that is held, and `inactive_split` (of PyTorch's) what of it lies unused between
tensors. `c_heap` is what a walk over glibc's heaps has found: how old it is (`age_seconds`), and by arena what is in
use, free, `unread`, and `trimmable` (can be given back to the system). `holdings` are the files, mappings, stacks and
blocks that allocators hold, the largest of each. `unnamed` is what nothing tells the owner of. `pressure` is what the
control group has counted.

`heap` is the newest census of the small objects (up to 512 bytes), made from outside: `taken_at`, which part of the
pools was read (`sampled_share`), `cost_seconds` of the observer, bytes `in_use` by the small-object allocator, the
number of `objects`, bytes in blocks that are no objects (`unidentified_bytes`), and `types`, the largest 200 and all
that grow: `name` (module and qualified name), `count`, `bytes`, their `share` of what is in use, `count_growth` and
`bytes_growth` per minute, and `growing` when that is beyond the error of the sample and goes on. Each `..._error` is
the one that 95 of 100 samples keep; 0 where all pools were read. `problem` says why there is no (newer) census.

`containers` is what the agent's last walk has found of dicts, lists, sets, deques and the like with 1,000 items or
more: `taken_at`, `cost_seconds` of the process, a `note` of what was left out, and `rows`, the largest first: `path`
(as that of a holder), `type`, how many `containers` there are at this path, `items` in all of them, `largest`, `growth`
in items per minute, `growing`. `problem` says why there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

from ..analysis.findings import verdict
from ..analysis.group_facts import AGE_EDGES, age_buckets
from ..analysis.groups import GroupRow, group_rows, members, sort_groups
from ..analysis.ordering import NUMERIC, order
from ..analysis.supervision import SupervisionTree, TreeNode, tree
from ..model.forest import DEEPEST
from ..model.groups import group_sums
from ..model.snapshot import Snapshot
from ..model.tasks import Row
from .findings import findings
from .heap import containers, heap
from .memory import memory

SCHEMA = "pyobserver/1"
FOLD_ABOVE = 20


def document(
    snapshot: Snapshot,
    top: int = 50,
    sort: str = "memory",
    window: float = 600.0,
    allowed: Collection[str] = (),
) -> dict[str, Any]:
    """Return the whole document. `top` bounds the rows of tasks; groups and tree are whole.

    `allowed` are the findings that are not told, by kind or name.
    """
    return {
        "schema": SCHEMA,
        "taken_at": snapshot.taken_at,
        "target": _target(snapshot),
        "agent": _agent(snapshot),
        "memory": memory(snapshot),
        "tasks": _tasks(snapshot, top, sort),
        "groups": [
            _group(snapshot, row) for row in sort_groups(group_rows(snapshot, window), "memory", descending=True)
        ],
        "tree": _tree(snapshot, window),
        "heap": heap(snapshot, window),
        "containers": containers(snapshot, window),
        "findings": findings(verdict(snapshot, allowed)),
        "problems": list(snapshot.problems),
    }


def _target(snapshot: Snapshot) -> dict[str, Any]:
    who, facts = snapshot.identity, snapshot.facts
    return {
        "pid": who.pid if who else None,
        "python": facts.python if facts else who.python if who else None,
        "implementation": facts.implementation if facts else who.implementation if who else None,
        "executable": who.executable if who else None,
        "command": list(who.command) if who else [],
        "started_at": who.started_at if who else None,
        "host": who.host if who else None,
        "free_threaded": facts.free_threaded if facts else who.free_threaded if who else None,
        "status": snapshot.status.phase.value,
        "status_text": snapshot.status.text,
        "exit_code": snapshot.status.exit_code,
        "signal": snapshot.status.signal,
    }


def _agent(snapshot: Snapshot) -> dict[str, Any] | None:
    facts = snapshot.facts
    if facts is None:
        return None
    cost = snapshot.tick.cost if snapshot.tick else None
    return {
        "method": facts.method,
        "attach_seconds": facts.attach_seconds,
        "held_seconds": facts.held_seconds,
        "cpu_seconds": cost.cpu_seconds if cost else None,
        "longest_hold_seconds": cost.longest_hold_seconds if cost else None,
        "memory_bytes": cost.memory_bytes if cost else None,
        "dropped": cost.dropped if cost else None,
        "self_check": facts.self_check,
    }


def _tasks(snapshot: Snapshot, top: int, sort: str) -> dict[str, Any]:
    tasks = snapshot.tasks
    positions = order(tasks, sort, sort in NUMERIC, tasks.alive)[: max(0, top)].tolist()
    sums = group_sums(tasks).values()
    return {
        "total": sum(group.count for group in sums),
        "measured": sum(group.measured for group in sums),
        "shown": len(positions),
        "rows": [_row(snapshot, tasks.row(position)) for position in positions],
    }


def _row(snapshot: Snapshot, row: Row) -> dict[str, Any]:
    node = snapshot.nodes.get(row.parent)
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "function": row.function or None,
        "state": row.state,
        "waiting_on": row.waiting_on or None,
        "where": row.where or None,
        "age_seconds": row.age_seconds,
        "age_is_minimum": row.age_is_minimum,
        "retained_bytes": row.retained,
        "retained_accuracy": row.accuracy,
        "retained_error_bytes": row.error if row.accuracy == "sampled" else 0 if row.accuracy == "exact" else None,
        "cpu_seconds": row.cpu_seconds,
        "activity": row.activity,
        "queue": row.queue,
        "supervisor": row.parent,
        "holder": node.label if node is not None and node.kind == "holder" else None,
    }


def _group(snapshot: Snapshot, row: GroupRow) -> dict[str, Any]:
    tasks = snapshot.tasks
    ages, _ = age_buckets(tasks, members(tasks, row.key) & tasks.alive, snapshot.taken_at)
    below: tuple[float | None, ...] = (*AGE_EDGES, None)
    return {
        "kind": row.kind,
        "function": row.function,
        "held": row.held,
        "count": row.count,
        "count_is_minimum": row.count_is_minimum,
        "retained_bytes": None if row.bytes is None else round(row.bytes),
        "mean_bytes": None if row.mean is None else round(row.mean),
        "measured_share": row.measured_share,
        "count_growth": row.count_growth,
        "bytes_growth": row.bytes_growth,
        "oldest_age_seconds": row.oldest_age,
        "ages": [
            {"below_seconds": edge, "count": bucket.count, "minimum": bucket.minimum}
            for edge, bucket in zip(below, ages, strict=True)
        ],
        "ended": row.ended,
        "waiting_on": row.waiting or None,
        "waiting_at": row.where or None,
    }


def _tree(snapshot: Snapshot, window: float) -> dict[str, Any]:
    forest = tree(snapshot, window, least=FOLD_ABOVE)
    numbers: dict[Hashable, int] = {}
    return _node(forest, forest.roots()[0], numbers, 0)


def _node(forest: SupervisionTree, key: Hashable, numbers: dict[Hashable, int], depth: int) -> dict[str, Any]:
    node = forest.node(key)
    assert node is not None
    folded = node.kind == "group"
    below = [] if folded or depth > DEEPEST else forest.children(key)
    children = [_node(forest, child, numbers, depth + 1) for child in below if forest.is_alive(child)]
    return {
        "id": node.id if node.id is not None else numbers.setdefault(key, -(1 << 50) - len(numbers)),
        "kind": "process" if node.kind == "child process" else node.kind,
        "label": _label(node),
        "function": node.detail if folded else None,
        "queue": node.queue,
        "edge": node.edge or None,
        "children_count": node.children_count,
        "descendants_count": node.descendants,
        "retained_bytes": node.bytes,
        "count_growth": node.count_growth,
        "bytes_growth": node.bytes_growth,
        "growing": node.growing,
        "ended_count": node.ended_count,
        "oldest_age_seconds": node.oldest_age,
        "other_owners": [
            {"id": owner, "edge": edge} for owner, edge in (forest.second_owners.of(node.id) if node.id else [])
        ],
        "children": children,
    }


def _label(node: TreeNode) -> str:
    return f"{node.label} × {node.children_count:,}" if node.kind == "group" else node.label
