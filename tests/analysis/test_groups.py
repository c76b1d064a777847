"""Groups as they are shown: how many, how much, where most wait, and what is not known of it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest

from pyobserver.analysis.groups import GROUP_COLUMNS, GroupRow, group_rows, kind_counts, members, sort_groups
from pyobserver.model.store import Store
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import LIFE_OF_FIXED, Story
from tests.model import made
from tests.model.made import NOW, Clock

WINDOW = 600.0


def by_function(rows: list[GroupRow]) -> dict[str, GroupRow]:
    return {row.function: row for row in rows}


def test_of_the_story() -> None:
    """The leaking group: its count, its size, its growth, its oldest, where it waits, and that none ended."""
    source = FakeSource(Story(tasks=400, per_minute=30))
    source.play(120)
    row = by_function(group_rows(source.store.snapshot(), WINDOW))["rudder.pipeline.Spawner.push_hash"]
    assert row.count == 460 and row.count_growth == pytest.approx(30, rel=0.02)
    assert row.bytes == pytest.approx(460 * 7_020_000, rel=0.01)
    assert row.bytes_growth == pytest.approx(30 * 7_020_000, rel=0.02)
    assert row.mean == pytest.approx(7_020_000, rel=0.01) and row.measured_share == 1.0
    assert row.oldest_is_minimum and row.oldest_age is not None and row.oldest_age > 200_000
    assert (row.ended, row.waiting, row.where) == (0, "Event.wait", "/srv/rudder/rudder/pipeline.py:88")
    assert row.growing and row.marked_count is None and row.marked_bytes is None


def test_of_its_fixed_twin() -> None:
    """As many tasks, each of which ends: nothing grows, and those that ended are counted."""
    source = FakeSource(Story(fixed=True))
    source.play(120)
    rows = group_rows(source.store.snapshot(), WINDOW)
    assert not [row for row in rows if row.growing]
    row = by_function(rows)["rudder.pipeline.Spawner.push_hash"]
    assert row.count == 412 and row.ended == pytest.approx(412 * 120 / LIFE_OF_FIXED, abs=25)
    assert row.oldest_age is not None and row.oldest_age <= LIFE_OF_FIXED + 1


def test_too_early() -> None:
    """In the first seconds growth is not known; the rest is."""
    source = FakeSource(Story())
    source.play(4)
    for row in group_rows(source.store.snapshot(), WINDOW):
        assert row.count_growth is None and row.bytes_growth is None and not row.growing


def test_since_the_baseline() -> None:
    """Counts and bytes more than then; a group that was not there has all of it since."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["old", "new"])
    made.put(store, [{"id": 1, "function": 1, "retained": 100}])
    store.set_baseline()
    made.put(store, [{"id": 2, "function": 1, "retained": 150}, {"id": 3, "function": 2, "retained": 7}])
    made.put(store, [{"id": 4, "function": 2}])
    rows = by_function(group_rows(store.snapshot(), WINDOW))
    assert (rows["old"].marked_count, rows["old"].marked_bytes) == (1, 150.0)
    assert (rows["new"].marked_count, rows["new"].marked_bytes) == (2, 14.0)


def test_what_is_not_known_of_a_group() -> None:
    """Without a measured row there is no size; without a time of creation no age; half measured is estimated."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["none", "half"])
    rows = [{"id": i, "function": 1} for i in (1, 2)] + [{"id": 3, "function": 2, "retained": 100}]
    made.put(store, [*rows, {"id": 4, "function": 2, "created": NOW - 5}])
    found = by_function(group_rows(store.snapshot(), WINDOW))
    none, half = found["none"], found["half"]
    assert (none.bytes, none.mean, none.measured_share, none.oldest_age) == (None, None, 0.0, None)
    assert (half.bytes, half.mean, half.measured_share, half.oldest_age) == (200.0, 100.0, 0.5, 5.0)


@pytest.mark.parametrize("seed", range(8))
def test_the_oldest_and_where_most_wait(seed: int) -> None:
    """As counting with a dictionary tells; of places with equally many any one."""
    r = random.Random(seed)
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, [f"f{i}" for i in range(5)] + [f"/p{i}.py:1" for i in range(9)] + [f"w{i}" for i in range(9)])
    ages: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    places: dict[int, Counter[int]] = defaultdict(Counter)
    rows = []
    for i in range(1, 300):
        function, place = r.randrange(1, 6), r.randrange(9) if r.random() < 0.5 else 0
        created, minimum = r.choice([0.0, NOW - r.randrange(1, 10**6)]), r.random() < 0.5
        rows.append(
            {
                "id": i,
                "function": function,
                "where": 6 + place,
                "waiting": 15 + place,
                "created": created,
                "flags": schema.FLAG_AGE_IS_MINIMUM if minimum else 0,
            }
        )
        places[function][place] += 1
        if created:
            ages[function].append((NOW - created, minimum))
    made.put(store, rows)
    found = by_function(group_rows(store.snapshot(), WINDOW))
    for function, counter in places.items():
        row = found[f"f{function - 1}"]
        place = int(row.where.removeprefix("/p").removesuffix(".py:1"))
        assert counter[place] == max(counter.values()) and row.waiting == f"w{place}"
        oldest = max(age for age, _ in ages[function])
        assert row.oldest_age == oldest and (oldest, row.oldest_is_minimum) in ages[function]


def test_done_but_held_is_a_group_of_its_own() -> None:
    """What has ended but is kept by somebody is told apart from what runs the same function."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["f"])
    made.put(store, [{"id": 1, "function": 1}, {"id": 2, "function": 1, "state": schema.STATE_DONE_HELD}])
    rows = group_rows(store.snapshot(), WINDOW)
    assert sorted((row.held, row.count) for row in rows) == [(False, 1), (True, 1)]
    tasks = store.snapshot().tasks
    for row in rows:
        assert tasks["id"][members(tasks, row.key)].tolist() == [2 if row.held else 1]


def group(function: str, **changed: object) -> GroupRow:
    values: dict[str, object] = {
        "key": (0, 0, False),
        "kind": "asyncio task",
        "kind_index": 0,
        "function": function,
        "held": False,
        "count": 1,
        "count_growth": None,
        "bytes": None,
        "bytes_growth": None,
        "mean": None,
        "measured_share": 1.0,
        "oldest_age": None,
        "oldest_is_minimum": False,
        "ended": 0,
        "waiting": "",
        "where": "",
        "growing": False,
        "marked_count": None,
        "marked_bytes": None,
        **changed,
    }
    return GroupRow(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("python", "sign"), [("3.13.0", ""), ("3.14.0rc1", "≥"), ("3.15.2", "≥")])
def test_done_tasks_that_asyncio_does_not_list(python: str, sign: str) -> None:
    """From Python 3.14 on those that are held are known only where they were met before: there may be more."""
    store = Store(Clock())
    store.greet(made.facts(python=python))
    store.add_texts(1, ["m.bad"])
    made.put(store, [{"id": 1, "function": 1, "state": schema.STATE_DONE_HELD}, {"id": 2, "function": 1}])
    signs = {row.held: row.count_sign for row in group_rows(store.snapshot(), WINDOW)}
    assert signs == {True: sign, False: ""}


@pytest.mark.parametrize("descending", [False, True])
def test_order_of_groups(descending: bool) -> None:
    """What is not known is last either way, equal ones go by function."""
    rows = [group("d", bytes=5.0), group("c"), group("b", bytes=9.0), group("a"), group("B", bytes=5.0)]
    known = ["b", "B", "d"] if descending else ["B", "d", "b"]
    assert [row.function for row in sort_groups(rows, "memory", descending)] == [*known, "a", "c"]


def test_every_column_of_groups_orders() -> None:
    """Each can be asked for, on rows with and without values; one that does not exist is that of memory."""
    source = FakeSource(Story())
    source.play(30)
    source.store.set_baseline()
    rows = group_rows(source.store.snapshot(), WINDOW)
    for column in GROUP_COLUMNS:
        for descending in (False, True):
            assert len(sort_groups(rows, column, descending)) == len(rows)
    assert sort_groups(rows, "no such column", True) == sort_groups(rows, "memory", True)


def test_a_filter_on_groups() -> None:
    """In function, kind, place and what is waited on, in any case."""
    rows = [group("m.Push", where="/a.py:3"), group("x", waiting="Event.wait"), group("y", kind="thread")]
    for text, found in (("push", ["m.Push"]), ("A.PY", ["m.Push"]), ("event", ["x"]), ("thread", ["y"]), ("zzz", [])):
        assert [row.function for row in sort_groups(rows, "function", False, text)] == found


def test_counts_by_kind() -> None:
    """Kinds that there are none of are left out; what has ended does not count."""
    clock = Clock()
    store = Store(clock)
    assert kind_counts(store.snapshot().tasks) == {} and group_rows(store.snapshot(), WINDOW) == []
    made.put(store, [{"id": 1}, {"id": 2, "kind": 1}, {"id": 3, "kind": 1}, {"id": 4, "kind": 77}, {"id": 5}])
    store.remove([5])
    assert kind_counts(store.snapshot().tasks) == {"asyncio task": 1, "thread": 2, "#77": 1}
