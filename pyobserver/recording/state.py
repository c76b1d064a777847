"""All that a snapshot has beside rows and series, as one tree of JSON with a member for each part, and back.

The members are named as the fields of `Snapshot`; beside them are `share` and `ended` of the rows, and `mark`, the
newest of the sums of the tree by which its growth is told (`marks`); `marked_since` is the time of the oldest, as they
begin anew with another agent. The baseline's sums are by the keys of those; a key of `endings` is "parent/group". A
whole state has `marks` as well: the earlier sums. Of members that do not fit the model only they are lost.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..model.endings import NO_ENDINGS, Endings
from ..model.forest import Node
from ..model.forest_sums import MEASURED, Sums, SumsOverTime, by_key, sums_from
from ..model.node_store import MAX_NODES
from ..model.snapshot import Baseline, Snapshot
from . import patches
from .errors import Damaged
from .marks import MarkReader, MarkWriter, chained, group_key_of, key_of, key_text, unchained
from .values import plain, read

OTHERWISE = frozenset(
    {"history", "tasks", "nodes", "endings", "marks", "baseline", "heap", "containers"}
)  # written in other ways
PLAIN = {
    name: kind
    for name, kind in typing.get_type_hints(Snapshot).items()
    if name not in OTHERWISE and name in {field.name for field in dataclasses.fields(Snapshot)}
}
_DEFAULTS = {
    field.name: field.default_factory if field.default is dataclasses.MISSING else field.default
    for field in dataclasses.fields(Snapshot)
}

Tree = dict[str, Any]


class StateWriter:
    """Makes trees of snapshots, one after the other, and the patches between them."""

    def __init__(self) -> None:
        self._tree: Tree | None = None
        self._parts: dict[str, tuple[object, Any]] = {}  # name -> the value, and the tree that was made of it
        self._nodes: dict[int, tuple[Node, Any]] = {}
        self._nodes_seen: Mapping[int, Node] = {}
        self._nodes_tree: Tree = {}
        self._marks = MarkWriter()
        self._mark: tuple[Sums | None, Any] = (None, None)  # the newest, and the tree that was made of it

    def whole(self, snapshot: Snapshot) -> Tree:
        """Return all of it."""
        self._tree = self._made(snapshot)
        marks, self._marks = snapshot.marks, MarkWriter()
        self._mark = (marks[-1], self._marks.following(marks[-1])) if marks else (None, None)
        self._tree["mark"] = self._mark[1]
        return {**self._tree, "marks": chained(marks[:-1])}

    def changes(self, snapshot: Snapshot) -> Any:
        """Return the patch since the snapshot before; {} where nothing has changed."""
        before, self._tree = self._tree or {}, self._made(snapshot)
        return patches.difference(before, self._tree) or {}

    def _made(self, snapshot: Snapshot) -> Tree:
        tree = {name: self._part(name, getattr(snapshot, name)) for name in PLAIN}
        tree["nodes"] = self._made_nodes(snapshot.nodes)
        tree["share"] = snapshot.tasks.known_share
        tree["ended"] = {f"{kind}/{function}": n for (kind, function), n in snapshot.tasks.ended_by_function.items()}
        tree["baseline"] = self._part("baseline", snapshot.baseline, _plain_baseline)
        tree["endings"] = self._part("endings", snapshot.endings, _plain_endings)
        tree["mark"] = self._made_mark(snapshot.marks[-1] if snapshot.marks else None)
        tree["marked_since"] = snapshot.marks[0].time if snapshot.marks else None
        return tree

    def _part(self, name: str, value: Any, make: Any = plain) -> Any:
        """The tree of a part; that of the same value as before is the same object."""
        known = self._parts.get(name)
        if known is None or known[0] is not value:
            known = self._parts[name] = (value, make(value))
        return known[1]

    def _made_mark(self, newest: Sums | None) -> Any:
        if newest is not self._mark[0]:
            self._mark = (newest, None if newest is None else self._marks.following(newest))
        return self._mark[1]

    def _made_nodes(self, nodes: Mapping[int, Node]) -> Tree:
        if nodes == self._nodes_seen:
            return self._nodes_tree
        known, self._nodes, self._nodes_seen = self._nodes, {}, nodes
        for number, node in nodes.items():
            before = known.get(number)
            self._nodes[number] = before if before is not None and before[0] is node else (node, plain(node))
        self._nodes_tree = {str(number): tree for number, (_, tree) in self._nodes.items()}
        return self._nodes_tree


class State:
    """The state of a recording at one moment, moved on by patches."""

    def __init__(self, whole: Any) -> None:
        """Begin with a whole state. Raises Damaged."""
        if type(whole) is not dict:
            raise Damaged("a state that is none")
        self._tree: Tree = whole
        self._marks = SumsOverTime()
        self._mark_reader = MarkReader()
        try:
            for each in unchained(whole.pop("marks", [])):
                self._marks.add(each)
        except Damaged:
            pass  # growth in the tree is told later
        self._take_mark()
        self._read: dict[str, tuple[Any, Any]] = {}
        self._touched: set[str] = set()
        self._nodes_read: dict[str, Node] | None = None
        self._nodes_touched: set[str] = set()

    def apply(self, patch: Any) -> None:
        """Take in what has changed. Raises Damaged."""
        if type(patch) is not dict:
            raise Damaged("a change of the state that is none")
        patches.patched(self._tree, patch)
        self._touched |= patch.keys()
        if type(patch.get("nodes")) is dict:
            self._nodes_touched |= patch["nodes"].keys()
        elif "nodes" in patch:
            self._nodes_read = None
        if "mark" in patch:
            self._take_mark()

    def _take_mark(self) -> None:
        tree = self._tree.get("mark")
        if tree is None:
            self._marks.clear()
        else:
            try:
                newest, since = self._mark_reader.read(tree), self._tree.get("marked_since")
                known = self._marks.all()
                if known and isinstance(since, (int, float)) and since > known[-1].time:
                    self._marks.clear()
                self._marks.add(newest)
            except Damaged:
                self._marks.clear()  # growth in the tree is not told then

    def values(self) -> tuple[dict[str, Any], list[str]]:
        """Return the fields of a snapshot that are in here, and the names of those that could not be read."""
        found: dict[str, Any] = {}
        lost = []
        for name, kind in PLAIN.items():
            if name in self._tree:
                try:
                    found[name] = self._value(name, kind)
                except (Damaged, RecursionError):
                    lost.append(name)
        for name, make in (("nodes", self._nodes), ("baseline", self._baseline), ("endings", self._endings)):
            try:
                found[name] = make()
            except (Damaged, RecursionError):
                lost.append(name)
        self._touched.clear()
        return {**found, "marks": self._marks.all()}, lost

    def _value(self, name: str, kind: Any) -> Any:
        known = self._read.get(name)
        if known is None or name in self._touched:
            known = self._read[name] = (kind, read(kind, self._tree[name]))
        return known[1]

    def _nodes(self) -> dict[int, Node]:
        """All nodes; of those that were read before only what has changed is read again."""
        tree = self._tree.get("nodes", {})
        if type(tree) is not dict or len(tree) > MAX_NODES:
            raise Damaged("too many nodes")
        known, self._nodes_read = self._nodes_read, None
        if known is None:
            known = {key: read(Node, each) for key, each in tree.items()}
        else:
            for key in self._nodes_touched:
                if key in tree:
                    known[key] = read(Node, tree[key])
                else:
                    known.pop(key, None)
        self._nodes_touched.clear()
        self._nodes_read = known
        return {node.id: node for node in known.values()}

    def _baseline(self) -> Baseline | None:
        tree = self._tree.get("baseline")
        if tree is None:
            return None
        if type(tree) is not dict:
            raise Damaged("a baseline that is none")
        groups = {group_key_of(key): (each[0] or 0, each[1] or 0.0) for key, each in _pairs(tree.get("groups"))}
        return Baseline(
            read(float, tree.get("time")),
            read(Mapping[str, int], tree.get("allocators")),
            groups,
            None if tree.get("sums") is None else _sums(read(float, tree.get("time")), tree["sums"]),
        )

    def _endings(self) -> Endings:
        tree = self._tree.get("endings", {})
        if tree is None:
            return dataclasses.replace(NO_ENDINGS, is_complete=False)
        if type(tree) is not dict:
            raise Damaged("endings that are none")
        table = [(*_ending(key), read(int, n)) for key, n in tree.items()]
        parents, groups, counts = np.array(table, np.int64).reshape(-1, 3).T
        return Endings(parents, groups, counts)

    @property
    def known_share(self) -> float:
        """Which part of the asyncio tasks has rows."""
        share = self._tree.get("share", 1.0)
        return float(share) if type(share) in (int, float) and 0.0 < share <= 1.0 else 1.0

    @property
    def ended(self) -> dict[tuple[int, int], int]:
        """How many have ended, by kind and function."""
        tree, found = self._tree.get("ended"), {}
        for key, n in tree.items() if type(tree) is dict else ():
            kind, _, function = key.partition("/")
            if kind.isdecimal() and function.isdecimal() and len(key) < 30 and type(n) is int:
                found[int(kind), int(function)] = n
        return found


# -- sums of the tree ------------------------------------------------------------------------------------------------


def _plain_sums(sums: Sums) -> Tree:
    return {key_text(key): list(each) for key, each in by_key(sums).items()}


def _plain_endings(endings: Endings) -> Any:
    if not endings.is_complete:
        return None
    columns = (endings.parents.tolist(), endings.groups.tolist(), endings.counts.tolist())
    return {f"{parent}/{group}": n for parent, group, n in zip(*columns, strict=True)}


def _ending(key: str) -> tuple[int, int]:
    parts = key.split("/")
    if len(parts) != 2 or not all(part.removeprefix("-").isdecimal() and len(part) < 19 for part in parts):
        raise Damaged("a key of endings that is none")
    return int(parts[0]), int(parts[1])


def _plain_baseline(baseline: Baseline | None) -> Any:
    if baseline is None:
        return None
    return {
        "time": baseline.time,
        "allocators": dict(baseline.allocators),
        "groups": {"/".join(str(int(part)) for part in key): list(each) for key, each in baseline.groups.items()},
        "sums": None if baseline.sums is None else _plain_sums(baseline.sums),
    }


def _sums(time: float, tree: Any) -> Sums:
    found = {}
    for key, each in _pairs(tree):
        if len(each) != MEASURED + 1 or any(type(n) is not int for n in each):
            raise Damaged("sums that are none")
        found[key_of(key)] = each
    return sums_from(time, found)


def _pairs(tree: Any) -> Any:
    if type(tree) is not dict:
        raise Damaged("sums that are none")
    for key, each in tree.items():
        if type(each) is not list or len(each) < 2 or any(type(n) not in (int, float, type(None)) for n in each):
            raise Damaged("sums that are none")
        if not all(abs(n or 0) < 1e15 for n in each):
            raise Damaged("sums that cannot be")
        yield key, each
