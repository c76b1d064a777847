"""What has several owners is told at each of them, however many there are."""

from __future__ import annotations

from pyobserver.analysis.second_owners import AT_ONCE, MANY, SecondOwners
from pyobserver.model.store import Store
from tests.model import made
from tests.model.made import NOW, Clock, node


def test_there_and_back() -> None:
    """From a row to the others that have it, and from them to the row; who is not in the tree is not told."""
    store = Store(Clock())
    others = {1: ((2, "awaits"), (99, "holds")), 77: ((5, "holds"),)}
    store.put_rows(made.columns([{"id": 1, "parent": 5}, {"id": 2}, {"id": 77}]), ["a", "b", "c"], others)
    store.put_nodes([node(5)])
    owners = SecondOwners(store.snapshot())
    assert owners.of(1) == [(2, "awaits")] and owners.of(2) == []
    assert owners.owned_by(2) == ([(1, "awaits")], {"awaits": 1}) and owners.owned_by(1) == ([], {})
    assert owners.owned_by(5)[0] == [(77, "holds")]
    assert [owners.has_several(n) for n in (1, 2, 5, 77, 404)] == [True, True, True, True, False]
    store.remove([1])
    assert SecondOwners(store.snapshot(), owners).owned_by(2) == ([], {})


def test_very_many() -> None:
    """They are counted, the first are named, and they are sorted now and then only."""
    clock = Clock()
    store = Store(clock)
    rows = [{"id": i} for i in range(10, 10 + MANY + 1)]
    store.put_rows(made.columns([{"id": 1}, *rows]), [""] * (MANY + 2), {int(r["id"]): ((1, "spawned"),) for r in rows})
    owners = SecondOwners(store.snapshot())
    assert owners.owned_by(1)[1] == {"spawned": MANY + 1} and len(owners.owned_by(1)[0]) == AT_ONCE
    store.put_rows(made.columns([{"id": 9_999_999}]), [""], {9_999_999: ((1, "spawned"),)})
    assert SecondOwners(store.snapshot(), owners).owned_by(1)[1] == {"spawned": MANY + 1}
    clock.now = NOW + 6
    assert SecondOwners(store.snapshot(), owners).owned_by(1)[1] == {"spawned": MANY + 2}
