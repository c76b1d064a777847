"""The verdict: one true sentence, silence where there is nothing to say, and patience where it is too early."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyobserver.analysis.verdict import Verdict, holder_of, verdict
from pyobserver.model.readings import Allocator, Category, MemoryLimit
from pyobserver.model.store import Snapshot, Store
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import HOLDER, MB, Story
from tests.model import made
from tests.model.made import Clock, node

WINDOW = 600.0


def of_story(story: Story, seconds: float) -> Verdict:
    source = FakeSource(story)
    source.play(seconds)
    return verdict(source.store.snapshot(), WINDOW)


def test_of_the_story() -> None:
    """What grows, how fast, what each costs, what part of the growth it is, who holds it, where it waits."""
    found = of_story(Story(), 120)
    assert found.text == (
        "Growing: 418 rudder.pipeline.Spawner.push_hash, +3.1 a minute, 7.02 MB each: 99% of the growth; "
        "held by rudder.pipeline.Spawner._children; most wait at pipeline.py:88; none has been seen to end."
    )
    assert (found.level, found.holder_id, found.holder) == (
        "growing",
        HOLDER,
        "rudder.pipeline.Spawner._children",
    )
    assert found.group is not None and found.group.function == "rudder.pipeline.Spawner.push_hash"


def test_close_to_the_limit() -> None:
    """When the memory is full within a quarter of an hour, that is more than growing."""
    assert of_story(Story(limit=3_600 * MB), 120).level == "limit"


@pytest.mark.parametrize("seconds", [20, 60, 120, 600])
def test_the_fixed_twin_is_silent(seconds: float) -> None:
    """As many tasks, each of which ends: nothing to report, at any time."""
    found = of_story(Story(fixed=True), seconds)
    assert (found.level, found.text, found.group) == ("", "Memory is steady.", None)


@pytest.mark.parametrize("seconds", [0, 1, 4, 7])
def test_too_early(seconds: float) -> None:
    """Before there is a line through enough readings, nothing is claimed."""
    assert of_story(Story(), seconds) == Verdict("", "Too early to tell whether memory grows.")


def test_before_anything_was_read() -> None:
    """An empty store is too early, not steady."""
    assert verdict(Store(Clock()).snapshot(), WINDOW).text == "Too early to tell whether memory grows."


def test_without_tasks() -> None:
    """A program that uses no asyncio and does not grow is steady."""
    assert of_story(Story(empty=True), 60).text == "Memory is steady."


def grown(
    rss_per_second: float,
    bytes_per_second: float,
    *,
    held: bool = False,
    ended: bool = False,
    python_per_second: float | None = None,
    holders: tuple[int, ...] = (900,),
    tasks: int = 10,
) -> Snapshot:
    """A minute of a program whose `tasks` tasks retain more each second, and whose RSS grows as it is told."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["m.work", "/srv/m.py:9"])
    store.put_nodes(node(number, label=f"m.kept_{number}") for number in holders)
    for second in range(60):
        rss = round(100 * MB + second * rss_per_second)
        python = round(50 * MB + second * (python_per_second or bytes_per_second))
        reading = made.memory(clock.now, rss=rss)
        store.add_memory(replace(reading, allocators=(Allocator("python", "Python objects", python, python),)))
        store.add_process(made.process(clock.now, rss=rss))
        state = schema.STATE_DONE_HELD if held else schema.STATE_WAITING
        rows = [
            {
                "id": i,
                "function": 1,
                "where": 2,
                "state": state,
                "parent": holders[i % len(holders)],
                "retained": round(MB + second * bytes_per_second / tasks),
            }
            for i in range(1, tasks + 1)
        ]
        made.put(store, rows)
        if ended and second == 5:
            made.put(store, [{"id": 500 + i, "function": 1} for i in range(7)])
            store.remove(range(500, 507))
        store.add_tick(made.tick(clock.now, tasks))
        clock.now += 1
    return store.snapshot()


@pytest.mark.parametrize(
    ("of_rss", "text"),
    [(1.0, "100% of the growth"), (0.7, "70% of the growth"), (1.6, "more than the whole growth (160% of it)")],
)
def test_the_part_of_the_growth(of_rss: float, text: str) -> None:
    """It can be more than all of it, where other memory is used again; that is said, not hidden."""
    assert text in verdict(grown(MB, of_rss * MB), WINDOW).text


def test_what_is_less_than_half_is_not_the_cause() -> None:
    """Then the allocator that grows is named, or that none does."""
    found = verdict(grown(MB, 0.3 * MB, python_per_second=0.9 * MB), WINDOW)
    assert (found.level, found.group, found.allocator) == ("growing", None, "python")
    assert found.text.startswith("Growing: Python objects, +54.0 MB a minute.")
    found = verdict(grown(MB, 0.1 * MB, python_per_second=0.1 * MB), WINDOW)
    assert found.text == "Growing: memory, +60.0 MB a minute, in no single allocator." and not found.allocator


def test_growing_tasks_in_steady_memory() -> None:
    """Below the limit of what is noticed in all, a group that grows is still told, without alarm."""
    found = verdict(grown(0.0, MB), WINDOW)
    assert found.level == "" and found.text.startswith("Steady in all, but growing: 10 m.work, ")
    assert "of the growth" not in found.text and "more than" not in found.text


def test_what_was_seen_to_end() -> None:
    """Tasks that end now and then are counted; done ones that are kept are called that."""
    assert verdict(grown(MB, MB, ended=True), WINDOW).text.endswith("; 7 seen to end.")
    text = verdict(grown(MB, MB, held=True), WINDOW).text
    assert text.startswith("Growing: 10 m.work (done), ") and text.endswith("; done, but not let go.")


def test_the_holder_must_hold_most() -> None:
    """Half of a group under one holder names it; a third does not."""
    one, two, three = (grown(MB, MB, holders=tuple(range(900, 900 + n)), tasks=12) for n in (1, 2, 3))
    assert verdict(one, WINDOW).holder == "m.kept_900"
    assert verdict(two, WINDOW).holder in ("m.kept_900", "m.kept_901")
    assert (verdict(three, WINDOW).holder_id, verdict(three, WINDOW).holder) == (None, "")
    assert "held by" not in verdict(three, WINDOW).text


def test_the_holder_of_a_group_that_is_gone() -> None:
    """None, rather than an error."""
    found = verdict(grown(MB, MB), WINDOW).group
    assert found is not None
    assert holder_of(Store(Clock()).snapshot(), found) == (None, "")


def test_a_kind_that_is_not_known_here() -> None:
    """A newer agent's kind of row in a growing group is told as well as it can be."""
    clock = Clock()
    store = Store(clock)
    for second in range(60):
        store.add_process(made.process(clock.now, rss=100 * MB))
        made.put(store, [{"id": i, "kind": 99, "retained": 10**5 * second} for i in range(1, 10)])
        store.add_tick(made.tick(clock.now, 9))
        clock.now += 1
    store.set_limit(MemoryLimit(10**9, "host", None))
    assert verdict(store.snapshot(), WINDOW).text.startswith("Steady in all, but growing: 9 ")


@pytest.mark.parametrize(("name", "keeper"), [("python_free", "Python's allocator"), ("c_free", "the C heap")])
def test_what_grows_was_freed_but_kept(name: str, keeper: str) -> None:
    """Then no object is to blame, and the verdict says so."""
    clock = Clock()
    store = Store(clock)
    for second in range(90):
        sizes = {"python_live": 50 * MB, "python_free": 0, "c_live": 20 * MB, "c_free": 0, name: second * MB}
        categories = tuple(Category(each, each, size) for each, size in sizes.items())
        rss = sum(sizes.values())
        store.add_memory(replace(made.memory(clock.now, rss=rss), categories=categories))
        store.add_process(made.process(clock.now, rss=rss))
        clock.now += 1
    found = verdict(store.snapshot(), WINDOW)
    assert f"what {keeper} keeps of freed memory" in found.text
    assert found.level == "growing"
