"""The store of the tree's nodes, which are no rows: supervisors, containers and what else owns something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..protocol.clean import clean
from .endings import EndingCounts
from .forest import Node
from .task_store import FADE_SECONDS, MAX_LABEL

MAX_NODES = 100_000


class NodeStore:
    """Nodes by id, as the agent tells of them; those that have ended stay as long as rows do.

    `endings` counts, under its parent, each node that ends. All methods belong to one thread.
    """

    def __init__(self, endings: EndingCounts) -> None:
        self._endings = endings
        self._nodes: dict[int, Node] = {}
        self._gone: dict[int, float] = {}  # since when they have ended

    @property
    def by_id(self) -> Mapping[int, Node]:
        """All nodes; it goes on changing."""
        return self._nodes

    def clear(self) -> None:
        """Forget all: of another agent the ids mean something else."""
        self._nodes.clear()
        self._gone.clear()

    def put(self, nodes: Iterable[Node]) -> list[Node]:
        """Add or replace nodes, texts cleaned; return those that there was room for."""
        taken = []
        for node in nodes:
            if node.id > 0 and (len(self._nodes) < MAX_NODES or node.id in self._nodes):
                label, detail = clean(node.label, MAX_LABEL), clean(node.detail, MAX_LABEL)
                self._nodes[node.id] = replace(node, label=label, detail=detail)
                self._gone.pop(node.id, None)
                taken.append(node)
        return taken

    def end(self, ids: Iterable[int], now: float) -> list[int]:
        """Mark nodes as ended, and return the ids that are no node's."""
        others = []
        for number in ids:
            node = self._nodes.get(number)
            if node is None:
                others.append(number)
                continue
            if number not in self._gone:
                self._endings.add(node.parent)
            self._gone[number] = now
            self._nodes[number] = replace(node, ended=True)
        return others

    def sweep(self, now: float) -> None:
        """Drop what has faded. A clock that was set back must not keep it: the distance counts."""
        faded = [n for n, at in self._gone.items() if abs(now - at) > FADE_SECONDS]
        self._endings.forget(faded)
        for number in faded:
            del self._gone[number]
            self._nodes.pop(number, None)
