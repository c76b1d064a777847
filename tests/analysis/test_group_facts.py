"""All about one group at a glance, and never more than is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pyobserver.analysis.group_facts import (
    AGE_LABELS,
    Scope,
    Sizes,
    WaitingPlace,
    age_buckets,
    ended_words,
    group_facts,
    sizes_of,
    waiting_places,
)
from pyobserver.analysis.groups import group_rows
from pyobserver.model.groups import GroupKey
from pyobserver.model.store import Store
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story
from tests.model import made
from tests.model.made import NOW, Clock

WINDOW = 600.0


def keys_of(source: FakeSource) -> dict[GroupKey, str]:
    return {row.key: row.function for row in group_rows(source.store.snapshot(), WINDOW)}


def test_of_the_story() -> None:
    """The leaking group: growth, ages, where all wait, what one retains, and that nothing suggests that they end."""
    source = FakeSource(Story(tasks=400, per_minute=30))
    source.play(120)
    snapshot = source.store.snapshot()
    key = next(k for k, name in keys_of(source).items() if name.endswith("push_hash"))
    facts = group_facts(snapshot, Scope(key), WINDOW)
    assert facts.count == 460 and facts.kind == "asyncio task"
    assert facts.count_growth == pytest.approx(30, rel=0.02)
    assert facts.bytes == pytest.approx(460 * 7_020_000, rel=0.01)
    assert sum(bucket.count for bucket in facts.ages) == 460
    assert sum(bucket.minimum for bucket in facts.ages) == 400
    assert facts.sizes is not None and facts.sizes.measured == 460
    assert facts.sizes.least <= facts.sizes.median <= facts.sizes.most
    assert facts.places[0].where == "/srv/rudder/rudder/pipeline.py:88"
    assert facts.ended == 0 and facts.never_ends
    assert "nothing suggests that they ever end" in ended_words(facts, "")


def test_of_its_fixed_twin() -> None:
    """Some have ended, so that nobody says they never do."""
    source = FakeSource(Story(fixed=True))
    source.play(120)
    key = next(k for k, name in keys_of(source).items() if name.endswith("push_hash"))
    facts = group_facts(source.store.snapshot(), Scope(key), WINDOW)
    assert facts.ended and not facts.never_ends
    assert f"{facts.ended:,} of {facts.ended + facts.count:,} have been seen to end" in ended_words(facts, "9 s")


def test_ages_by_their_logarithm() -> None:
    """Each edge belongs to what is older; a minimum is counted as one; what is not known is in no bucket."""
    ages = (0.0, 0.99, 1.0, 59.0, 60.0, 3599.0, 3600.0, 86400.0, 1e7)
    rows: list[dict[str, float]] = [{"created": NOW - age} for age in ages]
    rows += [{"created": NOW - 30, "flags": schema.FLAG_AGE_IS_MINIMUM}, {"created": 0}, {"created": np.inf}]
    tasks = made.tasks(rows)
    buckets, unknown = age_buckets(tasks, np.ones(len(tasks), bool), NOW)
    assert [bucket.label for bucket in buckets] == list(AGE_LABELS)
    assert [bucket.count for bucket in buckets] == [2, 1, 2, 1, 1, 1, 2]
    assert [bucket.minimum for bucket in buckets] == [0, 0, 1, 0, 0, 0, 0]
    assert unknown == 2


def test_where_most_wait() -> None:
    """The same line with another thing to wait on is another place; what is left over is counted."""
    rows = [{"where": w, "waiting": v} for w, v in [(1, 3)] * 4 + [(1, 4)] * 2 + [(2, 3)] * 3 + [(2, 0)]]
    tasks = made.tasks(rows, texts=("a.py:1", "b.py:2", "sleep", "queue get"))
    places, more = waiting_places(tasks, np.ones(len(tasks), bool), 3)
    assert places == (
        WaitingPlace("a.py:1", "sleep", 4),
        WaitingPlace("b.py:2", "sleep", 3),
        WaitingPlace("a.py:1", "queue get", 2),
    )
    assert more == 1
    assert waiting_places(tasks, np.zeros(len(tasks), bool)) == ((), 0)


def test_what_single_ones_retain() -> None:
    """Only of those that are measured; without any there is nothing to say."""
    assert sizes_of(np.array([1.0, 9.0, 4.0])) == Sizes(1.0, 4.0, 9.0, 3)
    assert sizes_of(np.array([])) is None


def test_what_hangs_under_one_node() -> None:
    """All of it, or of its children those that are alike; how many have ended and how it has changed; what to ask."""
    clock = Clock()
    store = Store(clock)
    store.greet(made.facts())
    store.add_texts(1, ["app.a", "app.b"])
    store.put_nodes([made.node(50)])
    rows = [{"id": i, "function": 1 + i % 2, "parent": 50 if i < 8 else 0, "created": NOW - i} for i in range(1, 11)]
    made.put(store, [{**row, "retained": 10} for row in rows])
    store.add_tick(made.tick(NOW))
    store.set_baseline()
    snapshot = store.snapshot()
    everything = group_facts(snapshot, Scope(node=50), WINDOW)
    assert (everything.count, everything.children, everything.ended, everything.never_ends) == (7, 7, 0, False)
    assert [(each.function, each.count, each.bytes) for each in everything.functions] == [
        ("app.b", 4, 40),
        ("app.a", 3, 30),
    ]
    key = (schema.KIND_TASK, int(snapshot.tasks["function"][snapshot.tasks.position(2) or 0]), False)
    alike = Scope(key, 50)
    assert group_facts(snapshot, alike, WINDOW).count == 3
    question = alike.question(snapshot)
    assert question is not None and set(question.like) == {2, 4, 6} and question.node == 50 and not question.done
    whole = Scope(node=50).question(snapshot)
    assert whole is not None and whole.like == () == whole.ids and whole.node == 50
    assert Scope(node=51).question(snapshot) is None
    made.put(store, [{"id": 20, "parent": 3, "retained": 5}, {"id": 21, "parent": 50, "function": 1, "retained": 10}])
    store.remove([2])
    snapshot = store.snapshot()
    facts = group_facts(snapshot, Scope(node=50), WINDOW)
    assert (facts.count, facts.children, facts.ended) == (8, 7, 1)
    assert (facts.marked_count, facts.marked_bytes) == (0, 5)
    assert ended_words(facts, "1 s") == "1 of 8 have been seen to end; of the last of them the longest lived 1 s"
    alike_facts = group_facts(snapshot, alike, WINDOW)
    assert (alike_facts.ended, alike_facts.marked_count, alike_facts.marked_bytes) == (1, 0, 0)
    asked = Scope(node=50).question(snapshot)
    assert asked is not None and set(asked.ids) == {1, 3, 4, 5, 6, 7, 20, 21}


def test_nobody_is_left() -> None:
    """Nothing is known, and nothing fails."""
    facts = group_facts(FakeSource(Story()).store.snapshot(), Scope((0, 1, False)), WINDOW)
    assert (facts.count, facts.bytes, facts.sizes, facts.places, facts.oldest) == (0, None, None, (), None)
    assert not dataclasses.replace(facts, watched=1e6).never_ends
