"""The store of nodes is bounded, whatever an agent says."""

from __future__ import annotations

import pytest

from pyobserver.model import node_store
from pyobserver.model.store import Store

from .made import node


def test_nodes_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that sends nodes without end is not followed; those that are known go on changing."""
    monkeypatch.setattr(node_store, "MAX_NODES", 10)
    store.put_nodes(node(i) for i in range(1, 100))
    store.put_nodes([node(3, label="changed")])
    assert len(store.snapshot().nodes) == 10 and store.snapshot().nodes[3].label == "changed"
