"""What is written down of readings, to tell growth."""

from __future__ import annotations

import pytest

from pyobserver.model import series_writer
from pyobserver.model.places import ContainerPlace, PlacesAnswer, items_name
from pyobserver.model.store import Store

from . import made
from .made import NOW, Clock


def test_what_was_not_read_is_not_in_the_history(store: Store) -> None:
    """None is no reading: no point, and never a zero."""
    store.add_process(made.process(rss=None))
    store.add_memory(made.memory(python=(None, None)))
    assert len(store.history.curve("rss", 0)) == 0
    assert len(store.history.curve("allocator/python/in_use", 0)) == 0
    assert len(store.history.curve("allocator/rest", 0)) == 0
    assert len(store.history.curve("category/c_live", 0)) == 0
    assert store.history.last("allocator/c_heap/held") == (NOW, 30.0)
    store.add_memory(made.memory(python=(40, 50), rss=100))
    assert store.history.last("allocator/rest") == (NOW, 20.0)


def test_groups_are_recorded(store: Store, clock: Clock) -> None:
    """With each update the count of each group, and its bytes where any are known."""
    store.add_texts(1, ["m.f", "m.g"])
    for i in range(1, 11):
        made.put(store, [{"id": i, "function": 1, "retained": 100}, {"id": 100 + i, "function": 2}])
        store.add_tick(made.tick(clock.now))
        clock.now += 2
    number = store.snapshot().tasks.texts.index("m.f")
    curve = store.history.curve(f"group/0/{number}/0/bytes", 0)
    assert curve.high.tolist() == [100.0 * i for i in range(1, 11)]
    other = store.snapshot().tasks.texts.index("m.g")
    assert len(store.history.curve(f"group/0/{other}/0/bytes", 0)) == 0
    assert store.history.last(f"group/0/{other}/0/count") == (NOW + 18, 10.0)


def test_of_many_groups_the_largest_are_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history stays bounded however many functions there are."""
    monkeypatch.setattr(series_writer, "MAX_GROUPS_IN_HISTORY", 3)
    store.add_texts(1, [f"f{i}" for i in range(1, 21)])
    made.put(store, [{"id": i, "function": i, "retained": 1000 * i} for i in range(1, 21)])
    store.add_tick(made.tick(NOW))
    texts = store.snapshot().tasks.texts
    recorded = [i for i in range(1, 21) if store.history.last(f"group/0/{texts.index(f'f{i}')}/0/bytes")]
    assert recorded == [18, 19, 20]


def test_containers_are_recorded(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many items the largest of them have had, by path and type; an answer that failed changes nothing."""
    monkeypatch.setattr(series_writer, "MAX_CONTAINERS_IN_HISTORY", 1)
    for items in (1000, 1200):
        places = (ContainerPlace("m.large", "dict", 1, items, items), ContainerPlace("m.small", "list", 1, 900, 900))
        store.add_containers(PlacesAnswer(places))
        clock.now += 10
    store.add_containers(PlacesAnswer(problem="no answer"))
    curve = store.history.curve(items_name(("m.large", "dict")), NOW - 5)
    assert curve.mean.tolist() == [1000, 1200]
    assert not len(store.history.curve(items_name(("m.small", "list")), NOW - 5))
