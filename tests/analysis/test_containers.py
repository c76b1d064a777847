"""Growth of containers is told by their path, from one walk to the next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyobserver.analysis.containers import ContainerRow, container_rows, sort_containers
from pyobserver.model.places import KEPT, ContainerPlace, PlacesAnswer
from pyobserver.model.store import Store
from tests.model.made import Clock


def answer(**items: int) -> PlacesAnswer:
    return PlacesAnswer(tuple(ContainerPlace(f"app.{name}", "dict", 1, size, size) for name, size in items.items()))


def rows(store: Store, window: float = 600.0) -> dict[str, ContainerRow]:
    return {row.path: row for row in container_rows(store.snapshot(), window)}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def walked(clock: Clock, *found: PlacesAnswer) -> Store:
    """A store that has heard of walks, half a minute apart."""
    store = Store(clock)
    for one in found:
        store.add_containers(one)
        clock.now += 30
    return store


def test_growth_is_per_minute(clock: Clock) -> None:
    """What grows from walk to walk is marked, what stands is not, and of what is new nothing is said yet."""
    store = walked(
        clock, *(answer(grows=1000 + 100 * i, stands=5000) for i in range(4)), answer(grows=1400, stands=5000, new=2000)
    )
    found = rows(store)
    assert found["app.grows"].growth == pytest.approx(200)
    assert found["app.grows"].growing
    assert (found["app.stands"].growth, found["app.stands"].growing) == (0, False)
    assert (found["app.new"].growth, found["app.new"].growing) == (None, False)


def test_two_walks_tell_growth_but_do_not_mark_it(clock: Clock) -> None:
    """A container that was filled between two looks may be full now."""
    found = rows(walked(clock, answer(a=1000), answer(a=4000)))
    assert found["app.a"].growth == pytest.approx(6000)
    assert not found["app.a"].growing


def test_what_has_come_to_its_end_is_not_marked(clock: Clock) -> None:
    """A cache that is full."""
    store = walked(clock, *(answer(a=min(3000, 1000 * (i + 1))) for i in range(9)))
    assert not rows(store)["app.a"].growing


def test_since_the_baseline(clock: Clock) -> None:
    """By how many items; not known for what was not there."""
    store = walked(clock, answer(a=1000))
    store.set_baseline()
    store.add_containers(answer(a=1500, b=1000))
    assert (rows(store)["app.a"].marked, rows(store)["app.b"].marked) == (500, None)


def test_a_refusal_keeps_what_was_found(clock: Clock) -> None:
    """And says why there is nothing newer."""
    store = walked(clock, answer(a=1000), PlacesAnswer(problem="the agent is not connected"))
    assert rows(store)["app.a"].items == 1000
    assert store.snapshot().containers.problem == "the agent is not connected"


def test_earlier_walks_are_bounded(clock: Clock) -> None:
    """The first one stays."""
    store = walked(clock, *(answer(a=i) for i in range(3 * KEPT)))
    earlier = store.snapshot().containers.earlier
    assert len(earlier) <= KEPT + 1
    assert earlier[0].items == {("app.a", "dict"): 0}


def test_order_and_filter() -> None:
    """What is not known comes last either way; texts are found in path and type."""
    made = [ContainerRow(f"app.{n}", "dict", 1, n, n, g, None, False) for n, g in ((1, 5.0), (2, None), (3, -1.0))]
    assert [row.items for row in sort_containers(made, "growth", descending=True)] == [1, 3, 2]
    assert [row.items for row in sort_containers(made, "growth", descending=False)] == [3, 1, 2]
    assert [row.items for row in sort_containers(made, "items", True, "APP.2")] == [2]
    assert len(sort_containers([replace(row, type="set") for row in made], "path", False, "set")) == 3
