"""What has ended is counted by supervisor and by function, for as long as the supervisor is there."""

from __future__ import annotations

import pytest

from pyobserver.model import endings as module
from pyobserver.model.endings import EndingCounts
from pyobserver.model.groups import group_number
from pyobserver.model.store import Store
from pyobserver.model.task_store import FADE_SECONDS
from pyobserver.protocol import schema

from . import made
from .made import NOW, Clock, node


def test_counts() -> None:
    """In all and of a group; those that were done and held count with the others."""
    counts = EndingCounts()
    for group in ((0, 1, False), (0, 1, False), (0, 2, False)):
        counts.add(5, group_number(group))
    counts.add(5)
    counts.add(6)
    view = counts.view()
    assert (view.under(5), view.under(6), view.under(7)) == (4, 1, 0)
    assert view.under(5, (0, 1, False)) == 2 == view.under(5, (0, 1, True))
    assert counts.view() is view
    counts.forget([5, 99])
    assert (counts.view().under(5), counts.view().under(6), view.under(5)) == (0, 1, 4)
    counts.clear()
    assert counts.view().under(6) == 0


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known any more, rather than something wrong."""
    monkeypatch.setattr(module, "MOST_ENDINGS", 3)
    counts = EndingCounts()
    for parent in range(5):
        counts.add(parent)
    assert counts.view().under(1) is None and counts.view().under(4, (0, 1, False)) is None
    counts.forget([1])
    assert counts.view().under(2) is None


def test_in_the_store() -> None:
    """Rows and nodes that end are counted under their last supervisor; who has faded is forgotten, a new agent all."""
    clock = Clock()
    store = Store(clock)
    store.greet(made.facts())
    made.put(store, [{"id": i, "parent": 50, "kind": schema.KIND_TASK, "function": 0} for i in range(1, 9)])
    store.put_nodes([node(50, parent=60), node(60, "loop"), node(61, parent=60)])
    store.remove([1, 2, 3, 61, 1, 61])
    snapshot = store.snapshot()
    forest = snapshot.forest
    assert snapshot.endings.under(50) == 3 and snapshot.endings.under(60) == 1
    assert [int(forest.ended[forest.position(n)]) for n in (50, 60, 0)] == [3, 1, 0]  # type: ignore[index]
    store.remove([50])
    clock.now = NOW + FADE_SECONDS + 1
    store.add_tick(made.tick(clock.now, 5))
    assert store.snapshot().endings.under(50) == 0 and store.snapshot().endings.under(60) == 2
    store.greet(made.facts())
    assert store.snapshot().endings.under(60) == 0
